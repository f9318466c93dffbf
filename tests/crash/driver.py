"""Runs functions of the program, each in a process of its own, and stops it at one of the system calls that change something.

Runs beside what it drives (inside a lab host, say), with the modules to load as arguments: they are loaded once, so that
thousands of runs cost little.  seccomp_unotify(2) hands every such call of the run and of all that it starts to us before the
kernel does it, so the N-th of a whole run is the same call in the next run.  Each line of standard input is a request,
`{"function": "agent.cli:main", "arguments": [...], "env": {...}, "at": N, "how": HOW}`, each line of standard output what
happened, all JSON.

HOW: "plain" watches nothing, "count" lets all pass; "all" kills every process of the run at the N-th call, "self" the one that
makes it, "main" the program itself, "torn" all of them when half of the bytes are written; "ENOSPC" (any name of errno) fails
the N-th call, and "ENOSPC+" that one and all later ones that such a disk would fail; "sh:COMMAND" lets somebody else be
faster there.
"""

from __future__ import annotations

import array
import ctypes
import errno
import fcntl
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any, Optional

import calls  # beside this file, wherever that is

_RECV, _SEND = 0xC0502100, 0xC0182101  # ioctl numbers of seccomp_unotify(2)
_CONTINUE = 1
_LIMIT = 60.0  # seconds for one run, its children included

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def _watched(sock: socket.socket) -> None:
    """In the child: from here on it is watched; give the listener away."""
    code = calls.filter_program()
    program = _Program(len(code) // 8, code)
    listener = _libc.syscall(calls.SECCOMP[calls.MACHINE], 1, 8, ctypes.byref(program))
    if listener < 0:
        os.write(2, f"seccomp: {os.strerror(ctypes.get_errno())}\n".encode())
        os._exit(70)
    sock.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])


def _become(request: dict[str, Any], out: int, err: int, sock: Optional[socket.socket]) -> None:
    """In the child: what a program would be that was just started.  Never returns."""
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = [request["function"], *request["arguments"]]
        module, _, name = request["function"].partition(":")
        function = getattr(sys.modules[module], name)
        if sock is not None:
            _watched(sock)
        os.closerange(3, 1024)
        status = function(request["arguments"])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


class Run:
    def __init__(self, at: int, how: str) -> None:
        self.at, self.how = at, how
        self.points: list[str] = []
        self.main = 0
        self.listener = -1
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
        name = next(name for name, each in calls.CALLS[calls.MACHINE].items() if each == number)
        target = calls.target(pid, name, arguments)
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
            hit = here == self.at or (self.how.endswith("+") and calls.would(code, name))
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


def _write_half(pid: int, name: str, arguments: tuple[int, ...]) -> None:
    """As a write(2) that a power cut, or a server of a network file system, cut in two."""
    descriptor, address, length = arguments[:3]
    text = calls.memory(pid, address, length)[: length // 2]
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


def drive(request: dict[str, Any]) -> dict[str, Any]:
    run = Run(request["at"], request["how"])
    ours, theirs = socket.socketpair() if run.how != "plain" else (None, None)
    out, err = (tempfile.mkstemp(prefix="watched.", dir="/run") for _ in range(2))
    run.main = os.fork()
    if run.main == 0:
        _become(request, out[0], err[0], theirs)
    if ours is not None and theirs is not None:
        theirs.close()
        run.listener = _handed_over(ours)
        ours.close()
    status = _followed(run)
    said = []
    for descriptor, name in (out, err):
        os.close(descriptor)
        said.append(_text(name))
        os.unlink(name)
    facts = {"status": status, "stdout": said[0], "stderr": said[1], "points": run.points}
    return {**facts, "struck": run.struck}


def _handed_over(sock: socket.socket) -> int:
    """The listener; -1 where the kernel gave none."""
    _, control, _, _ = sock.recvmsg(1, socket.CMSG_SPACE(4))
    return array.array("i", control[0][2])[0] if control else -1


def _followed(run: Run) -> Optional[int]:
    """Until every process of the run has ended; the status of the program itself."""
    deadline = time.monotonic() + _LIMIT
    status = None
    poller = select.poll()
    ended = os.pidfd_open(run.main)
    for descriptor in filter(lambda each: each >= 0, (ended, run.listener)):
        poller.register(descriptor, select.POLLIN)
    try:
        while time.monotonic() < deadline:
            for descriptor, event in poller.poll(50):
                if descriptor == run.listener and event & select.POLLIN:
                    run.handle()
                elif descriptor == ended:
                    poller.unregister(ended)
            buried = _reap(run.main)
            status = buried if buried is not None else status
            if status is not None and not _descendants():
                return status
    finally:
        for descriptor in filter(lambda each: each >= 0, (ended, run.listener)):
            os.close(descriptor)
    for pid in _descendants():
        _end(pid)
    raise TimeoutError(f"still running after {_LIMIT} s: {run.points[-3:]}")


def main() -> None:
    _libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    for package in sys.argv[1:]:
        loaded = importlib.import_module(package)
        for found in pkgutil.walk_packages(getattr(loaded, "__path__", ()), f"{package}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    for line in sys.stdin:
        print(json.dumps(drive(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
