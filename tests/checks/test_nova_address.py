import pytest

from agent.checks.nova_address import CHECK
from agent.formats.nova_conf import NO_HOST
from agent.model import Outcome, Unreadable
from agent.reasons import Impact
from agent.settings import Settings
from tests.hosts import a_host, an_attempt


def evaluate(**changes):
    [finding] = CHECK.evaluate(a_host(**changes), Settings())
    return finding


def told(address, *dialled, **nova):
    return evaluate(nova={"address": address, **nova}, host={"dialled": dialled})


def test_an_address_of_an_interface_passes():
    assert evaluate().outcome is Outcome.PASS


def test_another_hosts_address_fails_with_origin_and_what_is_here():
    finding = told("10.10.10.10", "10.10.10.10", my_ip="10.10.10.10")
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "my_ip_not_here")
    assert finding.message == (
        "my_ip 10.10.10.10 from /etc/nova/nova.conf:7 is on no interface of this host, which has 10.100.0.1"
    )


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"address": "10.10.10.10"}, Outcome.WARN),
        ({"address": "10.100.0.1"}, Outcome.FAIL),
        (
            {"address": "10.10.10.10", "stage": "host_key", "reason": "host_key_changed"},
            Outcome.FAIL,
        ),
    ],
)
def test_an_address_that_is_translated_to_this_host_is_shown_by_the_dial_of_it(changes, outcome):
    nova = {"address": "10.10.10.10", "my_ip": "10.10.10.10"}
    host = {"dialled": ("10.10.10.10",)}
    finding = evaluate(nova=nova, host=host, self_dials=(an_attempt(**changes),))
    assert (finding.outcome, finding.reason) == (outcome, "my_ip_not_here")


def test_the_option_that_counts_is_named():
    assert told("10.9.9.9", "10.9.9.9").subject == "migration_inbound_addr"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1", "0.0.0.0", "localhost"])
def test_a_loopback_or_unspecified_address_fails(address):
    finding = told(address, address)
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "address_loopback")


def test_a_name_that_resolves_to_an_interface_passes():
    assert told("compute1", "10.100.0.1").outcome is Outcome.PASS


def test_debians_own_hosts_line_does_not_speak_for_what_peers_resolve():
    finding = told("compute1", "127.0.1.1")
    assert (finding.outcome, finding.reason) == (Outcome.WARN, "address_loopback")


def test_a_name_that_leads_elsewhere_too_fails():
    assert told("compute1", "10.100.0.1", "10.100.0.77").reason == "my_ip_not_here"


def test_a_name_that_does_not_resolve_fails():
    assert told("compute1").reason == "name_unresolvable"


@pytest.mark.parametrize("spelling", ["fd00:0:0::2", "FD00::2"])
def test_ipv6_is_compared_as_a_number(spelling):
    host = {"addresses": ("fd00::2",), "dialled": (spelling,)}
    assert evaluate(nova={"address": spelling}, host=host).outcome is Outcome.PASS


def test_an_image_is_not_judged():
    assert evaluate(host={"live": False, "addresses": ()}).outcome is Outcome.SKIP


@pytest.mark.parametrize(
    "changes",
    [{"nova": {"address": ""}}, {"host": {"addresses": ()}}],
)
def test_not_knowing_is_not_failing(changes):
    assert evaluate(**changes).outcome is Outcome.UNKNOWN


def test_an_unreadable_configuration_is_told_by_its_own_check():
    assert evaluate(nova=Unreadable("gone")).outcome is Outcome.SKIP


def test_what_ssh_takes_for_no_host_fails_and_rolls_back():
    problem = f"[DEFAULT]my_ip (f:2) is '10.100.0.1 # ours', {NO_HOST}"
    finding = told("", problems=(problem,))
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "nova_option_invalid")
    assert finding.impact is Impact.ROLLBACK
    assert "10.100.0.1 # ours" in finding.message


def test_what_may_yet_be_a_host_is_unknown():
    finding = told("", problems=("[DEFAULT]my_ip (f:2) is 'nova@10.100.0.1', which ...",))
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "address_unknown")


def test_a_name_nobody_resolved_in_time_is_not_known():
    why = "compute1.example.org was not resolved: asking took too long"
    finding = evaluate(
        nova={"address": "compute1.example.org"}, host={"dialled": (), "unresolved": why}
    )
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "not_observed")
    assert why in finding.message
