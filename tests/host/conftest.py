from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.ground import ground


@pytest.fixture
def place() -> Iterator[Path]:
    with ground() as directory:
        yield directory
