"""A supervisor as `supervise` runs one, in small steps between which it may pause for minutes, be killed, or be
superseded without noticing. Its head is the real one: journal, fold, presence, queue, decide.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from outlast.decide import queue
from outlast.decide.core import decide, needs_next_term
from outlast.decide.history import fold_all, place_holds
from outlast.decide.presence import presence
from outlast.disk import journal
from outlast.errors import WorldError
from outlast.facts import (
    Accepted,
    Action,
    AnyEntry,
    Asked,
    AttemptId,
    Book,
    Candidate,
    Chosen,
    Closed,
    Declined,
    Done,
    Finished,
    Held,
    Launch,
    Outcome,
    Presence,
    RecordEnd,
    Released,
    Request,
    RunId,
    ShutDoor,
    Shutting,
    Sight,
    Tell,
    Trying,
    Unseen,
    Waiting,
)
from outlast.facts.codec import books_from_record, books_to_record, from_line, to_line
from tests.simulate.laws import Laws
from tests.simulate.runners import Local, Scheduler
from tests.simulate.store import FOLDER, Killed
from tests.simulate.world import Actor, Steps, World

BEAT_S = 10.0
ROLL_BYTES = 20_000
SLOTS = 2


class Supervisor:
    def __init__(
        self, world: World, backends: dict[str, Local | Scheduler], laws: Laws, *, up: bool = False
    ) -> None:
        self.world, self.backends, self.laws, self.up = world, backends, laws, up
        self.children: dict[AttemptId, Actor] = {}
        self.books: dict[RunId, Book] = {}
        self.holds: tuple[str, ...] = ()
        self.asked = self.settled = 0

    # --- time between two steps -----------------------------------------------------------------------------

    def pause(self) -> float:
        """Anything may happen here; sometimes for minutes. Sometimes it never goes on."""
        chance = self.world.chance
        if not self.world.trouble:
            return 0.001
        if chance.random() < 0.004:
            raise Killed
        if chance.random() < 0.02:
            return chance.uniform(1.0, 240.0)
        return 0.001

    # --- one life -------------------------------------------------------------------------------------------

    def life(self, me: Actor) -> Steps:
        while True:
            try:
                history = journal.read(FOLDER)
                yield self.pause()
                carried = self._read(history)
                term = journal.Term.open(FOLDER, history, {"name": me.name}, {}, carried)
            except journal.Lost:
                return
            except WorldError:
                yield 5.0
                continue
            self.world.say(f"{me.name} opens term {term.number}")
            try:
                yield from self._turns(term)
                if not self.superseded:
                    continue  # it rolled its term
                return
            except journal.TermOver as over:
                self.world.say(f"{me.name}: {over}")
                yield 1.0

    def _read(self, history: journal.History) -> object:
        """Memory is the fold of the valid history; a long one is carried in the next opening."""
        carried = history.books or {"runs": {}, "holds": [], "asked": 0}
        entries = [from_line(body) for body in history.bodies]
        self.books = fold_all(entries, books_from_record(carried["runs"]))
        self.holds = place_holds(entries, tuple(carried["holds"]))
        numbers = [entry.request for entry in entries if isinstance(entry, Asked | Declined)]
        self.asked = self.settled = max([carried["asked"], *numbers])
        self.superseded = False
        if sum(map(len, history.bodies)) < ROLL_BYTES:
            return None
        return {"runs": books_to_record(self.books), "holds": list(self.holds), "asked": self.asked}

    def _turns(self, term: journal.Term) -> Steps:
        self._begin(term)
        yield self.pause()
        while True:
            if term.superseded() and self.world.chance.random() < 0.5:  # a courtesy, not safety
                self.superseded = True
                return
            wait_s = yield from self._turn(term)
            if term.bytes > ROLL_BYTES or any(
                needs_next_term(book, term.number) for book in self.books.values()
            ):
                return
            yield max(0.01, min(wait_s, BEAT_S))

    def _begin(self, term: journal.Term) -> None:
        """Accept what an earlier term accepted in vain; remove what is settled."""
        now = self.world.moment()
        entries: list[AnyEntry] = [
            Accepted(at=now, run=run, why="found accepted on disk", spec_sha256="00")
            for run in self.world.specs
            if run not in self.books
        ]
        if self.up and "down" in self.holds:
            entries.append(Released(at=now, run=None, why="up", what="down"))
        self._write(term, entries)
        for number in sorted(self.world.requests)[:-1]:
            if number <= self.settled:
                self.laws.removed(number)
                del self.world.requests[number]

    def _turn(self, term: journal.Term) -> Generator[float, None, float]:
        taken = [self.world.requests[n] for n in sorted(self.world.requests) if n > self.asked]
        yield self.pause()
        entries, for_runs = self._sorted(taken)
        acts: list[Action] = []
        wait_s = BEAT_S
        grants = self._grants()
        for run in list(self.books):
            book = self.books[run]
            if isinstance(book.phase, Done) and run not in for_runs:
                continue
            seen = yield from self._look(run, book)
            sight = Sight(
                now=self.world.moment(),
                presence=seen,
                requests=tuple(for_runs.get(run, ())),
                newest=self._newest(run) if isinstance(seen, Closed) else None,
                holds=self.holds,
                granted=run in grants.granted,
                asked=self.asked,
            )
            decision = decide(self.world.specs[run], book, sight, term.number)
            entries += decision.entries
            acts += decision.actions
            if decision.wake_in_s is not None:
                wait_s = min(wait_s, decision.wake_in_s)
        yield self.pause()
        self._write(term, entries)
        yield self.pause()
        for act in acts:
            self._act(term, act)
            yield self.pause()
        return 0.0 if entries else wait_s

    # --- looking --------------------------------------------------------------------------------------------

    def _look(self, run: RunId, book: Book) -> Generator[float, None, Presence]:
        """Doors first, then the backend."""
        n = book.phase.n if isinstance(book.phase, Trying | Shutting) else book.next
        if self.world.trouble and self.world.chance.random() < 0.03:
            return Unseen("EIO")
        doors = self.world.read_door(run, n)
        yield self.pause()
        backend = self.backends[self.world.specs[run].backend]
        return presence(doors, backend.look(AttemptId(run, n), doors, self.children))

    def _newest(self, run: RunId) -> Candidate | None:
        step = self.world.checkpoints.get(run)
        return Candidate(f"ckpt/step-{step}", "folder", step) if step is not None else None

    def _grants(self) -> queue.Grants:
        used: dict[RunId, int] = {}
        waiting: list[queue.Waiter] = []
        outcomes: dict[RunId, Outcome | None] = {}
        for ordinal, (run, book) in enumerate(self.books.items()):
            spec = self.world.specs[run]
            outcomes[run] = book.phase.outcome if isinstance(book.phase, Done) else None
            if isinstance(book.phase, Trying):
                used[run] = spec.slots
            elif isinstance(book.phase, Waiting):
                waiting.append(queue.queued(spec, book, self.world.moment(), ordinal))
        return queue.grant(waiting, used=used, slots=SLOTS, outcomes=outcomes)

    # --- requests -------------------------------------------------------------------------------------------

    def _sorted(self, taken: Sequence[Request]) -> tuple[list[AnyEntry], dict[RunId, list[Request]]]:
        now, entries, for_runs = self.world.moment(), list[AnyEntry](), dict[RunId, list[Request]]()
        for request in taken:
            if request.run is None:
                entries.append(
                    Asked(at=now, run=None, why="", request=request.number, verb=request.verb, by=request.by)
                )
                hold = Held if request.verb == "down" else Released
                entries.append(hold(at=now, run=None, why=request.verb, what="down"))
            elif request.run in self.books:
                for_runs.setdefault(request.run, []).append(request)
            else:
                entries.append(Declined(at=now, run=None, why="there is no such run", request=request.number))
        return entries, for_runs

    # --- writing and acting ---------------------------------------------------------------------------------

    def _write(self, term: journal.Term, entries: Sequence[AnyEntry]) -> None:
        if not entries:
            return
        size = term.bytes
        try:
            term.append([to_line(entry) for entry in entries])
        finally:
            written = len(self.world.store.segments[term.number]) > size
            if written:  # also when it was torn: what stands there was chosen by somebody
                self.laws.written(entries)
        self.books = fold_all(entries, self.books)
        self.holds = place_holds(entries, self.holds)
        self.asked = max([self.asked, *(e.request for e in entries if isinstance(e, Asked | Declined))])
        for entry in entries:
            self.world.say(f"term {term.number} {entry.run or ''} {_words(entry)}")
        self.laws.after_writing(term.number, self.books, self.holds)

    def _act(self, term: journal.Term, act: Action) -> None:
        """It may fail, and may have happened although it failed."""
        fails = self.world.trouble and self.world.chance.random() < 0.03
        if fails and self.world.chance.random() < 0.5:
            return
        match act:
            case Launch(orders=orders):
                for order in orders:
                    attempt, name = order.attempt, f"order.{order.term}.json"
                    backend = self.backends[self.world.specs[attempt.run].backend]
                    backend.launch(attempt, name, self.children)
            case ShutDoor(attempt=attempt, final=final, why=why):
                self.world.shut(attempt.run, attempt.n, final=final, why=why, term=term.number)
            case RecordEnd(attempt=attempt, ending=ending):
                self.world.record_end(attempt.run, attempt.n, ending)
            case Tell(attempt=attempt, want=want, request=request):
                self.world.door(attempt.run, attempt.n).wish = (term.number, request, want)
            case _:
                raise AssertionError(act)


def _words(entry: AnyEntry) -> str:
    match entry:
        case Chosen(n=n, order=order):
            return f"Chosen {n} {order or 'found begun'}"
        case Finished(outcome=outcome):
            return f"Finished {outcome}"
        case _:
            return f"{type(entry).__name__} {getattr(entry, 'n', '')} {entry.why}"
