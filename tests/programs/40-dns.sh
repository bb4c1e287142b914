# needs: named unbound dnsmasq dig
mkdir -p /run/named /var/cache/bind /var/log/named
chown bind /run/named /var/cache/bind /var/log/named
cat >/etc/bind/named.conf.options <<EOF
options { directory "/var/cache/bind"; listen-on port 5301 { 127.0.0.1; }; listen-on-v6 { none; };
  allow-query { 127.0.0.1; }; allow-transfer { none; }; allow-recursion { none; }; dnssec-validation no; };
logging { channel q { file "/var/log/named/query.log"; print-time yes; print-severity yes; print-category yes; };
  category queries { q; default_syslog; }; category security { q; default_syslog; }; category query-errors { q; }; };
EOF
named -u bind -c /etc/bind/named.conf
listening 5301
for name in localhost www.example.org nosuch.localhost; do
  dig +time=1 +tries=1 @127.0.0.1 -p 5301 "$name" A >/dev/null || true
  dig +time=1 +tries=1 +tcp @127.0.0.1 -p 5301 "$name" AAAA >/dev/null || true
done
dig +time=1 +tries=1 @127.0.0.1 -p 5301 localhost AXFR >/dev/null || true
dig +time=1 +tries=1 @127.0.0.1 -p 5301 version.bind TXT CH >/dev/null || true
rndc reload >/dev/null 2>&1 || true
kill "$(cat /run/named/named.pid)"
cat >"$work/unbound.conf" <<EOF
server: { interface: 127.0.0.1@5302
 chroot: ""
 directory: "$work"
 use-syslog: yes
 log-queries: yes
 log-replies: yes
 log-servfail: yes
 log-local-actions: yes
 pidfile: "$work/unbound.pid"
 username: ""
 local-zone: "own.example." static
 local-data: "a.own.example. A 192.0.2.1"
 access-control: 127.0.0.0/8 allow }
EOF
sed -i 's/server: {/server:/; s/ allow }/ allow/; s/^server: /server:\n /' "$work/unbound.conf"
unbound -c "$work/unbound.conf"
listening 5302
for name in a.own.example nosuch.own.example www.example.org; do
  dig +time=2 +tries=1 @127.0.0.1 -p 5302 "$name" >/dev/null || true
done
kill "$(cat "$work/unbound.pid")"
dnsmasq --port=5303 --listen-address=127.0.0.1 --bind-interfaces --log-queries=extra --no-resolv \
  --address=/own.example/192.0.2.1 --server=127.0.0.1#5399 --pid-file="$work/dnsmasq.pid" --user=root
listening 5303
for name in a.own.example localhost www.example.org; do
  dig +time=1 +tries=1 @127.0.0.1 -p 5303 "$name" >/dev/null || true
done
dig +time=1 +tries=1 @127.0.0.1 -p 5303 -x 127.0.0.1 >/dev/null || true
kill -USR1 "$(cat "$work/dnsmasq.pid")"
kill -HUP "$(cat "$work/dnsmasq.pid")"
sleep 0.3
kill "$(cat "$work/dnsmasq.pid")"
collect named "$work/named.log"
collect unbound "$work/unbound.log"
collect dnsmasq "$work/dnsmasq.log"
judge named-file named /var/log/named/query.log 0
# What BIND says of itself when it starts and stops has no parser; queries, refusals and control have.
judge named auto "$work/named.log" 130
judge unbound auto "$work/unbound.log" 0
# The table of its cache that it writes when it is asked to.
judge dnsmasq auto "$work/dnsmasq.log" 40
