"""nova swaps its files for links in a tight loop while root writes: nothing of root's is ever hit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.fleet import Fleet
from tests.lab.host import AGENT_HOME, Host, end
from tests.lab.provision import NOVA_HOME, agent, changed, explained, hand_round, state

pytestmark = pytest.mark.lab

HERE = Path(__file__).parent
SSH, VICTIM = f"{NOVA_HOME}/.ssh", "/etc/victim"
MODES = ("file", "directory", "hardlink", "rename")
LEAST_SWAPS = 20_000
# What a followed link would lead to: as root's, with the very modes and texts that the steps expect to find.
PLANT = f"""
rm -rf {VICTIM} {SSH} {NOVA_HOME}/other
mkdir -m 755 {VICTIM}; mkdir -m 700 {SSH}
for name in authorized_keys known_hosts id_ed25519.pub; do
    echo text | tee {VICTIM}/$name >{SSH}/$name; chmod 644 {VICTIM}/$name
done
chmod 600 {SSH}/authorized_keys; chown -R nova: {SSH}
"""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(["compute1", "compute2"]) as fleet:
        fleet.start_sshd()
        hand_round(fleet)
        yield fleet


@pytest.fixture(autouse=True)
def _explained(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[None]:
    yield from explained(request, fleet)


@contextmanager
def swapping(host: Host, mode: str) -> Iterator[list[int]]:
    """The swapper runs as nova; afterwards the list holds how many times it swapped."""
    host.sh(PLANT)
    counted: list[int] = []
    code = (HERE / "swapper.py").read_text()
    process = host.spawn(["python3", "-c", code, mode], user="nova", stdin=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield counted
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
        counted.append(int(out))
    finally:
        if process.poll() is None:
            end(process)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tries", [200, pytest.param(20_000, marks=pytest.mark.slow)])
def test_no_step_ever_leaves_novas_files(fleet: Fleet, mode: str, tries: int) -> None:
    host = fleet["compute1"]
    uid = host.sh("id -u nova").stdout.strip()
    with swapping(host, mode) as swaps:
        before = state(host, VICTIM)
        done = host.run(
            ["python3", "-c", (HERE / "writer.py").read_text(), str(tries), uid],
            env={"PYTHONPATH": AGENT_HOME, "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=1800,
        )
        after = state(host, VICTIM)
    assert done.returncode == 0, done.stderr
    counted: dict[str, int] = json.loads(done.stdout)
    print(mode, tries, "tries", swaps[0], "swaps", counted)
    assert changed(before, after) == [], counted
    assert sum(n for what, n in counted.items() if what.startswith("SetMode")) == 3 * tries
    assert swaps[0] >= (LEAST_SWAPS if tries >= LEAST_SWAPS else 100)
    if tries >= LEAST_SWAPS:
        assert any(what.endswith(" done") for what in counted), "it met the real file too"
        assert any(what.endswith(" EPERM") for what in counted), "it met the planted one too"


@pytest.mark.parametrize("mode", ["directory", pytest.param("file", marks=pytest.mark.slow)])
def test_no_run_of_the_agent_leaves_novas_files(fleet: Fleet, mode: str) -> None:
    host = fleet["compute1"]
    with swapping(host, mode) as swaps:
        before = state(host, VICTIM)
        runs = [agent(host, "--fix", "--peer-timeout", "5") for _ in range(3)]
        after = state(host, VICTIM)
    assert changed(before, after) == [], runs
    assert swaps[0] > 100
    assert all("Traceback" not in run.stderr for run in runs), runs
