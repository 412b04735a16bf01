"""Lets go of checkpoints: what `decide/retention` says may go, after a record of it, through the trash.

    CHECKPOINTS/.outlast/removed.jsonl    what went, when, and why; durable before anything is touched
    CHECKPOINTS/.outlast/trash/           what is being deleted: renamed first, so that nobody sees half of one

Killed anywhere, the next pass empties the trash. Whoever calls holds the folder's lock. Refuses to choose.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from outlast.checkpoints import guard, pins
from outlast.decide.retention import Fate, Saved, fates
from outlast.disk import attempt as doors
from outlast.disk import clock, copies, files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import Manifest, Retention
from outlast.work import measures

REMOVED = "removed.jsonl"


class Kept(NamedTuple):
    """`removed`: (path, why)."""

    fates: tuple[Fate, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


class Retaining:
    """`run` None: a folder that no run of ours made."""

    def __init__(self, root: Path, rules: Retention | None, run: RunFolder | None) -> None:
        self._root, self._rules, self._run = root, rules, run

    def keep(
        self, good: Sequence[Manifest], others: Sequence[tuple[str, int]] = (), *, dry: bool = False
    ) -> Kept:
        """`good` are verified; `others` (path, step) are not, and stay. Raises WorldError: nothing was deleted that is
        not in the record."""
        if not dry:
            empty_trash(self._root)
        if self._rules is None:
            return Kept()
        decided = fates(self._saved(good, others), self._rules)
        going = [each for each in decided if not each.keeps]
        if dry or not going:
            return Kept(decided)
        _record(self._root, going, str(self._run.id) if self._run else "")
        notes = [said for each in going if (said := remove(self._root, each.path))]
        gone = tuple((each.path, each.reasons[0]) for each in going if not os.path.lexists(each.path))
        return Kept(decided, gone, tuple(notes))

    def _saved(self, good: Sequence[Manifest], others: Sequence[tuple[str, int]]) -> list[Saved]:
        rules = self._rules
        values = measures.of(self._run, rules.best, good) if rules and rules.best else {}
        now_s = time.time()
        found = [
            Saved(
                each.path,
                each.step,
                verified=True,
                age_s=now_s - max(mark.mtime_ns for mark in each.files) / 1e9,
                value=values.get(each.step),
                holds=self._holds(each.path, each.step),
            )
            for each in good
        ]
        return found + [Saved(path, step, verified=False) for path, step in others]

    def _holds(self, path: str, step: int) -> tuple[str, ...]:
        held = []
        if any(pin.by and pin.manifest.step == step for pin in pins.held(self._root)):
            held.append("pinned by a person")
        if guard.is_accepted(Path(path)):
            held.append("accepted by a person")
        if self._run is not None and path in _resumed_from(self._run):
            held.append("the run goes on from it")
        user = guard.user_of(Path(path))
        if user is not None:
            held.append(f"process {user} has it open")
        return tuple(held)


def remove(root: Path, path: str) -> str:
    """What could not be done, "" if it is gone. Raises WorldError: it is where it was."""
    trashed = files.move_to_trash(path, str(root / guard.OWN / pins.TRASH))
    return copies.discard(trashed) if trashed is not None else ""


def empty_trash(root: Path) -> list[str]:
    """What a deletion that was broken off has left there. What cannot be deleted, and why."""
    trash = str(root / guard.OWN / pins.TRASH)
    try:
        names = os.listdir(trash)
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{trash}: {error.strerror}"]
    return [said for name in names if (said := copies.discard(os.path.join(trash, name)))]


def _record(root: Path, going: Sequence[Fate], run: str) -> None:
    """Raises WorldError: then nothing may be deleted."""
    lines = []
    for each in going:
        entry: Mapping[str, object] = {
            "at": clock.moment(),
            "run": run,
            "path": each.path,
            "step": each.step,
            "why": list(each.reasons),
        }
        lines.append(json.dumps(entry).encode() + b"\n")
    path = str(root / guard.OWN / REMOVED)
    fd = files.open_append(path)
    try:
        files.append_durably(fd, b"".join(lines))
    except OSError as error:
        raise WorldError(f"cannot write {path}: {error.strerror}: nothing is deleted") from error
    finally:
        os.close(fd)
    files.fsync_directory(os.path.dirname(path))


def _resumed_from(run: RunFolder) -> set[str]:
    """By the attempts that are not over."""
    found = set()
    for name in sorted(os.listdir(run.attempts)) if os.path.isdir(run.attempts) else []:
        folder = run.attempt(int(name))
        started = files.read(folder.started)
        if started is not None and started.get("resumed_from") and not doors.is_over(folder):
            found.add(str(started["resumed_from"]))
    return found
