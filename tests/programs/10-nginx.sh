# needs: nginx curl
mkdir -p /var/log/nginx /var/lib/nginx /run
nginx
listening 80
for path in / /missing /a%20b "/?q=%27%20OR%201=1" /../../etc/passwd; do
  curl -s --path-as-is -A "Mozilla/5.0 (X11; Linux x86_64)" -e http://x.example/ "http://127.0.0.1$path" >/dev/null || true
done
curl -s -u alice:secret -I http://127.0.0.1/ >/dev/null
curl -s -X POST -d a=b http://127.0.0.1/ >/dev/null
curl -s --http2-prior-knowledge http://127.0.0.1/ >/dev/null || true
curl -s -A '"quoted" \ agent' http://127.0.0.1/ >/dev/null
# What scanners send: no HTTP at all, a request that is too long, nothing.
printf '\x16\x03\x01\x02\x00\x01\x00' | timeout 1 bash -c 'cat >/dev/tcp/127.0.0.1/80' || true
printf 'GET /\r\n\r\n' | timeout 1 bash -c 'cat >/dev/tcp/127.0.0.1/80' || true
curl -s "http://127.0.0.1/$(head -c 9000 /dev/zero | tr '\0' a)" >/dev/null || true
chmod 000 /var/www/html/* 2>/dev/null || true
curl -s http://127.0.0.1/index.nginx-debian.html >/dev/null
nginx -s reload
sleep 1
nginx -s stop
judge nginx-access nginx /var/log/nginx/access.log 0
judge nginx-auto access /var/log/nginx/access.log 0
judge nginx-error nginx /var/log/nginx/error.log 0
