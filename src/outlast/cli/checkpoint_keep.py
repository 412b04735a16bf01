"""`outlast checkpoint pin|unpin|gc`: which checkpoints are kept.

Refuses to choose (`decide/retention`) and to delete by itself (`work/keep`).
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from outlast.checkpoints import guard, owner, pins
from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline
from outlast.cli import checkpoint_targets as targets
from outlast.cli import keeping, words
from outlast.disk import clock
from outlast.disk import workspace as workspaces
from outlast.errors import OK, NotFound, RefusedError, UserError
from outlast.facts import Candidate, FileMark, Manifest, Moment, Retention, RunId, Verdict, Whole
from outlast.facts.codec import from_record
from outlast.settings import load
from outlast.work.keep import Kept, Retaining
from outlast.work.survey import survey

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from outlast.cli.checkpoint_targets import Target
    from outlast.decide.retention import Fate
    from outlast.seams import CheckpointFormat

HEAD = ["STEP", "", "SIZE", "NAME", "WHY"]
LEVEL = 2
YOUNG_S = 15 * 60.0


def act(arguments: Namespace, target: Target) -> int:
    with guard.held(targets.root_of(target.path)):
        if arguments.what == "unpin":
            return _unpin(target)
        if arguments.what == "pin":
            return _pin(target)
        return _gc(arguments, target)


def _pin(target: Target) -> int:
    """Of a folder the newest that is good."""
    root = targets.root_of(target.path)
    for candidate, format_ in targets.found_at(target.path):
        ((_, verdict),) = targets.judge(target, [(candidate, format_)], LEVEL)
        if candidate.step is None or not _is_good(verdict):
            print(f"outlast: not pinned: {candidate.path}: {_said(candidate, verdict)}", file=sys.stderr)
            continue
        made = _made(target, candidate, verdict, hashed=True)
        pin = pins.pin(root, made, keeping.UNLIMITED, by=getpass.getuser())
        print(
            f"outlast: pinned step {candidate.step} ({pin.how}): {pins.path_of(root, pin)}", file=sys.stderr
        )
        return OK
    raise NotFound(f"{target.path}: nothing there can be pinned")


def _unpin(target: Target) -> int:
    root = targets.root_of(target.path)
    found = [pin for pin in pins.held(root) if pin.manifest.path == str(target.path)]
    if not found:
        raise NotFound(f"{target.path} is not pinned")
    for pin in found:
        pins.drop(root, pin.manifest)
    print(f"outlast: {target.path} has no second copy any more", file=sys.stderr)
    return OK


def _gc(arguments: Namespace, target: Target) -> int:
    root = target.path
    if not root.is_dir() or targets.root_of(root) != root:
        raise UserError(f"checkpoint gc: name the folder in which the checkpoints lie, not {root}")
    rules = _rules(arguments, target)
    whose = owner.of(root)
    if whose is None or not whose.is_at_work:
        _refuse_if_in_use(root)
    good, others = _sorted_out(target)
    kept = Retaining(root, rules, target.run).keep(good, others, dry=arguments.dry_run)
    sizes = {each.path: each.bytes for each in good}
    if arguments.json:
        sys.stdout.write(json.dumps(_record(kept, sizes), indent=1) + "\n")
    else:
        _show(kept, sizes, dry=arguments.dry_run)
    return OK


def _rules(arguments: Namespace, target: Target) -> Retention:
    if arguments.keep:
        return Retention(last=arguments.keep, least=min(2, arguments.keep))
    if target.retention is not None:
        return target.retention
    found = (
        keeping.retention(load(workspaces.existing(arguments.workspace).config)) if _has(arguments) else None
    )
    if found is None:
        raise UserError(
            "checkpoint gc: no rule says which may go: give --keep N, or `retention:` in outlast.yaml"
        )
    return found


def _has(arguments: Namespace) -> bool:
    return workspaces.find(arguments.workspace) is not None


def _refuse_if_in_use(root: Path) -> None:
    """No run of ours made them: whoever does may be at work now."""
    user = guard.user_of(root)
    if user is not None:
        raise RefusedError(f"{root}: process {user} has a file open there: nothing is removed")
    try:
        marks = manifests.marks(str(root))
    except OSError as error:
        raise RefusedError(f"{error.filename or root}: {error.strerror}: nothing is removed") from error
    newest_ns = max((mark[2] for mark in marks if not mark[0].startswith(guard.OWN)), default=0)
    age_s = time.time() - newest_ns / 1e9
    if age_s < YOUNG_S:
        raise RefusedError(
            f"{root}: something was written there {words.span(max(0.0, age_s))} ago, and no run of outlast saves "
            f"there: wait until it is {words.span(YOUNG_S)} old"
        )


def _sorted_out(target: Target) -> tuple[list[Manifest], list[tuple[str, int]]]:
    good, others = [], []
    for candidate, format_ in survey(target.formats, target.path, targets.CANDIDATES_MAX):
        if candidate.step is None:
            continue
        try:
            good.append(_good(target, candidate, format_))
        except (OSError, RefusedError):
            others.append((candidate.path, candidate.step))  # what cannot be looked at stays
    return good, others


def _good(target: Target, candidate: Candidate, format_: CheckpointFormat) -> Manifest:
    """Raises RefusedError, OSError: it is not, or nobody can say."""
    known = targets.known(target, candidate)
    if known is not None and known.finite is not False and manifests.is_current(known, candidate.path):
        return known
    ((_, verdict),) = targets.judge(target, [(candidate, format_)], LEVEL)
    if not _is_good(verdict):
        raise RefusedError(f"{candidate.path}: {_said(candidate, verdict)}")
    return _made(target, candidate, verdict, hashed=False)


def _is_good(verdict: Verdict) -> bool:
    return isinstance(verdict, Whole) and verdict.finite is not False


def _made(target: Target, candidate: Candidate, verdict: Verdict, *, hashed: bool) -> Manifest:
    """Raises RefusedError: it changes now."""
    try:
        marks = (
            manifests.hashed(candidate.path, Deadline(targets.FOREVER_S))
            if hashed
            else tuple(FileMark(*mark, "") for mark in manifests.marks(candidate.path))
        )
    except (Broken, Unknown, OSError) as error:
        raise RefusedError(f"{candidate.path}: {error}") from error
    return Manifest(
        run=RunId(target.run.id if target.run else ""),
        attempt=0,
        path=candidate.path,
        format=candidate.format,
        step=candidate.step or 0,
        level=verdict.level if isinstance(verdict, Whole) else 0,
        finite=verdict.finite if isinstance(verdict, Whole) else None,
        at=from_record(clock.moment(), Moment),
        files=marks,
    )


def _said(candidate: Candidate, verdict: Verdict) -> str:
    if candidate.step is None:
        return "its step is not known"
    return "; ".join(verdict.notes if isinstance(verdict, Whole) else verdict.reasons)


def _record(kept: Kept, sizes: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "step": each.step,
            "paths": list(each.paths),
            "keep": each.keeps,
            "removed": set(each.paths) <= set(kept.removed),
            "reasons": list(each.reasons),
            "bytes": _size(each, sizes),
        }
        for each in kept.fates
    ]


def _show(kept: Kept, sizes: dict[str, int], *, dry: bool) -> None:
    rows, freed = [], 0
    for each in kept.fates:
        freed += 0 if each.keeps else _size(each, sizes)
        is_gone = set(each.paths) <= set(kept.removed)
        fate = "keep" if each.keeps else "would go" if dry else "removed" if is_gone else "NOT removed"
        names = ", ".join(os.path.basename(path) for path in each.paths)
        rows.append([str(each.step), fate, words.size(_size(each, sizes)), names, ", ".join(each.reasons)])
    if rows:
        sys.stdout.write(words.table([HEAD, *rows]))
    going = sum(not each.keeps for each in kept.fates)
    print(
        f"outlast: {going} of {len(rows)} {'would go' if dry else 'went'}, {words.size(freed)}",
        file=sys.stderr,
    )
    for note in kept.notes:
        print(f"outlast: {note}", file=sys.stderr)


def _size(fate: Fate, sizes: dict[str, int]) -> int:
    return sum(sizes.get(path, 0) for path in fate.paths)
