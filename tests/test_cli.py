"""The command as an operator starts it: what it prints, where, and the status it ends with."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agent
from agent import commands
from agent.checks import catalogue
from agent.model import Outcome
from agent.options import parser
from agent.reasons import REASONS, Side
from tests.host.ground import NOVA_ID, contents, ground, needs_root
from tests.reports import a_failure, a_report, a_row, result

TOP = Path(agent.__file__).resolve().parents[1]
CHECKS = {check.id for check in catalogue()}
Done = subprocess.CompletedProcess[str]


def run(*arguments: object, **more: Any) -> Done:
    """In an environment without a locale, as cron has it."""
    said = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    said.update(more.pop("env", {}))
    program = [sys.executable, *more.pop("program", ["-m", "agent"])]
    argv = [*more.pop("before", []), *program, *map(str, arguments)]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": TOP, **more}
    return subprocess.run(argv, env=said, **told)


def refused(done: Done, *words: str) -> None:
    """Status 2, nothing on stdout, one sentence and no traceback on stderr."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def an_image(place: Path) -> Path:
    """A compute node that is not running: accounts, nova.conf, no live side."""
    for directory in ("etc/nova", "etc/ssh", "etc/resize-agent/peers.d", "var/lib/nova/instances"):
        (place / directory).mkdir(parents=True)
    (place / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/bash\nnova:x:64060:64060::/var/lib/nova:/bin/false\n"
    )
    (place / "etc/group").write_text("root:x:0:\nnova:x:64060:\n")
    (place / "etc/shadow").write_text("root:*:1::::::\nnova:!:1::::::\n")
    (place / "etc/nova/nova.conf").write_text("[DEFAULT]\nhost = compute1\nmy_ip = 10.100.0.1\n")
    (place / "bin").mkdir()
    (place / "bin/bash").touch(0o755)
    return place


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """To look at."""
    with ground() as place:
        yield an_image(place)


@pytest.fixture
def own_tree() -> Iterator[Path]:
    """To change."""
    with ground() as place:
        yield an_image(place)


def inventory(directory: Path) -> list[tuple[str, int, int]]:
    """Every inode below, with what a write would change."""
    return sorted(
        (str(path), path.lstat().st_mtime_ns, path.lstat().st_ino) for path in directory.rglob("*")
    )


# Without looking at anything


def test_the_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"resize-agent {agent.__version__}\n")


def test_the_help_teaches_commands_and_statuses() -> None:
    done = run("--help")
    assert done.returncode == 0
    for words in (
        "agent --fix --dry-run",
        "agent facts",
        "agent explain",
        "exit status:",
        "3 cannot tell",
    ):
        assert words in done.stdout


def test_the_list_of_checks() -> None:
    done = run("--list-checks")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines()} == CHECKS
    assert all(
        line.split()[1] in ("source", "destination", "both") for line in done.stdout.splitlines()
    )


def test_a_reason_is_explained() -> None:
    done = run("explain", "sftp_missing")
    assert done.returncode == 0 and REASONS["sftp_missing"].cause in done.stdout


def test_everything_there_is_to_explain_is_listed() -> None:
    done = run("explain")
    assert done.returncode == 0
    assert all(word in done.stdout for word in [*CHECKS, *REASONS])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explain", "sftp_mising"), ("did you mean", "sftp_missing")),
        (("explain", "\x1b[2J"), (r"\x1b[2J",)),
        (("--only", "no_such_check"), ("no_such_check", "--list-checks")),
        (("--skip", "no_such_check"), ("no_such_check",)),
        (("--dry-run",), ("--fix",)),
        (("--diff",), ("--fix",)),
        (("--prune",), ("--fix",)),
        (("--fix", "--prune", "101"), ("0 to 100",)),
        (("--fix", "--prune", "nan"), ("0 to 100",)),
        (("--root", "/no/such/tree"), ("--root /no/such/tree",)),
        (("--config", "/no/such/file"), ("/no/such/file: No such file or directory",)),
        (("--config", "/etc"), ("/etc: Is a directory",)),
        (("--no-such-option",), ("usage:",)),
        (("no-such-command",), ("usage:",)),
        (("--timeout", "0"), ("seconds",)),
        (("--timeout", "soon"), ("--timeout",)),
        (("--peer-timeout", "nan"), ("seconds",)),
        (("--format", "xml"), ("--format",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_refused(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    refused(run(*arguments), *words)


# The configuration


@pytest.mark.parametrize("command", [(), ("facts",), ("config", "check"), ("--fix",)])
def test_a_broken_configuration_names_file_line_and_key(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text("user: nova\n\nprobe:\n  peers: many\n")
    refused(run(*command, "--config", config), f"{config}:4: probe.peers: expected a whole number")


def test_a_broken_drop_in_is_named_as_the_tree_calls_it(tree: Path) -> None:
    drop_ins = tree / "etc/resize-agent/conf.d"
    drop_ins.mkdir()
    try:
        (drop_ins / "10.yaml").write_text("usr: nova\n")
        refused(run("--root", tree), "/etc/resize-agent/conf.d/10.yaml:1: usr: unknown key")
    finally:
        (drop_ins / "10.yaml").unlink()
        drop_ins.rmdir()


@pytest.mark.parametrize("name", [".50-hidden.yaml", "50-old.yml", "50-backup.yaml~"])
def test_a_drop_in_is_what_a_shell_means_by_its_pattern(own_tree: Path, name: str) -> None:
    drop_ins = own_tree / "etc/resize-agent/conf.d"
    drop_ins.mkdir()
    (drop_ins / name).write_text("nonsense: 1\n")
    assert run("--root", own_tree, "config", "check").returncode == 0


def test_the_configuration_shows_where_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("\ninterval: 90\n")
    done = run("config", "show", "--config", tmp_path / "a.yaml")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert rows["interval"].split()[1:] == ["90", "#", f"{tmp_path}/a.yaml:2"]
    assert rows["user"].split()[1:] == ["nova", "#", "default"]


def test_the_configuration_can_be_checked(tree: Path) -> None:
    assert run("config", "check", "--root", tree).returncode == 0


# An image


def test_an_image_is_judged_without_being_touched(tree: Path) -> None:
    before = inventory(tree)
    done = run("--root", tree)
    assert done.returncode in (1, 3), done.stderr
    assert done.stdout.startswith("compute1: PARTIAL\n")
    assert "FAIL login_shell" in done.stdout
    assert "Not looked at" in done.stdout.splitlines()[-1] + done.stdout.splitlines()[-2]
    assert inventory(tree) == before


def test_the_report_of_an_image_is_partial_and_valid(tree: Path) -> None:
    import jsonschema

    done = run("--root", tree, "--format", "json")
    report = json.loads(done.stdout)
    schema = json.loads((TOP / "agent/report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(report)
    assert (report["host"], report["scope"], report["ready"]) == ("compute1", "partial", None)
    assert report["roles"]["destination"]["ready"] is False


def test_one_check_alone_decides_the_status(tree: Path) -> None:
    done = run("--root", tree, "--only", "login_shell", "--format", "json")
    report = json.loads(done.stdout)
    assert [check["id"] for check in report["checks"]] == ["login_shell"]
    assert done.returncode == 1
    assert run("--root", tree, "--only", "nova_user").returncode == 0


def test_a_check_that_is_left_out_is_not_in_the_report(tree: Path) -> None:
    done = run("--root", tree, "--skip", "login_shell", "--format", "json")
    assert {check["id"] for check in json.loads(done.stdout)["checks"]} == CHECKS - {"login_shell"}


@needs_root
def test_a_dry_run_shows_the_plan_and_changes_nothing(tree: Path) -> None:
    before = inventory(tree)
    done = run("--root", tree, "--fix", "--dry-run", "--diff")
    assert done.returncode == 4, done.stderr
    assert "set the login shell of nova to " in done.stdout
    assert inventory(tree) == before


@needs_root
def test_a_fix_does_what_the_dry_run_showed_and_then_nothing_is_left(own_tree: Path) -> None:
    planned = run("--root", own_tree, "--fix", "--dry-run", "--format", "json")
    fixed = run("--root", own_tree, "--fix", "--format", "json")
    steps = [step["action"] for step in json.loads(planned.stdout)["plan"]["steps"]]
    report = json.loads(fixed.stdout)
    assert [(done["action"], done["result"]) for done in report["applied"]] == [
        (step, "done") for step in steps
    ]
    assert report["plan"]["steps"] == []
    assert "nova:/bin/bash" in (own_tree / "etc/passwd").read_text()

    before = inventory(own_tree / "etc"), inventory(own_tree / "var")
    again = json.loads(run("--root", own_tree, "--fix", "--format", "json").stdout)
    assert again["applied"] == []
    assert (inventory(own_tree / "etc"), inventory(own_tree / "var")) == before


@needs_root
@needs_root
def test_an_image_is_not_pruned_and_not_fixed_on_the_way(own_tree: Path) -> None:
    before = inventory(own_tree / "etc")
    refused(run("--root", own_tree, "--fix", "--prune"), "--prune: whom this host trusts")
    assert inventory(own_tree / "etc") == before


def test_an_image_gets_no_key_pair(own_tree: Path) -> None:
    run("--root", own_tree, "--fix")
    assert [p.name for p in own_tree.rglob("id_*")] == []


@needs_root
def test_a_second_fix_is_told_that_another_is_at_work(own_tree: Path) -> None:
    lock = own_tree / "run/lock/resize-agent.lock"
    lock.parent.mkdir(parents=True)
    before = inventory(own_tree / "etc")
    with open(lock, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run("--root", own_tree, "--fix")
    assert (done.returncode, done.stdout) == (5, "")
    assert "another agent --fix" in done.stderr
    assert inventory(own_tree / "etc") == before


def test_the_record_of_an_image_cannot_be_known(tree: Path) -> None:
    done = run("facts", "--root", tree)
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot be known" in done.stderr


def test_a_bad_peer_record_is_a_warning_with_its_line(tree: Path) -> None:
    record = tree / "etc/resize-agent/peers.d/compute2.yaml"
    record.write_text("schema: 1\nname: compute2\naddress: 127.0.0.1\n")
    try:
        done = run("--root", tree, "--only", "records", "--format", "json")
    finally:
        record.unlink()
    [check] = json.loads(done.stdout)["checks"]
    assert (check["outcome"], done.returncode) == ("warn", 0)
    assert check["findings"][0]["reason"] == "record_invalid"
    assert check["findings"][0]["subject"].startswith("/etc/resize-agent/peers.d/compute2.yaml:")


# Without privilege


# A first run as root loads every module: the tests' Python may lie where only root can read.
AS_USER = f"""
import contextlib, io, os, sys
from agent import cli
with contextlib.redirect_stdout(io.StringIO()):
    cli.main([word for word in sys.argv[1:] if word != "--fix"])
os.setgroups([])
os.setresgid({NOVA_ID}, {NOVA_ID}, {NOVA_ID})
os.setresuid({NOVA_ID}, {NOVA_ID}, {NOVA_ID})
sys.exit(cli.main(sys.argv[1:]))
"""


def as_user(tree: Path, *arguments: object) -> Done:
    return run("--root", tree, *arguments, program=["-c", AS_USER])


@needs_root
def test_only_root_may_fix(tree: Path) -> None:
    before = inventory(tree)
    refused(as_user(tree, "--fix"), "run it as root")
    assert inventory(tree) == before


@needs_root
def test_an_ordinary_user_gets_a_report_and_no_traceback(tree: Path) -> None:
    (tree / "etc/shadow").chmod(0o600)
    done = as_user(tree, "--format", "json")
    assert done.returncode in (1, 3) and "Traceback" not in done.stderr
    assert json.loads(done.stdout)["ready"] is None


# Signals


def heard() -> None:
    """Tests that run in the background of a shell have Ctrl-C ignored, and hand that down."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(number: int, tree: Path, *arguments: object) -> Done:
    """`number` arrives while the command reads its configuration, which is empty."""
    config = tree.parent / "slow.yaml"
    os.mkfifo(config)
    argv = [sys.executable, "-m", "agent", "--root", tree, "--config", config, *arguments]
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": TOP}
    try:
        with subprocess.Popen([*map(str, argv)], **told, preexec_fn=heard) as process:
            with open(config, "w"):  # opens when it is read
                process.send_signal(number)
            stdout, stderr = process.communicate()
    finally:
        config.unlink()
    return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("arguments", [(), ("--fix",), ("--fix", "--dry-run")])
def test_an_interrupted_run_tells_what_it_found(
    own_tree: Path, number: int, arguments: tuple[str, ...]
) -> None:
    if "--fix" in arguments and os.geteuid() != 0:
        pytest.skip("only root may fix")
    done = interrupted(number, own_tree, *arguments, "--format", "json")
    assert done.returncode == 128 + number, done.stderr
    report = json.loads(done.stdout)
    assert report["interrupted"] is True and report["applied"] == []
    assert {check["id"] for check in report["checks"]} == CHECKS


@pytest.mark.parametrize("command", [("facts",), ("config", "show")])
def test_who_interrupts_a_short_command_sees_no_traceback(
    own_tree: Path, command: tuple[str, ...]
) -> None:
    done = interrupted(signal.SIGINT, own_tree, *command)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")


# Peers that do not accept us yet


@pytest.mark.parametrize("side", ["ready", "NOT ready"])
def test_a_fix_says_that_peers_do_not_accept_us_yet(
    capsys: pytest.CaptureFixture[str], side: str
) -> None:
    refused_there = [a_row(Outcome.FAIL, Side.PEER, name=f"compute{n}") for n in range(2, 39)]
    own = [result(a_failure())] if side == "NOT ready" else []
    arguments = parser().parse_args(["--fix"])
    commands._show(arguments, a_report(*own, peers=tuple(refused_there)))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"local side {side}; 0 of 37 peers accept me yet"


# Pipes, colours, places


@pytest.mark.parametrize("argument", ["--list-checks", "explain", "--help"])
def test_a_reader_that_has_gone_is_no_reason_to_complain(argument: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(argument, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_colour_is_for_terminals_and_for_who_asks(tree: Path) -> None:
    shown = ("--root", tree, "--only", "login_shell")
    assert "\x1b" not in run(*shown).stdout
    assert "\x1b[31m" in run(*shown, "--color", "always").stdout
    assert "\x1b" not in run(*shown, "--color", "never").stdout


def test_quiet_says_only_what_is_wrong(tree: Path) -> None:
    done = run("--root", tree, "--only", "nova_user", "-q")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 3


def test_output_that_the_locale_cannot_spell_is_no_crash(tree: Path) -> None:
    done = run("--root", tree, "-v", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert "Traceback" not in done.stderr


def test_the_folder_copied_anywhere_runs(tmp_path: Path) -> None:
    (tmp_path / "agent").symlink_to(TOP / "agent")
    done = run("--version", cwd=tmp_path)
    assert done.stdout == f"resize-agent {agent.__version__}\n"


def test_a_plain_run_saves_nothing(tree: Path) -> None:
    run("--root", tree)
    assert contents(tree / "var/lib") == ["nova"]


WITHOUT = """
import sys
sys.modules["prometheus_client"] = None
from agent import cli
sys.exit(cli.main(["exporter", "--listen", "127.0.0.1:0"]))
"""


def test_a_library_that_is_missing_is_named() -> None:
    done = run(program=["-c", WITHOUT])
    told = "agent: the Python module prometheus_client is not installed here\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", told)
