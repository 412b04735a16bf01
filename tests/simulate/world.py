"""The world around the supervisors: a clock, doors, trainings, a host that may start anew.

Things happen as processes (generators that yield how long they sleep), in the order of one clock. Refuses to know what
should be done: it does what it is told, and breaks at random.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from outlast.facts import (
    Begun,
    Closed,
    Doors,
    Ending,
    Moment,
    NoDoor,
    Process,
    Request,
    RunId,
    Shut,
    Spec,
    Where,
)
from tests.simulate.store import Killed, Store

Steps = Generator[float, None, None]
HOST = "here"
SPOILT = ("torn", "nonfinite")  # it leaves with 0 at its target, and what it leaves behind is that


def iter_nothing() -> Steps:
    yield from ()


class Wrong(AssertionError):
    """A law of the house is broken."""


@dataclass(eq=False)
class Actor:
    """A process of the simulated host: it can be killed between any two of its steps."""

    name: str
    boot: int
    ticks: int
    on_host: bool
    steps: Steps = field(default_factory=lambda: iter_nothing())
    alive: bool = True
    stepped: bool = False


@dataclass(eq=False)
class Training:
    """What the attempt runs. It has its own end, whoever watches."""

    run: RunId
    n: int
    began_s: float
    first_step: int
    ends_s: float
    end: str  # ok, crash, oom, again (75), never (93), short, hang, outside
    last_step: int
    alive: bool = True
    read_stop_s: float | None = None


@dataclass
class Door:
    """One attempt's folder. Each of `claim`, `started`, `exit` is made once."""

    claim: Begun | Shut | None = None
    holder: Actor | None = None  # of the claim's lock
    started: bool = False
    training: Training | None = None
    exit: Ending | None = None
    orders: dict[str, int] = field(default_factory=dict)
    wish: tuple[int, int, str] | None = None
    sign_s: float = 0.0


class World:
    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.store = Store(self.chance)
        self.boot, self.boot_s, self.wall_s = 1, 0.0, 1e9
        self.specs: dict[RunId, Spec] = {}
        self.doors: dict[tuple[RunId, int], Door] = {}
        self.trainings: list[Training] = []
        self.checkpoints: dict[RunId, int] = {}
        self.truly_done: set[RunId] = set()
        self.requests: dict[int, Request] = {}
        self.posted = 0
        self.chosen_ever: set[tuple[RunId, int]] = set()
        self.actors: list[Actor] = []
        self.trouble = True
        self.log: list[str] = []
        self._events: list[tuple[float, int, Actor]] = []
        self._count = 0

    # --- time -----------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        return self.store.now_s

    def moment(self) -> Moment:
        return Moment(f"boot-{self.boot}", round(self.now_s - self.boot_s, 6), self.wall_s + self.now_s)

    @property
    def born(self) -> int:
        """How many things have happened or begun."""
        return self._count

    def say(self, text: str) -> None:
        self.log.append(f"{self.now_s:10.2f}  {text}")

    # --- processes ------------------------------------------------------------------------------------------

    def spawn(
        self, name: str, life: Callable[[Actor], Steps], delay_s: float = 0.0, *, on_host: bool = True
    ) -> Actor:
        self._count += 1
        actor = Actor(name, self.boot, self._count, on_host)
        actor.steps = life(actor)
        self.actors.append(actor)
        heapq.heappush(self._events, (self.now_s + delay_s, self._count, actor))
        return actor

    def kill(self, actor: Actor) -> None:
        if actor.alive:
            actor.alive = False
            self.say(f"{actor.name} is killed")

    def step(self) -> bool:
        """The next thing that happens; False when nothing ever will."""
        while self._events:
            at_s, _, actor = heapq.heappop(self._events)
            if not actor.alive:
                continue
            self.store.now_s = max(self.now_s, at_s)
            self._end_trainings()
            actor.stepped = True
            try:
                sleep_s = next(actor.steps)
            except StopIteration:
                actor.alive = False
            except Killed:
                self.kill(actor)
            else:
                self._count += 1
                heapq.heappush(self._events, (self.now_s + sleep_s, self._count, actor))
            if len(self.actors) > 200:
                self.actors = [each for each in self.actors if each.alive]
            return True
        return False

    def living(self, prefix: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.alive and actor.name.startswith(prefix)]

    def reboot(self) -> None:
        """All of this host dies at once; its clock begins anew; the disk stays."""
        self.say("the host starts anew")
        for actor in self.actors:
            if actor.on_host:
                actor.alive = False
        for training in self.trainings:
            if training.alive and self.specs[training.run].backend == "local":
                self.end_training(training)
        self.boot, self.boot_s = self.boot + 1, self.now_s

    # --- doors ----------------------------------------------------------------------------------------------

    def door(self, run: RunId, n: int) -> Door:
        return self.doors.setdefault((run, n), Door())

    def read_door(self, run: RunId, n: int) -> Doors:
        door = self.doors.get((run, n))
        match door.claim if door is not None else None:
            case None:
                return NoDoor()
            case Shut() as shut:
                return shut
            case Begun() as begun:
                assert door is not None
                if door.exit is not None:
                    return Closed(door.exit, begun.where)
                silent_s = self.now_s - door.sign_s
                return Begun(begun.by, begun.where, begun.order, door.started, silent_s)

    def is_over(self, run: RunId, n: int) -> bool:
        return n == 0 or isinstance(self.read_door(run, n), Shut | Closed)

    def shut(self, run: RunId, n: int, *, final: bool, why: str, term: int) -> bool:
        door = self.door(run, n)
        if door.claim is None:
            door.claim = Shut(final, why, term)
            self.say(f"{run}/{n}: shut{' for good' * final}: {why}")
            return True
        return False

    def record_end(self, run: RunId, n: int, ending: Ending) -> bool:
        door = self.door(run, n)
        if door.exit is None:
            door.exit = ending
            self.say(f"{run}/{n}: exit.json: {ending.exit} told {ending.told} step {ending.last_step}")
            return True
        return False

    def begin(self, run: RunId, n: int, holder: Actor, order: str, where: Where, *, requeued: bool) -> bool:
        """Take the claim. I4 is looked at here: no attempt begins that no journal chose."""
        door = self.door(run, n)
        if door.claim is not None:
            return False
        by = Process(HOST, f"boot-{holder.boot}", 1, holder.ticks, holder.ticks)
        door.claim = Begun(by, where, order, False)
        door.holder, door.sign_s = holder, self.now_s
        self.say(f"{run}/{n}: begun by {holder.name} ({order})")
        if (run, n) not in self.chosen_ever and not requeued:
            raise Wrong(f"I4: {run}/{n} began, and no journal, valid or not, ever chose it")
        return True

    # --- trainings ------------------------------------------------------------------------------------------

    def train(self, run: RunId, n: int) -> Training:
        """No training instruction before this. I1 is looked at here."""
        others = [each for each in self.trainings if each.alive and each.run == run]
        if others:
            raise Wrong(f"I1: {run}/{n} begins to train, and {run}/{others[0].n} lives")
        spec, first = self.specs[run], self.checkpoints.get(run, 0)
        assert spec.target_step is not None
        left = max(0, spec.target_step - first)
        fate = self.chance.random()
        calm = not self.trouble and fate > 0.3
        end = "ok" if calm or fate < 0.35 else self.chance.choice(_FATES)
        steps = left if end in ("ok", *SPOILT) else self.chance.randint(0, max(0, left - 1)) if left else 0
        training = Training(run, n, self.now_s, first, self.now_s + 1.0 + 2.0 * steps, end, first + steps)
        if end == "hang":
            training.ends_s = self.now_s + 1e9
        self.trainings.append(training)
        self.say(f"{run}/{n}: trains from step {first}, will end {end} at {training.last_step}")
        return training

    def step_of(self, training: Training) -> int:
        passed = int((self.now_s - training.began_s - 1.0) / 2.0)
        return min(training.last_step, max(training.first_step, training.first_step + passed))

    def end_training(self, training: Training) -> None:
        """It is gone; every 5 steps it had saved."""
        training.alive = False
        step = self.step_of(training)
        training.last_step = step
        saved = step if training.end == "ok" and self._at_target(training) else step // 5 * 5
        if training.end in SPOILT and self._at_target(training):
            saved = max(0, step - 1) // 5 * 5
        if saved > training.first_step:
            self.checkpoints[training.run] = max(saved, self.checkpoints.get(training.run, 0))
        self.say(f"{training.run}/{training.n}: its training is gone at step {step}")

    def _at_target(self, training: Training) -> bool:
        return training.last_step == self.specs[training.run].target_step

    def _end_trainings(self) -> None:
        for training in self.trainings:
            if training.alive and training.ends_s <= self.now_s:
                self.end_training(training)
                if training.end == "ok":
                    self.truly_done.add(training.run)
        if len(self.trainings) > 50:
            self.trainings = [each for each in self.trainings if each.alive]


_FATES = ("crash", "crash", "crash", "oom", "again", "short", "hang", "outside", "never", *SPOILT)
