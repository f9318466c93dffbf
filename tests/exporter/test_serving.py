"""What a client gets, over real sockets from a real process."""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

from agent.exporter.listeners import is_loopback
from tests.exporter.serving import (
    PATIENCE,
    TOP,
    Exporter,
    document,
    exporter,
    port_of,
    start,
    write,
)
from tests.host.ground import needs_root

PAGE_AND_REPORT = ("/", "/api/v1/report")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("exporter") / "report.json"


@pytest.fixture(scope="module")
def process(place):
    with exporter(place) as running:
        yield running


@pytest.fixture
def report(place):
    """Whatever the test before has left there."""
    if place.is_dir():
        place.rmdir()
    write(place, document(peers=3, failing=1))
    return place


@pytest.fixture
def serving(process, report):
    return process


def samples(text):
    return {
        (s.name, *(value for _, value in sorted(s.labels.items()))): s.value
        for f in classic(text)
        for s in f.samples
    }


def test_a_scrape(serving):
    answer = serving.get()
    assert answer.status == 200
    assert answer.fields["Content-Type"].startswith("text/plain; version=")
    assert samples(answer.text)["resize_agent_ready", "source"] == 1
    assert samples(answer.text)["resize_agent_peer_failing", "compute0001", "host_key_unknown"] == 1


def test_a_scrape_in_the_newer_format(serving):
    answer = serving.get(Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert answer.fields["Content-Type"].startswith("application/openmetrics-text")
    assert {family.name for family in openmetrics(answer.text)} >= {
        "resize_agent_ready",
        "resize_agent_fixes",
    }


@pytest.mark.parametrize("accept", ["text/plain;version=x", "*/*", ";;,,;=", "a" * 9000, "\xff"])
def test_whatever_is_asked_for_something_is_given(serving, accept):
    answer = serving.get(Accept=accept)
    assert (answer.status, samples(answer.text)["resize_agent_report_valid",]) == (200, 1)


def test_gzip_where_the_client_takes_it(serving):
    packed = serving.get(Accept_Encoding="gzip")
    plain = serving.get(Accept_Encoding="gzip;q=0, identity")
    assert packed.fields["Content-Encoding"] == "gzip" and len(packed.body) < len(plain.body) / 3
    assert gzip.decompress(packed.body).decode() == plain.text
    assert "Content-Encoding" not in plain.fields


def test_only_some_names(serving):
    path = "/metrics?name[]=resize_agent_ready&name%5B%5D=resize_agent_fixes_total&other=1"
    assert {key[0] for key in samples(serving.get(path).text)} == {
        "resize_agent_ready",
        "resize_agent_fixes_total",
    }
    assert serving.get("/metrics?name[]=nothing").body == b""


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/api/v1/report", "/nowhere"])
def test_head_is_get_without_the_body(serving, path):
    get, head = serving.get(path), serving.get(path, method="HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert head.fields["Content-Length"] == get.fields["Content-Length"] == str(len(get.body))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_nothing_can_be_changed(serving, method):
    answer = serving.get(method=method)
    assert (answer.status, answer.fields["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/metrics/", "/../etc/passwd", "/%2e%2e/etc/passwd", "//metrics", "/-/quit"],
)
def test_other_paths_are_not_there(serving, path):
    assert serving.get(path).status == 404


def test_the_whole_report_on_loopback(serving, report):
    answer = serving.get("/api/v1/report")
    assert answer.fields["Content-Type"] == "application/json"
    assert json.loads(answer.body) == json.loads(report.read_text())


def test_the_page_on_loopback(serving):
    answer = serving.get("/")
    assert answer.status == 200 and "compute0" in answer.text
    assert answer.fields["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.fields["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGE_AND_REPORT)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_details_are_for_who_asks_from_this_host(report, path, host):
    with exporter(report, "[::]:0") as running:
        assert running.get(path, host=host).status == 200
        assert running.get(path, host=host, Host="localhost:19123").status == 200


@pytest.mark.parametrize("path", PAGE_AND_REPORT)
@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example:80", "10.0.0.1", ""])
def test_a_name_that_was_bent_to_this_host_is_shown_no_details(serving, path, name):
    refused = serving.get(path, Host=name, X_Forwarded_For="127.0.0.1")
    assert refused.status == 403 and "authenticated" in refused.text
    assert refused.fields["Content-Type"].startswith("text/plain")
    assert serving.get(Host=name).status == 200


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%lo", False),
        ("10.0.0.1", False),
        ("::", False),
        ("", False),
    ],
)
def test_loopback_addresses(address, loopback):
    assert is_loopback(address) is loopback


ENDS = """
import signal
import socket
from agent.exporter.listeners import from_this_host
with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
    port = listener.getsockname()[1]
    for far, near in (("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("192.0.2.1", "192.0.2.1"),
                      ("192.0.2.1", "127.0.0.1"), ("127.0.0.1", "192.0.2.1")):
        with socket.create_connection((near, port), source_address=(far, 0)):
            accepted = listener.accept()[0]
            print(from_this_host(accepted))
            accepted.close()
    gone = socket.socket()
    gone.close()
    print(from_this_host(gone))
"""
PLACE = 'ip link set lo up; ip address add 192.0.2.1/32 dev lo; exec "$@"'


@needs_root
def test_both_ends_of_a_connection_decide():
    done = subprocess.run(
        ["unshare", "--net", "sh", "-euc", PLACE, "sh", sys.executable, "-c", ENDS],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    expected = [True, True, False, False, False, False]
    assert done.stdout.split() == [str(each) for each in expected], done.stderr


def test_healthy_without_a_report_but_not_ready(tmp_path):
    with exporter(tmp_path / "none.json") as running:
        assert running.get("/-/healthy").status == 200
        assert running.get("/-/ready").status == 503
        assert running.get("/api/v1/report").status == 503
        assert running.get("/").status == 200
        seen = samples(running.get().text)
        assert seen["resize_agent_report_valid",] == 0
        assert seen["resize_agent_check_status", "login_shell", "unknown"] == 1
        write(tmp_path / "none.json", document())
        assert running.get("/-/ready").status == 200
        assert samples(running.get().text)["resize_agent_report_valid",] == 1


def instead(make):
    """Something else in the place of the file."""
    return lambda path: (path.unlink(), make(path))


GARBAGE = {
    "empty": lambda path: path.write_text(""),
    "half": lambda path: path.write_text(path.read_text()[:200]),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 16),
    "list": lambda path: path.write_text("[]"),
    "deep": lambda path: path.write_text("[" * 100000),
    "other types": lambda path: write(path, dict.fromkeys(document(), 7)),
    "link": instead(lambda path: path.symlink_to("/etc/passwd")),
    "pipe": instead(os.mkfifo),
    "directory": instead(os.mkdir),
    "gone": lambda path: path.unlink(),
    "expired": lambda path: write(path, document(seconds=-1)),
    "partial": lambda path: write(path, document(scope="partial")),
    "next version": lambda path: write(path, document(schema_version=2)),
    "future": lambda path: write(path, document(taken_at="2099-01-01T00:00:00Z")),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_report_that_is_none_makes_nothing_ready(serving, report, kind):
    assert samples(serving.get().text)["resize_agent_ready", "source"] == 1
    GARBAGE[kind](report)
    seen = samples(serving.get().text)
    assert seen["resize_agent_report_valid",] == 0
    assert {seen["resize_agent_ready", role] for role in ("source", "destination")} == {0}
    known = {key[2] for key, on in seen.items() if key[0] == "resize_agent_check_status" and on}
    assert known == {"unknown"}
    assert serving.get("/").status == 200


def test_a_report_that_changed_is_read_again_and_only_then(serving, report):
    write(report, document(peers=3000))
    before = bytes_read(serving.process.pid)
    assert samples(serving.get().text)["resize_agent_peers",] == 3000
    once = bytes_read(serving.process.pid)
    for _ in range(5):
        serving.get()
    assert once - before >= report.stat().st_size > 100 * (bytes_read(serving.process.pid) - once)


def bytes_read(pid):
    """From files and sockets, so far."""
    with open(f"/proc/{pid}/io") as stream:
        return int(stream.readline().split()[1])


MALFORMED = {
    b"GARBAGE\r\n\r\n": 400,
    b"GET /metrics\r\n\r\n": 400,
    b"get /metrics HTTP/1.1\r\n\r\n": 400,
    b"GET  /metrics HTTP/1.1\r\n\r\n": 400,
    b"GET metrics HTTP/1.1\r\n\r\n": 400,
    b"GET /\x00metrics HTTP/1.1\r\n\r\n": 400,
    b"GET /\xff HTTP/1.1\r\n\r\n": 400,
    b"PRI * HTTP/2.0\r\n\r\n": 505,
    b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n": 400,
    b"GET /metrics HTTP/1.1\r\n folded: x\r\n\r\n": 400,
    b"GET /metrics HTTP/1.1\r\nA: \x01\r\n\r\n": 400,
    b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n": 431,
    b"GET /metrics HTTP/1.1\r\nA: " + b"b" * 20000 + b"\r\n\r\n": 431,
    b"A" * 20000: 431,
    b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello": 413,
    b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 413,
    b"GET /metrics HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n": 400,
    b"GET /metrics?" + b"&".join([b"a=1"] * 200) + b" HTTP/1.1\r\n\r\n": 400,
    b"GET /metrics HTTP/1.0\r\n\r\n": 200,
    b"GET /metrics HTTP/1.0\n\n": 200,
    b"GET http://elsewhere:1/metrics HTTP/1.1\r\n\r\n": 200,
    b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 200,
    b"GET /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n": 200,
}


@pytest.mark.parametrize("data", MALFORMED, ids=lambda d: repr(d[:40]))
def test_the_answer_to_odd_requests(serving, data):
    said = serving.raw(data)
    assert said.startswith(b"HTTP/1.1 %d " % MALFORMED[data]), said[:100]
    assert serving.get().status == 200


def test_a_head_in_small_pieces(serving):
    with serving.connected() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n":
            client.send(bytes([byte]))
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_what_is_said_is_one_visible_line(tmp_path):
    path = tmp_path / "a\nb\x1b[2J.json"
    with exporter(path) as running:
        running.get()
        assert running.line("a\\nb\\x1b[2J.json").startswith("agent exporter: ")


def test_a_port_that_is_taken_is_named(report):
    with exporter(report) as running:
        second = start(report, f"127.0.0.1:{running.port}")
        _, said = second.communicate(timeout=PATIENCE)
    assert second.returncode == 3
    assert f"cannot listen on 127.0.0.1:{running.port}: Address already in use" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("address", ["19122", "::1:19122", "127.0.0.1", "[::1]", ":99999", ""])
def test_an_address_nobody_understands(report, address):
    process = start(report, address)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and repr(address) in said


def test_it_imports_neither_paramiko_nor_psutil():
    code = "import sys, agent.exporter; print(*sys.modules)"
    done = subprocess.run(["python3", "-c", code], capture_output=True, text=True)
    assert not {"paramiko", "psutil", "bcrypt", "agent.checks", "agent.page"} & set(
        done.stdout.split()
    )


def test_a_signal_that_another_thread_took_ends_it_all_the_same(report):
    """As one that comes just before it sleeps; a process may run the C handler in any thread (signal(7))."""
    with start(report, "127.0.0.1:0") as process:
        try:
            running = Exporter(process, [port_of(process)])
            assert running.get().status == 200
            other = next(
                t for t in os.listdir(f"/proc/{process.pid}/task") if int(t) != process.pid
            )
            ctypes.CDLL(None).tgkill(process.pid, int(other), signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
