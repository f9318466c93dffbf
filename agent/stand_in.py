"""What stands in for a login where none is to be had: nova's own login shell, started as sshd starts it for a command."""

from __future__ import annotations

import uuid
from dataclasses import replace

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
    """A dial of this host to itself; where that came to no shell, or to one that peers do not get, with what the shell makes."""
    if attempt.stage not in _UNREACHED and attempt.reason != "forced_command":
        return attempt
    config = snapshot.server_for("")
    if snapshot.login is not None or not isinstance(config, ServerConfig):
        return attempt  # peers log in elsewhere, or nobody knows how
    running = server.listener(dialer.host)
    return _made(dialer, attempt, umask.of_login(dialer.host, config, running and running[0]))


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
        if not seen.ok:
            return attempt
        enters = as_qemu(dialer, ["test", "-x", where])
        return replace(attempt, directory_mode=int(seen.stdout, 8), qemu_enters=enters)
    finally:
        dialer.clean(["rm", "-rf", where])
