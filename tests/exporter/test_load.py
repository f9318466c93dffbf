"""Eight clients scrape while others hold connections open, trickle, stop half-way or send garbage.

Every well-formed scrape is answered; threads and memory stay within bounds.  No limit on time: bench/exporter.py tells that.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from agent.exporter.loop import MOST_CONNECTIONS, WORKERS
from tests.exporter.nuisance import Nuisance, scraped
from tests.exporter.serving import Authority, client, document, everything, exporter, write

CLIENTS, SCRAPES = 8, 15
IDLE = 200
# KiB, for 256 connections, half of them inside a handshake (about 50 KiB each), and the allocator's habits.
MORE_MEMORY = 30 << 10


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("load")
    write(folder / "report.json", document(peers=1000, failing=30))
    authority = Authority(folder)
    authority.issue("server", "127.0.0.1")
    write(folder / "web.yml", "tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    return folder, authority


@pytest.mark.parametrize("secure", [False, True], ids=["http", "tls"])
@pytest.mark.parametrize("held", [IDLE, pytest.param(2 * MOST_CONNECTIONS, marks=pytest.mark.slow)])
def test_every_well_formed_scrape_is_answered(place, secure, held):
    folder, authority = place
    tls = client(authority) if secure else None
    config = folder / "web.yml" if secure else None
    with exporter(folder / "report.json", config=config) as running:
        scraped(running, tls, CLIENTS, SCRAPES)
        before = running.status("VmRSS")
        with Nuisance(running, held) as nuisance:
            answers, _ = scraped(running, tls, CLIENTS, SCRAPES)
            assert answers == [(200, True)] * (CLIENTS * SCRAPES)
            assert nuisance.sent > 0
            threads, memory = running.status("Threads"), running.status("VmRSS")
            files = len(os.listdir(f"/proc/{running.process.pid}/fd"))
        assert running.get(tls=tls).status == 200
    assert threads <= WORKERS + 2  # the loop, and who waits for the end
    assert files <= MOST_CONNECTIONS + 20
    assert memory - before < MORE_MEMORY


def test_who_does_not_take_the_answer_keeps_nobody_waiting(place):
    folder, _ = place
    write(folder / "large.json", document(peers=5000))
    with exporter(folder / "large.json") as running, ExitStack() as stack:
        for _ in range(3 * WORKERS):
            lazy = stack.enter_context(socket.socket())
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            lazy.connect(("127.0.0.1", running.port))
            lazy.sendall(b"GET /api/v1/report HTTP/1.1\r\n\r\n")
        answers, _ = scraped(running, None, CLIENTS, 3)
        assert answers == [(200, True)] * (CLIENTS * 3)
        # Slow is not lost: one who takes it late gets all of it.
        size = (folder / "large.json").stat().st_size
        assert len(everything(lazy).partition(b"\r\n\r\n")[2]) == size


@pytest.mark.slow
def test_who_says_nothing_is_closed(place):
    with exporter(place[0] / "report.json") as running, running.connected() as idle:
        assert idle.recv(1) == b""  # after ten seconds; the socket's own limit is longer


@pytest.mark.slow
def test_with_few_descriptors_it_goes_on(place):
    def few():
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with exporter(place[0] / "report.json", preexec_fn=few) as running:
        with Nuisance(running, held=100):
            assert (200, True) in scraped(running, None, CLIENTS, SCRAPES)[0]
        assert running.get().status == 200
