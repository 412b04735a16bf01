"""Signs of progress: the pages of the ranks; else what the output says, and checkpoints that appear. All of it is read
here, once a second, and kept for the screens (`progress`), the metrics and the judgement (`patience`).

Knows where each lies and how much of it is read at one look. Refuses to judge a silence.
"""

from __future__ import annotations

import time

from outlast.runner.checkpoint_steps import CheckpointSteps
from outlast.runner.divergence import Divergence
from outlast.runner.output_reading import OutputReading, follow
from outlast.runner.patience import Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from outlast.disk.heartbeat import Beat
    from outlast.runner.metrics import Metrics
    from outlast.runner.obedience import Obedience
    from outlast.runner.output import Output
    from outlast.runner.output_reading import Known
    from outlast.runner.ranks import Ranks
    from outlast.runner.saves import Saves

TAKEOVER_BYTES = 1 << 20  # a runner that replaces a dead one reads on from here before the end
LEFT = ("stopped", "done", "do-not-restart", "left")
DATA, INIT, FIRST_STEP, TRAIN = "data", "init", "first step", "train"
TRUSTED = ("identified", "exact")


class Signs:
    """`checkpoints`: where the training saves, "" if nobody said. `awaits_pages` False: pages have no folder, or may
    have been there before we looked."""

    def __init__(
        self,
        ranks: Ranks,
        output: Output,
        metrics: Metrics,
        checkpoints: str,
        saves: Saves,
        obedience: Obedience,
        *,
        awaits_pages: bool = True,
    ) -> None:
        self.awaits_pages = awaits_pages
        self.ranks, self.output, self._metrics = ranks, output, metrics
        self._reading = OutputReading(max(0, output.size() - TAKEOVER_BYTES))
        self._checkpoints, self.saves = CheckpointSteps(checkpoints), saves
        self.divergence, self.obedience = Divergence(), obedience
        self.log_bytes = output.size()
        self.has_telemetry = True  # not: pages stand still while the log tells of steps
        self.moved = self.grew = False  # since the look before: a rank; the output
        self.known: Known = self._reading.known()
        self._said_saved: list[tuple[int, int, str] | None] = []

    def look_at_ranks(self) -> None:
        self.moved = self.ranks.look() or self.moved

    def look(self, now_s: float) -> None:
        self.moved = False
        self.look_at_ranks()
        self._read_output()
        self._hear_of_a_save()
        steps, state = self._checkpoints.look(now_s)
        self.saves.look(now_s, self._checkpoints.marks, is_said=self._checkpoints.is_said)
        self._note_obedience()
        for step in steps:
            self._reading.tell_checkpoint(step)
        if state is not None:
            self._reading.tell_trainer_state(state)
        self.known = self._reading.known()
        self._note_values(now_s)

    def end(self) -> dict[str, Any]:
        """For the record of the end. What the output tells is no proof of anything: it has a name of its own."""
        if self.ranks.has_stepped and not self._is_outrun:
            return {}
        loss = self.known.loss if self.known.confidence in TRUSTED else None
        read: dict[str, Any] = {"read_step": self.read_step, "read_source": self.known.source}
        if self._is_outrun:  # where the page stood is not where it was, but the least that it made
            read |= {"total": None} if self.read_step is None else {"total": None, "last_step": None}
        return read if loss is None or self.ranks.first is not None else {**read, "loss": loss}

    @property
    def pages_speak(self) -> bool:
        return self.has_telemetry and self.ranks.has_stepped

    @property
    def _is_outrun(self) -> bool:
        """The log went on without the first page, which stands short of its own total. One that has reached it is the
        proof of the end, whatever an evaluation prints afterwards."""
        first = self.ranks.first
        is_short = first is not None and first.total is not None and first.step < first.total
        return not self.has_telemetry and is_short

    @property
    def last_step(self) -> int | None:
        """By the first rank's page, or by the output."""
        first = self.ranks.first
        return first.step if first is not None and not self._is_outrun else self.read_step

    def close(self, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """The last look, when the training is over, and the last save verified unless somebody `is_hurried`."""
        self.look(time.monotonic())
        if self.saves.is_wanted:
            self.saves.finish(self._checkpoints.last_marks(), is_hurried)
        self._checkpoints.close()
        self.saves.close()
        self._metrics.write()

    def _hear_of_a_save(self) -> None:
        said = [beat.saved for beat in self.ranks.beats[:1]]
        if said != self._said_saved:
            self._said_saved = said
            if said and said[0] is not None:
                self._checkpoints.hurry()

    def _note_obedience(self) -> None:
        first = self.ranks.first
        self.obedience.hear_first(first.first_step if first is not None and first.own_beats else None)
        self.obedience.hear_saved(self.saves.made)

    def _read_output(self) -> None:
        size = self.output.size()
        self.grew = size != self.log_bytes
        self.log_bytes = size
        follow(self._reading, self.output.read, size)

    def _note_values(self, now_s: float) -> None:
        wall_s = time.time()
        values, missed = self.ranks.take()
        if values or missed:
            self._metrics.add(values, wall_s, missed)
            self.divergence.hear(values)
        records, losses = self._reading.take_records(), self._reading.take_losses()
        if not self.pages_speak and self.known.confidence in TRUSTED:
            self._metrics.add_records(records, wall_s)
            self.divergence.hear_log(losses)
        self._metrics.tick(now_s)

    # --- for the judgement ----------------------------------------------------------------------------------

    def samples(self) -> list[Sample]:
        """Of the ranks that live: who is gone has no clock."""
        return [_sample(beat) for beat in self.ranks.living]

    @property
    def series(self) -> int | None:
        """Rises with each step of the identified series; None: there is none."""
        if self.known.confidence not in TRUSTED:
            return None
        return self.known.ticks

    @property
    def is_unsure(self) -> bool:
        """More was written since the last step than could be read, and goes on being written."""
        return self.grew and self.known.unseen_bytes > 0

    @property
    def read_step(self) -> int | None:
        """The step that the output tells of, where it is known to be one."""
        return self.known.step if self.known.confidence in TRUSTED and self.known.unit == "step" else None

    @property
    def notes(self) -> str:
        return "; ".join(
            text for text in (self._metrics.note, self._checkpoints.note, self.saves.note) if text
        )


def _sample(beat: Beat) -> Sample:
    sections = beat.sections
    if beat.in_data:
        sections = (*sections, (DATA, None, beat.seq))
    return Sample(
        beat.rank,
        beat.step,
        stage=TRAIN if beat.own_beats else FIRST_STEP if beat.in_data else INIT,
        sections=sections,
        left=beat.word in LEFT,
        world=beat.world,
        total=beat.total,
    )
