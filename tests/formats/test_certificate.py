"""The dates of a certificate, as ssh-keygen itself prints them."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timezone

import pytest

from agent.formats.certificate import Validity, validity

NOON = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
EVENING = NOON.replace(hour=18)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on this machine")
@pytest.mark.parametrize(
    ("words", "dates"),
    [
        ("20261122120000:20261122180000", Validity(NOON, EVENING)),
        ("always:forever", Validity()),
        ("20261122120000:forever", Validity(start=NOON)),
        ("always:20261122180000", Validity(end=EVENING)),
    ],
)
def test_what_ssh_keygen_signs_is_read_back(tmp_path, words, dates):
    def keygen(*arguments: str) -> str:
        done = subprocess.run(
            ["ssh-keygen", *arguments],
            cwd=tmp_path,
            env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    for name in ("ca", "key"):
        keygen("-q", "-t", "ed25519", "-N", "", "-f", name)
    keygen("-q", "-s", "ca", "-I", "nova", "-n", "nova", "-V", words, "key.pub")
    assert validity(keygen("-L", "-f", "key-cert.pub")) == dates


@pytest.mark.parametrize("text", ["", "Valid: sometimes", "Valid: from never to ever"])
def test_what_cannot_be_read_is_not_guessed(text):
    assert validity(text) is None
