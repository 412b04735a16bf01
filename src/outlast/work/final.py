"""What the newest checkpoint is worth, looked at once a training has ended well; printed as one line of JSON.

Knows how to have the newest checkpoint verified, and for the Hugging Face Trainer also the model that is saved beside
it. Refuses to know what follows: exit 0 and a whole checkpoint are joined by `decide/endings`.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from outlast.checkpoints import ailing, guard, owner
from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.formats import hf_trainer
from outlast.checkpoints.parts import trainer_state
from outlast.checkpoints.parts.reading import Deadline
from outlast.disk import files
from outlast.disk.layout import AttemptFolder, RunFolder
from outlast.errors import WorldError
from outlast.facts import Candidate, Final, Foreign, Order, Torn, Unsure, Verdict, Whole, Worth
from outlast.facts.closed import assert_never
from outlast.facts.codec import from_record, to_record
from outlast.seams import CheckpointFormat
from outlast.work.ready import CANDIDATES_MAX, LEVEL
from outlast.work.survey import survey

WITHIN_S, LEAST_S = 80.0, 2.0  # less than the runner waits; for the model beside
SAID_MAX = 160  # of a verdict, in exit.json
BAD = ("torn", "nonfinite")


def main(formats: Sequence[CheckpointFormat], attempt_dir: str, order_name: str) -> int:
    """Print a Final; exit 0 also when nobody can say."""
    try:
        found = final(formats, AttemptFolder(attempt_dir), order_name)
    except WorldError as error:
        found = Final("unchecked", why=f"nothing was checked: {error}")
    print(json.dumps(to_record(found)), flush=True)
    return 0


def final(
    formats: Sequence[CheckpointFormat], folder: AttemptFolder, order_name: str, within_s: float = WITHIN_S
) -> Final:
    """Raises WorldError."""
    path = os.path.join(folder.path, order_name)
    record = files.read(path)
    if record is None:
        raise WorldError(f"{path}: there is no such order")
    resume = from_record(record, Order, path).resume
    if resume is None:
        raise WorldError("no checkpoints were declared")
    until_s = time.monotonic() + within_s
    root = Path(resume.root)
    chosen = [each for each in formats if resume.format in ("auto", each.name)]
    there = [pair for pair in survey(chosen, root, CANDIDATES_MAX) if pair[0].step is not None]
    newest = next((pair for pair in there if _is_own(pair[0], folder)), None)
    strangers = " of this run" if there else ""
    found = Final("unchecked", why=f"there is no checkpoint{strangers} in {root}")
    if newest is not None:
        found = _of_checkpoint(*newest, folder.run(), within_s)
    if any(each.name == hf_trainer.HuggingFaceFormat.name for each in chosen) and found.worth not in BAD:
        beside = hf_trainer.model_beside(root, LEVEL, max(LEAST_S, until_s - time.monotonic()))
        if beside is not None and beside[0].newest_mtime_ns >= _began_ns(folder):
            found = _with_model(found, *beside)
    return found


def _of_checkpoint(candidate: Candidate, format_: CheckpointFormat, run: RunFolder, within_s: float) -> Final:
    if guard.is_accepted(Path(candidate.path)):
        why = f"{os.path.basename(candidate.path)} was not checked: a person accepted it as it is"
        return Final("unchecked", candidate.path, candidate.step, why=why)
    found = _read(candidate, _verdict(candidate, format_, run, within_s))
    if format_.name != hf_trainer.HuggingFaceFormat.name or found.worth in BAD:
        return found
    told = trainer_state.told(os.path.join(candidate.path, hf_trainer.STATE), Deadline(LEAST_S))
    if not told.cut:
        return replace(found, total=told.total)
    why = f"{found.why}, and its training was stopped there, at step {told.step} of {told.total}"
    return replace(found, total=told.total, cut=True, why=why)


def _is_own(candidate: Candidate, folder: AttemptFolder) -> bool:
    """Whether this run made it, or went on from it: another's of a higher step may lie there, and proves nothing."""
    run, started = folder.run(), files.read(folder.started) or {}
    if candidate.path == started.get("resumed_from"):
        return True
    if candidate.step is not None and manifests.of(run, candidate.step, candidate.path) is not None:
        return True
    whose = owner.of(Path(candidate.path).parent)
    if whose is not None and whose.run != run.id:
        return False  # two runs save into one folder, and it is the other's
    made = (files.read(run.record) or {}).get("made") or {}
    return candidate.newest_mtime_ns >= int(float(made.get("wall_s") or 0.0) * 1e9)


def _verdict(candidate: Candidate, format_: CheckpointFormat, run: RunFolder, within_s: float) -> Verdict:
    """By its manifest where nobody has touched it since: all of it was read then."""
    known = manifests.of(run, candidate.step, candidate.path) if candidate.step is not None else None
    names = ailing.known(run)
    if known is None:
        return ailing.excused(format_.inspect(candidate, LEVEL, within_s), names)
    try:
        if manifests.is_current(known, candidate.path):
            as_it_was = Whole(known.level, finite=known.finite, notes=known.notes, ill=known.ill)
            return ailing.excused(as_it_was, names)
    except OSError:
        return Unsure(("it cannot be looked at",))
    verdict = manifests.judged(format_.inspect(candidate, LEVEL, within_s), known, candidate.path, within_s)
    return ailing.excused(verdict, names)


def _with_model(found: Final, candidate: Candidate, verdict: Verdict) -> Final:
    """A model that is proven to be bad is what the training leaves behind, whatever its checkpoint is worth."""
    model = _read(candidate, verdict)
    if model.worth in BAD:
        return replace(model, path=candidate.path, step=found.step, why=f"the model saved in {model.why}")
    return replace(found, why=f"{found.why}; the model saved in {model.why}")


def _read(candidate: Candidate, verdict: Verdict) -> Final:
    name = os.path.basename(candidate.path)

    def said(worth: Worth, why: str) -> Final:
        return Final(worth, candidate.path, candidate.step, why=f"{name} {why[:SAID_MAX]}")

    match verdict:
        case Whole(level=level, finite=True):
            return said("whole", f"is whole (L{level}) and finite")
        case Whole(finite=False, notes=notes):
            return said("nonfinite", f"is not finite ({', '.join(notes[-1:])})")
        case Whole(level=level, notes=notes):
            more = "".join(f"; {note}" for note in notes[-1:])
            return said("unchecked", f"is whole (L{level}), and nobody looked at its weights{more}")
        case Torn(reasons=reasons):
            return said("torn", f"is torn: {', '.join(reasons)}")
        case Unsure(reasons=reasons) | Foreign(reasons=reasons):
            return said("unchecked", f"was not checked: {', '.join(reasons)}")
        case _:
            assert_never(verdict)


def _began_ns(folder: AttemptFolder) -> int:
    """When the training began; what is older is not its own."""
    started = files.read(folder.started)
    return int(float(started["at"]["wall_s"]) * 1e9) if started is not None else 0


if __name__ == "__main__":
    sys.exit("started through outlast.cli.background")
