"""What one fault text says, whole or cut by the API."""

from __future__ import annotations

import pytest

from agent.formats import nova_command, nova_words
from agent.formats.nova_command import Work
from agent.formats.nova_fault import State, of_text
from tests.formats.nova_recordings import FAILED, GUEST, recording, said


@pytest.mark.parametrize("name", FAILED)
def test_the_exception_alone_says_the_same(name: str) -> None:
    seen = recording(name)
    whole = of_text(seen.exception)
    assert whole is not None
    # The pull tells by its direction what the log tells by its traceback.
    assert said(whole) == seen.expected[-1]


@pytest.mark.parametrize("name", FAILED)
def test_no_cut_gives_a_wrong_cause_and_none_is_lost_again(name: str) -> None:
    seen = recording(name)
    reason, state = seen.expected[-1].split("/")
    data = seen.exception.encode()
    known = False
    for end in range(1, len(data) + 1):
        fault = of_text(data[:end].decode(errors="ignore"))
        found = fault.reason if fault else "unclassified"
        assert found in (reason, "unclassified"), (end, data[:end][-40:])
        assert not known or found == reason, (end, data[:end][-40:])
        known = found == reason
        assert fault is None or fault.state.value == state
    assert known


# The first 255 bytes of a fault, and what they have to be enough for.
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Host key verification f", "host_key_unknown"),
        ("Host key verif", "host_key_unknown"),
        ("nova@10.100.0.32: Permission d", "permission_denied"),
        ("ssh: connect to host 10.100.0.32 port 22: Connection r", "connection_refused"),
        ("ssh: connect to host 10.100.0.32 port 22: Connection t", "connect_timeout"),
        ("ssh: connect to host 10.100.0.32 port 22: No r", "no_route"),
        ("ssh: Could not res", "name_unresolvable"),
        ("kex_exchange_identification: Conn", "peer_busy"),
        ("@@@@@@@@@@@@@\\r\\n@    WARNING: REMOTE HOST IDENT", "host_key_changed"),
        ("Password change requ", "password_expired"),
        ("No user exi", "no_user_for_uid"),
        ("Forbid", "forced_command"),
        ("This service allows sf", "sftp_only"),
        ("protocol version mis", "shell_noise"),
        ('Load key "/var/lib/nova/.ssh/id_rsa": Permission denied\\r\\nnova@10.1', "identity_unreadable"),
        ("Unable to negotiate with 10.100.0.32 port 22: no matching host k", "host_key_algorithms"),
    ],
)  # fmt: skip
def test_a_cut_sentence_is_recognised(words: str, reason: str) -> None:
    head = recording("host_key_unknown").exception.partition("Host key")[0]
    fault = of_text(head + words)
    assert fault is not None
    assert (said(fault), fault.cut) == (f"{reason}/rollback", True)


def test_what_fits_several_causes_names_them_and_chooses_none() -> None:
    head = recording("host_key_unknown").exception.partition("Host key")[0]
    fault = of_text(head + "ssh: connect to host 10.100.0.32 port 22: Connection ")
    assert fault is not None
    assert said(fault) == "unclassified/rollback"
    assert fault.candidates == ("connection_refused", "connect_timeout")
    framed = of_text(recording("host_key_changed").api)
    assert framed is not None
    assert (framed.reason, framed.cut) == ("unclassified", True)
    assert framed.candidates == nova_words.FRAMED


CLASSIC = """ProcessExecutionError: Unexpected error while running command.
Command: ssh {batch}10.100.0.32 mkdir -p /var/lib/nova/instances/{guest}
Exit code: 255
Stdout: {u}''
Stderr: {u}'Host key verification failed.\\r\\n'"""


@pytest.mark.parametrize("batch", ["", "-o BatchMode=yes "])
@pytest.mark.parametrize("u", ["", "u"])
@pytest.mark.parametrize("newline", ["\n", " ", "\\n", "\n    "])
def test_the_classic_text_of_every_release_and_every_way_to_paste_it(
    batch: str, u: str, newline: str
) -> None:
    text = CLASSIC.format(batch=batch, u=u, guest=GUEST).replace("\n", newline)
    fault = of_text(text)
    assert fault is not None
    assert said(fault) == "host_key_unknown/rollback"
    assert fault.command is not None
    assert (fault.command.address, fault.command.uuid) == ("10.100.0.32", GUEST)
    assert fault.command.instances_path == "/var/lib/nova/instances"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("... ssh 10.100.0.32 mkdir -p /var/lib/nova/instances/... Exit code: 255 ... Host key verification failed",
         "host_key_unknown/rollback"),
        ("Host key verification failed.", "host_key_unknown/unknown"),
        ("nova@10.0.0.1: Permission denied (publickey).", "permission_denied/unknown"),
        ("ProcessExecutionError", "unclassified/error_stopped"),
        ("FileNotFoundError", "tool_missing/unknown"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'ssh'", "tool_missing/error_running"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'scp'", "tool_missing/error_stopped"),
        ("Resize error: Unable to resize disk down.", "unclassified/rollback"),
        ("@@@@@@@@@", "unclassified/unknown"),
        ("the weather is fine today", "nothing"),
        ("nova", "nothing"),
        ("host_key_unknow", "nothing"),
    ],
)  # fmt: skip
def test_few_words_are_not_too_few(text: str, expected: str) -> None:
    assert said(of_text(text)) == expected


def test_a_directory_that_vanished_between_mkdir_and_copy_was_shared_storage() -> None:
    path = f"/var/lib/nova/instances/{GUEST}"
    fault = of_text(
        f"Command: scp -r {path}_resize/disk 10.0.0.2:{path}/disk\nExit code: 1\nStdout: ''\n"
        f"Stderr: 'scp: dest open \"{path}/disk\": No such file or directory\\r\\n'"
    )
    assert said(fault) == "shared_touch_fails/disk_loss"


TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3/dist-packages/nova/compute/manager.py", line 5853, in resize_instance
    self._resize_instance(context, instance, image, migration,
  File "/usr/lib/python3/dist-packages/nova/compute/manager.py", line 5890, in _resize_instance
    {line}
  File "/usr/lib/python3/dist-packages/nova/{file}.py", line 1, in {function}
    raise x
{error}"""


@pytest.mark.parametrize(
    ("file", "function", "error", "state"),
    [
        ("compute/manager", "_terminate_volume_connections", "cinderclient.exceptions.ClientException: 500", State.ERROR_MOVED),
        ("compute/rpcapi", "finish_resize", "oslo_messaging.exceptions.MessagingTimeout: x", State.ERROR_MOVED),
        ("virt/libvirt/utils", "copy_image", "OSError: [Errno 5] Input/output error", State.ERROR_STOPPED),
        ("x", "mkdtemp", "OSError: [Errno 28] No space left on device: '/tmp/x'", State.ERROR_RUNNING),
        ("x", "save", "nova.exception.UnexpectedTaskStateError: x", State.UNKNOWN),
        ("compute/manager", "finish_resize", "libvirt.libvirtError: Could not open '/x/disk': Permission denied",
         State.ERROR_DESTINATION),
    ],
)  # fmt: skip
def test_a_failure_outside_commands_is_placed_by_its_traceback(
    file: str, function: str, error: str, state: State
) -> None:
    fault = of_text(TRACE.format(line="x()", file=file, function=function, error=error))
    assert fault is not None
    assert fault.state is state
    assert error in fault.detail


def test_a_failed_live_migration_is_none_of_ours() -> None:
    text = recording("pull_unknown_key").exception
    assert of_text('File "x.py", line 1, in pre_live_migration\n' + text) is None


@pytest.mark.parametrize(
    ("line", "work", "address", "path"),
    [
        ("ssh -o BatchMode=yes fd00::32 touch /i/u/x.tmp", Work.TOUCH, "fd00::32", "/i/u/x.tmp"),
        ("ssh c2 rm -rf /i/u", Work.CLEAN, "c2", "/i/u"),
        ("scp -C -r /i/u_resize/disk [fd00::32]:/i/u/disk", Work.COPY, "fd00::32", "/i/u/disk"),
        ("scp -r /i/u_resize/di", Work.COPY, "", "/i/u/di"),
        ("scp -C -r c1:/i/_base/x /i/_base/x", Work.PULL, "c1", "/i/_base/x"),
        ("rsync --archive --relative --no-implied-dirs /tmp/t/./i/u c2:/", Work.MKDIR, "c2", "/i/u"),
        ("rsync -r --sparse /i/u_resize/disk [fd00::3]:/i/u/disk --compress", Work.COPY, "fd00::3", "/i/u/disk"),
        ("rsync --archive --delete-excluded /tmp/t/ c2:/i/u", Work.CLEAN, "c2", "/i/u"),
        ("cp -r /i/u_resize/disk /i/u/disk", Work.LOCAL, "", "/i/u/disk"),
    ],
)  # fmt: skip
def test_every_command_of_novas(line: str, work: Work, address: str, path: str) -> None:
    command = nova_command.parse(line)
    assert command is not None
    assert (command.work, command.address, command.path) == (work, address, path)


def test_other_commands_are_not_ours() -> None:
    for line in ("", "qemu-img info /x", "ssh", "ssh c2 reboot", "cp -r /a /b", "scp", "rsync x"):
        assert nova_command.parse(line) is None
