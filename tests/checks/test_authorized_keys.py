from dataclasses import replace
from ipaddress import ip_network

import pytest

from agent.checks.authorized_keys import CHECK
from agent.formats import authorized_keys, lines
from agent.model import Absent, HaveLines, MakeDirectory, Outcome, Records, Unreadable
from agent.settings import Settings
from tests.hosts import (
    KEYS,
    NOVA_UID,
    SSH,
    P,
    a_directory,
    a_file,
    a_host,
    a_key,
    a_peer,
    a_server,
    a_tombstone,
    novas,
)

OWN, PEER = a_key("nova@compute1"), a_key("nova@compute2")
HEALTHY = a_host().files[KEYS].content
OWN_LINE = authorized_keys.entry_line("compute1", OWN)
PEER_LINE = authorized_keys.entry_line("compute2", PEER)


def evaluate(text=None, want=None, **changes):
    files = {**({KEYS: novas(text)} if text is not None else {}), **changes.pop("files", {})}
    return list(CHECK.evaluate(a_host(files=files, **changes), want or Settings()))


def seen(found):
    return {(f.outcome, f.reason, f.peer) for f in found if f.outcome is not Outcome.PASS}


def action(found):
    [only] = {a for f in found for a in f.fix if isinstance(a, HaveLines)}
    return only


def fixes(found):
    return {a for f in found for a in f.fix}


def after(found):
    edit = action(found)
    return lines.result(edit.observed or b"", edit.present, edit.absent)


def text(*raws):
    return b"".join(raw + b"\n" for raw in raws)


def test_a_peer_whose_key_is_accepted_passes():
    found = evaluate()
    assert seen(found) == set() and fixes(found) == set()


def test_a_missing_key_is_added_and_then_passes():
    found = evaluate(text(OWN_LINE))
    assert seen(found) == {(Outcome.FAIL, "user_key_missing", "compute2")}
    assert action(found) == HaveLines(
        KEYS, (PEER_LINE,), (), 0o600, NOVA_UID, NOVA_UID, text(OWN_LINE)
    )
    assert seen(evaluate(after(found))) == set()


def test_all_peers_share_one_action():
    peers = [a_peer(f"compute{n}") for n in range(2, 7)]
    found = evaluate(text(OWN_LINE), peers=peers)
    assert len(action(found).present) == 5
    assert len([f for f in found if f.fix]) == 5


@pytest.mark.parametrize("content", [None, novas(b"# nobody\n")])
def test_a_host_that_accepts_nobody_fails_as_a_destination(content):
    found = evaluate(files={KEYS: content or Absent()})
    [finding] = [f for f in found if f.reason == "no_key_accepted"]
    assert (finding.outcome, finding.peer) == (Outcome.FAIL, None)
    assert str(KEYS) in finding.message and finding.fix


def test_the_directory_is_made_first():
    found = evaluate(files={KEYS: Absent(), SSH: Absent()})
    assert MakeDirectory(SSH, 0o700, NOVA_UID, NOVA_UID) in fixes(found)


def test_without_its_own_key_a_host_cannot_dial_itself():
    found = evaluate(text(PEER_LINE))
    assert seen(found) == {(Outcome.WARN, "own_key_missing", None)}
    assert action(found).present == (OWN_LINE,)


def test_foreign_lines_that_accept_are_enough_and_stay():
    foreign = text(b"ssh-rsa AAAA broken", PEER.line.encode(), OWN_LINE)
    found = evaluate(foreign)
    assert seen(found) == {
        (Outcome.WARN, "unrestricted_key", None),
        (Outcome.WARN, "malformed_line", None),
    }
    assert fixes(found) == set()


def test_from_counts_the_peers_own_address():
    near = b'restrict,from="10.100.0.0/24" ' + PEER.line.encode()
    assert seen(evaluate(text(OWN_LINE, near))) == set()


@pytest.mark.parametrize("option", ['from="10.99.0.0/16"', 'expiry-time="20200101"'])
def test_what_somebody_refused_is_not_got_round(option):
    found = evaluate(text(OWN_LINE, f"{option} {PEER.line}".encode()))
    [finding] = [f for f in found if f.reason == "user_key_refused"]
    assert (finding.outcome, finding.peer, finding.fix) == (Outcome.FAIL, "compute2", ())
    assert f"{KEYS}:2" in finding.message


def test_a_damaged_line_refuses_nobody_on_purpose():
    found = evaluate(text(OWN_LINE, f"no-such-option {PEER.line}".encode()))
    assert (Outcome.FAIL, "user_key_refused", "compute2") in seen(found)
    assert action(found).present == (PEER_LINE,)


def test_a_forced_command_is_a_warning_about_that_peer():
    forced = b'restrict,command="/usr/bin/wrapper" ' + PEER.line.encode()
    assert seen(evaluate(text(OWN_LINE, forced))) == {(Outcome.WARN, "forced_command", "compute2")}


def test_a_tombstone_withdraws_our_line():
    gone = authorized_keys.entry_line("compute3", a_key("nova@compute3"))
    records = Records((a_peer("compute2"), a_tombstone("compute3")))
    found = evaluate(HEALTHY + text(gone), records=records)
    assert seen(found) == {(Outcome.WARN, "withdrawn_key", None)}
    assert (action(found).present, action(found).absent) == ((), (gone,))
    assert seen(evaluate(after(found), records=records)) == set()


def test_a_missing_record_withdraws_nothing():
    found = evaluate(HEALTHY + text(authorized_keys.entry_line("compute3", a_key("nova@compute3"))))
    assert seen(found) == set()


def test_a_key_that_another_record_names_stays():
    shared = authorized_keys.entry_line("compute3", PEER)
    records = Records((a_peer("compute2"), a_tombstone("compute3")))
    assert seen(evaluate(text(OWN_LINE, shared), records=records)) == set()


def test_a_new_key_replaces_the_old_one():
    old = authorized_keys.entry_line("compute2", a_key("old"))
    found = evaluate(text(OWN_LINE, old))
    assert (action(found).present, action(found).absent) == ((PEER_LINE,), (old,))


def test_a_record_without_keys_withdraws_nothing():
    found = evaluate(HEALTHY, peers=[a_peer("compute2", user_keys=())])
    assert seen(found) == {(Outcome.SKIP, None, "compute2")}


def test_a_foreign_line_of_a_withdrawn_host_is_reported_with_the_command():
    line = b"restrict " + a_key("x").line.encode() + b" nova@compute3"
    records = Records((a_peer("compute2"), a_tombstone("compute3")))
    [finding] = [f for f in evaluate(HEALTHY + text(line), records=records) if f.reason]
    assert (finding.reason, finding.peer, finding.fix) == ("withdrawn_key", "compute3", ())
    assert finding.remedy == f"sudo -u nova sed -i '3s/^/#/' {KEYS}"


def test_trust_from_narrows_our_lines_without_a_gap():
    want = Settings(trust_from=(ip_network("10.100.0.0/16"), ip_network("fd00::/8")))
    found = evaluate(HEALTHY, want)
    assert set(action(found).absent) == {OWN_LINE, PEER_LINE}
    assert all(b'from="10.100.0.0/16,fd00::/8"' in line for line in action(found).present)
    assert seen(evaluate(after(found), want)) == set()


def test_a_peer_outside_trust_from_is_told_and_not_added():
    want = Settings(trust_from=(ip_network("10.99.0.0/16"),))
    found = evaluate(text(OWN_LINE), want)
    [finding] = [f for f in found if f.peer == "compute2"]
    assert finding.fix == () and "trust.from" in finding.remedy


def test_the_list_sshd_really_reads_is_the_one_written():
    server = a_server(authorizedkeysfile=".ssh/authorized_keys")
    found = evaluate(
        files={KEYS: Absent(), SSH / "authorized_keys2": novas(HEALTHY)}, server=server
    )
    assert (Outcome.FAIL, "no_key_accepted", None) in seen(found)
    assert action(found).path == KEYS


@pytest.mark.parametrize(
    "changes",
    [
        {
            "server": a_server(authorizedkeysfile="/etc/ssh/keys/%u"),
            "files": {P("/etc/ssh/keys/nova"): a_file(text(OWN_LINE))},
        },
        {"files": {KEYS: replace(novas(text(OWN_LINE)), real=P("/etc/shadow"))}},
    ],
)
def test_a_file_that_is_not_ours_to_write_gets_the_line_as_advice(changes):
    found = evaluate(**changes)
    [finding] = [f for f in found if f.peer == "compute2"]
    assert (finding.reason, finding.fix) == ("user_key_missing", ())
    assert PEER_LINE.decode() in finding.remedy


@pytest.mark.parametrize("keyword", ["authorizedkeyscommand", "trustedusercakeys"])
def test_keys_may_come_from_elsewhere(keyword):
    server = a_server(**{keyword: "/etc/ssh/x"})
    found = evaluate(files={KEYS: Absent()}, server=server)
    assert seen(found) == {
        (Outcome.WARN, "authorized_keys_elsewhere", None),
        (Outcome.WARN, "authorized_keys_elsewhere", "compute2"),
    }
    assert fixes(found) == set()


def test_no_file_at_all_is_said():
    found = evaluate(server=a_server(authorizedkeysfile="none"))
    [finding] = [f for f in found if f.reason == "no_key_accepted"]
    assert "AuthorizedKeysFile is none" in finding.message and finding.fix == ()


@pytest.mark.parametrize(
    "content",
    [Unreadable(f"{KEYS}: Permission denied"), a_file(HEALTHY, mode=0o600), a_directory()],
)
def test_a_list_nova_cannot_read_fails(content):
    found = evaluate(files={KEYS: content})
    assert (Outcome.FAIL, "authorized_keys_unreadable", None) in seen(found)
    assert fixes(found) == set()


def test_a_match_block_for_a_peer_names_its_own_file():
    servers = {"": a_server(), "10.100.0.2": a_server(authorizedkeysfile="/etc/ssh/other")}
    found = evaluate(server=servers, files={P("/etc/ssh/other"): Absent()})
    assert (Outcome.FAIL, "user_key_missing", "compute2") in seen(found)
    assert fixes(found) == set()


def test_an_ignored_peer_is_skipped():
    want = Settings(peers_ignore=("compute2",))
    assert seen(evaluate(text(OWN_LINE), want)) == {(Outcome.SKIP, None, "compute2")}


@pytest.mark.parametrize(
    "changes",
    [{"host": {"live": False}}, {"account": None}, {"server": Absent()}, {"nova": Unreadable("x")}],
)
def test_what_cannot_be_judged_is_skipped_and_not_fixed(changes):
    found = evaluate(b"", **changes)
    assert {f.outcome for f in found} == {Outcome.SKIP} and fixes(found) == set()


@pytest.mark.parametrize(
    "changes",
    [{"account": Unreadable("x")}, {"server": Unreadable("x")}],
)
def test_not_knowing_is_not_failing(changes):
    assert {f.outcome for f in evaluate(**changes)} == {Outcome.UNKNOWN}


def test_lists_below_a_closed_directory_are_left_to_strict_modes():
    denied = {p: Unreadable("Permission denied") for p in (KEYS, SSH / "authorized_keys2")}
    found = evaluate(files={SSH: a_directory(0o700, 3001), **denied})
    assert {f.outcome for f in found} == {Outcome.SKIP}
    assert "see strict_modes" in " ".join(f.message for f in found)
