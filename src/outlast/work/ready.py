"""Chooses the resume point of an attempt, where and when it begins, and prints it as one line of JSON.

Knows how to join the formats (which look) with `decide/resume` (which chooses). Refuses to know how a training
resumes: it gets the explicit path.
"""

import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from outlast.checkpoints import guard
from outlast.decide.resume import choose, is_in_the_way, is_usable
from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.errors import OutlastError, WorldError
from outlast.facts import Candidate, Order, Verdict, Whole
from outlast.facts.codec import from_record
from outlast.seams import CheckpointFormat
from outlast.work import locked
from outlast.work.past import Past
from outlast.work.survey import Found, newest_first, survey

CANDIDATES_MAX = 1000
NAMES_SHOWN = 3
NOT_RESUMED = "not resumed: "  # how a warning among the reasons begins; screens show it
LEVEL = 2
WITHIN_S, LATE_S, LEAST_S = (
    80.0,
    15.0,
    5.0,
)  # for all of them, with what is late less than the runner waits; for each


def main(formats: Sequence[CheckpointFormat], attempt_dir: str, order_name: str) -> int:
    """Print {"checkpoint", "step", "reasons", "refuse"}; exit 0 also when a start is refused."""
    try:
        answer = ready(formats, Path(attempt_dir) / order_name)
    except WorldError as error:
        answer = {"checkpoint": None, "step": None, "reasons": [], "refuse": str(error)}
    print(json.dumps(answer), flush=True)
    return 0


def ready(formats: Sequence[CheckpointFormat], order_path: Path) -> dict[str, object]:
    """Raises WorldError."""
    record = files.read(str(order_path))
    if record is None:
        raise WorldError(f"{order_path}: there is no such order")
    order = from_record(record, Order, str(order_path))
    resume = order.resume
    if resume is None:
        return {"checkpoint": None, "step": None, "reasons": ["no checkpoints were declared"], "refuse": None}
    chosen_formats = [each for each in formats if resume.format in ("auto", each.name)]
    if not chosen_formats:
        raise WorldError(f"--checkpoints: there is no format named {resume.format}")
    until_s = time.monotonic() + WITHIN_S
    root, run = Path(resume.root), AttemptFolder(str(order_path.parent)).run()
    past = Past(root, run, takes_over=resume.take_over, copy_max=order.pins.copy_max)
    found = newest_first([*survey(chosen_formats, root, CANDIDATES_MAX), *past.copies(chosen_formats)])
    looked = look(found, until_s, past=past)
    choice = choose(looked, order.had_checkpoint)
    reasons = [*choice.reasons, *([] if found else _passed_over(resume.root))]
    if len(found) > len(looked):
        reasons.append(f"{len(found) - len(looked)} older ones were not looked at")
    refuse, path = choice.refuse, choice.candidate.path if choice.candidate else None
    if refuse is None:
        lock = locked.look(AttemptFolder(str(order_path.parent)), order, path)
        reasons, refuse = [*reasons, *lock.reasons], lock.refuse
    if path is not None and choice.candidate is not None and refuse is None:
        if guard.is_accepted(Path(path)):
            format_ = next(each for candidate, each in found if candidate.path == path)
            looked_at = format_.inspect(choice.candidate, LEVEL, max(LEAST_S, until_s - time.monotonic()))
            reasons += past.accepted(looked_at)
        path, said = _made_ready(past, root, path, looked, until_s)
        reasons += [*said, *past.note_use(AttemptFolder(str(order_path.parent)), path)]
    return {
        "checkpoint": path,
        "step": choice.candidate.step if choice.candidate else None,
        "reasons": reasons,
        "refuse": refuse,
    }


def _made_ready(
    past: Past, root: Path, path: str, looked: Sequence[tuple[Candidate, Verdict]], until_s: float
) -> tuple[str, list[str]]:
    """Where the training resumes from, once what is in its way is moved and a copy has its name. Nothing is moved while
    another clears the folder."""
    try:
        with guard.held(root):
            moved = _out_of_the_way(pair for pair in looked if not past.is_copy(pair[0].path))
            path, said = past.put_back(path) if time.monotonic() < until_s else (path, [])
            return path, [*moved, *said]
    except OutlastError as error:
        return path, [f"nothing was moved: {error}"]


def look(
    found: Iterable[Found], until_s: float, level: int = LEVEL, past: Past | None = None
) -> list[tuple[Candidate, Verdict]]:
    """At the newest first, and no further than the first that may be resumed from; when the time is over, only at the
    structure of as many as can be had in some seconds. `past`: what the run remembers of them."""
    looked: list[tuple[Candidate, Verdict]] = []
    for candidate, format_ in found:
        left_s = until_s - time.monotonic()
        if left_s < -LATE_S:
            break
        verdict = _verdict(candidate, format_, level if left_s > 0 else 0, max(LEAST_S, left_s), past)
        looked.append((candidate, verdict))
        if is_usable(candidate, verdict):
            break
    return looked


def _verdict(
    candidate: Candidate, format_: CheckpointFormat, level: int, within_s: float, past: Past | None
) -> Verdict:
    foreign = past.foreign(candidate) if past is not None else None
    if foreign is not None:
        return foreign
    if candidate.step is not None and guard.is_accepted(Path(candidate.path)):
        return Whole(0, notes=("accepted by a person",))
    began_s = time.monotonic()
    verdict = format_.inspect(candidate, level, within_s)
    if past is None or level == 0:
        return verdict
    return past.compared(candidate, verdict, max(LEAST_S, within_s - (time.monotonic() - began_s)))


def _out_of_the_way(looked: Iterable[tuple[Candidate, Verdict]]) -> list[str]:
    """What is newer than the chosen one, and torn or not finite: a framework that picks by name would take it."""
    said = []
    for candidate, verdict in looked:
        if not is_in_the_way(verdict):
            continue
        try:
            said.append(f"{candidate.path}: moved to {guard.quarantine(Path(candidate.path))}")
        except OutlastError as error:
            said.append(str(error))
    return said


def _passed_over(root: str) -> list[str]:
    """Nothing was found there that could be resumed from: if something lies there all the same, a person wants to know
    before the steps are lost."""
    try:
        names = sorted(name for name in os.listdir(root) if not name.startswith("."))
    except OSError:
        return []  # there is none yet; what cannot be listed has been said by the formats
    if not names:
        return []
    shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
    return [f"{NOT_RESUMED}{root} holds nothing whose name tells a step, as step-500.pt does: {shown}"]


if __name__ == "__main__":
    sys.exit("started through outlast.cli.background")
