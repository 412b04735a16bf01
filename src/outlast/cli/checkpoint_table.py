"""How checkpoints and verdicts look on a screen, and a line that moves while much is read.

Refuses to look at a checkpoint, and to judge one.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from outlast.checkpoints import guard
from outlast.cli import words
from outlast.errors import FAILED, OK, UNKNOWN
from outlast.facts import Candidate, Torn, Unsure, Verdict, Whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.work.survey import Found

HEAD = ["STEP", "VERDICT", "LEVEL", "FINITE", "FORMAT", "SIZE", "AGE", "PINNED", "NAME"]
DRAW_EVERY_S = 0.2
VERDICTS = {Whole: "whole", Torn: "torn", Unsure: "unsure"}


def row(candidate: Candidate, verdict: Verdict, pinned: str = "") -> dict[str, Any]:
    reasons: tuple[str, ...] = verdict.notes if isinstance(verdict, Whole) else verdict.reasons
    return {
        "path": candidate.path,
        "step": candidate.step,
        "format": candidate.format,
        "verdict": VERDICTS.get(type(verdict), "foreign"),
        "level": verdict.level if isinstance(verdict, Whole) else None,
        "finite": verdict.finite if isinstance(verdict, Whole) else None,
        "reasons": list(reasons),
        "pinned": pinned,
        "bytes": size_of(candidate.path),
        "mtime": candidate.newest_mtime_ns / 1e9,
    }


def code(verdicts: Sequence[Verdict]) -> int:
    if any(isinstance(each, Torn) or (isinstance(each, Whole) and each.finite is False) for each in verdicts):
        return FAILED
    return OK if all(isinstance(each, Whole) for each in verdicts) else UNKNOWN


def show(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        print(f"outlast: {path} holds nothing that is known for a checkpoint", file=sys.stderr)
    else:
        sys.stdout.write(words.table([HEAD, *map(_cells, rows)]))
    for row in rows:
        for reason in row["reasons"]:
            sys.stdout.write(f"\n{os.path.basename(row['path'])}: {reason}")
    sys.stdout.write("\n" if any(row["reasons"] for row in rows) else "")
    hidden = guard.quarantined(path)
    if hidden:
        sys.stdout.write(f"\nin quarantine (outlast checkpoint restore {path} NAME): {', '.join(hidden)}\n")


def _cells(row: dict[str, Any]) -> list[str]:
    finite = {None: "-", True: "yes", False: "NO"}[row["finite"]]
    return [
        "-" if row["step"] is None else str(row["step"]),
        row["verdict"],
        "-" if row["level"] is None else f"L{row['level']}",
        finite,
        row["format"],
        words.size(row["bytes"]),
        words.span(max(0.0, time.time() - row["mtime"])),
        row["pinned"] or "-",
        os.path.basename(row["path"]),
    ]


def size_of(path: str) -> int:
    if not os.path.isdir(path):
        return os.stat(path).st_size if os.path.exists(path) else 0
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # deleted meanwhile
    return total


class Progress:
    """A line on a terminal while much is read: how far by the bytes that were read. `done`: so many are judged."""

    def __init__(self, found: Sequence[Found], level: int) -> None:
        self._names = [os.path.basename(candidate.path) for candidate, _ in found]
        self._is_on = level > 0 and sys.stderr.isatty()
        self._total = sum(size_of(candidate.path) for candidate, _ in found) if self._is_on else 0
        self.done = 0
        self._read_before, self._began_s = _read_bytes(), time.monotonic()
        self._over = Event()
        self._drawing = Thread(target=self._draw_now_and_then, daemon=True)

    def __enter__(self) -> Progress:
        if self._is_on:
            self._drawing.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_on:
            self._over.set()
            self._drawing.join()
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _draw_now_and_then(self) -> None:
        while not self._over.wait(DRAW_EVERY_S):
            self._draw()

    def _draw(self) -> None:
        at = min(self.done, len(self._names) - 1)
        read = _read_bytes() - self._read_before
        share = min(1.0, read / self._total) if self._total else 0.0
        rate = read / max(1e-3, time.monotonic() - self._began_s)
        line = f"verifying {self._names[at]} ({at + 1} of {len(self._names)})  {share:4.0%}  {words.size(int(rate))}/s"
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def _read_bytes() -> int:
    """From files and pipes, by this process with its children, of which those that ended count as its own."""
    read = _read_by("self")
    try:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    except OSError:
        return read  # a kernel that does not list them: the line is late by one checkpoint
    return read + sum(map(_read_by, children))


def _read_by(pid: str) -> int:
    try:
        return int(Path(f"/proc/{pid}/io").read_text().split()[1])
    except OSError:
        return 0  # it ended just now
