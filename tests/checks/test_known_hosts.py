import shlex
from dataclasses import replace

import pytest

from agent.checks.known_hosts import CHECK
from agent.formats import known_hosts, places
from agent.model import (
    Absent,
    HaveLines,
    Identity,
    MakeDirectory,
    Outcome,
    Records,
    Unreadable,
    WriteFile,
)
from agent.reasons import Side
from agent.settings import Settings
from tests.hosts import (
    NOVA_UID,
    SSH,
    P,
    a_client,
    a_directory,
    a_file,
    a_host,
    a_key,
    a_peer,
    a_tombstone,
    novas,
)

OURS, USERS, SYSTEM = places.GLOBAL_KNOWN_HOSTS, SSH / "known_hosts", P("/etc/ssh/ssh_known_hosts")
DEFAULT = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
FRESH = {OURS: Absent(), places.DROP_IN: Absent()}
USER = Settings(known_hosts="user")
HEALTHY = a_host().files[OURS].content
PEER = a_key("host compute2")


def evaluate(want=None, **changes):
    return list(CHECK.evaluate(a_host(**changes), want or Settings()))


def seen(found):
    """What is neither fine nor, without being about a peer, skipped."""
    told = {(f.outcome, f.reason, f.peer) for f in found if f.outcome is not Outcome.PASS}
    return told - {(Outcome.SKIP, None, None)}


def fixes(found):
    return {action for f in found for action in f.fix}


def fresh(client=None, **changes):
    """A host on which nothing of ours is there yet."""
    files = {**FRESH, **changes.pop("files", {})}
    return evaluate(files=files, client=client or a_client(globalknownhostsfile=DEFAULT), **changes)


def line(names, key):
    return known_hosts.entry_line(names, key) + b"\n"


def test_a_peer_that_is_known_passes():
    found = evaluate()
    assert seen(found) == set() and fixes(found) == set()
    assert any(f.peer == "compute2" and f.outcome is Outcome.PASS for f in found)


def test_an_unknown_peer_brings_our_file_and_the_drop_in():
    found = fresh()
    assert (Outcome.FAIL, "host_key_unknown", "compute2") in seen(found)
    assert fixes(found) == {
        WriteFile(OURS, HEALTHY, 0o644, 0, 0, None),
        WriteFile(places.DROP_IN, places.drop_in("nova"), 0o644, 0, 0, None),
    }


def test_all_peers_share_one_action():
    found = fresh(peers=[a_peer(f"compute{n}") for n in range(2, 7)])
    assert len(fixes(found)) == 2
    assert len([f for f in found if f.reason == "host_key_unknown"]) == 5


def test_our_file_vouches_for_every_name_and_for_this_host_itself():
    text = HEALTHY.decode()
    assert f"10.100.0.2,compute2,compute2.example.org {PEER.line} resize-agent\n" in text
    own = a_key("host compute1").line
    assert f"10.100.0.1,compute1,compute1.example.org {own} resize-agent\n" in text


def test_another_port_is_part_of_the_name():
    found = evaluate(peers=[a_peer("compute2", port=8022)], client=a_client(port="8022"))
    assert seen(found) == set()


def test_ssh_dials_the_port_of_its_own_configuration():
    found = evaluate(peers=[a_peer("compute2", port=8022)])
    [finding] = [f for f in found if f.reason == "host_key_unknown"]
    assert "8022" in finding.message


def test_a_changed_key_names_the_line_and_is_outvoted_by_the_record():
    old = novas(b"10.100.0.2 " + a_key("old").line.encode() + b"\n")
    found = fresh(files={USERS: old})
    [finding] = [f for f in found if f.reason == "host_key_changed"]
    assert f"{USERS}:1" in finding.message and finding.fix
    [stale] = [f for f in found if f.reason == "withdrawn_key"]
    assert stale.remedy == f"sudo -u nova ssh-keygen -R '10.100.0.2' -f {USERS}"


def test_a_wrong_line_beside_the_right_one_is_a_warning():
    old = a_file(b"10.100.0.2 " + a_key("old").line.encode() + b"\n")
    found = evaluate(files={SYSTEM: old})
    assert seen(found) == {(Outcome.WARN, "withdrawn_key", "compute2")}
    [finding] = [f for f in found if f.reason]
    assert finding.remedy == f"sed -i '1s/^/#/' {SYSTEM}" and finding.fix == ()


@pytest.mark.parametrize(
    ("file", "who"),
    [
        ("/tmp/x;touch${IFS}/root/in", ["sudo", "-u", "nova"]),
        ("/etc/ssh/$(id)'`id`", []),
        ("/etc/ssh/../nova/known", ["sudo", "-u", "nova"]),
        (f"{SSH}/x;id", ["sudo", "-u", "nova"]),
    ],
)
def test_a_printed_command_runs_nothing_that_nova_wrote_into_a_name(file, who):
    """Which files ssh reads is said by nova's own configuration; an operator pastes the command as root."""
    old = a_file(b"10.100.0.2 " + a_key("old").line.encode() + b"\n")
    client = a_client(userknownhostsfile=f"{USERS} {file}")
    [finding] = [
        f for f in evaluate(client=client, files={P(file): old}) if f.reason == "withdrawn_key"
    ]
    words = shlex.split(finding.remedy)
    assert words[: len(who)] == who and words[-1] == file
    assert words[len(who)] in ("sed", "ssh-keygen")


def test_a_revoked_key_is_nobodys_to_restore():
    revoked = a_file(b"@revoked * " + PEER.line.encode() + b"\n")
    found = evaluate(files={SYSTEM: revoked})
    [finding] = [f for f in found if f.reason == "host_key_revoked"]
    assert (finding.outcome, finding.fix) == (Outcome.FAIL, ())


def test_a_revocation_in_our_own_file_survives_a_rewrite():
    old = b"@revoked * " + a_key("stolen").line.encode() + b"\n"
    found = evaluate(files={OURS: a_file(old)})
    [action] = [a for a in fixes(found) if isinstance(a, WriteFile)]
    assert action.content == HEALTHY + old
    assert seen(evaluate(files={OURS: a_file(action.content)})) == set()


def test_a_name_that_is_not_known_is_a_warning_with_the_fix():
    foreign = a_file(b"10.100.0.2 " + PEER.line.encode() + b"\n")
    found = fresh(files={SYSTEM: foreign})
    assert seen(found) == {(Outcome.WARN, "host_key_name_unknown", "compute2")}
    assert len(fixes(found)) == 2


def test_with_checking_off_nothing_unknown_fails():
    lax = a_client(globalknownhostsfile=DEFAULT, stricthostkeychecking="false")
    assert {o for o, _, _ in seen(fresh(client=lax))} == {Outcome.WARN}


def test_a_missing_record_withdraws_nothing():
    kept = HEALTHY + line(["10.100.0.9", "compute9"], a_key("host compute9"))
    [action] = fixes(evaluate(files={OURS: a_file(kept)})) or [None]
    assert action is None or b"compute9" in action.content
    # in the order we write, it is left exactly alone
    found = evaluate(files={OURS: a_file(action.content if action else kept)})
    assert fixes(found) == set()


def test_a_tombstone_takes_a_host_out_of_our_file():
    text = a_host(peers=[a_peer("compute2"), a_peer("compute3")]).files[OURS].content
    found = evaluate(
        records=Records((a_peer("compute2"), a_tombstone("compute3"))),
        files={OURS: a_file(text)},
    )
    assert (Outcome.WARN, "known_hosts_outdated", None) in seen(found)
    assert fixes(found) == {WriteFile(OURS, HEALTHY, 0o644, 0, 0, text)}


def test_a_foreign_line_for_a_withdrawn_host_is_reported_with_the_command():
    foreign = a_file(b"# x\ncompute3 " + a_key("host compute3").line.encode() + b"\n")
    records = Records((a_peer("compute2"), a_tombstone("compute3")))
    found = evaluate(records=records, files={SYSTEM: foreign})
    [finding] = [f for f in found if f.reason == "withdrawn_key"]
    assert (finding.peer, finding.remedy) == ("compute3", f"sed -i '2s/^/#/' {SYSTEM}")


def test_a_host_that_moved_leaves_no_line_behind():
    moved = a_peer("compute2", address="10.100.7.7")
    [action] = fixes(evaluate(files={OURS: a_file(HEALTHY)}, records=Records((moved,))))
    assert b"10.100.0.2," not in action.content and b"10.100.7.7,compute2" in action.content


def test_no_trust_is_written_for_a_loopback_address():
    text = fixes(fresh(nova={"address": "127.0.0.1"}))
    assert not any(b"127.0.0.1" in a.content for a in text)


def test_nova_cannot_read_our_file():
    found = evaluate(files={OURS: a_file(HEALTHY, mode=0o600)})
    assert (Outcome.FAIL, "known_hosts_unreadable", None) in seen(found)
    assert fixes(found) == {WriteFile(OURS, HEALTHY, 0o644, 0, 0, HEALTHY)}


def test_an_unreadable_file_that_is_not_needed_is_a_warning():
    denied = Unreadable("/var/lib/nova/.ssh/known_hosts: Permission denied")
    assert seen(evaluate(files={USERS: denied})) == {(Outcome.WARN, "known_hosts_unreadable", None)}
    assert (Outcome.FAIL, "known_hosts_unreadable", None) in seen(fresh(files={USERS: denied}))


def test_a_file_too_large_for_us_is_not_unreadable_for_nova():
    large = Unreadable("/var/lib/nova/.ssh/known_hosts: is larger than 8388608 bytes")
    assert seen(evaluate(files={USERS: large})) == {(Outcome.UNKNOWN, "not_observed", None)}


def test_lines_that_ssh_skips_are_counted_once_for_a_file():
    found = evaluate(files={USERS: novas(b"junk\n# fine\n10.0.0.1 ssh-ed25519 AAAA\n")})
    [finding] = [f for f in found if f.reason == "malformed_line"]
    assert "lines 1, 3" in finding.message


def test_the_site_may_ask_for_novas_own_file():
    found = fresh(want=USER, files={USERS: novas(b"# kept\n"), places.DROP_IN: Absent()})
    [action] = fixes(found)
    assert isinstance(action, HaveLines)
    assert (action.path, action.observed, action.absent) == (USERS, b"# kept\n", ())
    after = action.observed + b"".join(each + b"\n" for each in action.present)
    assert seen(fresh(want=USER, files={USERS: novas(after)})) == set()


def test_novas_directory_is_made_first():
    found = fresh(want=USER, files={USERS: Absent(), SSH: Absent()})
    assert MakeDirectory(SSH, 0o700, NOVA_UID, NOVA_UID) in fixes(found)


def test_a_drop_in_that_ssh_does_not_show_gives_way_to_novas_file():
    files = {OURS: a_file(HEALTHY), places.DROP_IN: a_file(places.drop_in("nova"))}
    found = evaluate(client=a_client(globalknownhostsfile=DEFAULT), files=files)
    assert {type(a) for a in fixes(found)} == {HaveLines}


@pytest.mark.parametrize(
    ("shown", "config"),
    [
        ("/etc/nova/known_hosts", b"Include /etc/ssh/ssh_config.d/*.conf\n"),
        (DEFAULT, b"Host *\n"),
        (DEFAULT, b"Host x\nInclude /etc/ssh/ssh_config.d/*.conf\n"),
    ],
)
def test_a_drop_in_that_would_not_or_must_not_win_is_not_written(shown, config):
    files = {P("/etc/ssh/ssh_config"): a_file(config), P("/etc/nova/known_hosts"): Absent()}
    found = fresh(client=a_client(globalknownhostsfile=shown), files=files)
    assert {type(a) for a in fixes(found)} == {HaveLines}


def test_a_planted_link_is_not_written_through():
    planted = replace(novas(b""), real=P("/etc/shadow"))
    assert fixes(fresh(want=USER, files={USERS: planted})) == set()


@pytest.mark.parametrize("path", [OURS, places.DROP_IN])
@pytest.mark.parametrize(
    "there", [Absent(link="/nonexist"), replace(novas(b"x"), real=P("/srv/elsewhere"))]
)
def test_a_link_of_the_sites_in_our_place_sends_us_to_novas_file(path, there):
    found = fresh(files={path: there})
    assert (Outcome.FAIL, "host_key_unknown", "compute2") in seen(found)
    assert {action.path for action in fixes(found)} == {USERS}


def test_outdated_lines_of_ours_in_novas_file_are_withdrawn():
    old = line(["10.100.0.2", "compute2"], a_key("old"))
    [action] = fixes(evaluate(files={USERS: novas(old)}))
    assert (action.present, action.absent) == ((), (old.rstrip(b"\n"),))


def test_a_certificate_authority_alone_proves_nothing():
    authority = a_file(b"@cert-authority * " + a_key("ca").line.encode() + b"\n")
    found = fresh(files={SYSTEM: authority}, peers=[a_peer("compute2", names=())])
    assert (Outcome.UNKNOWN, "not_observed", "compute2") in seen(found)
    assert fixes(found) == set()


def test_a_name_that_only_the_sites_configuration_makes_is_not_ours_to_write():
    def failing(**client):
        found = fresh(client=a_client(globalknownhostsfile=DEFAULT, **client))
        return next(f for f in found if f.outcome is Outcome.FAIL)

    assert failing().fix != ()
    aliased = failing(hostkeyalias="fleet")
    assert (aliased.reason, aliased.fix) == ("host_key_unknown", ())
    assert "add to a known_hosts file" in aliased.remedy


def test_a_host_key_alias_is_what_is_looked_up():
    alias = a_client(hostkeyalias="fleet")
    assert (Outcome.FAIL, "host_key_unknown", "compute2") in seen(evaluate(client=alias))
    fleet = a_file(b"fleet " + PEER.line.encode() + b"\n")
    assert seen(evaluate(client=alias, files={SYSTEM: fleet})) == set()


def test_no_type_in_common_is_said():
    found = evaluate(client=a_client(hostkeyalgorithms="ecdsa-sha2-nistp256"))
    assert (Outcome.FAIL, "host_key_algorithms", "compute2") in seen(found)


def test_an_ignored_peer_is_skipped():
    found = fresh(want=Settings(peers_ignore=("compute2",)))
    assert seen(found) == {(Outcome.SKIP, None, "compute2")}


@pytest.mark.parametrize(
    "changes",
    [{"host": {"live": False}}, {"account": None}, {"client": Absent()}, {"nova": Unreadable("x")}],
)
def test_what_cannot_be_judged_is_skipped_and_not_fixed(changes):
    found = evaluate(files=FRESH, **changes)
    assert {f.outcome for f in found} == {Outcome.SKIP} and fixes(found) == set()


@pytest.mark.parametrize(
    "changes",
    [{"account": Unreadable("x")}, {"client": Unreadable("x")}],
)
def test_not_knowing_is_not_failing(changes):
    assert {f.outcome for f in evaluate(**changes)} == {Outcome.UNKNOWN}


CLOSED = {SSH: a_directory(0o700, 3001), USERS: Unreadable(f"{USERS}: Permission denied")}


def test_a_record_without_host_keys_is_its_writers_to_mend():
    [found] = [f for f in evaluate(peers=[replace(a_peer("compute2"), host_keys=())]) if f.peer]
    assert (found.outcome, found.side) == (Outcome.UNKNOWN, Side.INVENTORY)
    assert "agent facts" in found.remedy


def test_a_closed_directory_that_hides_the_keys_too_is_left_to_identity():
    hidden = Identity(SSH / "id_rsa", Unreadable("Permission denied"), Unreadable("x"), Absent())
    found = fresh(files=CLOSED, identities=(hidden,))
    assert {f.outcome for f in found} <= {Outcome.SKIP, Outcome.PASS}
    assert "see identity" in " ".join(f.message for f in found)


def test_a_closed_directory_is_one_finding_where_the_key_lies_elsewhere():
    [key] = a_host().identities
    elsewhere = replace(key, path=P("/etc/nova/key"))
    found = fresh(files=CLOSED, identities=(elsewhere,))
    [told] = [f for f in found if f.reason]
    assert (told.subject, told.outcome, told.reason) == (
        str(SSH),
        Outcome.FAIL,
        "known_hosts_unreadable",
    )
