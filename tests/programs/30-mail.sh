# needs: postfix dovecot sendmail curl
id alice >/dev/null 2>&1 || useradd -m -s /bin/bash alice
echo 'alice:secret' | chpasswd
cat >/etc/postfix/main.cf <<EOF
compatibility_level = 3.6
myhostname = web1.example
mydestination = web1.example, localhost
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
smtpd_helo_required = yes
inet_protocols = ipv4
smtpd_tls_security_level = none
EOF
newaliases
postfix start >/dev/null 2>&1
listening 25
talk() { printf '%s\r\n' "$@" | while read -r line; do sleep 0.2; echo "$line"; done | timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/25; cat >&3; cat <&3' >/dev/null 2>&1 || true; }
echo hello | sendmail alice@web1.example
echo hello | sendmail nosuchuser@web1.example
echo hello | sendmail someone@nowhere.example
talk "EHLO x.example" "MAIL FROM:<a@x.example>" "RCPT TO:<b@other.example>" QUIT
talk "EHLO x.example" "MAIL FROM:<a@x.example>" "RCPT TO:<nosuchuser@web1.example>" QUIT
talk "MAIL FROM:<a@x.example>" QUIT
talk "EHLO x.example" "AUTH LOGIN" QUIT
talk NONSENSE NONSENSE QUIT
sleep 4
postfix reload >/dev/null 2>&1
postfix stop >/dev/null 2>&1
cat >/etc/dovecot/conf.d/99-own.conf <<EOF
ssl = no
disable_plaintext_auth = no
auth_verbose = yes
EOF
grep -q 'dovecot_config_version' /etc/dovecot/dovecot.conf &&
  printf 'ssl = no\nauth_allow_cleartext = yes\nauth_verbose = yes\nprotocols = imap\n' >/etc/dovecot/conf.d/99-own.conf
if dovecot && listening 143; then
  curl -s imap://127.0.0.1/ -u alice:secret >/dev/null || true
  curl -s imap://127.0.0.1/ -u alice:wrong >/dev/null || true
  curl -s imap://127.0.0.1/ -u nosuchuser:wrong >/dev/null || true
  timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/143; read -r x <&3' || true
  doveadm reload || true
  sleep 1
  dovecot stop
fi
collect 'postfix/[a-z/]+' "$work/postfix.log"
collect 'dovecot' "$work/dovecot.log"
judge postfix auto "$work/postfix.log" 0
judge dovecot auto "$work/dovecot.log" 0
