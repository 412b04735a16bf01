"""Whether a run whose losses or weights ceased to be numbers may be rolled back once more.

Once per stretch of steps: the checkpoint before it was finite, and may be lucky with other data or another order. What
goes bad again where it went bad before would go on doing so. Refuses to know which checkpoint that is.
"""

from collections.abc import Iterable

from outlast.decide.case import NONFINITE_LOSS
from outlast.facts import Cause, Ended, Ending

SAME_STEPS = 20  # so near, it is the same place, however little it was rolled back


def in_vain(ends: Iterable[Ended], ending: Ending) -> Cause | None:
    """Why the run is over after this ending, of that cause; None: it may be rolled back. `ends`: those before it."""
    before = [ended for ended in ends if ended.cause.name == NONFINITE_LOSS]
    again = [ended.n for ended in before if is_same_stretch(ended.ending, ending)]
    if not again:
        return None
    step = bad_step(ending)
    where = "" if step is None else f" near step {step}"
    why = f"diverged again{where}, as in attempt {', '.join(map(str, again))}: rolled back in vain"
    return Cause(NONFINITE_LOSS, restart="never", why=why)


def is_same_stretch(before: Ending, now: Ending) -> bool:
    """Whether it came no further beyond the place where it went bad than it had been rolled back. Of what is not known
    the same is assumed."""
    then, again = bad_step(before), bad_step(now)
    if then is None or again is None:
        return True
    return again - then <= max(SAME_STEPS, then - (now.resumed_step or 0))


def bad_step(ending: Ending) -> int | None:
    """The first that is known to be bad."""
    if ending.nonfinite_step is not None:
        return ending.nonfinite_step
    return ending.final.step if ending.final is not None else None
