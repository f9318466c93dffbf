"""Our own files: whole or not there, read only where root alone could have written them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import state
from agent.host import Host
from agent.model import Fixes
from tests.host.ground import OTHER_ID, contents, ground, needs_root
from tests.hosts import P
from tests.test_cli import TOP

REPORT = state.REPORT


@pytest.fixture
def host() -> Iterator[Host]:
    with ground() as place:
        (place / "var/lib").mkdir(parents=True)
        yield Host(str(place))


def real(host: Host, path: object) -> Path:
    return Path(f"{host.root}{path}")


@needs_root
def test_what_is_saved_is_read_and_everybody_may_read_it(host: Host) -> None:
    before = os.umask(0o077)
    try:
        state.save(host, REPORT, '{"a": 1}\n')
    finally:
        os.umask(before)
    assert state.read(host, REPORT) == {"a": 1}
    assert real(host, REPORT).stat().st_mode & 0o7777 == 0o644
    assert real(host, state.STATE).stat().st_mode & 0o7777 == 0o755


@needs_root
def test_a_file_is_replaced_and_leaves_no_litter(host: Host) -> None:
    state.save(host, REPORT, "{}")
    litter = real(host, REPORT).with_name(".report.json.new")
    litter.write_text("of one that was killed")
    with real(host, REPORT).open() as reader:
        state.save(host, REPORT, '{"new": 1}')
        assert reader.read() == "{}", "who reads the old one reads it to its end"
    assert state.read(host, REPORT) == {"new": 1}
    assert contents(litter.parent) == ["report.json"]


@needs_root
def test_a_write_that_fails_leaves_the_old_one(host: Host) -> None:
    state.save(host, REPORT, "{}")
    with pytest.raises(UnicodeEncodeError):
        state.save(host, REPORT, '"\udcff"')
    assert state.read(host, REPORT) == {}
    assert contents(real(host, state.STATE)) == ["report.json"]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b"\xff\xfe", b'"text"', b"[" * 100_000], ids=repr
)
@needs_root
def test_garbage_is_as_good_as_nothing(host: Host, text: bytes) -> None:
    state.save(host, REPORT, "{}")
    real(host, REPORT).write_bytes(text)
    assert state.read(host, REPORT) is None


@needs_root
def test_a_file_that_others_could_have_written_is_not_read(host: Host) -> None:
    state.save(host, REPORT, "{}")
    real(host, REPORT).chmod(0o664)
    assert state.read(host, REPORT) is None
    real(host, REPORT).chmod(0o644)
    os.chown(real(host, REPORT), OTHER_ID, 0)
    assert state.read(host, REPORT) is None


@needs_root
def test_a_link_or_a_pipe_is_not_read(host: Host) -> None:
    state.save(host, REPORT, "{}")
    other = real(host, state.STATE) / "other"
    os.rename(real(host, REPORT), other)
    real(host, REPORT).symlink_to(other)
    assert state.read(host, REPORT) is None
    real(host, REPORT).unlink()
    os.mkfifo(real(host, REPORT))
    assert state.read(host, REPORT) is None


def test_nothing_there_is_nothing_read(host: Host) -> None:
    assert state.read(host, REPORT) is None


@needs_root
def test_an_image_has_no_fixes_of_its_own(host: Host) -> None:
    state.save(host, state.FIXES, '{"done": 3, "failed": 1}')
    assert state.fixes(host) == Fixes()


IN_ITS_OWN_PLACE = """
mount -t tmpfs none /var/lib && mount -t tmpfs none /run && exec "$0" -c "$1"
"""


def alone(code: str) -> str:
    """Run as root in a mount namespace in which /var/lib and /run are empty."""
    argv = ["unshare", "--mount", "sh", "-euc", IN_ITS_OWN_PLACE, sys.executable, code]
    done = subprocess.run(argv, cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


HEAD = "import json\nfrom agent import state\nfrom agent.host import Host\nhost = Host()\n"


@needs_root
def test_fixes_are_counted_over_all_runs() -> None:
    code = """
state.count(host, 2, 0)
state.count(host, 1, 1)
counted = state.fixes(host)
state.save(host, state.FIXES, '{"done": -4, "failed": true}')
odd = state.fixes(host)
print(json.dumps([counted.done, counted.failed, odd.done, odd.failed]))
"""
    assert json.loads(alone(HEAD + code)) == [3, 1, 0, 0]


@needs_root
def test_who_runs_is_asked_and_nobody_else() -> None:
    code = """
import os, signal
asked = [state.ask_daemon(host)]
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    with state.watching(host):
        os.write(writing, b"ready")
        if signal.sigtimedwait([signal.SIGUSR1], 60):
            os.write(writing, b"asked")
    os._exit(0)
assert os.read(reading, 5) == b"ready"
try:
    with state.watching(host):
        asked.append("two at once")
except OSError as error:
    asked.append("another agent daemon" in str(error))
asked.append(state.ask_daemon(host))
asked.append(os.read(reading, 5).decode())
os.waitpid(child, 0)
asked.append(state.ask_daemon(host))
print(json.dumps(asked))
"""
    assert json.loads(alone(HEAD + code)) == [False, True, True, "asked", False]


@needs_root
@pytest.mark.parametrize(
    "made",
    [
        "open(LOCK, 'w').close()",
        "os.mkfifo(LOCK)",
        "os.symlink('/etc/passwd', LOCK)",
        "os.makedirs(LOCK + '/full')",
    ],
)
def test_nobody_can_keep_root_from_its_lock_by_making_it_first(made: str) -> None:
    """/run/lock is everybody's; the file is only a name there, and what it led to is not touched."""
    code = f"""
import fcntl, os
LOCK = "/run/lock/resize-agent.lock"
os.makedirs("/run/lock", exist_ok=True)
{made}
os.chown(LOCK, 64061, 0, follow_symlinks=False)
before = os.stat("/etc/passwd")
theirs = os.open(LOCK, os.O_RDWR) if os.path.isfile(LOCK) and not os.path.islink(LOCK) else None
if theirs is not None:
    fcntl.flock(theirs, fcntl.LOCK_EX)
with state.fixing(host):
    found = os.lstat(LOCK)
    assert (found.st_uid, oct(found.st_mode)) == (0, "0o100600"), found
    try:
        with state.fixing(host):
            print("held twice")
    except state.Locked:
        print("held once")
assert os.stat("/etc/passwd") == before
"""
    assert alone(HEAD + code).strip() == "held once"


@needs_root
def test_a_lock_of_somebody_elses_asks_no_daemon() -> None:
    code = """
import os
os.mkdir("/run/resize-agent")
open("/run/resize-agent/daemon.lock", "w").close()
os.chown("/run/resize-agent/daemon.lock", 64061, 0)
print(state.ask_daemon(host))
"""
    assert alone(HEAD + code).strip() == "False"


def test_a_published_file_is_nobodys_prom_before_it_is_whole(tmp_path: Path) -> None:
    seen: list[str] = []

    class Text(str):
        def encode(self, *_: object, **__: object) -> bytes:
            seen.extend(contents(tmp_path))
            return b"whole\n"

    state.publish("/", P(tmp_path) / "agent.prom", Text())
    assert seen and not any(name.endswith(".prom") for name in seen)
    assert (tmp_path / "agent.prom").read_bytes() == b"whole\n"


PUBLISH = """
import sys
from agent import state
from tests.hosts import P
for number in range(150):
    state.publish("/", P(sys.argv[1]), sys.argv[2] * 50_000 + "\\n")
"""


def test_runs_that_publish_one_file_at_once_never_leave_half_of_it(tmp_path: Path) -> None:
    """`agent --textfile F` of cron while the last one is not done yet."""
    path = tmp_path / "agent.prom"
    argv = [sys.executable, "-c", PUBLISH, str(path)]
    running = [
        subprocess.Popen([*argv, text], cwd=TOP, stderr=subprocess.PIPE, text=True)
        for text in ("aaaa", "bb", "c")
    ]
    whole = {text * 50_000 + "\n" for text in ("aaaa", "bb", "c")}
    seen = 0
    while any(process.poll() is None for process in running):
        if path.exists():
            seen += 1
            assert path.read_text() in whole
    assert [process.communicate()[1] for process in running] == ["", "", ""]
    assert seen > 0 and path.read_text() in whole
    assert contents(tmp_path) == ["agent.prom"]


@pytest.mark.parametrize("planted", ["link", "pipe", "hard link"])
def test_what_stands_in_the_way_of_publishing_is_not_written_to(
    tmp_path: Path, planted: str
) -> None:
    (tmp_path / "other").write_text("other")
    temporary = tmp_path / ".agent.prom.new"
    if planted == "pipe":
        os.mkfifo(temporary)
    else:
        plant = os.symlink if planted == "link" else os.link
        plant(tmp_path / "other", temporary)
    state.publish("/", P(tmp_path) / "agent.prom", "new\n")
    assert (tmp_path / "other").read_text() == "other"
    assert contents(tmp_path) == ["agent.prom", "other"]


def test_a_lock_on_what_a_killed_run_left_keeps_nobody_out(tmp_path: Path) -> None:
    """It had its last mode already: anybody can read it, and so lock it for as long as they like."""
    temporary = tmp_path / ".agent.prom.new"
    temporary.write_text("half")
    temporary.chmod(0o644)
    with temporary.open() as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        state.publish("/", P(tmp_path) / "agent.prom", "new\n")
    assert (tmp_path / "agent.prom").read_text() == "new\n"
    assert contents(tmp_path) == ["agent.prom"]
