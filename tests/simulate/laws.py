"""What must hold in every life, whatever happens: I1 to I8 of the house, looked at where they could break.

I1 and I4 are looked at where an attempt begins (`world`), the others here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from outlast.decide.history import fold_all, place_holds
from outlast.disk import journal
from outlast.facts import (
    AnyEntry,
    Asked,
    Book,
    Chosen,
    Declined,
    Done,
    Finished,
    Reopened,
    RunId,
)
from outlast.facts.codec import books_from_record, from_line
from tests.simulate.store import FOLDER
from tests.simulate.world import World, Wrong

History: TypeAlias = tuple[list[AnyEntry], dict[RunId, Book], tuple[str, ...], int]


class Laws:
    def __init__(self, world: World) -> None:
        self.world = world
        self.forgotten: set[int] = set()  # requests whose file is gone
        self.checked = 0
        self._read: tuple[int, History] | None = None

    # --- the valid history, as anybody who reads it now would see it -----------------------------------------------

    def history(self) -> History:
        """(entries since the last carried books, books, holds, highest request answered)."""
        if self._read is None or self._read[0] != self.world.store.version:
            self._read = self.world.store.version, self._history()
        return self._read[1]

    def _history(self) -> History:
        trouble, self.world.store.trouble = self.world.store.trouble, False
        try:
            read = journal.read(FOLDER)
        finally:
            self.world.store.trouble = trouble
        carried = read.books or {"runs": {}, "holds": [], "asked": 0}
        entries = [from_line(body) for body in read.bodies]
        books = fold_all(entries, books_from_record(carried["runs"]))
        asked = max([carried["asked"], *(e.request for e in entries if isinstance(e, Asked | Declined))])
        return entries, books, place_holds(entries, tuple(carried["holds"])), asked

    # --- when something was done -----------------------------------------------------------------------------------

    def written(self, entries: Sequence[AnyEntry]) -> None:
        for entry in entries:
            if isinstance(entry, Chosen) and entry.run is not None:
                self.world.chosen_ever.add((entry.run, entry.n))

    def after_writing(self, term: int, books: dict[RunId, Book], holds: tuple[str, ...]) -> None:
        """I7: memory is the fold of the valid history (of the newest term: an older one lives in a past)."""
        if term != max(self.world.store.segments) or self.world.chance.random() > 0.2:
            return
        self.checked += 1
        entries, valid, valid_holds, asked = self.history()
        if (valid, valid_holds) != (books, holds):
            raise Wrong(f"I7: term {term} remembers otherwise than the valid history says")
        self._in_order(entries, valid)
        self._after_the_end(valid, asked)
        self._success(valid)
        self._requests(asked)

    def removed(self, number: int) -> None:
        self.forgotten.add(number)
        self._requests(self.history()[3])

    def at_the_end(self) -> dict[RunId, Book]:
        """After a long calm: everything has ended, and every request has its answer."""
        entries, books, _, asked = self.history()
        self._in_order(entries, books)
        self._after_the_end(books, asked)
        self._success(books)
        self._requests(asked)
        if asked != self.world.posted:
            raise Wrong(f"I5: {self.world.posted} requests were posted, and {asked} answered")
        missing = self.world.specs.keys() - books.keys()
        if missing:
            raise Wrong(f"I5: {sorted(missing)} were accepted, and nobody knows them")
        for run, book in books.items():
            if not isinstance(book.phase, Done):
                raise Wrong(f"I8: {run} never ends: {book.phase}, {book.why}")
        return books

    # --- the laws --------------------------------------------------------------------------------------------------

    def _in_order(self, entries: Sequence[AnyEntry], books: dict[RunId, Book]) -> None:
        for run, book in books.items():
            ends = [ended.n for ended in book.endings]
            if ends != sorted(set(ends)):
                raise Wrong(f"I3: {run} was ended out of order or twice: {ends}")
            chosen = [each.n for each in book.chosen]
            if chosen != sorted(set(chosen)):
                raise Wrong(f"I3: {run} was chosen out of order or twice: {chosen}")
            if set(ends) - set(chosen):
                raise Wrong(f"I3: {run} was ended and never chosen: {ends} of {chosen}")
        finished: set[RunId] = set()
        for entry in entries:
            if entry.run is None:
                continue
            if isinstance(entry, Reopened):
                finished.discard(entry.run)
            elif isinstance(entry, Finished):
                finished.add(entry.run)
            elif entry.run in finished and not isinstance(entry, Asked | Declined):
                raise Wrong(f"I2: the history of {entry.run} goes on after its end: {entry}")

    def _after_the_end(self, books: dict[RunId, Book], asked: int) -> None:
        """None lives, none can begin, and each that began was ended."""
        for run, book in books.items():
            if not isinstance(book.phase, Done):
                continue
            living = [each.n for each in self.world.trainings if each.alive and each.run == run]
            if living:
                raise Wrong(f"I2: {run} ended {book.phase.outcome}, and {living} lives")
            numbers = [n for (owner, n), door in self.world.doors.items() if owner == run and door.claim]
            last = max(numbers, default=0)
            final = self.world.door(run, last).claim if last else None
            if final is None or not getattr(final, "final", False):
                raise Wrong(f"I2: {run} ended {book.phase.outcome}, and its last door {last} is {final}")
            begun = [n for n in sorted(numbers) if self.world.door(run, n).started]
            if set(begun) - {ended.n for ended in book.endings}:
                raise Wrong(f"I3: {run} ended; {begun} began, and not all of them were ended")

    def _success(self, books: dict[RunId, Book]) -> None:
        for run, book in books.items():
            for ended in book.endings:
                door = self.world.door(run, ended.n)
                if ended.verdict == "finished" and door.exit != ended.ending:
                    raise Wrong(
                        f"I6: {run}/{ended.n} is said to have finished, and its exit.json says {door.exit}"
                    )
            completed = isinstance(book.phase, Done) and book.phase.outcome == "completed"
            if completed and run not in self.world.truly_done:
                raise Wrong(f"I6: {run} is said to be completed, and it was not")

    def _requests(self, asked: int) -> None:
        lost = sorted(number for number in self.forgotten if number > asked)
        if lost:
            raise Wrong(f"I5: requests {lost} were removed, and the valid history does not know them")
