#!/bin/sh
# Nova's lines to one peer, as an operator would hand them to xargs.  usage: dial.sh ADDRESS, as nova; failures in /tmp/failed
directory=/var/lib/nova/instances/$(cat /proc/sys/kernel/random/uuid)
ssh -o BatchMode=yes "$1" mkdir -p "$directory" &&
  scp -r /tmp/payload "$1:$directory/disk" &&
  ssh -o BatchMode=yes "$1" rm -rf "$directory" ||
  { echo "$1" >>/tmp/failed; exit 1; }
