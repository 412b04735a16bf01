"""Whether a training's losses have ceased to be numbers for good. Pure: what it said of its steps in, a verdict out.

Three losses in a row that are no numbers, once one was; or the Hugging Face Trainer's way of saying so, loss 0 beside a
gradient norm that is NaN, in two of its records (its `logging_nan_inf_filter` leaves NaN losses out of the mean). While
none was a number yet nothing is said: a loss scale is still being found, or a buffer of experience filled. A gradient
alone is no evidence, whatever it is: with a loss scale an infinite one is skipped, and the scale halved. Of an
evaluation nothing is heard here.

Knows losses and gradient norms by step. Refuses to know what is done about it.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LOSS, GRADIENT = "loss", "grad_norm"
IN_A_ROW, PAIRS = 3, 2
KEPT = 64  # steps: what comes later than that came too late
SHOWN = 8


class Row:
    """What was said of one step, or in one record of the log (`step` None: it named none)."""

    __slots__ = ("gradient", "loss", "step")

    def __init__(self, step: int | None) -> None:
        self.step = step
        self.loss: float | None = None
        self.gradient: float | None = None

    @property
    def is_pair(self) -> bool:
        return self.loss == 0 and self.gradient is not None and math.isnan(self.gradient)

    @property
    def is_bad(self) -> bool:
        return self.loss is not None and (not math.isfinite(self.loss) or self.is_pair)


class Found:
    """`step`: the first of those that were bad; None: nobody named it. `rows`: [step, loss, gradient norm]."""

    __slots__ = ("rows", "step", "why")

    def __init__(self, bad: list[Row], rows: list[Row]) -> None:
        self.step = bad[0].step
        self.rows = [[row.step, _said(row.loss), _said(row.gradient)] for row in rows[-SHOWN:]]
        self.why = _why(bad)


class _Series:
    """What one source says, in order."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._newest = -1
        self._had_number = False

    def row(self, key: int, step: int | None) -> Row:
        """Of that step. One far below the newest is of another training, that begins anew."""
        if key < self._newest - KEPT:
            self._rows.clear()
            self._newest = -1
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = Row(step)
            if len(self._rows) > KEPT:
                del self._rows[min(self._rows)]
        self._newest = max(self._newest, key)
        return found

    def found(self) -> Found | None:
        rows = [row for _, row in sorted(self._rows.items()) if row.loss is not None]
        bad: list[Row] = []
        for row in reversed(rows):
            if not row.is_bad:
                break
            bad.insert(0, row)
        self._had_number = self._had_number or len(bad) < len(rows)
        if (self._had_number and len(bad) >= IN_A_ROW) or sum(row.is_pair for row in bad) >= PAIRS:
            return Found(bad, rows)
        return None


class Divergence:
    """`found`: once it is, it stays."""

    def __init__(self) -> None:
        self._pages, self._log = _Series(), _Series()
        self._records = 0
        self.found: Found | None = None

    def hear(self, values: Iterable[tuple[int, str, float]]) -> None:
        """(step, name, value), as the first rank's page says them."""
        is_new = False
        for step, name, value in values:
            if name not in (LOSS, GRADIENT):
                continue
            row, is_new = self._pages.row(step, step), True
            if name == LOSS:
                row.loss = value
            else:
                row.gradient = value
        if is_new and self.found is None:
            self.found = self._pages.found()

    def hear_log(self, losses: Iterable[tuple[int | None, float, float | None]]) -> None:
        """(step, loss, gradient norm), as the log tells them; each counts as the next."""
        for step, loss, gradient in losses:
            self._records += 1
            row = self._log.row(self._records, step)
            row.loss, row.gradient = loss, gradient
            if self.found is None:
                self.found = self._log.found()


def _why(bad: list[Row]) -> str:
    """ "loss nan at steps 13, 14, 15" """
    first = bad[0]
    steps = list(dict.fromkeys(str(row.step) for row in bad[:IN_A_ROW] if row.step is not None))
    where = f" at step{'s' * (len(steps) > 1)} {', '.join(steps)}" if steps else f" in {len(bad)} records"
    if sum(row.is_pair for row in bad) >= PAIRS:
        return f"loss 0 and gradient norm nan{where}: that is how this trainer writes a loss that is NaN"
    return f"loss {_said(first.loss)}{where}"


def _said(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"
