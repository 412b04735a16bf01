"""Runners, and two kinds of backend that get them going: this host, and a scheduler that queues, requeues, forgets.

They keep the law of the doors as `2-house` words it; what is under test are the heads above them.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from msgspec.structs import replace

from outlast.facts import (
    AttemptId,
    Begun,
    Doors,
    Ending,
    Exit,
    Exited,
    Final,
    Gone,
    Lost,
    NeverBegan,
    NoDoor,
    Nowhere,
    Process,
    Queued,
    RunId,
    Running,
    Shut,
    Signalled,
    Unseen,
    Where,
    Whereabouts,
    Word,
    Worth,
)
from tests.simulate.store import Killed
from tests.simulate.world import HOST, SPOILT, Actor, Steps, Training, World

LOOK_S = 1.0  # how often a runner looks at its wish
STALL_S = 60.0
GRACE_S = 5.0
FORGOTTEN_S = 900.0  # a scheduler purges what ended so long ago


class Local:
    """This host: runners are processes of it, and their locks say whether they live."""

    name = "local"

    def __init__(self, world: World) -> None:
        self.world = world

    def look(self, attempt: AttemptId, doors: Doors, children: dict[AttemptId, Actor]) -> Whereabouts:
        if blind(self.world):
            return Unseen("EIO")
        here = Where(self.name, host=HOST)
        child = children.get(attempt)
        match doors:
            case NoDoor():
                return Queued(here, "starting") if child is not None and child.alive else Nowhere()
            case Begun(by=by, where=where):
                if by.boot != f"boot-{self.world.boot}":
                    return Gone(where, Word("REBOOT", "this host was started anew since"))
                holder = self.world.door(attempt.run, attempt.n).holder
                return Running(where, watched=holder is not None and holder.alive)
            case _:
                return Nowhere()

    def launch(self, attempt: AttemptId, order: str, children: dict[AttemptId, Actor]) -> None:
        holder = self.world.door(attempt.run, attempt.n).holder
        child = children.get(attempt)
        if (holder is not None and holder.alive) or (child is not None and child.alive):
            return
        where = Where(self.name, host=HOST)

        def life(me: Actor) -> Steps:
            return runner(self.world, me, attempt.run, attempt.n, order, where)

        children[attempt] = self.world.spawn(f"runner {attempt.run}/{attempt.n}", life, lag_s(self.world))
        if self.world.trouble and self.world.chance.random() < 0.1:  # it arrives twice
            self.world.spawn(f"runner {attempt.run}/{attempt.n} again", life, lag_s(self.world))


@dataclass(eq=False)
class Job:
    """`token` is the attempt that it was submitted for; a requeue keeps the number and counts `restarts` up."""

    id: str
    token: AttemptId
    order: str
    restarts: int = 0
    actor: Actor | None = None
    ended_s: float | None = None
    word: str = ""

    def where(self) -> Where:
        return Where("cluster", "c", self.id, "t0", self.restarts)


class Scheduler:
    """Queues jobs, loses nodes, requeues, forgets. Its word that a job is gone is true when it is given."""

    name = "cluster"

    def __init__(self, world: World) -> None:
        self.world, self.jobs = world, list[Job]()

    def look(self, attempt: AttemptId, doors: Doors, _: dict[AttemptId, Actor]) -> Whereabouts:
        self._settle()
        if blind(self.world):
            return Unseen("squeue: timed out")
        match doors:
            case NoDoor():
                known = [job for job in self.jobs if job.token == attempt and not self._forgotten(job)]
            case Begun(where=where):
                known = [job for job in self.jobs if job.id == where.job and not self._forgotten(job)]
            case _:
                return Nowhere()
        for job in known:
            if job.ended_s is None:
                running = job.actor is not None and job.actor.stepped
                return Running(job.where()) if running else Queued(job.where(), "Priority")
        if known:
            return Gone(known[-1].where(), Word(known[-1].word or "COMPLETED"))
        return Nowhere()

    def launch(self, attempt: AttemptId, order: str, _: dict[AttemptId, Actor]) -> None:
        self._settle()
        if any(job.token == attempt and job.ended_s is None for job in self.jobs):
            return  # its token is known already
        for _again in range(2 if self.world.trouble and self.world.chance.random() < 0.1 else 1):
            job = Job(f"{len(self.jobs) + 1}", attempt, order)
            self.jobs.append(job)
            self._start(job)

    def lose_a_node(self) -> None:
        """A job dies with its node: at once, all of it. Perhaps it is requeued."""
        self._settle()
        running = [
            job for job in self.jobs if job.ended_s is None and job.actor is not None and job.actor.alive
        ]
        if not running:
            return
        job = self.world.chance.choice(running)
        assert job.actor is not None
        self.world.kill(job.actor)
        job.word = self.world.chance.choice(["NODE_FAIL", "PREEMPTED", "TIMEOUT"])
        self._settle()
        if self.world.chance.random() < 0.5:
            self.world.say(f"job {job.id} is requeued")
            job.restarts, job.ended_s, job.word = job.restarts + 1, None, ""
            self._start(job)

    def _start(self, job: Job) -> None:
        run, n, order, where = job.token.run, job.token.n, job.order, job.where()
        job.actor = self.world.spawn(
            f"job {job.id}.{job.restarts} {run}/{n}",
            lambda me: runner(self.world, me, run, n, order, where),
            lag_s(self.world),
            on_host=False,
        )

    def _settle(self) -> None:
        """Where its runner ended or died, a job is over, with all that it had started."""
        for job in self.jobs:
            if job.ended_s is None and job.actor is not None and not job.actor.alive:
                job.ended_s = self.world.now_s
                for training in self.world.trainings:
                    door = self.world.door(training.run, training.n)
                    if training.alive and door.holder is job.actor:
                        self.world.end_training(training)

    def _forgotten(self, job: Job) -> bool:
        return job.ended_s is not None and self.world.now_s - job.ended_s > FORGOTTEN_S


def blind(world: World) -> bool:
    return world.trouble and world.chance.random() < 0.08


def may_die(world: World) -> None:
    """Here, between two deeds."""
    if world.trouble and world.chance.random() < 0.03:
        raise Killed


def lag_s(world: World) -> float:
    """Up to a minute, mostly not."""
    if world.trouble and world.chance.random() < 0.2:
        return world.chance.uniform(0.0, 60.0)
    return world.chance.uniform(0.0, 0.2)


# --- the runner's life --------------------------------------------------------------------------------------


def runner(world: World, me: Actor, run: RunId, n: int, order: str, where: Where) -> Steps:
    """`yield` is a place where it may be killed, and where anything else may happen."""
    if world.trouble and world.chance.random() < 0.03:
        world.say(f"{me.name}: no room for the exit record, leaves")
        return
    yield 0.01
    requeued = where.restarts > 0
    if requeued:
        n = yield from _door_of_the_requeue(world, run, n, where)
    if not world.is_over(run, n - 1):
        return
    yield 0.01
    if not world.begin(run, n, me, "" if requeued else order, where, requeued=requeued):
        yield from _at_a_taken_door(world, run, n, me)
        return
    yield world.chance.uniform(0.0, 0.3)
    may_die(world)
    if world.trouble and world.chance.random() < 0.03:
        world.record_end(run, n, _ending(world, NeverBegan("spawn failed: no such interpreter"), None))
        return
    door = world.door(run, n)
    door.started = True
    yield 0.01
    may_die(world)
    if door.exit is not None:
        return
    door.training = world.train(run, n)
    yield from _watched(world, run, n, me, seen_from_birth=True)


def _door_of_the_requeue(world: World, run: RunId, n: int, where: Where) -> Generator[float, None, int]:
    """The claim of its job with a lower restart count: ended where it must be; then exactly the next door."""
    mine = [
        number
        for (owner, number), door in world.doors.items()
        if owner == run
        and isinstance(door.claim, Begun)
        and (door.claim.where.job, door.claim.where.submitted) == (where.job, where.submitted)
        and door.claim.where.restarts < where.restarts
    ]
    if not mine:
        return n
    last = max(mine)
    lost = _ending(world, Lost("REQUEUED"), world.door(run, last).training)
    world.record_end(run, last, replace(lost, word=Word("REQUEUED")))
    yield 0.01
    return last + 1


def _at_a_taken_door(world: World, run: RunId, n: int, me: Actor) -> Steps:
    """Shut or over: leave. Begun by a runner that lives: leave. Else take its lock and watch."""
    door = world.door(run, n)
    if isinstance(door.claim, Shut) or door.exit is not None:
        return
    if door.holder is not None and door.holder.alive:
        return
    assert isinstance(door.claim, Begun)
    if door.claim.by.boot != f"boot-{world.boot}" or door.claim.where.backend != "local":
        return
    door.holder = me
    world.say(f"{run}/{n}: watched by {me.name}")
    yield 0.01
    if not door.started or door.training is None:
        world.record_end(run, n, _ending(world, NeverBegan("its runner died before the start"), None))
        return
    yield from _watched(world, run, n, me, seen_from_birth=False)


def _watched(world: World, run: RunId, n: int, me: Actor, *, seen_from_birth: bool) -> Steps:
    door = world.door(run, n)
    training = door.training
    assert training is not None
    told: tuple[int, int, str] = (0, 0, "run")
    told_by, kill_s = "", float("inf")
    quiet_since_s = world.now_s
    while training.alive:
        door.sign_s = world.now_s
        if door.exit is not None:  # a foreign record of its end: it must not live
            world.end_training(training)
            break
        if door.wish is not None and door.wish > told:
            told = door.wish
        want = told[2]
        if want != "run" and not told_by.startswith("stall"):
            if training.read_stop_s is None:
                training.read_stop_s, told_by = world.now_s, f"request {told[1]}"
                kill_s = world.now_s + world.chance.choice([0.5, 2.0, GRACE_S * 2])
            if want == "stop-now":
                kill_s = min(kill_s, world.now_s)
        if training.end == "hang" and world.now_s - quiet_since_s > STALL_S:
            told_by, kill_s = "stall: no progress for 61 s (limit 60 s)", world.now_s
        if world.now_s >= kill_s:
            world.end_training(training)
            break
        yield world.chance.uniform(0.2, LOOK_S)
    yield 0.01  # sweep
    may_die(world)
    want = told[2] if told_by else "run"
    world.record_end(run, n, _end_of(world, training, want, told_by, seen_from_birth, me))


def _end_of(
    world: World, training: Training, want: str, told_by: str, seen_from_birth: bool, me: Actor
) -> Ending:
    if told_by.startswith("stall"):
        return _ending(world, Signalled(9), training, "stop", told_by, me)
    spec = world.specs[training.run]
    at_target = training.last_step == spec.target_step
    done = training.end == "ok" and at_target
    if training.end in SPOILT and at_target:
        worth: Worth = "torn" if training.end == "torn" else "nonfinite"
        final = Final(worth, "ckpt", training.last_step, why=f"ckpt is {worth}")
        exit: Exit = Exited(0) if seen_from_birth else Lost("nobody saw its exit")
        ending = _ending(world, exit, training, want, told_by, me, ("rank 0: done at step 1",))
        return replace(ending, final=final)
    if not seen_from_birth:
        words = ("rank 0: done at step 1",) if done else ("rank 0: running at step 1",)
        return _ending(world, Lost("nobody saw its exit"), training, want, told_by, me, words)
    if done:
        return _ending(world, Exited(0), training, want, told_by, me)
    if told_by:
        ends: list[Exit] = [Signalled(15), Exited(75), Exited(0), Exited(1)]
        return _ending(world, world.chance.choice(ends), training, want, told_by, me)
    exits: dict[str, Exit] = {
        "crash": Exited(1),
        "oom": Signalled(9),
        "again": Exited(75),
        "never": Exited(93),
        "short": Exited(0),
        "outside": Signalled(15),
    }
    return _ending(world, exits.get(training.end, Signalled(9)), training, "run", "", me)


def _ending(
    world: World,
    exit: Exit,
    training: Training | None,
    told: str = "run",
    told_by: str = "",
    me: Actor | None = None,
    words: tuple[str, ...] = (),
) -> Ending:
    stepped = training is not None and training.last_step > training.first_step
    return Ending(
        exit=exit,
        at=world.moment(),
        by=Process(HOST, f"boot-{world.boot}", 1, me.ticks, me.ticks) if me is not None else None,
        told=told,  # type: ignore[arg-type]  # one of the words of Want, as it was written
        told_by=told_by,
        resumed_step=(training.first_step or None) if training is not None else None,
        last_step=training.last_step if training is not None and stepped else None,
        total=world.specs[training.run].target_step if training is not None else None,
        last_words=words,
        lasted_s=world.now_s - training.began_s if training is not None else None,
    )
