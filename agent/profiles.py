"""Layouts that deployers give a compute host, and which of them this host has.  Pure.

Values: kolla-ansible roles/nova-cell (ssh_config.j2, nova-ssh.json.j2), kolla docker/nova/nova-ssh, RDO's nova-distgit
(openstack-nova.spec, nova-ssh-config, nova-migration-wrapper).  uid and home are those of the account where it lives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NamedTuple, Union

from agent.model import Action, Finding, Layout, Seat, SetShell, Snapshot, Unreadable
from agent.settings import Settings

HOST, CONTAINER = "host", "container"
_EVERYTHING = (PurePosixPath("/"),)
_IMAGE = (PurePosixPath("/etc"),)  # of a container; what lasts lies in its volumes
_PASSWD = PurePosixPath("/etc/passwd")


class Profile(NamedTuple):
    """`client` is where nova-compute runs ssh, `server` where the sshd is that peers reach; "" as login is nova-compute's own
    account.  `qemu` is the account that reads disks, "" for the distribution's.
    """

    client: str = HOST
    server: str = HOST
    login: str = ""
    port: int = 22
    qemu: str = ""
    owner: str = ""
    owned: tuple[PurePosixPath, ...] = ()


PROFILES = {
    "package": Profile(),
    "kolla": Profile(
        client=CONTAINER,
        server=CONTAINER,
        port=8022,
        qemu="nova",
        owner="Kolla",
        owned=_EVERYTHING,
    ),
    "rdo": Profile(
        login="nova_migration",
        owner="the RDO packages",
        owned=(PurePosixPath("/etc/nova/migration"), PurePosixPath("/var/lib/nova/.ssh")),
    ),
    "custom": Profile(),
}


class Dwelling(NamedTuple):
    """A container with a process that matters.  `trouble` is why nobody looks into it; `ports` of an sshd.

    `apart`: it has a network of its own, so it may well be another compute host (LXC, a test cloud) that happens to live here.
    """

    seat: Seat
    trouble: str = ""
    ports: tuple[int, ...] = ()
    apart: bool = False


@dataclass(frozen=True)
class Evidence:
    """`kolla` is the path that speaks for Kolla; `logs_in_as` whom ssh, run as nova, logs in to peers as ("" was not asked)."""

    compute_here: bool
    computes: tuple[Dwelling, ...] = ()
    sshds: tuple[Dwelling, ...] = ()
    kolla: str = ""
    logs_in_as: Union[str, Unreadable] = ""


def decide(seen: Evidence, want: Settings) -> Union[Layout, Unreadable]:
    """The layout, or why it cannot be told."""
    name, why = _named(seen, want)
    if not name:
        return Unreadable(why)
    if want.client_run == "exec" and not want.client_container:
        return Unreadable("client.run is exec, and client.container does not say in which one")
    profile = PROFILES[name]
    run = want.client_run or ("nsenter" if profile.client == CONTAINER else HOST)
    layout = Layout(
        profile=name,
        why=why,
        login=want.server_user or profile.login or want.user,
        port=want.server_port or profile.port,
        container=(want.client_container or "") if run == "exec" else "",
        owner="" if want.deployer_files == "repair" else profile.owner,
        owned=profile.owned,
        qemu=profile.qemu,
    )
    client = _client(seen, run)
    if isinstance(client, Unreadable):
        return client
    layout = replace(layout, client=client)
    if (want.server_run or profile.server) == HOST:
        return layout
    return _with_server(layout, seen)


def _named(seen: Evidence, want: Settings) -> tuple[str, str]:
    """(profile, what speaks for it), or ("", why it cannot be told)."""
    if want.profile != "auto":
        return want.profile, f"{want.origin.get('profile', 'the configuration')} says so"
    if seen.compute_here and any(not each.apart for each in seen.computes):
        return "", "nova-compute runs on this host and in a container as well: set profile"
    if seen.compute_here:
        return _on_the_host(seen, want)
    if seen.computes and seen.kolla:
        return "kolla", f"nova-compute lives in a container and there is {seen.kolla}"
    if seen.computes and want.client_run in ("nsenter", "exec"):
        return "custom", "nova-compute lives in a container, and client.run says how to get there"
    if seen.computes:
        return "", (
            "nova-compute lives in a container of a layout that is not known: "
            "set profile to custom, with client.run, server.run, server.user and server.port"
        )
    if seen.kolla:
        return "", f"{seen.kolla} speaks of Kolla, and nova-compute runs nowhere: start it"
    return _on_the_host(seen, want)


def _on_the_host(seen: Evidence, want: Settings) -> tuple[str, str]:
    if isinstance(seen.logs_in_as, Unreadable):
        return "", f"whom ssh logs in to peers as is not known: {seen.logs_in_as.reason}"
    if seen.logs_in_as == PROFILES["rdo"].login:
        return "rdo", f"ssh, run as {want.user}, logs in to peers as {seen.logs_in_as}"
    return "package", "nova-compute runs on the host" if seen.compute_here else _NOTHING


_NOTHING = "nothing on this host speaks of another"


def _client(seen: Evidence, run: str) -> Union[Seat, Unreadable, None]:
    if run == HOST:
        if not seen.compute_here and any(not each.apart for each in seen.computes):
            return Unreadable("nova-compute lives in a container, and the profile says on the host")
        return None
    if not seen.computes:
        return Unreadable("the profile says in a container, and nova-compute runs in none")
    found = [each for each in seen.computes if not each.apart] or list(seen.computes)
    if len(found) > 1:
        return Unreadable(f"nova-compute runs in {len(found)} containers")
    return Unreadable(found[0].trouble) if found[0].trouble else found[0].seat


def _with_server(layout: Layout, seen: Evidence) -> Union[Layout, Unreadable]:
    """With the one container whose sshd listens on the layout's port."""
    found = [each for each in seen.sshds if layout.port in each.ports or each.trouble]
    if not found:
        text = f"no container has an sshd for port {layout.port}, expected one"
        return replace(layout, server_missing=text)
    if len(found) > 1:
        return Unreadable(f"{len(found)} containers have an sshd for port {layout.port}")
    if found[0].trouble:
        return Unreadable(found[0].trouble)
    return replace(layout, server=found[0].seat)


def withheld(found: Iterable[Finding], layout: Union[Layout, Unreadable]) -> tuple[Finding, ...]:
    """The same findings; what a deployer owns is told and no longer planned."""
    if isinstance(layout, Unreadable):
        return tuple(found)
    return tuple(_withheld(finding, layout) for finding in found)


def _withheld(finding: Finding, layout: Layout) -> Finding:
    if not finding.fix:
        return finding
    if layout.owner and any(_lies_in(action, layout.owned) for action in finding.fix):
        told = f"{layout.owner} owns this: correct it there, or set deployer_files: repair in agent.yaml and run: agent --fix"
        return replace(finding, fix=(), remedy=told)
    contained = layout.client is not None or layout.server is not None
    if contained and any(_lies_in(action, _IMAGE) for action in finding.fix):
        told = "this is part of the container's image, and a new container would be without it: correct it there"
        return replace(finding, fix=(), remedy=told)
    return finding


def _lies_in(action: Action, places: tuple[PurePosixPath, ...]) -> bool:
    """A login shell stands in /etc/passwd."""
    path = _PASSWD if isinstance(action, SetShell) else action.path
    return any(top == path or top in path.parents for top in places)


def at_login(snapshot: Snapshot, want: Settings) -> tuple[Snapshot, Settings]:
    """What a check of the login looks at: the account that peers log in as, where it lives."""
    if snapshot.login is None or isinstance(snapshot.layout, Unreadable):
        return snapshot, want
    return snapshot.at_login(), replace(want, user=snapshot.layout.login)
