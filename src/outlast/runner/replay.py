"""Plays a timeline through the very decision that a runner makes, in virtual time: what would have been declared, when.

The watcher looks once a second of its own clock. Looks that would see what the last one saw, and reach no limit, are
passed over together; `every_look` makes each of them, for the proof that this changes nothing.

A program of its own (`outlast limits` starts it): a timeline, or what was learned, on standard input, the answer on
standard output. Refuses to know where timelines come from.
"""

from __future__ import annotations

import json
import math
import sys

from outlast.runner.limits import Limits
from outlast.runner.patience import Patience
from outlast.runner.timelines import ZERO_SDK, Clock, Look, Timeline, Wrong

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.runner.patience import Sample, Stall

OK, USAGE = 0, 2


class Answer:
    """`stall` None: no hang was declared. `section` and `limit_s` then say where it stood at the end."""

    def __init__(self) -> None:
        self.stall: Stall | None = None
        self.declared_s: float | None = None
        self.straggler_s: float | None = None
        self.straggler = ""
        self.looks = 0
        self.nearest: Stall | None = None
        self.learned: dict[str, Any] = {}

    def record(self) -> dict[str, Any]:
        stood = self.stall or self.nearest
        if self.stall is not None:
            reason = str(self.stall)
        elif stood is None:
            reason = "nothing is limited here: no hang"
        else:
            where = f"section {stood.section}" if stood.section else "the training"
            reason = f"no hang: at the end {where} may be quiet for {stood.limit_s:.0f} s ({stood.why})"
        return {
            "declared_s": self.declared_s,
            "section": stood.section if stood else None,
            "limit_s": round(stood.limit_s, 3) if stood else None,
            "reason": f"{reason}; {self.straggler}" if self.straggler else reason,
            "straggler_s": self.straggler_s,
        }


class Replay:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._clock, self._look = Clock(timeline.suspended), Look(timeline)
        self._is_sdk = timeline.mode != ZERO_SDK
        self._poll = self._clock.first_poll(timeline.begins_s) or 0
        self._patience = Patience(
            timeline.declared,
            float(self._poll),
            learned=_learned(timeline),
            reached_step=timeline.reached_step,
            sdk=self._is_sdk,
            records=False,
        )
        self._gaps = list(timeline.gaps)
        self._answer = Answer()
        self._inner = 0

    def play(self, *, every_look: bool = False) -> Answer:
        poll: int | None = self._poll
        while poll is not None and not self._see(poll):
            poll = self._next(poll, every_look=every_look)
        if self._answer.stall is None:
            self._rest()
        self._answer.nearest = self._patience.nearest()
        self._answer.learned = self._patience.learned()
        return self._answer

    def _rest(self) -> None:
        """The looks that nothing came of, up to the end."""
        last = self._last_before(self._timeline.end_s)
        for begin, end in self._timeline.gaps:
            if begin < self._clock.time_s(last) < end:
                last = self._last_before(begin)
        if last > self._poll:
            self._patience.same(float(last))

    def _see(self, poll: int) -> bool:
        """Look once; whether a hang was declared."""
        answer, time_s = self._answer, self._clock.time_s(poll)
        answer.looks += 1
        self._poll = poll
        samples = self._look.samples(time_s)
        stopped = self._look.is_stopped(time_s)
        moved, section = self._look.life(time_s)
        if self._is_sdk:
            stall = self._patience.look(
                float(poll), samples, stopped=stopped, alive=moved, is_first=self._timeline.is_first
            )
        else:
            stall = self._see_the_log(poll, samples, time_s, section, moved=moved, stopped=stopped)
        if answer.straggler_s is None and (straggler := self._patience.straggler()):
            answer.straggler_s, answer.straggler = time_s, straggler
        if stall is not None:
            answer.stall, answer.declared_s = stall, time_s
        return stall is not None

    def _see_the_log(
        self, poll: int, samples: list[Sample], time_s: float, section: str, *, moved: bool, stopped: bool
    ) -> Stall | None:
        series = step = samples[0].step if samples else None
        if samples and samples[0].sections:
            section = samples[0].sections[-1][0]
        if not self._timeline.counts_steps:
            step = self._timeline.reached_step + (time_s >= self._timeline.past_reached_s)
        is_known = series is not None
        self._inner += moved and is_known and section != ""
        return self._patience.look(
            float(poll),
            stopped=stopped,
            series=series,
            step=step,
            section=section,
            alive=moved and not is_known,
            unsure=moved and is_known and not section,
            inner=self._inner,
        )

    def _next(self, poll: int, *, every_look: bool) -> int | None:
        """The next look worth making; None: the data ends before it."""
        following = poll + 1 if every_look else self._first_that_matters(poll)
        gap = self._gap_before(poll, following)
        if gap is not None:
            last = self._last_before(gap[0])
            following = self._clock.first_poll(gap[1]) or 0
            if last > poll:
                self._patience.same(float(last))
        elif following is not None and following - 1 > poll:
            self._patience.same(float(following - 1))
        return following if following is not None and self._is_within(following) else None

    def _first_that_matters(self, poll: int) -> int | None:
        change = self._clock.first_poll(self._look.next_change_s(self._clock.time_s(poll)))
        wait_s = self._patience.wait_s()
        polls = [] if wait_s == math.inf else [poll + math.floor(wait_s) + 1]
        if change is not None:
            polls.append(max(change, poll + 1))
        return min(polls, default=None)

    def _gap_before(self, poll: int, following: int | None) -> tuple[float, float] | None:
        """The first time after `poll` in which the watcher was not scheduled, if a look up to `following` falls into
        it."""
        now_s = self._clock.time_s(poll)
        while self._gaps and self._gaps[0][1] <= now_s:
            del self._gaps[0]
        for begin, end in self._gaps:
            first = self._last_before(begin) + 1
            if following is None or first > following:
                return None
            if first > poll and begin < self._clock.time_s(first) < end:
                return begin, end
        return None

    def _last_before(self, begin_s: float) -> int:
        poll = self._clock.first_poll(begin_s) or 0
        return poll if self._clock.time_s(poll) == begin_s else poll - 1

    def _is_within(self, poll: int) -> bool:
        return self._clock.time_s(poll) <= self._timeline.end_s


def _learned(timeline: Timeline) -> Any:
    """A first page that was late and came is no hang."""
    if not timeline.first_page_s:
        return timeline.learned
    learned = timeline.learned if isinstance(timeline.learned, dict) else {}
    return {**learned, "first_page_s": timeline.first_page_s}


def play(record: Any, *, every_look: bool = False) -> Answer:
    """Raises Wrong: `record` is no timeline."""
    return Replay(Timeline(record)).play(every_look=every_look)


def show(record: Any) -> list[dict[str, Any]]:
    """The limits of each section, from {learned, declared: [[section, seconds]]}."""
    learned, declared = record.get("learned"), record.get("declared") or ()
    limits = Limits([(str(section), float(limit_s)) for section, limit_s in declared], learned)
    world = learned.get("world") if isinstance(learned, dict) else None
    limits.meet(world if isinstance(world, int) else 1)
    return limits.rows()


def main() -> int:
    try:
        record = json.loads(sys.stdin.buffer.read())
        said = show(record) if "show" in sys.argv[1:] else play(record).record()
    except Wrong as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    except ValueError as error:
        sys.stderr.write(f"not JSON: {error}\n")
        return USAGE
    sys.stdout.write(json.dumps(said) + "\n")
    return OK
