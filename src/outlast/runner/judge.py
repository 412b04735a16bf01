"""Declares that a training hangs, that its losses are no numbers any more, that it began anew although it was told to
go on, or that its time is over, and has the evidence gathered before its tree is ended.

The order: the decision is frozen; in a child, /proc of every task, stacks of all, the culprit; then the stop is told.
Knows samples, limits, incidents. Refuses to end anything: that is `stopping`'s word and the watch's deed.
"""

from __future__ import annotations

import time

from outlast.disk import files
from outlast.errors import WorldError
from outlast.runner import census, evidence, gathering, lessons
from outlast.runner.findings import Rank
from outlast.runner.patience import Patience
from outlast.runner.progress import section_of
from outlast.runner.stopping import NOW, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from outlast.disk.layout import AttemptFolder
    from outlast.runner.gathering import Gathering
    from outlast.runner.patience import Stall
    from outlast.runner.signs import Signs
    from outlast.runner.stopping import Stopping
    from outlast.runner.tree import Tree
    from outlast.runner.words import Words

STOPPED_STATES = ("T", "t")
RANKS_LOOKED_AT = 64
QUIET_S = 60.0  # or half of the limit: then all members are looked at
MEMBERS_EVERY_S, MEMBERS_MAX = 30.0, 512
HANG, TIMEOUT, NONFINITE, IGNORED = "hang", "timeout", "nonfinite", "resume-ignored"
OF_NUMBERS = (NONFINITE, IGNORED)  # where its processes stand says nothing of that


class Judge:
    def __init__(
        self,
        folder: AttemptFolder,
        order: Mapping[str, Any],
        signs: Signs,
        stopping: Stopping,
        tree: Tree,
        words: Words,
        now_s: float,
    ) -> None:
        self._folder, self._order, self._signs = folder, order, signs
        self._stopping, self._tree, self._words = stopping, tree, words
        self._lessons = lessons.Lessons(folder)
        declared = [(section, limit_s) for section, limit_s in order["stall_limits_s"]]
        self.patience = Patience(
            declared,
            now_s,
            learned=self._lessons.read(),
            reached_step=lessons.reached_step(folder),
            awaits_pages=signs.awaits_pages,
        )
        self._gathering: Gathering | None = None
        self._kind, self._sentence = HANG, (NOW, "")
        self._stall: Stall | None = None
        self._members: Mapping[int, int] = {}
        self._members_due_s = now_s
        self._slow = ""
        self.incident: str | None = None
        self.hints: list[str] = []
        self.note = ""

    @property
    def fds(self) -> list[int]:
        """Readable when the evidence is gathered."""
        return [] if self._gathering is None else self._gathering.fds

    def look(self, now_s: float, first_pid: int, since_s: float, *, may_declare: bool) -> bool:
        """One look. Whether the training is now to be ended for what was declared. `since_s`: when it began."""
        signs = self._signs
        stall = self.patience.look(
            now_s,
            signs.samples(),
            stopped=self._is_stopped(first_pid, now_s),
            series=signs.series,
            step=signs.read_step,
            section=signs.known.section,
            alive=signs.grew or signs.moved,
            unsure=signs.is_unsure,
            inner=signs.known.inner_ticks,
            is_first=any(beat.pid == first_pid for beat in signs.ranks.beats[:1]),
        )
        signs.has_telemetry = self.patience.has_telemetry
        self._note(now_s)
        if self._lessons.is_due(now_s):
            self._lessons.keep(self.patience.learned(), now_s)
        if self._gathering is not None:
            return self.conclude(now_s)
        if not may_declare or self._stopping.is_on:
            return False
        if stall is not None:
            decision = {
                "section": stall.section,
                "limit_s": stall.limit_s,
                "quiet_s": round(stall.quiet_s, 3),
            }
            self._stall = stall
            self._declare(HANG, str(stall), NOW, decision)
        elif (found := signs.divergence.found) is not None:
            self._declare(
                NONFINITE, f"nonfinite: {found.why}", NOW, {"step": found.step, "losses": found.rows}
            )
        elif signs.obedience.found:
            self._declare(IGNORED, f"resume_ignored: {signs.obedience.found}", NOW, {})
        elif (timeout_s := self._order.get("timeout_s")) is not None and now_s - since_s > timeout_s:
            self._declare(TIMEOUT, f"timeout: {timeout_s:.0f} s were left", STOP, {"limit_s": timeout_s})
        return False

    def conclude(self, now_s: float, *, wait: bool = False) -> bool:
        """Take what was gathered, once it is; then the sentence is told, unless somebody asked for a stop meanwhile:
        that goes on as it began. `wait`: for the evidence, as long as it may take; the training ended by itself, and
        no sentence is told."""
        begun = self._gathering
        if begun is None or not (wait or begun.is_done or now_s >= begun.until_s):
            return False
        found = begun.result()
        self._gathering = None
        self.hints = found.hints if self._kind not in OF_NUMBERS else []
        if found.reason:
            self._words.say(f"evidence: {found.reason}")
        if found.path:
            self.incident = found.path
            self._words.say(f"evidence: {found.path}")
        if wait or self._stopping.is_on:
            return False
        if self._stall is not None:
            self.patience.note_kill(self._stall)
            self._lessons.keep(self.patience.learned(), now_s)
        return self._stopping.ask(*self._sentence, now_s)

    def close(self) -> None:
        """The training is over: keep what it taught, and say whose steps it has made."""
        self.patience.end(self._signs.samples(), self._signs.series)
        self._signs.has_telemetry = self.patience.has_telemetry
        self._lessons.keep(self.patience.learned(), time.monotonic())

    def _declare(self, kind: str, why: str, want: str, decision: Mapping[str, Any]) -> None:
        self._kind, self._sentence = kind, (want, why)
        self._words.say(f"{why}: gathering the evidence")
        is_hang = kind not in OF_NUMBERS
        beats = self._signs.ranks.beats if is_hang else []
        members = self._tree.seen() if is_hang else {}
        ranks = [
            Rank(beat.rank, beat.pid, beat.step if beat.seq else None, section_of(beat)) for beat in beats
        ]
        self._gathering = gathering.begin(
            self._folder,
            {"kind": kind, "reason": why, **decision},
            ranks,
            members,
            path=self._search_path(),
        )
        self.hints = evidence.standing(beat.pid for beat in beats) if is_hang and not members else []

    def _note(self, now_s: float) -> None:
        stopped_s = self.patience.stopped_s(now_s)
        stopped = (
            f"stopped (state T) for {stopped_s:.0f} s" if stopped_s is not None and stopped_s >= 1 else ""
        )
        slow = self.patience.straggler()
        if slow and not self._slow:
            self._words.say(slow)
        self._slow = slow
        self.note = "; ".join(text for text in (stopped, slow, self.patience.alert()) if text)

    def _is_stopped(self, first_pid: int, now_s: float) -> bool:
        """Whether the training is stopped (state T): its first process, a rank, or, once it is quiet, any member:
        behind a shell or a launcher it is none of these."""
        ranks = (beat.pid for beat in self._signs.ranks.beats[:RANKS_LOOKED_AT])
        if any(census.state(pid) in STOPPED_STATES for pid in (first_pid, *ranks)):
            return True
        return any(census.state(pid) in STOPPED_STATES for pid in self._quiet_members(now_s))

    def _quiet_members(self, now_s: float) -> Iterable[int]:
        nearest = self.patience.nearest()
        if nearest is None or self.patience.quiet_s(now_s) < min(QUIET_S, nearest.limit_s / 2):
            self._members = {}
            return ()
        if not self._members or now_s >= self._members_due_s:
            self._members, self._members_due_s = self._tree.seen(), now_s + MEMBERS_EVERY_S
        return list(self._members)[:MEMBERS_MAX]

    def _search_path(self) -> str:
        """Of the training: where its own py-spy may lie."""
        try:
            env = (files.read(self._folder.run().env) or {}).get("env") or {}
        except WorldError:
            return ""
        return str(env.get("PATH", ""))
