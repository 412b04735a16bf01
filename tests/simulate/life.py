"""One whole life from a seed: some runs, an hour of trouble, then calm in which everything has to end."""

from __future__ import annotations

import random
from collections import Counter
from typing import NamedTuple, Protocol

from outlast.facts import Book, Done, Outcome, Request, Resume, RunId, Spec
from tests.simulate.laws import Laws
from tests.simulate.ring import Supervisor
from tests.simulate.runners import Local, Scheduler
from tests.simulate.store import mounted
from tests.simulate.world import Steps, World, Wrong

TROUBLE_S = 600.0
CALM_S = 40_000.0  # backoffs, a scheduler that forgets, ten minutes of silence, and all of it several times
LATE_S = 300.0  # whoever was paused has gone on by then
EVENTS_MAX = 50_000
SUPERVISORS_MAX = 3


class Start(Protocol):
    def __call__(self, up: bool = False) -> None: ...


class Lived(NamedTuple):
    seed: int
    events: int
    terms: int
    writes: int
    attempts: int
    outcomes: Counter[Outcome]
    log: list[str]


class Died(AssertionError):
    """A law broke in this life; `log` is all that happened."""

    def __init__(self, seed: int, why: str, log: list[str]) -> None:
        super().__init__(f"seed {seed}: {why}\nthe whole life: python -m tests.simulate {seed}")
        self.seed, self.why, self.log = seed, why, log


def live(seed: int) -> Lived:
    """Raises Died. The same seed gives the same life."""
    world = World(seed)
    with mounted(world.store):
        try:
            return _live(world)
        except Wrong as wrong:
            raise Died(seed, str(wrong), world.log) from wrong


def _live(world: World) -> Lived:
    chance = world.chance
    backends: dict[str, Local | Scheduler] = {"local": Local(world), "cluster": Scheduler(world)}
    laws = Laws(world)
    for number in range(chance.choice([1, 1, 2, 3])):
        spec = _spec(chance, number, world)
        world.specs[spec.run] = spec
    world.store.trouble = True

    def start(up: bool = False) -> None:
        if len(world.living("supervisor")) < SUPERVISORS_MAX:
            supervisor = Supervisor(world, backends, laws, up=up)
            world.spawn(f"supervisor {world.born + 1}", supervisor.life)

    start()
    world.spawn("people", lambda me: _people(world), on_host=False)
    world.spawn("fate", lambda me: _fate(world, backends["cluster"], start), on_host=False)
    events = 0
    while world.now_s < TROUBLE_S and world.step():
        events += 1
    world.trouble = world.store.trouble = False
    world.say("calm from here on")
    for actor in world.living("people") + world.living("fate"):
        actor.alive = False
    for run in world.specs:
        _post(world, "resume", run)
    _post(world, "up", None)
    world.spawn("helper", lambda me: _helper(start, world, laws), on_host=False)
    until_s = world.now_s + CALM_S
    rests_since_s: float | None = None
    while world.now_s < until_s and world.step():
        events += 1
        if events > EVENTS_MAX:
            raise Wrong(f"I8: {EVENTS_MAX} things happened, and it has not ended")
        if events % 20:
            continue
        if not _at_rest(world, laws):
            rests_since_s = None
        elif rests_since_s is None:
            rests_since_s = world.now_s
        elif world.now_s - rests_since_s > LATE_S:
            break
    books = laws.at_the_end()
    outcomes = Counter(book.phase.outcome for book in books.values())  # type: ignore[union-attr]  # all have ended here
    attempts = sum(len(book.chosen) for book in books.values())
    return Lived(
        world.seed, events, len(world.store.segments), world.store.writes, attempts, outcomes, world.log
    )


def _spec(chance: random.Random, number: int, world: World) -> Spec:
    run = RunId(f"run{number}")
    earlier = tuple(world.specs)
    return Spec(
        run=run,
        place="local",
        backend=chance.choice(["local", "local", "cluster"]),
        argv=("train",),
        cwd="/",
        made=world.moment(),
        origin="simulation",
        key=run,
        resume=Resume("ckpt"),
        target_step=chance.choice([1, 20, 60, 150]),
        priority=chance.choice(["high", "normal", "low"]),
        slots=chance.choice([1, 1, 2]),
        after=earlier[:1] if chance.random() < 0.2 else (),
        attempts_max=chance.choice([1, 3, 5, 8]),
        backoff_s=chance.choice([0.0, 1.0, 10.0]),
    )


# --- who makes trouble --------------------------------------------------------------------------------------

VERBS = (
    "stop",
    "stop",
    "pause",
    "pause",
    "resume",
    "resume",
    "retry",
    "retry",
    "priority",
    "accept",
    "dance",
)


def _people(world: World) -> Steps:
    chance = world.chance
    while True:
        yield chance.expovariate(1 / 60.0)
        if chance.random() < 0.2:
            _post(world, chance.choice(["down", "up", "up"]), None)
        else:
            _post(world, chance.choice(VERBS), chance.choice([*world.specs, RunId("nobody")]))
        if chance.random() < 0.2:
            _post(world, chance.choice(VERBS), chance.choice([*world.specs]))


def _post(world: World, verb: str, run: RunId | None) -> None:
    args = (("now", "1"),) if verb == "stop" and world.chance.random() < 0.3 else ()
    if verb == "priority":
        args = (("priority", world.chance.choice(["high", "low", "urgent"])),)
    world.posted += 1
    number = world.posted
    world.requests[number] = Request(number, f"id-{number}", verb, run, args, "", "a person", world.moment())
    world.say(f"a person asks: {verb} {run or ''} (request {number})")


def _fate(world: World, scheduler: Local | Scheduler, start: Start) -> Steps:
    """Kills, reboots, lost nodes, and more supervisors than there should be."""
    assert isinstance(scheduler, Scheduler)
    chance = world.chance
    while True:
        yield chance.expovariate(1 / 8.0)
        match chance.choices(_DEEDS, _ODDS)[0]:
            case "supervisor":
                start(up=chance.random() < 0.3)
            case "kill supervisor" if living := world.living("supervisor"):
                world.kill(chance.choice(living))
            case "kill runner" if living := world.living("runner"):
                world.kill(chance.choice(living))
            case "node":
                scheduler.lose_a_node()
            case "reboot":
                world.reboot()
                start()
            case "clock":
                world.wall_s += chance.uniform(-1e7, 1e7)
            case _:
                continue  # nobody is there to be killed


_DEEDS = ("supervisor", "kill supervisor", "kill runner", "node", "reboot", "clock")
_ODDS = (8, 4, 4, 4, 1, 1)


def _helper(start: Start, world: World, laws: Laws) -> Steps:
    """In calm somebody makes sure that the place is held, and calls off what waits for a run that failed."""
    called_off: set[RunId] = set()
    while True:
        if not world.living("supervisor"):
            start(up=True)
        books = laws.history()[1]
        for run, spec in world.specs.items():
            ends = [books[other].phase for other in spec.after if other in books]
            if run not in called_off and any(isinstance(e, Done) and e.outcome != "completed" for e in ends):
                called_off.add(run)
                _post(world, "stop", run)
        yield 60.0


def _at_rest(world: World, laws: Laws) -> bool:
    """Every run is done, and nothing of it is on its way."""
    if world.living("runner") or world.living("job") or any(each.alive for each in world.trainings):
        return False
    _, books, _, asked = laws.history()
    return asked == world.posted and len(books) == len(world.specs) and all(map(_is_done, books.values()))


def _is_done(book: Book) -> bool:
    return isinstance(book.phase, Done)
