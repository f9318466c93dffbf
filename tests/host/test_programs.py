"""Programs end when they should, are whom they should be, and inherit nothing."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from agent.host.programs import ENVIRONMENT, Completed, run
from tests.host.ground import NOVA_ID, a_user, needs_root

ENOUGH = 60.0  # seconds; a limit that is not meant to be met


def sh(script: str, timeout: float = ENOUGH, **more: object) -> Completed:
    return run(["/bin/sh", "-c", script], timeout=timeout, **more)  # type: ignore[arg-type]


def python(code: str, **more: object) -> Completed:
    return run([sys.executable, "-c", code], timeout=ENOUGH, **more)  # type: ignore[arg-type]


def dies(pid: int) -> bool:
    """Somebody who was killed needs a moment to be dead."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ready, _, _ = select.select([descriptor], [], [], ENOUGH)
    os.close(descriptor)
    return bool(ready)


def test_both_streams_and_the_exit_code_come_back() -> None:
    done = sh("echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert not done.ok and not done.missing


def test_success_is_ok() -> None:
    assert sh("true").ok


def test_a_program_that_is_not_there_is_a_result() -> None:
    done = run(["no-such-program"], timeout=ENOUGH)
    assert done.missing and not done.ok
    assert done.stderr == "no-such-program: No such file or directory"


def test_a_file_that_may_not_be_executed_is_a_result(place: Path) -> None:
    (place / "tool").write_text("#!/bin/sh\n")
    done = run([str(place / "tool")], timeout=ENOUGH)
    assert done.missing and "Permission denied" in done.stderr


def test_the_death_by_a_signal_is_not_success() -> None:
    assert sh("kill -9 $$").returncode == -9


def test_the_time_limit_ends_the_program_and_its_children(place: Path) -> None:
    pids = place / "pids"
    script = f"sleep 1000 & echo $! > {pids}; echo $$ >> {pids}; echo ready; wait"
    done = sh(script, timeout=1.0)
    assert done.returncode is None and not done.ok
    assert done.stdout == "ready\n"
    assert [dies(int(pid)) for pid in pids.read_text().split()] == [True, True]


def test_a_child_that_outlives_the_program_holds_nobody_up_and_is_ended(place: Path) -> None:
    pid = place / "pid"
    done = sh(f"sleep 1000 & echo $! > {pid}; exit 3", timeout=60.0)
    assert done.returncode == 3
    assert dies(int(pid.read_text()))


def test_a_child_left_behind_without_our_output_is_ended_too(place: Path) -> None:
    pid = place / "pid"
    done = sh(f"sleep 1000 >/dev/null 2>&1 & echo $! > {pid}; exit 0")
    assert done.returncode == 0
    assert dies(int(pid.read_text()))


def test_a_program_that_closed_its_output_is_still_held_to_the_limit() -> None:
    assert sh("exec >&- 2>&-; sleep 1000", timeout=0.5).returncode is None


def test_a_stopped_run_ends_the_program_at_once() -> None:
    asked: list[bool] = []

    def halted() -> bool:
        asked.append(True)
        return len(asked) > 1

    done = sh("echo started; sleep 1000", halted=halted)
    assert done.returncode is None
    assert done.seconds < ENOUGH


def test_a_flood_is_read_to_its_end_and_kept_in_part() -> None:
    done = python("import sys; sys.stdout.write('x' * (9 << 20)); sys.stderr.write('end')")
    assert done.ok
    assert 1 << 20 <= len(done.stdout) < 2 << 20
    assert done.stderr == "end"


def test_output_that_is_not_text_is_shown_escaped() -> None:
    assert sh(r"printf 'a\377b'").stdout == r"a\xffb"


def test_there_is_nothing_to_read() -> None:
    assert sh("cat; echo end").stdout == "end\n"


def test_the_session_is_its_own_and_has_no_terminal() -> None:
    code = (
        "import os\n"
        "print(os.getsid(0) == os.getpid())\n"
        "try: os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError as error: print(error.errno)"
    )
    assert python(code).stdout.split() == ["True", "6"]


def test_the_environment_is_fixed() -> None:
    shown = run(["/usr/bin/env"], timeout=ENOUGH).stdout.splitlines()
    assert dict(line.split("=", 1) for line in shown) == ENVIRONMENT


def test_an_environment_given_is_the_whole_of_it() -> None:
    assert run(["/usr/bin/env"], timeout=ENOUGH, environment={"A": "1"}).stdout == "A=1\n"


def test_a_program_starts_at_the_top_with_a_sane_umask(place: Path) -> None:
    before = os.umask(0o077)
    try:
        assert sh("pwd; umask").stdout.split() == ["/", "0022"]
    finally:
        os.umask(before)


def test_no_descriptor_of_ours_is_inherited(place: Path) -> None:
    with open(place / "secret", "w") as stream:
        os.set_inheritable(stream.fileno(), True)
        assert "secret" not in sh("ls -l /proc/self/fd").stdout


def test_an_argument_is_never_read_by_a_shell() -> None:
    assert run(["echo", "$(id)", "; id", "*"], timeout=ENOUGH).stdout == "$(id) ; id *\n"


@needs_root
def test_as_a_user_nothing_of_root_is_left() -> None:
    code = "import os; print(os.getresuid(), os.getresgid(), sorted(os.getgroups()))"
    ids = (NOVA_ID,) * 3
    done = run(["python3", "-c", code], timeout=ENOUGH, account=a_user(NOVA_ID, 77777))
    assert done.stdout.strip() == f"{ids} {ids} {[NOVA_ID, 77777]}"


@needs_root
def test_as_a_user_a_file_of_root_cannot_be_read(place: Path) -> None:
    (place / "secret").write_text("x")
    (place / "secret").chmod(0o600)
    done = run(["cat", str(place / "secret")], timeout=ENOUGH, account=a_user())
    assert not done.ok and "Permission denied" in done.stderr
