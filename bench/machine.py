"""What the figures were measured on and with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

from agent import __version__
from bench import others
from bench.exporter import NODE_EXPORTER
from bench.figures import Table
from tests.lab.host import Host


def table(hosts: dict[str, dict[str, str]], began: datetime, seconds: float, load: float) -> Table:
    """`hosts`: by Debian release what its lab hosts run."""
    rows = [
        ("resize-agent", __version__),
        ("processor", f"{processor()}, {os.cpu_count()} cores"),
        ("memory", f"{memory()} GiB"),
        ("kernel", platform.release()),
        ("ansible-core", others.version()),
        (NODE_EXPORTER, said(NODE_EXPORTER, "--version")),
    ]
    rows += [
        (f"lab host, Debian {suite}", ", ".join(found.values())) for suite, found in hosts.items()
    ]
    rows.append(
        (
            "run",
            f"{began:%Y-%m-%d %H:%M} UTC, {seconds / 60:.0f} minutes; load before it {load:.1f}",
        )
    )
    return Table(("", ""), tuple(rows))


def of_host(host: Host) -> dict[str, str]:
    """Python and OpenSSH of a lab host."""
    python = host.sh("python3 --version").stdout.strip()
    ssh = host.sh("ssh -V 2>&1").stdout.split(",")[0].strip()
    return {"python": python, "ssh": ssh.replace("_", " ")}


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def memory() -> int:
    found = re.search(r"^MemTotal:\s+([0-9]+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return round(int(found[1]) / (1 << 20)) if found else 0


def said(*argv: str) -> str:
    """The version in the first line that a program prints of itself."""
    try:
        done = subprocess.run(
            argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except FileNotFoundError:
        return "not here"
    found = re.search(r"version ([0-9][\w.+~-]*)", done.stdout)
    return found[1] if found else done.stdout.partition("\n")[0]


def now() -> datetime:
    return datetime.now(timezone.utc)
