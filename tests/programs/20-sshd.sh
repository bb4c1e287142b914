# needs: sshd ssh sshpass ssh-keygen
mkdir -p /run/sshd ~/.ssh
ssh-keygen -A >/dev/null
useradd -m -s /bin/bash alice
useradd -m -s /bin/bash bob
echo 'alice:secret' | chpasswd
echo 'bob:secret' | chpasswd
printf 'PasswordAuthentication yes\nDenyUsers bob\nLogLevel VERBOSE\n' >/etc/ssh/sshd_config.d/own.conf
ssh-keygen -q -t ed25519 -N '' -f "$work/key"
mkdir -p /home/alice/.ssh
cp "$work/key.pub" /home/alice/.ssh/authorized_keys
chown -R alice /home/alice/.ssh
/usr/sbin/sshd
listening 22
login() { ssh -n -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 "$@" >/dev/null 2>&1 || true; }
sshpass -p secret ssh -n -o StrictHostKeyChecking=no alice@127.0.0.1 true >/dev/null 2>&1 || true
for user in alice nosuchuser bob root; do
  sshpass -p wrong ssh -n -o StrictHostKeyChecking=no -o PreferredAuthentications=password "$user@127.0.0.1" true >/dev/null 2>&1 || true
done
login -i "$work/key" alice@127.0.0.1 true
login -i "$work/key" -o PreferredAuthentications=publickey bob@127.0.0.1 true
login -i "$work/key" alice@127.0.0.1 exit 3
echo ls | sftp -o StrictHostKeyChecking=no -i "$work/key" alice@127.0.0.1 >/dev/null 2>&1 || true
login -o Ciphers=3des-cbc alice@127.0.0.1 true
login -o KexAlgorithms=diffie-hellman-group1-sha1 alice@127.0.0.1 true
printf 'GET / HTTP/1.0\r\n\r\n' | timeout 2 bash -c 'cat >/dev/tcp/127.0.0.1/22' || true
timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; read -r x <&3' || true
for _ in 1 2 3 4 5 6 7; do echo wrong; done >"$work/words"
sshpass -p wrong ssh -n -o StrictHostKeyChecking=no -o NumberOfPasswordPrompts=7 nosuchuser@127.0.0.1 true >/dev/null 2>&1 || true
pkill -x sshd -F /run/sshd.pid 2>/dev/null || kill "$(cat /run/sshd.pid)"
collect 'sshd(-session|-auth)?' "$work/sshd.log"
judge sshd auto "$work/sshd.log" 0
