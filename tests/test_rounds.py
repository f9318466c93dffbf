"""What a round of dials gives each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

from agent import rounds
from agent.host import Host
from agent.model import Account, Record, Snapshot
from tests.host.ground import ground, needs_root
from tests.hosts import a_client, a_host, a_peer, novas
from tests.test_cli import TOP

PEER = a_peer("compute2")
LEAST = "-all,+dac_read_search,+setuid,+setgid,+kill"  # as resize-agent.service
TARGET = "from tests import test_rounds; test_rounds.lenient_target('{}')"


def lenient_target(scratch: str) -> rounds.Target:
    files = {PurePosixPath("/var/lib/nova/.ssh/known_hosts"): novas(b"compute9 ssh-ed25519 AAAA\n")}
    snapshot = a_host(
        peers=[PEER], client=a_client(stricthostkeychecking="accept-new"), files=files
    )
    [target] = targets(snapshot, [PEER], scratch)
    return target


def targets(snapshot: Snapshot, peers: list[Record], scratch: str) -> list[rounds.Target]:
    assert isinstance(snapshot.account, Account)
    return list(rounds._targets(Host(), snapshot, snapshot.account, peers, scratch))


def test_a_client_that_would_write_a_host_key_down_gets_a_copy(tmp_path: Path) -> None:
    target = lenient_target(str(tmp_path))
    [copy] = tmp_path.iterdir()
    assert target.options == ("-o", f"UserKnownHostsFile={copy}")
    assert copy.stat().st_mode & 0o777 == 0o444
    assert copy.read_bytes() == b"compute9 ssh-ed25519 AAAA\n"


def test_each_peer_gets_a_copy_of_the_file_that_ssh_would_read_for_it(tmp_path: Path) -> None:
    peers = [a_peer("compute2"), a_peer("compute3"), a_peer("compute4")]
    where = {"compute2": "/etc/nova/kh", "compute3": "~/.ssh/kh3", "compute4": "/etc/nova/kh"}
    client = {
        peer.address: a_client(stricthostkeychecking="no", userknownhostsfile=where[peer.name])
        for peer in peers
    }
    files = {
        PurePosixPath("/etc/nova/kh"): novas(b"common\n"),
        PurePosixPath("/var/lib/nova/.ssh/kh3"): novas(b"of 3\n"),
    }
    found = targets(a_host(peers=peers, client=client, files=files), peers, str(tmp_path))
    texts = [Path(t.options[1].partition("=")[2]).read_text() for t in found]
    assert texts == ["common\n", "of 3\n", "common\n"]


@needs_root
def test_it_gets_it_from_a_daemon_that_may_give_away_nothing() -> None:
    with ground() as place:
        code = TARGET.format(place)
        argv = ["setpriv", "--bounding-set", LEAST, sys.executable, "-B", "-c", code]
        done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(os.listdir(place)) == 1
