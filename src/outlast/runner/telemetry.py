"""Whether the pages still speak for the training: a callback that is called no more leaves a page that stands still
while the training goes on. Pages that stand, all of them, and steps in the log that go on, are no hang: from then on
the log has the word, until a page moves again.

Pure: samples and steps in. Knows when each moved last. Refuses to judge how long anything may take.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outlast.runner.rank_clock import Sample

MOVES_LEAST = 3  # looks at which the log had gone on: fewer may be what stood in a buffer
MOVES_OF_A_SLOW_LOG = 2  # if the last of them is no older than the log's own rhythm wants it
RHYTHM, INTERVALS_KEPT = 1.5, 16


class Telemetry:
    """`speak` at each look; `doubt` before a silence of pages is called a hang. Times in seconds that count."""

    def __init__(self) -> None:
        self.is_lost = False
        self._stands: Mapping[int | None, tuple[object, ...]] = {}
        self._stands_since_s = self._went_on_at_s = 0.0
        self._series: int | None = None
        self._moves = 0  # of the log, since the pages stand
        self._intervals_s: list[float] = []

    def speak(self, at_s: float, pages: Sequence[Sample], series: int | None) -> Sequence[Sample]:
        """Those of `pages` that have the word. Of a lost one the last word is heard, for its own end has a limit."""
        stands = {page.rank: (page.step, page.stage, page.sections) for page in pages}
        if any(self._stands.get(rank) != standing for rank, standing in stands.items()):
            self.is_lost = False
            self._stands_since_s, self._moves = at_s, 0
        elif series is not None and self._series is not None and series > self._series:
            self._moves += 1
        self._stands = stands
        if series is not None and self._series is not None and series > self._series:
            self._intervals_s = [*self._intervals_s[1 - INTERVALS_KEPT :], at_s - self._went_on_at_s]
            self._went_on_at_s = at_s
        self._series = series
        return () if self.is_lost and not all(page.left for page in pages) else pages

    def doubt(self, at_s: float) -> bool:
        """Whether the log went on while all pages stood, and still does: more lately than half as long ago as the
        pages stand, or in its own rhythm. Then they have lost the word."""
        quiet_s = at_s - self._went_on_at_s
        is_late = quiet_s < (at_s - self._stands_since_s) / 2
        rhythm_s = sorted(self._intervals_s)[len(self._intervals_s) // 2] if self._intervals_s else 0.0
        is_slow = self._moves >= MOVES_OF_A_SLOW_LOG and quiet_s <= RHYTHM * rhythm_s
        self.is_lost = (self._moves >= MOVES_LEAST and is_late) or is_slow
        return self.is_lost

    def end(self) -> None:
        """The training is over: whether the log had gone on without the pages, however long that was."""
        self.is_lost = self.is_lost or (bool(self._stands) and self._moves >= MOVES_LEAST)

    def note(self, at_s: float) -> str:
        """In words; "": nothing is wrong."""
        if not self.is_lost:
            return ""
        minutes = (at_s - self._stands_since_s) / 60
        return f"no telemetry: no page has moved for {minutes:.0f} min, but the steps in the log went on: they count"
