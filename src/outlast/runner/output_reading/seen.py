"""One line, understood: the value that the shapes hand to the series.

Knows fields. Refuses to know where they came from and what they prove.
"""

from __future__ import annotations

from outlast.runner.output_reading.names import UNNAMED

STEP, BATCH, SAMPLE, ROUND = "step", "batch", "sample", "round"
EPOCH, REPORT = "epoch", "report"  # these count no steps
STEPLESS = (EPOCH, REPORT)


class Seen:
    """What one line says. `n` of `total` in `unit`, within `epoch` of `total_epochs` if it says so; a line without
    `n` only carries values. `restarts`: this counter begins anew in every epoch; None: it does not say. `origin`:
    the number of the first epoch, if that is known."""

    __slots__ = (
        "epoch",
        "is_bar",
        "is_nested",
        "is_summary",
        "key",
        "loss",
        "n",
        "origin",
        "restarts",
        "role",
        "section",
        "source",
        "total",
        "total_epochs",
        "unit",
        "val_loss",
        "values",
    )

    def __init__(self, source: str, key: str = "", n: int | None = None, total: int | None = None) -> None:
        self.source, self.key, self.n, self.total = source, key, n, total
        self.unit = STEP
        self.role = UNNAMED
        self.epoch: float | None = None
        self.total_epochs: int | None = None
        self.origin: int | None = None
        self.restarts: bool | None = None
        self.values: dict[str, float] = {}
        self.loss: float | None = None
        self.val_loss: float | None = None
        self.is_bar = self.is_nested = self.is_summary = False
        self.section: str | None = None
