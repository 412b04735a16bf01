"""The verdict on a training that does not go on: for how long, where, and which limit that is over.

Knows words. Refuses to know how it was found.
"""

from __future__ import annotations


class Stall:
    """No progress for `quiet_s`, more than `limit_s`, in `section`; `why`: where that limit comes from; `rank` None:
    not known, or there is only one. `key` is the name under which the limit is kept."""

    def __init__(
        self,
        quiet_s: float,
        limit_s: float,
        section: str,
        *,
        why: str = "",
        rank: int | None = None,
        key: str = "",
    ) -> None:
        self.quiet_s, self.limit_s, self.section = quiet_s, limit_s, section
        self.why, self.rank, self.key = why, rank, key or section

    def __str__(self) -> str:
        """The section stands last: who reads the record of an end finds it there."""
        limit = " ".join(word for word in (f"limit {_short(self.limit_s)} s", self.why) if word)
        rank = "" if self.rank is None else f", rank {self.rank}"
        where = f", section {self.section}" if self.section else ""
        return f"stall: no progress for {self.quiet_s:.0f} s ({limit}{rank}{where})"


def _short(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds >= 10 or seconds == int(seconds) else f"{seconds:g}"
