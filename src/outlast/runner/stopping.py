"""What the training was told and by whom, and when patience with a safe stop is over.

A safe stop is a flag on the ranks' pages: they save and leave. TERM goes only to a training that never read the flag,
or that saves no more after the limit; torchrun would kill its ranks in the middle of a save.

Knows wants and their order. Refuses to know processes.
"""

from __future__ import annotations

from outlast.disk.heartbeat import OBEYED
from outlast.runner.growth import EVERY_S, Growth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.runner.ranks import Ranks

RUN, PAUSE, STOP, NOW = "run", "pause", "stop", "stop-now"
NEVER_READ_S = 5.0  # a training that has not looked at its flag for so long does not know it
AGREEMENT_S = 3.0  # for the pages of ranks that are still starting (or live on another node)
EXTENDED_TIMES_MAX = 6  # the limit, while a save still grows
OWN_REASONS = ("stall", "timeout", "nonfinite")  # they say what the end means, whoever hurries it on


class Stopping:
    def __init__(self, limit_s: float, checkpoints: str | None) -> None:
        self.told, self.by = RUN, ""
        self._limit_s, self._since_s = limit_s, 0.0
        self._growth = None if checkpoints is None else Growth(checkpoints, min(EVERY_S, limit_s))
        self._wish = (-1, -1)
        self._stop_at: int | None = None

    @property
    def is_on(self) -> bool:
        return self.told != RUN

    def ask(self, want: str, by: str, now_s: float) -> bool:
        """Something other than a person's wish wants an end. Whether it changes anything."""
        if want == self.told or self.told == NOW or want == RUN:
            return False
        if not self.is_on:
            self._since_s = now_s
        self.told = want
        if not self.by.startswith(OWN_REASONS):
            self.by = by
        return True

    def read_wish(self, wish: dict[str, object], ranks: Ranks, now_s: float) -> bool:
        """Obey the highest (term, request) ever seen. Whether it changes anything."""
        term, request, want = wish.get("term"), wish.get("request"), wish.get("want")
        if not isinstance(term, int) or not isinstance(request, int) or want not in (RUN, PAUSE, STOP, NOW):
            return False
        if (term, request) <= self._wish:
            return False
        self._wish = (term, request)
        if want == RUN:
            return self._take_back(ranks)
        return self.ask(str(want), f"request {request}", now_s)

    def _take_back(self, ranks: Ranks) -> bool:
        """A rank that has obeyed is on its way out; before that a stop on request can be taken back."""
        obeyed = any(beat.flag == OBEYED for beat in ranks.beats)
        if self.told not in (PAUSE, STOP) or not self.by.startswith("request") or obeyed:
            return False
        self.told, self.by, self._stop_at = RUN, "", None
        ranks.tell(None)
        return True

    def is_over(self, ranks: Ranks, steps_per_s: float, now_s: float) -> bool:
        """Tell the ranks (again), and say whether the tree is to be ended now."""
        if self.told == NOW or not ranks.beats:
            return True
        waited_s = now_s - self._since_s
        if self._stop_at is None and (ranks.are_all_here or waited_s > min(AGREEMENT_S, self._limit_s)):
            self._stop_at = ranks.stop_at(steps_per_s)
        if self._stop_at is not None:
            ranks.tell(self._stop_at)
        if not ranks.any_read:
            return waited_s > min(NEVER_READ_S, self._limit_s)
        return waited_s > self._limit_s and not self._still_saves(waited_s, now_s)

    def _still_saves(self, waited_s: float, now_s: float) -> bool:
        if self._growth is None or waited_s > self._limit_s * EXTENDED_TIMES_MAX:
            return False
        return self._growth.is_seen(now_s)

    def close(self) -> None:
        if self._growth is not None:
            self._growth.close()
