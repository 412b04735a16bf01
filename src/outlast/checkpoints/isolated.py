"""A format whose inspections happen in children: a hostile file ends its child, and is unsure.

Knows which part of a format reads what a checkpoint says. Refuses to know formats. What `find` has to look into, each
format looks into by `parts/apart` itself: one file that ends its reader hides no other.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from outlast.checkpoints.parts import apart
from outlast.checkpoints.parts.one_file import FINITE
from outlast.facts import Candidate, Unsure, Verdict
from outlast.seams import CheckpointFormat

GRACE_S = 5.0  # who reads on until its time is over says so itself, with what it knows by then


class Isolated:
    def __init__(self, format_: CheckpointFormat) -> None:
        self.format, self.name = format_, format_.name

    def find(self, root: Path, limit: int) -> Sequence[Candidate]:
        return self.format.find(root, limit)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        (verdict,) = verdicts([(candidate, self)], level, within_s)
        return verdict


def verdicts(
    found: Sequence[tuple[Candidate, CheckpointFormat]], level: int, within_s: float
) -> Iterator[Verdict]:
    """Of each in its time, in one child as long as it lives: a process for each of a thousand would cost seconds."""
    if level >= FINITE:
        import numpy as np  # noqa: F401 - once here, and not in each child

    def inspected(pair: tuple[Candidate, CheckpointFormat]) -> Verdict:
        candidate, format_ = pair
        return (format_.format if isinstance(format_, Isolated) else format_).inspect(
            candidate, level, within_s
        )

    for answer in apart.each(inspected, found, max(0.0, within_s) + GRACE_S, Verdict):
        yield Unsure((answer.why,)) if isinstance(answer, apart.Died) else answer.value
