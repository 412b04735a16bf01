"""All that a supervisor remembers: the fold of its place's valid history."""

from collections.abc import Sequence
from typing import Any

from outlast.decide import history as folding
from outlast.disk.journal import History
from outlast.facts import AnyEntry, Asked, Book, Declined, Done, RunId
from outlast.facts.codec import books_from_record, books_to_record, from_line


class Books:
    """`runs` by id; `holds` of the whole place; `asked`: the highest request number that has its record;
    `lines`: the entries of runs that have not ended, for their history.jsonl."""

    def __init__(self, runs: dict[RunId, Book], holds: tuple[str, ...], asked: int) -> None:
        self.runs, self.holds, self.asked = runs, holds, asked
        self.lines: dict[RunId, list[bytes]] = {}
        self.records = 0

    def add(self, entries: Sequence[AnyEntry], lines: Sequence[bytes]) -> None:
        folding.fold_into(self.runs, entries)
        self.holds = folding.place_holds(entries, self.holds)
        self.records += len(entries)
        for entry, line in zip(entries, lines, strict=True):
            if isinstance(entry, Asked | Declined):
                self.asked = max(self.asked, entry.request)
            if entry.run is not None and entry.run in self.runs:
                self.lines.setdefault(entry.run, []).append(line)

    def record(self) -> dict[str, Any]:
        return {"runs": books_to_record(self.runs), "holds": list(self.holds), "asked": self.asked}


def entries_of(history: History) -> Books:
    """Raises Damaged."""
    carried = history.books or {"runs": {}, "holds": [], "asked": 0}
    books = Books(books_from_record(carried["runs"]), tuple(carried["holds"]), int(carried["asked"]))
    books.add([from_line(line) for line in history.bodies], history.bodies)
    for run, book in books.runs.items():
        if isinstance(book.phase, Done):
            books.lines.pop(run, None)  # its history.jsonl was written when it ended
    return books
