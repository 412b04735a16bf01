"""Whether a rank that goes on goes on slowly: a straggler is reported, never ended. Pure.

A span is at least one step and at least ten seconds of the training's own section; evals, saves and the watcher's
absence are no part of it. The rate of now is the upper median of the last ten spans: one long span (an epoch's end, an
eval that names no section) moves it as little as one short one. Its own median is that of the spans before, as long
as those were no straggler's. Refuses to know why it is slow.
"""

from __future__ import annotations

SPAN_S = 10.0
RECENT, BEFORE, BEFORE_LEAST = 10, 128, 12
SHARE = 0.25  # of its own median; it has recovered at twice that


class Pace:
    __slots__ = ("_before", "_recent", "_seconds", "_steps", "is_slow", "median", "rate")

    def __init__(self) -> None:
        self._before: list[float] = []  # rates, the oldest first
        self._recent: list[float] = []
        self._steps, self._seconds = 0, 0.0
        self.is_slow = False
        self.rate = self.median = 0.0

    def add(self, steps: int, seconds: float) -> None:
        """So many steps took so long."""
        if steps <= 0 or seconds <= 0.0:
            return
        self._steps, self._seconds = self._steps + steps, self._seconds + seconds
        if self._seconds < SPAN_S:
            return
        self._recent.append(self._steps / self._seconds)
        self._steps, self._seconds = 0, 0.0
        if len(self._recent) > RECENT:
            self._grow_old(self._recent.pop(0))
        self._judge()

    def _grow_old(self, rate: float) -> None:
        if not self.is_slow:
            self._before.append(rate)
            del self._before[:-BEFORE]

    def _judge(self) -> None:
        if len(self._recent) < RECENT or len(self._before) < BEFORE_LEAST:
            return
        self.rate = sorted(self._recent)[RECENT // 2]
        self.median = sorted(self._before)[len(self._before) // 2]
        share = self.rate / self.median
        self.is_slow = share < 2 * SHARE if self.is_slow else share < SHARE
