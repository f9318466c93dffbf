"""Reading the head of a request: where it ends, and what that may cost."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from agent.exporter.requests import complete
from tests.exporter.serving import TOP

HEADS = r"""
from agent.exporter.requests import parse
for _ in range(300):
    for blank in " \t":
        parse(b"GET /metrics HTTP/1.1\r\nA: x" + 16000 * blank.encode() + b"x\r\n\r\n")
"""


def test_no_header_costs_more_than_reading_it():
    """One of them took 1.5 s, in which nobody else was answered; the limit is for six hundred."""
    limits = (resource.RLIMIT_CPU, (60, 60))
    done = subprocess.run(
        [sys.executable, "-c", HEADS], cwd=TOP, preexec_fn=lambda: resource.setrlimit(*limits)
    )
    assert done.returncode == 0


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_the_end_of_a_head_is_seen_wherever_it_was_cut(end):
    head = b"GET / HTTP/1.1\r\nA: b" + end
    for first in range(len(head)):
        for second in range(first, len(head)):
            assert not complete(head[:second], first)
            assert complete(head, second)
