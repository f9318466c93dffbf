"""One fault, one notification: what the shipped Alertmanager's file keeps back while Prometheus fires it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.exporter.serving import document, peer
from tests.prometheus import monitoring
from tests.prometheus.served import watched
from tests.prometheus.test_rules import alerts, judged

pytestmark = pytest.mark.skipif(bool(monitoring.MISSING), reason=f"not here: {monitoring.MISSING}")

Documents = dict[str, dict[str, Any]]


def fleet(number: int) -> Documents:
    """Every host ready, and its report of now for as long as the test may take."""
    names = [f"compute{each}" for each in range(1, number + 1)]
    return {name: document(seconds=86400, interval_seconds=28800) for name in names}


def fails(told: dict[str, Any], check: str, *roles: str) -> None:
    told["roles"] = {**told["roles"], **{role: {"ready": False} for role in roles}}
    told["checks"] = [
        {**row, "outcome": "fail"} if row["id"] == check else row for row in told["checks"]
    ]


def a_disk_at_risk(hosts: Documents) -> None:
    fails(hosts["compute1"], "instances_directory", "destination")


def most_not_ready(hosts: Documents) -> None:
    for name in ("compute1", "compute2", "compute3", "compute4"):
        fails(hosts[name], "login_shell", "destination")


def a_peer_that_loses_disks(hosts: Documents) -> None:
    for told in hosts.values():
        told["peers"] = [*told["peers"], loses_disks("compute9", "duplicate_address")]


def a_host_that_differs_from_all(hosts: Documents) -> None:
    odd, *others = hosts
    reason = "instances_path_differs"
    fails(hosts[odd], "peer_settings", "source", "destination")
    hosts[odd]["peers"] = [loses_disks(name, reason) for name in others]
    for name in others:
        hosts[name]["peers"] = [*hosts[name]["peers"], loses_disks(odd, reason)]


def loses_disks(name: str, reason: str) -> dict[str, Any]:
    return {**peer(0, failed=True), "name": name, "reason": reason}


Told = tuple[str, str]
FAULTS: dict[Callable[[Documents], None], tuple[Told, set[Told]]] = {
    a_disk_at_risk: (
        ("ResizeAgentDiskAtRisk", "compute1"),
        {("ResizeAgentHostNotReady", "compute1")},
    ),
    most_not_ready: (
        ("ResizeAgentFleetDegraded", ""),
        {("ResizeAgentHostNotReady", f"compute{each}") for each in (1, 2, 3, 4)},
    ),
    a_host_that_differs_from_all: (
        ("ResizeAgentDiskAtRisk", "compute1"),
        {("ResizeAgentHostNotReady", "compute1"), ("ResizeAgentPeerDiskAtRisk", "compute1")},
    ),
    a_peer_that_loses_disks: (
        ("ResizeAgentPeerDiskAtRisk", "compute9"),
        {("ResizeAgentBadDestination", "compute9")},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_graver_alert_is_told_and_what_follows_from_it_is_not(
    tmp_path: Path, fault: Callable[[Documents], None]
) -> None:
    graver, kept_back = FAULTS[fault]
    hosts = fleet(5)
    with watched(tmp_path, hosts) as watch:
        fault(hosts)

        def firing() -> set[Told]:
            return {(name, about) for name, about, state in watch.alerts() if state == "firing"}

        watch.await_that(lambda: firing() == {graver, *kept_back}, "Prometheus fires them all")
        # One more, that nothing keeps back: once it has come, the others would have come too.
        last = ("ResizeAgentConfigReloadFailed", "compute5")
        hosts["compute5"]["config"] = {"valid": False, "error": "x"}
        watch.await_that(lambda: last in watch.webhook.told("firing"), "the last one is told")
        assert watch.webhook.told("firing") == [graver, last]


@pytest.mark.parametrize("name", alerts())
def test_what_is_critical_goes_to_the_pager_and_the_rest_to_the_tickets(name: str) -> None:
    severity = alerts()[name]["labels"]["severity"]
    config = f"--config.file={monitoring.FOLDER / 'alertmanager.yml'}"
    routed = judged("amtool", "config", "routes", "test", config, f"severity={severity}")
    assert routed.split() == [{"critical": "pager", "warning": "tickets"}[severity]]
