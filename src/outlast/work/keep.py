"""Lets go of checkpoints: what `decide/retention` says may go, after a record of it, through the trash.

    CHECKPOINTS/.outlast/trash/           what is being deleted: renamed first, so that nobody sees half of one
    CHECKPOINTS/.outlast/removed.jsonl    what went, when, and why; durable before anything is deleted

Killed anywhere, the next pass empties the trash. Whoever calls holds the folder's lock. Refuses to choose.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from outlast.checkpoints import guard, pins, users
from outlast.decide.retention import Fate, Saved, fates
from outlast.disk import clock, copies, files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import Manifest, Retention
from outlast.work import measures

REMOVED = "removed.jsonl"


class Kept(NamedTuple):
    """`removed`: paths that are gone."""

    fates: tuple[Fate, ...] = ()
    removed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Retaining:
    """`run` None: a folder that no run of ours made."""

    def __init__(self, root: Path, rules: Retention | None, run: RunFolder | None) -> None:
        self._root, self._rules, self._run = root, rules, run

    def keep(
        self, good: Sequence[Manifest], others: Sequence[tuple[str, int]] = (), *, dry: bool = False
    ) -> Kept:
        """`good` are verified; `others` (path, step) are not, and stay, with all of their step. Raises WorldError:
        nothing was deleted that is not in the record."""
        if not dry:
            empty_trash(self._root)
        if self._rules is None:
            return Kept()
        saved = self._saved(good, others)
        would_go = {each.step for each in fates(saved, self._rules) if not each.keeps}
        holds = _Holds(self._root) if would_go else None
        asked = [
            replace(each, holds=holds.of(each)) if holds and each.step in would_go else each for each in saved
        ]
        decided = fates(asked, self._rules)
        going = [each for each in decided if not each.keeps]
        if dry or not going:
            return Kept(decided)
        return self._let_go(decided, going)

    def _let_go(self, decided: tuple[Fate, ...], going: Sequence[Fate]) -> Kept:
        """Out of sight, then written down, then deleted. What cannot be moved stays, and was not promised; what cannot
        be written down is put back."""
        trash, notes, moved = str(self._root / guard.OWN / pins.TRASH), list[str](), list[_Moved]()
        for fate in going:
            for path in fate.paths:
                try:
                    trashed = files.move_to_trash(path, trash)
                except WorldError as error:
                    notes.append(str(error))
                    continue
                if trashed is not None:
                    moved.append(_Moved(path, trashed, fate))
        try:
            _record(self._root, moved, str(self._run.id) if self._run else "")
        except WorldError:
            for each in moved:
                files.move(each.trashed, each.path)
            raise
        notes += [said for each in moved if (said := copies.discard(each.trashed))]
        return Kept(decided, tuple(each.path for each in moved), tuple(notes))

    def _saved(self, good: Sequence[Manifest], others: Sequence[tuple[str, int]]) -> list[Saved]:
        rules, now_s = self._rules, time.time()
        values = measures.of(self._run, rules.best, good) if rules and rules.best else {}
        unverified = {step for _, step in others}
        found = []
        for step in sorted(unverified | {each.step for each in good}):
            parts = [each for each in good if each.step == step]
            paths = [each.path for each in parts] + [path for path, other in others if other == step]
            written_ns = max((mark.mtime_ns for each in parts for mark in each.files), default=0)
            found.append(
                Saved(
                    step,
                    tuple(dict.fromkeys(paths)),
                    verified=step not in unverified and any(each.finite for each in parts),
                    age_s=now_s - written_ns / 1e9,
                    value=values.get(step),
                )
            )
        return found


class _Holds:
    """Why a step must stay, whatever the rules say. What is the same for all of them is looked for once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pinned = {pin.manifest.step for pin in pins.held(root) if pin.by}
        self._used = {os.path.realpath(path) for path in users.resumed_from(root)}
        with os.scandir(root) as entries:
            self._links = [(each.name, os.path.realpath(each.path)) for each in entries if each.is_symlink()]

    def of(self, saved: Saved) -> tuple[str, ...]:
        real = {os.path.realpath(path) for path in saved.paths}
        held = ["pinned by a person"] * (saved.step in self._pinned)
        held += ["a run goes on from it"] * bool(real & self._used)
        own = {os.path.basename(path) for path in saved.paths}
        held += [f"{name} points to it" for name, there in self._links if there in real and name not in own]
        for path in saved.paths:
            if guard.is_accepted(Path(path)):
                held.append("accepted by a person")
            user = guard.user_of(Path(path))
            if user is not None:
                held.append(f"process {user} has it open")
        return tuple(dict.fromkeys(held))


class _Moved(NamedTuple):
    path: str
    trashed: str
    fate: Fate


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


def _record(root: Path, moved: Sequence[_Moved], run: str) -> None:
    """Raises WorldError: then nothing is deleted."""
    lines = []
    for each in moved:
        entry: Mapping[str, object] = {
            "at": clock.moment(),
            "run": run,
            "path": each.path,
            "step": each.fate.step,
            "why": list(each.fate.reasons),
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
