"""python3 -m tests.fuzz --minutes 20 [--only TARGET] [--kept FOLDER]: fuzzing guided by coverage (atheris, libFuzzer).

Not a dependency of anything: `python3 -m venv --system-site-packages V; V/bin/pip install atheris`, with PyYAML, psutil
and prometheus-client beside it.  Every target gets the same share of the time, and no more than --inputs.  An input that
breaks a promise, crashes or takes longer than ten seconds is kept in FOLDER, and the exit status is 1: mend what it shows,
then put it into tests/fuzz/found as TARGET.NUMBER.  What else is in FOLDER is the corpus, from which a later run goes on.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

_SLOWEST = 10  # seconds for one input
_LONGEST = 4096  # bytes of one input
_DONE = re.compile(r"^Done (\d+) (?:runs|in)", re.MULTILINE)
_COVERED = re.compile(r"^#\d+\s.*?cov: (\d+)", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--inputs", type=int, default=-1, help="at most, for each target")
    parser.add_argument("--only", action="append", help="one target; may be given again")
    parser.add_argument("--kept", type=Path, help="a folder; a new one where there is none")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    known, rest = parser.parse_known_args()
    if known.inside:
        _fuzz(known.inside, rest)
    kept = known.kept or Path(tempfile.mkdtemp(prefix="resize-agent-fuzz-"))
    return _all(known.only, known.minutes * 60, known.inputs, kept.resolve())


def _all(only: list[str] | None, seconds: float, inputs: int, kept: Path) -> int:
    from tests.fuzz.corpus import WORDS, seeds

    kept.mkdir(exist_ok=True)
    dictionary = kept / "words"
    dictionary.write_text("".join(f'"{_quoted(word)}"\n' for word in WORDS))
    starts = {name: texts for name, texts in seeds().items() if not only or name in only}
    total = 0
    for name, texts in starts.items():
        corpus = kept / name
        corpus.mkdir(exist_ok=True)
        for number, text in enumerate(texts):
            (corpus / f"seed{number}").write_bytes(text)
        limits = [f"-max_total_time={int(seconds / len(starts))}", f"-runs={inputs}"]
        limits += [f"-timeout={_SLOWEST}", f"-max_len={_LONGEST}", f"-dict={dictionary}"]
        where = [f"-artifact_prefix={kept}/{name}.", str(corpus)]
        inside = [sys.executable, "-m", "tests.fuzz", "--inside", name]
        done = subprocess.run([*inside, *limits, *where], capture_output=True, text=True)
        runs = _number(_DONE, done.stderr)
        total += runs
        print(f"{name:20} {runs:9} inputs, {_number(_COVERED, done.stderr):5} branches", flush=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
    found = [p for p in kept.iterdir() if p.is_file() and p != dictionary]
    print(f"{total} inputs, {len(found)} found: {kept}")
    for path in found:
        print(f"    {path}")
    return 1 if found else 0


def _fuzz(name: str, arguments: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["agent"]):
        from tests.fuzz.targets import TARGETS

    atheris.Setup([name, *arguments], TARGETS[name])
    atheris.Fuzz()


def _number(pattern: re.Pattern[str], text: str) -> int:
    return int((pattern.findall(text) or ["0"])[-1])


def _quoted(word: str) -> str:
    octets = word.encode("utf-8", "surrogatepass")
    return "".join(f"\\x{octet:02x}" for octet in octets)


if __name__ == "__main__":
    sys.exit(main())
