"""The umask that a login starts its shell with: what sshd itself has, and what its PAM stack makes of it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Optional

from agent.formats import pam_umask
from agent.host import Host
from agent.model import Account, ServerConfig
from agent.observe import limits

_FILES = (PurePosixPath("/etc/login.defs"), PurePosixPath("/etc/default/login"))
_USUAL = 0o022


def of_login(host: Host, account: Account, config: ServerConfig, sshd: Optional[int]) -> int:
    """Of a session that the running sshd, a pid, would open; the usual one as far as nothing is to be seen."""
    mask = _USUAL
    try:
        told = pam_umask.of_process(limits.proc(host, sshd, "status"))
        mask = mask if told is None else told
        if config.one("usepam", "no") == "yes":
            service = config.one("pamservicename", "sshd")
            for arguments in limits.calls(host, service, "pam_umask.so"):
                files = [limits.text(host, path) or b"" for path in _FILES]
                own = account.uid != 0 and account.name in account.group_names
                mask = pam_umask.applied(mask, arguments, files, own=own)
    except limits.Unseen:
        return mask
    return mask
