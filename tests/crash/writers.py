"""Others at work on nova's files, inside a host: `writers.py KIND FILE ARGUMENT`, until standard input ends or they are done.

Prints one line when they begin, so that the test knows that they are at work.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time

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


def update(path: str, name: str) -> None:
    """ssh rewrites the file (UpdateHostKeys): a server with a new second host key each time, the one before being withdrawn."""
    learnt = 0
    with tempfile.TemporaryDirectory() as place:
        server = _server(place)
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(f"{name} {_key(place, 'first')}\n")
        while learnt == 0 or not stopped():
            learnt += 1
            _learns(server, place, path, name, _key(place, f"host{learnt}"), f"host{learnt}")
    print(learnt)


def _key(place: str, name: str) -> str:
    """Makes a pair; its public half, as known_hosts has it."""
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{place}/{name}"]
    subprocess.run(made, check=True)
    with open(f"{place}/{name}.pub", encoding="utf-8") as stream:
        return stream.read().strip()


def _server(place: str) -> str:
    """An sshd of nova's own, for one connection; it wants another -h and KEY."""
    accepted = _key(place, "user")
    with open(f"{place}/accepted", "w", encoding="utf-8") as stream:
        stream.write(f"{accepted}\n")
    with open(f"{place}/sshd_config", "w", encoding="utf-8") as stream:
        stream.write(f"AuthorizedKeysFile {place}/accepted\nStrictModes no\nUsePAM yes\n")
    return f"/usr/sbin/sshd -i -f {place}/sshd_config -h {place}/first"


def _learns(server: str, place: str, path: str, name: str, key: str, file: str) -> None:
    """One connection, held until the new key is in the file: ssh asks for a proof of it after the login."""
    options = {"ProxyCommand": f"{server} -h {place}/{file}", "HostKeyAlias": name}
    options |= {"UserKnownHostsFile": path, "UpdateHostKeys": "yes", "HashKnownHosts": "no"}
    options |= {"IdentityFile": f"{place}/user", "IdentitiesOnly": "yes", "BatchMode": "yes"}
    argv = ["ssh", "-N", "-F", "none", *(f"-o{key}={value}" for key, value in options.items())]
    connection = subprocess.Popen([*argv, "nowhere"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while key not in _text(path):
        if connection.poll() is not None or time.monotonic() > deadline:
            connection.kill()
            sys.exit(f"{key} was not learnt: {connection.communicate()[1]!r}")
        select.select([], [], [], 0.005)
    connection.terminate()
    connection.communicate()


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


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
