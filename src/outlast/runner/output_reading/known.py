"""What was understood of a training's output, and how sure that is.

Knows fields. Refuses to know how they were found.
"""

from __future__ import annotations

NOTHING, GUESS, IDENTIFIED, EXACT = "", "guess", "identified", "exact"


class Known:
    """What was understood. `ticks` rises only when the identified training series advances or a new checkpoint was
    seen; `inner_ticks` when an evaluation's counter does; `bytes_seen` is all output. `unit` says what `step` counts
    where it is no optimizer step. With `unseen_bytes` > 0 more was written since the last tick than could be read: a
    silence is then no proof."""

    __slots__ = (
        "bytes_seen",
        "confidence",
        "epoch",
        "inner_ticks",
        "loss",
        "section",
        "source",
        "step",
        "ticks",
        "total",
        "total_epochs",
        "unit",
        "unseen_bytes",
        "val_loss",
        "values",
    )

    def __init__(self) -> None:
        self.step: int | None = None
        self.total: int | None = None
        self.epoch: float | None = None
        self.total_epochs: int | None = None
        self.loss: float | None = None
        self.val_loss: float | None = None
        self.section = self.source = self.unit = self.confidence = NOTHING
        self.ticks = self.inner_ticks = self.bytes_seen = self.unseen_bytes = 0
        self.values: dict[str, float] = {}
