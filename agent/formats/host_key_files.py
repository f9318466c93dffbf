"""Where host keys are looked for, and what makes the files we write in carry those that the records name."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import PurePosixPath
from typing import NamedTuple, Optional

from agent.formats import lines, matching, places
from agent.formats.access import READ, is_denied, is_direct, may
from agent.formats.known_hosts import Entry, KnownHosts, malformed, parse
from agent.formats.trust import HostTrust
from agent.model import (
    Absent,
    Account,
    Action,
    ClientConfig,
    File,
    HaveLines,
    Kind,
    MakeDirectory,
    PublicKey,
    Snapshot,
    Unreadable,
    WriteFile,
)

_SSH_CONFIG = PurePosixPath("/etc/ssh/ssh_config")
_DEFAULT_GLOBAL = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_PUBLIC_READ = 0o444


class Refused(NamedTuple):
    """A file that ssh would have looked at.  `denied` is nova's own lack of permission, not ours."""

    path: PurePosixPath
    why: str
    denied: bool


class View(NamedTuple):
    """The known_hosts files as nova can read them, in ssh's order."""

    texts: tuple[tuple[PurePosixPath, bytes], ...]
    refused: tuple[Refused, ...]
    known: KnownHosts


def view(snapshot: Snapshot, account: Account, client: ClientConfig) -> View:
    texts: list[tuple[PurePosixPath, bytes]] = []
    refused: list[Refused] = []
    for path in dict.fromkeys(places.known_hosts(client, account)):
        seen = snapshot.file(path)
        if isinstance(seen, Absent) or (isinstance(seen, File) and seen.kind is Kind.OTHER):
            continue  # /dev/null is how a site says that it keeps no such file
        if isinstance(seen, File) and seen.content is not None and may(account, READ, seen):
            texts.append((path, seen.content))
        else:
            refused.append(_refused(account, path, seen))
    return View(tuple(texts), tuple(refused), _index(tuple(texts)))


@lru_cache(maxsize=2)  # for several checks, and for a daemon while nothing changes
def _index(texts: tuple[tuple[PurePosixPath, bytes], ...]) -> KnownHosts:
    return KnownHosts.of((str(path), text) for path, text in texts)


def _refused(account: Account, path: PurePosixPath, seen: object) -> Refused:
    if not isinstance(seen, File):
        if isinstance(seen, Unreadable):
            return Refused(path, seen.reason, is_denied(seen))
        return Refused(path, "it is gone", False)
    if seen.kind is Kind.FILE and may(account, READ, seen):
        return Refused(path, f"{path} was not read", False)
    text = f"is a {seen.kind.value}, owner {seen.uid}, mode {seen.mode:04o}"
    return Refused(path, f"{text}, expected a file that {account.name} can read", True)


def unreadable_lines(
    view: View, account: Account
) -> Iterator[tuple[PurePosixPath, tuple[int, ...]]]:
    """Line numbers that ssh skips, in nova's own files and the system's."""
    for path, text in view.texts:
        if account.home in path.parents or _SSH_CONFIG.parent in path.parents:
            numbers = malformed(text)
            if numbers:
                yield path, numbers


def stale(
    known: KnownHosts, names: Iterable[str], keys: Iterable[PublicKey]
) -> Iterator[tuple[str, str, Entry]]:
    """(name, file, entry) of lines that are not ours and trust, for one of the names, another key than these."""
    genuine = {key.line for key in keys}
    for name in names:
        for file, entry in known.find(name):
            if entry.ours or entry.marker or file == str(places.GLOBAL_KNOWN_HOSTS):
                continue
            wide = not entry.hashed and matching.is_wild(entry.patterns.encode())
            if not (wide or entry.key.line in genuine):
                yield name, file, entry


def command(account: Account, name: str, file: str, entry: Entry) -> str:
    """As root only where nobody else can write: which files ssh reads for nova is nova's word."""
    path, quoted = PurePosixPath(file), shlex.quote(file)
    if account.home in path.parents:
        return f"sudo -u {account.name} ssh-keygen -R '{name}' -f {quoted}"
    roots = _SSH_CONFIG.parent in path.parents and ".." not in path.parts
    who = "" if roots else f"sudo -u {account.name} "
    return f"{who}sed -i '{entry.number}s/^/#/' {quoted}"


def exists(snapshot: Snapshot, account: Account, client: ClientConfig) -> bool:
    """Whether something of ours is there already, which then has to be kept right."""
    if isinstance(snapshot.file(places.GLOBAL_KNOWN_HOSTS), File):
        return True
    return any(written(snapshot, account, client))


def written(snapshot: Snapshot, account: Account, client: ClientConfig) -> Iterator[Entry]:
    """Our own lines, in the file that is wholly ours and in nova's; no revocation."""
    for path in (places.GLOBAL_KNOWN_HOSTS, _of_user(client, account)):
        seen = snapshot.file(path) if path is not None else None
        text = (seen.content or b"") if isinstance(seen, File) else b""
        yield from (entry for entry in parse(text) if entry.ours and not entry.marker)


def place(
    snapshot: Snapshot, account: Account, client: ClientConfig, setting: str
) -> Optional[PurePosixPath]:
    """Where our host keys go; None where ssh looks at no file that we may write."""
    if _goes_global(snapshot, account, client, setting):
        return places.GLOBAL_KNOWN_HOSTS
    return _of_user(client, account)


def actions(
    snapshot: Snapshot, account: Account, client: ClientConfig, setting: str, trust: HostTrust
) -> tuple[Action, ...]:
    """Everything that is still to be done, whatever asked for it."""
    chosen = place(snapshot, account, client, setting)
    found: list[Action] = []
    goes_global = chosen == places.GLOBAL_KNOWN_HOSTS
    if goes_global or isinstance(snapshot.file(places.GLOBAL_KNOWN_HOSTS), File):
        found += _global(snapshot, trust)
    if goes_global:
        found += _drop_in(snapshot, account)
    path = _of_user(client, account)
    if path is not None:
        found += _shared(snapshot, account, path, trust, adds=path == chosen)
    return tuple(found)


def _goes_global(snapshot: Snapshot, account: Account, client: ClientConfig, setting: str) -> bool:
    if setting == "user":
        return False
    if any(_leads_away(snapshot, path) for path in (places.GLOBAL_KNOWN_HOSTS, places.DROP_IN)):
        return False
    shown = client.words("globalknownhostsfile")
    if str(places.GLOBAL_KNOWN_HOSTS) in shown:
        return True
    drop_in = snapshot.file(places.DROP_IN)
    if isinstance(drop_in, File) and drop_in.content == places.drop_in(account.name):
        return False  # it is in place and ssh does not show it: something before it wins
    # A site that names other files there would lose them to our drop-in.
    return shown in ((), _DEFAULT_GLOBAL) and _is_included(snapshot)


def _is_included(snapshot: Snapshot) -> bool:
    seen = snapshot.file(_SSH_CONFIG)
    if not isinstance(seen, File) or seen.content is None:
        return not isinstance(seen, Absent)
    for line in seen.content.decode("utf-8", "replace").splitlines():
        words = line.replace("=", " ").replace('"', " ").split()
        if words and words[0].lower() in ("host", "match"):
            return False  # an Include below counts only for some hosts
        if words and words[0].lower() == "include":
            patterns = (str(_SSH_CONFIG.parent / word) for word in words[1:])
            if any(fnmatchcase(str(places.DROP_IN), pattern) for pattern in patterns):
                return True
    return False


def _of_user(client: ClientConfig, account: Account) -> Optional[PurePosixPath]:
    mine = (p for p in places.known_hosts(client, account) if account.home in p.parents)
    return next(mine, None)


def _global(snapshot: Snapshot, trust: HostTrust) -> list[Action]:
    path = places.GLOBAL_KNOWN_HOSTS
    seen = snapshot.file(path)
    old = seen.content if isinstance(seen, File) else None
    if isinstance(seen, Unreadable) or (isinstance(seen, File) and old is None):
        return []
    if _leads_away(snapshot, path):
        return []
    text = trust.whole_file(old or b"")
    if text != old:
        return [WriteFile(path, text, 0o644, 0, 0, old)]
    if isinstance(seen, File) and seen.mode & _PUBLIC_READ != _PUBLIC_READ:
        return [WriteFile(path, text, 0o644, 0, 0, old)]  # wholly ours: written again, readable
    return []


def _drop_in(snapshot: Snapshot, account: Account) -> list[Action]:
    seen = snapshot.file(places.DROP_IN)
    old = seen.content if isinstance(seen, File) else None
    text = places.drop_in(account.name)
    if isinstance(seen, Unreadable) or (isinstance(seen, File) and old is None) or text == old:
        return []
    return [WriteFile(places.DROP_IN, text, 0o644, 0, 0, old)]


def _leads_away(snapshot: Snapshot, path: PurePosixPath) -> bool:
    """Whether the site put a link in the place of a file of ours: it is not ours to replace."""
    seen = snapshot.file(path)
    if isinstance(seen, Absent):
        return bool(seen.link)
    return isinstance(seen, File) and seen.real not in (None, path)


def _shared(
    snapshot: Snapshot, account: Account, path: PurePosixPath, trust: HostTrust, *, adds: bool
) -> list[Action]:
    seen = snapshot.file(path)
    old = seen.content if isinstance(seen, File) else None
    if isinstance(seen, Unreadable) or (isinstance(seen, File) and old is None):
        return []
    if not is_direct(snapshot, account, path):
        return []  # a link of nova's could lead anywhere
    if isinstance(snapshot.file(account.home), Absent):
        return []
    present = trust.lines if adds else ()
    absent = trust.outdated(old or b"")
    if not absent and not lines.missing(old or b"", present):
        return []
    edit = HaveLines(path, present, absent, 0o600, account.uid, account.gid, old)
    if not isinstance(snapshot.file(path.parent), Absent):
        return [edit]
    return [MakeDirectory(path.parent, 0o700, account.uid, account.gid), edit]
