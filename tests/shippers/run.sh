#!/usr/bin/env bash
# Real shippers against the collector's Elasticsearch door; see README.md. Exit 0 when all is found in time.
set -euo pipefail
collector=$(realpath "${1:?usage: run.sh PATH_OF_pikett-collector}")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
command -v rsyslogd >/dev/null || { echo "missing: rsyslog, rsyslog-elasticsearch" >&2; exit 2; }
python=${PYTHON:-python3}
$python -c 'import elasticsearch; assert elasticsearch.__version__[0] == 9' || {
  echo "missing: python3 -m pip install 'elasticsearch>=9,<10'" >&2
  exit 2
}

port=$($python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/c.toml" <<EOF
data = "$work/data"
web = "127.0.0.1:$port"
link = "127.0.0.1:0"
console_url = "https://127.0.0.1:$port"
link_names = ["127.0.0.1:8444"]
EOF
"$collector" init --name 127.0.0.1 --data "$work/data" >/dev/null
token=$("$collector" token --name shipper --scope ingest --scope read --config "$work/c.toml")
"$collector" run --config "$work/c.toml" 2>"$work/c.log" &
pids+=($!)
for _ in $(seq 100); do
  curl -s --cacert "$work/data/authority.pem" "https://127.0.0.1:$port/healthz" >/dev/null && break
  sleep 0.1
done

echo "elasticsearch-py:"
PIKETT_URL="https://127.0.0.1:$port" PIKETT_CA="$work/data/authority.pem" PIKETT_TOKEN=$token $python "$here/client.py"

echo "rsyslog omelasticsearch:"
cat >"$work/rsyslog.conf" <<EOF
global(workDirectory="$work")
module(load="imfile")
module(load="omelasticsearch")
template(name="ecs" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host.name" name="hostname" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
input(type="imfile" File="$work/app.log" Tag="app" PersistStateInterval="1")
action(type="omelasticsearch" server="https://127.0.0.1" serverport="$port" usehttps="on"
  tls.cacert="$work/data/authority.pem" uid="shipper" pwd="$token"
  template="ecs" searchIndex="logs" searchType="" bulkmode="on" maxbytes="1m"
  queue.type="linkedlist" action.resumeRetryCount="-1" retryfailures="on" errorFile="$work/errors.json")
EOF
: >"$work/app.log"
rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslog.pid" >"$work/rsyslog.log" 2>&1 &
pids+=($!)
sleep 1
PIKETT_URL="https://127.0.0.1:$port" PIKETT_CA="$work/data/authority.pem" PIKETT_TOKEN=$token \
  $python "$here/client.py" --file "$work/app.log" rsyline || { cat "$work/rsyslog.log" "$work/errors.json" >&2; exit 1; }

if command -v syslog-ng >/dev/null && [ -e /etc/syslog-ng/scl.conf ]; then
  echo "syslog-ng elasticsearch-http:"
  cat >"$work/ng.conf" <<EOF
@version: current
@include "scl.conf"
source lines { file("$work/ng.log" follow-freq(0.2) flags(no-parse) program-override("app")); };
destination collector {
  elasticsearch-http(url("https://127.0.0.1:$port/_bulk") index("logs") type("") user("shipper") password("$token")
    tls(ca-file("$work/data/authority.pem") peer-verify(yes)));
};
log { source(lines); destination(collector); };
EOF
  : >"$work/ng.log"
  syslog-ng -F -f "$work/ng.conf" -R "$work/ng.persist" -p "$work/ng.pid" -c "$work/ng.ctl" >"$work/ng.out" 2>&1 &
  pids+=($!)
  sleep 1
  PIKETT_URL="https://127.0.0.1:$port" PIKETT_CA="$work/data/authority.pem" PIKETT_TOKEN=$token \
    $python "$here/client.py" --file "$work/ng.log" ngline || { cat "$work/ng.out" >&2; exit 1; }
else
  echo "skipped: no syslog-ng (apt: syslog-ng-core syslog-ng-scl syslog-ng-mod-http)"
fi
