"""What is read from the answers of `openstack server show`, `event show` and `event list`."""

from __future__ import annotations

import json
import textwrap

import pytest

from agent.formats import nova_told
from tests.formats.nova_recordings import GUEST, recording

ADMIN = "OS-EXT-SRV-ATTR:host"


def shown(data: dict[str, object]) -> str:
    """The client's table."""
    rows = [(key, str(value).split("\n")) for key, value in data.items()]
    wide = max(len(line) for _, lines in rows for line in lines)
    border = f"+{'-' * 42}+{'-' * (wide + 2)}+"
    lines = [border, f"| {'Field':<40} | {'Value':<{wide}} |", border]
    for key, parts in rows:
        lines += [f"| {k:<40} | {part:<{wide}} |" for k, part in zip([key] + [""] * 99, parts)]
    return "\n".join([*lines, border]) + "\n"


def as_shell(data: dict[str, object]) -> str:
    lines = []
    for key, value in data.items():
        text = str(value).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'{key.lower().replace("-", "_")}="{text}"')
    return "\n".join(lines) + "\n"


def as_values(data: dict[str, object]) -> str:
    """`-f value` prints no names."""
    return "\n".join(map(str, data.values())) + "\n"


FORMATS = {
    "table": shown,
    "json": lambda data: json.dumps(data, indent=2),
    "shell": as_shell,
    "value": as_values,
}


def in_words(data: dict[str, object]) -> str:
    """As the client prints a mapping in a table."""
    return ", ".join(f"{key}='{value}'" for key, value in sorted(data.items()))


def wrapped(text: str, width: int) -> str:
    return "\n".join("\n".join(textwrap.wrap(line, width)) for line in text.split("\n"))


def told(text: str) -> list[str]:
    stories = nova_told.read([text.encode()], {}).stories
    return [f"{story.reason}/{story.state}" for story in stories]


@pytest.mark.parametrize("kind", FORMATS)
def test_server_show_with_the_fault_of_a_failed_copy(kind: str) -> None:
    trace = recording("sftp_missing").log.partition("Traceback")[2]
    fault = {"code": 500, "message": "ProcessExecutionError", "details": trace}
    data = {"id": GUEST, "status": "ERROR", ADMIN: "compute1", "fault": fault}
    text = FORMATS[kind](data)
    assert told(text) == ["sftp_missing/error_stopped"]
    cut = {"code": 500, "message": "ProcessExecutionError"}
    assert told(FORMATS[kind]({**data, "fault": cut})) == ["unclassified/error_stopped"]


@pytest.mark.parametrize("width", [50, 75, 120, 10_000])
def test_a_table_that_is_made_to_fit_the_terminal_says_the_same(width: int) -> None:
    whole = recording("sftp_missing").exception
    fault = in_words({"code": 500, "message": "ProcessExecutionError", "details": whole})
    table = shown({"id": GUEST, "status": "ERROR", "fault": wrapped(fault, width)})
    assert told(table) == ["sftp_missing/error_stopped"]
    listed = wrapped(in_words({**event(), "hostId": "abc"}), width)
    (story,) = nova_told.read([shown({**EVENTS, "events": listed}).encode()], {}).stories
    assert (story.reason, story.state, story.source) == (
        "host_key_unknown",
        "rollback",
        "compute1",
    )


def test_a_fault_that_is_none_of_a_resize_is_not_called_none() -> None:
    fault = {"code": 500, "message": "No valid host was found. "}
    seen = nova_told.read([shown({"id": GUEST, "status": "ERROR", "fault": fault}).encode()], {})
    assert seen.stories == []
    assert seen.notes == [
        "The fault is none of a resize that is known here: No valid host was found. "
    ]


def test_events_without_an_end_are_not_called_successes() -> None:
    seen = nova_told.read([shown({**EVENTS, "events": "whatever this is"}).encode()], {})
    assert seen.stories == []
    assert "-f json" in seen.notes[0]


def test_server_show_of_a_rolled_back_one_sends_to_the_events() -> None:
    seen = nova_told.read([shown({"id": GUEST, "status": "ACTIVE", "name": "x"}).encode()], {})
    assert seen.kind == "openstack"
    assert seen.stories == []
    assert any("server event list" in note for note in seen.notes)


def test_server_show_of_one_that_hangs_and_of_one_that_arrived() -> None:
    hanging = {"id": GUEST, "status": "RESIZE", "OS-EXT-STS:task_state": "resize_migrating"}
    assert told(shown(hanging)) == ["too_slow/hang"]
    arrived = nova_told.read([shown({"id": GUEST, "status": "VERIFY_RESIZE"}).encode()], {})
    assert [each.uuid for each in arrived.finished] == [GUEST]


@pytest.mark.parametrize("kind", FORMATS)
def test_what_hangs_on_the_destination_is_told_of_that_host(kind: str) -> None:
    data = {"id": GUEST, "OS-EXT-STS:task_state": "resize_migrated", ADMIN: "compute2"}
    (story,) = nova_told.read([FORMATS[kind](data).encode()], {}).stories
    assert (story.state, story.impact) == ("hang_destination", "hang")
    assert (story.source, story.destination) == ("", "" if kind == "value" else "compute2")


def test_a_task_that_uses_no_ssh_is_no_story_of_ours() -> None:
    data = {"id": GUEST, "OS-EXT-STS:task_state": "resize_reverting", "status": "REVERT_RESIZE"}
    seen = nova_told.read([shown(data).encode()], {})
    assert seen.stories == []
    assert "resize_reverting, in which Nova uses no ssh" in seen.notes[0]


def event(name: str = "host_key_unknown") -> dict[str, object]:
    return {
        "details": recording(name).api,
        "event": "compute_resize_instance",
        "host": "compute1",
        "result": "Error",
        "traceback": None,
    }


EVENTS: dict[str, object] = {
    "action": "migrate",
    "instance_uuid": GUEST,
    "message": "Error",
    "request_id": "req-6a7b8c9d-0e1f-4a2b-8c3d-4e5f60718003",
}
WHOLE = [{"event": "compute_prep_resize", "result": "Success", "details": None}, event()]


def test_server_event_show_in_the_clients_formats() -> None:
    listed = in_words(event())
    texts = [
        as_values({**EVENTS, "events": WHOLE}),
        f"{GUEST}\n{WHOLE}\n",
        shown({**EVENTS, "events": WHOLE}),
        shown({**EVENTS, "events": listed}),
        json.dumps({**EVENTS, "events": WHOLE}),
        json.dumps({**EVENTS, "events": str(WHOLE)}),
        as_shell({**EVENTS, "events": WHOLE}),
        "action: migrate\n"
        f"instance_uuid: {GUEST}\nevents:\n- event: compute_resize_instance\n  host: compute1\n  result: Error\n"
        f"  details: {json.dumps(recording('host_key_unknown').api)}\n",
    ]
    for text in texts:
        assert told(text) == ["host_key_unknown/rollback"], text
        (story,) = nova_told.read([text.encode()], {"10.100.0.32": "compute2"}).stories
        assert (story.source, story.destination) == ("compute1", "compute2"), text
        assert story.guests == (GUEST,)


def test_events_that_all_succeeded_say_what_remains_for_the_guest() -> None:
    ended = {"event": "compute_finish_resize", "result": "Success", "host": "compute2"}
    for events in ([WHOLE[0], ended], [ended]):
        seen = nova_told.read([json.dumps({**EVENTS, "events": events}).encode()], {})
        assert [(each.uuid, each.host) for each in seen.finished] == [(GUEST, "compute2")]
        assert seen.notes == []


def test_server_event_list_names_the_one_to_show() -> None:
    header = ["Request ID", "Server ID", "Action", "Start Time", "Message"]
    rows = [["req-1", GUEST, "migrate", "t", "Error"], ["req-2", GUEST, "create", "t", "None"]]
    border = "+" + "+".join("-" * 42 for _ in header) + "+"
    table = [border, "| " + " | ".join(f"{cell:<40}" for cell in header) + " |", border]
    table += ["| " + " | ".join(f"{cell:<40}" for cell in row) + " |" for row in rows]
    for text in (
        "\n".join([*table, border]),
        json.dumps([dict(zip(header, row)) for row in rows]),
    ):
        notes = nova_told.read([text.encode()], {}).notes
        assert len(notes) == 1
        assert f"server event show {GUEST} req-1" in notes[0]
