"""Asks the full package, in a child, what the newest checkpoint is worth once a training has ended well.

It may be gone, slow or wrong: then it was not checked, and that is no fault of the training. Knows the command, its one
line of JSON, a bound, and who need not be asked about. Refuses to know checkpoints.
"""

from __future__ import annotations

import os

from outlast.disk import files
from outlast.errors import WorldError
from outlast.runner import resume
from outlast.runner.resume import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from outlast.disk.layout import AttemptFolder
    from outlast.runner.ears import Ears
    from outlast.runner.words import Words

WITHIN_S = 100.0
WHAT = "the look at the newest checkpoint"
CALLED_OFF = f"{WHAT} was cut short: somebody waits for the end"
WORTHS = ("whole", "torn", "nonfinite", "unchecked")
WHY_MAX, PATH_MAX = 600, 1000  # there is room of its own for the record of an end


def ended_well(end: dict[str, Any], last_words: Sequence[str]) -> bool:
    """Whether it may be complete: only then is its newest checkpoint read once more."""
    if end["type"] == "Exited":
        return bool(end["code"] == 0)
    return bool(end["type"] == "Lost" and last_words) and all(": done at" in word for word in last_words)


def look(
    order: dict[str, Any], folder: AttemptFolder, ears: Ears, words: Words, within_s: float = WITHIN_S
) -> dict[str, Any] | None:
    """The record of a Final; None: there are no checkpoints, or the order knows of no such look."""
    command = list(order.get("final") or ())
    if not order.get("resume") or not command:
        return None
    words.say(WHAT)
    try:
        answer, status = resume.ask(command, ears, words, hurried(folder, ears), within_s, WHAT, CALLED_OFF)
    except Refusal as error:
        return unchecked(str(error))
    lines = [line for line in answer.splitlines() if line.startswith(b"{")]
    if status != 0 or not lines:
        how = f"signal {-status}" if status < 0 else f"exit {status}"
        return unchecked(f"{WHAT} failed ({how}): see runner.log")
    try:
        return _checked(files.decode(lines[-1], WHAT))
    except WorldError as error:
        return unchecked(str(error))


def unchecked(why: str) -> dict[str, Any]:
    return {"type": "Final", "worth": "unchecked", "why": f"not checked: {why}"[:WHY_MAX]}


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    """Of what it said only what fits."""
    worth, path, why = said.get("worth"), said.get("path"), said.get("why")
    if worth not in WORTHS or not isinstance(path, str) or not isinstance(why, str):
        return unchecked(f"{WHAT} gave no answer that can be understood")
    step, total = said.get("step"), said.get("total")
    return {
        "type": "Final",
        "worth": worth,
        "path": path[:PATH_MAX],
        "step": step if isinstance(step, int) else None,
        "total": total if isinstance(total, int) else None,
        "cut": said.get("cut") is True,
        "why": why[:WHY_MAX],
    }


def hurried(folder: AttemptFolder, ears: Ears) -> Callable[[], bool]:
    """Whether a signal or a wish came meanwhile: somebody waits for the end."""
    heard, wished = len(ears.stops), _signature(folder.wish)
    return lambda: len(ears.stops) > heard or _signature(folder.wish) != wished


def _signature(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
