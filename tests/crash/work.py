"""`work.py ROOT`: every kind of action once or twice on a small tree, as far as it is not done yet.  Prints the results.

The tree is what `plant` made; what is to be done is found out by looking, as a real run does.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Optional

from agent import apply
from agent.formats import authorized_keys, lines
from agent.host import Host
from agent.model import (
    Absent,
    Account,
    Action,
    HaveLines,
    MakeDirectory,
    MakeKeyPair,
    Plan,
    PublicKey,
    SetMode,
    SetOwner,
    SetShell,
    Step,
    WriteFile,
)
from tests.hosts import a_host, a_key

P = PurePosixPath
FOREIGN = b"# theirs\nssh-ed25519 AAAA theirs\nunterminated"
OLD, NEW, MADE = b"old text\n" * 40, b"new text\n" * 50, b"made\n" * 30
GONE = authorized_keys.entry_line("gone", a_key("gone"))
OURS = tuple(authorized_keys.entry_line(name, a_key(name)) for name in ("compute2", "compute3"))
PASSWD = "root:x:0:0:root:/root:/bin/bash\nnova:x:64060:64060::/home:/bin/false\n"
SHADOW = "root:*:1::::::\nnova:!:1::::::\n"


def plant(root: Path) -> None:
    who = pwd.getpwnam("nobody")
    for name in ("etc", "home", "home/.ssh", "home/given", "var/lib"):
        (root / name).mkdir(parents=True)
    texts = {"etc/replaced": OLD, "home/.ssh/authorized_keys": GONE + b"\n" + FOREIGN}
    texts |= {"home/.ssh/known_hosts": FOREIGN, "home/.ssh/wide": b"x", "home/.ssh/stale": OLD}
    for name, text in texts.items():
        (root / name).write_bytes(text)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/shadow").write_text(SHADOW)
    (root / "etc/group").write_text("root:x:0:\nnova:x:64060:\n")
    for path in (root / "home", *root.glob("home/.ssh"), *root.glob("home/.ssh/*")):
        os.chown(path, who.pw_uid, who.pw_gid)
    (root / "home/.ssh").chmod(0o700)
    (root / "home/.ssh/wide").chmod(0o640)


def actions(root: Path) -> Iterator[Action]:
    who = pwd.getpwnam("nobody")
    user = (who.pw_uid, who.pw_gid)
    if not (root / "home/made").exists():
        yield MakeDirectory(P("/home/made"), 0o755, *user)
    if not (root / "etc/keys").exists():
        yield MakeDirectory(P("/etc/keys"), 0o755, *user)
    given = (root / "home/given").stat()
    if (given.st_uid, given.st_gid) != user:
        yield SetOwner(P("/home/given"), *user, (given.st_uid, given.st_gid))
    mode = stat.S_IMODE((root / "home/.ssh/wide").stat().st_mode)
    if mode != 0o600:
        yield SetMode(P("/home/.ssh/wide"), 0o600, mode)
    for name, text, owner in (
        ("etc/new", MADE, (0, 0)),
        ("etc/replaced", NEW, (0, 0)),
        ("home/.ssh/stale", NEW, user),
    ):
        found = read(root / name)
        if found != text:
            yield WriteFile(P("/") / name, text, 0o644, *owner, found)
    for name, present, absent in (
        ("home/.ssh/authorized_keys", OURS, (GONE,)),
        ("home/.ssh/known_hosts", OURS, ()),
        ("home/.ssh/fresh", OURS, ()),
    ):
        found = read(root / name)
        gone = lines.withdrawals(found or b"", absent)
        if lines.missing(found or b"", present) or gone:
            yield HaveLines(P("/") / name, present, absent, 0o600, *user, found)
    if not (root / "home/.ssh/id").exists():
        yield MakeKeyPair(P("/home/.ssh/id"), "nobody", *user, "nova@compute1", ACCEPTED)
    if b"/bin/false" in (read(root / "etc/passwd") or b""):
        yield SetShell("nova", P("/bin/bash"), P("/bin/false"))


ACCEPTED = P("/home/.ssh/authorized_keys")


def read(path: Path) -> Optional[bytes]:
    return path.read_bytes() if path.exists() else None


def own_key_accepted(root: Path) -> Iterator[Action]:
    """A run that was killed after the pair was made and before it was accepted."""
    public = read(root / "home/.ssh/id.pub")
    text = read(root / "home/.ssh/authorized_keys") or b""
    if public is not None:
        kind, blob = public.decode().split()[:2]
        line = authorized_keys.entry_line("compute1", PublicKey(kind, blob))
        if lines.missing(text, [line]):
            who = pwd.getpwnam("nobody")
            yield HaveLines(ACCEPTED, (line,), (), 0o600, who.pw_uid, who.pw_gid, text)


def main(arguments: list[str]) -> int:
    root = Path(arguments[0])
    host = Host(str(root))
    who = pwd.getpwnam("nobody")
    account = Account("nobody", who.pw_uid, who.pw_gid, P("/home"), P("/bin/sh"), (who.pw_gid,))
    looked = {P("/") / name: Absent() for name in ("etc/new", "home/x", "home/.ssh/id")}
    apply.tidy(host, a_host(account=account, files=looked))
    results = []
    for found in (actions, own_key_accepted):
        plan = Plan(tuple(Step(action, ("test: x",)) for action in found(root)))
        results += list(apply.carry_out(plan, host))
        if any(result.result.value != "done" for result in results):
            break
    for result in results:
        print(result.result.value, type(result.step.action).__name__, result.message)
    return int(any(result.result.value != "done" for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
