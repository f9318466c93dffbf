#!/bin/bash
# What a careful operator would write in an afternoon: is this compute node ready, as far as it can be told from here?
# usage: check.sh PEERS [dial]   PEERS: a line for each peer, NAME ADDRESS HOST-KEY-TYPE HOST-KEY USER-KEY-TYPE USER-KEY
# With `dial` it also compares the key that each peer shows (ssh-keyscan) and logs in there as nova (ssh).
peers=$1 dial=${2:-} bad=0
home=/var/lib/nova known=/etc/ssh/ssh_known_hosts keys=$home/.ssh/authorized_keys
wrong() { echo "$1"; bad=1; }

IFS=: read -r _ _ _ _ _ dir shell < <(getent passwd nova)
[ "$dir" = $home ] || wrong "home is $dir"
case $shell in */nologin | */false | '') wrong "shell is $shell" ;; esac
read -r owner mode < <(stat -c '%U %a' $home)
[ "$owner $mode" = 'nova 755' ] || wrong "$home: $owner $mode"
read -r owner mode < <(stat -c '%U %a' $home/.ssh)
[ "$owner $mode" = 'nova 700' ] || wrong "$home/.ssh: $owner $mode"
read -r owner mode < <(stat -c '%U %a' $home/.ssh/id_ed25519)
[ "$owner $mode" = 'nova 600' ] || wrong "private key: $owner $mode"
read -r type key _ < <(ssh-keygen -y -P '' -f $home/.ssh/id_ed25519)
read -r its_type its_key _ <$home/.ssh/id_ed25519.pub
[ "$type $key" = "$its_type $its_key" ] || wrong "the public half is another's"
read -r owner mode < <(stat -c '%U %a' $home/instances)
[ "$owner $mode" = 'nova 755' ] || wrong "instances: $owner $mode"
told=$("$(command -v sshd)" -T -C user=nova,host=peer,addr=192.0.2.1)
grep -qx 'pubkeyauthentication yes' <<<"$told" || wrong "sshd takes no keys"
grep -q '^subsystem sftp' <<<"$told" || wrong "sshd has no sftp"

while read -r name address type key user_type user_key; do
  grep -qF "$user_type $user_key" $keys || wrong "$name may not log in"
  ssh-keygen -F "$address" -f $known 2>/dev/null | grep -qF "$type $key" || wrong "$name is not known"
  [ "$dial" ] || continue
  ssh-keyscan -T 10 -t "${type#ssh-}" "$address" 2>/dev/null | grep -qF "$type $key" || wrong "$name shows another key"
  runuser -u nova -- ssh -o BatchMode=yes "$address" true </dev/null || wrong "no login on $name"
done <"$peers"
exit $bad
