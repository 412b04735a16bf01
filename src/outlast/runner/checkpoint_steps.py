"""Checkpoints that appear while a training runs, by the numbers in their names. Only a sign of progress: what may be
resumed from is chosen by the full package. What a name tells is what `checkpoints/parts/names.py` reads in it.

Knows names and `trainer_state.json`. Refuses to open anything else.
"""

from __future__ import annotations

import json
import os
import time

from outlast.disk import files
from outlast.errors import WorldError
from outlast.runner import beside, growth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENTRIES_MAX = 4096
WORDS = ("step", "checkpoint", "ckpt", "iteration", "iter")
BATCH = "ba"  # a word of its own, not the end of one: mamba-130m is none
DIGITS, DIGITS_MAX = "0123456789", 15  # more are a date or a hash
FILES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".tar", ".keras", ".h5", ".ubj")
UNFINISHED = (".tmp", ".incomplete", ".partial", ".part", "-tmp")
STATE, STATE_BYTES_MAX = "trainer_state.json", 4 << 20
STATE_FIELDS = ("global_step", "max_steps", "epoch")
EVERY_S, WITHIN_S, SLOW_EVERY_S = 10.0, 30.0, 120.0


class CheckpointSteps:
    """Looks in a child: the folder may lie on a server that does not answer, and the watch must go on."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._seen: set[str] | None = None  # None: not looked yet; what is there already is no progress
        self._newest = ""
        self._child: beside.Child | None = None
        self._said: list[bytes] = []
        self._due_s = self._until_s = 0.0
        self._is_hurried = self._was_hurried = False
        self.marks: tuple[int, int] | None = (
            None  # (bytes, newest mtime) of the folder, at the look that has just ended
        )
        self.is_said = False  # that look was asked for
        self.note = ""

    def look(self, now_s: float) -> tuple[list[int], dict[str, Any] | None]:
        """The steps of those that are new, ascending, and the trainer's state in the newest one, once; never waits."""
        self.marks = None
        if self._child is None:
            if self._root and (self._is_hurried or now_s >= self._due_s):
                self._begin(now_s)
            return [], None
        self._said += self._child.lines(0.0)
        if not self._child.is_done and now_s < self._until_s:
            return [], None
        return self._take(now_s)

    def hurry(self) -> None:
        """Look as soon as can be: something was saved."""
        self._is_hurried = True

    def last_marks(self) -> tuple[int, int] | None:
        """Of the folder as it is now; waits for them as long as it may take. None: it does not answer."""
        if not self._root:
            return None
        self.close()
        try:
            child = beside.Child(lambda say: say("{} {}".format(*growth.size(self._root)).encode()))
        except OSError:
            return None
        said = beside.until(child, time.monotonic() + WITHIN_S)
        return _marks(said[-1].split()) if said else None

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _begin(self, now_s: float) -> None:
        self._until_s = now_s + WITHIN_S
        self._said = []
        self._was_hurried, self._is_hurried = self._is_hurried, False
        try:
            self._child = beside.Child(self._work)
        except OSError:
            self._due_s = now_s + EVERY_S  # no process now

    def _work(self, say: beside.Say) -> None:
        names = _names(self._root)
        newest = max(
            ((step_of(name) or 0, name) for name in names if name not in (self._seen or ())), default=(0, "")
        )
        known = newest[1] if self._seen is not None else ""
        state = _trainer_state(self._root, known or self._newest)
        fresh = [name for name in names if name not in (self._seen or ())]
        say(json.dumps({"names": fresh, "state": state, "marks": growth.size(self._root)}).encode())

    def _take(self, now_s: float) -> tuple[list[int], dict[str, Any] | None]:
        said, child = self._said, self._child
        is_done = child is not None and child.is_done
        self.close()
        self._due_s = now_s + (EVERY_S if is_done else SLOW_EVERY_S)
        self.note = "" if is_done else f"{self._root} does not answer: checkpoints there are not seen"
        if not said:
            return [], None
        found = json.loads(said[-1])
        names: list[str] = found["names"]
        self.marks, self.is_said = _marks(found["marks"]), self._was_hurried
        if self._seen is None:
            self._seen = set(names)
            return [], None
        self._seen.update(names)
        fresh = [(step, name) for name in names if (step := step_of(name)) is not None]
        if fresh:
            self._newest = max(fresh)[1]
        if found["state"] is not None:
            self._newest = ""
        return sorted(step for step, _ in fresh), found["state"]


def _marks(words: list[Any]) -> tuple[int, int]:
    return int(words[0]), int(words[1])


def _trainer_state(root: str, newest: str) -> dict[str, Any] | None:
    if not newest:
        return None
    path = os.path.join(root, newest, STATE)
    try:
        state = files.read(path) if os.stat(path).st_size <= STATE_BYTES_MAX else None
    except (OSError, WorldError):
        return None  # none, or half-written: it is looked for again
    return state and {name: state.get(name) for name in STATE_FIELDS}


def _names(root: str) -> list[str]:
    found = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.is_dir() or (entry.name.endswith(FILES) and entry.is_file()):
                    found.append(entry.name)
                if len(found) >= ENTRIES_MAX:
                    break
    except OSError:
        return []  # not there yet, or not to be seen: no sign
    return found


def step_of(name: str) -> int | None:
    """The last number that directly follows a word for steps; None: there is none, or it is unfinished."""
    if name.startswith((".", "tmp", "_tmp")) or name.endswith(UNFINISHED):
        return None
    rest = name.lower()
    while rest:
        before = rest.rstrip(DIGITS)
        digits = rest[len(before) :]
        if 0 < len(digits) <= DIGITS_MAX and _means_steps(before):
            return int(digits)
        rest = before if digits else rest[:-1]
    return None


def _means_steps(text: str) -> bool:
    """Whether it ends in one of the words, with one sign between it and the number or none."""
    if text.endswith(("=", "_", "-")):
        text = text[:-1]
    if text.endswith(BATCH):
        return not "a" <= text[-3:-2] <= "z"
    return text.endswith(WORDS)
