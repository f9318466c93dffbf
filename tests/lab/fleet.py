"""Several compute hosts on one machine: own namespaces each, joined by a bridge, gone afterwards."""

from __future__ import annotations

import compileall
import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.host import Host, LabError
from tests.lab.oracle_session import Session
from tests.lab.tree import SUITE, Progress, base_tree, cache, hold

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
UNSHARE = ("unshare", "--fork", "--kill-child", "--pid", "--net", "--mount")
HOSTS_HEAD = """127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters

"""


class Fleet:
    """`with Fleet(["compute1", "compute2"]) as fleet: fleet["compute1"].run(["id"])`.

    `configured`: each host has its own `host` and `my_ip` in nova.conf; otherwise nova.conf is as
    the package made it, with one and the same my_ip on every host. `suite`: the release of Debian
    that all of them run. sshd is not started.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        ipv6: bool = False,
        configured: bool = True,
        suite: str = SUITE,
        progress: Progress = print,
    ) -> None:
        pattern = "fd00:10:100::{}" if ipv6 else "10.100.0.{}"
        self._addresses = {name: pattern.format(31 + n) for n, name in enumerate(names)}
        self._configured = configured
        self._suite = suite
        self._progress = progress
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._tree_lock = -1
        self._lasting = contextlib.ExitStack()
        self._novas: dict[str, Session] = {}
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        tree = base_tree(self._suite, self._progress)
        self._tree_lock = hold(tree)
        try:
            self._start(tree)
        except BaseException:  # nothing may be left behind, whatever stopped us
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    @property
    def switch(self) -> int:
        """A process in the network that joins the hosts, for what stands outside them: a control node."""
        return self._processes["switch"].pid

    def start_sshd(self) -> None:
        for host in self:
            host.start_sshd()

    def nova(self, name: str) -> Session:
        """The host's own Nova, loaded at first use (seconds) and kept until the fleet goes."""
        if name not in self._novas or not self._novas[name].alive():
            self._novas[name] = self._lasting.enter_context(Session(self[name]))
        return self._novas[name]

    def diagnose(self) -> str:
        """State of every host as text, for the report of a failed test."""
        look = "ip -br address; ps -eo pid,ppid,user,stat,args; tail -n 25 /var/log/syslog"
        parts: list[str] = []
        for host in self:
            ran = list(host.history)
            state = host.sh(look, check=False)
            parts += [f"== {host.name} {host.address}", *ran, "--", state.stdout, state.stderr]
        return "\n".join(parts)

    def _start(self, tree: Path) -> None:
        scratch = cache() / "mnt"
        scratch.mkdir(exist_ok=True)
        agent = SOURCE / "agent"
        # The hosts see it read-only: without this, each run there would compile a hundred modules.
        compileall.compile_dir(agent, quiet=2)
        shared = [os.fspath(agent) if agent.is_dir() else "", os.fspath(HERE / "init.py")]
        begin = ["sh", os.fspath(HERE / "start.sh"), os.fspath(scratch), os.fspath(tree)]
        # The switch has no disk of its own, only the bridge's network; `cat` lives as long as we do.
        switch = [
            "sh",
            "-c",
            'read -r pid _ </proc/self/stat; echo "pid $pid"; echo ready; exec cat',
        ]
        self._processes["switch"] = _spawn([*UNSHARE, *switch])
        for name in self._addresses:
            keys = os.fspath(cache() / "host-keys" / self._suite / name)
            own = ["--uts", "--ipc", *begin, name, keys, *shared]
            self._processes[name] = _spawn([*UNSHARE, *own])
        pids = {name: self._await(name, "pid ") for name in self._processes}
        self._connect({name: int(pid) for name, pid in pids.items()})
        for name, address in self._addresses.items():
            self._await(name, "ready")
            self.hosts[name] = Host(name, address, int(pids[name]))
            self._furnish(self.hosts[name])

    def _await(self, name: str, prefix: str) -> str:
        process = self._processes[name]
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith(prefix):
            process.kill()
            raise LabError(f"{name} did not start:\n{line}{process.stdout.read()}")
        return line.removeprefix(prefix).strip()

    def _connect(self, pids: dict[str, int]) -> None:
        lines = ["link set lo up", "link add br0 type bridge", "link set br0 up"]
        for port, name in enumerate(self._addresses):
            lines += [
                f"link add p{port} type veth peer name eth0 netns {pids[name]}",
                f"link set p{port} master br0 up",
            ]
        _ip(pids["switch"], lines)
        for name, address in self._addresses.items():
            # Without nodad a fresh IPv6 address cannot be used for the first second or two.
            net = f"{address}/64 dev eth0 nodad" if ":" in address else f"{address}/24 dev eth0"
            _ip(pids[name], ["link set lo up", "link set eth0 up", f"address add {net}"])

    def _furnish(self, host: Host) -> None:
        names = "".join(f"{address}\t{name}\n" for name, address in self._addresses.items())
        host.write("/etc/hosts", HOSTS_HEAD + names)
        if self._configured:
            text = host.read("/etc/nova/nova.conf").decode()
            mine = f"host = {host.name}\nmy_ip = {host.address}"
            host.write("/etc/nova/nova.conf", re.sub(r"(?m)^my_ip *=.*$", mine, text, count=1))

    def _stop(self) -> None:
        self._novas.clear()
        self._lasting.close()
        for process in self._processes.values():
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in self._processes.values():
            _finish(process)
        self._processes.clear()
        self.hosts.clear()
        if self._tree_lock >= 0:
            os.close(self._tree_lock)
            self._tree_lock = -1


def _spawn(argv: list[str]) -> subprocess.Popen[str]:
    # Own session: a Ctrl-C in the terminal is for the test run, which then ends the hosts.
    return subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _finish(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _ip(pid: int, lines: list[str]) -> None:
    """Run `ip` commands in another network namespace, the machine's own file system and all."""
    argv = ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"ip: {done.stderr.strip()}")
