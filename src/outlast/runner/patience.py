"""How long a training may stand still. Pure: samples in, a verdict out, no clock and no file.

What is given back: time in which the watcher itself was not scheduled, and time in which the training was stopped
(state T). Neither says anything about the training.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

POLL_S = 1.0
TRAIN = "train"  # the section of a training that names none
GAP_POLLS = 2  # a watcher that looks again only after more than so many polls was not watching


class Stall:
    """No progress for `quiet_s`, more than `limit_s`."""

    def __init__(self, quiet_s: float, limit_s: float, section: str) -> None:
        self.quiet_s, self.limit_s, self.section = quiet_s, limit_s, section

    def __str__(self) -> str:
        where = f", section {self.section}" if self.section else ""
        return f"stall: no progress for {self.quiet_s:.0f} s (limit {_short(self.limit_s)} s{where})"


class Patience:
    """`limits` are pairs (section, seconds); section "" is the limit of every section without one of its own.
    Without a limit nothing ever stalls."""

    def __init__(self, limits: Iterable[tuple[str, float]], now_s: float) -> None:
        self._limits = {section: float(limit) for section, limit in limits}
        self._progress_at_s = self._looked_at_s = now_s
        self._given_back_s = 0.0

    def look(self, now_s: float, *, progressed: bool, stopped: bool, section: str = "") -> Stall | None:
        """One sample: whether anything moved since the one before, and whether the training is stopped now."""
        gap_s = now_s - self._looked_at_s
        self._looked_at_s = now_s
        if progressed:
            self._progress_at_s, self._given_back_s = now_s, 0.0
            return None
        if stopped:
            self._given_back_s += gap_s
        elif gap_s > GAP_POLLS * POLL_S:
            self._given_back_s += gap_s - POLL_S
        limit_s = self._limits.get(section or TRAIN, self._limits.get(""))
        quiet_s = self.quiet_s(now_s)
        if limit_s is None or quiet_s <= limit_s:
            return None
        return Stall(quiet_s, limit_s, section)

    def quiet_s(self, now_s: float) -> float:
        """Time without progress that counts."""
        return max(0.0, now_s - self._progress_at_s - self._given_back_s)

    def since_progress_s(self, now_s: float) -> float:
        """The same as everybody's clock shows it."""
        return max(0.0, now_s - self._progress_at_s)


def _short(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 or seconds == int(seconds) else f"{seconds:g}"
