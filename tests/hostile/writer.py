"""Run as root inside a host: every kind of step in nova's home, again and again, by the code that `agent --fix` uses.

writer.py TRIES UID: prints how many tries of each action came through, and how many were refused by which error.
"""

from __future__ import annotations

import collections
import errno
import json
import sys
from pathlib import PurePosixPath

from agent import apply
from agent.host import Host
from agent.model import Action, HaveLines, MakeDirectory, SetMode, SetOwner, WriteFile

HOME = PurePosixPath("/var/lib/nova")
SSH = HOME / ".ssh"
LIST, PUBLIC = SSH / "authorized_keys", SSH / "id_ed25519.pub"


def steps(number: int, uid: int) -> list[Action]:
    """Those that replace or append, by nova itself, and those that root does by descriptor."""
    cheap: list[Action] = [
        SetMode(
            LIST, 0o600, 0o600
        ),  # as nova's own is: comes through; the others fit the victim only
        SetMode(LIST, 0o600, 0o644),
        SetMode(SSH, 0o700, 0o755),
        SetOwner(LIST, uid, uid, (0, 0)),
        SetOwner(SSH, uid, uid, (0, 0)),
    ]
    if number % 20:
        return cheap
    line = b"restrict ssh-ed25519 %d resize-agent:compute9" % number
    return [
        *cheap,
        HaveLines(LIST, (line,), (), 0o600, uid, uid, b"observed"),
        WriteFile(PUBLIC, b"text\n", 0o644, uid, uid, b"text\n"),
        MakeDirectory(SSH / f"d{number}", 0o700, uid, uid),
    ]


def main() -> None:
    tries, uid, host = int(sys.argv[1]), int(sys.argv[2]), Host("/")
    counted: collections.Counter[str] = collections.Counter()
    for number in range(tries):
        for step in steps(number, uid):
            try:
                apply.perform(step, host)
                said = "done"
            except OSError as error:
                said = errno.errorcode.get(error.errno or 0, "?")
            counted[f"{type(step).__name__} {said}"] += 1
    print(json.dumps(counted))


main()
