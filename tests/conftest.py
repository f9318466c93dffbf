"""A busy machine is no fault: no example of a property has a time limit.  And no module inherits orphans of another."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


@pytest.fixture(autouse=True, scope="module")
def _no_subreaper() -> Iterator[None]:
    """What acts as nova in this process makes it adopt orphans; unburied, those of a lab keep its hosts from ending."""
    yield
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
