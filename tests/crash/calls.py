"""The system calls with which a program changes something: their numbers, the filter that hands them over, what each is about."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Optional

# asm/unistd.h; the calls of each machine that change a file system or become a program.
CALLS = {
    "x86_64": {
        "open": 2, "openat": 257, "creat": 85, "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296,
        "rename": 82, "renameat": 264, "renameat2": 316, "link": 86, "linkat": 265, "symlink": 88,
        "symlinkat": 266, "unlink": 87, "unlinkat": 263, "rmdir": 84, "mkdir": 83, "mkdirat": 258,
        "mknodat": 259, "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452, "chown": 92,
        "fchown": 93, "lchown": 94, "fchownat": 260, "truncate": 76, "ftruncate": 77, "fallocate": 285,
        "setxattr": 188, "fsetxattr": 190, "fremovexattr": 199, "utimensat": 280, "utime": 132,
        "fsync": 74, "fdatasync": 75, "copy_file_range": 326, "sendfile": 40, "execve": 59,
    },
    "aarch64": {
        "openat": 56, "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "renameat": 38,
        "renameat2": 276, "linkat": 37, "symlinkat": 36, "unlinkat": 35, "mkdirat": 34, "mknodat": 33,
        "fchmod": 52, "fchmodat": 53, "fchmodat2": 452, "fchown": 55, "fchownat": 54, "truncate": 45,
        "ftruncate": 46, "fallocate": 47, "setxattr": 5, "fsetxattr": 7, "fremovexattr": 16,
        "utimensat": 88, "fsync": 82, "fdatasync": 83, "copy_file_range": 285, "sendfile": 71,
        "execve": 221,
    },
}  # fmt: skip
SECCOMP = {"x86_64": 317, "aarch64": 277}
MACHINE = platform.machine()
_CREATES = os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
_BY_DESCRIPTOR = frozenset(
    "write pwrite64 writev pwritev fchmod fchown ftruncate fallocate fsetxattr fremovexattr fsync fdatasync sendfile".split()
)
_BY_PATH = frozenset(
    "open creat rename link unlink rmdir mkdir chmod chown lchown truncate".split()
)
_BY_PATH |= frozenset("symlink setxattr utime execve".split())
# What a full disk or quota lets pass: it only frees or changes what is there.
_FREE_OF_ROOM = frozenset("unlink unlinkat rmdir fchmod chmod fchmodat fchown chown lchown".split())
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000  # seccomp(2)


def filter_program() -> bytes:
    """BPF: hand over the calls above; of open(2) and openat(2) only what makes or empties a file."""
    code = []

    def op(opcode: int, yes: int, no: int, value: int) -> None:
        code.append(struct.pack("HBBI", opcode, yes, no, value))

    op(0x20, 0, 0, 0)  # A = number of the call
    for name, number in CALLS[MACHINE].items():
        if name in ("open", "openat"):
            argument = 1 if name == "open" else 2
            op(0x15, 0, 4, number)
            op(0x20, 0, 0, 16 + 8 * argument)
            op(0x45, 0, 1, _CREATES)
            op(0x06, 0, 0, _NOTIFY)
            op(0x06, 0, 0, _ALLOW)
        else:
            op(0x15, 0, 1, number)
            op(0x06, 0, 0, _NOTIFY)
    op(0x06, 0, 0, _ALLOW)
    return b"".join(code)


def would(code: int, name: str) -> bool:
    """Whether a disk that says so once says it to this call too."""
    return code not in (errno.ENOSPC, errno.EDQUOT) or name not in _FREE_OF_ROOM


def target(pid: int, name: str, arguments: tuple[int, ...]) -> Optional[str]:
    """What the call is about; None where that is no file."""
    if name in _BY_DESCRIPTOR:
        path = _link(pid, arguments[0])
    elif name in _BY_PATH:
        path = _string(pid, arguments[0])
        if name == "execve" and not os.access(path, os.X_OK):
            return None
    else:
        first, second = (2, 3) if name in ("renameat", "renameat2", "linkat") else (0, 1)
        path = os.path.join(_link(pid, arguments[first]), _string(pid, arguments[second]))
    if not path.startswith("/") or path.startswith(("/proc/", "/memfd:")):
        return None
    if path.startswith("/dev/") and not path.startswith("/dev/shm/"):
        return None
    if path.startswith("/run/watched."):
        return None  # the program's own standard output
    return path


def _link(pid: int, descriptor: int) -> str:
    number = ctypes.c_int(descriptor & 0xFFFFFFFF).value
    where = "cwd" if number == -100 else f"fd/{number}"
    try:
        return os.readlink(f"/proc/{pid}/{where}")
    except OSError:
        return ""


def _string(pid: int, address: int) -> str:
    if address == 0:  # utimensat(2) on the descriptor itself
        return ""
    return memory(pid, address, 4096).partition(b"\0")[0].decode("utf-8", "replace")


def memory(pid: int, address: int, length: int) -> bytes:
    """At most to the end of the mapped page."""
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        return os.pread(memory, length, address)
    except OSError:
        return os.pread(memory, 4096 - address % 4096, address)
    finally:
        os.close(memory)
