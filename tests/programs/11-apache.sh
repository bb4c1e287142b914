# needs: apache2ctl curl
mkdir -p /var/log/apache2 /run/lock
sed -i 's/^Listen 80$/Listen 8080/' /etc/apache2/ports.conf
sed -i 's/:80>/:8080>/' /etc/apache2/sites-enabled/*
mkdir -p /var/www/html/private
cat >/etc/apache2/conf-enabled/private.conf <<EOF
ServerName web1.example
LogLevel info
<Directory /var/www/html/private>
AuthType Basic
AuthName x
AuthUserFile /etc/apache2/users
Require valid-user
</Directory>
<Location /denied>
Require all denied
</Location>
EOF
echo 'alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=' >/etc/apache2/users
apache2ctl start 2>/dev/null
listening 8080
for path in / /missing /denied /private/ "/?q=%3Cscript%3E" /../../etc/passwd /.htaccess; do
  curl -s --path-as-is -e http://x.example/ "http://127.0.0.1:8080$path" >/dev/null
done
curl -s -u alice:secret http://127.0.0.1:8080/private/ >/dev/null
curl -s -u alice:wrong http://127.0.0.1:8080/private/ >/dev/null
curl -s -u nobody:wrong http://127.0.0.1:8080/private/ >/dev/null
curl -s -X DELETE http://127.0.0.1:8080/ >/dev/null
printf 'NONSENSE\r\n\r\n' | timeout 1 bash -c 'cat >/dev/tcp/127.0.0.1/8080' || true
printf '\x16\x03\x01\x02\x00\x01\x00\n' | timeout 1 bash -c 'cat >/dev/tcp/127.0.0.1/8080' || true
apache2ctl graceful 2>/dev/null
sleep 1
apache2ctl stop 2>/dev/null
sleep 1
judge apache-access apache /var/log/apache2/access.log 0
[ ! -s /var/log/apache2/other_vhosts_access.log ] || judge apache-vhosts apache /var/log/apache2/other_vhosts_access.log 0
judge apache-error apache /var/log/apache2/error.log 0
