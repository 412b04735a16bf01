"""Which of all that a training's output counts is its progress, and where it stands.

Knows series, evaluations, checkpoints that agree with a counter. Refuses to know time: what moved is a counter
(`ticks`), and how long it may stand still is judged elsewhere. A total that was read here proves no completion.
"""

from __future__ import annotations

from outlast.runner.output_reading.bars import bar_ends
from outlast.runner.output_reading.candidates import Candidates
from outlast.runner.output_reading.known import EXACT, GUESS, IDENTIFIED, NOTHING, Known
from outlast.runner.output_reading.lines import Lines, plain
from outlast.runner.output_reading.losses import LOSSES_MAX, loss_of_a_step
from outlast.runner.output_reading.names import ACTIVITY, EVAL, TRAIN
from outlast.runner.output_reading.records import bare_epoch, total_steps
from outlast.runner.output_reading.seen import BATCH, EPOCH, REPORT, Seen
from outlast.runner.output_reading.series import Series
from outlast.runner.output_reading.shapes import shape_of, understand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from outlast.runner.output_reading.losses import Loss

RECORDS_MAX = 512
VALUES_MAX = 64
EPOCH_PARTS = 10_000  # a position within fractional epochs, as whole numbers
HEADER_MAX = 48
SHAPES_MAX = 4  # of reports
INIT = "init"
CHECKPOINT = "checkpoint"


class OutputReading:
    def __init__(self, position: int = 0) -> None:
        self._lines = Lines(position)
        self._candidates = Candidates()
        self._header: tuple[int, int | None] | None = None  # `Epoch 1/3` on a line of its own
        self._is_header_used = self._is_lightning = False
        self._loss: float | None = None
        self._val_loss: float | None = None
        self._section = NOTHING
        self._values: dict[str, float] = {}
        self._records: dict[int, dict[str, float]] = {}
        self._losses: list[Loss] = []
        self._loss_at: tuple[str, int] | None = None
        self._waiting: dict[str, float] = {}  # values of where this bar stands when it next speaks:
        self._waiting_for: Series | None = None
        self._declared_total: int | None = None
        self._checkpoint: int | None = None
        self._steps_per_epoch: float | None = None
        self._checkpoints = self._inner_ticks = 0
        self._inner_at: tuple[str, int] | None = None
        self._raw = b""  # the line that is heard
        self._report_losses: dict[str, float | None] = {}  # of each shape of report the last
        self._bytes = self._unseen = self._unseen_at_tick = self._ticks_seen = 0

    # --- what it is given -----------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The offset of the next byte that is wanted."""
        return self._lines.position

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the output, cut anywhere."""
        self._bytes += len(chunk)
        for raw in self._lines.feed(chunk):
            self._read(raw)
            self._note_ticks()

    def skip(self, count: int) -> None:
        """So many bytes were written that nobody reads."""
        self._bytes += count
        self._unseen += count
        self._lines.skip(count)

    def start_over(self) -> None:
        """The file was emptied: what comes next stands at its beginning."""
        self._lines = Lines()

    def tell_checkpoint(self, step: int) -> None:
        """A checkpoint of that step is there."""
        if self._checkpoint is not None and step <= self._checkpoint:
            return
        self._checkpoint = step
        self._checkpoints += 1
        self._candidates.tick()
        self._candidates.agree(step)
        self._note_ticks()

    def tell_trainer_state(self, state: Mapping[str, Any]) -> None:
        """The Hugging Face Trainer's own `trainer_state.json`."""
        step, whole, epoch = state.get("global_step"), state.get("max_steps"), state.get("epoch")
        if isinstance(step, int) and isinstance(epoch, (int, float)) and step > 0 and epoch > 0:
            self._steps_per_epoch = step / epoch
        if isinstance(whole, int) and whole > 0:
            self._declared_total = whole
            self._candidates.agree_on_total(whole)
        if isinstance(step, int):
            self.tell_checkpoint(step)

    @property
    def counters(self) -> Iterable[Series]:
        return self._candidates

    # --- what it knows --------------------------------------------------------------------------------------

    def known(self) -> Known:
        known = Known()
        known.bytes_seen = self._bytes
        known.loss, known.val_loss = self._loss, self._val_loss
        known.values = dict(self._values)
        known.section = self._section
        known.ticks, known.inner_ticks = self._candidates.ticks, self._inner_ticks
        known.unseen_bytes = self._unseen - self._unseen_at_tick
        series = self._candidates.main
        if series is None or not series.is_identified:
            series = self._candidates.best_guess()
        if series is not None:
            self._show(series, known)
        if series is None and self._checkpoint is not None:
            known.step, known.source = self._checkpoint, CHECKPOINT
            known.confidence = EXACT if self._checkpoints > 1 else GUESS  # one may be of step 0
        if known.total is None and known.unit == "step":
            known.total = self._declared_total
        return known

    def take_records(self) -> list[tuple[int, dict[str, float]]]:
        """Values by step since the last call, the newest few hundred."""
        taken, self._records = self._records, {}
        return list(taken.items())

    def take_losses(self) -> list[Loss]:
        """Of single steps since the last call, the newest few hundred in order."""
        taken, self._losses = self._losses, []
        return taken

    def _show(self, series: Series, known: Known) -> None:
        series = self._with_open_line(series, known)
        known.step, known.total = series.steps(), series.whole()
        if known.step is None and series.source == "hf-trainer" and self._steps_per_epoch is not None:
            known.step = round(series.position / EPOCH_PARTS * self._steps_per_epoch)
            known.total = self._declared_total
        known.epoch, known.total_epochs = self._epoch_of(series)
        known.source, known.unit = series.source, series.unit
        known.confidence = GUESS
        if series.is_identified:
            known.confidence = EXACT if series.matches > 1 else IDENTIFIED

    def _epoch_of(self, series: Series) -> tuple[float | None, int | None]:
        epoch, whole = series.epoch, series.epoch_total
        if series.unit == EPOCH and series.source != "hf-trainer":
            return float(series.n), series.total
        if epoch is None and series.laps:
            return float(series.laps + 1), whole
        others = [other for other in self._candidates if other.unit == EPOCH and other.position >= 0]
        if epoch is None and others:
            other = others[-1]
            if other.source == "hf-trainer":
                return other.position / EPOCH_PARTS, whole
            return float(other.n), other.total
        return epoch, whole

    def _with_open_line(self, series: Series, known: Known) -> Series:
        """The bar on the last line, which has no end yet: tqdm ends each only when it draws the next."""
        text = plain(self._lines.open)
        if not series.is_bar or not bar_ends(text):
            return series
        for seen in understand(self._lines.open):
            self._adjust(seen)
            if seen.is_bar and seen.n is not None and self._candidates.of(seen) is series:
                copy = series.copy()
                if copy.observe(seen):
                    known.ticks += series is self._candidates.main and series.is_identified
                    if seen.loss is not None:
                        known.loss = seen.loss
                    known.values.update(seen.values)
                    return copy
        return series

    # --- lines ----------------------------------------------------------------------------------------------

    def _read(self, raw: bytes) -> None:
        if len(raw) <= HEADER_MAX and b"poch" in raw:
            header = bare_epoch(plain(raw))
            if header is not None:
                self._header, self._is_header_used = header, False
        declared = total_steps(raw)
        if declared is not None:
            self._declared_total = declared
            return
        self._raw = raw
        for seen in understand(raw):
            self._adjust(seen)
            self._hear(seen)

    def _adjust(self, seen: Seen) -> None:
        """What a line means after the lines before it."""
        if seen.source == "lightning":
            self._is_lightning = True
        if self._is_lightning and seen.is_bar and seen.epoch is not None:
            seen.source, seen.unit = "lightning", BATCH
            seen.origin = 0
        if seen.source == "keras" and self._header is not None:
            if self._is_header_used and not self._is_same_epoch(seen):
                seen.role, seen.val_loss = EVAL, seen.loss
                return
            seen.role = TRAIN
            seen.epoch, seen.total_epochs = float(self._header[0]), self._header[1]

    def _is_same_epoch(self, seen: Seen) -> bool:
        """Keras draws a finished epoch once more; what begins anew under the same header is an evaluation."""
        series = self._candidates.get("keras")
        return series is not None and seen.total == series.total and seen.n == series.total

    def _hear(self, seen: Seen) -> None:
        if seen.section is not None:
            self._section = seen.section
            return
        if seen.is_bar and (seen.role == EVAL or (seen.role == ACTIVITY and seen.loss is None)):
            self._candidates.hear_of_other_bar(seen)
        if seen.role == EVAL:
            self._hear_of_evaluation(seen)
        elif seen.role == ACTIVITY and seen.loss is None:
            if not self._candidates.ticks:
                self._section = INIT
        elif seen.n is None:
            self._hear_values(seen)
        else:
            self._hear_counter(seen)

    def _hear_of_evaluation(self, seen: Seen) -> None:
        is_running = seen.n is not None and (seen.total is None or seen.n < seen.total)
        self._section = EVAL if is_running and (seen.is_bar or seen.total is not None) else NOTHING
        self._note_inner(seen)
        if seen.val_loss is not None:
            self._val_loss = seen.val_loss
        self._note(seen)
        if seen.values and not seen.is_bar:
            self._record(self._candidates.main, self._values_of(seen))

    def _note_inner(self, seen: Seen) -> None:
        """An evaluation is somewhere; if that is somewhere else than before, it moves."""
        if seen.n is not None and (at := (seen.key, seen.n)) != self._inner_at:
            self._inner_at = at
            self._inner_ticks += 1

    def _hear_values(self, seen: Seen) -> None:
        """Values without a counter belong to the counter that was last heard of."""
        if seen.is_summary:
            return
        self._note(seen)
        series = self._candidates.awaiting_loss()
        self._note_loss(seen, series)
        if seen.source == "hf-trainer" and seen.epoch is not None:
            self._hear_epoch_part(seen)
        if seen.loss is not None:
            self._loss = seen.loss
            if series is not None:
                self._candidates.give_loss(series, seen.source)
            elif seen.source != "hf-trainer" and seen.epoch is None:
                self._hear_report(seen)
        if series is None or not series.is_bar:
            self._record(series or self._candidates.main, self._values_of(seen))
        else:
            self._flush()
            self._waiting, self._waiting_for = self._values_of(seen), series

    def _hear_epoch_part(self, seen: Seen) -> None:
        part = Seen("hf-trainer", "hf-trainer", round((seen.epoch or 0.0) * EPOCH_PARTS))
        part.unit, part.loss, part.restarts = EPOCH, seen.loss, False
        self._candidates.hear(part)

    def _hear_report(self, seen: Seen) -> None:
        """Losses, and nothing else: that they come is all that is known, and each text is a series of its own. Where
        there are several, one that says the same again (`worker alive; last loss: 0.5`) says nothing."""
        key = self._key_of_report()
        before = self._candidates.get(key)
        is_said_again = (
            before is not None and len(self._report_losses) > 1 and self._report_losses[key] == seen.loss
        )
        self._report_losses[key] = seen.loss
        if is_said_again:
            return
        report = Seen(seen.source, key, before.n + 1 if before is not None else 1)
        report.unit, report.loss, report.restarts = REPORT, seen.loss, False
        self._candidates.hear(report)

    def _key_of_report(self) -> str:
        """The beginning of the line without its numbers. Where everything is a new text, texts tell nothing apart."""
        known = self._report_losses
        key = f"reports {shape_of(self._raw)}"
        return key if key in known or len(known) < SHAPES_MAX else next(iter(known))

    def _hear_counter(self, seen: Seen) -> None:
        series, advanced = self._candidates.hear(seen)
        if advanced:
            self._note_loss(seen, series)
            self._section = EVAL if series.is_inner and not series.is_finished else NOTHING
        if seen.source == "keras" and seen.n == seen.total:
            self._is_header_used = True
        if seen.loss is not None:
            self._loss = seen.loss
        if seen.val_loss is not None:
            self._val_loss = seen.val_loss
        self._note(seen)
        if series.is_inner:
            self._note_inner(seen)
            return
        if series is self._waiting_for:
            self._flush()
        if seen.values and (seen.loss is not None or seen.val_loss is not None):
            self._record(series, self._values_of(seen))

    def _note_ticks(self) -> None:
        """Progress was seen: what was not seen before it no longer matters."""
        if self._candidates.ticks != self._ticks_seen:
            self._ticks_seen, self._unseen_at_tick = self._candidates.ticks, self._unseen

    # --- values ---------------------------------------------------------------------------------------------

    def _note(self, seen: Seen) -> None:
        for name, value in seen.values.items():
            if name in self._values or len(self._values) < VALUES_MAX:
                self._values[name] = value

    def _note_loss(self, seen: Seen, series: Series | None) -> None:
        """Of one place of a counter once, however often it is printed; each record of the Trainer is another."""
        found = loss_of_a_step(seen, series)
        at = None if series is None or seen.source == "hf-trainer" else (series.source, series.position)
        if found is not None and (at is None or at != self._loss_at):
            self._loss_at = at
            self._losses.append(found)
            del self._losses[:-LOSSES_MAX]

    def _values_of(self, seen: Seen) -> dict[str, float]:
        values = dict(seen.values)
        if seen.loss is not None:
            values["loss"] = seen.loss
        return values

    def _flush(self) -> None:
        self._record(self._waiting_for, self._waiting)
        self._waiting, self._waiting_for = {}, None

    def _record(self, series: Series | None, values: dict[str, float]) -> None:
        if not values:
            return
        main = self._candidates.main
        step = series.steps() if series is not None else None
        if step is None and main is not None:
            step = main.steps()
        if step is None:
            return
        at = self._records.get(step)
        if at is not None:
            at.update(values)
            return
        if len(self._records) >= RECORDS_MAX:
            del self._records[next(iter(self._records))]
        self._records[step] = dict(values)
