"""All counters of one output, and which of them is the training.

Knows bars within bars, losses that belong to a counter, one that takes over from another. Refuses to know lines.
"""

from __future__ import annotations

from outlast.runner.output_reading.names import ACTIVITY, EVAL
from outlast.runner.output_reading.seen import EPOCH, STEPLESS
from outlast.runner.output_reading.series import LOOP_OF_ITS_OWN, VAGUE, Series

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.runner.output_reading.seen import Seen

SERIES_MAX = 16
LEAD_ENOUGH = 3  # advances of another identified series while the one that is shown stands


class Candidates:
    def __init__(self) -> None:
        self.main: Series | None = None  # the identified training
        self.ticks = 0
        self._all: dict[str, Series] = {}
        self._last: Series | None = None  # that may be the training, and was last heard of
        self._outer: Series | None = None  # the last bar that nests in no other
        self._bar: Series | None = None  # the bar that was drawn last, if it may be the training

    def __iter__(self) -> Iterator[Series]:
        return iter(self._all.values())

    def get(self, key: str) -> Series | None:
        return self._all.get(key)

    def of(self, seen: Seen) -> Series | None:
        return self._all.get(_key(seen))

    def hear(self, seen: Seen) -> tuple[Series, bool]:
        """Take in a line with a counter; the series, and whether it advanced."""
        key = _key(seen)
        series = self._all.get(key)
        if series is None:
            series = self._begin(key, seen)
        if seen.is_bar:
            self._nest(series, seen)
        advanced = series.observe(seen)
        if seen.loss is not None and seen.role != EVAL:
            self._share_loss(series)
        if series.is_bar:
            series.solo += advanced and self._bar is series
            self._bar = series
        if series.is_training and (series.unit not in STEPLESS or series.source in VAGUE):
            self._last = series
        self._choose(series, advanced)
        return series, advanced

    def hear_of_other_bar(self, seen: Seen) -> None:
        """A bar was drawn that is no training, by its name."""
        self._bar = None
        if seen.is_nested and self._outer is not None:
            self._outer.has_inner = True

    def give_loss(self, series: Series, source: str) -> None:
        """A loss without a counter belongs to this one."""
        series.has_loss = True
        if series.source in VAGUE:
            series.source = source
        self._choose(series, False)

    def awaiting_loss(self) -> Series | None:
        """The counter that a loss without one belongs to."""
        series, outer = self._last, self._outer
        if series is not None and series.is_nested and outer is not None and outer.solo >= LOOP_OF_ITS_OWN:
            series = outer
        if series is None or series.unit in STEPLESS:
            return series if series is not None and series.unit == EPOCH else None
        return None if series.is_finished and series.is_bar and not series.has_loss else series

    def agree(self, step: int) -> None:
        """A checkpoint of that step is there."""
        for series in self:
            if series.is_training and series.agrees_with(step):
                self._choose(series, False)

    def agree_on_total(self, total: int) -> None:
        """The trainer's own record says where it will end."""
        for series in self:
            if series.is_training and series.total == total and series.unit not in STEPLESS:
                series.matches += 2
                self._choose(series, False)

    def best_guess(self) -> Series | None:
        """Nothing is identified: what was last heard of, of all that may be the training, or what went furthest."""
        if self._last is not None and self._last.unit not in STEPLESS and self._last.is_training:
            return self._last
        some = [each for each in self if each.is_training and each.position >= 0]
        return max(some, key=lambda each: (each.unit not in STEPLESS, each.ticks), default=None)

    # --- which one ------------------------------------------------------------------------------------------

    def _begin(self, key: str, seen: Seen) -> Series:
        while len(self._all) >= SERIES_MAX:
            idle = [k for k, each in self._all.items() if each is not self.main and each is not self._outer]
            del self._all[min(idle, key=lambda k: (self._all[k].has_loss, self._all[k].ticks))]
        made = self._all[key] = Series(seen)
        return made

    def _nest(self, series: Series, seen: Seen) -> None:
        """A bar inside a bar that runs by itself is an evaluation; inside one that never does, it is the loop."""
        if not seen.is_nested:
            self._outer = series
            series.is_inner = False
            return
        outer = self._outer
        if outer is None or outer is series:
            return
        outer.has_inner = True
        series.is_inner = outer.solo >= LOOP_OF_ITS_OWN and not series.has_loss

    def _share_loss(self, series: Series) -> None:
        series.has_loss = True
        for other in self:  # the same counter in another shape
            if (
                other.is_bar
                and not other.is_inner
                and other.total == series.total
                and series.total is not None
            ):
                other.has_loss = other.has_loss or other.role != ACTIVITY

    def _choose(self, series: Series, advanced: bool) -> None:
        """Whether this series is the one that is shown, after it was heard of."""
        if not series.is_identified:
            return
        main = self.main
        if series is main:
            if advanced:
                self.tick()
            return
        series.lead += advanced
        if main is None or not main.is_identified or _outranks(series, main):
            self.main = series
            self.tick()

    def tick(self) -> None:
        self.ticks += 1
        for series in self:
            series.lead = 0


def _key(seen: Seen) -> str:
    """One counter, one key: by its name, or, where it has none, by its total."""
    if seen.is_bar and seen.key.endswith(" ") and seen.total is not None:
        return f"{seen.key}of {seen.total}"
    return seen.key


def _outranks(series: Series, main: Series) -> bool:
    """What has a loss, or agrees with a checkpoint, is not replaced by what only counts: an attempt, a retry. The bar
    of the batches may replace the epochs that it turns in."""
    counts_steps = series.unit not in STEPLESS
    if main.has_evidence and not series.has_evidence:
        return main.unit in STEPLESS and counts_steps and series.is_bar
    if series.has_evidence and not main.has_evidence and counts_steps:
        return True
    if main.unit in STEPLESS and counts_steps:
        return True
    return series.lead >= LEAD_ENOUGH
