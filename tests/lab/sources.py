"""Where this machine gets its Debian packages from, said for another release of Debian."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from pathlib import Path

APT = Path("/etc/apt")
POCKETS = ("", "-updates", "-security")
# Its support has ended: the index of bullseye-security names packages (Nova's) that are gone.
COMPLETE_POCKETS = {"bullseye": ("",)}


def machines_release() -> str:
    """The code name of the release this machine runs; nothing where it has none."""
    try:
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    except OSError:
        return ""


def sources_for(suite: str, own: str, apt: Path = APT) -> str:
    """The machine's sources of its `own` release, with only the suites' names changed.

    deb822 as mmdebstrap takes it; empty where apt here has no source of that release.
    """
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    stanzas: list[str] = []
    for file in (file for file in files if file.is_file()):
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            stanzas += _of_stanzas(text, suite, own)
        elif file.suffix == ".list":
            stanzas += _of_lines(text, suite, own)
    return "\n\n".join(stanzas) + "\n" if stanzas else ""


def _of_stanzas(text: str, suite: str, own: str) -> Iterable[str]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        found = re.search(r"(?im)^Suites:(.*)$", stanza)
        suites = _renamed(found[1].split(), suite, own) if found else []
        off = re.search(r"(?im)^Enabled:\s*(no|false|off|0)\s*$", stanza)
        if found and suites and not off and re.search(r"(?im)^Types:.*\bdeb\b(?!-)", stanza):
            head, tail = stanza[: found.start()], stanza[found.end() :]
            yield f"{head}Suites: {' '.join(suites)}{tail}".strip()


def _of_lines(text: str, suite: str, own: str) -> Iterable[str]:
    for line in text.splitlines():
        found = re.match(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)", line)
        suites = _renamed([found[3]], suite, own) if found else []
        if found and suites:
            signed = re.search(r"signed-by=(\S+)", found[1] or "")
            key = f"\nSigned-By: {signed[1]}" if signed else ""
            yield (
                f"Types: deb\nURIs: {found[2]}\nSuites: {suites[0]}\n"
                f"Components: {' '.join(found[4].split())}{key}"
            )


def _renamed(suites: Iterable[str], suite: str, own: str) -> list[str]:
    """Of other suites (backports, a vendor's) nothing is known for the other release."""
    pockets = COMPLETE_POCKETS.get(suite, POCKETS)
    mine = {own + pocket: suite + pocket for pocket in pockets}
    return [mine[name] for name in suites if name in mine]
