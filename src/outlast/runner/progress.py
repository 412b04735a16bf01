"""progress.json: what screens show of a living training. Derived; at most once a second, and only when it changed.

Knows steps, rates, sizes. Refuses to judge them.
"""

from __future__ import annotations

from outlast.disk import files
from outlast.disk.clock import moment
from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.disk.layout import AttemptFolder
    from outlast.runner.ranks import Ranks

SCHEMA = 1
WINDOW = 30  # samples of the rate, a second apart or more


class Progress:
    def __init__(self, folder: AttemptFolder, target_step: int | None) -> None:
        self._path, self._target = folder.progress, target_step
        self._samples: list[tuple[float, int]] = []
        self._written: dict[str, Any] = {}

    def rate(self) -> float | None:
        """Steps per second over the last half minute or so in which there were any."""
        if len(self._samples) < 2:
            return None
        (then_s, before), (now_s, step) = self._samples[0], self._samples[-1]
        return (step - before) / (now_s - then_s) if now_s > then_s else None

    def publish(
        self,
        ranks: Ranks,
        now_s: float,
        *,
        elapsed_s: float,
        since_progress_s: float,
        log_bytes: int,
        note: str,
    ) -> None:
        shown = self._shown(ranks, now_s, log_bytes, note)
        if shown == self._written:
            return
        record = {
            "schema": SCHEMA,
            "at": moment(),
            **shown,
            "elapsed_s": round(elapsed_s, 3),
            "last_progress_s": round(since_progress_s, 3),
        }
        try:
            files.replace(self._path, record, durable=False)
        except WorldError:
            return  # a full disk: it only informs, and the next second tries again
        self._written = shown

    def _shown(self, ranks: Ranks, now_s: float, log_bytes: int, note: str) -> dict[str, Any]:
        shown: dict[str, Any] = dict.fromkeys(
            ("step", "total", "first_step", "loss", "rate", "eta_s", "epoch")
        )
        shown |= {"section": "", "ranks": len(ranks.beats), "beats": 0, "source": "none"}
        shown |= {"log_bytes": log_bytes, "note": note}
        first = ranks.first
        if first is None:
            shown["total"] = self._target
            return shown
        self._sample(now_s, first.step)
        total = first.total if first.total is not None else self._target
        rate = self.rate()
        shown |= {
            "step": first.step,
            "total": total,
            "first_step": first.first_step,
            "loss": first.loss,
            "rate": rate,
            "section": section_name(first.section),
            "beats": sum(beat.seq for beat in ranks.beats),
            "source": "sdk",
        }
        if total is not None and rate:
            shown["eta_s"] = round(max(0.0, (total - first.step) / rate), 1)
        return shown

    def _sample(self, now_s: float, step: int) -> None:
        if self._samples and step < self._samples[-1][1]:
            self._samples.clear()  # it began anew
        if self._samples and step == self._samples[-1][1]:
            return
        self._samples.append((now_s, step))
        del self._samples[:-WINDOW]


def section_name(number: int) -> str:
    return "" if number <= 0 else f"section {number}"
