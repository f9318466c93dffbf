"""What is read from a nova-compute.log, in bounded memory."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.formats import nova_client, nova_lines, nova_log, nova_told
from agent.formats.nova_fault import of_text
from agent.reasons import REASONS
from tests.formats.nova_recordings import GUEST, NAMES, failures, recording, said


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_log_gives_its_failures_once(name: str) -> None:
    seen = recording(name)
    found = failures(seen.log)
    assert [said(each.fault) for each in found] == seen.expected
    assert all(each.uuid and each.request and each.time for each in found)


def test_requests_that_interleave_behind_syslog_are_kept_apart() -> None:
    """Two hosts' logs, merged line by line."""
    streams = [
        [f"Nov 22 10:00:00 {host} nova-compute[{pid}]: {line}" for line in recording(name).log.splitlines()]
        for host, pid, name in [("compute1", 11, "host_key_unknown"), ("compute3", 12, "sftp_missing")]
    ]  # fmt: skip
    dice = random.Random(4711)
    merged = []
    while any(streams):
        merged.append(dice.choice([stream for stream in streams if stream]).pop(0))
    found = {each.host: said(each.fault) for each in failures("\n".join(merged))}
    assert found == {
        "compute1": "host_key_unknown/rollback",
        "compute3": "sftp_missing/error_stopped",
    }
    assert len(failures("\n".join(merged))) == 2


def test_a_log_without_dates_as_journald_keeps_it() -> None:
    log = recording("sftp_missing").log
    bare = "\n".join(line[24:].partition(" ")[2] for line in log.splitlines())
    assert {said(each.fault) for each in failures(bare)} <= {"sftp_missing/error_stopped"}
    coloured = "\n".join(f"\x1b[00;32m{line}\x1b[00m" for line in log.splitlines())
    assert [said(each.fault) for each in failures(coloured)] == ["sftp_missing/error_stopped"]


@pytest.mark.parametrize(
    "prefix",
    [
        "/var/log/nova/nova-compute.log:",
        "nova_compute  | ",
        "[pod/nova-compute-default-x7k2p/nova-compute] ",
        "2026-11-22T10:00:00.123456789Z stderr F ",
        "<14>1 2026-11-22T10:00:00.123Z compute1 nova-compute 4242 - - ",
        "Nov 22 10:00:00 compute1 nova-compute[4242]: ",
        "2026-11-22T10:00:00.123456+01:00 compute1 nova-compute[4242]: ",
    ],
)
@pytest.mark.parametrize("name", ["host_key_unknown", "sftp_missing", "undeletable_resize"])
def test_what_others_put_in_front_of_the_lines_does_not_hide_them(prefix: str, name: str) -> None:
    seen = recording(name)
    log = "".join(prefix + line + "\n" for line in seen.log.splitlines())
    assert [said(each.fault) for each in failures(log)] == seen.expected


def test_lines_wrapped_into_json_are_lines() -> None:
    seen = recording("host_key_unknown")
    docker = "".join(
        json.dumps({"log": line + "\n", "stream": "stderr", "time": "t"}) + "\n"
        for line in seen.log.splitlines()
    )
    journal = "".join(
        json.dumps({"_HOSTNAME": "compute1", "MESSAGE": "2026-11-22 " + message}) + "\n"
        for message in ("\n" + seen.log).split("\n2026-11-22 ")
    )
    for log in (docker, journal):
        assert [said(each.fault) for each in failures(log)] == seen.expected


def test_much_that_is_no_log_is_not_called_a_log_without_failures() -> None:
    for data in (b"\0" * (3 << 20), random.Random(1).randbytes(3 << 20), b"hello\n" * (1 << 19)):
        seen = nova_told.read([data], {})
        assert (seen.kind, seen.recognised) == ("text", False)


def test_the_host_of_a_json_log_is_known() -> None:
    (found,) = failures(recording("host_key_unknown_json").log)
    assert found.host == "compute1"


def test_a_log_that_begins_or_ends_in_the_middle_still_tells() -> None:
    lines = recording("host_key_unknown").log.splitlines()
    half = len(lines) // 2
    for part in (lines[half:], lines[:half]):
        assert [said(f.fault) for f in failures("\n".join(part))] == ["host_key_unknown/rollback"]


def test_arrivals_are_found_and_hangs_are_not_successes() -> None:
    arrived = nova_log.read([recording("succeeded_destination").log.encode()])
    assert [each.uuid[-2:] for each in arrived.finished] == ["02"]
    pending = (
        f"2026-11-22 10:10:00.000 4242 INFO nova.compute.manager [-] [instance: {GUEST}] During sync_power_state"
        " the instance has a pending task (resize_migrating). Skip.\n"
    )
    history = nova_log.read([pending.encode() * 3])
    assert [(each.uuid, each.doing) for each in history.unfinished] == [(GUEST, "resize_migrating")]
    log = pending + recording("host_key_unknown").log
    assert nova_log.read([log.encode()]).unfinished == []


def test_a_command_without_an_end_hangs() -> None:
    """The debug log stops after `Running cmd`."""
    log = recording("host_key_unknown_debug").log
    begun = log.partition("CMD ")[0].rpartition("\n")[0]
    (hanging,) = nova_log.read([begun.encode()]).unfinished
    assert (hanging.doing, hanging.uuid[-2:]) == ("touch", "05")


def days_of_log(size: int) -> Iterator[bytes]:
    """Much log with failures, lines without end and cuts anywhere."""
    quiet = (
        b"2026-11-22 10:00:00.000 4242 INFO nova.compute.resource_tracker [-] Final resource view\n"
        * 400
    )
    bad = recording("sftp_missing").log
    made = number = 0
    while made < size:
        number += 1
        text = bad.replace("5d6e7f809110", f"{number:012x}").replace(
            "4e5f60718010", f"{number:012x}"
        )
        for piece in (quiet, text.encode(), b"x" * 300_000, b"\n\xff\xfe"):
            made += len(piece)
            yield piece[:70_000]
            yield piece[70_000:]


def test_memory_does_not_grow_with_the_log() -> None:
    def peak(size: int) -> tuple[int, int]:
        tracemalloc.start()
        try:
            history = nova_told.read(days_of_log(size), {})
            return tracemalloc.get_traced_memory()[1], sum(s.count for s in history.stories)
        finally:
            tracemalloc.stop()

    small, few = peak(2 << 20)
    large, many = peak(20 << 20)
    assert many > few > 0
    assert large < small + (3 << 20)
    assert large < 12 << 20


def test_more_failures_than_are_kept_are_counted() -> None:
    bad = recording("host_key_unknown").log
    chunks = (
        bad.replace("5d6e7f809103", f"{n:012x}").replace("4e5f60718003", f"{n:012x}").encode()
        for n in range(600)
    )
    history = nova_log.read(chunks)
    assert len(history.failures) == 500
    assert history.dropped >= 100


def test_a_line_without_end_is_bounded() -> None:
    long = list(nova_lines.lines([b"a" * 1_000_000, b"b" * 1_000_000, b"\nlast"]))
    assert [len(line) for line in long] == [131_072, 4]


words = st.sampled_from(
    ["Command: scp -r ", "ssh c2 mkdir -p /", "Stderr: '", "Exit code: ", "\n", "@@@", "{", '{"message": "x", "traceback": 1}',
     "2026-11-22 10:00:00.000 1 ERROR nova.x [req-", "[instance: ", "+--+--+\n", "| fault | {'a': ", "File \"x.py\", line 1, in finish_resize",
     "\x1b[2J", "\\", "'", "- a: &a [*a]\n", "action: *x\n", "Nov 22 10:00:00 h p[1]: ", "rsync --archive ", "Resize error: not able to ", GUEST]
)  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(st.one_of(words, st.text(max_size=30)), max_size=30).map("".join),
    st.lists(st.binary(max_size=60), max_size=5),
)
def test_arbitrary_bytes_raise_nothing_and_print_nothing_hostile(
    text: str, more: list[bytes]
) -> None:
    data = text.encode("utf-8", "surrogatepass")
    for chunks in ([data], [data, *more], more, [data * 50]):
        seen = nova_told.read(chunks, {})
        for story in seen.stories:
            assert story.reason in REASONS
            for value in (story.saw, story.command, story.source, story.address, *story.guests):
                assert value.isprintable()
            assert story.prove.isprintable()
        assert all(note.isprintable() for note in seen.notes)
    nova_client.read(text)


@pytest.mark.parametrize(
    "piece",
    ["Command: ", "ssh -o a ", "\\n", "File \"x.py\", line 1, in x\n", "|", "{", "[", "Stderr: '\\", "a b ", "- ", "=\"", "details='"],
)  # fmt: skip
def test_megabytes_of_hostile_text_do_not_stall_us(piece: str) -> None:
    text = piece * (900_000 // len(piece))
    nova_told.read([text.encode()], {})
    of_text(text)
    of_text("Command: scp " + text)
