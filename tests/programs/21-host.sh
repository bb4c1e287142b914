# needs: sudo su cron crontab passwd useradd
id carol >/dev/null 2>&1 || useradd -m -s /bin/bash carol
echo 'carol:secret' | chpasswd
echo 'carol ALL=(root) /bin/true, /bin/cat' >/etc/sudoers.d/carol
as() { setpriv --reuid carol --regid carol --init-groups --reset-env "$@" || true; }
echo secret | as sudo -S /bin/true 2>/dev/null
echo secret | as sudo -k -S /bin/ls /root 2>/dev/null
printf 'wrong\nwrong\nwrong\n' | as sudo -k -S /bin/true 2>/dev/null
echo secret | as sudo -k -S -u nosuchuser /bin/true 2>/dev/null
sudo -u carol /bin/true
echo wrong | as su root -c true 2>/dev/null
su carol -c true
su nosuchuser -c true 2>/dev/null || true
groupadd staff2
usermod -aG staff2 carol
useradd -m dave
printf 'secret1\nsecret1\n' | passwd dave >/dev/null 2>&1
chage -M 30 dave
usermod -L dave
userdel -r dave >/dev/null 2>&1
groupdel staff2
echo '* * * * * root /bin/true' >/etc/cron.d/own
echo 'broken line' >/etc/cron.d/broken
echo '@reboot /bin/true' | crontab -u carol -
cron
sleep 62
echo '* * * * * /bin/false' | crontab -u carol -
crontab -u carol -r
kill "$(cat /run/crond.pid)" 2>/dev/null || true
logger -p auth.info -t systemd-logind "New session 3 of user carol."
collect 'sudo|su|cron|CRON|crontab|passwd|chpasswd|useradd|usermod|userdel|groupadd|groupdel|chage' "$work/host.log"
judge host auto "$work/host.log" 0
