"""Every interleaving of the core protocol: several supervisors (none is ever told that it is a zombie: a paused one
just takes its next step late), late and doubled launches, requeues, runners' deaths, a person's stop and retry.

The supervisors' heads are the real ones: history by the real fold, looks through the real table of presence, decisions
by the real `decide`. Only the disk, the backend, the runners and the person are modelled. Steps are single operations
on the file system; creation by link is atomic and exclusive, and nothing else is assumed of it (a look may be as old as
a supervisor was paused between its look, its write and its act).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol as Interface

from outlast.decide.core import needs_next_term
from tests.model.laws import Laws
from tests.model.memory import ENDS, in_question
from tests.model.world import (
    Segment,
    Supervisor,
    World,
    over,
    put,
    put_into,
    settled,
    valid,
    with_runner,
)


class Then(Interface):
    """What a supervisor's step leads to: the world `base` (else as it was), and its own next step with `data`."""

    def __call__(self, at: str, data: object = None, base: World | None = None) -> World: ...


class Protocol(Laws):
    """All next worlds of a world, and what is wrong with one."""

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
            if n in world.flight and world.claim[n] == "-" and (self.setting.unchained or over(world, n - 1)):
                yield (
                    f"a runner begins {n}",
                    with_runner(
                        world._replace(claim=put(world.claim, n, "B"), alive=world.alive | {n}),
                        n,
                        "watching",
                    ),
                )
            if n in world.flight and runner == "x" and not self.setting.scheduler:
                yield from _adopted(world, n)
            if runner == "watching":
                yield from self._of_a_watching_runner(world, n)
            elif runner in ENDS:
                recorded = (
                    world if world.exit[n] != "-" else world._replace(exit=put_into(world.exit, n, runner))
                )
                yield f"the end of {n} is recorded", with_runner(recorded, n, "-")
            elif runner == "x" and n in world.alive:
                yield f"training {n}, unwatched, ends", world._replace(alive=world.alive - {n})
            if runner not in ("-", "x") and world.deaths:
                yield (
                    f"the runner of {n} is killed",
                    with_runner(world._replace(deaths=world.deaths - 1), n, "x"),
                )
            yield from self._of_a_requeue(world, n)

    def _of_a_watching_runner(self, world: World, n: int) -> Iterator[tuple[str, World]]:
        if n not in world.alive:
            yield f"the watcher of {n} finds it gone", with_runner(world, n, "lost")
            return
        for end in ("ok", "bad"):
            if self.setting.unswept:
                yield (
                    f"{n} is recorded before it is gone",
                    with_runner(world._replace(exit=put_into(world.exit, n, end)), n, "-"),
                )
            else:
                yield (
                    f"training {n} ends ({end})",
                    with_runner(world._replace(alive=world.alive - {n}), n, end),
                )

    def _of_a_requeue(self, world: World, n: int) -> Iterator[tuple[str, World]]:
        over = world.claim[n] == "B" and n not in world.alive and world.runner[n] in ("-", "x")
        if world.requeues and over and n < self.setting.doors:
            recorded = world if world.exit[n] != "-" else world._replace(exit=put_into(world.exit, n, "lost"))
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
            return world if world.claim[n] != "-" else world._replace(claim=put(world.claim, n, str(act[2])))
        if kind == "lost":
            return world if world.exit[n] != "-" else world._replace(exit=put_into(world.exit, n, "lost"))
        if world.runner[n] == "watching" and n in world.alive:
            return with_runner(world._replace(alive=world.alive - {n}), n, "told")
        return world


def _adopted(world: World, n: int) -> Iterator[tuple[str, World]]:
    """The same launch again: a new runner finds the claim taken and its lock free, and watches; what is gone is lost.

    What the kernel tells a new watcher about a child that was not its own is not modelled.
    """
    yield f"a new runner watches {n}", with_runner(world, n, "watching" if n in world.alive else "lost")


def _standing(world: World, answered: int) -> tuple[str, ...]:
    """Requests as a listing shows them to somebody who has answered so many: those below are not looked at."""
    if any(number > answered for number in world.removed):
        return world.posted[:answered]
    return world.posted
