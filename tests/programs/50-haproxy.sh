# needs: haproxy curl python3
cat >"$work/haproxy.cfg" <<EOF
global
 log /dev/log local0
 daemon
 pidfile $work/haproxy.pid
defaults
 log global
 timeout connect 2s
 timeout client 2s
 timeout server 2s
frontend web
 mode http
 bind 127.0.0.1:8081
 option httplog
 capture request header Host len 32
 acl denied path_beg /denied
 http-request deny if denied
 default_backend site
frontend raw
 mode tcp
 bind 127.0.0.1:8082
 option tcplog
 default_backend stream
frontend plain
 mode http
 bind 127.0.0.1:8083
 default_backend nobody
backend site
 mode http
 server s1 127.0.0.1:8090 check
backend stream
 mode tcp
 server s1 127.0.0.1:8090
backend nobody
 mode http
 server s1 127.0.0.1:8099 check
EOF
(cd "$work" && exec python3 -m http.server 8090 --bind 127.0.0.1 >/dev/null 2>&1) &
listening 8090
haproxy -f "$work/haproxy.cfg" 2>/dev/null
listening 8081
for path in / /denied /missing "/?q=1"; do curl -s "http://127.0.0.1:8081$path" >/dev/null || true; done
curl -s http://127.0.0.1:8082/ >/dev/null || true
curl -s http://127.0.0.1:8083/ >/dev/null || true
printf 'NONSENSE\r\n\r\n' | timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8081; cat >&3; cat <&3' >/dev/null 2>&1 || true
timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8082' || true
sleep 3
kill -USR1 "$(cat "$work/haproxy.pid")"
collect haproxy "$work/haproxy.log"
judge haproxy auto "$work/haproxy.log" 0
