"""Plans carried out on a temporary root with the real tools: done, stale or failed, and nothing in between."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from agent import apply, state
from agent.formats import authorized_keys, keys
from agent.host import Host
from agent.model import (
    Action,
    HaveLines,
    MakeDirectory,
    MakeKeyPair,
    Plan,
    Result,
    SetMode,
    SetOwner,
    SetShell,
    Step,
    WriteFile,
)
from tests.host.ground import NOVA_ID, OTHER_ID, a_home, contents, ground, needs_root
from tests.hosts import P

BASH, FALSE = P("/bin/bash"), P("/bin/false")
BACKUPS = "var/lib/resize-agent/backups"


@pytest.fixture
def place() -> Iterator[Path]:
    with ground() as directory:
        (directory / "var/lib").mkdir(parents=True)
        (directory / "etc").mkdir()
        yield directory


def carried_out(place: Path, *actions: Action) -> list[tuple[Result, str]]:
    plan = Plan(tuple(Step(action, ("check: subject",)) for action in actions))
    return [(r.result, r.message) for r in apply.carry_out(plan, Host(str(place)))]


def results(place: Path, *actions: Action) -> list[Result]:
    return [outcome for outcome, _ in carried_out(place, *actions)]


def a_file(content: bytes = b"new\n", replaces: Optional[bytes] = None) -> WriteFile:
    return WriteFile(P("/etc/f"), content, 0o644, os.geteuid(), os.getegid(), replaces)


def seen(path: Path) -> tuple[int, int, str]:
    found = path.lstat()
    return found.st_uid, found.st_gid, f"{stat.S_IMODE(found.st_mode):o}"


@needs_root
def test_directories_files_and_lines_are_made_one_after_the_other(place: Path) -> None:
    home = a_home(place)
    nova = (NOVA_ID, NOVA_ID)
    assert (
        results(
            place,
            MakeDirectory(P("/home/.ssh"), 0o700, *nova),
            a_file(),
            HaveLines(P("/home/.ssh/keys"), (b"ssh-ed25519 AAAA",), (), 0o600, *nova),
            SetMode(P("/etc/f"), 0o600, 0o644),
            SetOwner(P("/etc/f"), *nova, (0, 0)),
        )
        == [Result.DONE] * 5
    )
    assert seen(home / ".ssh") == (*nova, "700")
    assert seen(home / ".ssh/keys") == (*nova, "600")
    assert (home / ".ssh/keys").read_bytes() == b"ssh-ed25519 AAAA\n"
    assert seen(place / "etc/f") == (*nova, "600")
    assert contents(home / ".ssh") == ["keys"]


@needs_root
def test_a_link_that_the_user_planted_is_refused_and_its_target_untouched(place: Path) -> None:
    home = a_home(place)
    (home / ".ssh").symlink_to("../etc")
    lines = HaveLines(P("/home/.ssh/keys"), (b"x y",), (), 0o600, NOVA_ID, NOVA_ID)
    [(result, message)] = carried_out(place, lines)
    assert result is Result.FAILED and "symbolic link" in message
    assert contents(place / "etc") == []


@needs_root
def test_our_line_in_a_file_of_root_in_the_users_directory_is_written(place: Path) -> None:
    home = a_home(place)
    (home / "keys").write_bytes(b"theirs\n")
    lines = HaveLines(P("/home/keys"), (b"ours x",), (), 0o600, NOVA_ID, NOVA_ID, b"theirs\n")
    assert results(place, lines) == [Result.DONE]
    assert (home / "keys").read_bytes() == b"theirs\nours x\n"
    assert seen(home / "keys")[0] == 0


@needs_root
def test_the_file_of_a_third_user_is_refused(place: Path) -> None:
    home = a_home(place)
    (home / "keys").write_bytes(b"theirs\n")
    os.chown(home / "keys", OTHER_ID, OTHER_ID)
    lines = HaveLines(P("/home/keys"), (b"ours x",), (), 0o600, NOVA_ID, NOVA_ID, b"theirs\n")
    assert results(place, lines) == [Result.FAILED]
    assert (home / "keys").read_bytes() == b"theirs\n"


def test_the_same_plan_a_second_time_is_stale_and_harmless(place: Path) -> None:
    assert results(place, a_file()) == [Result.DONE]
    assert results(place, a_file()) == [Result.STALE]
    assert (place / "etc/f").read_bytes() == b"new\n"


def test_lines_that_are_there_already_are_done_and_change_nothing(place: Path) -> None:
    (place / "etc/f").write_bytes(b"a b\n")
    lines = HaveLines(P("/etc/f"), (b"a b",), (b"gone",), 0o600, os.geteuid(), 0, b"a b\n")
    assert results(place, lines) == [Result.DONE]
    assert (place / "etc/f").read_bytes() == b"a b\n"


def test_a_stale_step_stops_the_rest(place: Path) -> None:
    (place / "etc/f").write_bytes(b"somebody was faster\n")
    after = MakeDirectory(P("/etc/d"), 0o755, os.geteuid(), os.getegid())
    assert results(place, a_file(replaces=b"old\n"), after) == [Result.STALE]
    assert (place / "etc/f").read_bytes() == b"somebody was faster\n"
    assert contents(place / "etc") == ["f"]


def test_a_failed_step_stops_the_rest_and_says_why(place: Path) -> None:
    first = MakeDirectory(P("/none/d"), 0o755, os.geteuid(), os.getegid())
    assert carried_out(place, first, a_file()) == [(Result.FAILED, "No such file or directory")]
    assert contents(place / "etc") == []


def test_a_mode_is_not_widened_whatever_the_plan_says(place: Path) -> None:
    (place / "etc/f").touch()
    (place / "etc/f").chmod(0o600)
    [(result, message)] = carried_out(place, SetMode(P("/etc/f"), 0o644, 0o600))
    assert result is Result.FAILED and "widen" in message


# The old version


def backups(place: Path) -> list[Path]:
    return sorted((place / BACKUPS).iterdir())


def test_the_old_version_is_kept_for_root_alone(place: Path) -> None:
    (place / "etc/f").write_bytes(b"old\n")
    [(result, message)] = carried_out(place, a_file(replaces=b"old\n"))
    [backup] = backups(place)
    assert result is Result.DONE
    assert backup.read_bytes() == b"old\n"
    assert seen(backup)[2] == "600" and seen(place / BACKUPS)[2] == "700"
    assert backup.name in message


@needs_root
def test_the_command_that_is_shown_puts_it_back(place: Path) -> None:
    (place / "etc/f").write_bytes(b"old\n")
    [(_, message)] = carried_out(place, a_file(replaces=b"old\n"))
    head, command = message.split(": ", 1)
    assert head == "to put it back"
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert (place / "etc/f").read_bytes() == b"old\n"


@needs_root
@pytest.mark.parametrize("closed", [True, False])
def test_root_is_shown_no_command_for_a_name_that_the_user_can_move(
    place: Path, closed: bool
) -> None:
    """A .ssh of root's in nova's home: nova renames it and puts a link to /root/.ssh in its place."""
    home = a_home(place)
    (home / ".ssh").mkdir()
    (home / ".ssh/keys").write_bytes(b"old\n")
    if closed:
        os.chown(home, 0, 0)
    action = HaveLines(P("/home/.ssh/keys"), (b"a b c",), (), 0o600, NOVA_ID, NOVA_ID, b"old\n")
    [(result, message)] = carried_out(place, action)
    assert result is Result.DONE and backups(place)[0].name in message
    assert ("tee " in message) == closed


def test_a_new_file_has_no_old_version(place: Path) -> None:
    assert carried_out(place, a_file()) == [(Result.DONE, "made")]
    assert not (place / BACKUPS).exists()


def test_what_was_not_changed_after_all_leaves_no_backup(place: Path) -> None:
    (place / "etc/f").write_bytes(b"now\n")
    assert results(place, a_file(replaces=b"old\n")) == [Result.STALE]
    assert backups(place) == []


def test_backups_are_bounded_and_the_newest_stay(place: Path) -> None:
    host = Host(str(place))
    kept = [state.keep(host, P("/etc/f"), b"%d" % n, host.now()) for n in range(60)]
    assert [P("/") / b.relative_to(place) for b in backups(place)] == kept[-50:]
    assert backups(place)[-1].read_bytes() == b"59"


@needs_root
def test_a_link_where_backups_belong_is_not_followed_out_of_the_root(place: Path) -> None:
    (place / "srv").mkdir()
    (place / "var/lib/resize-agent").symlink_to("/srv")
    (place / "etc/f").write_bytes(b"old\n")
    assert results(place, a_file(replaces=b"old\n")) == [Result.DONE]
    assert contents(place / "srv") == ["backups"]


# One --fix at a time


def test_a_second_fix_is_kept_out_until_the_first_is_done(place: Path) -> None:
    host = Host(str(place))
    with (
        state.fixing(host),
        pytest.raises(OSError, match="another agent --fix"),
        state.fixing(host),
    ):
        pass
    with state.fixing(host):
        pass


# The login shell


PASSWD = b"""\
root:x:0:0:root:/root:/bin/bash
nova:x:64060:64060::/var/lib/nova:/bin/false
nova2:x:64061:64061::/var/lib/nova:/bin/false
"""


@pytest.fixture
def image(place: Path) -> Path:
    if shutil.which("usermod", path="/usr/sbin:/sbin") is None:
        pytest.skip("needs usermod")
    (place / "etc/passwd").write_bytes(PASSWD)
    (place / "etc/group").write_bytes(b"root:x:0:\nnova:x:64060:\n")
    (place / "etc/shadow").write_bytes(b"root:*:1::::::\nnova:!:1::::::\nnova2:!:1::::::\n")
    return place


@needs_root
def test_the_login_shell_is_set_for_that_account_and_no_other(image: Path) -> None:
    [(result, message)] = carried_out(image, SetShell("nova", BASH, FALSE))
    assert (result, message) == (Result.DONE, "was /bin/false")
    expected = PASSWD.replace(b"nova:/bin/false\nnova2", b"nova:/bin/bash\nnova2")
    assert (image / "etc/passwd").read_bytes() == expected
    assert results(image, SetShell("nova", BASH, FALSE)) == [Result.STALE]


@needs_root
def test_a_login_shell_that_somebody_else_set_meanwhile_stays(image: Path) -> None:
    assert results(image, SetShell("nova", BASH, P("/usr/sbin/nologin"))) == [Result.STALE]
    assert (image / "etc/passwd").read_bytes() == PASSWD


@needs_root
def test_an_account_that_is_gone_is_stale_and_not_made(image: Path) -> None:
    assert results(image, SetShell("ghost", BASH, FALSE)) == [Result.STALE]
    assert (image / "etc/passwd").read_bytes() == PASSWD


# The key pair


@pytest.fixture
def somebody() -> pwd.struct_passwd:
    """ssh-keygen works for nobody without an account."""
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        pytest.skip("this machine has no account called nobody")


def a_pair(who: pwd.struct_passwd) -> MakeKeyPair:
    return MakeKeyPair(
        P("/home/id_ed25519"),
        "nova",
        who.pw_uid,
        who.pw_gid,
        "nova@compute1",
        P("/home/authorized_keys"),
    )


@needs_root
def test_a_key_pair_is_the_users_and_accepted_here(
    place: Path, somebody: pwd.struct_passwd
) -> None:
    home = a_home(place, somebody.pw_uid)
    [(result, message)] = carried_out(place, a_pair(somebody))

    assert result is Result.DONE, message
    assert contents(home) == ["authorized_keys", "id_ed25519", "id_ed25519.pub"]
    assert seen(home / "id_ed25519") == (somebody.pw_uid, somebody.pw_gid, "600")
    public = keys.parse_public((home / "id_ed25519.pub").read_text().strip())
    assert public is not None and public.comment == "nova@compute1"
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", home / "id_ed25519"], capture_output=True, text=True
    )
    assert derived.stdout.split()[:2] == public.line.split()
    line = authorized_keys.entry_line("compute1", public)
    assert public.blob.encode() in line
    assert (home / "authorized_keys").read_bytes().split()[-2] in line
    assert message == keys.fingerprint(public)


@needs_root
@pytest.mark.parametrize("kind", ["file", "link"])
def test_an_existing_private_key_is_never_replaced(
    place: Path, somebody: pwd.struct_passwd, kind: str
) -> None:
    home = a_home(place, somebody.pw_uid)
    if kind == "file":
        (home / "id_ed25519").write_bytes(b"theirs")
    else:
        (home / "id_ed25519").symlink_to("elsewhere")
    before = (home / "id_ed25519").lstat()
    [(result, message)] = carried_out(place, a_pair(somebody))
    assert result is Result.FAILED and "never replaced" in message
    assert (home / "id_ed25519").lstat() == before
    assert contents(home) == ["id_ed25519"]


@needs_root
def test_a_public_half_without_its_key_is_put_aside(
    place: Path, somebody: pwd.struct_passwd
) -> None:
    home = a_home(place, somebody.pw_uid)
    (home / "id_ed25519.pub").write_bytes(b"an old one")
    assert results(place, a_pair(somebody)) == [Result.DONE]
    assert (home / "id_ed25519.pub.old").read_bytes() == b"an old one"


@needs_root
def test_a_home_the_user_cannot_write_in_is_a_failure_without_litter(
    place: Path, somebody: pwd.struct_passwd
) -> None:
    (place / "home").mkdir()
    assert results(place, a_pair(somebody)) == [Result.FAILED]
    assert contents(place / "home") == []


@needs_root
def test_a_user_that_ssh_keygen_does_not_know_is_a_failure_without_litter(place: Path) -> None:
    home = a_home(place)
    nobodys = next(n for n in range(40000, 60000) if n not in {a.pw_uid for a in pwd.getpwall()})
    os.chown(home, nobodys, nobodys)
    action = MakeKeyPair(P("/home/id"), "nova", nobodys, nobodys, "nova@c1")
    [(result, message)] = carried_out(place, action)
    assert result is Result.FAILED and "ssh-keygen" in message
    assert contents(home) == []
