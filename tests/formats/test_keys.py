"""Public keys are taken exactly when ssh takes them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats import keys
from agent.model import PublicKey

needs_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen"
)


def blob(*fields: bytes) -> str:
    packed = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return base64.b64encode(packed).decode()


GOOD = blob(b"ssh-ed25519", bytes(range(32)))


def test_a_pub_line_is_type_base64_and_comment() -> None:
    key = keys.parse_public(f"ssh-ed25519 {GOOD} nova@compute1 (old)")

    assert key == PublicKey("ssh-ed25519", GOOD, "nova@compute1 (old)")


def test_a_comment_is_not_needed() -> None:
    assert keys.parse_public(f"ssh-ed25519 {GOOD}") == PublicKey("ssh-ed25519", GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        GOOD,
        f"ssh-rsa {GOOD}",
        f"ssh-ed25519 {GOOD[:-4]}",
        f"ssh-ed25519 {GOOD}AAAA",
        f"ssh-ed25519 {GOOD}=",
        f"ssh-ed25519 {GOOD[:9]}*{GOOD[9:]}",
        f"ssh-ed25519 {GOOD}\n",
        f"ssh-ed25519 {GOOD} a\nssh-ed25519 {GOOD}",
        f"ssh-ed25519 {GOOD} \x1b[31m",
        f"ssh-ed25519 {GOOD} \x00",
        f"restrict ssh-ed25519 {GOOD}",
        "ssh-ed25519 " + blob(b"ssh-ed25519", b"k" * 31),
        "ssh-ed25519 " + blob(b"ssh-ed25519", b"k" * 32, b""),
        "ssh-rsa " + blob(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 64),
        "rsa-sha2-512 " + blob(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 256),
        "ecdsa-sha2-nistp256 " + blob(b"ecdsa-sha2-nistp256", b"nistp256", b"\x04" + b"\x01" * 64),
        "ssh-ed25519-cert-v01@openssh.com " + blob(b"ssh-ed25519-cert-v01@openssh.com"),
    ],
)
def test_anything_else_is_no_key(text: str) -> None:
    assert keys.parse_public(text) is None


def test_security_keys_are_known() -> None:
    text = "sk-ssh-ed25519@openssh.com " + blob(
        b"sk-ssh-ed25519@openssh.com", bytes(range(32)), b"ssh:"
    )

    assert keys.parse_public(text) is not None


@needs_keygen
@pytest.mark.parametrize(
    "kind",
    [
        ("ed25519",),
        ("ecdsa", "-b", "256"),
        ("ecdsa", "-b", "384"),
        ("ecdsa", "-b", "521"),
        ("rsa",),
    ],
)
def test_keys_made_by_ssh_keygen_are_read_with_its_fingerprint(
    kind: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", path, "-t", *kind], check=True)
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", path], check=True, capture_output=True, text=True
    )

    key = keys.parse_public(path.with_suffix(".pub").read_text().rstrip("\n"))

    assert key is not None
    assert keys.fingerprint(key) == listed.stdout.split()[1]


@settings(deadline=None)
@given(st.binary())
def test_reading_never_fails(octets: bytes) -> None:
    keys.read(octets)
    keys.read(b"ssh-ed25519 " + octets)
    keys.read(b"ssh-ed25519 " + base64.b64encode(octets))
    keys.parse_public(octets.decode("utf-8", "surrogateescape"))


@settings(deadline=None)
@given(
    st.sampled_from(["ssh-rsa", "ssh-dss", "ecdsa-sha2-nistp521"]),
    st.lists(st.binary(), max_size=6),
)
def test_no_blob_is_too_strange(kind: str, fields: list[bytes]) -> None:
    keys.parse_public(f"{kind} {blob(kind.encode(), *fields)}")


@settings(deadline=None)
@given(st.binary())
def test_foreign_bytes_are_shown_without_control_characters(octets: bytes) -> None:
    assert keys.shown(octets).isprintable()
