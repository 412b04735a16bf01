"""Watches one training from "go" to the end of its first process, and ends its tree when that is asked for.

Knows the poll, the second's tick, the wish, the limits. Refuses to know how the training was started, and whether
there will be another.
"""

from __future__ import annotations

import os
import time

from outlast.disk import files
from outlast.disk.layout import Place
from outlast.errors import WorldError
from outlast.runner import census, final, ring
from outlast.runner.judge import Judge
from outlast.runner.patience import POLL_S
from outlast.runner.stopping import NOW, STOP
from outlast.runner.tree import wait_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from outlast.disk.layout import AttemptFolder
    from outlast.runner.ears import Ears
    from outlast.runner.output import Output
    from outlast.runner.progress import Progress
    from outlast.runner.signs import Signs
    from outlast.runner.stopping import Stopping
    from outlast.runner.tree import Tree
    from outlast.runner.words import Words

FIRST_TICK_S = 0.25  # what begins shows itself soon
STRAGGLERS_S = 0.2  # for those who leave by themselves right after the first process
TERMINAL_CHUNK = 64 << 10
STOPPING_LOOK_S = 0.05
SWEEP_GRACE_S = 10.0  # for what a training left behind


class Subject:
    """What is watched: the first process, by pid and pidfd (None: it is gone already), since when it runs on the
    monotonic clock, and our end of its terminal, if it has one."""

    def __init__(self, pid: int, pidfd: int | None, since_s: float, terminal: int | None = None) -> None:
        self.pid, self.pidfd, self.since_s, self.terminal = pid, pidfd, since_s, terminal


class Watch:
    def __init__(
        self,
        folder: AttemptFolder,
        order: dict[str, Any],
        subject: Subject,
        *,
        ears: Ears,
        words: Words,
        tree: Tree,
        signs: Signs,
        output: Output,
        progress: Progress,
        stopping: Stopping,
    ) -> None:
        self._folder, self._order, self._subject = folder, order, subject
        self._ears, self._words, self._tree, self.signs, self.ranks = ears, words, tree, signs, signs.ranks
        self._output, self._progress, self._stopping = output, progress, stopping
        now_s = time.monotonic()
        self.judge = Judge(folder, order, signs, stopping, tree, words, now_s)
        self._next_tick_s = now_s + FIRST_TICK_S
        self._ring_wait_s = ring.EVERY_S
        self._next_ring_s = now_s + ring.EVERY_S + os.getpid() % 5  # not all runners at once
        self._signals_heard = 0
        self._wish_seen: tuple[int, int] | None = None
        self._is_ending = self._is_over = self._must_hurry = False
        self.is_foreign = False  # somebody else recorded this attempt's end, or began the next
        self.note = ""
        self.lasted_s: float | None = None  # from "go" to the end of the first process

    # --- watching -------------------------------------------------------------------------------------------

    def until_ended(self) -> None:
        """Returns once the first process has ended."""
        if self._subject.pidfd is None:
            return
        while self._subject.pidfd not in self._listen(
            [self._subject.pidfd, *self.judge.fds], self._next_look_s()
        ):
            if self.judge.conclude(time.monotonic()):
                self._note_told()
            if self._must_end():
                self._end_tree()
        self.lasted_s = time.monotonic() - self._subject.since_s

    def _next_look_s(self) -> float:
        """While ranks are being told to stop, those that only appear must not run far ahead of the others."""
        return time.monotonic() + STOPPING_LOOK_S if self._stopping.is_on else self._next_tick_s

    def since_now(self) -> None:
        """This is "go"."""
        self._subject.since_s = time.monotonic()

    def reason_not_to_begin(self) -> str:
        """What was heard before "go", "" if nothing speaks against it."""
        now_s = time.monotonic()
        self._hear(now_s)
        self._read_wish(now_s)
        self._look_for_a_foreign_end()
        if self.is_foreign:
            return "shut before the start: somebody else has ended this attempt"
        return f"told to {self._stopping.told}" if self._stopping.is_on else ""

    def sweep(self) -> int:
        """End whatever lives on after the first process; how many there were. Returns only when nothing lives."""
        self.judge.conclude(time.monotonic(), wait=True)
        before = len(self._tree.ended)
        self._is_ending = self._is_over = True
        is_empty = self._is_empty()
        if not is_empty and not self.is_foreign:
            wait_for(self._tree.seen(), STRAGGLERS_S, self._wait)
            is_empty = self._is_empty()
        while not is_empty:
            grace_s = 0.0 if self.is_foreign else float(self._order["stop_grace_s"])
            if not self._tree.end(min(grace_s, SWEEP_GRACE_S), self._wait):
                self._complain()
            is_empty = self._is_empty()
        self._drain_terminal()
        self.note = "verifying what it saved last" if self.signs.saves.is_wanted else self.note
        self._publish(time.monotonic())
        self.signs.close(final.hurried(self._folder, self._ears))
        self.judge.close()
        self._stopping.close()
        return len(self._tree.ended) - before

    def _is_empty(self) -> bool:
        try:
            return self._tree.is_empty()
        except WorldError as error:
            self._words.say_once(str(error))
            return False

    def _must_end(self) -> bool:
        if self.is_foreign:
            return True
        if not self._stopping.is_on:
            return False
        self.signs.look_at_ranks()
        return self._stopping.is_over(self.ranks, self._progress.rate() or 0.0, time.monotonic())

    def _end_tree(self) -> None:
        self._is_ending = True
        grace_s = 0.0 if self.is_foreign else float(self._order["stop_grace_s"])
        self._words.say(
            f"ending the training ({self._stopping.by or 'foreign end'}): TERM, {grace_s:g} s, KILL"
        )
        if not self._tree.end(grace_s, self._wait):
            self._complain()
        self._is_ending = False

    def _complain(self) -> None:
        """What could not be ended keeps the attempt open, and everybody can see why."""
        left = [f"process {pid} ({census.name(pid)}, state {census.state(pid)})" for pid in self._tree.seen()]
        self.note = "cannot be ended: " + ", ".join([*left, *self._tree.unseen][:4])
        self._words.say_once(self.note)
        self._publish(time.monotonic())

    def _wait(self, pidfds: list[int], seconds: float) -> bool:
        """For the tree: until these are dead or the time is over; True: no more grace."""
        deadline_s = time.monotonic() + seconds
        left = set(pidfds)
        self._must_hurry = False
        while not self._must_hurry and time.monotonic() < deadline_s:
            left -= self._listen(left, deadline_s)
            if not left and pidfds:
                break
        return self._must_hurry

    def _listen(self, fds: Any, until_s: float) -> set[int]:
        """One wait, at most until the next tick, with everything that it may bring."""
        terminal = self._subject.terminal
        seconds = min(until_s, self._next_tick_s) - time.monotonic()
        ready = self._ears.wait(fds if terminal is None else [*fds, terminal], seconds)
        if terminal is not None and terminal in ready:
            self._copy_terminal()
        now_s = time.monotonic()
        self._hear(now_s)
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + POLL_S
            self._tick(now_s)
        return ready

    # --- what we are told -----------------------------------------------------------------------------------

    def _hear(self, now_s: float) -> None:
        changed = False
        for number in self._ears.stops[self._signals_heard :]:
            self._signals_heard += 1
            self._must_hurry = self._is_ending
            if not self._is_over:
                want = NOW if self._stopping.is_on else STOP
                changed |= self._stopping.ask(want, f"signal {number} to the runner", now_s)
        if self._ears.nudged:
            self._ears.nudged = False
            self._wish_seen = None
            changed |= self._read_wish(now_s)
        if changed:
            self._note_told()

    def _read_wish(self, now_s: float) -> bool:
        try:
            found = os.stat(self._folder.wish)
            seen = (found.st_ino, found.st_mtime_ns)
            if seen == self._wish_seen:
                return False
            wish = files.read(self._folder.wish)
        except FileNotFoundError:
            return False
        except (OSError, WorldError) as error:
            self._words.say_once(f"the wish cannot be read: {error}")
            return False
        self._wish_seen = seen
        if wish is None:
            return False
        self._must_hurry |= self._is_ending and wish.get("want") == NOW
        return not self._is_over and self._stopping.read_wish(wish, self.ranks, now_s)

    def _note_told(self) -> None:
        """For the runner that replaces us, should we die: what was told must not be forgotten half-way."""
        self._words.say(f"told to {self._stopping.told} ({self._stopping.by or 'taken back'})")
        try:
            files.replace(told_path(self._folder), {"told": self._stopping.told, "by": self._stopping.by})
        except WorldError as error:
            self._words.say_once(str(error))

    # --- the tick -------------------------------------------------------------------------------------------

    def _tick(self, now_s: float) -> None:
        self._look_at_progress(now_s)
        if self._read_wish(now_s):
            self._note_told()
        if not self._is_ending:
            self._tree.gather()
            self._look_for_a_foreign_end()
            if now_s >= self._next_ring_s:
                self._ring_wait_s = ring.next_wait_s(self._ring_wait_s, started=self._ensure_supervisor())
                self._next_ring_s = now_s + self._ring_wait_s
        self._output.bound()
        self._reap_orphans()
        self._publish(now_s)

    def _look_at_progress(self, now_s: float) -> None:
        self.signs.look(now_s)
        subject = self._subject
        if self.judge.look(now_s, subject.pid, subject.since_s, may_declare=not self._is_ending):
            self._note_told()

    def _look_for_a_foreign_end(self) -> None:
        for path in (self._folder.exit, self._folder.next().claim):
            if os.path.lexists(path):
                self.is_foreign = True
                self._words.say(f"{path} stands though this training lives: it is ended now")
                return

    def _ensure_supervisor(self) -> bool:
        place = place_of(self._folder, self._order)
        started = ring.ensure(place, list(self._order.get("supervisor") or ()))
        if started:
            self._words.say(f"nobody held place {place.name}: a supervisor was started")
        return started

    def _reap_orphans(self) -> None:
        """Children that became ours. The first process stays as it is until the tree is empty."""
        for pid in census.dead_children(os.getpid()):
            if pid != self._subject.pid:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue

    def _publish(self, now_s: float) -> None:
        notes = (self.note, self.judge.note, self._output.note, self.signs.notes)
        self._progress.publish(
            self.signs,
            now_s,
            elapsed_s=now_s - self._subject.since_s,
            since_progress_s=self.judge.patience.since_progress_s(now_s),
            nearest=self.judge.patience.nearest(),
            note="; ".join(text for text in notes if text),
        )

    # --- the terminal ---------------------------------------------------------------------------------------

    def _copy_terminal(self) -> bool:
        """One piece of what the training wrote on its terminal; False: there is no more."""
        terminal = self._subject.terminal
        try:
            body = b"" if terminal is None else os.read(terminal, TERMINAL_CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has it open any more
            body = b""
        if not body:
            self._subject.terminal = None
            return False
        self._output.append(body)
        return True

    def _drain_terminal(self) -> None:
        for _ in range(1 << 12):
            if self._subject.terminal is None or not self._copy_terminal():
                return


def told_path(folder: AttemptFolder) -> str:
    return os.path.join(folder.path, "told.json")


def place_of(folder: AttemptFolder, order: dict[str, Any]) -> Place:
    hidden = os.path.dirname(os.path.dirname(folder.run().path))
    return Place(os.path.join(hidden, "places", order.get("place") or "local"))
