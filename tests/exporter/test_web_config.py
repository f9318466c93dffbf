"""The subset of exporter-toolkit's file; what is outside it is refused with file, line and key."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from agent.document import DocumentError
from agent.exporter.web_config import parse

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
TLS = "tls_server_config:\n  cert_file: a.pem\n  key_file: /k/a.key\n"
MUTUAL = TLS + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


def read(text):
    return parse(text.encode(), "/etc/resize-agent/web.yml", "/run/credentials/x")


def test_an_empty_file_asks_for_nothing():
    assert read("").tls is None and read("").users == {}


def test_paths_are_relative_to_the_file():
    tls = read(TLS).tls
    assert (tls.cert_file, tls.key_file) == ("/etc/resize-agent/a.pem", "/k/a.key")


def test_credentials_of_systemd():
    tls = read(TLS.replace("/k/a.key", "$CREDENTIALS_DIRECTORY/web.key")).tls
    assert tls.key_file == "/run/credentials/x/web.key"
    with pytest.raises(DocumentError, match=r"key_file: .CREDENTIALS_DIRECTORY is not set"):
        parse(TLS.replace("/k", "$CREDENTIALS_DIRECTORY").encode(), "web.yml")


def test_users():
    assert read(f"basic_auth_users:\n  a: {HASH}\n").users == {"a": HASH.encode()}


WRONG = {
    "http_server_config: {http2: false}": (1, "http_server_config: is not supported"),
    "rate_limit: {interval: 1s}": (1, "rate_limit: is not supported"),
    TLS + "  cipher_suites: [x]": (4, "tls_server_config.cipher_suites: is not supported"),
    TLS + "  max_version: TLS13": (4, "tls_server_config.max_version: is not supported"),
    TLS + "  cert: x": (4, "tls_server_config.cert: is not supported"),
    "tls_server_config:\n  cert_file: a": (1, "tls_server_config.key_file: is missing"),
    "tls_server_config:\n  key_file: a": (1, "tls_server_config.cert_file: is missing"),
    "tls_server_config: yes": (1, "tls_server_config: must be a mapping"),
    "[1]": (1, "must be a mapping"),
    TLS + "  min_version: TLS10": (4, "min_version: must be one of TLS12, TLS13"),
    TLS + "  min_version: 1.2": (4, "min_version: must be text"),
    TLS + "  client_auth_type: RequireAnyClientCert": (4, "client_auth_type: must be one of"),
    TLS + "  client_auth_type: RequireAndVerifyClientCert": (4, "needs client_ca_file"),
    TLS + "  client_ca_file: ca.pem": (4, "client_ca_file: has no effect"),
    TLS + "  client_allowed_sans: [a]": (4, "client_allowed_sans: needs client_auth_type"),
    MUTUAL + "  client_allowed_sans: []": (6, "client_allowed_sans: must be a list"),
    MUTUAL + "  client_allowed_sans: a": (6, "client_allowed_sans: must be a list"),
    MUTUAL + "  client_allowed_sans: [1]": (6, "client_allowed_sans: must be text"),
    "basic_auth_users:\n  a: secret": (2, "basic_auth_users.a: is not a bcrypt hash"),
    "basic_auth_users:\n  a: 1": (2, "basic_auth_users.a: must be text"),
    f"basic_auth_users:\n  'a:b': {HASH}": (2, "basic_auth_users.a:b: a user's name has no colon"),
    "basic_auth_users: [a]": (1, "basic_auth_users: must be a mapping"),
    "a: ]": (1, "is not valid YAML"),
    "basic_auth_users:\n  a: x\n  a: y": (3, "given twice"),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_named(text):
    line, words = WRONG[text]
    with pytest.raises(DocumentError) as refusal:
        read(text)
    assert str(refusal.value).startswith(f"/etc/resize-agent/web.yml:{line}: ")
    assert words in str(refusal.value)


def test_no_secret_is_repeated():
    with pytest.raises(DocumentError) as refusal:
        read("basic_auth_users:\n  a: hunter2")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("text", [MUTUAL, f"basic_auth_users:\n  a: {HASH}\n"])
def test_promtool_takes_what_we_take(tmp_path, text):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool (package prometheus) is not installed")
    from tests.exporter.serving import Authority

    authority = Authority(tmp_path)
    authority.issue("a")
    path = tmp_path / "web.yml"
    path.write_text(text.replace("/k/", ""))
    parse(path.read_bytes(), str(path))
    done = subprocess.run([promtool, "check", "web-config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
