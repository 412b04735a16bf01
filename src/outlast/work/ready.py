"""Chooses the resume point of an attempt, where and when it begins, and prints it as one line of JSON.

Knows how to join the formats (which look) with `decide/resume` (which chooses). Refuses to know how a training
resumes: it gets the explicit path.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from outlast.decide.resume import choose
from outlast.disk import files
from outlast.errors import WorldError
from outlast.facts import Order
from outlast.facts.codec import from_record
from outlast.seams import CheckpointFormat

CANDIDATES_MAX = 1000
NAMES_SHOWN = 3
NOT_RESUMED = "not resumed: "  # how a warning among the reasons begins; screens show it
LEVEL = 0
WITHIN_S = 60.0


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
    found = []
    for each in chosen_formats:
        for candidate in each.find(Path(resume.root), CANDIDATES_MAX):
            found.append((candidate, each.inspect(candidate, LEVEL, WITHIN_S)))
    choice = choose(found, order.had_checkpoint)
    return {
        "checkpoint": choice.candidate.path if choice.candidate else None,
        "step": choice.candidate.step if choice.candidate else None,
        "reasons": [*choice.reasons, *([] if found else _passed_over(resume.root))],
        "refuse": choice.refuse,
    }


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
