"""The value of a metric at each checkpoint: from the metrics of the run's attempts and, for the Hugging Face Trainer,
from the history in the checkpoint itself. The last value that was known when it was saved, and not of the one before.

Refuses to know which value is good.
"""

import json
import os
from collections.abc import Sequence

from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import Manifest

STATE, BYTES_MAX = "trainer_state.json", 64 << 20


def of(run: RunFolder | None, name: str, found: Sequence[Manifest]) -> dict[int, float]:
    """By step, for those of which it is known."""
    values = _of_attempts(run, name) if run is not None else {}
    for each in found:
        values |= _of_state(each.path, name)
    at, before = {}, -1
    for step in sorted({each.step for each in found}):
        known = [each for each in values if before < each <= step]
        if known:
            at[step] = values[max(known)]
        before = step
    return at


def _of_attempts(run: RunFolder, name: str) -> dict[int, float]:
    """Of one step the last attempt's counts."""
    values: dict[int, float] = {}
    names = os.listdir(run.attempts) if os.path.isdir(run.attempts) else []
    for number in sorted(name for name in names if name.isdecimal()):
        body = _bytes(run.attempt(int(number)).metrics)
        for line in body.splitlines():
            row = _json(line)
            if isinstance(row, dict):
                _take(values, row.get("step"), row.get(name))
    return values


def _of_state(path: str, name: str) -> dict[int, float]:
    state = _json(_bytes(os.path.join(path, STATE)) or b"null")
    values: dict[int, float] = {}
    for row in state.get("log_history") or [] if isinstance(state, dict) else []:
        if isinstance(row, dict):
            _take(values, row.get("step"), row.get(name))
    return values


def _take(values: dict[int, float], step: object, value: object) -> None:
    if isinstance(step, int) and isinstance(value, int | float) and value == value:
        values[step] = float(value)


def _bytes(path: str) -> bytes:
    try:
        return files.read_bytes(path, BYTES_MAX) or b""
    except WorldError:
        return b""  # what cannot be read is not known


def _json(body: bytes) -> object:
    try:
        found: object = json.loads(body)
    except ValueError:
        return None  # a torn last line
    return found
