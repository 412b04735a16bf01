"""Plants one bug in a copy of the source and runs the tests that should see it.

Knows copies, patches, how every process of a test comes to run the copy, and pytest's exit codes. Refuses to know the
bugs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 900
PASSED, FAILED = 0, 1  # pytest's exit codes; all others say that nothing was tested

Answer = Literal["caught", "alive", "not tested", "does not fit"]


class Patch(NamedTuple):
    """`old` stands in `file` (under src/outlast) exactly once."""

    file: str
    old: str
    new: str


# A process in the background starts isolated and finds its packages by the folders that it is told, behind those of
# the interpreter, where outlast is installed: in the copy, the told folders come first.
OURS_FIRST = Patch(
    "supervise/start.py",
    "sys.path += [p for p in sys.argv.pop(1).split(':') if p not in sys.path]; ",
    "sys.path[:0] = sys.argv.pop(1).split(':'); ",
)


class Mutant(NamedTuple):
    """`says` is the bug in words; `tests` are pytest selections, each of which has to turn red."""

    name: str
    says: str
    patches: tuple[Patch, ...]
    tests: tuple[str, ...]


class Result(NamedTuple):
    test: str
    answer: Answer
    words: str


def plant(mutant: Mutant) -> list[Result]:
    """What each of its tests says of the bug."""
    with tempfile.TemporaryDirectory(prefix="outlast-mutant-") as folder:
        source = Path(folder, "src")
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        for patch in (OURS_FIRST, *mutant.patches):
            path = source / "outlast" / patch.file
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            if text.count(patch.old) != 1:
                why = f"{patch.file} holds the text to patch {text.count(patch.old)} times"
                return [Result(test, "does not fit", why) for test in mutant.tests]
            path.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
        return [_tested(test, source) for test in mutant.tests]


def _tested(test: str, source: Path) -> Result:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "not soak",
        *test.split(),
    ]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Result(test, "caught", f"no end within {LIMIT_S} s")
    if done.returncode == FAILED:
        return Result(test, "caught", _first_failure(done.stdout))
    answer: Answer = "alive" if done.returncode == PASSED else "not tested"
    return Result(test, answer, (done.stdout + done.stderr).strip().rpartition("\n")[2])


def _first_failure(said: str) -> str:
    for line in said.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            return line
    return said.strip().rpartition("\n")[2]
