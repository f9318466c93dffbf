"""Runs a program and stops it at one of the system calls with which it changes something.

Runs inside a lab host, as a program of its own: seccomp_unotify(2) hands every such call of the program and of all that it
starts to us before the kernel does it, so the N-th of a whole run is the same call in the next run.  Standard input is
`{"argv": [...], "env": {...}, "at": N, "how": HOW}`, standard output what happened, both JSON.

HOW: "count" lets all pass; "all" kills every process of the run at the N-th call, "self" the one that makes it, "main" the
program itself, "torn" all of them when half of the bytes are written; "ENOSPC" (any name of errno) fails the N-th call, and
"ENOSPC+" that one and all later ones that such a disk would fail; "sh:COMMAND" lets somebody else be faster there.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any, Optional

# asm/unistd.h; the calls of each machine that change a file system or become a program.
_CALLS = {
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
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_MACHINE = platform.machine()
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
_RECV, _SEND = 0xC0502100, 0xC0182101  # ioctl numbers of seccomp_unotify(2)
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_CONTINUE = 1
_LIMIT = 60.0  # seconds for one run, its children included

_libc = ctypes.CDLL(None, use_errno=True)


def _filter() -> bytes:
    """BPF: hand over the calls above; of open(2) and openat(2) only what makes or empties a file."""
    code = []

    def op(opcode: int, yes: int, no: int, value: int) -> None:
        code.append(struct.pack("HBBI", opcode, yes, no, value))

    op(0x20, 0, 0, 0)  # A = number of the call
    for name, number in _CALLS[_MACHINE].items():
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


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def _watched(sock: socket.socket, argv: list[str], env: dict[str, str], out: int, err: int) -> None:
    """In the child: give the listener away, become the program."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    code = _filter()
    program = _Program(len(code) // 8, code)
    listener = _libc.syscall(_SECCOMP[_MACHINE], 1, 8, ctypes.byref(program))
    if listener < 0:
        os.write(2, f"seccomp: {os.strerror(ctypes.get_errno())}\n".encode())
        os._exit(70)
    sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
    os.close(listener)
    os.execve(argv[0], argv, env)


class Run:
    def __init__(self, at: int, how: str) -> None:
        self.at, self.how = at, how
        self.points: list[str] = []
        self.main = 0
        self.listener = -1
        self.began = False
        self.struck = False

    def handle(self) -> None:
        buffer = bytearray(80)
        try:
            fcntl.ioctl(self.listener, _RECV, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return  # it was killed while it waited
            raise
        call, pid, _, number = struct.unpack_from("QIIi", buffer)
        arguments = struct.unpack_from("6Q", buffer, 32)
        name = next(name for name, each in _CALLS[_MACHINE].items() if each == number)
        if not self.began:  # our own execve(2)
            self.began = True
            self._answer(call, 0)
            return
        target = _target(pid, name, arguments)
        if target is None:
            self._answer(call, 0)
            return
        self.points.append(f"{self._who(pid)}: {name} {target}")
        self._strike(call, pid, name, arguments)

    def _strike(self, call: int, pid: int, name: str, arguments: tuple[int, ...]) -> None:
        here = len(self.points) - 1
        if self.how == "count" or here < self.at:
            self._answer(call, 0)
        elif self.how.startswith("E"):
            code = getattr(errno, self.how.rstrip("+"))
            hit = here == self.at or (self.how.endswith("+") and _would(code, name))
            self._answer(call, code if hit and name != "execve" else 0)
        elif here > self.at:
            self._answer(call, 0)
        elif self.how.startswith("sh:"):
            subprocess.run(["/bin/sh", "-euc", self.how[3:]], check=True)
            self._answer(call, 0)
        else:
            self.struck = True
            self._kill(call, pid, name, arguments)

    def _kill(self, call: int, pid: int, name: str, arguments: tuple[int, ...]) -> None:
        if self.how == "torn":
            _write_half(pid, name, arguments)
        if self.how in ("all", "torn"):
            for each in _descendants():
                _end(each)
        elif self.how == "self":
            _end(pid)
        elif self.how == "main":
            _end(self.main)
            self._answer(call, 0)
        else:
            raise ValueError(self.how)

    def _who(self, pid: int) -> str:
        name = _text(f"/proc/{pid}/comm").strip()
        if pid == self.main:
            return "agent"
        return "agent as nova" if name.startswith("python") else name

    def _answer(self, call: int, error: int) -> None:
        flags = 0 if error else _CONTINUE
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("QqiI", call, 0, -error, flags))
        except OSError as problem:
            if problem.errno != errno.ENOENT:  # it was killed meanwhile
                raise


def _would(code: int, name: str) -> bool:
    """Whether a disk that says so once says it to this call too."""
    return code not in (errno.ENOSPC, errno.EDQUOT) or name not in _FREE_OF_ROOM


def _target(pid: int, name: str, arguments: tuple[int, ...]) -> Optional[str]:
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
    if not path.startswith("/") or path.startswith(("/dev/", "/proc/", "/memfd:")):
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
    return _memory(pid, address, 4096).partition(b"\0")[0].decode("utf-8", "replace")


def _memory(pid: int, address: int, length: int) -> bytes:
    """At most to the end of the mapped page."""
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        return os.pread(memory, length, address)
    except OSError:
        return os.pread(memory, 4096 - address % 4096, address)
    finally:
        os.close(memory)


def _write_half(pid: int, name: str, arguments: tuple[int, ...]) -> None:
    """As a write(2) that a power cut, or a server of a network file system, cut in two."""
    descriptor, address, length = arguments[:3]
    text = _memory(pid, address, length)[: length // 2]
    flags = os.O_WRONLY
    for line in _text(f"/proc/{pid}/fdinfo/{descriptor}").splitlines():
        key, _, value = line.partition(":")
        if key == "flags":
            flags |= int(value, 8) & os.O_APPEND
        elif key == "pos":
            position = int(value)
    opened = os.open(f"/proc/{pid}/fd/{descriptor}", flags)
    os.lseek(opened, arguments[3] if name == "pwrite64" else position, os.SEEK_SET)
    os.write(opened, text)
    os.close(opened)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _descendants() -> list[int]:
    """Of this process, which is the subreaper of all that it started: parents first."""
    children: dict[int, list[int]] = {}
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        fields = _text(f"/proc/{pid}/stat").rpartition(") ")[2].split()
        if fields and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(pid))
    found, todo = [], [os.getpid()]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return found


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _reap(main: int) -> Optional[int]:
    """The status of `main` where it ended just now; buries all others that did."""
    status = None
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == main:
            status = os.waitstatus_to_exitcode(code)


def drive(argv: list[str], env: dict[str, str], at: int, how: str) -> dict[str, Any]:
    _libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    run = Run(at, how)
    ours, theirs = socket.socketpair()
    out, err = (tempfile.mkstemp(prefix="watched.", dir="/run") for _ in range(2))
    run.main = os.fork()
    if run.main == 0:
        ours.close()
        _watched(theirs, argv, env, out[0], err[0])
    theirs.close()
    _, control, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    if not control:
        sys.exit(_text(err[1]))
    run.listener = array.array("i", control[0][2])[0]
    status = _followed(run)
    said = []
    for descriptor, name in (out, err):
        os.close(descriptor)
        said.append(_text(name))
        os.unlink(name)
    facts = {"status": status, "stdout": said[0], "stderr": said[1], "points": run.points}
    return {**facts, "struck": run.struck}


def _followed(run: Run) -> Optional[int]:
    """Until every process of the run has ended; the status of the program itself."""
    deadline = time.monotonic() + _LIMIT
    status = None
    poller = select.poll()
    poller.register(run.listener, select.POLLIN)
    while time.monotonic() < deadline:
        for _, event in poller.poll(50):
            if event & select.POLLIN:
                run.handle()
        ended = _reap(run.main)
        status = ended if ended is not None else status
        if status is not None and not _descendants():
            return status
    for pid in _descendants():
        _end(pid)
    raise TimeoutError(f"still running after {_LIMIT} s: {run.points[-3:]}")


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(drive(asked["argv"], asked["env"], asked["at"], asked["how"]), sys.stdout)
