"""known_hosts is read as ssh reads it, and ssh's word about a host key is foretold."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.formats import known_hosts as kh
from agent.formats.host_key_verdict import HostKeyVerdict, verdict
from agent.model import PublicKey

needs_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen"
)

BASE_POINT = bytes.fromhex(
    "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
OTHER_Y = (PRIME - int.from_bytes(BASE_POINT[33:], "big")).to_bytes(32, "big")


def public(kind: str, *fields: bytes) -> PublicKey:
    packed = b"".join(len(f).to_bytes(4, "big") + f for f in (kind.encode(), *fields))
    return PublicKey(kind, base64.b64encode(packed).decode())


def ed25519(seed: int) -> PublicKey:
    return public("ssh-ed25519", hashlib.sha256(bytes([seed])).digest())


ED, ED_OLD, ED_OTHER = ed25519(1), ed25519(2), ed25519(3)
RSA = public("ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 256)
RSA_OLD = public("ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xfe" * 256)
ECDSA = public("ecdsa-sha2-nistp256", b"nistp256", BASE_POINT)
ECDSA_OLD = public("ecdsa-sha2-nistp256", b"nistp256", BASE_POINT[:33] + OTHER_Y)
SERVER = (RSA, ECDSA, ED)
MODERN = (
    "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,"
    "rsa-sha2-512-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,"
    "sk-ssh-ed25519@openssh.com,rsa-sha2-512,rsa-sha2-256",
)
OLD_CLIENT = (
    "ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-512,ssh-rsa",
)


def hashed(name: str, salt: bytes = b"s" * 20) -> str:
    digest = hmac.new(salt, name.encode(), "sha1").digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


def text(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


def judged(
    name: str, *lines: str, keys: Sequence[PublicKey] = SERVER, algorithms: Sequence[str] = MODERN
) -> tuple[str, int]:
    said = verdict(kh.KnownHosts.of([("f", text(*lines))]), name, keys, algorithms)
    return said.state, said.line


def found(data: bytes, name: str) -> list[int]:
    return [entry.number for _, entry in kh.KnownHosts.of([("f", data)]).find(name)]


# What is read


def test_an_entry_tells_marker_patterns_and_key() -> None:
    [entry] = kh.parse(text("# note", f"@revoked a,b* {ED.line} it is stolen"))

    assert entry.number == 2
    assert (entry.marker, entry.patterns, entry.hashed) == ("@revoked", "a,b*", False)
    assert entry.key == PublicKey(ED.type, ED.blob, "it is stolen")


@pytest.mark.parametrize(
    "line",
    [
        "junk",
        f"host {ED.line[:-5]}",
        f"host ssh-rsa {ED.blob}",
        f"a, b {ED.line}",
        f"@foo host {ED.line}",
        f"@revoked @revoked host {ED.line}",
        f"\N{ZERO WIDTH NO-BREAK SPACE}{ED.line}",
        f"|1|c2FsdA==|c2FsdA== {ED.line}",
        f"host # {ED.line}",
        f"host{ED.line}",
    ],
)
def test_what_ssh_skips_is_malformed(line: str) -> None:
    data = text("", "  # note", line, f"good {ED.line}")

    assert kh.malformed(data) == (3,)
    assert [entry.number for entry in kh.parse(data)] == [4]


def test_blank_lines_and_nul_holes_are_nothing() -> None:
    assert kh.malformed(b"\n \t\n\r\n" + bytes(4096) + b"\n") == ()


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(),
        st.lists(
            st.sampled_from(
                [b"@revoked ", b"|1|", b"AAAA", b"a", b" ", b"\n", b"\0", b"\xff", b"ssh-rsa"]
            )
        ).map(b"".join),
    )
)
def test_no_content_is_too_strange(data: bytes) -> None:
    kh.malformed(data)
    kh.KnownHosts.of([("f", data)]).find("a")


# What is found


def test_files_are_searched_in_the_order_given() -> None:
    known = kh.KnownHosts.of(
        [("user", text(f"b {ED.line}", f"a {ED.line}")), ("global", text(f"* {RSA.line}"))]
    )

    assert [(file, entry.number) for file, entry in known.find("a")] == [("user", 2), ("global", 1)]


@pytest.mark.parametrize(
    ("address", "port", "name"),
    [
        ("Compute1.Example", 22, "compute1.example"),
        ("10.0.0.1", 2222, "[10.0.0.1]:2222"),
        ("fd00:0:0::2", 22, "fd00::2"),
        ("FD00::2", 22, "fd00::2"),
        ("FE80::1%eth0", 22, "fe80::1%eth0"),
        ("fd00::2", 2222, "[fd00::2]:2222"),
        ("::FFFF:10.0.0.1", 22, "::ffff:10.0.0.1"),
        ("::ffff:a00:1", 22, "::ffff:10.0.0.1"),
        ("::1", 22, "::1"),
        ("::", 22, "::"),
        ("010.022.000.002", 22, "8.18.0.2"),
        ("127.1", 22, "127.0.0.1"),
        ("1.2.3.256", 22, "1.2.3.256"),
        ("", 22, ""),
    ],
)
def test_ssh_looks_up_the_canonical_name(address: str, port: int, name: str) -> None:
    assert kh.lookup_name(address, port) == name


names = st.sampled_from(["a", "ab", "b.c", "10.0.0.1", "10.0.0.12", "[a]:2222", "fd00::2"])
patterns = st.one_of(
    names,
    st.text("ab.c*?!,[]:01", min_size=1, max_size=8),
    st.sampled_from(
        ["*", "A", "10.0.0.*", "10.0.0.?", "*,!a", "!*", "a,", ",a", "[*]:2222", "a*b*", "*.?"]
    ),
    st.sampled_from(["x" * 1022 + ",*", "*,x" + "x" * 1022]),
)
host_lists = st.one_of(
    st.lists(patterns, min_size=1, max_size=3).map(",".join),
    names.map(hashed),
    names.map(lambda name: hashed(name, b"t" * 20)),
    names.map(lambda name: hashed(name, b"short")),
    names.map(lambda name: hashed(name) + "x"),
)
blanks = st.sampled_from([" ", "\t", "  ", " \t"])
key_texts = st.sampled_from(
    [
        *(key.line for key in (ED, RSA, ECDSA)),
        f"rsa-sha2-512 {RSA.blob}",
        f"ssh-ed25519\t{ED.blob}",
        f"ssh-rsa {ED.blob}",
        ED.line[:-2],
        f"ssh-ed25519 {ED.blob[:20]}\r{ED.blob[20:]}",
        f"ecdsa-sha2-nistp256 {ECDSA.blob[:-4]}AAA=",
        "# " + ED.line,
        "1024 35 1234",
        "",
    ]
)
comments = st.sampled_from(["", " comment", "\tx y", " # x", "\0junk", " \0"])
host_lines = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "", " ", "\t", "#", "\N{ZERO WIDTH NO-BREAK SPACE}", "\0"]),
        st.sampled_from(
            [
                "",
                "",
                "",
                "@revoked ",
                "@cert-authority\t",
                "@foo ",
                "@revoked\t ",
                "@ ",
                "@revoked @revoked ",
            ]
        ),
        host_lists,
        blanks,
        key_texts,
        comments,
    ),
)


@st.composite
def known_hosts_files(draw: st.DrawFn) -> bytes:
    content = b""
    for line in draw(st.lists(st.one_of(host_lines, st.text(max_size=6)), max_size=12)):
        content += line.encode("utf-8") + draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    return content if draw(st.booleans()) else content.rstrip(b"\n")


def keygen_finds(file: Path, name: str) -> list[int]:
    """With -l ssh-keygen reads the keys too, exactly as ssh does."""
    listing = subprocess.run(["ssh-keygen", "-l", "-F", name, "-f", file], capture_output=True)
    return [
        int(number)
        for number in re.findall(rb"^# Host .* found: line (\d+)", listing.stdout, re.MULTILINE)
    ]


@needs_keygen
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(known_hosts_files(), st.lists(names, min_size=2, max_size=2, unique=True))
def test_the_lines_found_are_those_ssh_finds(
    tmp_path: Path, data: bytes, wanted: list[str]
) -> None:
    file = tmp_path / "known_hosts"
    file.write_bytes(data)

    for name in wanted:
        assert found(data, name) == keygen_finds(file, name), name


@needs_keygen
def test_a_file_hashed_by_ssh_keygen_is_found(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    file.write_bytes(text(f"10.0.0.1,compute1 {ED.line}", f"[10.0.0.1]:2222 {RSA.line}"))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    data = file.read_bytes()

    assert [
        len(found(data, name)) for name in ("10.0.0.1", "compute1", "[10.0.0.1]:2222", "x")
    ] == [1, 1, 1, 0]


def test_many_lookups_in_a_large_file_are_quick() -> None:
    data = text(*(f"10.{n >> 8}.{n & 255}.1,c{n},c{n}.* {ED.line}" for n in range(20_000)))
    known = kh.KnownHosts.of([("f", data)])

    assert all(len(known.find(f"c{n}.example")) == 1 for n in range(5_000))


# What ssh says


def test_a_known_key_is_known() -> None:
    assert judged("h", f"h {ED.line}") == ("known", 1)


def test_a_host_nobody_mentions_is_unknown() -> None:
    assert judged("h", f"g {ED.line}") == ("unknown", 0)


def test_a_changed_key_names_the_line() -> None:
    assert judged("h", f"g {ED.line}", f"h {ED_OLD.line}") == ("changed", 2)


def test_one_right_line_is_enough() -> None:
    assert judged("h", f"h {ED_OLD.line}", f"h {ED.line}") == ("known", 2)


def test_a_right_line_in_another_file_is_enough() -> None:
    known = kh.KnownHosts.of([("user", text(f"h {ED_OLD.line}")), ("global", text(f"h {ED.line}"))])

    assert verdict(known, "h", SERVER, MODERN) == HostKeyVerdict(
        "known", "global", 1, "ssh-ed25519"
    )


def test_a_wrong_favourite_beats_right_keys_of_other_types() -> None:
    lines = (f"h {ED_OLD.line}", f"h {ECDSA.line}", f"h {RSA.line}")

    assert judged("h", *lines) == ("changed", 1)
    assert judged("h", *lines, algorithms=OLD_CLIENT) == ("known", 2)


def test_a_wrong_ecdsa_line_beats_a_right_rsa_line() -> None:
    assert judged("h", f"h {ECDSA_OLD.line}", f"h {RSA.line}") == ("changed", 1)


def test_a_stale_line_of_a_type_not_shown_does_no_harm() -> None:
    assert judged("h", f"h {RSA_OLD.line}", f"h {ED.line}") == ("known", 2)


def test_a_type_the_client_knows_is_asked_for_first() -> None:
    assert judged("h", f"h {RSA.line}") == ("known", 1)
    assert judged("h", f"h {ECDSA.line}") == ("known", 1)


def test_a_server_without_the_known_type_has_changed() -> None:
    assert judged("h", f"h {RSA.line}", keys=(ECDSA, ED)) == ("changed", 1)


def test_a_revoked_key_is_refused_even_where_a_plain_line_has_it() -> None:
    assert judged("h", f"h {ED.line}", f"@revoked * {ED.line}") == ("revoked", 2)


def test_a_revoked_type_is_avoided_when_another_is_known() -> None:
    lines = (f"h {ED.line}", f"@revoked * {ED.line}", f"h {RSA.line}")

    assert judged("h", *lines) == ("known", 3)


def test_an_authority_alone_cannot_be_judged() -> None:
    assert judged("h", f"@cert-authority * {ED_OTHER.line}") == ("cert_authority_only", 0)


def test_a_plain_key_beside_an_authority_is_known() -> None:
    assert judged("h", f"@cert-authority * {ED_OTHER.line}", f"h {ED.line}") == ("known", 2)


def test_an_unusual_port_falls_back_to_the_bare_name_only_when_it_is_new() -> None:
    assert judged("[h]:2222", f"h {ED.line}") == ("known", 1)
    assert judged("[h]:2222", f"h {ED_OLD.line}") == ("unknown", 0)
    assert judged("[h]:2222", f"h {ED.line}", f"[h]:2222 {ED_OLD.line}") == ("changed", 2)
    assert judged("[h]:2222", f"@revoked h {ED.line}") == ("revoked", 1)


def test_the_usual_port_is_never_written_in_brackets() -> None:
    assert judged("h", f"[h]:22 {ED.line}") == ("unknown", 0)


@pytest.mark.parametrize("algorithms", [(), ("ssh-dss",), ("unheard-of",)])
def test_nothing_in_common_is_unknown_without_a_key_type(algorithms: tuple[str, ...]) -> None:
    known = kh.KnownHosts.of([("f", text(f"h {ED.line}"))])

    assert verdict(known, "h", SERVER, algorithms) == HostKeyVerdict("unknown")


def test_the_type_negotiated_is_told() -> None:
    known = kh.KnownHosts.of([("f", text(f"h {RSA_OLD.line}"))])

    assert verdict(known, "h", SERVER, MODERN).key_type == "ssh-rsa"


# What we write


def test_our_line_is_recognised_and_found() -> None:
    line = kh.entry_line(["10.0.0.1", "[10.0.0.1]:2222", "compute1"], ED)

    assert kh.is_ours(line)
    assert found(line, "[10.0.0.1]:2222") == [1]


@pytest.mark.parametrize(
    "raw",
    [
        f"h {ED.line}",
        f"h {ED.line} resize-agent too",
        f"h {ED.line} not-resize-agent",
        f"#h {ED.line} resize-agent",
        f"@revoked h {ED.line} resize-agent",
        f"h* {ED.line} resize-agent",
        f"h ssh-rsa {ED.blob} resize-agent",
        "resize-agent",
    ],
)
def test_a_line_that_merely_mentions_us_is_not_ours(raw: str) -> None:
    assert not kh.is_ours(raw.encode())


@pytest.mark.parametrize(
    "names", [[], [""], ["a b"], ["a,b"], ["*"], ["!a"], ["a\n"], ["#a"], ["@revoked"], ["|1|"]]
)
def test_a_name_that_would_mean_more_than_itself_is_never_written(names: list[str]) -> None:
    with pytest.raises(ValueError, match="not host names"):
        kh.entry_line(names, ED)


def test_our_file_is_the_same_whatever_the_order() -> None:
    hosts = [(("b", "10.0.0.2"), (ED,)), (("a",), (RSA, ECDSA)), (("a",), (RSA,))]
    written = kh.render(hosts)

    assert written == kh.render(hosts[::-1])
    assert len(kh.parse(written)) == 3
    assert kh.malformed(written) == ()
    assert all(kh.is_ours(entry.raw) for entry in kh.parse(written))


def test_our_file_tells_what_it_is() -> None:
    header = kh.render([])

    assert all(line.startswith(b"#") for line in header.splitlines())
    assert b"/etc/resize-agent/peers.d" in header
