"""What stands in for a login where none is to be had: nova's own login shell, started as sshd starts it for a command."""

from __future__ import annotations

import uuid
from dataclasses import replace

from agent.formats import access
from agent.model import Attempt, ServerConfig, Snapshot
from agent.observe import server, umask
from agent.probe import PREFIX, Dialer, as_qemu
from agent.reasons import Stage

_UNREACHED = tuple(
    s.value for s in (Stage.RESOLVE, Stage.CONNECT, Stage.BANNER, Stage.HOST_KEY, Stage.AUTH)
)
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games"
# bash that takes itself for the child of a shell leaves out what it reads for sshd.
_LINE = 'cd; umask "$1"; unset SHLVL; exec "$2" -c "$3"'


def asked(dialer: Dialer, snapshot: Snapshot, attempt: Attempt) -> Attempt:
    """This host's dial of itself.  Where it was let in to no shell, or to none that peers get, a shell is started without a login."""
    if attempt.stage not in _UNREACHED and attempt.reason != "forced_command":
        return attempt
    config = snapshot.server_for("")
    if snapshot.login is not None or not isinstance(config, ServerConfig):
        return attempt  # peers log in elsewhere, or nobody knows how
    if attempt.port != snapshot.port or dialer.config.transport == "rsync":
        return attempt  # not where peers dial; rsync brings the modes of the source with it
    if {config.one(word, "none") for word in ("forcecommand", "chrootdirectory")} != {"none"}:
        return attempt  # what peers meet is not nova's shell, or not in this tree
    running = server.listener(dialer.host)
    return _made(
        dialer, attempt, umask.of_login(dialer.host, dialer.account, config, running and running[0])
    )


def _made(dialer: Dialer, attempt: Attempt, mask: int) -> Attempt:
    """`attempt` with the mode of a directory that the shell made, as far as it made one; it is gone afterwards."""
    account, config = dialer.account, dialer.config
    where = str(config.instances_path / f"{PREFIX}-{str(uuid.uuid4())[9:]}")
    words = (
        f"HOME={account.home}",
        f"USER={account.name}",
        f"LOGNAME={account.name}",
        f"SHELL={account.shell}",
        f"PATH={_PATH}",
        f"SSH_CLIENT={attempt.address} 0 {attempt.port}",
        f"SSH_CONNECTION={attempt.address} 0 {attempt.address} {attempt.port}",
    )
    line = ("/bin/sh", "-c", _LINE, "sh", f"{mask:03o}", str(account.shell), f"mkdir -p {where}")
    dialer.run(["env", "-i", *words, *line])
    try:
        seen = dialer.run(["stat", "-c", "%a", where])
        modes = access.told_modes(seen.stdout) if seen.ok else []
        if len(modes) != 1:
            return attempt
        enters = as_qemu(dialer, ["test", "-x", where])
        return replace(attempt, directory_mode=modes[0], qemu_enters=enters)
    finally:
        dialer.clean(["rm", "-rf", where])
