"""What Python has no call for in the Linux kernel.  Where it cannot be asked nothing happens."""

from __future__ import annotations

import errno
import os
from functools import lru_cache, partial
from typing import Any, Callable, Optional

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, capget(2)
_WORDS = 6  # two times (effective, permitted, inheritable), 32 bits each
_INHERITABLE = (2, 5)
_CAP_KILL = 5  # capabilities(7)
_CLONE_NEWNS = 0x20000  # setns(2)


def adopt_orphans() -> None:
    """From now on a descendant whose parent ends becomes our child, not that of init (PR_SET_CHILD_SUBREAPER)."""
    libc = _libc()
    if libc is not None:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def shed_inheritable() -> None:
    """Empty this thread's inheritable capabilities, and with them the ambient ones.

    The change from root to another uid clears all sets but the inheritable one (capabilities(7)), which a container's
    manager may have filled, and a program file with inheritable capabilities would turn that into power again.
    """
    ctypes, libc = _ctypes(), _libc()
    if ctypes is None or libc is None:
        return
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    words = (ctypes.c_uint32 * _WORDS)()
    if libc.capget(header, words) == 0 and any(words[n] for n in _INHERITABLE):
        for n in _INHERITABLE:
            words[n] = 0
        libc.capset(header, words)


def mounts_entrance() -> Callable[[int], None]:
    """setns(2) into the mount namespace of a descriptor, found here because a forked child should load no library.

    Python has it from 3.12 on.  What is returned raises OSError; so does this where it cannot be found.
    """
    pythons = getattr(os, "setns", None)
    if pythons is not None:
        return partial(pythons, nstype=_CLONE_NEWNS)
    ctypes, libc = _ctypes(), _libc()
    if ctypes is None or libc is None:
        raise OSError(errno.ENOSYS, "this Python cannot call setns(2)")
    setns, get_errno = libc.setns, ctypes.get_errno

    def enter(descriptor: int) -> None:
        if setns(descriptor, _CLONE_NEWNS) != 0:
            raise OSError(get_errno(), os.strerror(get_errno()))

    return enter


def can_end_others() -> bool:
    """Whether we may end a process that has become somebody else (CAP_KILL; proc_pid_status(5))."""
    with open("/proc/self/status", "rb") as stream:
        effective = next(line for line in stream if line.startswith(b"CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_KILL & 1)


@lru_cache(maxsize=1)
def _libc() -> Optional[Any]:
    """Opened once: each run asks it a dozen times, and every child again."""
    ctypes = _ctypes()
    return None if ctypes is None else ctypes.CDLL(None, use_errno=True)


def _ctypes() -> Optional[Any]:
    try:
        import ctypes
    except (ImportError, MemoryError):
        # Python before 3.12 makes a callback when it loads ctypes, which an old libffi cannot without memory that is
        # writable and executable (systemd's MemoryDenyWriteExecute=).
        return None
    return ctypes
