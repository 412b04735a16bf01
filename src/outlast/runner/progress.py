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

    from outlast.disk.heartbeat import Beat
    from outlast.disk.layout import AttemptFolder
    from outlast.runner.patience import Stall
    from outlast.runner.signs import Signs

SCHEMA = 1
WINDOW = 30  # samples of the rate, a second apart or more
SDK, NONE, EXACT = "sdk", "none", "exact"
DATA = "data"
FIELDS = ("step", "total", "first_step", "epoch", "total_epochs", "loss", "val_loss", "rate", "eta_s")


class Progress:
    def __init__(self, folder: AttemptFolder, target_step: int | None) -> None:
        self._path, self._target = folder.progress, target_step
        self._samples: list[tuple[float, int]] = []
        self._counts: tuple[object, object] = ("", "")
        self._written: dict[str, Any] = {}

    def rate(self) -> float | None:
        """Steps per second over the last half minute or so in which there were any."""
        if len(self._samples) < 2:
            return None
        (then_s, before), (now_s, step) = self._samples[0], self._samples[-1]
        return (step - before) / (now_s - then_s) if now_s > then_s else None

    def publish(
        self,
        signs: Signs,
        now_s: float,
        *,
        elapsed_s: float,
        since_progress_s: float,
        nearest: Stall | None,
        note: str,
    ) -> None:
        """`nearest`: the limit that is nearest to be reached."""
        shown = self._shown(signs, now_s)
        shown |= {"log_bytes": signs.log_bytes, "note": note}
        shown |= _limit(nearest)
        if shown == self._written:
            return
        record = {
            "schema": SCHEMA,
            "at": moment(),
            **shown,
            "elapsed_s": round(elapsed_s, 3),
            "last_progress_s": round(since_progress_s, 3),
            "quiet_s": round(nearest.quiet_s, 3) if nearest else None,  # of the one with that limit
        }
        try:
            files.replace(self._path, record, durable=False)
        except WorldError:
            return  # a full disk: it only informs, and the next second tries again
        self._written = shown

    def _shown(self, signs: Signs, now_s: float) -> dict[str, Any]:
        beats = signs.ranks.beats
        shown: dict[str, Any] = dict.fromkeys(FIELDS)
        shown |= {"section": "", "ranks": len(beats), "beats": sum(beat.seq for beat in beats)}
        first = signs.ranks.first
        if first is not None and (signs.pages_speak or not signs.known.source):
            shown |= self._of_the_sdk(first)
        else:
            shown |= self._of_the_output(signs)
        if (shown["source"], shown.get("unit")) != self._counts:
            self._counts = (shown["source"], shown.get("unit"))
            self._samples.clear()  # another count than before
        self._add_pace(shown, now_s)
        return shown

    def _of_the_sdk(self, first: Beat) -> dict[str, Any]:
        return {
            "step": first.step,
            "total": first.total if first.total is not None else self._target,
            "first_step": first.first_step,
            "loss": first.loss,
            "section": section_of(first),
            "source": SDK,
            "confidence": EXACT,
        }

    def _of_the_output(self, signs: Signs) -> dict[str, Any]:
        known = signs.known
        is_step = known.unit in ("", "step")
        return {
            "step": known.step,
            "total": known.total if known.total is not None or not is_step else self._target,
            "epoch": known.epoch,
            "total_epochs": known.total_epochs,
            "loss": known.loss,
            "val_loss": known.val_loss,
            "section": known.section,
            "source": known.source or NONE,
            "confidence": known.confidence or None,
            "unit": known.unit,
        }

    def _add_pace(self, shown: dict[str, Any], now_s: float) -> None:
        step, total = shown["step"], shown["total"]
        if step is None:
            return
        self._sample(now_s, step)
        shown["rate"] = rate = self.rate()
        if total is not None and rate:
            shown["eta_s"] = round(max(0.0, (total - step) / rate), 1)

    def _sample(self, now_s: float, step: int) -> None:
        if self._samples and step < self._samples[-1][1]:
            self._samples.clear()  # it began anew
        if self._samples and step == self._samples[-1][1]:
            return
        self._samples.append((now_s, step))
        del self._samples[:-WINDOW]


def _limit(nearest: Stall | None) -> dict[str, Any]:
    if nearest is None:
        return {"limit_s": None, "limit_why": "", "limit_section": "", "limit_rank": None}
    return {
        "limit_s": nearest.limit_s,
        "limit_why": nearest.why,
        "limit_section": nearest.section,
        "limit_rank": nearest.rank,
    }


def section_of(beat: Beat) -> str:
    """The innermost that is open; waiting for data is one."""
    if beat.in_data:
        return DATA
    return beat.sections[-1][0] if beat.sections else ""
