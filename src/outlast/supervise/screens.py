"""Keeps what people see up to date: which run's files are out of date, why it waits, and when the board is due.

Knows that screens may be late and never wrong for long. Refuses to know what is shown (`show`, `decide/view`).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from outlast.disk.clock import moment
from outlast.disk.layout import Place, Workspace
from outlast.facts import Begun, Book, Doors, RunId, Spec, Trying
from outlast.supervise import observe, show
from outlast.supervise.books import Books

BOARD_EVERY_S = 0.5
SHOW_AT_LEAST_EVERY_S = 0.5  # while one turn follows the other without a pause


class Screens:
    def __init__(
        self,
        workspace: Workspace,
        place: Place,
        supervisor: dict[str, Any],
        term: int,
        books: Books,
        spec: Callable[[RunId], Spec | None],
    ) -> None:
        self._workspace, self._place, self._supervisor = workspace, place, supervisor
        self._term, self._books, self._spec = term, books, spec
        self._rows, self._stale = show.rows_to_begin_with(place, books.runs)
        self._notes: dict[RunId, str] = {}
        self._hindered: dict[str, str] = {}
        self._started: dict[RunId, tuple[int, bool]] = {}
        self._board_due = True
        self._board_at_s = self._shown_at_s = float("-inf")

    def touch(self, run: RunId | None) -> None:
        """Something was journaled about it (None: about the place)."""
        if run is None:
            self._board_due = True
        else:
            self._stale.add(run)

    def note(self, run: RunId, why: str) -> None:
        """Why it waits, or what of it could not be seen or done; "": nothing to say."""
        if self._notes.get(run, "") != why:
            self._notes[run] = why
            self._stale.add(run)

    def noted(self, run: RunId) -> str:
        return self._notes.get(run, "")

    def hinder(self, troubles: Mapping[str, str]) -> None:
        """What of the place's removals cannot be done yet, by run (or another name): it is held, and said with it."""
        if self._hindered == troubles:
            return
        for run in self._books.runs.keys() & (self._hindered.keys() | troubles.keys()):
            self.note(run, troubles.get(run, ""))
        self._hindered, self._board_due = dict(troubles), True

    def saw(self, run: RunId, n: int, doors: Doors) -> None:
        """A training that began is shown as running though nothing is journaled about that."""
        started = (n, isinstance(doors, Begun) and doors.started)
        if self._started.get(run) != started:
            self._started[run] = started
            self._stale.add(run)

    def drop(self, run: RunId) -> None:
        """It is gone: whoever asked for that waits until nobody shows it any more."""
        self._rows.pop(run, None)
        self._board_due, self._board_at_s = True, float("-inf")

    def show(self, *, in_a_hurry: bool) -> float:
        """Write what is out of date, unless every millisecond counts; seconds until the board is due."""
        now_s = time.monotonic()
        if in_a_hurry and now_s - self._shown_at_s < SHOW_AT_LEAST_EVERY_S:
            return 0.0
        self._shown_at_s = now_s
        for run in self._stale & self._books.runs.keys():
            self._show_run(run, self._books.runs[run])
        self._board_due = self._board_due or bool(self._stale)
        self._stale.clear()
        if not self._board_due:
            return float("inf")
        if now_s - self._board_at_s < BOARD_EVERY_S:
            return BOARD_EVERY_S - (now_s - self._board_at_s)
        self._write_board(now_s)
        return float("inf")

    def show_all(self) -> None:
        """The last look before we leave."""
        self._board_at_s = float("-inf")
        self.show(in_a_hurry=False)
        self._write_board(time.monotonic())

    def _show_run(self, run: RunId, book: Book) -> None:
        spec = self._spec(run)
        if spec is None:
            return
        folder = self._workspace.run(run)
        stamp = (self._term, self._books.records)
        live = None
        if isinstance(book.phase, Trying):
            n, started = self._started.get(run, (0, False))
            live = observe.live(folder, book.phase.n) or ({} if started and n == book.phase.n else None)
        self._rows[run] = show.write_run(folder, spec, book, live, stamp, self.noted(run))

    def _write_board(self, now_s: float) -> None:
        show.write_board(
            self._place,
            self._term,
            moment(),
            self._supervisor,
            self._books.asked,
            (*self._books.holds, *self._hindered.values()),
            self._rows,
        )
        self._board_due, self._board_at_s = False, now_s
