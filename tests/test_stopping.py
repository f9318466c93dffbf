"""A run ends: when it is told to, and when its time is up."""

from __future__ import annotations

import signal

import pytest

from agent.exit_status import TimeIsUp
from agent.stopping import bounded


def test_what_takes_too_long_is_broken_off_though_every_failure_is_caught() -> None:
    with pytest.raises(TimeIsUp, match=r"more than -59\.9 seconds"), bounded(-59.9):
        while True:
            try:
                sum(range(1000))
            except Exception:  # as around each check
                continue


def test_what_is_done_in_time_is_not_disturbed_later() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with bounded(1000):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before
