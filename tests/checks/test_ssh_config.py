import pytest

from agent.checks.ssh_config import CHECK
from agent.formats import places
from agent.model import Absent, Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import a_client, a_host


def evaluate(**changes):
    return list(CHECK.evaluate(a_host(**changes), Settings()))


def test_a_plain_configuration_passes():
    [finding] = evaluate()
    assert finding.outcome is Outcome.PASS


def test_what_ssh_refuses_fails_with_its_own_words():
    why = "/var/lib/nova/.ssh/config: line 1: Bad configuration option: bogus"
    [finding] = evaluate(client=Unreadable(why))
    assert (finding.outcome, finding.reason, finding.message) == (
        Outcome.FAIL,
        "client_config_invalid",
        why,
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"stricthostkeychecking": "false"}, "strict_host_key_checking_off"),
        ({"stricthostkeychecking": "accept-new"}, "strict_host_key_checking_off"),
        ({"controlmaster": "auto", "controlpath": "/tmp/%C"}, "control_master"),
        ({"user": "nova_migration"}, "client_user_differs"),
    ],
)
def test_what_bends_a_resize_is_a_warning(values, reason):
    [finding] = evaluate(client=a_client(**values))
    assert (finding.outcome, finding.reason) == (Outcome.WARN, reason)


@pytest.mark.parametrize(
    "values",
    [{"controlmaster": "auto"}, {"controlmaster": "false", "controlpath": "/tmp/%C"}],
)
def test_a_master_needs_both_options(values):
    assert evaluate(client=a_client(**values))[0].outcome is Outcome.PASS


def test_a_block_for_one_peer_is_told_about_that_peer():
    clients = {"": a_client(), "10.100.0.2": a_client(user="root")}
    general, special = evaluate(client=clients)
    assert (general.outcome, general.peer) == (Outcome.PASS, None)
    assert (special.reason, special.peer) == ("client_user_differs", "compute2")


@pytest.mark.parametrize(
    "changes",
    [
        {"client": Absent()},
        {"account": None, "client": Unreadable("there is no nova account")},
        {"host": {"live": False}, "client": Unreadable("an image")},
    ],
)
def test_what_another_check_says_is_skipped(changes):
    [finding] = evaluate(**changes)
    assert finding.outcome is Outcome.SKIP


def test_an_answer_that_the_run_did_not_wait_for_is_not_known():
    cut = Unreadable(places.RUN_ENDED)
    [finding] = evaluate(client=cut)
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "interrupted")


def test_asked_as_somebody_else_ssh_says_nothing_about_nova():
    [finding] = evaluate(client=Unreadable("denied"), host={"privileged": False})
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "needs_root")
