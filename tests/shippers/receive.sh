#!/usr/bin/env bash
# What others send to the collector itself: OpenTelemetry, Splunk HEC, syslog, NetFlow; see README.md. Exit 0 when
# all is found exactly once.
set -euo pipefail
collector=$(realpath "${1:?usage: receive.sh PATH_OF_pikett-collector [COUNT]}")
count=${2:-2000}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
for program in rsyslogd softflowd nfcapd nfdump curl; do
  command -v $program >/dev/null || { echo "missing: $program (apt: rsyslog rsyslog-gnutls softflowd nfdump curl)" >&2; exit 2; }
done
python=${PYTHON:-python3}
$python -c 'import opentelemetry.sdk._logs, opentelemetry.exporter.otlp' || {
  echo "missing: python3 -m pip install opentelemetry-sdk opentelemetry-exporter-otlp" >&2
  exit 2
}
free() { $python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free) tcp=$(free) tls=$(free) udp=$(free) flood=$(free) flow=$(free) other=$(free)
cat >"$work/c.toml" <<EOF
data = "$work/data"
web = "127.0.0.1:$port"
link = "127.0.0.1:0"
console_url = "https://127.0.0.1:$port"
link_names = ["127.0.0.1:8444"]
[[receive.syslog]]
listen = "127.0.0.1:$tcp"
transport = "tcp"
[[receive.syslog]]
listen = "127.0.0.1:$tls"
transport = "tls"
[[receive.syslog]]
listen = "127.0.0.1:$udp"
transport = "udp"
[[receive.syslog]]
listen = "127.0.0.1:$flood"
transport = "udp"
[[receive.netflow]]
listen = "127.0.0.1:$flow"
from = ["127.0.0.1/32"]
EOF
"$collector" init --name 127.0.0.1 --data "$work/data" >/dev/null
token=$("$collector" token --name shipper --scope ingest --scope read --config "$work/c.toml")
"$collector" run --config "$work/c.toml" 2>"$work/c.log" &
pids+=($!)
# Certificates that the environment names would be taken instead of ours.
unset REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR GRPC_DEFAULT_SSL_ROOTS_FILE_PATH
export PIKETT_URL="https://127.0.0.1:$port" PIKETT_CA="$work/data/authority.pem" PIKETT_TOKEN=$token
for _ in $(seq 100); do
  curl -s --cacert "$PIKETT_CA" "$PIKETT_URL/healthz" >/dev/null && break
  sleep 0.1
done
# Lines and datagrams dropped by the kernel of the source whose name contains a word.
ledger() {
  curl -sf --cacert "$PIKETT_CA" -H "Authorization: Bearer $token" "$PIKETT_URL/api/v1/ledger" | $python -c '
import json, sys
for source in json.load(sys.stdin)["receive"]["sources"]:
    if source["name"].startswith("syslog " + sys.argv[1]): print(source["lines"], source["dropped"])' "$1"
}
found() { $python "$here/count.py" "$@"; }

# The queue of the SDK holds 2048 records and drops what comes beyond.
few=$((count < 2000 ? count : 2000))
for how in http grpc; do
  echo "OpenTelemetry SDK over $how:"
  $python "$here/otlp.py" $how "$few"
  found "otlp$how AND service.name:shop AND host.name:otel1 AND log.level:warn*" "$few"
done

echo "Splunk HEC by curl:"
$python -c "
for n in range($count): print('{\"event\":\"hecline number %d\",\"host\":\"hec1\",\"sourcetype\":\"app\"}' % n)" >"$work/hec.json"
curl -sf --cacert "$PIKETT_CA" -H "Authorization: Splunk $token" --data-binary "@$work/hec.json" "$PIKETT_URL/services/collector/event" && echo
found "hecline AND host.name:hec1" "$count"

echo "rsyslog over TCP, TLS and UDP:"
cat >"$work/rsyslog.conf" <<EOF
global(workDirectory="$work" defaultNetstreamDriverCAFile="$PIKETT_CA")
module(load="imfile")
input(type="imfile" File="$work/tcp.log" Tag="tcpline" ruleset="tcp")
input(type="imfile" File="$work/tls.log" Tag="tlsline" ruleset="tls")
input(type="imfile" File="$work/udp.log" Tag="udpline:" ruleset="udp")
ruleset(name="tcp") { action(type="omfwd" target="127.0.0.1" port="$tcp" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1") }
ruleset(name="tls") { action(type="omfwd" target="127.0.0.1" port="$tls" protocol="tcp" StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1") }
ruleset(name="udp") { action(type="omfwd" target="127.0.0.1" port="$udp" protocol="udp") }
EOF
for way in tcp tls udp; do
  $python -c "
for n in range($count): print('${way}line number %d' % n)" >"$work/$way.log"
done
rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid" >"$work/rsyslog.log" 2>&1 &
pids+=($!)
for way in tcp tls; do
  found "log.syslog.appname:${way}line" "$count" || { cat "$work/rsyslog.log" >&2; exit 1; }
done

# Datagrams may be dropped by the kernel; then the ledger says how many.
sleep 3
read -r arrived dropped < <(ledger "udp 127.0.0.1:$udp")
[ $((arrived + dropped)) = "$count" ] || { echo "UDP: $arrived arrived and $dropped dropped of $count" >&2; exit 1; }
echo "  UDP: $arrived arrived, $dropped dropped by the kernel, as the ledger says"
found "log.syslog.appname:udpline" "$arrived"

# More than anybody takes: every datagram arrived or was dropped, and the kernel says the same.
sent=$((count * 20))
$python -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('127.0.0.1', $flood))
for n in range($sent): s.send(b'<13>1 - web1 floodline %d - - datagram %d' % (n, n))"
# A slow build takes its time to read what the kernel kept for it.
for _ in $(seq 60); do
  sleep 1
  read -r arrived dropped < <(ledger "udp 127.0.0.1:$flood")
  [ $((arrived + dropped)) -lt "$sent" ] || break
done
kernel=$(awk -v port=":$(printf %04X "$flood")" 'index($2, port) { print $NF }' /proc/net/udp)
[ $((arrived + dropped)) = "$sent" ] && [ "$dropped" = "$kernel" ] || {
  echo "UDP flood: $arrived arrived, $dropped dropped of $sent; the kernel says $kernel" >&2
  exit 1
}
echo "  flood of $sent datagrams: $arrived arrived, $dropped dropped as the kernel says"
found "log.syslog.appname:floodline" "$arrived" 120
if command -v syslog-ng >/dev/null; then
  echo "syslog-ng over TCP, TLS and UDP, as RFC 3164 and RFC 5424:"
  read -r before lost < <(ledger "udp 127.0.0.1:$udp")
  {
    echo '@version: current'
    echo 'options { keep-hostname(no); use-dns(no); dns-cache(no); };'
    for form in bsd ietf; do
      for way in tcp tls udp; do
        $python -c "
for n in range($count): print('ng${form}${way} number %d' % n)" >"$work/ng$form$way.log"
        echo "source s_$form$way { file(\"$work/ng$form$way.log\" flags(no-parse) program-override(\"ng$form$way\")); };"
        driver=$([ $form = bsd ] && echo network || echo syslog)
        secure=$([ $way = tls ] && echo "tls(ca-file(\"$PIKETT_CA\") peer-verify(required-trusted))" || true)
        echo "destination d_$form$way { $driver(\"127.0.0.1\" port(${!way}) transport(\"$way\") persist-name(\"d_$form$way\") $secure); };"
        echo "log { source(s_$form$way); destination(d_$form$way); };"
      done
    done
  } >"$work/ng.conf"
  syslog-ng -F -f "$work/ng.conf" -R "$work/ng.persist" -p "$work/ng.pid" -c "$work/ng.ctl" >"$work/ng.out" 2>&1 &
  pids+=($!)
  for way in bsdtcp bsdtls ietftcp ietftls; do
    found "log.syslog.appname:ng$way" "$count" || { cat "$work/ng.out" >&2; exit 1; }
  done
  sleep 3
  read -r arrived dropped < <(ledger "udp 127.0.0.1:$udp")
  arrived=$((arrived - before)) dropped=$((dropped - lost))
  [ $((arrived + dropped)) = $((2 * count)) ] || { echo "UDP: $arrived arrived and $dropped dropped of $((2 * count))" >&2; exit 1; }
  echo "  UDP: $arrived arrived, $dropped dropped by the kernel, as the ledger says"
  found "log.syslog.appname:(ngbsdudp OR ngietfudp)" "$arrived"
else
  echo "skipped: no syslog-ng (apt: syslog-ng-core)"
fi

for version in 5 9 10; do
  echo "softflowd, NetFlow version $version:"
  mkdir "$work/nf$version"
  nfcapd -w "$work/nf$version" -p "$other" -b 127.0.0.1 -I x >"$work/nfcapd.log" 2>&1 &
  capd=$!
  sleep 1
  for pcap in "$here"/../../rules/demo/*.pcap; do
    softflowd -r "$pcap" -v $version -n "127.0.0.1:$other" >/dev/null 2>&1
    softflowd -r "$pcap" -v $version -n "127.0.0.1:$flow" >/dev/null 2>&1
  done
  sleep 1
  kill $capd && wait $capd 2>/dev/null || true
  flows=$(nfdump -q -R "$work/nf$version" -o csv | grep -c '^[0-9]')
  found "event_type:netflow AND netflow.version:$version" "$flows"
done
curl -sf --cacert "$PIKETT_CA" -H "Authorization: Bearer $token" "$PIKETT_URL/api/v1/ledger" | $python -c '
import json, sys
ledger = json.load(sys.stdin)
print("ledger of the inputs:", json.dumps(ledger["receive"]["ledger"]))
for source in ledger["receive"]["sources"]:
    print(" ", source["name"], source["lines"], "lines,", source["dropped"], "dropped,", source.get("further", {}))
sys.exit(ledger["residue"] != 0)'
