"""When a save has settled: has the full package verify it, remember it and pin it, in a child at the lowest priority.

A save has settled once the folder looked the same twice, or the training said so; in a folder that never rests it is
tried now and then, for each checkpoint is looked at by itself. Knows the command, one line of JSON, deadlines. Refuses
to know checkpoints; it may be gone, slow or wrong: we are not.
"""

from __future__ import annotations

import json
import time

from outlast.runner import beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from outlast.runner.words import Words

    Marks = tuple[int, int]

WITHIN_S = 6 * 3600.0  # beside a training; what it began is gone on with by the next
LAST_WITHIN_S = 120.0  # when the training has ended: whoever waits for the end waits for this
RESTLESS_S = 30.0  # so long it may change at every look
AGAIN_S = 60.0  # after a failure
LOOK_S = 0.2  # for somebody who hurries


class Saves:
    def __init__(self, command: list[str], words: Words) -> None:
        self._command, self._words = command, words
        self._seen: Marks | None = None
        self._settled: Marks | None = None  # what the last one that was good began with
        self._tried: Marks | None = None
        self._child: beside.Program | None = None
        self._until_s = self._not_before_s = 0.0
        self._new_since_s: float | None = None
        self.answer: dict[str, Any] = {}
        self.note = ""

    @property
    def is_wanted(self) -> bool:
        return bool(self._command)

    @property
    def made(self) -> list[int]:
        """Steps of checkpoints that this attempt saved, and that are whole."""
        return [step for step in self.answer.get("made") or () if isinstance(step, int)]

    @property
    def is_busy(self) -> bool:
        return self._child is not None

    def look(self, now_s: float, marks: Marks | None, *, is_said: bool = False) -> None:
        """One look; never waits. `marks`: (bytes, newest mtime) of the folder if it was looked at just now."""
        if self._child is not None:
            self._child.read()
            if self._child.is_done or now_s >= self._until_s:
                self._take(now_s)
        if marks is None:
            return
        is_settled, self._seen = is_said or marks == self._seen, marks
        if is_said:
            self._settled = None  # also where the folder has too many files for its marks to tell
        if not self._is_new(marks):
            self._new_since_s = None
            return
        self._new_since_s = now_s if self._new_since_s is None else self._new_since_s
        is_settled |= now_s - self._new_since_s >= RESTLESS_S
        if is_settled and self._child is None and now_s >= self._not_before_s:
            self._new_since_s = None
            self._begin(now_s, marks, WITHIN_S)

    def finish(self, marks: Marks | None, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """The training is over: what it saved last, too. Waits, but for somebody who `is_hurried` not long."""
        if self._child is not None:
            self._wait(min(self._until_s, time.monotonic() + LAST_WITHIN_S), is_hurried)
        if marks is not None and self._is_new(marks) and not is_hurried():
            self._begin(time.monotonic(), marks, LAST_WITHIN_S)
            self._wait(self._until_s, is_hurried)

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _is_new(self, marks: Marks) -> bool:
        return bool(self._command) and marks[0] > 0 and marks != self._settled

    def _begin(self, now_s: float, marks: Marks, within_s: float) -> None:
        try:
            self._child = beside.Program(self._command)
        except OSError as error:
            self._not_before_s = now_s + AGAIN_S
            self.note = f"checkpoints are not verified now: {error.strerror}"
            return
        self._tried, self._until_s = marks, now_s + within_s

    def _wait(self, until_s: float, is_hurried: Callable[[], bool]) -> None:
        while self._child is not None:
            ready = beside.wait_any((self._child.pipe,), min(until_s, time.monotonic() + LOOK_S))
            if ready:
                self._child.read()
            if self._child.is_done or time.monotonic() >= until_s or is_hurried():
                self._take(time.monotonic())

    def _take(self, now_s: float) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.end()
        answer = _answer(child.output) if child.is_done else None
        if answer is None:
            self._not_before_s = now_s + AGAIN_S
            self.note = "checkpoints could not be verified: see runner.log"
            self._words.say(f"settling failed: {child.output[-2000:].decode('utf-8', 'replace').strip()}")
            return
        self.answer = answer
        if answer.get("again"):  # somebody still wrote there, or looked at it
            self._not_before_s = now_s + RESTLESS_S
        else:
            self._settled = self._tried
        self.note = "; ".join(str(each) for each in answer.get("notes") or ())


def _answer(output: bytes) -> dict[str, Any] | None:
    for line in reversed(output.splitlines()):
        if line.startswith(b"{"):
            try:
                found = json.loads(line)
            except ValueError:
                return None
            return found if isinstance(found, dict) else None
    return None
