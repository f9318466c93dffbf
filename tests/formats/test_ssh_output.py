"""What ssh, scp and rsync said in real failures, and what it means.

`data/ssh/*.txt` were recorded from OpenSSH 9.2 and rsync with a real sshd, addresses changed; a
new text becomes a new file.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats import ssh_output, ssh_trace
from agent.formats.ssh_failure import Failure, classify

DATA = Path(__file__).parent / "data" / "ssh"


class Recording(NamedTuple):
    tool: str
    returncode: Optional[int]
    fails: str
    tells: str
    passed: str
    stdout: str
    stderr: str


def recording(name: str) -> Recording:
    text = (DATA / f"{name}.txt").read_text(encoding="utf-8")
    head, _, rest = text.partition("--- stdout\n")
    stdout, _, stderr = rest.partition("--- stderr\n")
    facts = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    code = None if facts["exit"] == "none" else int(facts["exit"])
    said = facts["fails"], facts.get("tells", ""), facts.get("passed", "")
    return Recording(facts["tool"], code, *said, stdout, stderr)


NAMES = sorted(path.stem for path in DATA.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_attempt_is_understood(name: str) -> None:
    seen = recording(name)
    failure = classify(seen.returncode, seen.stdout, seen.stderr, seen.tool)
    found = "never" if failure is None else f"{failure.stage} {failure.reason}"
    assert found == seen.fails
    assert failure is None or failure.detail == seen.tells
    assert ssh_trace.reached(seen.stderr) == tuple(seen.passed.split())


@pytest.mark.parametrize("name", NAMES)
def test_the_stage_that_failed_is_not_among_those_passed(name: str) -> None:
    seen = recording(name)
    assert seen.fails.split()[0] not in seen.passed.split()


# Without -v, as manuals and logs quote them.
PLAIN = [
    (255, "", "ssh: Could not resolve hostname x: Name or service not known", "name_unresolvable"),
    (255, "", "ssh: connect to host a port 22: Connection timed out", "connect_timeout"),
    (255, "", "nova@a: Permission denied (publickey).", "permission_denied"),
    (255, "", "Connection closed by 10.0.0.1 port 22", "peer_busy"),
    (
        255,
        "",
        "kex_exchange_identification: read: Connection reset by peer\r\n",
        "peer_busy",
    ),
    (255, "", "Your account has expired; please contact your system administrator.\n"
     "Connection closed by 10.0.0.1 port 22", "account_expired"),
    (255, "", "System is going down.\nConnection closed by 10.0.0.1 port 22", "nologin_file"),
    (254, "", "System is going down.", "nologin_file"),
    (254, "Last login", "", "login_closed"),
    (1, "", "You are required to change your password immediately\n"
     "Password change required but no TTY available.", "password_expired"),
    (255, "", "client_loop: send disconnect: Broken pipe", "login_closed"),
    (255, "", "exec request failed on channel 0", "channel_refused"),
    (255, "", 'Load key "/k": invalid format\nnova@a: Permission denied (publickey).',
     "identity_broken"),
    (255, "", "Certificate invalid: expired\nHost key verification failed.", "host_key_unknown"),
    (255, "", "ssh_dispatch_run_fatal: Connection to 10.0.0.1 port 22: Invalid key length",
     "host_key_algorithms"),
    (255, "", "Connection to 10.0.0.1 port 22 timed out", "too_slow"),
    (1, "", "", "shell_refuses_commands"),
    (1, "This account is currently not available.\n", "", "shell_refuses_commands"),
    (1, "", "mkdir: cannot create directory \u2018/x\u2019: Permission denied", "directory_denied"),
    (1, "", "mkdir: cannot create directory \u2018/x\u2019: Operation not permitted", "directory_denied"),
    (1, "", "mkdir: cannot create directory \u2018/x\u2019: Disk quota exceeded", "no_space"),
    (1, "", "Forbidden", "forced_command"),
    (255, "", "something new", "unclassified"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "stdout", "stderr", "reason"), PLAIN)
def test_the_words_alone_are_enough(code: int, stdout: str, stderr: str, reason: str) -> None:
    failure = classify(code, stdout, stderr, "ssh")
    assert failure is not None
    assert failure.reason == reason


@pytest.mark.parametrize(
    ("code", "tool", "stderr", "reason"),
    [
        (1, "scp", "scp: /var/lib/x: No space left on device", "no_space"),
        (1, "scp", "bash: scp: command not found\nlost connection", "command_missing"),
        (1, "scp", "protocol error: mtime.sec not present", "shell_noise"),
        (255, "scp", "scp: Connection closed", "sftp_broken"),
        (255, "scp", "subsystem request failed on channel 0\nscp: Connection closed",
         "sftp_missing"),
        (12, "rsync", "bash: line 1: rsync: command not found\nrsync error: error in rsync "
         "protocol data stream (code 12) at io.c(231)", "rsync_missing_on_peer"),
        (23, "rsync", 'rsync: recv_generator: mkdir "/x" failed: Permission denied (13)',
         "directory_denied"),
        (14, "rsync", "rsync: [sender] Failed to exec ssh: No such file or directory (2)",
         "rsync_without_ssh"),
    ],
)  # fmt: skip
def test_the_copying_tools_say_it_their_own_way(
    code: int, tool: str, stderr: str, reason: str
) -> None:
    failure = classify(code, "", stderr, tool)
    assert failure is not None
    assert failure.reason == reason


def test_the_length_that_scp_read_is_turned_back_into_text() -> None:
    failure = classify(255, "", "scp: Received message too long 1466264675\n", "scp")
    assert failure is not None
    assert '"Welc"' in failure.detail


def test_success_is_no_failure_whatever_was_printed() -> None:
    assert classify(0, "noise", "Host key verification failed.", "ssh") is None


def test_our_limit_before_the_connection_is_a_timeout_and_after_it_slowness() -> None:
    connecting = "debug1: Connecting to a [10.0.0.1] port 22.\n"
    assert classify(None, "", connecting, "ssh") == Failure(
        "connect",
        "connect_timeout",
        "ssh was last heard of at: Connecting to a [10.0.0.1] port 22.",
    )
    greeted = "debug1: Connection established.\ndebug1: Local version string SSH-2.0-OpenSSH_9.2\n"
    slow = classify(None, "", connecting + greeted, "scp")
    assert slow is not None
    assert (slow.stage, slow.reason) == ("banner", "too_slow")


def test_a_remote_program_cannot_pose_as_ssh() -> None:
    stderr = recording("ok_mkdir").stderr + "Host key verification failed.\n"
    failure = classify(255, "", stderr, "ssh")
    assert failure is not None
    assert failure.reason == "unclassified"


def test_text_torn_apart_by_a_line_of_ssh_is_put_together() -> None:
    failure = classify(1, "", recording("touch_new_dir").stderr, "ssh")
    assert failure is not None
    assert failure.detail.startswith("touch: cannot touch '/var/lib/nova/instances/")


def test_login_refused_after_the_key_was_accepted_is_not_a_busy_peer() -> None:
    stderr = recording("ok_mkdir").stderr.partition("Authenticated to")[0]
    closed = "Connection closed by 192.0.2.2 port 22\n"
    plain = classify(255, "", stderr + closed, "ssh")
    told = classify(255, "", stderr + "Maintenance until noon\n" + closed, "ssh")
    assert plain is not None
    assert told is not None
    assert (plain.stage, plain.reason) == ("auth", "login_closed")
    assert (told.stage, told.reason) == ("auth", "nologin_file")
    assert told.detail.startswith("Maintenance until noon")


def test_a_live_master_proves_nothing() -> None:
    stderr = recording("multiplexed").stderr
    assert ssh_trace.reached(stderr) == ()


def test_the_server_introduces_itself() -> None:
    stderr = recording("ok_mkdir").stderr
    key = ssh_trace.server_host_key(stderr)
    assert key is not None
    assert key.startswith("ssh-ed25519 SHA256:")
    assert ssh_trace.server_host_key("") is None


def test_client_keywords_keep_every_value_in_order() -> None:
    config = ssh_output.client_config("user nova\nIdentityFile ~/.ssh/a\nidentityfile /b c\n\n")
    assert config.values["identityfile"] == ("~/.ssh/a", "/b c")
    assert config.one("user") == "nova"


SERVER = """port 22
port 2022
listenaddress [::]:22
listenaddress 0.0.0.0:22
listenaddress 10.0.0.1:2022
usepam yes
allowusers nova@10.0.0.*
allowusers root
pubkeyacceptedkeytypes ssh-ed25519,rsa-sha2-512
subsystem sftp /usr/lib/openssh/sftp-server -u 0022
"""


def test_server_keywords_accumulate_and_old_names_become_new_ones() -> None:
    config = ssh_output.server_config(SERVER, debian=True)
    assert config.values["allowusers"] == ("nova@10.0.0.*", "root")
    assert config.one("pubkeyacceptedalgorithms") == "ssh-ed25519,rsa-sha2-512"
    assert config.one("subsystem") == "sftp /usr/lib/openssh/sftp-server -u 0022"
    assert (config.ports, config.debian) == ((22, 2022), True)


def test_ports_are_those_of_the_daemon_then_of_addresses_then_of_port() -> None:
    assert ssh_output.server_config(SERVER, ports=[8022]).ports == (8022,)
    assert ssh_output.server_config("port 2222\n").ports == (2222,)
    assert ssh_output.server_config("port 99999\nlistenaddress x\n").ports == (22,)


words = st.sampled_from(
    ["debug1: Connecting to a port 1", "Authenticated to a using \"publickey\".", "\n", "\0",
     "debug1: Remote: key options: command", "scp: Received message too long 99999999999",
     "debug1: Exit status ", "Permission denied (publickey)", "\x1b[2J", "Connection closed by "]
)  # fmt: skip


@settings(deadline=None)
@given(
    st.one_of(st.none(), st.integers(-300, 300)),
    st.text(),
    st.lists(st.one_of(words, st.text()), max_size=30).map("".join),
    st.sampled_from(["ssh", "scp", "rsync"]),
)
def test_garbage_gives_a_printable_failure(
    code: Optional[int], stdout: str, stderr: str, tool: str
) -> None:
    failure = classify(code, stdout, stderr, tool)
    assert (failure is None) == (code == 0)
    if failure is not None:
        assert failure.detail.isprintable()
        assert len(failure.detail) <= 300
        assert failure.stage not in ssh_trace.reached(stderr)
    ssh_output.server_config(stderr)
    ssh_output.client_config(stderr)
    ssh_trace.server_host_key(stderr)


@pytest.mark.parametrize("piece", ["key options: ", "Host 'x", "debug1: ", "a" * 99, "scp: "])
def test_megabytes_of_hostile_text_do_not_stall_us(piece: str) -> None:
    text = "debug1: Remote: " + piece * (2_000_000 // len(piece))
    assert classify(255, text, text, "ssh") is not None


def test_a_client_that_has_not_said_a_word_waits_for_itself() -> None:
    connected = "debug1: Connecting to a port 22.\ndebug1: Connection established.\n"
    reading = connected + "debug1: identity file /var/lib/nova/.ssh/id_rsa type -1\n"
    hangs = classify(None, "", reading, "ssh")
    assert hangs is not None
    assert (hangs.stage, hangs.reason) == ("banner", "client_hangs")
    assert "id_rsa" in hangs.detail


def test_a_hundred_thousand_lines_of_one_keyword_are_read() -> None:
    """nova's own SendEnv lines, a mebibyte of them: what is not linear would take minutes here."""
    found = ssh_output.client_config("".join(f"sendenv A{n}\n" for n in range(100_000)))
    assert found.values["sendenv"][:2] == ("A0", "A1") and len(found.values["sendenv"]) == 100_000
