"""`refusing.py ROOT FIRST STEP -- ARGUMENTS`: the command on a fresh image, the system refusing one call, then undisturbed.

The calls are numbered by CPython's audit events (PEP 578), which come before them.  Refused are the calls FIRST, FIRST + STEP
and so on, each in a run of its own.  Prints one JSON list for each: what the two runs came to.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.test_cli import an_image

_PREFIXES = ("open", "os.", "subprocess.Popen", "fcntl.", "socket.", "shutil.", "tempfile.")
_OURS = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2]), "/usr/lib", "/usr/share")


class Refusal:
    """Refuses the call with this number."""

    def __init__(self, number: int) -> None:
        self.number, self.seen, self.what, self.on = number, 0, "", True

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or event == "os.kill" or not event.startswith(_PREFIXES):
            return  # kill(2) knows no such error
        if arguments and str(arguments[0]).startswith(_OURS):
            return  # a program that is itself unreadable
        self.seen += 1
        if self.seen - 1 == self.number:
            self.what = f"{event} {str(arguments)[:100]}"
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def main() -> None:
    root, number, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    arguments = sys.argv[5:]
    import agent.apply  # what is loaded late is no call of the run's
    import agent.commands  # noqa: F401

    while True:
        for each in root.iterdir():
            shutil.rmtree(each)
        an_image(root)
        disturbed = alone(number, arguments)
        if not disturbed["refused"]:
            return  # there is no call of that number
        print(json.dumps([disturbed, alone(-1, arguments)]), flush=True)
        number += step


def alone(number: int, arguments: list[str]) -> dict[str, Any]:
    """In a child, so that the hook goes with it."""
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        child = os.fork()
        if child == 0:
            os.dup2(files[0].fileno(), 1)
            os.dup2(files[1].fileno(), 2)
            _run(number, arguments, files[2].fileno())
        _, ended = os.waitpid(child, 0)
        for stream in files:
            stream.seek(0)
        out, err, refused = (stream.read().decode() for stream in files)
    status = os.WEXITSTATUS(ended) if os.WIFEXITED(ended) else -os.WTERMSIG(ended)
    return {"refused": refused, "status": status, "out": out, "err": err}


def _run(number: int, arguments: list[str], told: int) -> None:
    from agent.cli import main

    refusal = Refusal(number)
    sys.addaudithook(refusal)
    status = 70
    try:
        status = main(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        refusal.on = False
        sys.stdout.flush()
        os.write(told, refusal.what.encode("utf-8", "backslashreplace"))
        os._exit(status)


main()
