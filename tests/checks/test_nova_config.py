import pytest

from agent.checks.nova_config import CHECK
from agent.formats import nova_conf
from agent.model import Outcome, Unreadable
from agent.settings import Settings
from tests.hosts import P, a_host


def evaluate(**changes):
    [finding] = CHECK.evaluate(a_host(**changes), Settings())
    return finding


def test_a_pass_names_the_files_and_the_process():
    finding = evaluate()
    assert finding.outcome is Outcome.PASS
    assert "/etc/nova/nova.conf, /etc/nova/nova-compute.conf" in finding.message
    assert "process 812" in finding.message


def test_a_nova_compute_that_does_not_run_is_said():
    assert "does not run" in evaluate(nova={"running": None}).message


def test_an_unreadable_file_is_unknown():
    finding = evaluate(nova=Unreadable("/etc/nova/nova.conf:3: no section"))
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "nova_conf_unreadable")
    assert "/etc/nova/nova.conf:3" in finding.message


def test_a_value_nova_refuses_fails():
    problem = "[libvirt]remote_filesystem_transport (/etc/nova/nova.conf:9) is 'RSYNC'"
    finding = evaluate(nova={"problems": (problem,)})
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "nova_option_invalid")


@pytest.mark.parametrize("option", ["[libvirt]migration_inbound_addr", "[DEFAULT]my_ip"])
def test_an_address_that_cannot_be_told_is_unknown(option):
    finding = evaluate(nova={"address": "", "problems": (f"{option} (f:1) counts from Nova 29",)})
    assert (finding.outcome, finding.reason) == (Outcome.UNKNOWN, "address_unknown")


def test_a_relative_instances_path_fails():
    finding = evaluate(nova={"instances_path": P("instances")})
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "nova_option_invalid")


@pytest.mark.parametrize(
    "path", ["/srv/nova instances", "/srv/$(id)", "/srv/*", "/srv/a;b", "/srv/~x"]
)
def test_a_path_that_a_remote_shell_would_split_fails(path):
    finding = evaluate(nova={"instances_path": P(path)})
    assert (finding.outcome, finding.reason) == (Outcome.FAIL, "nova_option_invalid")


def test_an_address_that_is_none_is_left_to_nova_address():
    problem = f"[DEFAULT]my_ip (f:2) is 'a b', {nova_conf.NO_HOST}"
    finding = evaluate(nova={"address": "", "problems": (problem,)})
    assert finding.outcome is Outcome.SKIP
