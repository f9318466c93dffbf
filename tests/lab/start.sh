#!/bin/sh
# Turns the fresh namespaces it is started in into one lab host, then becomes that host's PID 1.
# start.sh SCRATCH TREE NAME KEYS AGENT INIT: an empty directory to mount on, the base tree, the host's
# name, where its host keys are kept, the source folder `agent` (or nothing) and the path of init.py.
set -eu
scratch=$1 tree=$2 name=$3 keys=$4 agent=$5 init=$6

# The old /proc is still the machine's, so this is the number the machine knows us by.
read -r pid _ </proc/self/stat
echo "pid $pid"

# All that the host ever writes lives here: it ends with the mount namespace, nothing to sweep up.
mount -t tmpfs -o mode=0755 lab "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
cd "$tree"
mount -t overlay -o "lowerdir=.,upperdir=$scratch/upper,workdir=$scratch/work" lab "$scratch/root"
cd "$scratch/root"
exec 3<"$init"

mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=0755 tmpfs dev
mkdir -m 0755 dev/pts
mkdir -m 1777 dev/shm run/lock
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mknod -m 0666 dev/null c 1 3
mknod -m 0666 dev/zero c 1 5
mknod -m 0666 dev/full c 1 7
mknod -m 0666 dev/random c 1 8
mknod -m 0666 dev/urandom c 1 9
mknod -m 0666 dev/tty c 5 0
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

if [ -n "$agent" ]; then
    mkdir -p usr/share/resize-agent/agent
    mount --bind -o ro "$agent" usr/share/resize-agent/agent
fi

echo "$name" >/proc/sys/kernel/hostname
echo "$name" >etc/hostname
# Cloned trees would share host keys. Made once for a name: an RSA key costs half a second of a processor.
if [ ! -d "$keys" ]; then
    chroot . ssh-keygen -A >/dev/null
    mkdir -p "$keys.$pid"
    cp -p etc/ssh/ssh_host_* "$keys.$pid"
    mv -T "$keys.$pid" "$keys" 2>/dev/null || rm -r "$keys.$pid"
fi
cp -p "$keys"/ssh_host_* etc/ssh/
mkdir .machine
pivot_root . .machine
umount -l /.machine
rmdir /.machine

PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
exec env -i PATH="$PATH" LANG="$LANG" /usr/bin/python3 -I -S /dev/fd/3
