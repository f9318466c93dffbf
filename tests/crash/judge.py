"""What must hold after a disturbed run, and after the next one.  Each rule yields a sentence for what is broken."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.crash.ground import NEIGHBOURS, SHARED, WHOLE, Ground, Look, look
from tests.lab.provision import AUTHORIZED_KEYS, KNOWN_HOSTS, NOVA_HOME, Run

PRIVATE = f"{NOVA_HOME}/.ssh/id_ed25519"
BACKUPS = "/var/lib/resize-agent/backups"
COUNT = tuple(f"/var/lib/resize-agent/{name}" for name in ("fixes.json", ".fixes.json.new"))
_KEY = re.compile(rb"AAAA[A-Za-z0-9+/]+={0,2}")


def at_once(ground: Ground, seen: Look, *, torn: bool = False) -> Iterator[str]:
    """Right after the disturbance, before anybody looks after it."""
    for path, text in NEIGHBOURS.items():
        if seen.texts[path] != text:
            yield f"{path}, which is somebody else's, is now {seen.texts[path]!r}"
    for path in SHARED:
        yield from _lines(ground, path, seen.texts[path], torn=torn)
    for path in WHOLE:
        yield from _whole(ground, path, seen.texts[path])
    yield from _accounts(ground, seen)


def _lines(ground: Ground, path: str, text: bytes, *, torn: bool) -> Iterator[str]:
    """Foreign bytes first and whole; then lines of ours, whole, struck out or, once, the beginning of one."""
    foreign = SHARED[path]
    if not text.startswith(foreign):
        yield f"{path}: foreign lines are damaged: {text!r}"
        return
    own = _own_key(text, ground.before.texts[path])
    known = _known(ground, path) | own
    rest = text[len(foreign) :].split(b"\n")[1:]
    for number, line in enumerate(rest):
        begun = (*known, b"restrict ssh-ed25519 AAAA") if torn and number == len(rest) - 1 else ()
        whole = not line or line in known or line.startswith(b"#")
        if not whole and not any(_begins(line, each) for each in begun):
            yield f"{path}: {line!r} is no whole line of ours"


def _begins(line: bytes, whole: bytes) -> bool:
    return whole.startswith(line) or (len(whole) < 40 and line.startswith(whole))


def _known(ground: Ground, path: str) -> set[bytes]:
    lines = ground.before.texts[path].split(b"\n") + ground.after.texts[path].split(b"\n")
    return set(lines) | {line[1:] for line in lines if line.startswith(b"#")}


def _own_key(text: bytes, before: bytes) -> set[bytes]:
    """The line for this host's own key, which every run makes anew."""
    ours = (line for line in text.split(b"\n") if line.endswith(b"resize-agent:compute1"))
    return {line for line in ours if len(_KEY.findall(line)) == 1 and len(line) > 90}


def _whole(ground: Ground, path: str, text: bytes) -> Iterator[str]:
    if path == WHOLE[-1]:  # the public half of a key that every run makes anew
        good = text == b"" or re.fullmatch(
            rb"ssh-ed25519 AAAA[A-Za-z0-9+/]{64} nova@compute1\n", text
        )
    else:
        good = text in (ground.before.texts[path], ground.after.texts[path])
    if not good:
        yield f"{path} is neither the old text nor the new: {text!r}"


def _accounts(ground: Ground, seen: Look) -> Iterator[str]:
    expected = {_tools(ground.before), _tools(ground.after)}
    if _tools(seen) not in expected:
        yield f"accounts: {seen.accounts}"
    if seen.accounts not in (ground.before.accounts, ground.after.accounts):
        yield f"the nova account is neither as before nor as wanted: {seen.accounts}"


def _tools(seen: Look) -> str:
    return seen.accounts.rpartition("\nnova:")[0]


def in_the_end(ground: Ground, point: int = 0) -> Iterator[str]:
    """The next `--fix` finishes the work and removes the litter, the one after it finds nothing to do.

    That there is nothing to do is in the report of the first; the second, which takes as long, is run at every fifth point.
    """
    host = ground.host
    run = ground.fix()
    if run.status != 0 or run.steps or any(result != "done" for _, _, result in run.applied):
        yield f"the next --fix does not finish: {run}"
    seen = look(host)
    yield from at_once(ground, seen)
    yield from _names(ground, seen)
    yield from _usable(ground, run)
    if point % 5 == 0:
        again = ground.fix()
        if again.status != 0 or again.applied:
            yield f"another --fix is not quiet: {again}"
        touched = seen.names ^ look(host).names
        if touched:
            yield f"another --fix touches {sorted(touched)}"
    said = host.run(["usermod", "--comment", "changed by an administrator", "nova"])
    if said.returncode:
        yield f"usermod is locked out: {said.stderr}"


def _names(ground: Ground, seen: Look) -> Iterator[str]:
    """The same names, owners and modes as without the disturbance; backups may be more, and a count may be missing."""
    extra = {name for name in seen.names - ground.after.names if not _may_differ(name)}
    gone = {name for name in ground.after.names - seen.names if not _may_differ(name)}
    if extra or gone:
        yield f"other than undisturbed: {sorted(extra)}, instead of {sorted(gone)}"


def _may_differ(name: str) -> bool:
    """How many steps were done is counted last of all; its temporary file has one name and goes with the next count."""
    return _is_a_backup(name) or name.split(" ")[0] in COUNT


def _is_a_backup(name: str) -> bool:
    """A whole one, readable by root alone (its directory is)."""
    return bool(re.fullmatch(rf"{BACKUPS}/[0-9T.]+Z!\S+ f 600 0:0 1", name))


def _usable(ground: Ground, run: Run) -> Iterator[str]:
    host = ground.host
    derived = host.run(["ssh-keygen", "-y", "-f", PRIVATE], user="nova")
    blob = derived.stdout.split()[1:2]
    if derived.returncode or not blob:
        yield f"the private key is of no use: {derived.stderr}"
        return
    accepted = host.read(AUTHORIZED_KEYS)
    ours = [line for line in accepted.splitlines() if line.endswith(b"resize-agent:compute1")]
    live = [line for line in ours if not line.startswith(b"#")]
    if len(live) != 1 or blob[0].encode() not in live[0]:
        yield f"this host's own key is not accepted exactly once: {ours}, {run}"
    expected = _peers(ground.after.texts[AUTHORIZED_KEYS])
    if _peers(accepted) != expected:
        yield f"the peers' keys are not accepted exactly once: {accepted!r}"
    known = KNOWN_HOSTS
    if sorted(_live(host.read(known))) != sorted(_live(ground.after.texts[known])):
        yield f"{known}: {host.read(known)!r}"


def _live(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line and not line.startswith(b"#")]


def _peers(text: bytes) -> list[bytes]:
    return sorted(line for line in _live(text) if not line.endswith(b"resize-agent:compute1"))
