"""The supervisors' heads in the model are the real ones: the real fold, the real table of presence, the real `decide`.

What they said is remembered, since in millions of worlds they are asked the same again and again.
"""

from __future__ import annotations

from msgspec.structs import replace

from outlast.decide.core import decide
from outlast.decide.history import fold, fresh
from outlast.decide.presence import presence
from outlast.facts import (
    Accepted,
    AnyEntry,
    Asked,
    Begun,
    Book,
    Chosen,
    Closed,
    Declined,
    Doors,
    Ending,
    Exited,
    Gone,
    Launch,
    Lost,
    Moment,
    NoDoor,
    Nowhere,
    Process,
    RecordEnd,
    Repeated,
    Request,
    RunId,
    Running,
    Shut,
    ShutDoor,
    Shutting,
    Sight,
    Signalled,
    Spec,
    Tell,
    Trying,
    Where,
    Whereabouts,
    Word,
)

RUN = RunId("r")
NOW = Moment("boot", 0.0, 0.0)
HERE = Where("local", host="here")
WORD = Word("GONE")
SPEC = Spec(
    run=RUN,
    place="local",
    backend="local",
    argv=("train",),
    cwd="/",
    made=NOW,
    origin="model",
    key="key",
    backoff_s=0.0,
)
BEGUN = Begun(Process("here", "boot", 1, 1, 1), HERE, "order.1.json", True)
ENDS: dict[str, Ending] = {
    "ok": Ending(exit=Exited(0), at=NOW),
    "bad": Ending(exit=Exited(1), at=NOW, lasted_s=99.0),
    "told": Ending(exit=Signalled(15), at=NOW, told="stop", told_by="request 1"),
    "lost": Ending(exit=Lost("nobody knows"), at=NOW, lasted_s=99.0),
}


class Memory:
    """What the real functions said, remembered: records by number, books by history, decisions by what was seen."""

    def __init__(self, attempts_max: int) -> None:
        self.spec = replace(SPEC, attempts_max=attempts_max)
        self.entries: list[AnyEntry] = []
        self.chosen: dict[int, int] = {}
        self._numbers: dict[AnyEntry, int] = {}
        self._books: dict[tuple[int, ...], tuple[Book, int]] = {(): (fresh(_accepted()), 0)}
        self._decisions: dict[tuple[object, ...], tuple[tuple[int, ...], tuple[tuple[object, ...], ...]]] = {}

    def number(self, entry: AnyEntry) -> int:
        if entry not in self._numbers:
            self._numbers[entry] = len(self.entries)
            if isinstance(entry, Chosen):
                self.chosen[len(self.entries)] = entry.n
            self.entries.append(entry)
        return self._numbers[entry]

    def book(self, history: tuple[int, ...]) -> tuple[Book, int]:
        """The run's book, and the highest request that was answered."""
        found = self._books.get(history)
        if found is None:
            before, answered = self.book(history[:-1])
            entry = self.entries[history[-1]]
            if isinstance(entry, Asked | Declined):
                answered = max(answered, entry.request)
            found = self._books[history] = fold(before, entry), answered
        return found

    def decided(
        self,
        history: tuple[int, ...],
        door: str,
        ended: str,
        where: str,
        asked: tuple[str, ...],
        term: int,
        counted: bool,
    ) -> tuple[tuple[int, ...], tuple[tuple[object, ...], ...]]:
        """(records to write, acts to do): the real decision on the real presence."""
        book, answered = self.book(history)
        pending = asked[answered:]
        key = (history, door, ended, where, pending, term)
        if key not in self._decisions:
            requests = tuple(
                Request(answered + i, "id", verb, RUN, (), "", "a person", NOW)
                for i, verb in enumerate(pending, 1)
            )
            seen = presence(_doors(door, ended), _whereabouts(where))
            decision = decide(self.spec, book, Sight(now=NOW, presence=seen, requests=requests), term)
            records = tuple(
                self.number(entry) for entry in decision.entries if counted or not isinstance(entry, Repeated)
            )
            self._decisions[key] = records, tuple(map(_plain, decision.actions))
        return self._decisions[key]


def _accepted() -> Accepted:
    return Accepted(at=NOW, run=RUN, why="asked for", spec_sha256="00")


def _doors(claim: str, ended: str) -> Doors:
    if claim == "-":
        return NoDoor()
    if claim in "FS":
        return Shut(claim == "F", "called off: in the model", 1)
    return BEGUN if ended == "-" else Closed(ENDS[ended], HERE)


def _whereabouts(where: str) -> Whereabouts:
    match where:
        case "watched":
            return Running(HERE)
        case "unwatched":
            return Running(HERE, watched=False)
        case "gone":
            return Gone(HERE, WORD)
        case _:
            return Nowhere()


def _plain(action: object) -> tuple[object, ...]:
    match action:
        case Launch(orders=(order,)):
            return ("launch", order.attempt.n)
        case ShutDoor(attempt=attempt, final=final):
            return ("shut", attempt.n, "F" if final else "S")
        case RecordEnd(attempt=attempt):
            return ("lost", attempt.n)
        case Tell(attempt=attempt):
            return ("tell", attempt.n)
        case _:
            raise AssertionError(action)


def in_question(book: Book) -> int:
    return book.phase.n if isinstance(book.phase, Trying | Shutting) else book.next
