"""YAML is read as plain values with their lines; everything cleverer is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.document import DocumentError, Entry, load


def refusal(text: bytes, limit: int = 1 << 20) -> str:
    with pytest.raises(DocumentError) as caught:
        load(text, "F", limit)
    return str(caught.value)


def keys(text: bytes) -> dict[str, Entry]:
    return dict(load(text, "F").keys or {})


def test_values_keep_their_text_and_type() -> None:
    found = keys(b"a: x\nb: 0x1F\nc: yes\nd: 1.50\ne: ~\nf: '7'\ng: 2026-11-22\n")
    assert [(e.type, e.text) for e in found.values()] == [
        ("str", "x"),
        ("int", "0x1F"),
        ("bool", "yes"),
        ("float", "1.50"),
        ("null", "~"),
        ("str", "7"),
        ("timestamp", "2026-11-22"),
    ]


@given(
    st.sampled_from(["", "'", '"']),
    st.one_of(st.text("0123456789.-+:eExX_~nulyNtrfa", max_size=9), st.text(max_size=20)),
)
@settings(max_examples=300, deadline=None)
def test_a_word_has_the_type_that_yaml_gives_it(quote: str, word: str) -> None:
    text = f"{quote}{word}{quote}"
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        found = load(text, "F")
    except (yaml.YAMLError, DocumentError):
        return
    if isinstance(node, yaml.ScalarNode) and not node.tag.endswith(":null"):
        assert (f"tag:yaml.org,2002:{found.type}", found.text) == (node.tag, node.value)


def test_a_value_is_at_the_line_of_its_key() -> None:
    found = keys(b"# note\na:\n  - x\n  - y\nb: {c: 1}\n")
    assert (found["a"].line, found["b"].line) == (2, 5)
    assert [item.line for item in found["a"].items] == [3, 4]


@pytest.mark.parametrize("text", [b"", b"\n\n", b"# only a note\n", b"---\n", b"---\n# note\n..."])
def test_an_empty_text_is_an_empty_mapping(text: bytes) -> None:
    assert keys(text) == {}


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfa: 1\n", b"a: 1\r\n"], ids=["BOM", "CRLF"])
def test_how_an_editor_saves_does_not_matter(text: bytes) -> None:
    assert keys(text)["a"].text == "1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: 1\nb: 2\na: 3\n", "F:3: 'a': given twice"),
        (b"a:\n  b: 1\n  b: 1\n", "F:3: 'b': given twice"),
        (b"a: 1\nb: *x\n", "F:2: aliases are not allowed"),
        (b"a: &x 1\nb: *x\n", "F:2: aliases are not allowed"),
        (b"\na: !secret x\n", "F:2: only plain"),
        (b"a: !!python/object/apply:os.system [id]\n", "F:1: only plain"),
        (b"a: !!binary aGk=\n", "F:1: only plain"),
        (b"!x a: 1\n", "F:1: a key must be a word"),
        (b"? [a]\n: 1\n", "F:1: a key must be a word"),
        (b"a: 1\n\xff: 2\n", "F:2: is not UTF-8 text"),
        (b"a: [1\nb: 2\n", "F:2: is not valid YAML"),
        (b"a: 1\n  b: 2\n", "F:2: is not valid YAML"),
        (b"\ta: 1\n", "F:1: is not valid YAML"),
        (b"a: 1\n---\na: 2\n", "F:2: is not valid YAML"),
        (b"a: \x1b[2J\n", "F: is not valid YAML"),
        ("a: 1\n".encode("utf-16"), "F:1: is not UTF-8 text"),
    ],
)
def test_a_refusal_names_file_and_line(text: bytes, said: str) -> None:
    assert refusal(text).startswith(said)


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- ", b"? ", b"{a: ["])
@pytest.mark.parametrize("times", [40, 13000])
def test_deep_nesting_is_refused_without_hurting_the_process(opening: bytes, times: int) -> None:
    assert refusal(opening * times).startswith("F:1: is nested too deeply")


def test_a_long_list_is_not_deep() -> None:
    assert len(keys(b"a: [" + b"[], " * 1000 + b"]\n")["a"].items) == 1000


def test_too_large_a_text_is_not_parsed() -> None:
    assert refusal(b"a" * 11, limit=10) == "F: is larger than 10 bytes"
    assert load(b"a: b" + b" " * 6, "F", 10).keys is not None


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_hostile_bytes_are_read_or_refused_and_nothing_else(text: bytes) -> None:
    try:
        load(text, "F")
    except DocumentError as error:
        assert str(error).startswith("F")


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet=":-?[]{},&*!|>'\"%@`# \nab~<=", max_size=60))
def test_all_of_yamls_own_marks_are_read_or_refused(text: str) -> None:
    try:
        load(text, "F")
    except DocumentError as error:
        assert str(error).startswith("F")
