"""What a fuzzer starts from: one good input or more for each target, and the words that matter to the readers."""

from __future__ import annotations

from pathlib import Path

from agent.formats import authorized_keys, known_hosts, record
from tests.formats.nova_recordings import DATA as NOVA
from tests.fuzz.targets import HOST
from tests.hosts import KEYS, a_key, a_peer

SSH = Path(__file__).parents[1] / "formats" / "data" / "ssh"

OURS = authorized_keys.entry_line("compute2", a_key("nova@compute2"), "10.0.0.0/8")
OPTIONS = (
    f'command="echo \\"x\\"",from="10.0.0.0/8,!10.0.0.9",expiry-time="20301231",permitopen="*:22",'
    f"no-pty {a_key('x').line} me@home\n"
).encode()
HOSTS = b"".join(
    line + b"\n"
    for line in (
        known_hosts.entry_line(["compute2", "10.100.0.2"], a_key("host compute2")),
        f"[10.100.0.2]:2222,*.example.org,!bad.example.org {a_key('x').line}".encode(),
        f"|1|{'A' * 27}=|{'B' * 27}= {a_key('y').line} hashed".encode(),
        f"@revoked * {a_key('z').line}".encode(),
        f"@cert-authority *.example.org {a_key('ca').line}".encode(),
        b"# comment",
    )
)
KEY_FILE = HOST.file(KEYS).content or b""  # type: ignore[union-attr]
RECORD = record.render(a_peer("compute2")).encode()
TOMBSTONE = b"schema: 1\nname: compute2\nstate: absent\n"
NOVA_CONF = (
    b"[DEFAULT]\nhost = compute1\nmy_ip = $my_block_storage_ip\ninstances_path=$state_path/instances\n"
    b"[libvirt]\nmigration_inbound_addr = %(x)s\nremote_filesystem_transport = rsync\n"
)
YAML = b"a: [1, 'two', \"\\u0041\"]\nb: {c: ~, d: 2026-11-22T10:00:00Z}\ne: |\n  text\n"
SETTINGS = b"user: nova\ntrust: {networks: [10.0.0.0/8], from: [10.0.0.0/8]}\nprobe:\n  peers: 30\n"
PASSWD = b"root:x:0:0:root:/root:/bin/bash\nnova:x:64060:64060::/var/lib/nova:/bin/sh\n\nnova:x:64060:a,b\n"
SHADOW = b"nova:*:20000:0:99999:7:::\n"
MOUNTS = (
    b"22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
    b"nfs:/x /var/lib/nova/instances nfs4 rw,noauto 0 0\n"
    b"[Mount]\nWhat=nfs:/x\nWhere=/var/lib/nova/instances\nType=nfs4\n"
    b"  sl  local_address\n   0: 0100007F:0016 00000000:0000 0A 0 0\n"
)


def _texts(folder: Path, limit: int = 30_000) -> list[bytes]:
    return [p.read_bytes()[:limit] for p in sorted(folder.rglob("*")) if p.is_file()]


def seeds() -> dict[str, list[bytes]]:
    ssh = _texts(SSH)
    return {
        "document": [YAML, RECORD],
        "configuration": [SETTINGS],
        "peer_record": [RECORD, TOMBSTONE],
        "records": [b"\n---\n".join([RECORD, RECORD, TOMBSTONE, RECORD])],
        "accepted_keys": [KEY_FILE, OURS + b"\n" + OPTIONS],
        "known_host_keys": [HOSTS],
        "shared_lines": [KEY_FILE, OPTIONS],
        "accounts": [PASSWD, SHADOW],
        "mount_tables": [MOUNTS],
        "nova_configuration": [NOVA_CONF, NOVA_CONF + b"\n---\n" + NOVA_CONF],
        "nova_log": _texts(NOVA),
        "ssh_words": [*ssh, b"user nova\nport 22\nlistenaddress [::]:2222\n"],
        "public_keys": [a_key("x", "me@home").line.encode(), OURS],
        "patterns": [b"10.0.0.1\n10.0.0.0/8,!10.0.0.9,*.example.org,fe80::1%eth0"],
        "shown_text": ["\x1b[2J\u202e\u200b\u3164é\U000e0041".encode()],
        "whole_report": [b"\n--\n".join([KEY_FILE + OPTIONS, HOSTS, text]) for text in ssh[:6]],
    }


WORDS = (
    *(
        "\n",
        "\r",
        "\0",
        "\t",
        " ",
        '"',
        "\\",
        "#",
        "*",
        "?",
        "!",
        ",",
        "|1|",
        "[",
        "]:22",
        "%",
        "$",
    ),
    *("\x1b[2J", "\x9b", "\u202e", "\u200b", "\u2028", "\ufeff", "\U000e0041", "\u0661", "é"),
    *(
        "&a ",
        "*a",
        "<<: ",
        "!!python/object:os.system ",
        "---\n",
        "? ",
        ": ",
        "- ",
        "|",
        ">",
        "{",
        "}",
    ),
    *("@revoked ", "@cert-authority ", "restrict,", 'from="', 'command="', "expiry-time=", "AAAA"),
    *("ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-nistp256 ", "resize-agent:", "compute1", "compute2"),
    *("127.0.0.1", "::ffff:10.0.0.1", "0x7f000001", "10.100.0.1", "localhost", "-oProxyCommand=id"),
    *("schema: 2", "state: absent", "names: []", "2147483648", "99999999999", "-1", "1e999", "0o7"),
    *("[DEFAULT]", "$my_ip", "${state_path}", "%(x)s", "ERROR", "Traceback", "Permission denied"),
)
