"""One instances directory for all hosts of a fleet, as a network file system gives it.

An ext4 on a loop device, which the kernel shows to every mount namespace as one file system, and over it in each host a FUSE
process of its own (bindfs), so that the mount is of a shared kind and has a source, as GlusterFS' client leaves it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.fleet import Fleet

STORE = "/srv/store"
"""What bindfs gives as the source of its mount."""
MOUNT = """
mknod -m 0600 /dev/store b $1 $2; mknod -m 0666 /dev/fuse c 10 229
mkdir /srv/store; mount -t ext4 /dev/store /srv/store
chown nova:nova /srv/store
bindfs -o allow_other,attr_timeout=0,entry_timeout=0,subtype=glusterfs /srv/store /var/lib/nova/instances
findmnt -no FSTYPE,SOURCE /var/lib/nova/instances
"""
# bindfs holds the store until it has ended, which umount(8) of what it served does not wait for.
UNMOUNT = """
umount /var/lib/nova/instances || exit 1
for left in $(seq 100 -1 0); do
  umount /srv/store && exit 0
  sleep 0.1
done
exit 1
"""


@contextmanager
def shared_instances(fleet: Fleet) -> Iterator[None]:
    """Mounted on every host, empty, nova's."""
    with tempfile.TemporaryDirectory() as place, _device(f"{place}/image") as device:
        number = os.stat(device).st_rdev
        for host in fleet:
            arguments = (str(os.major(number)), str(os.minor(number)))
            mounted = host.run(["sh", "-euc", MOUNT, "sh", *arguments])
            assert mounted.stdout.split() == ["fuse.glusterfs", STORE], mounted
        try:
            yield
        finally:
            for host in fleet:
                host.sh(UNMOUNT)


@contextmanager
def _device(image: str) -> Iterator[str]:
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-E", "root_owner=0:0", image], check=True)
    device = _losetup("--find", "--show", image)
    try:
        yield device
    finally:
        _losetup("--detach", device)


def _losetup(*arguments: str) -> str:
    done = subprocess.run(["losetup", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
