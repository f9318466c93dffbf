#!/bin/sh
# Turns the fresh namespaces it is started in into a container of a lab host, as an engine does: a root of its own over the
# host's, its own /proc, /run and /tmp, volumes where they are wanted. Ends when its standard input does.
# container.sh NAME [VOLUME PATH]...
set -eu
name=$1
shift
base=/run/containers/$name
mkdir -p "$base/upper" "$base/work" "$base/root"
# The old /proc is still the host's, so this is the number the host knows us by.
read -r pid _ </proc/self/stat
echo "$pid" >"$base/pid"
mount -t overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" container "$base/root"
cd "$base/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
while [ $# -gt 1 ]; do
    mkdir -p "$1" ".$2"
    mount --bind "$1" ".$2"
    shift 2
done
mkdir .host
pivot_root . .host
umount -l /.host
rmdir /.host
echo ready
# Whoever loses its parent becomes a child of this one, and is gone when it ends.
exec /usr/bin/python3 -I -S -c 'import os, signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.read(0, 1)'
