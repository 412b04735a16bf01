"""Whether a training hangs. Pure: samples of all ranks and the monotonic clock in, a verdict out; no clock, no file.

What is given back: time in which the watcher itself was not scheduled, time in which a process of the training was
stopped (state T), and time asleep, which the monotonic clock does not count. Neither says anything about the training.
A rank that waits in its training step while another is inside a section, within its limit and not ahead of it, is
excused for so long: its clock stands. Without pages there is one series of steps, once one is identified, and before
that only what a person declared: then any sign of life counts. Reported, never a verdict by a default limit
(`alert`): a series of which fewer than three intervals are known, and a training of one process that said its last
word and that nobody waits for. Nor is a silence of all pages one while the log's steps go on (`telemetry`).

Knows ranks, their clocks (`rank_clock`) and limits (`limits`). Refuses to know how a hang is ended.
"""

from __future__ import annotations

from outlast.runner.limits import BY_A_PERSON, EXIT, IDLE, INIT, NEVER_S, SCHEMA, SERIES, TRAIN, Limits
from outlast.runner.rank_clock import LEAD_STEPS, RankClock, Sample
from outlast.runner.recorder import Recorder
from outlast.runner.stall import Stall
from outlast.runner.telemetry import Telemetry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from outlast.runner.limits import History
    from outlast.runner.rank_clock import Entry, Timer

__all__ = ["POLL_S", "Patience", "Sample", "Stall"]

POLL_S = 1.0
GAP_POLLS = 2  # a watcher that looks again only after more than so many polls was not watching
FIRST_PAGES = 3  # times what an earlier attempt's first page took


class Patience:
    """`declared`: pairs (section, seconds); section "" is the limit of every section without one of its own.
    `learned`: what `learned()` gave at an earlier attempt of the same configuration. `reached_step`: the highest step
    that an earlier attempt made. `sdk`: it is known that ranks will have pages, so that the time before the first of
    them is limited, too. Also if an earlier attempt had some, but not if `awaits_pages` is False: they have no place,
    or may have come and gone before we looked. `records`: what is seen is kept for a replay."""

    def __init__(
        self,
        declared: Iterable[tuple[str, float]],
        now_s: float,
        *,
        learned: Mapping[str, Any] | None = None,
        reached_step: int | None = None,
        sdk: bool = False,
        awaits_pages: bool = True,
        records: bool = True,
    ) -> None:
        self._limits = Limits(declared, learned)
        self._reached = reached_step or 0
        lesson = self._limits.lesson
        self._knew_pages = sdk or lesson.sdk
        self._expects_pages = sdk or (awaits_pages and lesson.sdk)
        self._first_page_s, self._alive_at_s = lesson.first_page_s, 0.0
        self._began_s = self._progress_at_s = self._looked_at_s = now_s
        self._counted_s = 0.0  # since the beginning, less what was given back
        self._stopped_since_s: float | None = None
        self._clocks: dict[int | None, RankClock] = {}
        self._gone: dict[int | None, dict[str, History]] = {}  # what ranks that left had learned
        self._life = 0  # what moved and was no step
        self._signs = 0  # of life, while nothing better is known
        self._is_identified = self._had_pages = self._is_first = False
        self._inner: int | None = None
        self._recorder = Recorder() if records else None
        self._telemetry = Telemetry()

    # --- looks --------------------------------------------------------------------------------------------------

    def look(
        self,
        now_s: float,
        ranks: Sequence[Sample] = (),
        *,
        stopped: bool = False,
        series: int | None = None,
        step: int | None = None,
        section: str = "",
        alive: bool = False,
        unsure: bool = False,
        inner: int = 0,
        is_first: bool = False,
    ) -> Stall | None:
        """One look. `ranks`: those that have pages; if there are any, only they count. `series`: rises whenever the
        identified series of the log moves (or a checkpoint appears), None while none is identified; `step`: where it
        is; `section`: where the log says that the training is, and `inner` rises while something moves there, an
        evaluation's bar. `alive`: any sign of life since the look before. `unsure`: more was written than could be
        read, so that the series may have moved. `is_first`: what the only rank is, is the attempt's first process."""
        began_s, looked_s = self._began_s, self._looked_at_s
        self._pass(now_s - self._looked_at_s, stopped, may_be_a_gap=True)
        self._looked_at_s = now_s
        if not stopped or self._stopped_since_s is None:
            self._stopped_since_s = now_s if stopped else None
        self._is_first = is_first
        ranks = self._telemetry.speak(self._counted_s, ranks, series)
        samples = list(ranks)
        if not ranks or (series is not None and not any(_speaks(sample) for sample in ranks)):
            sections = ranks[0].sections if ranks else _named(section)
            samples = self._without_pages(series, step, sections, alive)
        self._forget_the_gone(ranks)
        for sample in samples:
            self._limits.meet(sample.world)
        moved = [self._take(sample) for sample in samples]
        if any(moved):
            self._progress_at_s = now_s
        if alive or any(moved):
            self._alive_at_s = self._counted_s
        self._note_life(samples, alive=alive, unsure=unsure, inner=inner)
        if self._recorder is not None:
            is_gap = now_s - looked_s > GAP_POLLS * POLL_S
            self._recorder.note_span(looked_s - began_s, now_s - began_s, stopped=stopped, is_gap=is_gap)
            self._recorder.note(now_s - began_s, samples if ranks or self._is_identified else ())
            if samples and samples[0].rank is None:
                self._recorder.note_life(now_s - began_s, samples[0], self._life)
                self._recorder.note_reached(now_s - began_s, samples[0].train_step, self._reached)
        return self._verdict()

    def same(self, until_s: float) -> None:
        """As if every look until then had seen what the last one saw, and no limit was reached (see `wait_s`)."""
        self._pass(until_s - self._looked_at_s, self._stopped_since_s is not None, may_be_a_gap=False)
        self._looked_at_s = until_s

    def wait_s(self) -> float:
        """For at least so long no limit is reached, if nothing changes."""
        if self._stopped_since_s is not None:
            return NEVER_S
        excused = self._excused()
        waits = [self._wait_of(clock) for clock in self._judged() if clock not in excused]
        return max(0.0, min([*waits, self._limit_before_pages() - self._counted_s + self._alive_at_s]))

    def _wait_of(self, clock: RankClock) -> float:
        spare_s = clock.spare_s()
        if spare_s > 0.0:
            return spare_s
        waits = (
            timer.limit_s - timer.quiet_s
            for timer in self._timers(clock)
            if self._why_only_reported(clock, timer) is None
        )
        return min(waits, default=NEVER_S)

    def _pass(self, gap_s: float, stopped: bool, *, may_be_a_gap: bool) -> None:
        given_s = 0.0
        if stopped:
            given_s = gap_s
        elif may_be_a_gap and gap_s > GAP_POLLS * POLL_S:
            given_s = gap_s - POLL_S
        counts_s = gap_s - given_s
        self._counted_s += counts_s
        excused = self._excused()
        for clock in self._clocks.values():
            if clock in excused:
                clock.elapse(0.0, gap_s)
            else:
                clock.elapse(counts_s, given_s)

    def _take(self, sample: Sample) -> bool:
        clock = self._clocks.get(sample.rank)
        if clock is not None:
            return clock.see(sample)
        if sample.rank is not None and not self._had_pages:
            self._first_page_s = max(self._first_page_s, self._counted_s)
        if sample.rank is not None and None in self._clocks:  # what was guessed from the log has had its time
            self._start_over(cut=self._had_pages)
        waited_s = 0.0 if self._telemetry.is_lost else self._counted_s  # it went on all the time
        clock = RankClock(sample, self._limits, self._reached, waited_s)
        clock.histories = self._gone.pop(sample.rank, clock.histories)
        if sample.rank is None and not self._is_identified and not self._had_pages:
            clock.elapse(self._counted_s, 0.0)  # whatever it is, it began with the attempt
        self._clocks[sample.rank] = clock
        self._had_pages |= sample.rank is not None
        return True

    def _start_over(self, *, cut: bool = False) -> None:
        """What was seen was not what it seemed. `cut`: but what is seen from now on is only a part."""
        self._clocks.clear()
        if self._recorder is not None:
            self._recorder.start_over(self._looked_at_s - self._began_s if cut else 0.0)

    def _forget_the_gone(self, ranks: Sequence[Sample]) -> None:
        """A rank whose process is gone has no clock: those who wait for it have theirs."""
        here = {sample.rank for sample in ranks}
        for rank in [rank for rank in self._clocks if rank is not None and rank not in here]:
            self._gone[rank] = self._clocks.pop(rank).histories

    def _without_pages(
        self, series: int | None, step: int | None, sections: tuple[Entry, ...], alive: bool
    ) -> list[Sample]:
        """What stands for the ranks, also while none of those that have pages counts steps."""
        if series is not None:
            if not self._is_identified:
                self._is_identified = True
                self._start_over()
            return [Sample(None, series, sections=sections, train_step=step)]
        self._signs += alive
        return [Sample(None, self._signs, TRAIN if self._signs else INIT, sections)]

    def _note_life(self, samples: Sequence[Sample], *, alive: bool, unsure: bool, inner: int) -> None:
        """What moved and is no step."""
        is_inner, self._inner = self._inner not in (None, inner), inner
        guess = self._clocks.get(None)
        has_series = self._is_identified and guess is not None and any(s.rank is None for s in samples)
        if has_series and guess is not None and (unsure or is_inner):
            guess.touch(only_sections=not unsure)
        if (unsure or is_inner) if has_series else (alive and not self._had_pages):
            self._life += 1

    # --- judging ------------------------------------------------------------------------------------------------

    def _verdict(self) -> Stall | None:
        """Of all that are over their limit the one that did least: it is the one that the others wait for."""
        if self._stopped_since_s is not None:
            return None
        over = [
            (clock, timer)
            for clock in self._judged()
            for timer in self._timers(clock)
            if timer.is_over and self._why_only_reported(clock, timer) is None
        ]
        if over and over[0][0].sample.rank is not None and self._telemetry.doubt(self._counted_s):
            self._forget_the_gone(())
            self._start_over(cut=True)
            return None
        if over:
            clock, timer = min(over, key=lambda found: _blame(found[0]))
            return self._stall(clock, timer)
        limit_s = self._limit_before_pages()
        quiet_s = self._counted_s - self._alive_at_s
        if quiet_s > limit_s:
            return Stall(quiet_s, limit_s, INIT, why=self._before_pages()[1])
        return None

    def _why_only_reported(self, clock: RankClock, timer: Timer) -> str | None:
        if timer.why == BY_A_PERSON:
            return None
        if clock.knows_too_little and not self._telemetry.is_lost:
            return "too little is known of its steps to call that a hang"
        if timer.section == EXIT and self._is_first and len(self._clocks) == 1 and self._limits.world == 1:
            return "it said its last word, and nobody waits for it"
        return None

    def _stall(self, clock: RankClock, timer: Timer) -> Stall:
        if clock.sample.rank is None:
            is_guess = timer.section in (INIT, TRAIN) and not self._is_identified
            named = "" if is_guess else timer.section
            key = SERIES if timer.section == TRAIN else timer.section
            return Stall(timer.quiet_s, timer.limit_s, named, why=timer.why, key=key)
        rank = clock.sample.rank if self._limits.world > 1 else None
        return Stall(timer.quiet_s, timer.limit_s, timer.section, why=timer.why, rank=rank)

    def _timers(self, clock: RankClock) -> Iterator[Timer]:
        if clock.sample.rank is not None or self._is_identified:
            return clock.timers()
        return (timer for timer in clock.timers() if timer.why == BY_A_PERSON)

    def _judged(self) -> list[RankClock]:
        """All but the mute: a rank that never made a step while another made several does not count its steps (only
        rank 0 may do that), for else the others could not go on without it."""
        clocks = list(self._clocks.values())
        if all(clock.has_stepped for clock in clocks):
            return clocks
        most = max(clock.steps for clock in clocks)
        return [clock for clock in clocks if clock.has_stepped or most <= LEAD_STEPS]

    def _excused(self) -> list[RankClock]:
        """Those who wait, perhaps, for one who is inside a section; nobody waits for one who is far ahead. And those
        who said their last word while another goes on."""
        if len(self._clocks) < 2:
            return []
        leaving = [clock for clock in self._clocks.values() if clock.is_leaving]
        if leaving and not any(self._goes_on(clock) for clock in self._judged()):
            leaving = []
        return [*leaving, *self._waiting()]

    def _goes_on(self, clock: RankClock) -> bool:
        if clock.is_leaving or clock.section == IDLE:
            return False
        return clock.spare_s() > 0.0 or not any(timer.is_over for timer in self._timers(clock))

    def _waiting(self) -> list[RankClock]:
        working = [clock for clock in self._judged() if clock.works]
        if not working:
            return []
        hindmost = min(clock.sample.step for clock in working)
        return [
            clock
            for clock in self._clocks.values()
            if clock.waits and clock not in working and hindmost <= clock.sample.step + LEAD_STEPS
        ]

    def _before_pages(self) -> tuple[float, str]:
        limit_s, why = self._limits.base(INIT, None)
        if FIRST_PAGES * self._first_page_s > limit_s:
            limit_s = FIRST_PAGES * self._first_page_s
            why = f"it took {self._first_page_s:.0f} s before"
        return self._limits.of(INIT, INIT, (limit_s, why))

    def _limit_before_pages(self) -> float:
        """From the last sign of life on."""
        awaits = self._expects_pages and not self._had_pages and not self._is_identified
        return self._before_pages()[0] if awaits else NEVER_S

    # --- what is kept and shown ---------------------------------------------------------------------------------

    def note_kill(self, stall: Stall) -> None:
        """The training is ended for that: the limit there is doubled until a success there."""
        self._limits.note_kill(stall.key)

    def learned(self) -> dict[str, Any]:
        """For the next attempt of this run, and for `outlast limits`: a small JSON record."""
        histories = [*self._gone.values(), *(clock.histories for clock in self._clocks.values())]
        kept = {
            "schema": SCHEMA,
            "sdk": self._had_pages or (self._knew_pages and not self._is_identified),
            "first_page_s": round(self._first_page_s, 3),
            **self._limits.record(histories),
        }
        return kept if self._recorder is None else {**kept, "timeline": self._timeline(self._recorder, kept)}

    def _timeline(self, recorder: Recorder, learned: dict[str, Any]) -> dict[str, Any]:
        told = recorder.record() | {"world_size": self._limits.world, "reached_step": self._reached}
        told["declared_limits"] = self._limits.declared()
        told |= {"first_page_s": self._first_page_s, "first_process": self._is_first}
        if self._expects_pages and not self._is_identified:
            told["mode"] = "sdk"  # also before the first page
        return {**told, "learned": learned} if recorder.begins_s else told

    def nearest(self) -> Stall | None:
        """Where it is nearest to its limit now, for screens ("no step for 4 m (limit 7 m), section eval"); None:
        nothing is limited."""
        found = [(clock, timer) for clock in self._judged() for timer in self._timers(clock)]
        limited = [
            pair for pair in found if pair[1].limit_s < NEVER_S and self._why_only_reported(*pair) is None
        ]
        if not limited:
            return None
        clock, timer = min(limited, key=lambda pair: pair[1].limit_s - pair[1].quiet_s)
        return self._stall(clock, timer)

    def straggler(self) -> str:
        """The slowest of the ranks that go on at less than a quarter of their own median rate, in words; "": none."""
        slow = [clock for clock in self._clocks.values() if clock.pace.is_slow]
        if not slow:
            return ""
        clock = min(slow, key=lambda each: each.pace.rate / each.pace.median)
        rank = f"rank {clock.sample.rank}" if self._limits.world > 1 else "the training"
        return f"straggler: {rank} makes {clock.pace.rate:.3g} steps/s, its median is {clock.pace.median:.3g}"

    def alert(self) -> str:
        """What is over its limit and no verdict, "" if nothing is."""
        if self._stopped_since_s is not None:
            return ""
        for clock in self._judged():
            for timer in self._timers(clock):
                why = self._why_only_reported(clock, timer) if timer.is_over else None
                if why is not None:
                    return f"no progress for {timer.quiet_s / 60:.0f} min in section {timer.section}: {why}"
        return self._telemetry.note(self._counted_s)

    def end(self, ranks: Sequence[Sample], series: int | None) -> None:
        """The last look, when the training is over: nothing is judged any more."""
        self._telemetry.speak(self._counted_s, ranks, series)
        self._telemetry.end()

    @property
    def has_telemetry(self) -> bool:
        """Not: pages stand still while the log tells of steps."""
        return not self._telemetry.is_lost

    def stopped_s(self, now_s: float) -> float | None:
        """For how long a process of the training has been stopped (state T); None: it is not. Reported, never ended."""
        return None if self._stopped_since_s is None else now_s - self._stopped_since_s

    def quiet_s(self, now_s: float) -> float:
        """Time without progress that counts, of the rank that has been quiet for longest."""
        looked_s = now_s - self._looked_at_s
        return max([0.0, *(clock.quiet_s + looked_s for clock in self._judged())])

    def since_progress_s(self, now_s: float) -> float:
        """Time since any progress, as everybody's clock shows it."""
        return max(0.0, now_s - self._progress_at_s)


def _speaks(sample: Sample) -> bool:
    return sample.stage != INIT or sample.left


def _named(section: str) -> tuple[Entry, ...]:
    return ((section, None, 0),) if section not in ("", TRAIN) else ()


def _blame(clock: RankClock) -> tuple[bool, int, float, int]:
    """Less is the culprit: one that stands somewhere else than in a wait for others, with the fewest steps, quiet for
    longest."""
    return clock.waits, clock.sample.step, -clock.quiet_s, clock.sample.rank or 0
