"""A named stretch of the training with a hang limit of its own.

Knows how a limit is written. Refuses to measure: the time is taken by whoever looks.
"""

from __future__ import annotations

import math

from outlast.disk.page import SECTION_NAME_MAX
from outlast.sdk.numbers import number
from outlast.sdk.own_page import say_once
from outlast.sdk.writing import cut

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from types import TracebackType

    from outlast.sdk.on_page import OnPage

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_entered = 0


class Section:
    """Entered and left as a context; each time anew. A name of more than 31 bytes is shown by its beginning."""

    __slots__ = ("_run", "limit_s", "name", "serial")

    def __init__(self, run: OnPage, name: object, limit: object) -> None:
        self._run = run
        self.name = cut(name if isinstance(name, str) else "section", SECTION_NAME_MAX)
        self.limit_s = None if limit is None else seconds(limit)
        self.serial = 0
        if limit is not None and self.limit_s is None:
            given = repr(limit) if isinstance(limit, (str, int, float)) else type(limit).__name__
            say_once(f"limit {given} of a section is not a duration: write 90s, 30m, 1h30m or seconds")

    def __enter__(self) -> Section:
        global _entered
        _entered += 1
        self.serial = _entered
        self._run.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run.leave(self)


def seconds(limit: object) -> float | None:
    """30, "90", "90s", "30m", "1h30m", "2d"; None if it is none of these, or not above zero."""
    found = _written(limit.strip().lower()) if isinstance(limit, str) else number(limit)
    return found if found is not None and found > 0 and math.isfinite(found) else None


def _written(text: str) -> float | None:
    total, digits = 0.0, ""
    for letter in text if not text or text[-1] in _UNITS_S else text + "s":
        if letter not in _UNITS_S:
            digits += letter
            continue
        try:
            total += float(digits) * _UNITS_S[letter]
        except ValueError:
            return None
        digits = ""
    return total
