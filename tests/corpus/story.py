"""Tells a timeline as a story: a rank begins, makes steps, evaluates, saves, stands still. What comes out is the format
of `outlast limits replay` (docs/timelines.md).

Knows seconds, steps and section names. Refuses to know limits: what must follow is said where the story is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HOUR = 3600.0


class Rank:
    """One rank's beats. Every verb lets time go by; steps end when they are over."""

    def __init__(self, at_s: float = 0.0, step: int = 0) -> None:
        self.now_s, self.step = at_s, step
        self.beats: list[Any] = []
        self._open: list[str] = []

    # --- the training's own section -----------------------------------------------------------------------------

    def init(self, seconds: float) -> Rank:
        """The imports, the model, the data; then the loop begins."""
        self._beat("init")
        self.now_s += seconds
        return self.loop()

    def loop(self) -> Rank:
        self._beat("train")
        return self

    def steps(self, count: int, every: float | Sequence[float], *, grow: float = 0.0, inc: int = 1) -> Rank:
        """So many steps; `every`: seconds for one, or a list that is cycled."""
        waits = [float(each) for each in (every if isinstance(every, Sequence) else [every])]
        first_s = self.now_s + waits[0]
        rest = waits[1:] + waits[:1]
        at_s, factor = first_s, 1.0
        for number in range(count - 1):
            at_s += rest[number % len(rest)] * factor
            factor *= 1.0 + grow
        block: dict[str, Any] = {"from": first_s, "to": at_s, "every": rest if len(rest) > 1 else rest[0]}
        block |= {"step0": self.step + inc, "section": self._where(), "inc": inc}
        self.beats.append({**block, "grow": grow} if grow else block)
        self.now_s, self.step = at_s, self.step + inc * count
        return self

    def each(self, waits: Sequence[float]) -> Rank:
        """A step after each of these waits."""
        for seconds in waits:
            self.now_s += seconds
            self.step += 1
            self._beat(self._where())
        return self

    def back_to(self, step: int) -> Rank:
        self.step = step
        self._beat(self._where())
        return self

    def quiet(self, seconds: float) -> Rank:
        self.now_s += seconds
        return self

    def beating(self, seconds: float, every: float = 5.0) -> Rank:
        """A thread beats, and the loop does not: no beat changes the step."""
        block = {"from": self.now_s, "to": self.now_s + seconds, "every": every, "step0": self.step, "inc": 0}
        self.beats.append({**block, "section": self._where()})
        self.now_s += seconds
        return self

    # --- sections -----------------------------------------------------------------------------------------------

    def section(self, name: str, seconds: float) -> Rank:
        return self.enter(name).quiet(seconds).leave()

    def enter(self, name: str) -> Rank:
        self._open.append(name)
        self._beat(name)
        return self

    def leave(self) -> Rank:
        self._open.pop()
        self._beat(self._where())
        return self

    def exit(self) -> Rank:
        self._beat("exit")
        return self

    def _where(self) -> str:
        return self._open[-1] if self._open else "train"

    def _beat(self, section: str) -> None:
        self.beats.append([self.now_s, self.step, section])


def sdk(*ranks: Rank, after_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """A timeline of these ranks, that ends so long after the last of them."""
    end_s = max((rank.now_s for rank in ranks), default=0.0) + after_s
    told: dict[str, Any] = {"mode": "sdk", "end_of_data_s": end_s}
    if len(ranks) == 1:
        told["beats"] = ranks[0].beats
    else:
        told["ranks"] = [{"beats": rank.beats} for rank in ranks]
    return told | more


def zero(rank: Rank, after_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """A timeline of steps that only a log told of: no section is known."""
    beats = [
        {**beat, "section": None} if isinstance(beat, dict) else [beat[0], beat[1], None]
        for beat in rank.beats
    ]
    return {"mode": "zero-sdk", "beats": beats, "end_of_data_s": rank.now_s + after_s} | more
