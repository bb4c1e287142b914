#!/usr/bin/env bash
# Real programs, configured as Debian does, log what they do, and what they log is read by our parsers; see README.md.
# Exit 0 when no line is left without a parser beyond what each program's file allows.
set -euo pipefail
pikett=$(realpath "${1:?usage: run.sh PATH_OF_pikett [PROGRAM...]}")
shift
here=$(cd "$(dirname "$0")" && pwd)
[ "$(id -u)" = 0 ] || { echo "skipped: needs root for namespaces of its own"; exit 0; }
if [ -z "${PIKETT_PROGRAMS_INSIDE:-}" ]; then
  # Files, network and processes of its own: nothing outside changes, and all of them end with it.
  PIKETT_PROGRAMS_INSIDE=1 exec unshare --mount --net --pid --uts --fork --mount-proc --kill-child "$0" "$pikett" "$@"
fi

work=$(mktemp -d)
mount -t tmpfs tmpfs "$work"
for folder in etc var root home; do
  mkdir -p "$work/$folder/up" "$work/$folder/work"
  mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$work/$folder/up,workdir=$work/$folder/work" "/$folder"
done
mount -t tmpfs tmpfs /run
mkdir -p "$work/dev"
for device in null zero full random urandom tty; do
  touch "$work/dev/$device"
  mount --bind "/dev/$device" "$work/dev/$device"
done
mkdir "$work/dev/pts" "$work/dev/shm"
mount -t devpts devpts "$work/dev/pts" -o newinstance,ptmxmode=0666,mode=0620
ln -s pts/ptmx "$work/dev/ptmx"
ln -s /proc/self/fd "$work/dev/fd"
mount --rbind "$work/dev" /dev
hostname web1
ip link set lo up
echo "127.0.0.1 localhost web1 web1.example" >/etc/hosts
# What Debian's rsyslog writes with the settings it comes with, and with the traditional ones.
cat >"$work/rsyslog.conf" <<EOF
global(workDirectory="$work")
module(load="imuxsock")
action(type="omfile" file="$work/syslog" template="RSYSLOG_FileFormat")
action(type="omfile" file="$work/traditional" template="RSYSLOG_TraditionalFileFormat")
EOF
rsyslogd -f "$work/rsyslog.conf" -i "$work/rsyslog.pid" >"$work/rsyslog.log" 2>&1 ||
  { echo "missing: rsyslogd" >&2; cat "$work/rsyslog.log" >&2; exit 2; }

# Waits until something listens on a port.
listening() {
  for _ in $(seq 100); do
    ss -Hlntu "sport = :$1" | grep -q . && return 0
    sleep 0.1
  done
  echo "nothing listens on port $1" >&2
  return 1
}
# Waits until a file has a line with a word.
says() {
  for _ in $(seq 100); do
    grep -qs -- "$2" "$1" && return 0
    sleep 0.1
  done
  echo "$1 does not say $2" >&2
  return 1
}
# Lines of programs in syslog since the last call, as Debian writes them and in the traditional form.
collect() {
  sleep 0.5
  grep -hE " ($1)(\[[0-9]+\])?: " "$work/syslog" "$work/traditional" >"$2" || true
}
failed=0
# judge NAME FORMAT FILE ALLOWED: at most ALLOWED lines of a file are known by their header alone, none is unparsed.
judge() {
  local name=$1 format=$2 file=$3 allowed=$4 said lines unparsed header
  said=$("$pikett" parsers try --summary --format "$format" "$file" 2>&1) || { echo "$said" >&2; exit 2; }
  lines=$(sed -n 's/^\([0-9]*\) lines.*/\1/p' <<<"$said")
  unparsed=$(sed -n 's/.*lines, \([0-9]*\) not understood.*/\1/p' <<<"$said")
  header=$(sed -n 's/.*understood, \([0-9]*\) header only.*/\1/p' <<<"$said")
  printf '%-14s %6s lines %6s by a parser %4s header only %4s unparsed\n' "$name" "$lines" \
    $((lines - unparsed - header)) "$header" "$unparsed"
  [ -z "${PIKETT_PROGRAMS_KEEP:-}" ] || cp "$file" "$PIKETT_PROGRAMS_KEEP/$name.log"
  if [ "$lines" = 0 ] || [ "$unparsed" != 0 ] || [ "$header" -gt "$allowed" ]; then
    "$pikett" parsers try --unknown --format "$format" "$file" 2>/dev/null | grep -v '^  \|^$' | head -20 || true
    failed=1
  fi
}
for script in "$here"/[0-9]*.sh; do
  name=$(basename "$script" .sh)
  name=${name#*-}
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  mkdir -p "$work/$name"
  missing=$(sed -n 's/^# needs: //p' "$script" | tr ' ' '\n' | while read -r program; do
    command -v "$program" >/dev/null || echo "$program"; done | head -1)
  if [ -n "$missing" ]; then
    echo "skipped: no $missing"
    continue
  fi
  # shellcheck source=/dev/null
  . "$script"
done
exit $failed
