"""Writes down what the watcher saw, as a timeline for `outlast limits replay RUN`: small, and of bounded size.

Steps that take about equally long become one block; a section that was seen at one look only is left out. When there
is no room the oldest is dropped, and what was learned until then stands for it. Knows samples and the format
(`timelines`). Refuses to judge.
"""

from __future__ import annotations

from outlast.runner.limits import EXIT, INIT, TRAIN
from outlast.runner.rank_clock import Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

RANKS_MAX = 4
ENTRIES_MAX = 600  # of all ranks
SIGNS_MAX = 200
SPANS_MAX = 100
ALIKE = 0.25  # of the block's mean: so much may a step's time differ
ALIKE_S = 1.01  # a look sees no less


class Recorder:
    def __init__(self) -> None:
        self._ranks: dict[int | None, _Written] = {}
        self._spans: dict[str, list[list[float]]] = {"stopped": [], "observer_gaps": []}
        self._end_s = self._cut_s = 0.0
        self._signs = _Written()
        self._reached_at_s: float | None = None
        self._has_reached_all = True  # from the beginning

    def note(self, at_s: float, samples: Iterable[Sample]) -> None:
        self._end_s = at_s
        for sample in samples:
            written = self._ranks.get(sample.rank)
            if written is None:
                if len(self._ranks) >= RANKS_MAX:
                    continue
                written = self._ranks[sample.rank] = _Written()
            written.note(at_s, sample, ENTRIES_MAX // len(self._ranks))

    def note_life(self, at_s: float, sample: Sample, count: int) -> None:
        """Without pages: what moved and was no step, so many times, and where the log said that it was."""
        self._signs.note(at_s, Sample(None, count, sections=sample.sections), SIGNS_MAX)

    def note_reached(self, at_s: float, step: int | None, reached_step: int) -> None:
        """When the log's step was first one that no earlier attempt had made."""
        if step is not None and step <= reached_step:
            self._has_reached_all = False
        elif self._reached_at_s is None:
            self._reached_at_s = at_s

    def note_span(self, begin_s: float, end_s: float, *, stopped: bool, is_gap: bool) -> None:
        """Between two looks: the training was stopped, or nobody looked."""
        if not stopped and not is_gap:
            return
        spans = self._spans["stopped" if stopped else "observer_gaps"]
        if spans and begin_s <= spans[-1][1]:
            spans[-1][1] = round(end_s, 3)
        else:
            spans.append([round(begin_s, 3), round(end_s, 3)])
            if len(spans) > SPANS_MAX:
                self._cut_s = spans.pop(0)[1]

    def start_over(self, cut_s: float = 0.0) -> None:
        """`cut_s`: what was before is dropped, and was no mistake."""
        self._cut_s = max(self._cut_s, cut_s)
        self._ranks.clear()
        self._signs = _Written()

    @property
    def begins_s(self) -> float:
        """0: everything is there. What was before is dropped, of all ranks."""
        written = (self._signs, *self._ranks.values())
        return max([self._cut_s, *(each.begins_s for each in written)])

    def record(self) -> dict[str, Any]:
        ranks = [written.entries for _, written in sorted(self._ranks.items(), key=lambda item: item[0] or 0)]
        record: dict[str, Any] = {"mode": "zero-sdk" if self._ranks.keys() <= {None} else "sdk"}
        record |= {"beats": ranks[0]} if len(ranks) == 1 else {"ranks": [{"beats": each} for each in ranks]}
        record |= {"begins_s": self.begins_s, "end_of_data_s": self._end_s}
        if len(self._signs.entries) > 1:
            record["signs"] = self._signs.entries
        if not self._has_reached_all:
            record["past_reached_s"] = self._reached_at_s
        return record | {kind: spans for kind, spans in self._spans.items() if spans}


class _Written:
    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.begins_s = 0.0
        self._at_s, self._step = 0.0, 0
        self._open: tuple[tuple[str, int], ...] = ()  # as it was written
        self._seen: tuple[tuple[str, int], ...] = ()
        self._seen_at_s = 0.0
        self._root = ""

    def note(self, at_s: float, sample: Sample, entries_max: int) -> None:
        stack, root = _stack(sample), INIT if sample.stage == INIT else TRAIN
        if stack == self._seen and stack != self._open:
            self._move(self._seen_at_s, stack)  # seen twice
        elif not stack and self._open:
            self._move(at_s, ())
        if stack != self._seen:
            self._seen, self._seen_at_s = stack, at_s
        if not self.entries or root != self._root:
            self._root = root
            self._add(at_s, sample.step, root)
        elif sample.step != self._step:
            self._add_step(at_s, sample.step)
        self._step = sample.step
        if len(self.entries) > entries_max:
            del self.entries[: entries_max // 4]
            first = self.entries[0]
            self.begins_s = first["from"] if isinstance(first, dict) else first[0]

    def _move(self, at_s: float, stack: tuple[tuple[str, int], ...]) -> None:
        same = 0
        while same < min(len(stack), len(self._open)) and stack[same] == self._open[same]:
            same += 1
        if same < len(self._open):
            self._open = self._open[:same]
            self._add(at_s, self._step, self._section)
        for entry in stack[same:]:
            self._open = (*self._open, entry)
            self._add(at_s, self._step, self._section)

    @property
    def _section(self) -> str:
        return self._open[-1][0] if self._open else self._root

    def _add(self, at_s: float, step: int, section: str) -> None:
        last = self.entries[-1] if self.entries else None
        if isinstance(last, dict) and last["beats"] == 1:
            self.entries[-1] = [last["from"], last["step0"], last["section"]]
        self.entries.append([round(max(at_s, self._at_s), 3), step, section])
        self._at_s = max(at_s, self._at_s)

    def _add_step(self, at_s: float, step: int) -> None:
        last, seconds, is_on = self.entries[-1], at_s - self._at_s, step > self._step
        if is_on and isinstance(last, dict) and last["section"] == self._section and _is_alike(seconds, last):
            number = last["beats"] = last["beats"] + 1  # for us: who reads the block counts them anew
            last["to"] = round(at_s, 3)
            last["every"] = round((at_s - last["from"]) / (number - 1), 6)
            last["inc"] = (step - last["step0"]) // (number - 1)
            self._at_s = at_s
        elif is_on and isinstance(last, list) and last[2] == self._section and seconds > 0:
            block = {"from": round(at_s, 3), "to": round(at_s, 3), "every": round(seconds, 6), "step0": step}
            self.entries.append({**block, "section": self._section, "inc": 1, "beats": 1})
            self._at_s = at_s
        else:
            self._add(at_s, step, self._section)


def _is_alike(seconds: float, block: dict[str, Any]) -> bool:
    return bool(abs(seconds - block["every"]) <= max(ALIKE_S, ALIKE * block["every"]))


def _stack(sample: Sample) -> tuple[tuple[str, int], ...]:
    if sample.left and not sample.sections:
        return ((EXIT, 0),)
    return tuple((name, serial) for name, _, serial in sample.sections)
