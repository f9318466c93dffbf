"""The largest file that a login may write here: what sshd itself has, and what its PAM stack makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional, Union

from agent.formats import pam_limits, pam_stack
from agent.formats.pam_limits import Limits
from agent.host import Host
from agent.model import Account, File, ServerConfig, SizeLimit, Unreadable

# pam.conf(5); the second and third are those of a distribution that keeps /etc for its administrator.
_STACKS = tuple(map(PurePosixPath, ("/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d")))
_CONF = PurePosixPath("/etc/security/limits.conf")
_DROP_INS = PurePosixPath("/etc/security/limits.d")


class Unseen(Exception):
    """`args[0]` is why."""


def largest_file(
    host: Host, account: Account, config: ServerConfig, sshd: Optional[int]
) -> Union[SizeLimit, Unreadable]:
    """Of a session that the running sshd, a pid, would open.  One that only starts with a connection has no limit yet."""
    try:
        limits = _of_process(host, sshd, f"the running sshd (prlimit --fsize --pid {sshd})")
        if config.one("usepam", "no") == "yes":
            free = pam_limits.may_raise(proc(host, sshd, "status"))
            for arguments in calls(host, config.one("pamservicename", "sshd"), "pam_limits.so"):
                after = _after(host, limits, arguments, account)
                limits = after if free or not pam_limits.is_above(after, limits) else limits
    except Unseen as why:
        return Unreadable(str(why))
    return limits.soft


def _after(host: Host, limits: Limits, arguments: tuple[str, ...], account: Account) -> Limits:
    if "set_all" in arguments:
        limits = _of_process(host, 1, "the first process, by set_all of pam_limits")
    return pam_limits.applied(limits, _files(host, arguments), account)


def _of_process(host: Host, pid: Optional[int], origin: str) -> Limits:
    nothing = SizeLimit(None, "nothing sets one")
    found = pam_limits.of_process(proc(host, pid, "limits"), origin)
    return found or Limits(nothing, nothing)


def proc(host: Host, pid: Optional[int], name: str) -> bytes:
    """Nothing of a process that has ended.  Raises Unseen."""
    path = PurePosixPath(f"/proc/{pid}/{name}")
    return (text(host.outside, path) or b"") if pid is not None else b""


def calls(
    host: Host, service: str, module: str, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The arguments of each such module that a session of this service meets.  Raises Unseen."""
    for line in pam_stack.session(_stack(host, service, other=not above)):
        if line.include and line.include not in (*above, service):
            yield from calls(host, line.include, module, (*above, service))
        elif line.module == module:
            yield line.arguments


def _stack(host: Host, service: str, *, other: bool) -> bytes:
    for name in (service, "other") if other else (service,):
        for directory in _STACKS:
            stack = text(host, directory / name)
            if stack is not None:
                return stack
    return b""


def _files(host: Host, arguments: tuple[str, ...]) -> Iterator[tuple[PurePosixPath, bytes]]:
    """`conf=` stands for all the files there are otherwise."""
    named = [PurePosixPath(a.partition("=")[2]) for a in arguments if a.startswith("conf=")]
    for path in named[-1:] or [_CONF, *_dropped(host)]:
        content = text(host, path)
        if content is not None:
            yield path, content


def _dropped(host: Host) -> list[PurePosixPath]:
    names = host.names(_DROP_INS)
    if isinstance(names, Unreadable):
        raise Unseen(names.reason)
    found = names if isinstance(names, tuple) else ()
    return [_DROP_INS / n for n in sorted(found) if n.endswith(".conf") and not n.startswith(".")]


def text(host: Host, path: PurePosixPath) -> Optional[bytes]:
    """None where it is not there.  Raises Unseen."""
    seen = host.file(path)
    if isinstance(seen, File):
        if seen.content is None:
            raise Unseen(f"{path} is not a regular file, or too large")
        return seen.content
    if isinstance(seen, Unreadable):
        raise Unseen(seen.reason)
    return None
