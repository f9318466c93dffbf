"""The manual pages, the completion and the commented configuration say what the program says."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
import yaml

from agent.formats import record
from agent.model import Record, Storage
from agent.options import parser
from agent.settings import Settings, parse, shown
from tests.hosts import a_peer

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
PAGES = sorted((PACKAGING / "man").iterdir())
# Without a word for "unset" in YAML these cannot be shown at their default.
UNSET = {
    *("nova.release", "nova.instances_path", "client.run", "client.container"),
    *("server.run", "server.user", "server.port"),
}


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of every command; that of plain `agent` under ""."""
    top = parser()
    [subs] = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
    return {"": top, **subs.choices}


def long_options(one: argparse.ArgumentParser) -> set[str]:
    return {o for action in one._actions for o in action.option_strings if o.startswith("--")}


def offered_choices() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for name, one in commands().items():
        for action in one._actions:
            if action.choices and action.option_strings:
                yield name, action.option_strings[-1], tuple(action.choices)


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_page_is_well_formed(page: Path):
    done = subprocess.run([needs("mandoc"), "-Tlint", page], capture_output=True, text=True)

    # What this one machine has no manual of is not the page's fault.
    said = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert said == []


def test_manual_page_has_every_option_and_no_other():
    text = (PACKAGING / "man" / "agent.1").read_text()
    told = {f"--{word}" for word in re.findall(r"Fl -([a-z][a-z-]*)", text)}

    assert told == set().union(*map(long_options, commands().values()))


def test_manual_page_has_every_command():
    text = (PACKAGING / "man" / "agent.1").read_text()

    for name in commands():
        assert not name or re.search(rf"^\.Cm {name}$", text, re.MULTILINE), name


def test_manual_page_has_every_setting():
    text = (PACKAGING / "man" / "resize-agent.yaml.5").read_text()
    told = re.findall(r"^\.It Ic ([a-z_.]+) :", text, re.MULTILINE)

    assert sorted(told) == sorted(key for key, _, _ in shown(Settings()))


def examples(page: str) -> list[str]:
    text = (PACKAGING / "man" / page).read_text()
    return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)


def test_manual_page_of_records_has_every_key_and_no_other():
    whole = Record("a", True, PurePosixPath("a.yaml"), storage=Storage("/", "ext4", "/dev/vda1"))
    written = yaml.safe_load(record.render(whole))
    text = (PACKAGING / "man" / "resize-agent-peer.5").read_text()
    [shown, gone] = [yaml.safe_load(each) for each in examples("resize-agent-peer.5")]

    assert re.findall(r"^\.It Ic ([a-z_]+) :", text, re.MULTILINE) == list(written)
    assert list(shown) == list(written) and shown["schema"] == written["schema"]
    for key in ("nova", "storage"):
        assert list(shown[key]) == list(written[key])
    tombstone = Record("compute9", False, PurePosixPath("compute9.yaml"))
    assert gone == yaml.safe_load(record.render(tombstone))


def bash_offers(*words: str) -> set[str]:
    """What the completion offers for the last of `words`."""
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agent_resize; '
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    argv = ["bash", "--norc", "-c", script, "x", str(PACKAGING / "completion" / "agent.bash")]
    done = subprocess.run([*argv, *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {word for word in done.stdout.split("\n") if word}


@pytest.mark.parametrize("name", sorted(commands()))
def test_bash_offers_the_options_of_each_command(name: str):
    words = ["agent", name, "--"] if name else ["agent", "--"]

    assert bash_offers(*words) == long_options(commands()[name])


def test_bash_offers_the_commands():
    assert bash_offers("agent", "") == set(commands()) - {""}


@pytest.mark.parametrize(("name", "option", "choices"), list(offered_choices()))
def test_bash_offers_the_values(name: str, option: str, choices: tuple[str, ...]):
    before = ["agent", name] if name else ["agent"]

    assert bash_offers(*before, option, "") == set(choices)
    assert bash_offers(*before, option, "=", "") == set(choices)


def zsh_specs(*words: str) -> dict[str, str]:
    """What the completion tells `_arguments` for a command: option -> the rest of its specification."""
    # zsh's own _arguments works inside its line editor alone, so we stand in for it and listen.
    script = '_arguments() { print -rl -- "$@" }; _describe() { : }; line=($2); '
    script += "functions[_run]=\"$(<$1)\"; _run; [[ -n $2 ]] && { print -- '---'; _agent_sub $2 }"
    argv = [needs("zsh"), "-f", "-c", script, "x", str(PACKAGING / "completion" / "_agent")]
    done = subprocess.run([*argv, *(words or [""])], capture_output=True, text=True)
    assert done.stderr == ""
    told = done.stdout.rpartition("---\n")[2].splitlines()
    found = (re.match(r"(?:\*|\([^)]*\))?(--?[a-z-]+)(.*)", line) for line in told)
    return {m[1]: m[2] for m in found if m and m[1] not in ("-C", "-h", "-q", "-v")}


@pytest.mark.parametrize("name", sorted(commands()))
def test_zsh_offers_the_options_of_each_command(name: str):
    assert set(zsh_specs(name)) == long_options(commands()[name])


@pytest.mark.parametrize(("name", "option", "choices"), list(offered_choices()))
def test_zsh_offers_the_values(name: str, option: str, choices: tuple[str, ...]):
    assert zsh_specs(name)[option].endswith(f":({' '.join(choices)})")


def uncommented() -> bytes:
    """The configuration file with every setting's `#` taken away; prose has one blank after its own."""
    text = (PACKAGING / "agent.yaml").read_text()
    return re.sub(r"^#(?=[a-z]|  [a-z])", "", text, flags=re.MULTILINE).encode()


def test_configuration_file_as_installed_sets_nothing():
    installed = (PACKAGING / "agent.yaml").read_bytes()

    assert parse([("agent.yaml", installed)]) == Settings()


def test_configuration_file_has_every_key():
    told = parse([("agent.yaml", uncommented())]).origin

    assert set(told) == {key for key, _, _ in shown(Settings())}


def test_configuration_file_shows_the_defaults():
    told = parse([("agent.yaml", uncommented())])
    unset = {key.replace(".", "_"): None for key in UNSET}

    assert replace(told, origin={}, **unset) == replace(Settings(), origin={})


def test_what_has_no_default_is_said_to_be_an_example():
    lines = (PACKAGING / "agent.yaml").read_text().splitlines()

    for key in UNSET:
        word = f"#  {key.split('.')[1]}:"
        found = [n for n, line in enumerate(lines) if line.startswith(word)]
        assert found and all("Not set; an example" in lines[at - 1] for at in found)


def test_the_recipe_for_a_fleet_finds_the_name_in_a_record(tmp_path: Path):
    """docs/install.md; tests/ansible/test_recipe.py runs the whole of it on hosts, and takes its time."""
    [command] = re.findall(
        r"\$\((sed -n .*? new)\)", (PACKAGING.parent / "docs/install.md").read_text()
    )
    (tmp_path / "new").write_text(record.render(a_peer("compute-2.example.org")))
    found = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout == "compute-2.example.org\n"
