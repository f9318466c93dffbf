from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.formats import authorized_keys, known_hosts, lines
from agent.formats.authorized_keys import AuthorizedKeys
from agent.formats.trust import HostTrust, Login, UserTrust, accepts, bare, lookup_names
from tests.hosts import a_key

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
NAMES = ["compute2", "compute3", "compute4", "10.100.0.2", "10.100.0.3", "[10.100.0.4]:8022"]
names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
keys = st.sampled_from([a_key(seed) for seed in "abcd"])
host_lines = st.lists(
    st.one_of(
        st.builds(known_hosts.entry_line, names, keys),
        st.builds(lambda n, k: f"@revoked {n[0]} {k.line}".encode(), names, keys),
        st.sampled_from([b"# note", b"junk", b""]),
    )
).map(b"\n".join)
TRUST = HostTrust(
    hosts=((("10.100.0.2", "compute2"), (a_key("a"), a_key("b"))),),
    claimed=frozenset({"10.100.0.2", "compute2"}),
    services=frozenset({"compute2"}),
    withdrawn=frozenset({"compute3"}),
)


@given(host_lines)
def test_our_file_is_settled_after_one_writing(old):
    once = TRUST.whole_file(old)
    assert TRUST.whole_file(once) == once
    assert TRUST.outdated(once) == ()


@given(host_lines)
def test_our_file_never_loses_a_revocation_nor_what_no_record_speaks_about(old):
    def told(text):
        for entry in known_hosts.parse(text):
            for name in entry.patterns.split(","):
                yield entry.marker, name, entry.key.line

    for marker, name, key in told(old):
        alone = [e for e in known_hosts.parse(old) if e.key.line == key]
        spoken = any(
            {bare(n) for n in e.patterns.split(",")} & {"10.100.0.2", "compute2", "compute3"}
            for e in alone
        )
        if marker or not spoken:
            assert (marker, name, key) in set(told(TRUST.whole_file(old)))


logins = st.lists(
    st.builds(
        Login,
        st.sampled_from(["compute2", "compute3", "compute4"]),
        st.sampled_from(["", "10.100.0.2", "10.99.0.2"]),
        st.lists(keys, max_size=2, unique=True).map(tuple),
    ),
    max_size=3,
    unique_by=lambda login: login.name,
).map(tuple)
trusts = st.builds(
    UserTrust,
    logins,
    st.frozensets(st.sampled_from(["compute5", "compute6"])),
    st.sampled_from(["", "10.100.0.0/16"]),
)
hosts = st.sampled_from(["compute2", "compute3", "compute4", "compute5", "compute6", "compute7"])
key_lines = st.lists(
    st.one_of(
        st.builds(authorized_keys.entry_line, hosts, keys),
        st.builds(lambda h, k: authorized_keys.entry_line(h, k, "10.100.0.0/16"), hosts, keys),
        st.builds(lambda k: f'from="10.98.0.0/16" {k.line}'.encode(), keys),
        st.builds(lambda k: k.line.encode(), keys),
        st.sampled_from([b"# note", b"junk", b""]),
    )
).map(b"\n".join)


def edited(trust, text):
    change = trust.edit(AuthorizedKeys.of(text), (), NOW)
    return lines.result(text, change.present, change.absent)


@given(trusts, key_lines)
def test_an_edit_is_settled_after_one_writing(trust, text):
    once = edited(trust, text)
    change = trust.edit(AuthorizedKeys.of(once), (), NOW)
    assert (lines.missing(once, change.present), change.absent) == ((), ())


@given(trusts, key_lines)
def test_an_edit_touches_no_line_of_somebody_else(trust, text):
    before = [e.raw for e in authorized_keys.parse(text) if not authorized_keys.owner_of(e.raw)]
    after = [
        e.raw
        for e in authorized_keys.parse(edited(trust, text))
        if not authorized_keys.owner_of(e.raw)
    ]
    assert after == before


@given(trusts, key_lines)
def test_a_key_that_was_accepted_for_a_host_with_a_record_still_is(trust, text):
    before, after = AuthorizedKeys.of(text), AuthorizedKeys.of(edited(trust, text))
    for login in trust.logins:
        for key in login.keys:
            allowed = trust.line(login, key) is not None
            if allowed and accepts([before], key, login.address, NOW).state == "accepted":
                assert accepts([after], key, login.address, NOW).state == "accepted"


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "0.0.0.0", "", "a b", "*.example"])
def test_names_that_would_vouch_for_everybody_are_left_out(name):
    assert lookup_names([name, "compute2"], 22) == ("compute2",)


def test_a_port_is_part_of_the_name_except_22():
    assert lookup_names(["FD00::2", "fd00:0::2"], 22) == ("fd00::2",)
    assert lookup_names(["10.0.0.2"], 8022) == ("[10.0.0.2]:8022",)
