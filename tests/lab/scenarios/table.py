"""All faults, in the order they are run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.lab.scenarios import (
    table_account,
    table_certificates,
    table_client,
    table_directory,
    table_keys,
    table_known_hosts,
    table_modes,
    table_network,
    table_nova,
    table_random,
    table_sshd,
)
from tests.lab.scenarios.fault import Fault

SINGLE: tuple[Fault, ...] = (
    Fault("OK-baseline", reason="unrestricted_key", ci=True),
    *table_nova.FAULTS,
    *table_directory.FAULTS,
    *table_account.FAULTS,
    *table_client.FAULTS,
    *table_sshd.FAULTS,
    *table_network.FAULTS,
    *table_known_hosts.FAULTS,
    *table_modes.FAULTS,
    *table_keys.FAULTS,
    *table_certificates.FAULTS,
)
FAULTS = (*SINGLE, *table_random.rows(SINGLE))


def work(faults: Iterable[Fault], kinds: Sequence[str]) -> list[tuple[Fault, str]]:
    return [
        (fault, kind)
        for kind in kinds
        for fault in faults
        if kind == "by-hand" or not fault.by_hand_only
    ]
