"""What a watcher would have seen of a recorded training, at any moment: a timeline, its beats and its interruptions.

    mode       sdk, or zero-sdk: the beats are steps that a log told of
    beats      ascending; [t_s, step, section], or {from, to, every, step0, section, inc, grow}: beats at from,
               from + d0, ... up to `to`, with d_k = every[k mod n] * (1 + grow)^k and steps step0, step0 + inc, ...
    ranks      instead of beats: a list of {beats, stopped}, one of each rank
    stopped, suspended, observer_gaps   [[from, to]]: state T; the machine asleep; the watcher not scheduled
    proc_state [[from, to, state, ...]]: state T counts as stopped
    signs      zero-sdk, and before the first page: beats whose count rises with each sign of life; inside a section of
               the log with what moved there; once a series is known, with what was too much to be read
    past_reached_s   when the log's step was first beyond reached_step (null: never); without it, the beats are steps
    first_process    the only rank is the attempt's first process · first_page_s   the longest wait for a first page
    declared_limits {section: s} · begins_s · end_of_data_s · world_size · reached_step · learned · total

A beat is written when a step ends, a section is entered, and when it is left (the outer section's name, same step). A
beat that changes neither says nothing; steps inside `init` are a resumed training's way to where it was. Time is
virtual seconds since the attempt's start; the watcher's clock is monotonic, so it stands while the machine is asleep.

Knows the format and the order of time. Refuses to know limits.
"""

from __future__ import annotations

import math
from heapq import merge
from operator import itemgetter

from outlast.runner.limits import FIRST_STEP, INIT, TRAIN
from outlast.runner.rank_clock import Sample

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Beat = tuple[float, int, str]
    Span = tuple[float, float]

SDK, ZERO_SDK = "sdk", "zero-sdk"
STOPPED_STATES = ("T", "t")
BEATS_MAX = 20_000_000
ROOTS = ("", INIT, FIRST_STEP, "first_step", TRAIN)
LEFT = "exit"
SLACK_S = 1e-6  # sums of floats
NEVER_S = float("inf")


class Wrong(ValueError):
    """Not a timeline; says where and why."""


class Timeline:
    """Raises Wrong."""

    def __init__(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise Wrong("a timeline is an object with the keys mode and beats")
        self.mode = record.get("mode", SDK)
        if self.mode not in (SDK, ZERO_SDK):
            raise Wrong(f"mode: {self.mode!r} is neither {SDK} nor {ZERO_SDK}")
        ranks = record.get("ranks")
        if ranks is None:
            ranks = [{"beats": record.get("beats", [])}]
        if not isinstance(ranks, list) or not all(isinstance(rank, dict) for rank in ranks):
            raise Wrong("ranks: a list of objects with the key beats")
        self.beats = [rank.get("beats", []) for rank in ranks]
        self.world = int(_number(record, "world_size", len(ranks)))
        self.stopped = _stopped(record) + [span for rank in ranks for span in _stopped(rank)]
        self.suspended = _joined(_spans(record, "suspended"))
        self.gaps = _joined(_spans(record, "observer_gaps"))
        self.end_s = _number(record, "end_of_data_s", self._last_beat_s)
        self.begins_s = _number(record, "begins_s", 0.0)
        self.reached_step = int(_number(record, "reached_step", 0))
        self.signs = record.get("signs") or []
        self.counts_steps = "past_reached_s" not in record
        self.past_reached_s = _number(record, "past_reached_s", NEVER_S)
        self.is_first = record.get("first_process") is True
        self.first_page_s = _number(record, "first_page_s", 0.0)
        self.total = record.get("total")
        self.learned = record.get("learned")
        limits = record.get("declared_limits") or {}
        if not isinstance(limits, dict):
            raise Wrong("declared_limits: an object of section: seconds")
        self.declared = [(name, _number(limits, name, None)) for name in limits]
        if not math.isfinite(self.end_s):
            raise Wrong("end_of_data_s: not a number of seconds")

    def _last_beat_s(self) -> float:
        return max((beat[0] for rank in self.beats for beat in _beats(rank)), default=0.0)


class Look:
    """What the watcher sees at a moment. Moments only go forward."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._ranks = [_Reading(number, beats, timeline) for number, beats in enumerate(timeline.beats)]
        self._signs = _Reading(-1, timeline.signs, timeline)
        self._signs_seen = 0
        self._edges = sorted(edge for span in timeline.stopped for edge in span)

    def samples(self, at_s: float) -> list[Sample]:
        for rank in self._ranks:
            rank.read(at_s)
        return [rank.sample for rank in self._ranks if rank.sample is not None]

    def life(self, at_s: float) -> tuple[bool, str]:
        """Whether anything moved since the last call that was no step, and in which section of the log."""
        self._signs.read(at_s)
        sample = self._signs.sample
        if sample is None:
            return False, ""
        before, self._signs_seen = self._signs_seen, sample.step
        return sample.step > before, sample.sections[-1][0] if sample.sections else ""

    def is_stopped(self, at_s: float) -> bool:
        return any(begin <= at_s < end for begin, end in self._timeline.stopped)

    def next_change_s(self, after_s: float) -> float:
        """When anything changes that is not read yet."""
        edge = next((edge for edge in self._edges if edge > after_s), NEVER_S)
        return min([edge, self._signs.next_s, *(rank.next_s for rank in self._ranks)])


class _Reading:
    """One rank's beats, read one after the other into what its page would say."""

    def __init__(self, number: int, beats: Any, timeline: Timeline) -> None:
        self._rank, self._timeline = number, timeline
        self._beats = _beats(beats)
        self._next = next(self._beats, None)
        self._sections: list[tuple[str, float | None, int]] = []
        self._serial = 0
        self._has_begun = self._has_stepped = self._has_left = False
        self.sample: Sample | None = None

    @property
    def next_s(self) -> float:
        return self._next[0] if self._next is not None else NEVER_S

    def read(self, until_s: float) -> None:
        while self._next is not None and self._next[0] <= until_s:
            before = self.sample
            _, step, section = self._next
            self._has_stepped |= before is not None and step != before.step and section != INIT
            self._has_left = section == LEFT or (self._has_left and section not in ROOTS)
            if section in ROOTS or section == LEFT:
                self._sections = []
            if section == LEFT:
                pass
            elif section in ROOTS:
                self._has_begun |= section not in ("", INIT)
            else:
                self._move_to(section)
            self.sample = self._said(step, section)
            self._next = next(self._beats, None)

    def _move_to(self, section: str) -> None:
        """Back to a section that is open, or into a new one."""
        names = [name for name, _, _ in self._sections]
        if section in names:
            del self._sections[names.index(section) + 1 :]
            return
        self._serial += 1
        self._sections.append((section, None, self._serial))

    def _said(self, step: int, section: str) -> Sample:
        stage = TRAIN if self._has_stepped else FIRST_STEP if self._has_begun else INIT
        world, total = self._timeline.world, self._timeline.total
        return Sample(
            self._rank, step, stage, tuple(self._sections), self._has_left, world=world, total=total
        )


class Clock:
    """Between the timeline's time and the watcher's monotonic clock, which stands while the machine is asleep."""

    def __init__(self, suspended: list[Span]) -> None:
        self._suspended = suspended
        self._asleep: list[tuple[float, float]] = []  # (when on the monotonic clock, for how long)
        slept_s = 0.0
        for begin, end in suspended:
            self._asleep.append((begin - slept_s, end - begin))
            slept_s += end - begin

    def time_s(self, monotonic_s: float) -> float:
        return monotonic_s + sum(length for begin, length in self._asleep if begin < monotonic_s)

    def first_poll(self, time_s: float) -> int | None:
        """The first whole second of the monotonic clock at or after that time; None: never."""
        if time_s == NEVER_S:
            return None
        slept_s = sum(min(end, time_s) - begin for begin, end in self._suspended if begin < time_s)
        poll = math.ceil(time_s - slept_s)
        while self.time_s(poll) < time_s:
            poll += 1
        return poll


def _beats(entries: Any) -> Iterator[Beat]:
    """All beats, in order. Raises Wrong."""
    if not isinstance(entries, list):
        raise Wrong("beats: not a list")
    parts: list[Iterator[Beat] | list[Beat]] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, dict):
            parts.append(_block(entry, f"beats[{number}]"))
            continue
        beat = _beat(entry, f"beats[{number}]")
        if parts and isinstance(parts[-1], list):
            if beat[0] < parts[-1][-1][0]:
                raise Wrong(f"beats[{number}]: {beat[0]:g} s comes after {parts[-1][-1][0]:g} s")
            parts[-1].append(beat)
        else:
            parts.append([beat])
    return merge(*parts, key=itemgetter(0))


def _beat(entry: Any, where: str) -> Beat:
    try:
        at_s, step, section = entry
        return float(at_s), int(step), str(section or "")
    except (TypeError, ValueError):
        raise Wrong(f"{where}: {entry!r} is not [seconds, step, section]") from None


def _block(entry: dict[str, Any], where: str) -> Iterator[Beat]:
    try:
        at_s, until_s, step = float(entry["from"]), float(entry["to"]), int(entry["step0"])
        every = entry["every"] if isinstance(entry["every"], list) else [entry["every"]]
        waits = [float(each) for each in every]
        section, inc = str(entry.get("section", TRAIN) or ""), int(entry.get("inc", 1))
        grow = float(entry.get("grow", 0.0))
    except (KeyError, TypeError, ValueError) as error:
        raise Wrong(f"{where}: needs from, to, every and step0 ({error})") from None
    if not waits or min(waits) < 0 or sum(waits) <= 0 or grow <= -1:
        raise Wrong(f"{where}: every must be above zero")
    return _spread(at_s, until_s, waits, step, section, inc, grow)


def _spread(
    at_s: float, until_s: float, waits: list[float], step: int, section: str, inc: int, grow: float
) -> Iterator[Beat]:
    factor = 1.0
    for number in range(BEATS_MAX):
        if at_s > until_s + SLACK_S:
            return
        yield at_s, step, section
        at_s += waits[number % len(waits)] * factor
        factor *= 1.0 + grow
        step += inc
    raise Wrong(f"more than {BEATS_MAX} beats in one block")


def _stopped(record: dict[str, Any]) -> list[Span]:
    states = record.get("proc_state") or []
    stopped = [(float(each[0]), float(each[1])) for each in states if each[2] in STOPPED_STATES]
    return [*_spans(record, "stopped"), *stopped]


def _spans(record: dict[str, Any], key: str) -> list[Span]:
    try:
        spans = [(float(begin), float(end)) for begin, end in record.get(key) or []]
    except (TypeError, ValueError):
        raise Wrong(f"{key}: a list of [from, to]") from None
    return sorted(span for span in spans if span[1] > span[0])


def _joined(spans: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _number(record: dict[str, Any], key: str, default: Any) -> float:
    value = record.get(key)
    if value is None:
        value = default() if callable(default) else default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Wrong(f"{key}: {value!r} is not a number")
    return float(value)
