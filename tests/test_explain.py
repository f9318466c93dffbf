"""`agent explain` has a page for every word the program uses, and one for what an operator has in hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent import explain
from agent.checks import catalogue
from agent.formats import nova_recovery, nova_told, nova_words
from agent.formats.nova_fault import State
from agent.formats.nova_story import Story
from agent.model import Check
from agent.reasons import REASONS, Impact, Side
from tests.reports import a_check
from tests.test_cli import heard

CHECKS = catalogue()


def page(word: str) -> str:
    found = explain.text(word, CHECKS)
    assert found is not None
    return found


@pytest.mark.parametrize("code", REASONS)
def test_a_reason_has_a_cause_somebody_to_act_and_a_way_out(code: str) -> None:
    text = page(code)
    assert text.startswith(f"{code}: ")
    heads = [line.partition(":")[0] for line in text.splitlines()]
    assert {"who acts", "what to do", "what Nova does"} <= set(heads)
    assert ("recovery" in heads) == (REASONS[code].impact is not None)
    assert all(len(line) <= 100 for line in text.splitlines()[1:])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_check_has_a_role_a_why_and_a_way_to_run_it_alone(check: Check) -> None:
    text = page(check.id)
    assert f"agent --only {check.id}" in text
    assert " ".join(check.why.split())[:40] in " ".join(text.split())


def test_every_impact_says_what_happens_and_how_to_recover() -> None:
    assert set(explain.IMPACTS) == set(Impact)
    assert all(happens and recovery for happens, recovery in explain.IMPACTS.values())


def test_every_side_can_be_named() -> None:
    for side in Side:
        assert any(reason.side is side for reason in REASONS.values())


def test_a_word_that_is_a_check_and_a_reason_shows_both_pages() -> None:
    text = explain.text("strict_modes", [a_check("strict_modes")])
    assert text is not None
    assert REASONS["strict_modes"].cause in text and "why strict_modes" in text


def test_the_danger_of_a_hard_reboot_beside_a_copy_is_told() -> None:
    assert "hard reboot" in page("too_slow")


def test_an_unknown_word_has_no_page_and_near_ones_are_named() -> None:
    assert explain.text("host_key_unknwon", CHECKS) is None
    assert explain.nearest("host_key_unknwon", CHECKS)[0] == "host_key_unknown"
    assert explain.nearest("login_shel", [a_check("login_shell")])[0] == "login_shell"
    assert explain.nearest("qqqqqqqq", CHECKS) == []


def test_the_index_names_all() -> None:
    listed = {line.split()[0] for line in explain.index(CHECKS).splitlines() if line[:2] == "  "}
    assert listed == {check.id for check in CHECKS} | set(REASONS)


TOP = Path(__file__).resolve().parents[1]
DATA = TOP / "tests" / "formats" / "data" / "nova"
CLASSIC = (
    "ProcessExecutionError: Unexpected error while running command. Command: ssh 10.100.0.32 mkdir -p"
    " /var/lib/nova/instances/3f1c2b6e-8a4d-4c7e-9b10-5d6e7f809103 Exit code: 255 Stdout: u''"
    " Stderr: u'Host key verification failed.\\r\\n'"
)
NAMES = {"10.100.0.32": "compute2"}


def agent(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "agent", *arguments]
    return subprocess.run(argv, cwd=TOP, input=stdin, capture_output=True, timeout=60)


def log(name: str) -> bytes:
    return (DATA / f"{name}.txt").read_bytes().partition(b"--- log\n")[2]


def told(data: bytes) -> nova_told.Told:
    return nova_told.read([data], NAMES)


def story(data: bytes) -> Story:
    (only,) = told(data).stories
    return only


def flat(data: bytes) -> str:
    return " ".join(explain.history(told(data)).split())


def test_the_classic_text_gives_the_whole_story() -> None:
    page = flat(CLASSIC.encode())
    for words in (
        "host_key_unknown: no known_hosts line",
        "the source -> compute2 (10.100.0.32)",
        "who acts: the source",
        "agent --fix, once the peer's record is in peers.d",
        "agent --only known_hosts on the source",
        "agent --peer compute2 on the source",
        "sudo -u nova -H ssh -o BatchMode=yes 10.100.0.32 mkdir -p /var/lib/nova/instances/3f1c2b6e",
        "(impact rollback)",
        "mkdir failed, and Nova runs it before it touches the guest",
        "Nothing to recover",
        "an empty $D",
    ):
        assert words in page, words


def test_a_failed_copy_warns_of_what_loses_the_disk() -> None:
    page = flat(log("sftp_missing"))
    assert "agent --only sshd on compute2" in page
    assert "openstack server reboot --hard 3f1c2b6e" in page
    assert "${D}_resize does NOT" in page
    assert "Never `openstack server set --state active`" in page
    assert "0700" not in page


@pytest.mark.parametrize("said", ["scp: Connection closed", "scp: write remote x: Failure"])
def test_a_copy_that_ended_in_the_middle_may_have_met_a_limit(said: str) -> None:
    disk = "/var/lib/nova/instances/3f1c2b6e-0a43-4f4c-8e0c-8a2d2f1f1a11"
    page = flat(
        "Unexpected error while running command.\n"
        f"Command: scp -r {disk}_resize/disk 10.100.0.32:{disk}/disk\n"
        f"Exit code: 255\nStdout: ''\nStderr: '{said}\\r\\n'\n".encode()
    )
    assert "agent --only file_size on compute2" in page


def test_a_failed_rsync_copy_tells_of_the_closed_directory() -> None:
    assert "chmod 0755 /var/lib/nova/instances" in flat(log("no_space_rsync"))


def test_setting_the_state_is_called_safe_in_one_state_only() -> None:
    for name in ("sftp_missing", "tool_missing_scp", "pull_unknown_key", "undeletable_resize"):
        page = flat(log(name)).replace("Never `openstack server set --state active`", "")
        assert "--state active` is safe" not in page
        assert "--state active 3f1c2b6e" not in page
    assert "--state active 3f1c2b6e" in flat(log("tool_missing_ssh"))


def test_who_acts_is_named_in_terms_of_the_pair() -> None:
    sides = {
        "host_key_unknown": "source",
        "identity_mode": "source",
        "shell_false": "destination",
        "sftp_missing": "destination",
        "directory_denied": "destination",
        "disk_unreadable": "source",
        "no_route": "network",
        "pull_unknown_key": "destination",
        "tool_missing_scp": "source",
        "rsync_missing_on_peer": "destination",
    }
    assert {name: story(log(name)).side for name in sides} == sides


def test_a_finished_one_says_what_is_left_to_do_in_the_guest() -> None:
    page = flat(log("succeeded_destination"))
    assert "No failed resize" in page
    for words in ("growpart /dev/vda 1", "resize2fs", "xfs_growfs", "cloud-init"):
        assert words in page


def test_an_old_directory_in_the_way_is_told_to_be_what_the_guest_would_start_from() -> None:
    page = flat(log("undeletable_resize"))
    assert "Nova puts that OLD one in $D" in page
    assert page.index("OLD one") < page.index("hard reboot.")


def test_a_guest_that_hangs_on_the_destination_is_not_rebooted_before_its_ports_are_there() -> None:
    page = flat(b'{"id": "u", "OS-EXT-STS:task_state": "resize_migrated"}')
    assert "binding host" in page
    assert "no end of it is told" in page
    assert "took longer" not in page
    assert page.index("binding host") < page.index("reboot --hard")


def test_a_base_image_that_is_gone_is_no_failed_copy_of_a_disk() -> None:
    page = flat(log("pull_unresolvable"))
    assert "the base image is gone from Glance" in page
    assert "directory was made" not in page
    assert "seen before by" not in page
    assert "agent --only known_hosts on the destination" in flat(log("pull_unknown_key"))


def test_a_blank_disk_that_was_confirmed_may_still_have_a_copy() -> None:
    assert "instances path" in page("duplicate_address")
    assert "below the SOURCE's instances path" in flat(log("succeeded_destination"))


def test_one_cause_is_told_once_however_many_guests_it_hit() -> None:
    only = story(log("host_key_unknown_twice"))
    assert (only.count, len(only.guests), len(only.requests)) == (2, 2, 2)


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_recovery(state: State) -> None:
    assert nova_recovery.RECOVERY[state]
    assert nova_recovery.LEAVES[state]


def test_the_checks_named_exist_and_know_the_cause() -> None:
    ids = {check.id for check in CHECKS}
    for code, seen in nova_recovery.SEEN_BY.items():
        assert code in REASONS
        for check, where in seen:
            assert check in ids
            assert where in ("source", "destination")
    assert set(nova_recovery.PULL_SEEN_BY) <= set(REASONS)
    assert {c for seen in nova_recovery.PULL_SEEN_BY.values() for c in seen} <= ids


def test_every_cause_of_a_sentence_is_in_the_list() -> None:
    assert {reason for reason, _ in nova_words.SENTENCES} <= set(REASONS)


def test_what_is_pasted_back_into_a_shell_is_quoted() -> None:
    bad = "Command: ssh -o BatchMode=yes $(reboot) mkdir -p /i/x;reboot\nExit code: 255\nStdout: ''\nStderr: 'Host key verification failed.'"
    prove = story(bad.encode()).prove
    assert "'$(reboot)'" in prove
    assert ";reboot" not in prove


def test_hostile_text_does_not_reach_the_terminal() -> None:
    log_text = log("host_key_unknown").replace(b"10.100.0.32", b"\x1b[2Jevil\x07").replace(b"failed.", b"failed.\x1b]0;x\x07\xe2\x80\xae")  # fmt: skip
    for word in ([], ["--format", "json"]):
        done = agent("explain", "-", *word, stdin=log_text)
        assert done.returncode == 0
        text = done.stdout.decode()
        assert all(c.isprintable() or c == "\n" for c in text)


def test_a_file_a_pipe_and_an_argument_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "nova-compute.log"
    path.write_bytes(log("sftp_missing"))
    by_file = agent("explain", str(path))
    by_pipe = agent("explain", "-", stdin=log("sftp_missing"))
    assert by_file.returncode == by_pipe.returncode == 0
    assert by_file.stdout == by_pipe.stdout
    done = agent("explain", CLASSIC)
    assert done.returncode == 0
    assert b"host_key_unknown" in done.stdout


def test_an_interrupt_ends_the_wait_for_input_and_says_nothing() -> None:
    argv = [sys.executable, "-m", "agent", "explain", "-"]
    pipes = {"stdin": -1, "stdout": -1, "stderr": -1}
    with subprocess.Popen(argv, cwd=TOP, preexec_fn=heard, **pipes) as process:
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b"x" * (1 << 20))  # more than a pipe holds: it is being read
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")


def test_json_gives_the_same_as_data() -> None:
    done = agent("explain", "--format", "json", "-", stdin=log("sftp_missing"))
    data = json.loads(done.stdout)
    assert data["schema_version"] == 1
    assert data["kind"] == "log"
    (failure,) = data["failures"]
    assert failure["reason"] == "sftp_missing"
    assert failure["impact"] == "error_stopped"
    assert failure["side"] == "destination"
    assert failure["address"] == "10.100.0.32"
    assert failure["guests"] == ["3f1c2b6e-8a4d-4c7e-9b10-5d6e7f809110"]
    assert failure["recovery"]
    before = json.loads(agent("--format", "json", "explain", "sftp_missing").stdout)
    assert [reason["code"] for reason in before["reasons"]] == ["sftp_missing"]
    everything = json.loads(agent("explain", "--format", "json").stdout)
    assert len(everything["reasons"]) == len(REASONS)


def test_a_log_without_a_failed_resize_says_so_and_is_fine() -> None:
    for data in (log("succeeded_source"), b"2026-11-22 10:00:00.000 1 INFO nova.service [-] Starting\n"):  # fmt: skip
        done = agent("explain", "-", stdin=data)
        assert done.returncode == 0
        assert b"No failed resize" in done.stdout


def test_what_nobody_knows_is_called_unclassified() -> None:
    for data in (b"", b"\0\xff\xfe" * 99, b"the weather is fine"):
        done = agent("explain", "-", stdin=data)
        assert done.returncode == 0
        assert b"unclassified" in done.stdout
        assert b"/var/log/nova/nova-compute.log" in done.stdout  # whole, to be copied
    done = agent("explain", "Command: ssh c2 mkdir -p /i/x\nExit code: 77\nStderr: 'new words'")
    assert done.returncode == 0
    assert b"unclassified" in done.stdout
    assert b"impact rollback" in done.stdout


def test_a_word_that_is_nothing_and_a_file_that_cannot_be_read_are_usage_errors(
    tmp_path: Path,
) -> None:
    wrong = agent("explain", "host_key_unknow")
    assert wrong.returncode == 2
    assert b"did you mean host_key_unknown" in wrong.stderr
    folder = agent("explain", str(tmp_path))
    assert folder.returncode == 2
    assert str(tmp_path).encode() in folder.stderr
    gone = tmp_path / "link"
    os.symlink("nowhere", gone)
    assert agent("explain", str(gone)).returncode == 2
    assert agent("explain", str(tmp_path / "absent.log")).returncode == 2


def test_help_teaches_it() -> None:
    top, own = agent("--help").stdout, agent("explain", "--help").stdout
    for words in (b"nova-compute.log", b"server event show"):
        assert words in top
        assert words in own
