"""Others at work on nova's files, inside a host: `writers.py KIND FILE ARGUMENT`, until standard input ends or they are done.

Prints one line when they begin, so that the test knows that they are at work.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43


def stopped() -> bool:
    return bool(select.select([0], [], [], 0)[0])


def append(path: str, name: str) -> None:
    """As ssh adds a host: O_APPEND, one write(2) for each line."""
    for number in range(400):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{name}-{number} {KEY}\n".encode())
        os.close(descriptor)
        select.select([], [], [], 0.005)


def ssh(path: str, name: str) -> None:
    """ssh itself, meeting a host under ever new names."""
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "HashKnownHosts=no"]
    options += ["-o", f"UserKnownHostsFile={path}", "-o", "PreferredAuthentications=none"]
    for number in range(30):
        alias = ["-o", f"HostKeyAlias={name}-{number}"]
        subprocess.run(["ssh", *options, *alias, "127.0.0.1", "true"], capture_output=True)


def rename(path: str, _: str) -> None:
    """A configuration manager: reads, writes beside, renames; nothing is changed by it."""
    while not stopped():
        with open(path, "rb") as stream:
            text = stream.read()
        found = os.stat(path)
        descriptor, made = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".manager-")
        os.write(descriptor, text)
        os.fchmod(descriptor, found.st_mode & 0o7777)
        os.close(descriptor)
        os.rename(made, path)
        select.select([0], [], [], 0.002)


def keygen(path: str, name: str) -> None:
    """A person removes and adds one host, again and again."""
    while not stopped():
        subprocess.run(["ssh-keygen", "-R", name, "-f", path], capture_output=True)
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(f"{name} {KEY}\n")


def usermod(_: str, name: str) -> None:
    number = 0
    while not stopped():
        number += 1
        comment = ["usermod", "--comment", f"{name} {number}", "nova"]
        if subprocess.run(comment, capture_output=True).returncode:
            continue  # the other one holds the lock
        with open("/run/comment", "w", encoding="utf-8") as stream:
            stream.write(f"{name} {number}")


if __name__ == "__main__":
    print("at work", flush=True)
    globals()[sys.argv[1]](sys.argv[2], sys.argv[3])
