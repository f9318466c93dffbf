"""PID 1 of a lab host: reaps orphans, writes /dev/log to a file, ends when its standard input does.

Standard input is a pipe from the test run. However that run ends, the pipe closes, this process
ends, and with it the kernel ends every process and drops every mount of the host.
"""

from __future__ import annotations

import os
import select
import signal
import socket

LOG = "/var/log/syslog"


def main() -> None:
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox = messages.fileno()
    messages.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    # 0640 root:adm, as rsyslog makes it on Debian.
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    os.fchown(log, 0, 4)
    os.write(1, b"ready\n")
    while True:
        ready, _, _ = select.select([0, wake, inbox], [], [])
        if 0 in ready and not os.read(0, 4096):
            return
        if wake in ready:
            os.read(wake, 4096)
            reap()
        if inbox in ready:
            os.write(log, messages.recv(65536).rstrip(b"\0\n") + b"\n")


def reap() -> None:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


main()
