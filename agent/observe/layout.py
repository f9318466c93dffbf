"""Where nova-compute and sshd live on this host: what speaks for one layout or another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Optional, Union

from agent import profiles
from agent.formats import ssh_output
from agent.host import Host, processes
from agent.model import Absent, Account, File, Layout, Seat, Unreadable
from agent.observe import accounts, nova, server
from agent.profiles import Dwelling, Evidence
from agent.settings import Settings

KOLLA = (PurePosixPath("/etc/kolla/nova-compute"), PurePosixPath("/etc/kolla/nova-ssh"))
MIGRATION = PurePosixPath("/etc/nova/migration")
# Names that engines give the control groups of their containers (docker, podman, CRI-O, containerd, LXC).
_ENGINES = re.compile(rb"docker|libpod|crio|containerd|kubepods|lxc|machine\.slice")
_USERS_OWN = b"user.slice"
_ASKING = 10.0  # seconds
_CONFIGURED = re.compile(rb"^[ \t]*user[ \t=]+\"?([^\s\"]+)", re.IGNORECASE | re.MULTILINE)


def find(host: Host, want: Settings) -> Union[Layout, Unreadable]:
    return profiles.decide(_evidence(host, want), want)


def _evidence(host: Host, want: Settings) -> Evidence:
    here, computes = _whereabouts(host, nova.PROGRAM) if host.live else (False, ())
    return Evidence(
        compute_here=here,
        computes=computes,
        sshds=tuple(_sshds(host)) if computes else (),
        kolla=next((str(p) for p in KOLLA if isinstance(host.file(p, content=False), File)), ""),
        logs_in_as="" if computes and not here else _logs_in_as(host, want),
    )


def _whereabouts(host: Host, program: str) -> tuple[bool, tuple[Dwelling, ...]]:
    """Whether it runs on the host itself, and one container for each mount namespace in which it does."""
    found: dict[int, Dwelling] = {}
    seen = [(pid, here) for pid, _, here in host.everywhere(program)]
    for each in (_dwelling(host, pid) for pid, here in seen if not here):
        if each is not None:
            found.setdefault(each.seat.namespace or -each.seat.pid, each)
    return any(here for _, here in seen), tuple(found.values())


def _dwelling(host: Host, pid: int) -> Optional[Dwelling]:
    """None where it is somebody's own: any user can make a user namespace, and in it call a process as they like."""
    group = _control_group(host, pid)
    try:
        seat, stranger = host.seat_of(pid), not host.shares(pid, "user")
        apart = not host.shares(pid, "net")
    except OSError as error:
        why = f"the container of process {pid} cannot be looked into: {error.strerror}"
        return None if _USERS_OWN in group else Dwelling(Seat(pid, 0), why)
    if stranger:
        why = f"the container of process {pid} has users of its own (user_namespaces(7))"
        made_by_root = _ENGINES.search(group) and _USERS_OWN not in group
        return Dwelling(seat, why) if made_by_root else None
    if apart:
        why = f"the container of process {pid} has a network of its own"
        return Dwelling(seat, why, apart=True)
    return Dwelling(seat)


def _control_group(host: Host, pid: int) -> bytes:
    """Which of systemd's slices or of an engine's containers it belongs to (cgroups(7))."""
    seen = host.file(PurePosixPath(f"/proc/{pid}/cgroup"))
    return (seen.content or b"") if isinstance(seen, File) else b""


def _sshds(host: Host) -> Iterator[Dwelling]:
    """Those that root runs, in containers that share this host's network."""
    _, found = _whereabouts(host, "sshd")
    for each in found:
        if each.trouble or processes.owner(each.seat.pid) != 0:
            continue
        yield Dwelling(each.seat, "", server.ports(host.at(each.seat)))


def _logs_in_as(host: Host, want: Settings) -> Union[str, Unreadable]:
    """Empty where there is nothing of RDO's separate account, which is worth no question then."""
    if isinstance(host.file(MIGRATION, content=False), Absent):
        return ""
    account = accounts.read(host, want.user, want.shell).account
    if not isinstance(account, Account):
        return ""
    if not host.live:
        return _configured(host, account)
    if not host.can_be(account):
        return Unreadable(f"only root can ask ssh as {account.name}")
    done = host.run(["ssh", "-G", "192.0.2.1"], account=account, timeout=_ASKING)
    if not done.ok:
        return _configured(host, account)  # what is wrong with it is told by a check of its own
    return ssh_output.client_config(done.stdout).one("user")


def _configured(host: Host, account: Account) -> str:
    """What nova's own configuration says first, where ssh cannot say it."""
    path = account.home / ".ssh" / "config"
    seen = host.files_as(account, [path], content=True)[path]
    found = _CONFIGURED.search(seen.content) if isinstance(seen, File) and seen.content else None
    return found[1].decode("utf-8", "replace") if found else ""
