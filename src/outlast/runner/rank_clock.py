"""One rank's clocks: for how long it has been quiet, in which of its open sections, and what it may take. Pure.

Every open section has its own timer, also while another is open inside it; a step is progress for all of them. The
training's own section is not charged for the time inside others, and is timed anew when it is back; but entering and
leaving is no step, so there are two more timers, over all, for a loop that does only that.

Knows samples of this rank and seconds that count. Refuses to know other ranks and what was given back.
"""

from __future__ import annotations

from collections import namedtuple

from outlast.runner.limits import (
    COLLECTIVE,
    EXIT,
    FIRST_STEP,
    IDLE,
    INIT,
    NEVER_S,
    SERIES,
    TRAIN,
    series_base,
)
from outlast.runner.pace import Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NamedTuple

    from outlast.runner.limits import History, Limits

    Entry = tuple[str, float | None, int]

    class Sample(NamedTuple):
        """What a rank says at one look. `stage` of its own section: init, first step, train. `sections`: (name, limit
        that the code declared, serial that changes at each entry), the outermost first. `left`: its last word is said,
        or its context was left. `rank` None: the one series of a training that has no pages; there `step` counts what
        proves progress, and `train_step` is the step that its log tells of."""

        rank: int | None
        step: int
        stage: str = TRAIN
        sections: tuple[Entry, ...] = ()
        left: bool = False
        world: int = 1
        total: int | None = None
        train_step: int | None = None

else:
    Sample = namedtuple(
        "Sample",
        "rank step stage sections left world total train_step",
        defaults=(TRAIN, (), False, 1, None, None),
    )

# Visits of sections between two steps, each as long as it may be: ten evals in a row are legitimate, and the last step
# may be followed by a whole suite of them.
VISITS, VISITS_AT_THE_END = 20, 100
STRETCHES = (
    0.5  # for each of those visits: of the training's own section between them, each as long as it may be
)
EXIT_ENTRY = (EXIT, None, 0)
UNKNOWN_S = -1.0  # given back; so what it is compared with is never equal
INTERVALS_LEAST = 3  # of a series that only a log tells of: fewer say nothing of the next
NO_WORK = (COLLECTIVE, EXIT, IDLE)  # nobody waits for a rank in one of these
LEAD_STEPS = 1  # a rank that is further ahead than this is not waited for


class Timer:
    """Quiet for so long, where so long is allowed; `why`: where the limit comes from."""

    __slots__ = ("limit_s", "quiet_s", "section", "why")

    def __init__(self, section: str, quiet_s: float, limit_s: float, why: str) -> None:
        self.section, self.quiet_s, self.limit_s, self.why = section, quiet_s, limit_s, why

    @property
    def is_over(self) -> bool:
        return self.quiet_s > self.limit_s


class _Open:
    __slots__ = ("entry", "given_s", "since_s")

    def __init__(self, entry: Entry, since_s: float, given_s: float) -> None:
        self.entry, self.since_s, self.given_s = entry, since_s, given_s


class RankClock:
    def __init__(self, sample: Sample, limits: Limits, reached_step: int, waited_s: float = 0.0) -> None:
        """`waited_s`: since the attempt began; for a log, the wait for its first step."""
        self.sample, self._limits, self._reached = sample, limits, reached_step
        self.histories: dict[str, History] = {}
        self.pace = Pace()
        self.has_stepped = sample.stage == TRAIN
        self._has_begun = sample.stage != INIT
        self.steps = 0  # made in this attempt, as far as seen
        self._now_s = self._given_s = self._stepped_at_s = self._root_s = self._root_given_s = 0.0
        self._stretch_s = (
            0.0  # of the training's own section, since it was entered; `root_s`: since the last step
        )
        self._passed_s, self._first_wait_s = 0.0, waited_s
        self._open: list[_Open] = []
        self._visited: dict[str, float | None] = {}
        self._enter(_stack(sample))

    # --- what passes and what is seen ---------------------------------------------------------------------------

    def elapse(self, counts_s: float, given_s: float) -> None:
        """Time went by, as it was at the last look: some of it counts, some is given back."""
        self._now_s, self._given_s = self._now_s + counts_s, self._given_s + given_s
        self._passed_s = counts_s
        if not self._open:
            self._root_s += counts_s
            self._stretch_s += counts_s

    def see(self, sample: Sample) -> bool:
        """Whether it made a step. A count that goes back begins anew, and so does what was learned of it: the steps of
        a search for the learning rate say nothing of those of the training."""
        before, self.sample = self.sample, sample
        stage_before = self._stage(before)
        self._has_begun |= sample.stage != INIT
        stack, was_in_root = _stack(sample), not self._open
        same = 0
        while same < min(len(stack), len(self._open)) and _key(self._open[same].entry) == _key(stack[same]):
            same += 1
        for left in reversed(self._open[same:]):
            self._learn_from(left, success=True)
        del self._open[same:]
        moved = sample.step != before.step or (sample.stage == TRAIN and not self.has_stepped)
        if moved:
            self._step(before, sample)
            if sample.step < before.step:
                self.histories.pop(TRAIN, None)
                self.pace = Pace()
        if sample.rank is not None and before.stage == TRAIN != sample.stage:
            self.has_stepped, self._has_begun = (
                False,
                sample.stage != INIT,
            )  # another training, in the same process
        if was_in_root and stack and not moved:
            self._root_s = max(0.0, self._root_s - self._passed_s)  # when it entered, nobody knows
        if moved or not was_in_root or self._stage(sample) != stage_before:
            self._stretch_s = 0.0
        self._enter(stack[same:])
        return moved

    def touch(self, *, only_sections: bool = False) -> None:
        """Something moved that is no step: who was timed is timed anew, and learns nothing of the time before. What is
        still counted is the time without a step, if only the open sections moved."""
        for section in self._open:
            section.since_s, section.given_s = self._now_s, UNKNOWN_S
        if only_sections:
            return
        self._root_s = self._stretch_s = 0.0
        self._root_given_s = UNKNOWN_S
        self._stepped_at_s = self._now_s

    def _enter(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            self._open.append(_Open(entry, self._now_s, self._given_s))
            self._visited[entry[0]] = entry[1]

    def _step(self, before: Sample, sample: Sample) -> None:
        if self._root_s > 0.0 and self.has_stepped:
            is_new = self._stage(before) == TRAIN
            if self._root_given_s == self._given_s:
                self._learn(self._root_name, self._root_s, None, teaches=is_new, success=self.is_past_reached)
            if is_new and self._root_given_s != UNKNOWN_S:
                self.pace.add(sample.step - before.step, self._root_s)
        for section in self._open:
            self._learn_from(section, success=False)
            section.since_s, section.given_s = self._now_s, self._given_s
        self.has_stepped |= sample.stage == TRAIN
        self.steps += max(1, sample.step - before.step)
        self._root_s, self._root_given_s = 0.0, self._given_s
        self._stepped_at_s = self._now_s
        self._visited = {section.entry[0]: section.entry[1] for section in self._open}

    # --- what is learned ----------------------------------------------------------------------------------------

    def _learn_from(self, section: _Open, *, success: bool) -> None:
        name, in_code_s, _ = section.entry
        seconds = self._now_s - section.since_s
        if seconds > 0.0 and section.given_s == self._given_s:
            self._learn(name, seconds, in_code_s, teaches=True, success=success)

    def _learn(
        self, name: str, seconds: float, in_code_s: float | None, *, teaches: bool, success: bool
    ) -> None:
        """What was in part given back does not come here: it teaches nothing."""
        if self._limits.is_doubled(name):
            self._limits.note_end(name, seconds, self._base(name)[0], success=success)
        if teaches:
            self._history(name).add(seconds)

    def _base(self, name: str) -> tuple[float, str]:
        if self.sample.rank is None:
            return series_base(self._history(name), self._first_wait_s if name == SERIES else 0.0)
        return self._limits.base(name, self._history(name))

    def _history(self, name: str) -> History:
        if name not in self.histories:
            self.histories[name] = self._limits.history(name)
        return self.histories[name]

    # --- where it stands ----------------------------------------------------------------------------------------

    @property
    def is_past_reached(self) -> bool:
        """Whether this step was never made before."""
        step = self.sample.step if self.sample.rank is not None else self.sample.train_step
        return step is None or bool(step > self._reached)

    @property
    def _root_name(self) -> str:
        return SERIES if self.sample.rank is None else TRAIN

    def _stage(self, sample: Sample) -> str:
        """Steps that an earlier attempt had already made are the beginning's, and so is what follows the last of
        them."""
        if sample.rank is None:
            return str(sample.stage)
        if sample.step <= self._reached and self._reached > 0:
            return INIT
        if not self._has_begun:
            return INIT
        return TRAIN if self.has_stepped else FIRST_STEP

    @property
    def section(self) -> str:
        return self._open[-1].entry[0] if self._open else self._stage(self.sample)

    @property
    def works(self) -> bool:
        """Inside a section for whose end others may wait, within its limit."""
        if self._open:
            is_timed = all(timer.limit_s < NEVER_S and not timer.is_over for timer in self._sections())
            return is_timed and self.section not in NO_WORK
        return not self.has_stepped and self.section == INIT and not self._root().is_over

    @property
    def waits(self) -> bool:
        """Where a rank stands that waits for others: nobody can tell from outside that it does."""
        return not self._open or self.section == COLLECTIVE

    @property
    def quiet_s(self) -> float:
        """Since its last step, in any section."""
        return self._now_s - self._stepped_at_s

    @property
    def is_leaving(self) -> bool:
        return self.section == EXIT and self.sample.left

    @property
    def knows_too_little(self) -> bool:
        """An early line, or a checkpoint of step 0, says nothing of how long the next takes."""
        return self.sample.rank is None and self._history(SERIES).count < INTERVALS_LEAST

    # --- timers -------------------------------------------------------------------------------------------------

    def spare_s(self) -> float:
        """For at least so long no timer is over, as no limit is shorter than the shortest. Cheap: for every look."""
        coded = [section.entry[1] for section in self._open if section.entry[1] is not None]
        return min([self._limits.least_s, *coded]) - self.quiet_s

    def timers(self) -> Iterator[Timer]:
        """The innermost section first."""
        yield from self._sections()
        if not self._open:
            yield self._root()
        if self._visited and (self.sample.sections or not self.sample.left):
            yield from self._without_a_step()

    def _sections(self) -> Iterator[Timer]:
        for section in reversed(self._open):
            name, in_code_s, _ = section.entry
            yield self._timer(name, self._now_s - section.since_s, in_code_s)

    def _root(self) -> Timer:
        name = self._stage(self.sample)
        if name == INIT and self.has_stepped and TRAIN in self._limits.declared():
            name = TRAIN  # a step that is made again; what a person said of steps holds for it, too
        return self._timer(name, self._stretch_s, None)

    def _timer(self, name: str, quiet_s: float, in_code_s: float | None) -> Timer:
        key = SERIES if self.sample.rank is None and name == TRAIN else name
        limit_s, why = self._limits.of(name, key, self._base(key), in_code_s)
        return Timer(name, quiet_s, limit_s, why)

    def _without_a_step(self) -> Iterator[Timer]:
        root = self._root()
        widest = max(
            (self._timer(name, 0.0, in_code_s) for name, in_code_s in self._visited.items()),
            key=lambda timer: timer.limit_s,
        )
        is_at_the_end = self.sample.total is not None and self.sample.step >= self.sample.total
        visits = VISITS_AT_THE_END if is_at_the_end or self.sample.left else VISITS
        why = f"without a step, {visits} visits of section {widest.section}"
        yield Timer(root.section, self.quiet_s, root.limit_s + visits * widest.limit_s, why)
        why = f"without a step, sections left out: {visits * STRETCHES:.0f} times {root.why}"
        yield Timer(root.section, self._root_s, visits * STRETCHES * root.limit_s, why)


def _stack(sample: Sample) -> tuple[Entry, ...]:
    """A section that is open after the last word is one like any other: an evaluation, a service that waits."""
    return (EXIT_ENTRY,) if sample.left and not sample.sections else sample.sections


def _key(entry: Entry) -> tuple[str, int]:
    return entry[0], entry[2]
