"""Where ssh and sshd look for nova's files, from their own effective configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from agent.model import Account, ClientConfig, ServerConfig

SSH_DIRECTORY = ".ssh"
GLOBAL_KNOWN_HOSTS = PurePosixPath("/etc/ssh/ssh_known_hosts.nova")
DROP_IN = PurePosixPath("/etc/ssh/ssh_config.d/50-resize-agent.conf")
NOLOGIN = (PurePosixPath("/etc/nologin"), PurePosixPath("/run/nologin"))
RUN_ENDED = "the run ended before there was an answer"  # by its own limit or by a signal
NO_KEYGEN = "ssh-keygen is not installed"  # so nobody could look into a private key
LONGEST = 4096
"""PATH_MAX of Linux: the kernel opens no longer path, and the directories above one of megabytes fill all memory."""
_PLAIN = re.compile(r"/[\w./@%+=:,-]*")  # letters of any language: a shell splits at none of them


def is_possible(path: str) -> bool:
    """Whether the kernel could find something there."""
    return (
        path.startswith("/") and "\0" not in path and len(path.encode("utf-8", "replace")) < LONGEST
    )


def is_one_word(path: PurePosixPath) -> bool:
    """Whether a remote shell takes the path for one word: Nova sends it unquoted, `rm -rf` included."""
    return _PLAIN.fullmatch(str(path)) is not None


def authorized_keys(server: ServerConfig, account: Account) -> tuple[PurePosixPath, ...]:
    """The files sshd reads for this account, in order (sshd_config(5), AuthorizedKeysFile)."""
    words = server.words("authorizedkeysfile")
    if words == ("none",):
        return ()
    return tuple(
        account.home
        / _percent(word, {"h": str(account.home), "u": account.name, "U": str(account.uid)})
        for word in words
    )


_KNOWN_HOSTS = ("userknownhostsfile", "globalknownhostsfile")


def known_hosts(
    client: ClientConfig, account: Account, *keywords: str
) -> tuple[PurePosixPath, ...]:
    """The files ssh looks for host keys in, the user's first (ssh_config(5), UserKnownHostsFile)."""
    words = tuple(word for each in keywords or _KNOWN_HOSTS for word in client.words(each))
    return _client_paths(words, account)


def identities(client: ClientConfig, account: Account) -> tuple[PurePosixPath, ...]:
    """The private keys ssh would offer, in order (ssh_config(5), IdentityFile)."""
    return _client_paths(client.words("identityfile"), account)


def new_identity(account: Account) -> PurePosixPath:
    return account.home / SSH_DIRECTORY / "id_ed25519"


def drop_in(user: str) -> bytes:
    """The client configuration that shows our host keys to nova and to nobody else."""
    return (
        f"# Written by resize-agent: host keys of the compute hosts, for the user {user} only.\n"
        f"Match localuser {user}\n"
        "    GlobalKnownHostsFile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
        f" {GLOBAL_KNOWN_HOSTS}\n"
    ).encode()


def _client_paths(words: Iterable[str], account: Account) -> tuple[PurePosixPath, ...]:
    """Without those that nobody can open: nova can write a path of any length."""
    found = (_client_path(word, account) for word in words if word != "none")
    return tuple(path for path in found if is_possible(str(path)))


def _client_path(word: str, account: Account) -> PurePosixPath:
    if word == "~" or word.startswith("~/"):
        return account.home / word[2:]
    return account.home / _percent(
        word, {"d": str(account.home), "u": account.name, "r": account.name, "i": str(account.uid)}
    )


def _percent(word: str, table: dict[str, str]) -> str:
    out, rest = "", word
    while "%" in rest:
        before, _, rest = rest.partition("%")
        out += before + ("%" if rest[:1] == "%" else table.get(rest[:1], f"%{rest[:1]}"))
        rest = rest[1:]
    return out + rest
