"""Whether the pages still speak for the training: a callback that is called no more leaves a page that stands still
while the training goes on. Pages that stand, all of them, and steps in the log that go on, are no hang: from then on
the log has the word, until a page moves again.

Pure: samples and steps in. Knows when each moved last. Refuses to judge how long anything may take.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.runner.rank_clock import Sample

MOVES_LEAST = 3  # looks at which the log had gone on: fewer may be what stood in a buffer


class Telemetry:
    """`speak` at each look; `doubt` before a silence of pages is called a hang. Times in seconds that count."""

    def __init__(self) -> None:
        self.is_lost = False
        self._stands: Sequence[tuple[object, ...]] = ()
        self._stands_since_s = self._went_on_at_s = 0.0
        self._series: int | None = None
        self._moves = 0

    def speak(self, at_s: float, pages: Sequence[Sample], series: int | None) -> Sequence[Sample]:
        """Those of `pages` that have the word."""
        stands = [
            (page.rank, page.step, page.stage, page.sections) for page in pages
        ]  # a last word moves nothing
        if stands != self._stands:
            self._stands, self.is_lost = stands, False
            self._stands_since_s, self._moves = at_s, 0
        elif series is not None and self._series is not None and series > self._series:
            self._moves += 1
            self._went_on_at_s = at_s
        self._series = series
        return () if self.is_lost else pages

    def doubt(self, at_s: float) -> bool:
        """Whether the log went on while all pages stood, and still does: more lately than half as long ago as the
        pages stand. Then they have lost the word."""
        stands_s = at_s - self._stands_since_s
        self.is_lost = self._moves >= MOVES_LEAST and at_s - self._went_on_at_s < stands_s / 2
        return self.is_lost

    def note(self, at_s: float) -> str:
        """In words; "": nothing is wrong."""
        if not self.is_lost:
            return ""
        since_s = at_s - self._stands_since_s
        return f"no telemetry: no page has moved for {since_s / 60:.0f} min, but the steps in the log go on: they count"
