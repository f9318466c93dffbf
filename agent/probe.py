"""The dial: exactly Nova's lines, as nova, in nova-compute's environment, against a directory of our own.

The verdict is that of the real ssh, scp and rsync.  Added are only `-v` and `-o UpdateHostKeys=no`, which change none
(a check must not make ssh rewrite nova's files).  nova/virt/libvirt/volume/remotefs.py, SshDriver and RsyncDriver.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Optional

from agent.formats import access, engine, ssh_trace
from agent.formats.escape import visible
from agent.formats.ssh_failure import Failure, classify
from agent.host import Completed, Host
from agent.model import Account, Attempt, NovaConfig
from agent.reasons import Stage

PREFIX = "7e512ea9"  # first group of every probe directory's name
LEFT = re.compile(PREFIX + r"-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SIZE = 512 << 10  # bytes copied; a smaller file hides MTU trouble
_CLEANING = 10.0  # seconds
_QUIET = ("-v", "-o", "UpdateHostKeys=no")
_STAGES = tuple(stage.value for stage in Stage)


@dataclass(frozen=True)
class Dialer:
    """What every dial of one run shares.  `payload` is a file nova can read; `left` the seconds the run still has.

    `engine` is the program and the container's name where the engine itself is to start Nova's lines.  `qemu` is who has to
    get at what arrives.
    """

    host: Host
    account: Account
    config: NovaConfig
    payload: str
    environment: dict[str, str]
    limit: float
    left: Callable[[], float]
    engine: tuple[str, str] = ("", "")
    qemu: Optional[Account] = None

    def run(self, argv: Sequence[str], **extra: str) -> Completed:
        limit = max(0.1, min(self.limit, self.left()))
        return self._start(argv, {**self.environment, **extra}, limit, to_its_end=False)

    def clean(self, argv: Sequence[str]) -> Completed:
        """What must happen also when the time is up or the run is stopped."""
        return self._start(argv, self.environment, min(self.limit, _CLEANING), to_its_end=True)

    def _start(
        self, argv: Sequence[str], words: dict[str, str], limit: float, *, to_its_end: bool
    ) -> Completed:
        if not self.engine[0]:
            return self.host.run(
                argv, timeout=limit, account=self.account, environment=words, to_its_end=to_its_end
            )
        line = engine.execute(*self.engine, self.account.name, words, argv, limit)
        done = self.host.outside.run(line, timeout=limit, to_its_end=to_its_end)
        if not done.ok and engine.says_nothing(done.stderr):
            return done._replace(returncode=None)
        return done._replace(missing=not done.ok and engine.says_missing(done.stderr))


@dataclass(frozen=True)
class Target:
    """Where to and with which extra client options (none for a peer: Nova adds none).

    `sharing` says that the configuration lets connections share one (ControlMaster).
    """

    name: str
    address: str
    port: int = 22
    options: tuple[str, ...] = ()
    sharing: bool = False


def dial(dialer: Dialer, target: Target, *, itself: bool = False) -> Attempt:
    """One attempt at one peer: make the directory, copy, remove.  Nothing is tried twice.

    A connection that somebody else had open already proves nothing; one that this dial opened itself is closed again.
    """
    if not target.sharing:
        return _dial(dialer, target, itself=itself)
    if dialer.run(["ssh", "-O", "check", target.address]).ok:
        at, nothing = dialer.host.now(), (target.name, target.address, target.port, ())
        detail = "a connection was open already (ControlMaster), so a dial would prove nothing"
        return Attempt(*nothing, "connect", "control_master", detail, 0.0, at, unknown=True)
    try:
        return _dial(dialer, target, itself=itself)
    finally:
        dialer.clean(["ssh", "-O", "exit", target.address])


def _dial(dialer: Dialer, target: Target, *, itself: bool) -> Attempt:
    started, at = time.monotonic(), dialer.host.now()
    directory = dialer.config.instances_path / f"{PREFIX}-{str(uuid.uuid4())[9:]}"
    attempt = Attempt(target.name, target.address, target.port, (), None, None, "", 0.0, at)
    made = _make_directory(dialer, target, directory)
    attempt = _after(attempt, made, "directory")
    if itself and attempt.reason is None and not _visible(dialer, directory):
        attempt = _made_nothing(dialer, attempt)
        if attempt.stage == "shell":
            return attempt
    if attempt.reason is None:
        attempt = replace(attempt, shared=not itself and _visible(dialer, directory))
        if attempt.shared:
            attempt = _after(attempt, _touch(dialer, target, directory), "directory", shared=True)
    # On shared storage Nova copies nothing by ssh.
    if attempt.reason is None and not attempt.shared:
        copied = _copy(dialer, target, directory)
        attempt = _with_noise(_after(attempt, copied, "copy"), *made)
        if itself and attempt.reason is None:
            attempt = _with_modes(dialer, attempt, directory)
    if _may_exist(attempt):
        # Our own line, none of Nova's: no terminal, whatever RequestTTY says and the peer refuses.
        argv = ["ssh", "-T", *_ssh_argv(target, "rm", "-rf", str(directory))[1:]]
        attempt = _cleaned(attempt, ("ssh", dialer.clean(argv)), directory)
    return replace(attempt, seconds=round(time.monotonic() - started, 3))


def _made_nothing(dialer: Dialer, attempt: Attempt) -> Attempt:
    """Where nova-compute has a container of its own, sshd's may have another volume: what was made there must go again."""
    if dialer.host.seat is not None:
        detail = "mkdir said it succeeded, and there is no such directory where nova-compute lives"
        stages = attempt.passed[: _STAGES.index("directory")]
        where = ("directory", "instances_elsewhere")
    else:
        detail = "mkdir said it succeeded and made nothing"
        stages = attempt.passed[: _STAGES.index("shell")]
        where = ("shell", "shell_refuses_commands")
    return replace(attempt, passed=stages, stage=where[0], reason=where[1], detail=detail)


def _make_directory(
    dialer: Dialer, target: Target, directory: PurePosixPath
) -> tuple[str, Completed]:
    if dialer.config.transport != "rsync":
        return _ssh(dialer, target, "mkdir", "-p", str(directory))
    made = _temporary_directory(dialer)
    tree = made.stdout.strip()
    if not made.ok or not tree:
        return "rsync", made
    try:
        dialer.run(["mkdir", "-p", f"{tree}{directory}"])
        source, where = f"{tree}/.{directory}", f"{_bracketed(target.address)}:/"
        argv = ["rsync", "--archive", "--relative", "--no-implied-dirs", source, where]
        return _rsync(dialer, target, argv)
    finally:
        dialer.clean(["rm", "-rf", tree])


def _temporary_directory(dialer: Dialer) -> Completed:
    """Where Python's tempfile, and so Nova's RsyncDriver, would make one."""
    wanted = (dialer.config.tempdir, dialer.environment.get("TMPDIR"))
    for parent in (*(each for each in wanted if each), "/tmp", "/var/tmp", "/usr/tmp"):
        made = dialer.run(["mktemp", "-d", "-p", parent])
        if made.ok:
            break
    return made


def _touch(dialer: Dialer, target: Target, directory: PurePosixPath) -> tuple[str, Completed]:
    return _ssh(dialer, target, "touch", str(directory / f"{uuid.uuid4().hex}.tmp"))


def _copy(dialer: Dialer, target: Target, directory: PurePosixPath) -> tuple[str, Completed]:
    where = f"{_bracketed(target.address)}:{directory}/disk"
    if dialer.config.transport == "rsync":
        return _rsync(dialer, target, ["rsync", "-r", "--sparse", dialer.payload, where])
    return "scp", dialer.run(["scp", *_QUIET, *target.options, "-r", dialer.payload, where])


def _ssh(dialer: Dialer, target: Target, *command: str) -> tuple[str, Completed]:
    return "ssh", dialer.run(_ssh_argv(target, *command))


def _ssh_argv(target: Target, *command: str) -> list[str]:
    return ["ssh", *_QUIET, *target.options, "-o", "BatchMode=yes", target.address, *command]


def _rsync(dialer: Dialer, target: Target, argv: Sequence[str]) -> tuple[str, Completed]:
    shell = dialer.environment.get("RSYNC_RSH", "ssh")
    return "rsync", dialer.run(argv, RSYNC_RSH=" ".join((shell, *_QUIET, *target.options)))


def _bracketed(address: str) -> str:
    """As nova.utils.safe_ip_format: scp and rsync take an IPv6 literal in brackets."""
    return f"[{address}]" if ":" in address else address


def _after(
    attempt: Attempt, call: tuple[str, Completed], stage: str, shared: bool = False
) -> Attempt:
    """What one command adds: the stages its -v text proves, and its failure."""
    tool, done = call
    proved = set(attempt.passed) | set(ssh_trace.reached(done.stderr))
    key = ssh_trace.server_host_key(done.stderr) or attempt.server_key
    failure = _failure(tool, done)
    if failure is not None and stage == "directory" and failure.stage == "copy":
        # rsync makes the directory with a copy of its own.
        failure = replace(failure, stage="directory")
    elif failure is not None and stage == "copy":
        # Whatever it stumbles over now, it had the directory made: the guest is off already.
        failure = replace(failure, stage="copy")
    if failure is None:
        proved |= set(_STAGES[: _STAGES.index(stage) + 1])
    elif shared:
        failure = Failure("directory", "shared_touch_fails", failure.detail)
    passed = tuple(s for s in _STAGES if s in proved)
    if failure is None:
        return replace(attempt, passed=passed, server_key=key)
    unknown = failure.reason in ("peer_busy", "too_slow", "client_hangs", "not_observed")
    return replace(
        attempt,
        passed=tuple(s for s in passed if _STAGES.index(s) < _STAGES.index(failure.stage)),
        stage=failure.stage,
        reason=failure.reason,
        detail=failure.detail,
        unknown=unknown,
        server_key=key,
    )


def _failure(tool: str, done: Completed) -> Optional[Failure]:
    if done.missing and tool == "scp":
        return Failure("copy", "scp_missing", done.stderr)
    if done.missing:
        return Failure("connect", "tool_missing", done.stderr)
    if done.returncode is None and engine.says_nothing(done.stderr):
        return Failure("connect", "not_observed", visible(done.stderr))
    return classify(done.returncode, done.stdout, done.stderr, tool)


def _with_noise(attempt: Attempt, tool: str, made: Completed) -> Attempt:
    """Before OpenSSH 8.7 scp tells what the shell printed as if the scp of the far side had complained."""
    printed = visible(made.stdout.strip().partition("\n")[0]) if tool == "ssh" else ""
    if attempt.reason == "copy_failed" and printed and attempt.detail.startswith(printed):
        return replace(attempt, reason="shell_noise", detail=f"the shell prints: {attempt.detail}")
    return attempt


def _visible(dialer: Dialer, directory: PurePosixPath) -> bool:
    """Whether what was made there is here too: a shared instances directory."""
    return dialer.run(["test", "-d", str(directory)]).ok


def _with_modes(dialer: Dialer, attempt: Attempt, directory: PurePosixPath) -> Attempt:
    """The modes nova's umask gave to what arrived; the file must be the whole payload."""
    seen = dialer.run(["stat", "-c", "%a %s", str(directory), str(directory / "disk")])
    modes = access.told_modes(seen.stdout) if seen.ok else []
    if len(modes) != 2 or seen.stdout.split()[3] != str(SIZE):
        detail = "the copy said it succeeded and the file is not there, or not whole"
        return replace(attempt, stage="copy", reason="copy_failed", detail=detail)
    enters, reads = _open_to_qemu(dialer, directory)
    return replace(
        attempt,
        directory_mode=modes[0],
        file_mode=modes[1],
        qemu_enters=enters,
        qemu_reads=reads,
    )


def _open_to_qemu(
    dialer: Dialer, directory: PurePosixPath
) -> tuple[Optional[bool], Optional[bool]]:
    """Modes are not all that the kernel heeds: access lists that are inherited, groups of a setgid directory."""
    enters = as_qemu(dialer, ["test", "-x", str(directory)])
    return enters, as_qemu(dialer, ["test", "-r", str(directory / "disk")])


def as_qemu(dialer: Dialer, argv: Sequence[str]) -> Optional[bool]:
    if dialer.qemu is None or not dialer.host.can_be(dialer.qemu):
        return None
    limit = max(0.1, min(dialer.limit, dialer.left()))
    done = dialer.host.run(argv, timeout=limit, account=dialer.qemu)
    return {0: True, 1: False}.get(-1 if done.returncode is None else done.returncode)


def _may_exist(attempt: Attempt) -> bool:
    # Without a word of the shell's own, it may have run: ended by us, or by a client that was refused its terminal.
    in_the_dark = attempt.stage == "shell" and attempt.reason in ("too_slow", "unclassified")
    return attempt.reason is None or attempt.stage in ("directory", "copy") or in_the_dark


def _cleaned(attempt: Attempt, call: tuple[str, Completed], directory: PurePosixPath) -> Attempt:
    failure = _failure(*call)
    if failure is None or attempt.reason is not None:
        return attempt
    detail = f"{directory} could not be removed: {failure.detail}"
    return replace(attempt, stage="cleanup", reason="leftover_probe", detail=detail)
