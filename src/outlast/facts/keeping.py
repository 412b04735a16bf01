"""Which checkpoints are kept, as a person wishes it."""

from outlast.facts.fact import Fact


class Retention(Fact):
    """What one rule keeps is kept, and of what is not verified nothing is deleted. `best`: the name of a metric; at
    every instant at least `least` verified ones exist. Seconds."""

    last: int | None = None
    every: int | None = None
    best: str = ""
    best_is_max: bool = False
    younger_s: float | None = None
    least: int = 2


class Pins(Fact):
    """The newest verified checkpoint has a second copy, so that nobody's rotation takes it. `copy_max`: bytes that may
    be copied where the file system can neither clone nor link; `wanted` False: no copies at all."""

    wanted: bool = True
    copy_max: int = 5 * 10**9
