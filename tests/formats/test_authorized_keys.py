"""authorized_keys is judged as sshd judges it."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.formats import authorized_keys as ak
from agent.formats import key_options, keys
from agent.model import PublicKey

needs_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen"
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


def ed25519(seed: str) -> PublicKey:
    fields = (b"ssh-ed25519", hashlib.sha256(seed.encode()).digest())
    packed = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return PublicKey("ssh-ed25519", base64.b64encode(packed).decode())


A, B = ed25519("a"), ed25519("b")


def text(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def asked(*lines: str, address: str = "10.22.0.1") -> ak.Answer:
    return ak.accepts(text(*lines), A, address, NOW)


def state(options: str, address: str = "10.22.0.1") -> str:
    return asked(f"{options} {A.line}", address=address).state


# What is read


def test_an_entry_tells_its_options_without_quotes() -> None:
    [entry] = ak.parse(text("# note", rf'No-PTY,from="a,b",command="say \"hi, you\"" {A.line} me'))

    assert entry.number == 2
    assert entry.key == PublicKey(A.type, A.blob, "me")
    assert entry.options == (("no-pty", None), ("from", "a,b"), ("command", 'say "hi, you"'))
    assert entry.problem == ""


@pytest.mark.parametrize(
    "line",
    [
        "junk",
        A.line[:-3],
        f"ssh-rsa {A.blob}",
        f"\N{ZERO WIDTH NO-BREAK SPACE}{A.line}",
        f"no-pty, no-X11-forwarding {A.line}",
        f'command="open {A.line}',
        f"no-such-option {A.line}",
        f"restricted {A.line}",
        f"from=10.0.0.1 {A.line}",
        f'from="a",from="b" {A.line}',
        f'expiry-time="never" {A.line}',
        f'tunnel="tun0" {A.line}',
        f'permitopen="host" {A.line}',
        f'permitopen="host:0" {A.line}',
        f'environment="=x" {A.line}',
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_sshd_ignores_is_malformed_and_lets_nobody_in(line: str) -> None:
    assert ak.malformed(text("", "# note", line, B.line)) == (3,)
    assert asked(line).state != "accepted"


@pytest.mark.parametrize(
    "line",
    [
        A.line,
        f"  {A.line} comment",
        f"{A.line}\r",
        f"{A.line}\0junk",
        f"restrict,pty {A.line}",
        f"RESTRICT\t{A.line}",
        f"no-pty, {A.line}",
        f",,no-pty {A.line}",
        f'permitopen="[::1]:80",permitlisten="8080",permitopen="host:*",tunnel="0" {A.line}',
        f'environment="A=b c",environment="A=d" {A.line}',
    ],
)
def test_what_sshd_takes_lets_the_key_in(line: str) -> None:
    assert ak.malformed(text(line)) == ()
    assert asked(line).state == "accepted"


def test_keys_merged_by_a_careless_append_let_only_the_first_in() -> None:
    assert asked(f"{A.line} a{B.line}").state == "accepted"
    assert asked(f"{B.line} b{A.line}").state == "missing"
    assert asked(f"{B.line}{A.line}").state == "missing"


def test_a_nul_in_one_line_does_not_hide_the_next() -> None:
    assert asked("a\0b", A.line) == ak.Answer("accepted", 2, unrestricted=True)


# What is accepted


def test_the_first_line_that_accepts_wins_and_a_refused_one_does_not_stop_the_search() -> None:
    lines = (f'from="10.9.9.9" {A.line}', f'command="/bin/false" {A.line}', A.line)

    assert asked(*lines) == ak.Answer("accepted", 2, command="/bin/false", unrestricted=True)


def test_the_first_refusal_is_told() -> None:
    answer = asked(f"no-such-option {A.line}", f'from="10.9.9.9" {A.line}')

    assert (answer.state, answer.line) == ("refused", 1)
    assert answer.reason == "unknown key option no-such-option"


def test_a_key_that_is_not_there_is_missing() -> None:
    assert asked(f"# {A.line}", B.line) == ak.Answer("missing")


def test_restrict_is_noticed() -> None:
    assert not asked(f"restrict {A.line}").unrestricted
    assert asked(f"no-pty {A.line}").unrestricted


@pytest.mark.parametrize(
    ("networks", "address", "accepted"),
    [
        ("10.22.0.0/24", "10.22.0.1", True),
        ("10.22.0.0/24", "10.23.0.1", False),
        ("10.22.0.1", "10.22.0.1", True),
        ("10.22.*", "10.22.0.1", True),
        ("10.22.0.?", "10.22.0.12", False),
        ("!10.22.0.1,10.22.0.0/24", "10.22.0.1", False),
        ("10.22.0.0/24,!10.22.0.*", "10.22.0.1", False),
        ("!10.22.0.9,10.22.0.0/24", "10.22.0.1", True),
        ("!10.22.0.9", "10.22.0.1", False),
        ("compute1", "10.22.0.1", False),
        ("*", "10.22.0.1", True),
        ("10.22.0.1/24", "10.22.0.1", False),
        ("10.22.0.1,", "10.22.0.1", False),
        ("10.22.0.1,10.0.0.1/8", "10.22.0.1", False),
        ("0.0.0.0/0", "fd00::1", False),
        ("fd00::/8", "fd00::1", True),
        ("FD00:0::1", "fd00::1", True),
        ("fd00::*", "FD00:0:0::1", True),
        ("10.22.0.1", "::ffff:10.22.0.1", True),
        ("10.22.0.0/33", "10.22.0.1", False),
        ("10.22.0.0/x", "10.22.0.1", False),
    ],
)
def test_from_lets_in_whom_sshd_lets_in(networks: str, address: str, accepted: bool) -> None:
    assert state(f'from="{networks}"', address) == ("accepted" if accepted else "refused")


@pytest.mark.parametrize(
    ("networks", "possible"),
    [
        ("10.22.0.0/24", True),
        ("10.22.0.*", True),
        ("compute1", False),
        ("*.example.org", False),
        ("*.example.org,10.0.0.1", True),
        ("10.0.0.0/8,!*", False),
        ("!10.0.0.1", False),
        ("10.0.0.1/8", False),
        ("10.0.0.1,", False),
    ],
)
def test_an_unknown_address_is_refused_only_where_none_can_pass(
    networks: str, possible: bool
) -> None:
    assert state(f'from="{networks}"', "") == ("accepted" if possible else "refused")


@pytest.mark.parametrize(
    "option", ["cert-authority", 'principals="nova"', 'cert-authority,principals="nova"']
)
def test_a_line_for_certificates_takes_no_plain_key(option: str) -> None:
    assert state(option) == "refused"


@pytest.mark.parametrize(
    ("times", "accepted"),
    [
        ('expiry-time="20200101"', False),
        ('expiry-time="20261122115959Z"', False),
        ('expiry-time="202611221201Z"', True),
        ('expiry-time="20990101"', True),
        ('expiry-time="20990101",expiry-time="20200101"', False),
    ],
)
def test_an_expired_line_takes_no_key(times: str, accepted: bool) -> None:
    assert state(times) == ("accepted" if accepted else "refused")


def test_a_time_without_zone_is_local_to_the_observer() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=2)))

    assert ak.accepts(text(f'expiry-time="202611221300" {A.line}'), A, "", NOW).state == "accepted"
    assert ak.accepts(text(f'expiry-time="202611221300" {A.line}'), A, "", east).state == "refused"


def test_without_a_clock_nothing_has_expired() -> None:
    assert ak.accepts(text(f'expiry-time="20200101" {A.line}'), A).state == "accepted"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("20260101", datetime(2026, 1, 1)),
        ("202601012359z", datetime(2026, 1, 1, 23, 59, tzinfo=timezone.utc)),
        ("20260230UTC", datetime(2026, 3, 2, tzinfo=timezone.utc)),
        ("2026", None),
        ("20261301", None),
        ("2026010125", None),
        ("00000101", None),
        ("", None),
    ],
)
def test_expiry_times_are_those_of_sshd(written: str, meant: object) -> None:
    assert key_options.parse_expiry(written) == meant


# Hostile and large files

words = st.sampled_from(
    [
        "restrict",
        ",",
        '"',
        "\\",
        "from=",
        "command=",
        "no-pty",
        " ",
        "\t",
        "\n",
        "\0",
        "x",
        "=",
        A.line,
        B.line,
        "\xff",
        "#",
    ]
)


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(), st.lists(words).map(lambda parts: "".join(parts).encode("latin-1"))))
def test_no_content_is_too_strange(data: bytes) -> None:
    ak.malformed(data)
    ak.accepts(data, A, "10.0.0.1", NOW)


@settings(deadline=None, max_examples=150)
@given(
    st.text('0123456789abf.:/,*?!"\\ '), st.sampled_from(["", "10.22.0.1", "fd00::1", "%", "\0"])
)
def test_no_network_list_is_too_strange(networks: str, address: str) -> None:
    asked(f'from="{networks}" {A.line}', address=address)


@pytest.mark.parametrize(
    "junk", ['"' * 500_000, "," * 500_000, 'from="' * 100_000, "\\" * 500_000, "a " * 250_000]
)
def test_one_huge_line_is_no_burden(junk: str) -> None:
    assert asked(junk + f" {A.line}", A.line).line in (1, 2)


def test_many_lookups_in_a_large_file_are_quick() -> None:
    some = [ed25519(str(n)) for n in range(20_000)]
    index = ak.AuthorizedKeys.of(text(*(f'from="10.0.0.0/8" {key.line}' for key in some)))

    assert all(
        ak.accepts(index, key, "10.1.2.3").line == n + 1 for n, key in enumerate(some[:5_000])
    )


option_words = st.sampled_from(
    [
        "",
        "restrict ",
        "no-such ",
        'command="a b" ',
        'command="a \\" b",pty\t',
        'from="x ',
        "no-pty, pty ",
        "@x ",
        "\\",
        '"x ',
    ]
)
key_words = st.sampled_from(
    [A.line, B.line, A.line[:-2], f"ssh-rsa {A.blob}", "", "# x", f"ssh-ed25519\t{B.blob}"]
)


@needs_keygen
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(option_words, key_words, st.sampled_from(["", " me", "\r", " \0", "\0"])),
        max_size=10,
    )
)
def test_the_keys_read_are_those_ssh_keygen_lists(
    tmp_path: Path, parts: list[tuple[str, str, str]]
) -> None:
    file = tmp_path / "authorized_keys"
    file.write_bytes(text(*map("".join, parts)))
    listing = subprocess.run(["ssh-keygen", "-l", "-f", file], capture_output=True)
    listed = [
        word.decode() for word in re.findall(rb"^\d+ (SHA256:\S+)", listing.stdout, re.MULTILINE)
    ]

    assert [keys.fingerprint(entry.key) for entry in ak.parse(file.read_bytes())] == listed


# What we write


@pytest.mark.parametrize("networks", ["", "10.22.0.0/24,fd00::/8"])
def test_our_line_is_recognised_and_lets_its_key_in(networks: str) -> None:
    line = ak.entry_line("compute1", A, networks)

    assert ak.owner_of(line) == ak.owner_of(line + b"\r") == "compute1"
    assert ak.accepts(line, A, "10.22.0.1", NOW) == ak.Answer("accepted", 1)


def test_our_line_has_a_fixed_form() -> None:
    line = ak.entry_line("compute1", A, "10.22.0.0/24")

    assert line == f'restrict,from="10.22.0.0/24" {A.line} resize-agent:compute1'.encode()


@pytest.mark.parametrize(
    "raw",
    [
        A.line,
        f"{A.line} resize-agent:compute1",
        f"restrict {A.line} resize-agent:",
        f"restrict {A.line} resize-agent:compute1 x",
        f"restrict {A.line} see resize-agent:compute1",
        f"# restrict {A.line} resize-agent:compute1",
        f'restrict,command="x" {A.line} resize-agent:compute1',
        f"restrict ssh-rsa {A.blob} resize-agent:compute1",
        f"restrict,pty {A.line} resize-agent:compute1",
        f"  restrict {A.line} resize-agent:compute1",
    ],
)
def test_a_line_that_merely_mentions_us_is_not_ours(raw: str) -> None:
    assert ak.owner_of(raw.encode()) is None


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("", ""),
        ("a b", ""),
        ("a\n", ""),
        ("ä", ""),
        ("a", 'x"'),
        ("a", "10.0.0.1/8"),
        ("a", "compute1"),
        ("a", "a b"),
    ],
)
def test_a_line_that_would_mean_something_else_is_never_written(name: str, networks: str) -> None:
    with pytest.raises(ValueError):
        ak.entry_line(name, A, networks)
