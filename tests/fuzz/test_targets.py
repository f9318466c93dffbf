"""Every reader, on good inputs damaged at random: no crash, nothing printed raw, no line smuggled into what ssh reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.formats import record
from agent.model import Record
from tests.fuzz.corpus import RECORD, WORDS, seeds
from tests.fuzz.targets import FILE, TARGETS, written_lines

SEEDS = seeds()
FOUND = Path(__file__).parent / "found"
"""Inputs that once broke a promise, TARGET.NUMBER."""

words = st.sampled_from(WORDS).map(lambda word: word.encode("utf-8", "surrogatepass"))
pieces = st.one_of(words, st.binary(max_size=12), words.map(lambda word: word * 40))
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), pieces), max_size=6)


def damaged(seed: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for where, cut, noise in changes:
        at = int(where * len(seed))
        seed = seed[:at] + noise + seed[at + cut :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_reader_keeps_its_promises(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS[name]))
    TARGETS[name](damaged(seed, data.draw(edits)))
    TARGETS[name](data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize("name", TARGETS)
def test_what_it_starts_from_is_fine(name: str) -> None:
    assert SEEDS[name]
    for seed in SEEDS[name]:
        TARGETS[name](seed)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*")), ids=lambda path: path.name)
def test_what_was_found_once_is_fine_now(path: Path) -> None:
    assert path.stem in TARGETS
    TARGETS[path.stem](path.read_bytes())


def listed(path: Path, text: bytes) -> list[str]:
    """The keys that ssh-keygen finds in such a file, as it prints them."""
    path.write_bytes(text)
    done = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=edits)
def test_ssh_reads_one_key_in_each_line_a_record_makes_us_write(
    tmp_path: Path, changes: list[tuple[float, int, bytes]]
) -> None:
    told = record.parse(FILE, damaged(RECORD, changes))
    if not isinstance(told, Record) or not told.present:
        told = record.parse(FILE, RECORD)
    assert isinstance(told, Record)
    hosts, users = written_lines(told)
    for number, (texts, keys) in enumerate(((hosts, told.host_keys), (users, told.user_keys))):
        if texts:
            shown = listed(tmp_path / str(number), b"".join(line + b"\n" for line in texts))
            assert len(shown) == len(texts) == len(keys)
