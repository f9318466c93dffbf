from dataclasses import replace

import pytest

from agent.checks.identity import CHECK
from agent.formats import places
from agent.model import (
    Absent,
    Identity,
    Kind,
    MakeDirectory,
    MakeKeyPair,
    Outcome,
    SetMode,
    SetOwner,
    Unreadable,
    WriteFile,
)
from agent.settings import Settings
from tests.hosts import (
    HOME,
    KEY,
    KEYS,
    NOVA_UID,
    SSH,
    P,
    a_client,
    a_directory,
    a_file,
    a_host,
    a_key,
    a_server,
    novas,
)

OWN = a_key("nova@compute1")
GOOD = Identity(KEY, novas(), OWN, OWN)
PAIR = MakeKeyPair(KEY, "nova", NOVA_UID, NOVA_UID, "nova@compute1", KEYS)


def evaluate(*identities, **changes):
    return list(CHECK.evaluate(a_host(identities=identities, **changes), Settings()))


def only(**changes):
    [finding] = evaluate(replace(GOOD, **changes))
    return finding


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"offered": Absent()},
        {"offered": Unreadable("is no public key")},
        {"file": novas(mode=0o400)},
        {"file": a_file(mode=0o644)},
        {"file": a_file(mode=0o640, gid=NOVA_UID)},
    ],
)
def test_what_ssh_can_use_passes(changes):
    assert only(**changes).outcome is Outcome.PASS


def test_a_host_without_a_key_gets_one():
    [finding] = evaluate()
    assert (finding.outcome, finding.reason, finding.fix) == (Outcome.FAIL, "no_identity", (PAIR,))


def test_the_directory_is_made_first_where_it_is_missing():
    [finding] = evaluate(files={SSH: Absent()})
    assert finding.fix == (MakeDirectory(SSH, 0o700, NOVA_UID, NOVA_UID), PAIR)


def test_a_key_list_outside_home_is_not_ours_to_add_to():
    [finding] = evaluate(server=a_server(authorizedkeysfile="/etc/ssh/keys/%u"))
    assert finding.fix == (replace(PAIR, accepted_in=None),)


@pytest.mark.parametrize("name", ["x y", "a\nssh-ed25519 AAAA", "a\x1b[2J", "\u202ea"])
def test_a_host_whose_name_no_line_can_hold_gets_a_key_that_is_not_accepted_here(name):
    [finding] = evaluate(nova={"host": name})
    assert finding.fix == (replace(PAIR, comment="nova", accepted_in=None),)


@pytest.mark.parametrize("offered", ["/etc/nova/migration/identity", "none"])
def test_no_key_is_made_where_ssh_would_not_look(offered):
    [finding] = evaluate(client=a_client(identityfile=offered))
    assert (finding.reason, finding.fix) == ("no_identity", ())


def test_no_key_is_made_in_an_image_or_in_a_home_that_is_missing():
    [finding] = evaluate(host={"live": False})
    assert (finding.outcome, finding.fix) == (Outcome.SKIP, ())
    [finding] = evaluate(files={HOME: Absent(), SSH: Absent()})
    assert (finding.outcome, finding.fix) == (Outcome.FAIL, ())


def test_keys_behind_a_directory_nova_cannot_search_are_not_missing():
    [finding] = evaluate(files={SSH: a_directory(0o700)})
    assert finding.reason == "identity_unreadable"
    assert finding.fix == (SetOwner(SSH, NOVA_UID, NOVA_UID, (0, 0)),)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660])
def test_a_key_of_novas_that_others_can_read_is_closed(mode):
    finding = only(file=novas(mode=mode))
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "identity_mode")
    assert finding.fix == (SetMode(KEY, 0o600, mode),)


def test_a_key_root_made_in_novas_directory_is_handed_over():
    finding = only(file=a_file(mode=0o600))
    assert finding.reason == "identity_unreadable"
    assert finding.fix == (SetOwner(KEY, NOVA_UID, NOVA_UID, (0, 0)),)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        (KEY, a_file(mode=0o600, links=2)),
        (KEY, a_file(mode=0o600, uid=1000, gid=1000)),
        (P("/etc/nova/key"), a_file(mode=0o600)),
    ],
)
def test_no_other_file_is_given_away(path, file):
    finding = only(path=path, file=file)
    assert (finding.reason, finding.fix) == ("identity_unreadable", ())


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        ("incorrect passphrase supplied to decrypt private key", "identity_passphrase"),
        ("error in libcrypto", "identity_broken"),
        ("invalid format", "identity_broken"),
    ],
)
def test_a_private_key_is_never_replaced(why, reason):
    finding = only(key=Unreadable(why))
    assert (finding.outcome, finding.reason, finding.fix) == (Outcome.FAIL, reason, ())


def test_a_key_that_the_run_did_not_wait_for_is_not_called_broken():
    finding = only(key=Unreadable(places.RUN_ENDED))
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "interrupted")


def test_a_stale_public_half_is_rewritten():
    public = P(f"{KEY}.pub")
    old = a_key("other").line.encode()
    [finding] = evaluate(replace(GOOD, offered=a_key("other")), files={public: novas(old)})
    assert finding.reason == "identity_mismatch"
    text = f"{OWN.line}\n".encode()
    assert finding.fix == (WriteFile(public, text, 0o644, NOVA_UID, NOVA_UID, old),)


def test_one_good_key_is_enough():
    bad = Identity(SSH / "id_rsa", novas(mode=0o644), a_key("rsa"), Absent())
    found = evaluate(bad, GOOD)
    assert [f.outcome for f in found] == [Outcome.WARN, Outcome.PASS]


PIPE = replace(novas(), kind=Kind.PIPE)
BOTH = a_client(identityfile="~/.ssh/id_rsa ~/.ssh/id_ed25519")


def test_a_pipe_hangs_ssh_whatever_other_keys_there_are():
    pipe = Identity(SSH / "id_rsa", PIPE, Unreadable("is a named pipe"), Absent())
    found = evaluate(pipe, GOOD, files={pipe.path: PIPE}, client=BOTH)
    assert [f.outcome for f in found] == [Outcome.FAIL, Outcome.PASS]
    assert found[0].reason == "identity_blocks"


@pytest.mark.parametrize(
    "name", ["id_ed25519.pub", "id_ed25519-cert", "id_ed25519-cert.pub", "id_rsa.pub"]
)
def test_a_pipe_in_the_place_of_a_public_half_hangs_ssh_too(name):
    """OpenSSH 9.2 opens it though the private key would do, and though there is no such private key."""
    found = evaluate(GOOD, files={SSH / name: PIPE}, client=BOTH)
    assert [f.outcome for f in found] == [Outcome.FAIL, Outcome.PASS]
    assert found[0].reason == "identity_blocks"


def test_a_socket_or_device_is_no_key_and_holds_nobody_up():
    """ssh cannot open the one and reads nothing from /dev/null."""
    odd = replace(novas(), kind=Kind.OTHER)
    found = only(file=odd, key=Unreadable("is a special file"))
    assert (found.outcome, found.reason) == (Outcome.FAIL, "identity_broken")
    found = evaluate(Identity(SSH / "id_rsa", odd, Unreadable("is a special file"), Absent()), GOOD)
    assert [f.outcome for f in found] == [Outcome.WARN, Outcome.PASS]


def test_not_knowing_is_not_failing():
    unseen = replace(GOOD, file=Unreadable("Permission denied"))
    [finding] = evaluate(unseen, host={"privileged": False})
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "needs_root")
    [finding] = evaluate(client=Unreadable("ssh -G failed"))
    assert finding.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("dates", "word"),
    [
        ("from 2026-01-01T00:00:00 to 2026-11-01T00:00:00", "expired"),
        ("from 2027-01-01T00:00:00 to 2027-11-01T00:00:00", "not valid before"),
        ("from 2026-01-01T00:00:00 to 2026-12-31T00:00:00", "expires"),
    ],
)
def test_a_certificate_that_runs_out_is_a_warning(dates, word):
    finding = only(certificate=f"        Valid: {dates}\n")
    assert (finding.outcome, finding.reason) == (Outcome.WARN, "certificate_dates")
    assert word in finding.message


@pytest.mark.parametrize("dates", ["forever", "from 2026-01-01T00:00:00 to 2036-01-01T00:00:00"])
def test_a_certificate_with_time_left_passes(dates):
    assert only(certificate=f"        Valid: {dates}\n").outcome is Outcome.PASS


def test_a_closed_directory_is_one_finding_however_many_keys_may_lie_in_it():
    denied = [
        replace(GOOD, path=SSH / name, file=Unreadable(f"{name}: Permission denied"))
        for name in ("id_rsa", "id_ecdsa", "id_ed25519")
    ]
    [finding] = evaluate(*denied, files={SSH: a_directory(0o700, 3001)})
    assert (finding.subject, finding.outcome, finding.reason) == (
        str(SSH),
        Outcome.FAIL,
        "identity_unreadable",
    )
    assert finding.fix == (SetOwner(SSH, NOVA_UID, NOVA_UID, (3001, 3001)),)
