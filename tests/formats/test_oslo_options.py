"""The real oslo.config judges how files and environment read."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pathlib import PurePosixPath as Pure
from typing import Any, Optional

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.formats.oslo_options import Options, Problem, Value, parse

cfg = pytest.importorskip("oslo_config.cfg", reason="oslo.config, the judge, is not installed")

DEFAULTS: Mapping[tuple[str, str], Optional[str]] = {
    ("DEFAULT", "host"): "compute1",
    ("DEFAULT", "my_ip"): "10.0.0.1",
    ("DEFAULT", "state_path"): "/var/lib/nova",
    ("DEFAULT", "instances_path"): "$state_path/instances",
    ("DEFAULT", "tempdir"): None,
    ("libvirt", "migration_inbound_addr"): "$my_ip",
    ("libvirt", "images_type"): "default",
    ("image_cache", "subdirectory_name"): "_base",
}
OLD_NAME = ("DEFAULT", "image_cache_subdirectory_name")


def oslo(files: Sequence[bytes], environ: Mapping[str, str]) -> dict[tuple[str, str], Any]:
    """Each option's value by oslo.config, or the error; {} where a file does not parse."""
    conf = cfg.ConfigOpts()
    for (group, name), default in DEFAULTS.items():
        old = [cfg.DeprecatedOpt(OLD_NAME[1], group="DEFAULT")] if group == "image_cache" else []
        option = cfg.StrOpt(name, default=default, deprecated_opts=old)
        conf.register_opt(option, group=None if group == "DEFAULT" else group)
    logging.getLogger("oslo_config").disabled = True
    logging.getLogger("oslo_config.cfg").disabled = True
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        argv = []
        for number, content in enumerate(files):
            path = Path(directory, f"{number}.conf")
            path.write_bytes(content)
            argv.append(f"--config-file={path}")
        for name, value in environ.items():
            patch.setenv(name, value)
        try:
            conf(argv, project="nova", default_config_files=[], default_config_dirs=[])
        except (cfg.ConfigFileParseError, UnicodeDecodeError):
            return {}
        return {option: _asked(conf, *option) for option in DEFAULTS}


def _asked(conf: cfg.ConfigOpts, group: str, name: str) -> Any:
    try:
        return conf[name] if group == "DEFAULT" else conf[group][name]
    except (cfg.Error, RecursionError) as error:
        return error


def ours(files: Sequence[bytes], environ: Mapping[str, str]) -> dict[tuple[str, str], Value]:
    named = [(Pure(f"/etc/nova/{number}.conf"), text) for number, text in enumerate(files)]
    old = {("image_cache", "subdirectory_name"): [OLD_NAME]}
    options = parse(named, environ).with_defaults(DEFAULTS, old)
    if options.problems:
        return {}
    return {option: options.get(*option) for option in DEFAULTS}


def agree(files: Sequence[bytes], environ: Mapping[str, str]) -> None:
    theirs, found = oslo(files, environ), ours(files, environ)
    assert bool(theirs) == bool(found)
    for option, value in found.items():
        expected = theirs[option]
        if isinstance(expected, Exception):
            assert value.problems, option
        else:
            assert not value.problems, option
            assert value.text == expected, option


names = st.sampled_from([name for _, name in DEFAULTS] + [OLD_NAME[1], "MY_IP", "unused"])
references = st.sampled_from(
    ["$my_ip", "${my_ip}", "$state_path", "$tempdir", "$host", "${libvirt.images_type}", "$nope",
     "${image_cache.subdirectory_name}", "${DEFAULT.host}", "$host.", "${LIBVIRT.images_type}",
     "$$", r"\$", r"\$$host", "$", "${", "${}", "$1", "$host-x", "$MY_IP",
     "$libvirt", "$instances_path"]
)  # fmt: skip
plain = st.sampled_from(["/srv", "10.0.0.9", "a b", "x # no comment", "'", '"', "%s.mig", "", "é"])
quoted = st.sampled_from(["'{}'", '"{}"', "'{}\"", "{}", " {} ", "\t{}", "''{}''"])
values = st.builds(
    lambda pieces, quotes: quotes.format("".join(pieces)),
    st.lists(st.one_of(plain, references), max_size=3),
    quoted,
)
assignments = st.builds(
    lambda name, separator, value: name + separator + value,
    names,
    st.sampled_from([" = ", "=", ":", " : ", "\t=\t", " "]),
    values,
)
headers = st.sampled_from(
    ["[DEFAULT]", "[libvirt]", "[image_cache]", "[LIBVIRT]", "[default]", "[DEFAULT] "]
)
odd = st.sampled_from(["", "# comment", "; comment", "  more", "\tmore", "   ", "\x0c", "\u2003"])
wrong = st.sampled_from(["[", "[]", "[x", "junk", "= x", ": x", " ", "\ufeff[DEFAULT]", "[ ]"])
usual_lines = st.one_of(assignments, assignments, assignments, headers, odd)
usual = st.lists(usual_lines, max_size=12).map(lambda lines: ["[DEFAULT]", *lines])
any_lines = st.lists(st.one_of(usual_lines, wrong), max_size=8)
texts = st.builds(
    lambda lines, end: end.join([*lines, ""]).encode(),
    st.one_of(usual, usual, any_lines),
    st.sampled_from(["\n", "\n", "\r\n", "\r"]),
)
environs = st.dictionaries(
    st.sampled_from(["OS_DEFAULT__MY_IP", "OS_LIBVIRT__IMAGES_TYPE", "OS_DEFAULT__TEMPDIR"]),
    values,
    max_size=2,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(texts, min_size=1, max_size=2), environs)
@example([b"[DEFAULT]\nmy_ip = $my_ip\n"], {})
@example([b"[DEFAULT]\nmy_ip = a\n  b\n\n"], {})
@example([b"[DEFAULT]\nmy_ip = a\n# c\n  b\n"], {})
@example([b"my_ip = a\n"], {})
@example([b"[DEFAULT]\nmy_ip = \xff\n"], {})
@example([b"[DEFAULT]\nmy_ip = a\0b\n"], {})
@example(
    [b"[image_cache]\nsubdirectory_name=n\n", b"[DEFAULT]\n" + OLD_NAME[1].encode() + b"=o"], {}
)
def test_every_option_reads_as_oslo_config_reads_it(
    files: list[bytes], environ: dict[str, str]
) -> None:
    agree(files, environ)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"")))
def test_garbage_is_refused_exactly_where_oslo_config_refuses_it(text: bytes) -> None:
    agree([b"[DEFAULT]\n" + text], {})


def read(text: str, environ: Optional[Mapping[str, str]] = None) -> Options:
    return parse([(Pure("/etc/nova/nova.conf"), text.encode())], environ or {})


def test_a_value_knows_its_file_and_line() -> None:
    options = read("# head\n[DEFAULT]\nmy_ip = 10.0.0.1\n   more\nhost = c1\n")
    assert options.get("DEFAULT", "host") == Value("c1", "/etc/nova/nova.conf:5")
    assert options.get("DEFAULT", "my_ip") == Value("10.0.0.1\nmore", "/etc/nova/nova.conf:3")


def test_the_environment_beats_files_and_is_substituted_too() -> None:
    options = read("[DEFAULT]\nmy_ip=1.1.1.1\nhost=h\n", {"OS_DEFAULT__MY_IP": "$host"})
    assert options.get("DEFAULT", "my_ip") == Value("h", "environment OS_DEFAULT__MY_IP")


def test_a_default_of_the_caller_is_substituted() -> None:
    options = read("[DEFAULT]\nstate_path=/srv\n")
    assert options.get("DEFAULT", "x", "$state_path/y") == Value("/srv/y", "default")
    assert options.get("DEFAULT", "x") == Value(None, "default")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[DEFAULT]\n  my_ip = 1\n", 2),
        ("[DEFAULT]\n\nmy_ip\n", 3),
        ("my_ip = 1\n", 1),
        ("[DEFAULT\n", 1),
        ("[DEFAULT]\r\n= x\r\n", 2),
    ],
)
def test_a_mistake_names_its_line(text: str, line: int) -> None:
    (problem,) = read(text).problems
    assert problem.where == f"/etc/nova/nova.conf:{line}"


def test_an_unknown_substitution_is_a_problem_where_it_stands() -> None:
    value = read("[DEFAULT]\nhost=$nope\nmy_ip=$host\n").get("DEFAULT", "my_ip")
    assert value.text is None
    assert value.problems == (Problem("$nope names no known option", "/etc/nova/nova.conf:2"),)


def test_a_circle_is_a_problem() -> None:
    value = read("[DEFAULT]\nhost=$my_ip\nmy_ip=$host\n").get("DEFAULT", "my_ip")
    assert [problem.message for problem in value.problems] == ["$my_ip refers to itself"]


def test_a_file_made_to_explode_does_not() -> None:
    doubling = "".join(f"a{n} = $a{n + 1}$a{n + 1}\n" for n in range(40))
    assert read(f"[DEFAULT]\n{doubling}a40 = x\n").get("DEFAULT", "a0").problems
    assert read(f"[DEFAULT]\n{doubling}a40 =\n").get("DEFAULT", "a0").text == ""
    chain = "".join(f"a{n} = $a{n + 1}\n" for n in range(5000))
    assert read(f"[DEFAULT]\n{chain}a5000 = x\n").get("DEFAULT", "a0").problems
