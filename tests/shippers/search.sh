#!/usr/bin/env bash
# Real clients of search against the collector's Elasticsearch door; see README.md. Exit 0 when all answers are right.
set -euo pipefail
collector=$(realpath "${1:?usage: search.sh PATH_OF_pikett-collector}")
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
"$python" -c 'import elasticsearch, opensearchpy; assert elasticsearch.__version__[0] == 9' || {
  echo "missing: $python -m pip install 'elasticsearch>=9,<10' opensearch-py" >&2
  exit 2
}
work=$(mktemp -d)
pid=
finish() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/c.toml" <<EOT
data = "$work/data"
web = "127.0.0.1:$port"
link = "127.0.0.1:0"
console_url = "https://127.0.0.1:$port"
link_names = ["127.0.0.1:8444"]
EOT
"$collector" init --name 127.0.0.1 --data "$work/data" >/dev/null
"$collector" run --config "$work/c.toml" 2>"$work/c.log" &
pid=$!
for _ in $(seq 200); do
  curl -s --cacert "$work/data/authority.pem" "https://127.0.0.1:$port/healthz" >/dev/null && break
  sleep 0.1
done
# Beside the running collector: it must work at once.
token=$("$collector" token --name reader --scope ingest --scope read --config "$work/c.toml")
PIKETT_URL="https://127.0.0.1:$port" PIKETT_CA="$work/data/authority.pem" PIKETT_TOKEN=$token "$python" "$here/search.py" ||
  { tail -20 "$work/c.log" >&2; exit 1; }
