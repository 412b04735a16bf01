"""How long each section may be quiet: what a person declared, else what the run's own history teaches, else a cap.

    limit = max(60 s, 3 x p99, 8 x median, and what the tail of the distribution says, but that at most the cap)

from at least fifty samples of that section; it may grow beyond its cap and shrink below it. p99 is not the point
estimate: with few samples the longest of them stands for it (a 99 % confidence bound on the quantile). The tail (Hill's
estimator) speaks only where the longest samples differ widely, as lognormal and Pareto times do; regular steps and
steps of a few sizes are not slowed down by it.

A section that is rare or waits for storage does not shrink so far: fifty saves of a second say little of the one that
meets a full disk or a server that fails over. data keeps four fifths of its cap, eval, save, exit and what a person
named a third.

After a kill in a section its limit is doubled for this run until a success there; a pause that was longer than the
limit that had killed, and ended well, holds the limit above itself from then on. A declared limit is never changed.

Knows seconds and names of sections. Refuses to know clocks, ranks and verdicts.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

INIT, FIRST_STEP, TRAIN, DATA, COLLECTIVE, EXIT = "init", "first step", "train", "data", "collective", "exit"
IDLE = "idle"  # a training that says it waits for work is never hung
SERIES = "series"  # the steps that a log tells of: their times are another thing than those of steps

# At first. data: a storage server that fails over takes a quarter of an hour. collective and train of several ranks:
# before NCCL's own watchdog (480 s) takes the process down, and its stacks with it. exit: the last upload, as a save.
CAPS_S = {
    INIT: 1800.0, FIRST_STEP: 1200.0, TRAIN: 600.0, "eval": 1800.0, "save": 1800.0,
    DATA: 1200.0, COLLECTIVE: 420.0, EXIT: 1800.0,
}  # fmt: skip
TRAIN_OF_MANY_CAP_S = 420.0
OTHER_CAP_S = 1800.0  # a section by a name of the user's own
SERIES_LEAST_S = 1800.0
SERIES_P99S = 10

NEVER_S = float("inf")
BY_A_PERSON = "by --stall-limit"
LEAST_SHARE = 1 / 3  # of its cap: so far a section's limit shrinks
LEAST_SHARES = {INIT: 0.0, FIRST_STEP: 0.0, TRAIN: 0.0, COLLECTIVE: 0.0, DATA: 0.8}

SCHEMA = 1
NAMES_MAX = 256  # of sections, in a record
COUNT_MAX, SECONDS_MAX = 1 << 40, 1e9  # whoever wrote more wrote nonsense
SAMPLES_LEAST = 50
FLOOR_S = 60.0
P99S, MEDIANS = 3, 8
WEIGHT_MAX = 4096  # then all counts are halved: what is long ago fades
PER_OCTAVE = 8  # classes of the histogram, each 9 % wide
SHORTEST_S = 0.001
CONFIDENCE = 2.33  # standard deviations: 99 %
TAIL_SHARE, TAIL_LEAST, ONCE_IN = 0.1, 8, 1e8
SLOPE_MAX = 30.0  # more is no distribution but a damaged record, and too large a number
DOUBLINGS_MAX = 5
OUTLIVED = 1.5


class History:
    """How long something took, each time: a histogram of at most a few hundred classes, from which quantiles are read.
    `count` is all samples ever, `weight` those that still speak."""

    __slots__ = ("_classes", "_tail_s", "count", "weight")

    def __init__(self) -> None:
        self._classes: dict[int, tuple[int, float]] = {}  # class -> (how many, their mean)
        self.count = self.weight = 0
        self._tail_s: tuple[float, float, float] | None = None

    def add(self, seconds: float) -> None:
        number = math.floor(math.log2(max(seconds, SHORTEST_S)) * PER_OCTAVE)
        count, mean = self._classes.get(number, (0, 0.0))
        self._classes[number] = (count + 1, mean + (seconds - mean) / (count + 1))
        self.count, self.weight, self._tail_s = self.count + 1, self.weight + 1, None
        if self.weight > WEIGHT_MAX:
            halves = ((key, (count // 2, mean)) for key, (count, mean) in self._classes.items())
            self._classes = {key: half for key, half in halves if half[0]}
            self.weight = sum(count for count, _ in self._classes.values())

    def p99_s(self) -> float:
        """At least the 99th percentile, with 99 % confidence."""
        return self._measures()[0]

    def median_s(self) -> float:
        return self._measures()[1]

    def tail_s(self) -> float:
        """What is exceeded once in a hundred million times, if the longest tenth goes on as it began (Hill, 1975)."""
        return self._measures()[2]

    def _measures(self) -> tuple[float, float, float]:
        if self._tail_s is None:
            above = int(0.01 * self.weight - CONFIDENCE * math.sqrt(0.0099 * self.weight))
            self._tail_s = (self._longest(max(0, above)), self._longest(self.weight // 2), self._hill())
        return self._tail_s

    def _longest(self, skipped: int) -> float:
        """The longest but so many."""
        for count, mean in self._from_the_longest():
            if skipped < count:
                return mean
            skipped -= count
        return 0.0

    def _from_the_longest(self) -> Iterator[tuple[int, float]]:
        return (self._classes[number] for number in sorted(self._classes, reverse=True))

    def _hill(self) -> float:
        many = max(TAIL_LEAST, int(self.weight * TAIL_SHARE))
        threshold = self._longest(many)
        if threshold <= 0.0:
            return 0.0
        left, excess = many, 0.0
        for count, mean in self._from_the_longest():
            excess += min(count, left) * math.log(max(1.0, mean / threshold))
            left -= min(count, left)
        return threshold * math.pow(many / self.weight * ONCE_IN, min(SLOPE_MAX, excess / many))

    # --- kept across attempts -----------------------------------------------------------------------------------

    def record(self) -> dict[str, Any]:
        classes = [[number, count, round(mean, 3)] for number, (count, mean) in sorted(self._classes.items())]
        return {"count": self.count, "classes": classes}

    @staticmethod
    def of(record: object) -> History:
        """What cannot be read teaches nothing: an empty history has the cap."""
        history = History()
        try:
            for number, count, mean in record["classes"]:  # type: ignore[index]  # whatever it is: the TypeError is caught
                if not (_is_whole(number, -COUNT_MAX) and _is_whole(count) and _is_time(mean)):
                    return History()
                history._classes[number] = (count, float(mean))
            history.weight = sum(count for count, _ in history._classes.values())
            count = record["count"]  # type: ignore[index]  # whatever it is: the TypeError is caught
            history.count = max(history.weight, count if _is_whole(count) and history.weight else 0)
        except (KeyError, TypeError, ValueError, IndexError):
            return History()
        return history


class Lesson:
    """What an earlier attempt taught, read from a file that anybody may have damaged: what is no number that could have
    been written teaches nothing, and nothing of it is fatal."""

    def __init__(self, record: object) -> None:
        known = record if isinstance(record, dict) and record.get("schema", SCHEMA) == SCHEMA else {}
        world, first_page_s = known.get("world"), known.get("first_page_s")
        self.world = world if _is_whole(world) else None
        self.sdk = known.get("sdk") is True
        self.first_page_s = float(first_page_s or 0.0) if _is_time(first_page_s) else 0.0
        self.sections = {name: History.of(record) for name, record in _items(known, "sections")}
        self.doublings = {
            name: min(DOUBLINGS_MAX, times)
            for name, times in _items(known, "doublings")
            if _is_whole(times, 1)
        }
        self.outlived_s = {
            name: float(seconds) for name, seconds in _items(known, "outlived_s") if _is_time(seconds)
        }


class Limits:
    """The limits of one run. `declared` are pairs (section, seconds); section "" is for every section without one of
    its own. `learned` is what `record` gave at an earlier attempt; how long things took in another world size is
    forgotten, what had killed is not."""

    def __init__(
        self,
        declared: Iterable[tuple[str, float]] = (),
        learned: Mapping[str, Any] | None = None,
    ) -> None:
        self._declared = {_plain(section): float(limit) for section, limit in declared}
        self.lesson = lesson = Lesson(learned)
        self.least_s = min(
            [FLOOR_S, *self._declared.values()]
        )  # no limit is shorter, but those declared in code
        self.world = 1
        self._world_before = lesson.world
        self._inherited = lesson.sections
        self._doublings = lesson.doublings
        self._outlived_s = lesson.outlived_s

    def meet(self, world: int) -> None:
        """So many ranks there are. Raises the number only: pages appear one after the other."""
        self.world = max(self.world, world)

    def history(self, section: str) -> History:
        """A history of its own for a rank, that begins with what earlier attempts taught."""
        if self.world == self._world_before and section in self._inherited:
            return History.of(self._inherited[section].record())
        return History()

    def record(self, histories: Iterable[Mapping[str, History]]) -> dict[str, Any]:
        """Of all ranks' histories the most generous, for each section."""
        kept: dict[str, History] = {}
        for of_a_rank in histories:
            for section, history in of_a_rank.items():
                if history.count and _generosity(history) >= _generosity(kept.get(section, history)):
                    kept[section] = history
        if self.world == self._world_before:
            kept = {**self._inherited, **kept}
        return {
            "world": self.world,
            "sections": {section: history.record() for section, history in sorted(kept.items())},
            "doublings": dict(self._doublings),
            "outlived_s": dict(self._outlived_s),
        }

    # --- limits -------------------------------------------------------------------------------------------------

    def declared(self) -> dict[str, float]:
        return dict(self._declared)

    def declared_s(self, section: str, in_code_s: float | None = None) -> tuple[float, str] | None:
        """By a person for this section, by the code that is in it, by a person for all."""
        if section in self._declared:
            return self._declared[section], BY_A_PERSON
        if in_code_s is not None:
            return in_code_s, "declared in the code"
        if "" in self._declared:
            return self._declared[""], BY_A_PERSON
        return None

    def of(
        self, section: str, key: str, base: tuple[float, str], in_code_s: float | None = None
    ) -> tuple[float, str]:
        """(seconds, where they come from). `key` and `base` are what it is called and given by its own history."""
        if section == IDLE:
            return NEVER_S, "never hung"
        return self.declared_s(section, in_code_s) or self._widened(key, *base)

    def base(self, section: str, history: History | None) -> tuple[float, str]:
        """Before anything was doubled."""
        cap_s = self.cap_s(section)
        if history is None or history.count < SAMPLES_LEAST:
            return cap_s, "at first"
        tail_s = min(history.tail_s(), cap_s)
        least_s = max(FLOOR_S, LEAST_SHARES.get(section, LEAST_SHARE) * cap_s)
        learned_s = max(least_s, P99S * history.p99_s(), MEDIANS * history.median_s(), tail_s)
        return learned_s, f"learned from {history.count} samples"

    def cap_s(self, section: str) -> float:
        if section == TRAIN and self.world > 1:
            return TRAIN_OF_MANY_CAP_S
        return CAPS_S.get(section, OTHER_CAP_S)

    def _widened(self, section: str, base_s: float, why: str) -> tuple[float, str]:
        outlived_s = OUTLIVED * self._outlived_s.get(section, 0.0)
        if outlived_s > base_s:
            base_s, why = outlived_s, f"a pause of {outlived_s / OUTLIVED:.0f} s ended well"
        times = self._doublings.get(section, 0)
        return (base_s * float(2**times), f"{why}, doubled after a kill") if times else (base_s, why)

    def rows(self) -> list[dict[str, Any]]:
        """For people: what rules in each section that is known, before an attempt has samples of its own."""
        names = {*CAPS_S, *self._inherited, *self._declared, *self._doublings, *self._outlived_s} - {""}
        return [self._row(name) for name in sorted(names, key=lambda name: (_place(name), name))]

    def _row(self, name: str) -> dict[str, Any]:
        history = self.history(name)
        base = series_base(history, 0.0) if name == SERIES else self.base(name, history)
        limit_s, why = self.of(TRAIN if name == SERIES else name, name, base)
        known = history.count > 0
        return {
            "section": name,
            "limit_s": None if limit_s == NEVER_S else round(limit_s, 3),
            "why": why,
            "samples": history.count,
            "median_s": round(history.median_s(), 3) if known else None,
            "p99_s": round(history.p99_s(), 3) if known else None,
        }

    # --- kills --------------------------------------------------------------------------------------------------

    def note_kill(self, section: str) -> None:
        self._doublings[section] = min(DOUBLINGS_MAX, self._doublings.get(section, 0) + 1)

    def is_doubled(self, section: str) -> bool:
        return section in self._doublings

    def note_end(self, section: str, seconds: float, base_s: float, *, success: bool) -> None:
        """Something in that section, whose limit is doubled, ended well after so long; `success`: that makes good the
        kill there."""
        if seconds > base_s:
            self._outlived_s[section] = max(seconds, self._outlived_s.get(section, 0.0))
        if success:
            del self._doublings[section]


def series_base(history: History, first_wait_s: float) -> tuple[float, str]:
    """For what only a log tells of. Until a few of its steps are known, the wait for the first one counts."""
    p99_s = history.p99_s()
    if history.count < TAIL_LEAST:
        p99_s = max(p99_s, first_wait_s)
    if SERIES_P99S * p99_s <= SERIES_LEAST_S:
        return SERIES_LEAST_S, "at first"
    return SERIES_P99S * p99_s, f"learned from {history.count} samples"


def _place(section: str) -> int:
    return list(CAPS_S).index(section) if section in CAPS_S else len(CAPS_S)


def _plain(section: str) -> str:
    return FIRST_STEP if section in ("first_step", "first-step") else section


def _items(record: Mapping[str, Any], key: str) -> Iterable[tuple[str, Any]]:
    found = record.get(key)
    return list(found.items())[:NAMES_MAX] if isinstance(found, dict) else ()


def _is_whole(value: object, least: int = 0) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= COUNT_MAX


def _is_time(value: object) -> bool:
    """NaN compares with nothing, and infinity is beyond."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= SECONDS_MAX


def _generosity(history: History) -> tuple[bool, float, int]:
    taught = history.count >= SAMPLES_LEAST
    return taught, max(P99S * history.p99_s(), MEDIANS * history.median_s()), history.count
