"""After a save has settled: reads it while it is warm, remembers what it was (a manifest), pins the newest one that is
good, and lets go of what the retention no longer wants.

Beside a training, started by its runner, at the lowest priority of CPU and disk; and once more when the training has
ended. One at a time in a folder of checkpoints. Killed anywhere, the next one does what is missing. Prints one line of
JSON. Refuses to move anything away: that is done before a start, when nobody trains.
"""

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outlast.checkpoints import ailing, guard, owner, pins
from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline
from outlast.disk import clock, files
from outlast.disk.layout import AttemptFolder, RunFolder
from outlast.errors import OK, RefusedError, TryAgain, WorldError
from outlast.facts import (
    Candidate,
    FileMark,
    Foreign,
    Lock,
    Manifest,
    Moment,
    Order,
    RunId,
    Torn,
    Unsure,
    Whole,
)
from outlast.facts.codec import from_record
from outlast.seams import CheckpointFormat
from outlast.work import locked, quiet
from outlast.work.keep import Kept, Retaining
from outlast.work.survey import Found, survey

log = logging.getLogger(__name__)
SCHEMA = 1
CANDIDATES_MAX = 10_000
LEVEL = 2
WITHIN_S = 6 * 3600.0  # whoever started it ends it sooner
ROWS_SHOWN = 50
VERDICTS = {Torn: "torn", Unsure: "unsure", Foreign: "foreign"}


def main(formats: Sequence[CheckpointFormat], attempt_dir: str, order_name: str) -> int:
    quiet.be_last()
    try:
        answer = settle(formats, Path(attempt_dir), order_name)
    except WorldError as error:
        answer = {"notes": [str(error)], "again": True}
    print(json.dumps(answer), flush=True)
    return OK


def settle(formats: Sequence[CheckpointFormat], attempt_dir: Path, order_name: str) -> dict[str, Any]:
    """{"verified": steps that are, newest first, "made": those of them that this attempt saved, "removed": paths,
    "notes": for people}. Raises WorldError."""
    record = files.read(str(attempt_dir / order_name))
    if record is None:
        raise WorldError(f"{attempt_dir / order_name}: there is no such order")
    order = from_record(record, Order, order_name)
    if order.resume is None:
        return {"verified": [], "notes": []}
    root = Path(order.resume.root)
    found = survey(
        [each for each in formats if order.resume.format in ("auto", each.name)], root, CANDIDATES_MAX
    )
    if not found:
        return {"verified": [], "notes": []}
    folder = AttemptFolder(str(attempt_dir))
    try:
        with guard.held(root, patiently=False):
            whose = owner.of(root)
            is_others = whose is not None and whose.run != folder.run().id
            if whose is not None and is_others and (whose.is_at_work or not order.resume.take_over):
                note = f"{root} belongs to run {whose.run}: nothing there is verified, copied or removed for this one"
                return {"verified": [], "notes": [note]}
            return _Settling(root, order, folder).all_of(found)
    except TryAgain as error:
        return {"verified": [], "notes": [str(error)], "again": True}


class _Settling:
    def __init__(self, root: Path, order: Order, folder: AttemptFolder) -> None:
        self._root, self._order, self._folder = root, order, folder
        self._run: RunFolder = folder.run()
        self._since_ns = _began_ns(folder)
        self._rows: list[dict[str, Any]] = []
        self._good: list[Manifest] = []
        self._notes: list[str] = []
        self._newest_step = -1
        self._again = False

    def all_of(self, found: Sequence[Found]) -> dict[str, Any]:
        steps = [
            (candidate, candidate.step, format_) for candidate, format_ in found if candidate.step is not None
        ]
        self._newest_step = max((step for _, step, _ in steps), default=-1)
        self._learn(steps)
        for candidate, step, format_ in steps:
            self._one(candidate, step, format_)
        if self._good:
            self._pin()
        good = {each.path for each in self._good}
        others = [(candidate.path, step) for candidate, step, _ in steps if candidate.path not in good]
        kept = self._retain(others)
        gone = set(kept.removed)
        self._rows = [row for row in self._rows if row["path"] not in gone]
        self._forget({candidate.path for candidate, _, _ in steps} - gone)
        self._show()
        return {
            "verified": [each.step for each in self._good if each.path not in gone],
            "made": sorted(each.step for each in self._good if each.attempt == self._folder.n),
            "removed": list(kept.removed),
            "notes": self._notes,
            "again": self._again,
        }

    def _retain(self, others: Sequence[tuple[str, int]]) -> Kept:
        """What could not be let go is told, and keeps nobody from what was verified."""
        try:
            kept = Retaining(self._root, self._order.retention, self._run).keep(self._good, others)
        except WorldError as error:
            kept = Kept(notes=(f"nothing was removed: {error}",))
        self._notes += kept.notes
        return kept

    def _learn(self, steps: Sequence[tuple[Candidate, int, CheckpointFormat]]) -> None:
        """What never was a number: from the oldest step that this run has made, once."""
        own = [pair for pair in steps if pair[0].newest_mtime_ns >= self._since_ns]
        for candidate, step, format_ in own if own and ailing.known(self._run) is None else ():
            if step == own[-1][1]:
                ailing.learn(self._run, format_.inspect(candidate, LEVEL, WITHIN_S))

    def _one(self, candidate: Candidate, step: int, format_: CheckpointFormat) -> None:
        known = manifests.of(self._run, step, candidate.path)
        try:
            if known is not None and manifests.is_current(known, candidate.path):
                self._note_good(known)
            elif self._is_ours(candidate):
                self._look(candidate, step, format_, known)
        except FileNotFoundError:
            return  # gone while we looked
        except OSError as error:
            self._row(candidate, step, Unsure((f"cannot be read: {error.strerror or error}",)))

    def _is_ours(self, candidate: Candidate) -> bool:
        """Made since this attempt began, or the newest there is: what lies there from earlier is read when it is
        wanted, not beside the training."""
        return candidate.newest_mtime_ns >= self._since_ns or candidate.step == self._newest_step

    def _look(
        self, candidate: Candidate, step: int, format_: CheckpointFormat, known: Manifest | None
    ) -> None:
        """One that was `known` and is neither as it was nor saved anew as a whole stays what it was known for. Raises
        OSError."""
        writer = guard.writer_of(Path(candidate.path))
        if writer is not None:
            self._row(candidate, step, Unsure((f"process {writer} has it open for writing",)))
            self._again = True
            return
        began_s = time.monotonic()
        before = manifests.marks(candidate.path)
        verdict = format_.inspect(candidate, LEVEL, WITHIN_S)
        if known is not None:
            verdict = manifests.judged(verdict, known, candidate.path, WITHIN_S)
        verdict = ailing.excused(verdict, ailing.known(self._run))
        if not isinstance(verdict, Whole):
            self._row(candidate, step, verdict)
            return
        try:
            marks = manifests.hashed(candidate.path, Deadline(WITHIN_S))
        except (Unknown, Broken) as error:
            self._row(candidate, step, Unsure((str(error),)))
            self._again = True
            return
        if [(each.name, each.bytes, each.mtime_ns) for each in marks] != before:
            self._row(candidate, step, Unsure(("it changed while it was read",)))
            self._again = True
            return
        made = self._manifest(candidate, step, verdict, marks, known)
        manifests.write(self._run, made)
        log.info("%s: verified in %.1f s (%d bytes)", candidate.path, time.monotonic() - began_s, made.bytes)
        self._note_good(made)

    def _locked(self, candidate: Candidate) -> Lock | None:
        """The run's lock, which its first checkpoint makes. A save is remembered although its run cannot be locked."""
        try:
            lock = locked.newest(self._run)
            if lock is not None or candidate.newest_mtime_ns < self._since_ns:
                return lock  # what lies there from before tells nothing of this attempt
            return locked.made(self._run, locked.spec_of(self._run), candidate.path, self._folder.n + 1)
        except WorldError as error:
            self._notes.append(f"not locked: {error}")
            return None

    def _manifest(
        self,
        candidate: Candidate,
        step: int,
        verdict: Whole,
        marks: tuple[FileMark, ...],
        known: Manifest | None,
    ) -> Manifest:
        lock = self._locked(candidate)
        return Manifest(
            run=RunId(self._run.id),
            attempt=self._maker(candidate, marks, known),
            path=candidate.path,
            format=candidate.format,
            step=step,
            level=max(verdict.level, manifests.CONTENT),
            finite=verdict.finite,
            at=from_record(clock.moment(), Moment),
            files=marks,
            notes=verdict.notes,
            ill=verdict.ill,
            lock=locked.digest(lock) if lock is not None else "",
            base=locked.base_of(lock) if lock is not None else "",
        )

    def _maker(self, candidate: Candidate, marks: tuple[FileMark, ...], known: Manifest | None) -> int:
        """The attempt that saved it: not this one where somebody only wrote beside its weights. 0: one before it."""
        if known is not None and not manifests.has_new_payload(known, marks):
            return known.attempt
        return self._folder.n if manifests.written_ns(candidate.path, marks) >= self._since_ns else 0

    def _note_good(self, manifest: Manifest) -> None:
        worth = {"level": manifest.level, "finite": manifest.finite, "bytes": manifest.bytes}
        self._rows.append(
            _row(manifest.path, manifest.step, manifest.format, "whole", manifest.notes, **worth)
        )
        if manifest.finite is not False:
            self._good.append(manifest)

    def _row(self, candidate: Candidate, step: int, verdict: Torn | Unsure | Foreign) -> None:
        word = VERDICTS[type(verdict)]
        self._rows.append(_row(candidate.path, step, candidate.format, word, verdict.reasons))

    def _pin(self) -> None:
        """All of the newest good step; ours of before goes only when that stands. What has a copy and is newer than all
        that is left is the last of its kind."""
        whose = owner.of(self._root)
        if whose is None or whose.run != self._run.id:
            owner.take(self._root, self._run)
        newest = self._newest_good()
        held = pins.held(self._root)
        last = max((pin.manifest.step for pin in held if not pin.by), default=-1)
        if not self._order.pins.wanted or not newest or newest[0].step < last:
            return
        try:
            for each in newest:
                pins.pin(self._root, each, self._order.pins.copy_max)
        except (RefusedError, WorldError) as error:
            self._notes.append(f"unprotected: step {newest[0].step} has no second copy: {error}")
            return
        for pin in held:
            if not pin.by and pin.manifest.step < newest[0].step:
                pins.drop(self._root, pin.manifest)
        pins.sweep(self._root)

    def _newest_good(self) -> list[Manifest]:
        """What was saved of the newest step of which all is good, its weights looked at; of several names of one file
        one. Where nobody could look at weights at all, the newest that is whole."""
        bad = {row["step"] for row in self._rows} - {each.step for each in self._good}
        bad |= {row["step"] for row in self._rows if row["verdict"] != "whole" or row["finite"] is False}
        good = [each for each in self._good if each.step not in bad]
        proven = {each.step for each in good if each.finite}
        step = max(proven or {each.step for each in good}, default=-1)
        by_file = {os.path.realpath(each.path): each for each in good if each.step == step}
        return sorted(by_file.values(), key=lambda each: each.path)

    def _forget(self, paths: set[str]) -> None:
        """Manifests of checkpoints that are no more, and of which we keep no copy."""
        keep = {each.manifest.path for each in pins.held(self._root)} | paths
        for name in _numbered(self._run.checkpoints):
            step = int(name.removesuffix(".json"))
            found = manifests.at(self._run, step)  # one that cannot be read now may be read later
            left = [each for each in found if each.path in keep]
            if len(left) < len(found):
                manifests.keep(self._run, step, left)

    def _show(self) -> None:
        how = {each.manifest.path: each.how for each in pins.held(self._root)}
        for row in self._rows:
            row["pinned"] = how.get(row["path"], "")
        rows = sorted(self._rows, key=lambda row: row["step"], reverse=True)[:ROWS_SHOWN]
        files.make_directory(self._run.checkpoints)
        record: Mapping[str, Any] = {"schema": SCHEMA, "checkpoints": rows, "notes": self._notes}
        files.replace(self._run.verified, dict(record), durable=False)


def _row(
    path: str, step: int, format_: str, verdict: str, reasons: Sequence[str], **more: Any
) -> dict[str, Any]:
    """As `show --json` has it."""
    unknown = {"level": None, "finite": None, "pinned": "", "bytes": None}
    said = {"path": path, "step": step, "format": format_, "verdict": verdict, "reasons": list(reasons)}
    return {**said, **unknown, **more}


def _began_ns(folder: AttemptFolder) -> int:
    """By the clock of the wall, as files are dated."""
    started = files.read(folder.started)
    return int(started["at"]["wall_s"] * 1e9) if started is not None else 0


def _numbered(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorldError(f"cannot list {folder}: {error.strerror}") from error
    return [name for name in names if name.removesuffix(".json").isdigit()]
