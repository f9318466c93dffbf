"""Has Nova loaded and stands by: for each request one copy of it moves into a lab host and becomes nova.

Runs as root on the base tree, outside of every host; the argument is the number of the control socket's descriptor. A request is
one JSON object with the three standard descriptors of the copy. See warm_nova.py.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import socket
import sys
from typing import Any

import nova.conf  # type: ignore[import-not-found]  # noqa: F401  # what the copies need is loaded once, here
from nova import exception  # noqa: F401
from nova.virt.libvirt import driver  # type: ignore[import-not-found]  # noqa: F401
from nova.virt.libvirt.volume import remotefs  # type: ignore[import-not-found]  # noqa: F401
from oslo_concurrency import processutils  # type: ignore[import-not-found]  # noqa: F401

LIBC = ctypes.CDLL(None, use_errno=True)
KINDS = ("uts", "ipc", "net", "pid", "mnt")


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(b"{}")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65536, 3)
        if not message:
            return
        child = os.fork()
        if child == 0:
            control.close()
            become(json.loads(message), descriptors)
        os.waitpid(child, 0)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(b"{}")


def become(job: dict[str, Any], descriptors: list[int]) -> None:
    enter(job["pid"])
    if os.fork():  # only a child is in the process namespace that was entered
        os._exit(0)
    os.setsid()
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, 256)
    os.umask(0o022)
    drop_to(*job["fallback"])
    os.environ.clear()
    os.environ.update(job["environment"])
    if not os.access(os.environ["HOME"], os.X_OK):
        os.environ["HOME"] = (
            "/"  # a nova-compute that runs keeps its directory, whatever became of it
        )
    sys.stdin, sys.stderr = os.fdopen(0), os.fdopen(2, "w")
    exec(json.loads(sys.stdin.readline()), {"__name__": "inside"})
    os._exit(0)


def enter(pid: int) -> None:
    spaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in KINDS]
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY)
    for space in spaces:
        if LIBC.setns(space, 0):
            raise OSError(ctypes.get_errno(), "setns")
    os.fchdir(root)
    os.chroot(".")


def drop_to(uid: int, gid: int) -> None:
    """The nova of the host's own files, else the ids it had: a process keeps its own for life."""
    try:
        entry = pwd.getpwnam("nova")
    except KeyError:
        os.setgroups([gid])
    else:
        uid, gid = entry.pw_uid, entry.pw_gid
        os.initgroups("nova", gid)
    os.setgid(gid)
    os.setuid(uid)


main()
