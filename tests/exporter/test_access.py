"""Certificates and passwords: wrong, missing and right; and what a changed web configuration does."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import struct
import threading

import bcrypt
import pytest

from tests.exporter.serving import (
    PATIENCE,
    Authority,
    client,
    document,
    everything,
    exporter,
    start,
    write,
)

PATHS = ("/metrics", "/", "/api/v1/report", "/-/healthy", "/-/ready", "/nowhere")
HASHES = {
    "right": bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode(),
    "y": bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
    "long": bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode(),
}


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "report.json"
    write(path, document())
    return path


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    made.issue("server", "127.0.0.1")
    return made


def web(tmp_path, text):
    path = tmp_path / "web.yml"
    write(path, text)
    return path


TLS = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n"
MUTUAL = TLS + "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


def basic(user, password):
    raw = password if isinstance(password, bytes) else password.encode()
    return "Basic " + base64.b64encode(user.encode() + b":" + raw).decode()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    write(folder / "report.json", document())
    users = "".join(f"  {name}: {stored}\n" for name, stored in HASHES.items())
    config = web(folder, f"basic_auth_users:\n{users}")
    with exporter(folder / "report.json", "0.0.0.0:0", config=config) as running:
        yield running


@pytest.mark.parametrize("path", PATHS)
def test_without_a_password_nothing_is_shown(guarded, path):
    refused = guarded.get(path)
    assert (refused.status, refused.text) == (401, "unauthorized\n")
    assert refused.fields["WWW-Authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    "given",
    [
        basic("right", "wrong"),
        basic("nobody", "right"),
        basic("", "right"),
        basic("right", ""),
        basic("right", "right\0"),
        basic("right", "r" * 4000),
        "Basic",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"right").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(),
        "Bearer right",
        "",
    ],
)
def test_wrong_passwords(guarded, given):
    assert [guarded.get(Authorization=given).status for _ in range(2)] == [401, 401]


@pytest.mark.parametrize(
    ("user", "password"),
    [("right", "right"), ("y", "right"), ("long", "p" * 72), ("long", "p" * 80)],
)
def test_right_passwords_show_everything(guarded, user, password):
    for path in PATHS:
        answer = guarded.get(path, Authorization=basic(user, password))
        assert answer.status == (404 if path == "/nowhere" else 200)


def test_a_password_of_one_user_is_none_of_another(guarded):
    assert guarded.get(Authorization=basic("right", "right")).status == 200
    assert guarded.get(Authorization=basic("long", "right")).status == 401
    assert guarded.get(Authorization=basic("nobody", "right")).status == 401


def test_eight_who_come_at_once_with_the_right_password(tmp_path, report):
    slow = bcrypt.hashpw(b"right", bcrypt.gensalt(10)).decode()
    config = web(tmp_path, f"basic_auth_users:\n  right: {slow}\n")
    with exporter(report, config=config) as running:
        seen = []

        def scrape():
            seen.append(running.get(Authorization=basic("right", "right")).status)

        clients = [threading.Thread(target=scrape) for _ in range(8)]
        for one in clients:
            one.start()
        for one in clients:
            one.join(PATIENCE)
    assert seen == [200] * 8


def test_tls(tmp_path, report, authority):
    with exporter(report, "0.0.0.0:0", config=web(tmp_path, TLS)) as running:
        assert running.get(tls=client(authority)).status == 200
        assert running.get("/", tls=client(authority), Host="compute0").status == 403
        with pytest.raises(ssl.SSLCertVerificationError):
            running.get(tls=client(Authority(tmp_path, "another")))
        plain = running.raw(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert plain.startswith(b"HTTP/1.1 400 ") and b"HTTP request to an HTTPS server" in plain


def test_tls_versions(tmp_path, report, authority):
    with exporter(report, config=web(tmp_path, TLS + "  min_version: TLS13\n")) as running:
        old = client(authority)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        assert running.get(tls=client(authority)).status == 200
        with pytest.raises(ssl.SSLError):
            running.get(tls=old)
    with exporter(report, config=web(tmp_path, TLS)) as running:
        assert running.get(tls=old).status == 200


def refused(running, context):
    try:
        status = running.get(tls=context).status
    except OSError:  # with TLS 1.3 the client hears of it only when it reads
        return True
    raise AssertionError(f"let in with {status}")


def test_client_certificates(tmp_path, report, authority):
    stranger = Authority(tmp_path, "stranger").issue("mallory", "prometheus.example.org")
    mine = authority.issue("prometheus", "prometheus.example.org")
    with exporter(report, "0.0.0.0:0", config=web(tmp_path, MUTUAL)) as running:
        assert refused(running, client(authority))
        assert refused(running, client(authority, stranger))
        for path in ("/metrics", "/", "/api/v1/report"):
            assert running.get(path, tls=client(authority, mine)).status == 200


def test_allowed_names_in_client_certificates(tmp_path, report, authority):
    text = MUTUAL + "  client_allowed_sans: [prometheus.example.org, 192.0.2.7]\n"
    with exporter(report, config=web(tmp_path, text)) as running:
        for name, sans, let_in in (
            ("by name", ["prometheus.example.org"], True),
            ("by address", ["other.example.org", "192.0.2.7"], True),
            ("another", ["other.example.org"], False),
            ("prometheus.example.org", [], False),
        ):
            context = client(authority, authority.issue(name, *sans))
            if let_in:
                assert running.get(tls=context).status == 200
            else:
                assert refused(running, context)


def test_a_certificate_if_given(tmp_path, report, authority):
    text = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven")
    mine = authority.issue("prometheus")
    with exporter(report, "0.0.0.0:0", config=web(tmp_path, text)) as running:
        assert running.get(tls=client(authority)).status == 200
        assert running.get("/", tls=client(authority), Host="compute0").status == 403
        assert running.get("/", tls=client(authority, mine), Host="compute0").status == 200


@pytest.mark.parametrize("demand", ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"])
def test_certificate_and_password_are_both_needed(tmp_path, report, authority, demand):
    certificates = {
        "none": None,
        "stranger": Authority(tmp_path, "other").issue("stranger"),
        "mine": authority.issue("prometheus"),
    }
    text = MUTUAL.replace("RequireAndVerifyClientCert", demand)
    text += f"basic_auth_users:\n  right: {HASHES['right']}\n"
    with exporter(report, config=web(tmp_path, text)) as running:
        for name, certificate in certificates.items():
            context = client(authority, certificate)
            if name == "stranger" or (name == "none" and demand.startswith("Require")):
                assert refused(running, context)
                continue
            for password, status in (("", 401), ("wrong", 401), ("right", 200)):
                given = {"Authorization": basic("right", password)} if password else {}
                for path in ("/metrics", "/", "/api/v1/report"):
                    assert running.get(path, tls=context, **given).status == status


def test_who_comes_back_to_a_tls_session_is_who_began_it(tmp_path, report, authority):
    text = MUTUAL + "  client_allowed_sans: [prometheus.example.org]\n"
    mine = client(authority, authority.issue("prometheus", "prometheus.example.org"))
    mine.maximum_version = ssl.TLSVersion.TLSv1_2  # where the session is there after the handshake
    with exporter(report, "0.0.0.0:0", config=web(tmp_path, text)) as running:
        first = spoken(running, mine, None)
        again = spoken(running, mine, first.session)
        assert again.session_reused
        assert everything(again).startswith(b"HTTP/1.1 200 ")
        other = client(authority, authority.issue("another", "other.example.org"))
        assert refused(running, other)


def spoken(running, context, session):
    connected = context.wrap_socket(
        running.connected(), server_hostname="127.0.0.1", session=session
    )
    connected.sendall(b"GET / HTTP/1.1\r\nHost: compute0\r\n\r\n")
    return connected


def test_another_authority_for_clients_is_believed_without_a_restart(tmp_path, report, authority):
    successor = Authority(tmp_path, "successor")
    clients = tmp_path / "clients.pem"
    clients.write_bytes(authority.file.read_bytes())
    old = client(authority, authority.issue("old"))
    new = client(authority, successor.issue("new"))
    with exporter(report, config=web(tmp_path, MUTUAL.replace("ca.pem", clients.name))) as running:
        assert running.get(tls=old).status == 200 and refused(running, new)
        clients.write_bytes(successor.file.read_bytes())
        assert running.get(tls=new).status == 200 and refused(running, old)


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path, report, authority):
    with exporter(report, config=web(tmp_path, TLS)) as running:
        before = shown(running)
        authority.issue("server", "127.0.0.1")
        assert shown(running) != before
        assert running.get(tls=client(authority)).status == 200


def shown(running):
    return ssl.get_server_certificate(("127.0.0.1", running.port))


def test_a_broken_change_keeps_the_old_and_says_so(tmp_path, report, authority):
    with exporter(report, config=web(tmp_path, TLS)) as running:
        before = shown(running)
        (tmp_path / "server.key").write_text("nonsense")
        assert shown(running) == before
        assert "server.pem" in running.line("stays in force")
        text = running.get(tls=client(authority)).text
        assert "resize_agent_config_last_reload_successful 0.0" in text
        authority.issue("server", "127.0.0.1")
        text = running.get(tls=client(authority)).text
        assert "resize_agent_config_last_reload_successful 1.0" in text


def test_a_user_who_was_removed_stays_out(tmp_path, report):
    two = f"basic_auth_users:\n  a: {HASHES['right']}\n  b: {HASHES['right']}\n"
    with exporter(report, config=web(tmp_path, two)) as running:
        assert running.get(Authorization=basic("b", "right")).status == 200
        web(tmp_path, two[: two.index("  b:")])
        assert running.get(Authorization=basic("b", "right")).status == 401
        assert running.get(Authorization=basic("a", "right")).status == 200


def test_a_missing_file_that_appears_is_found(tmp_path, report, authority):
    with exporter(report, config=web(tmp_path, "")) as running:
        web(tmp_path, TLS.replace("server.", "later."))
        assert running.get().status == 200
        authority.issue("later", "127.0.0.1")
        assert running.get(tls=client(authority)).status == 200


def test_a_broken_handshake_hurts_nobody(tmp_path, report, authority):
    with exporter(report, config=web(tmp_path, TLS)) as running:
        for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x16" + b"\xff" * 500, b"\x16"):
            with running.connected() as broken:
                broken.sendall(data)
                assert running.get(tls=client(authority)).status == 200
                with contextlib.suppress(OSError):  # closed already
                    broken.shutdown(socket.SHUT_WR)
                everything(broken)
            with running.connected() as reset:
                reset.sendall(data)
                reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert running.get(tls=client(authority)).status == 200


def test_a_bad_web_configuration_is_a_usage_error(tmp_path, report):
    config = web(tmp_path, "tls_server_config:\n  cipher_suites: [x]\n")
    process = start(report, "127.0.0.1:0", config=config)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"{config}:2: tls_server_config.cipher_suites: is not supported" in said
