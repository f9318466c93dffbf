#!/bin/sh
# Boots guests with systemd as PID 1, joined by a bridge, in namespaces of their own.  Ends them when standard input ends.
# start.sh SCRATCH TREE CGROUP ADDRESS...  with each ADDRESS as NAME=10.99.0.N; prints "guest NAME PID" for each.
set -eu
[ "${GUESTS_INSIDE:-}" ] || exec env GUESTS_INSIDE=1 unshare --mount --net sh "$0" "$@"
scratch=$1 tree=$2 cgroup=/sys/fs/cgroup/$3
shift 3
PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount --make-rprivate /
# nspawn and udev on the machine must not see each other, and systemd >= 256 refuses the old cgroup tree.
mount -t tmpfs -o mode=755 tmpfs /run
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 guests "$scratch"
ip link set lo up
ip link add br0 type bridge
ip link set br0 up

booted=
stop() {
    trap - EXIT
    for each in $booted; do
        leader=$(pgrep -P "$each" -x systemd || true)
        [ -z "$leader" ] || kill -s RTMIN+4 "$leader" # a clean power-off (systemd(1), SIGNALS)
    done
    for each in $booted; do
        tries=0
        while kill -0 "$each" 2>/dev/null && [ $tries -lt 150 ]; do
            tries=$((tries + 1))
            sleep 0.1
        done
        kill -KILL "$each" 2>/dev/null || true
    done
    wait
    [ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
}
trap stop EXIT
trap 'exit 1' TERM INT

all=$(for each; do printf '%s %s\n' "${each#*=}" "${each%%=*}"; done)
for each; do
    name=${each%%=*} address=${each#*=}
    here=$scratch/$name
    mkdir -p "$here/upper" "$here/work" "$here/root" "$cgroup/$name"
    mount -t overlay overlay -o "lowerdir=$tree,upperdir=$here/upper,workdir=$here/work" "$here/root"
    root=$here/root
    echo "$name" >"$root/etc/hostname"
    printf '127.0.0.1 localhost\n%s\n' "$all" >"$root/etc/hosts"
    ssh-keygen -q -t ed25519 -N '' -C "root@$name" -f "$root/etc/ssh/ssh_host_ed25519_key"
    mkdir -p "$root/etc/systemd/network" "$root/etc/systemd/system/multi-user.target.wants"
    printf '[Match]\nName=host0\n[Network]\nAddress=%s/24\n' "$address" >"$root/etc/systemd/network/10-guest.network"
    ln -sf /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/"
    # Each in a control group of its own: from one and the same, all guests' ssh.service would be one group.
    sh -c 'echo $$ >"$1/cgroup.procs"; shift; exec setpriv --pdeathsig=KILL "$@"' sh "$cgroup/$name" \
        systemd-nspawn -q -D "$root" --boot --register=no --keep-unit --machine="$name" --network-bridge=br0 \
        --resolv-conf=off --timezone=off --console=read-only </dev/null >"$here/console.log" 2>&1 &
    eval "nspawn_$(echo "$name" | tr -c 'a-z0-9\n' _)=$!"
    booted="$booted $!"
done
for each; do
    name=${each%%=*}
    eval "nspawn=\$nspawn_$(echo "$name" | tr -c 'a-z0-9\n' _)"
    tries=0
    until leader=$(pgrep -P "$nspawn" -x systemd); do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$nspawn" 2>/dev/null; then
            cat "$scratch/$name/console.log" >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "guest $name $leader"
done
while read -r _; do :; done
