"""Every interleaving of the core protocol: several supervisors (none is ever told that it is a zombie: a paused one
just takes its next step late), late and doubled launches, requeues, runners' deaths, a person's stop and retry.

The supervisors' heads are the real ones: history by the real fold, looks through the real table of presence, decisions
by the real `decide`. Only the disk, the backend, the runners and the person are modelled. Steps are single operations
on the file system; creation by link is atomic and exclusive, and nothing else is assumed of it (a look may be as old as
a supervisor was paused between its look, its write and its act).
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from outlast.decide.core import decide, needs_next_term
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
    Done,
    Doors,
    Ended,
    Ending,
    Exited,
    Finished,
    Gone,
    Launch,
    Lost,
    Moment,
    NoDoor,
    Nowhere,
    Process,
    RecordEnd,
    Reopened,
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


class Setting(NamedTuple):
    """How much may happen, and what is planted: `unchained`, a runner that does not look whether the attempt before is
    over; `unswept`, one that records the exit while its training lives; `unsealed`, a journal whose openings seal
    nothing."""

    supervisors: int = 2
    doors: int = 4
    attempts_max: int = 2
    requeues: int = 0
    runner_deaths: int = 0
    stop: bool = True
    retry: bool = False
    scheduler: bool = False
    split_looks: bool = False
    count_repeats: bool = False
    unchained: bool = False
    unswept: bool = False
    unsealed: bool = False
    eager_removal: bool = False


class Segment(NamedTuple):
    """One term's: how many records of the term before it its opening sealed, and its own, by number."""

    sealed: int
    records: tuple[int, ...]


class Supervisor(NamedTuple):
    """`at` is its next step; `data` what it holds in its hand: a seal, a look at a door, entries and acts."""

    term: int
    at: str
    data: object = None


class World(NamedTuple):
    """By door number (0 unused): `claim` - Begun Final Shut; `exit`; `runner` - watching, dead (x), or with an end
    that it has not recorded yet. `flight`: launches sent, which may arrive at any time and any number of times;
    `posted` and `removed`: requests."""

    claim: str
    exit: tuple[str, ...]
    alive: frozenset[int]
    runner: tuple[str, ...]
    flight: frozenset[int]
    requeues: int
    requeued: bool
    deaths: int
    segments: tuple[Segment, ...]
    posted: tuple[str, ...]
    removed: frozenset[int]
    supervisors: tuple[Supervisor, ...]


def beginning(setting: Setting) -> World:
    doors = setting.doors + 1
    return World(
        claim="-" * doors,
        exit=("-",) * doors,
        alive=frozenset(),
        runner=("-",) * doors,
        flight=frozenset(),
        requeues=setting.requeues,
        requeued=False,
        deaths=setting.runner_deaths,
        segments=(),
        posted=(),
        removed=frozenset(),
        supervisors=(),
    )


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


def valid(segments: tuple[Segment, ...], unsealed: bool, term: int | None = None) -> tuple[int, ...]:
    """The valid history: the newest segment whole, each older one as far as its successor sealed it."""
    last = len(segments) if term is None else term
    if unsealed:
        return tuple(record for segment in segments for record in segment.records)
    records: tuple[int, ...] = ()
    for index in range(last):
        own = segments[index].records
        records += own if index == last - 1 else own[: segments[index + 1].sealed]
    return records


def settled(segments: tuple[Segment, ...]) -> tuple[int, ...]:
    records: tuple[int, ...] = ()
    for index in range(1, len(segments)):
        records += segments[index - 1].records[: segments[index].sealed]
    return records


def in_question(book: Book) -> int:
    return book.phase.n if isinstance(book.phase, Trying | Shutting) else book.next


class Then(typing.Protocol):
    """What a supervisor's step leads to: the world `base` (else as it was), and its own next step with `data`."""

    def __call__(self, at: str, data: object = None, base: World | None = None) -> World: ...


class Protocol:
    """All next worlds of a world, and what is wrong with one."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.memory = setting, Memory(setting.attempts_max)
        self._wrong_histories: dict[tuple[int, ...], str | None] = {}

    # --- what may happen next -------------------------------------------------------------------------------------

    def steps(self, world: World) -> Iterator[tuple[str, World]]:
        yield from self._of_runners(world)
        yield from self._of_the_person(world)
        for index, supervisor in enumerate(world.supervisors):
            yield from self._of_a_supervisor(world, index, supervisor)
        if len(world.supervisors) < self.setting.supervisors:
            yield (
                "a supervisor starts",
                world._replace(supervisors=(*world.supervisors, Supervisor(0, "read"))),
            )

    def _of_runners(self, world: World) -> Iterator[tuple[str, World]]:
        for n in range(1, self.setting.doors + 1):
            runner = world.runner[n]
            if (
                n in world.flight
                and world.claim[n] == "-"
                and (self.setting.unchained or _over(world, n - 1))
            ):
                yield (
                    f"a runner begins {n}",
                    _with_runner(
                        world._replace(claim=_put(world.claim, n, "B"), alive=world.alive | {n}),
                        n,
                        "watching",
                    ),
                )
            if n in world.flight and runner == "x" and not self.setting.scheduler:
                yield from _adopted(world, n)
            if runner == "watching":
                yield from self._of_a_watching_runner(world, n)
            elif runner in ENDS:
                recorded = world if world.exit[n] != "-" else world._replace(exit=_set(world.exit, n, runner))
                yield f"the end of {n} is recorded", _with_runner(recorded, n, "-")
            elif runner == "x" and n in world.alive:
                yield f"training {n}, unwatched, ends", world._replace(alive=world.alive - {n})
            if runner not in ("-", "x") and world.deaths:
                yield (
                    f"the runner of {n} is killed",
                    _with_runner(world._replace(deaths=world.deaths - 1), n, "x"),
                )
            yield from self._of_a_requeue(world, n)

    def _of_a_watching_runner(self, world: World, n: int) -> Iterator[tuple[str, World]]:
        if n not in world.alive:
            yield f"the watcher of {n} finds it gone", _with_runner(world, n, "lost")
            return
        for end in ("ok", "bad"):
            if self.setting.unswept:
                yield (
                    f"{n} is recorded before it is gone",
                    _with_runner(world._replace(exit=_set(world.exit, n, end)), n, "-"),
                )
            else:
                yield (
                    f"training {n} ends ({end})",
                    _with_runner(world._replace(alive=world.alive - {n}), n, end),
                )

    def _of_a_requeue(self, world: World, n: int) -> Iterator[tuple[str, World]]:
        over = world.claim[n] == "B" and n not in world.alive and world.runner[n] in ("-", "x")
        if world.requeues and over and n < self.setting.doors:
            recorded = world if world.exit[n] != "-" else world._replace(exit=_set(world.exit, n, "lost"))
            yield (
                f"{n} is requeued",
                recorded._replace(requeues=world.requeues - 1, requeued=True, flight=world.flight | {n + 1}),
            )

    def _of_the_person(self, world: World) -> Iterator[tuple[str, World]]:
        if self.setting.stop and "stop" not in world.posted:
            yield "a person asks to stop", world._replace(posted=(*world.posted, "stop"))
        if self.setting.retry and "retry" not in world.posted and "F" in world.claim:
            yield "a person asks to retry", world._replace(posted=(*world.posted, "retry"))
        records = (
            valid(world.segments, self.setting.unsealed)
            if self.setting.eager_removal
            else settled(world.segments)
        )
        answered = self.memory.book(records)[1]
        for number in range(1, answered + 1):
            if number not in world.removed and number < len(world.posted):  # the highest is never removed
                yield f"request {number} is removed", world._replace(removed=world.removed | {number})

    def _of_a_supervisor(
        self, world: World, index: int, supervisor: Supervisor
    ) -> Iterator[tuple[str, World]]:
        def then(at: str, data: object = None, base: World | None = None) -> World:
            base = world if base is None else base
            supervisors = list(base.supervisors)
            supervisors[index] = Supervisor(supervisor.term, at, data)
            return base._replace(supervisors=tuple(supervisors))

        term, data = supervisor.term, supervisor.data
        match supervisor.at:
            case "again" if len(world.segments) != term:
                yield f"term {term} was succeeded, and leaves", then("gone")
            case "read" | "again":
                seen = len(world.segments[-1].records) if world.segments else 0
                opening = Supervisor(len(world.segments) + 1, "open", seen)
                supervisors = (*world.supervisors[:index], opening, *world.supervisors[index + 1 :])
                yield "a takeover reads", world._replace(supervisors=supervisors)
            case "open":
                if len(world.segments) >= term:
                    yield "a takeover comes too late", then("gone")
                else:
                    assert isinstance(data, int)
                    opened = world._replace(segments=(*world.segments, Segment(data, ())))
                    yield f"term {term} is opened", then("idle", None, opened)
            case "idle":
                yield from self._of_a_look(world, term, then)
            case "seen door":
                assert isinstance(data, tuple)
                yield from self._of_a_decision(world, term, then, *data)
            case "write":
                assert isinstance(data, tuple)
                records, acts = data
                segment = world.segments[term - 1]
                segments = list(world.segments)
                segments[term - 1] = segment._replace(records=segment.records + records)
                written = world._replace(segments=tuple(segments))
                yield f"term {term} writes", then("act" if acts else "idle", acts or None, written)
            case "act":
                assert isinstance(data, tuple)
                done = self._done(world, data[0])
                yield (
                    f"term {term} acts: {data[0]}",
                    then("act" if data[1:] else "idle", data[1:] or None, done),
                )
            case _:
                return  # superseded, and gone

    def _of_a_look(self, world: World, term: int, then: Then) -> Iterator[tuple[str, World]]:
        """Doors first, then the backend: at once, or with all that may happen between the two."""
        n = in_question(self.memory.book(valid(world.segments, self.setting.unsealed, term))[0])
        if n > self.setting.doors:
            return
        door = (n, world.claim[n], world.exit[n])
        if self.setting.split_looks:
            yield f"term {term} looks at door {n}", then("seen door", door)
        else:
            yield from self._of_a_decision(world, term, then, *door)

    def _of_a_decision(
        self, world: World, term: int, then: Then, n: int, claim: str, ended: str
    ) -> Iterator[tuple[str, World]]:
        history = valid(world.segments, self.setting.unsealed, term)
        where = self._where(world, n) if claim == "B" and ended == "-" else "nowhere"
        posted = tuple(verb for number, verb in enumerate(world.posted, 1) if number not in world.removed)
        answered = self.memory.book(history)[1]
        asked = world.posted if len(posted) == len(world.posted) else _standing(world, answered)
        records, acts = self.memory.decided(
            history, claim, ended, where, asked, term, self.setting.count_repeats
        )
        if records:
            yield f"term {term} decides", then("write", (records, acts))
        elif acts:
            yield f"term {term} decides", then("act", acts)
        elif needs_next_term(self.memory.book(history)[0], term):
            yield f"term {term} makes way for the next", then("again")
        elif self.setting.split_looks:
            yield f"term {term} waits", then("idle")

    def _where(self, world: World, n: int) -> str:
        if world.runner[n] == "watching" or world.runner[n] in ENDS:
            return "watched"
        if self.setting.scheduler:
            return "watched" if n in world.alive else "gone"
        return "unwatched"

    def _done(self, world: World, act: tuple[object, ...]) -> World:
        kind, n = act[0], act[1]
        assert isinstance(n, int)
        if n > self.setting.doors:
            return world
        if kind == "launch":
            return world._replace(flight=world.flight | {n})
        if kind == "shut":
            return world if world.claim[n] != "-" else world._replace(claim=_put(world.claim, n, str(act[2])))
        if kind == "lost":
            return world if world.exit[n] != "-" else world._replace(exit=_set(world.exit, n, "lost"))
        if world.runner[n] == "watching" and n in world.alive:
            return _with_runner(world._replace(alive=world.alive - {n}), n, "told")
        return world

    # --- what is wrong ----------------------------------------------------------------------------------------------

    def wrong(self, world: World) -> str | None:
        """The invariant that this world breaks, in words."""
        if len(world.alive) > 1:
            return f"I1: two trainings live: {sorted(world.alive)}"
        records = valid(world.segments, self.setting.unsealed)
        book, answered = self.memory.book(records)
        if records not in self._wrong_histories:
            self._wrong_histories[records] = self._wrong_in(
                [self.memory.entries[record] for record in records]
            )
        return (
            self._wrong_histories[records]
            or self._wrong_after_the_end(world, book, answered)
            or self._wrong_beginning(world)
            or self._wrong_request(world, answered)
            or self._wrong_success(world, book)
        )

    def _wrong_in(self, history: list[AnyEntry]) -> str | None:
        ended = [entry.n for entry in history if isinstance(entry, Ended)]
        if len(ended) != len(set(ended)):
            return f"I3: an attempt ended twice: {ended}"
        chosen = [entry.n for entry in history if isinstance(entry, Chosen)]
        if chosen != sorted(set(chosen)):
            return f"I3: attempts chosen out of order: {chosen}"
        finished = False
        for entry in history:
            if isinstance(entry, Reopened):
                finished = False
            elif finished and not isinstance(entry, Asked | Declined):
                return f"I2: the history goes on after the end: {type(entry).__name__}"
            elif isinstance(entry, Finished):
                finished = True
        return None

    def _wrong_after_the_end(self, world: World, book: Book, answered: int) -> str | None:
        """A retry that has no answer yet is one that the run may be opened by at any moment."""
        if not isinstance(book.phase, Done) or "retry" in world.posted[answered:]:
            return None
        if world.alive:
            return f"I2: ended, and {sorted(world.alive)} lives"
        begun = [n for n in range(1, self.setting.doors + 1) if world.claim[n] == "B"]
        ended = sorted(entry.n for entry in book.endings)
        unbegun = [n for n in ended if world.claim[n] == "S"]
        if [n for n in ended if n not in unbegun] != begun:
            return f"I3: ended; begun {begun}, and recorded as ended {ended}"
        for n in world.flight:
            if n <= self.setting.doors and world.claim[n] == "-" and _over(world, n - 1):
                return f"I2: ended, and a late launch can still begin {n}"
        return None

    def _wrong_beginning(self, world: World) -> str | None:
        if world.requeued:
            return None
        chosen = self.memory.chosen
        written = {
            chosen[record] for segment in world.segments for record in segment.records if record in chosen
        }
        strays = [n for n, claim in enumerate(world.claim) if claim == "B" and n not in written]
        return f"I4: {strays} began, and no journal, valid or not, ever chose it" if strays else None

    def _wrong_request(self, world: World, answered: int) -> str | None:
        lost = [number for number in world.removed if number > answered]
        return f"I5: request {lost} was removed, and the valid history does not know it" if lost else None

    def _wrong_success(self, world: World, book: Book) -> str | None:
        for entry in book.endings:
            if entry.verdict == "finished" and world.exit[entry.n] != "ok":
                return f"I6: success of {entry.n} was invented"
        if isinstance(book.phase, Done) and book.phase.outcome == "completed" and "ok" not in world.exit:
            return "I6: a completion was invented"
        return None

    def ended(self, world: World) -> bool:
        """Whether an end was reached (or the last door of the model): I8 asks that one can be from everywhere."""
        records = valid(world.segments, self.setting.unsealed)
        if in_question(self.memory.book(records)[0]) > self.setting.doors:
            return True
        return any(isinstance(self.memory.entries[record], Finished) for record in records)


def _adopted(world: World, n: int) -> Iterator[tuple[str, World]]:
    """The same launch again: a new runner finds the claim taken and its lock free, and watches; what is gone is lost.

    What the kernel tells a new watcher about a child that was not its own is not modelled.
    """
    yield f"a new runner watches {n}", _with_runner(world, n, "watching" if n in world.alive else "lost")


def _over(world: World, n: int) -> bool:
    return n == 0 or world.exit[n] != "-" or world.claim[n] in "FS"


def _standing(world: World, answered: int) -> tuple[str, ...]:
    """Requests as a listing shows them to somebody who has answered so many: those below are not looked at."""
    if any(number > answered for number in world.removed):
        return world.posted[:answered]
    return world.posted


def _put(text: str, index: int, letter: str) -> str:
    return text[:index] + letter + text[index + 1 :]


def _set(values: tuple[str, ...], index: int, value: str) -> tuple[str, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _with_runner(world: World, n: int, runner: str) -> World:
    return world._replace(runner=_set(world.runner, n, runner))
