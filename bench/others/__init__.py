"""What an operator would use instead, set up on a lab host: an Ansible playbook and a shell loop.  Both are in this folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

from agent.model import PublicKey, Record
from bench.ground import outside
from tests.lab.host import Host

HERE = Path(__file__).parent
PLACE = "/opt/others"
LIBRARY = "/opt/ansible"
# Of the environment that runs the benchmark, whose Python must be of the same version as the lab's.
NEEDED = "ansible-core jinja2 markupsafe pyyaml cryptography cffi resolvelib packaging".split()
ENVIRONMENT = (
    f"PYTHONPATH={LIBRARY} HOME=/root ANSIBLE_PIPELINING=1 ANSIBLE_NOCOLOR=1"
    " ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0"
)
CONTROL_PATH = "/root/control"
PLAY = (
    f"ANSIBLE_SSH_CONTROL_PATH={CONTROL_PATH} {ENVIRONMENT} python3 -m ansible.cli.playbook"
    " -e ansible_python_interpreter=/usr/bin/python3"
)


def missing() -> str:
    """Why Ansible cannot be compared, or nothing."""
    try:
        version()
    except metadata.PackageNotFoundError:
        return "ansible-core is not installed beside this Python (tests/requirements.txt)"
    return ""


def version() -> str:
    return metadata.version("ansible-core")


def install(host: Host) -> None:
    """The scripts, and ansible-core as it is here with its byte code."""
    host.sh(f"mkdir -p {PLACE} {LIBRARY}")
    for path in HERE.iterdir():
        if path.suffix in (".yml", ".sh"):
            shutil.copy(path, outside(host, PLACE))
    for name in NEEDED:
        copy(name, outside(host, LIBRARY))


def copy(name: str, where: Path) -> None:
    """A distribution's files beside each other, byte code and metadata too."""
    found = metadata.distribution(name)
    for file in found.files or ():
        if ".." not in file.parts:
            target = where / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(found.locate_file(file)), target)


def tell(host: Host, number: int, peers: Iterable[Record]) -> None:
    """The peers as each of the two wants to read them: PLACE/NUMBER.yml (JSON is YAML) and PLACE/NUMBER.txt."""
    every = list(peers)
    told = [
        {
            "name": each.name,
            "address": each.address,
            "host_keys": [key.line for key in each.host_keys],
            "user_keys": [f"{key.line} nova@{each.name}" for key in each.user_keys],
        }
        for each in every
    ]
    outside(host, f"{PLACE}/{number}.yml").write_text(json.dumps({"peers": told}, indent=1))
    rows = [
        f"{each.name} {each.address} {ed25519(each.host_keys).line} {each.user_keys[0].line}\n"
        for each in every
    ]
    outside(host, f"{PLACE}/{number}.txt").write_text("".join(rows))


def ed25519(keys: Sequence[PublicKey]) -> PublicKey:
    """The one that ssh-keyscan is to ask for."""
    return next((key for key in keys if key.type == "ssh-ed25519"), keys[0])


def play(number: int, *options: str, address: str = "") -> str:
    """The line that runs the playbook: on the host itself, or from a control node over ssh as root to `address`."""
    where = f"-i {address}, -u root" if address else "-i localhost, -c local"
    return (
        f"{PLAY} {where} -e peers_file={PLACE}/{number}.yml {' '.join(options)} {PLACE}/check.yml"
    )


def make_control_node(control: Host, managed: Host) -> None:
    """Root of the one may log in as root of the other, which it knows."""
    control.sh(
        "mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519"
    )
    managed.sh("mkdir -p -m 700 /root/.ssh")
    public = control.read("/root/.ssh/id_ed25519.pub")
    managed.write("/root/.ssh/authorized_keys", public, mode=0o600)
    key = managed.read("/etc/ssh/ssh_host_ed25519_key.pub").decode()
    control.write("/root/.ssh/known_hosts", f"{managed.address} {key}", mode=0o600)


def hang_up(control: Host, managed: Host) -> None:
    """Ends the connection that Ansible keeps for its next task."""
    line = f"ssh -O exit -o ControlPath={CONTROL_PATH} root@{managed.address} 2>/dev/null || true"
    control.sh(line)


def loop(number: int, *options: str) -> str:
    return f"{PLACE}/check.sh {PLACE}/{number}.txt {' '.join(options)}".rstrip()
