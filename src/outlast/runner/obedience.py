"""Whether a training went on from where it was told to, or began anew. Pure: steps in, a verdict out.

Two proofs, and no guess: the number of the first step that it reported itself, and a checkpoint that it made and that
was verified. What an output says is none: a bar that counts what is left rightly begins at 0. A training that goes on
from a little earlier (the beginning of the epoch, an older checkpoint) is let go on, and that is noted; one that began
anew would overwrite what it had.

Knows steps. Refuses to know what is done about it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

AFRESH_FIRST = 10  # a tenth of the way, or the first step: that is no beginning of an epoch
AFRESH_SAVED = 2  # half of the way: who began anew saves at every k-th step again


class Obedience:
    """`resumed_step`: where it was told to go on from; None: it was not. `found`: why it did not; `note`: that it went
    on from earlier."""

    def __init__(self, resumed_step: int | None) -> None:
        self._told = resumed_step or 0
        self._first: int | None = None
        self.found = self.note = ""

    def hear_first(self, step: int | None) -> None:
        """By its own number. Only the first that is heard counts: a process may train twice."""
        if step is None or self._first is not None or not self._told:
            return
        self._first = step
        if step <= min(self._told - 1, max(1, self._told // AFRESH_FIRST)):
            self.found = f"its first step was {step}, and it was told to go on from step {self._told}"
        elif step < self._told:
            self.note = f"it went on from step {step}, earlier than step {self._told} as it was told"

    def hear_saved(self, steps: Iterable[int]) -> None:
        """Checkpoints that this attempt has made, and that are whole. Of one that reported its own first step they
        prove nothing."""
        if self._first is not None:
            return
        early = min(steps, default=self._told)
        if early < self._told and early <= self._told // AFRESH_SAVED and not self.found:
            self.found = f"it saved step {early}, and it was told to go on from step {self._told}"
