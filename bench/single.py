"""One part alone, from the command line: measured, and told as the page would tell it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from bench.figures import Figures, Part


def run(measure: Callable[[int], Figures], part: Callable[[Figures], Part], rounds: int = 5) -> int:
    """`rounds` unless the first argument says otherwise."""
    from bench import page

    if os.geteuid() != 0:
        print("bench: lab hosts need root", file=sys.stderr)
        return 2
    told = part(measure(int(sys.argv[1]) if len(sys.argv) > 1 else rounds))
    print(page.section(told))
    print(page.goals([told]))
    return 0


def quiet(words: str) -> None:
    """The lab's progress goes where the results do not."""
    print(words, file=sys.stderr)
