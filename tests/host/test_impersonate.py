"""A child acts as somebody else and answers by pipe; what it cannot do, it says."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
import pytest

from agent.host import Host, impersonate
from agent.host.impersonate import ChildFailed, aside, call
from agent.model import Absent, File, Unreadable
from tests.host.ground import NOVA_ID, a_home, a_user, needs_root
from tests.test_cli import TOP


def identity() -> list[Any]:
    return [os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.getsid(0) == os.getpid()]


def read(path: str) -> str:
    return Path(path).read_text()


def fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def wait_for_ever() -> None:
    signal.pause()


def end_at_once() -> None:
    os._exit(0)


def raise_something_else() -> None:
    raise ValueError("a bug of the function")


@needs_root
def test_the_child_is_the_user_with_all_ids_and_groups() -> None:
    ids = [NOVA_ID] * 3
    expected = [ids, ids, sorted([NOVA_ID, 77777]), True]
    assert call(a_user(NOVA_ID, 77777), 30, identity) == expected


@needs_root
def test_we_stay_who_we_are() -> None:
    before = identity()
    call(a_user(), 30, identity)
    assert identity() == before


@needs_root
def test_a_result_comes_back_whole() -> None:
    big = "x" * (1 << 20)
    assert call(a_user(), 30, str.upper, big) == big.upper()


@needs_root
def test_what_only_root_may_read_is_refused(place: Path) -> None:
    (place / "secret").write_text("x")
    (place / "secret").chmod(0o600)
    with pytest.raises(ChildFailed) as caught:
        call(a_user(), 30, read, str(place / "secret"))
    assert caught.value.errno == errno.EACCES


@needs_root
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ESTALE, errno.ELOOP])
def test_an_error_keeps_its_number(number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        call(a_user(), 30, fail, number)
    assert caught.value.errno == number


@needs_root
def test_a_child_that_takes_too_long_is_ended() -> None:
    before = psutil.Process().children()
    with pytest.raises(ChildFailed, match="took too long"):
        call(a_user(), 0.1, wait_for_ever)
    assert set(psutil.Process().children()) <= set(before)


@needs_root
@pytest.mark.parametrize("function", [end_at_once, raise_something_else])
def test_a_child_without_an_answer_is_an_error(function: Any, capfd: Any) -> None:
    with pytest.raises(ChildFailed, match="ended early"):
        call(a_user(), 30, function)


@needs_root
def test_files_are_seen_with_the_eyes_of_the_user(place: Path) -> None:
    (place / "open").write_text("x")
    (place / "shut").write_text("x")
    (place / "shut").chmod(0o600)
    host = Host(str(place))
    paths = [PurePosixPath("/open"), PurePosixPath("/shut"), PurePosixPath("/none")]

    seen = host.files_as(a_user(), paths, content=True)

    opened, shut, none = (seen[path] for path in paths)
    assert isinstance(opened, File) and opened.content == b"x"
    assert isinstance(shut, Unreadable) and "Permission denied" in shut.reason
    assert none == Absent()


@needs_root
def test_an_ordinary_user_can_act_as_nobody_else(place: Path) -> None:
    home = a_home(place)
    assert call(a_user(), 30, _as_another, str(home)) == "only root can act as somebody"


def _as_another(home: str) -> str:
    try:
        call(a_user(NOVA_ID + 5), 30, identity)
    except ChildFailed as error:
        return str(error.strerror)
    return "it could"


@needs_root
def test_an_ordinary_user_acts_as_itself_without_a_child() -> None:
    assert call(a_user(), 30, _as_itself)[0] == [NOVA_ID] * 3


def _as_itself() -> Any:
    return impersonate.call(a_user(), 30, identity)


WITHOUT_KILL = """
from tests.host.ground import a_user
from agent.host import Host, impersonate
print(Host().can_end_others, impersonate.call(a_user(), 30, str.upper, "done"))
"""


@needs_root
def test_without_the_right_to_end_others_the_answer_comes_all_the_same() -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-kill", sys.executable, "-c", WITHOUT_KILL],
        cwd=TOP,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("False DONE\n", "")


@needs_root
def test_root_can_end_others() -> None:
    assert Host().can_end_others


WITHOUT_SOCKETS = """
import resource, psutil
from agent.host import CannotStart, Host
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    Host().addresses()
except CannotStart as error:
    print(error)
"""


def test_addresses_that_cannot_be_listed_are_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOCKETS], cwd=TOP, capture_output=True, text=True
    )
    assert done.stdout.startswith("this host's own addresses cannot be listed (netlink): ")


def test_a_question_aside_is_asked_by_a_child_that_is_us() -> None:
    users, groups, more, _ = identity()
    assert aside(30, identity) == [list(users), list(groups), more, True]
    assert aside(30, os.getpid) != os.getpid()


@pytest.mark.parametrize(
    ("seconds", "stopped"), [(0.1, False), (3600.0, True)], ids=["time", "stopped"]
)
def test_a_question_nobody_answers_ends_with_the_time_or_the_run(
    seconds: float, stopped: bool
) -> None:
    before = psutil.Process().children()
    with pytest.raises(ChildFailed, match="took too long"):
        aside(seconds, wait_for_ever, halted=lambda: stopped)
    assert set(psutil.Process().children()) <= set(before)
