"""What a container engine is asked, and what its answer says about the program."""

from __future__ import annotations

import pytest

from agent.formats import engine


def test_a_program_is_started_as_nova_with_its_environment_and_ended_inside() -> None:
    words = engine.execute(
        "/usr/bin/podman", "nova_compute", "nova", {"LC_ALL": "C"}, ["ssh", "-v", "host"], 20
    )

    assert words == [
        *("/usr/bin/podman", "exec", "--user", "nova", "--env", "LC_ALL=C", "nova_compute"),
        *("timeout", "--signal=KILL", "21.0", "ssh", "-v", "host"),
    ]


@pytest.mark.parametrize(
    ("stderr", "missing", "nothing"),
    [
        ("timeout: failed to run command 'ssh': No such file or directory", True, False),
        ("Error: No such container: nova_compute", False, True),
        ("Error response from daemon: container 1 is not running", False, True),
        ("OCI runtime exec failed: exec failed: unable to start", False, True),
        ("ssh: connect to host a port 22: Connection refused", False, False),
    ],
)
def test_the_engine_s_own_failure_says_nothing_about_the_program(
    stderr: str, missing: bool, nothing: bool
) -> None:
    assert (engine.says_missing(stderr), engine.says_nothing(stderr)) == (missing, nothing)
