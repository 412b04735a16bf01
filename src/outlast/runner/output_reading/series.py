"""One counter over many lines: a position that only rises, whatever begins anew in every epoch.

Knows epochs, restarts, several writers of one counter. Refuses to know other counters, and which one is the training.
"""

from __future__ import annotations

from outlast.runner.output_reading.names import ACTIVITY, EVAL
from outlast.runner.output_reading.seen import STEP, STEPLESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.runner.output_reading.seen import Seen

TICKS_ENOUGH = 50  # so many at one total, and a nameless counter is taken for the training
LOOP_OF_ITS_OWN = 3  # advances in a row: what nests within it is an evaluation, not its epochs
NEARLY = 0.98
FALL_MIN = 10  # of a counter that begins anew before its end
BELIEVED_AFTER = 3  # rising lines below the best: it really went back
VAGUE = ("plain", "tqdm")  # until a line says more of who speaks
FIELDS = (
    "source", "unit", "role", "n", "total", "first", "base", "spacing", "position", "epoch", "epoch_total",
    "origin", "span", "resets", "laps", "below", "below_n", "ticks", "ticks_at_total", "solo",
    "is_bar", "is_nested", "is_inner", "has_inner", "has_loss", "matches", "per_step", "several_seen", "lead",
)  # fmt: skip


class Series:
    """`position` is `n` made monotonic over epochs; `ticks` counts its rises."""

    __slots__ = FIELDS

    def __init__(self, seen: Seen) -> None:
        self.source, self.unit, self.role = seen.source, seen.unit, seen.role
        self.n: int = -1
        self.total: int | None = seen.total
        self.first: int = -1
        self.base: int = 0  # of all epochs before this one
        self.spacing = 1
        self.position = -1
        self.epoch: float | None = None
        self.epoch_total: int | None = None
        self.origin: int | None = seen.origin
        self.span = 0  # the largest n of an epoch
        self.resets: bool | None = seen.restarts
        self.laps = 0
        self.below, self.below_n = 0, -1
        self.ticks = self.ticks_at_total = 0
        self.solo = 0  # advances with no other bar between
        self.is_bar, self.is_nested = seen.is_bar, seen.is_nested
        self.is_inner = self.has_inner = False
        self.has_loss = False
        self.matches = 0  # how often a checkpoint or the trainer's own state agreed with it
        self.per_step = 1  # so many of it make one optimizer step
        self.several_seen = 0
        self.lead = 0  # advances since the series that is shown last advanced

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def is_training(self) -> bool:
        """Whether it may be the training at all."""
        if self.role == EVAL or self.is_inner:
            return False
        return self.role != ACTIVITY or self.has_loss

    @property
    def is_identified(self) -> bool:
        return self.is_training and (self.has_evidence or self._ran_long())

    @property
    def is_finished(self) -> bool:
        return self.total is not None and self.n >= self.total and self.total > 0

    @property
    def has_evidence(self) -> bool:
        """A loss, a checkpoint that agrees: more than that it counts."""
        return self.has_loss or self.matches > 0

    def _ran_long(self) -> bool:
        if self.has_inner and self.solo < LOOP_OF_ITS_OWN:
            return False  # a loop around loops
        if self.total is None:
            return False  # anything may be counted: attempts, requests, heartbeats
        return self.ticks_at_total >= TICKS_ENOUGH and not (self.is_finished and self.laps == 0)

    # --- what it says ---------------------------------------------------------------------------------------

    def observe(self, seen: Seen) -> bool:
        """True: it advanced."""
        n = seen.n
        if n is None:
            return False
        if self.source in VAGUE:
            self.source = seen.source
        if seen.total != self.total:
            self.ticks_at_total = self.ticks_at_total if self.resets else 0
        before_n, self.total = self.n, seen.total if seen.total is not None else self.total
        if seen.origin is not None:
            self.origin = seen.origin
        self.epoch_total = seen.total_epochs if seen.total_epochs is not None else self.epoch_total
        if seen.role and not self.role:
            self.role = seen.role
        if not self._place(n, seen.epoch):
            return False
        if self.first < 0:
            self.first = n
        if n > before_n >= 0:
            self.spacing = n - before_n
        position = self.base + n
        if position <= self.position:
            return False
        self.position = position
        self.ticks += 1
        self.ticks_at_total += 1
        return True

    def _place(self, n: int, epoch: float | None) -> bool:
        """Take n in, with the base that it stands on; False: a line out of order, which says nothing."""
        if self.unit in STEPLESS or epoch is None or epoch != int(epoch):
            self.epoch = epoch if epoch is not None else self.epoch
            return self._place_without_epoch(n)
        number = int(epoch)
        if self.origin is None or number < self.origin:
            self.origin = 0 if number == 0 else 1
        if self.epoch is not None and (number, n) < (self.epoch, self.n):
            if not self._is_believed(n):
                return False
            self.epoch, self.position, self.base, self.span = None, -1, 0, 0
        self.below = 0
        is_new = self.epoch is None or number > self.epoch
        if is_new and self.epoch is not None and self.resets is None:
            self.resets = n <= self.n
        before = self.epoch
        self.epoch, self.n = float(number), n
        if is_new and self.resets is not False:
            self._next_epoch(number, before)
        self.span = max(self.span, n, (self.total or 0) if self.resets is not False else 0)
        return True

    def _next_epoch(self, number: int, before: float | None) -> None:
        if self.resets is None and before is None:
            self.base = 0  # not known yet; a counter that does not restart stands on nothing
            return
        lap = self.total if self.total is not None else self.span
        done = number - (self.origin or 0)
        if before is None:
            self.base = done * lap
        else:
            gone = number - int(before)
            after_last = self.spacing if self.total is None and self.first == 0 else 0
            self.base += gone * max(self.span + after_last, 1)
            self.span = 0
        self.laps += before is not None

    def _place_without_epoch(self, n: int) -> bool:
        if n >= self.n:
            self.below = 0
            self.n = n
            return True
        if self._begins_anew(n):
            self.base += max(self.n, self.total or 0) if self._was_at_end() else self.n
            self.laps += 1
            self.below, self.n = 0, n
            return True
        if not self._is_believed(n):
            return False
        self.base, self.position, self.n, self.below = 0, -1, n, 0
        return True

    def _is_believed(self, n: int) -> bool:
        """One line that lies behind comes from another rank, or is noise; several that rise were set back."""
        self.below = self.below + 1 if n > self.below_n else 1
        self.below_n = n
        return self.below >= BELIEVED_AFTER

    def _begins_anew(self, n: int) -> bool:
        if self._was_at_end():
            return n <= max(self.first, 0) + max(self.spacing, (self.total or 0) // 2)
        return self.is_bar and n == 0 and self.n - n > FALL_MIN

    def _was_at_end(self) -> bool:
        return self.total is not None and self.n >= min(self.total * NEARLY, self.total - self.spacing)

    # --- what is shown --------------------------------------------------------------------------------------

    def steps(self) -> int | None:
        return None if self.unit in STEPLESS or self.position < 0 else self.position // self.per_step

    def whole(self) -> int | None:
        """The target, as far as the lines tell it: never proof of anything."""
        if self.unit in STEPLESS or self.total is None:
            return None
        if not self.resets and not self.laps:
            return self.total // self.per_step
        return self.epoch_total * self.total // self.per_step if self.epoch_total is not None else None

    def agrees_with(self, step: int) -> bool:
        """Whether a checkpoint of that step, seen now, lies where this counter stands; it may also show that several
        of this counter are one step (batches that are accumulated)."""
        position = self.steps()
        if position is None or step <= 0:
            return False
        margin = 2 * self.spacing // self.per_step + 2
        if abs(position - step) <= margin:
            self.matches += 1
            return True
        several = round(self.position / step)
        if several > 1 and abs(self.position - several * step) <= 2 * self.spacing + 2 and step > 2 * margin:
            if several == self.several_seen:
                self.per_step, self.unit = several, STEP
                self.matches += 1
                return True
            self.several_seen = several
        return False

    def copy(self) -> Series:
        """To try a line on that has no end yet."""
        made = Series.__new__(Series)
        for name in FIELDS:
            setattr(made, name, getattr(self, name))
        return made
