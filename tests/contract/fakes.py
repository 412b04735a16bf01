"""An honest fake of a host: runners and trainings that live in the memory of this object, their doors on a real disk.

It passes the contract of every backend, and is what lives of the whole supervisor are simulated on. Nothing happens
in it by itself: `advance` lets every runner do its next deed. Faults are the host's: a launch that lags, a launch of
which nobody hears, a look that sees nothing, a runner that is killed after any deed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from outlast.disk import attempt as attempts
from outlast.disk import files, identity
from outlast.disk.clock import moment
from outlast.disk.layout import AttemptFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import (
    AttemptId,
    Begun,
    Closed,
    Doors,
    Ending,
    Exit,
    Gone,
    Lost,
    Moment,
    NeverBegan,
    NoDoor,
    Nowhere,
    Order,
    Process,
    Queued,
    Running,
    Shut,
    Signalled,
    Unseen,
    Where,
    Whereabouts,
    Word,
)
from outlast.facts.codec import from_record, to_record

Deed = Literal["coming", "claimed", "announced", "watching"]


class FakeTraining:
    """Lives until it is ended; `ended` is how, as its parent would be told."""

    def __init__(self) -> None:
        self.ended: Exit | None = None


class FakeRunner:
    """One runner; `deed` is what it did last. `lag`: how often it is let go on before its first deed."""

    def __init__(self, order: Order, lag: int) -> None:
        self.order, self.lag = order, lag
        self.deed: Deed = "coming"
        self.adopted = False


class FakeHost:
    """What goes on living when a supervisor dies. `lags` says of each launch how long it lags."""

    def __init__(self, workspace: Workspace, lags: Callable[[], int] = lambda: 0) -> None:
        self.workspace, self._lags = workspace, lags
        self.runners: list[FakeRunner] = []
        self.trainings: dict[AttemptId, FakeTraining] = {}
        self.begun: list[AttemptId] = []  # every training that ever began, in order
        self.blind = False
        self.boot = identity.boot_id()

    def start(self, order: Order) -> None:
        self.runners.append(FakeRunner(order, self._lags()))

    def advance(self) -> None:
        """Every runner does its next deed."""
        for runner in list(self.runners):
            if runner.lag > 0:
                runner.lag -= 1
            elif runner in self.runners and not self._goes_on(runner):
                self.runners.remove(runner)

    def living(self) -> list[AttemptId]:
        """The attempts whose training lives."""
        return [attempt for attempt, training in self.trainings.items() if training.ended is None]

    def watcher(self, attempt: AttemptId) -> FakeRunner | None:
        """Who holds the lock of that claim."""
        held = [
            runner for runner in self.runners if runner.order.attempt == attempt and runner.deed != "coming"
        ]
        return held[0] if held else None

    # --- what may happen on a host ---------------------------------------------------------------------------------

    def end_training(self, attempt: AttemptId, how: Exit) -> None:
        training = self.trainings[attempt]
        training.ended = training.ended or how

    def kill_runner(self, attempt: AttemptId) -> None:
        """All of that attempt, also those that are on their way."""
        self.runners = [runner for runner in self.runners if runner.order.attempt != attempt]

    def reboot(self, boot: str) -> None:
        self.boot, self.runners = boot, []
        for training in self.trainings.values():
            training.ended = training.ended or Lost("reboot")

    # --- the deeds of a runner --------------------------------------------------------------------------------------

    def _goes_on(self, runner: FakeRunner) -> bool:
        """False: it has left."""
        folder = self.folder(runner.order.attempt)
        match runner.deed:
            case "coming":
                return self._claim(runner, folder)
            case "claimed":
                files.make_once(folder.started, {"schema": 1, "child": self._me(), "at": moment()})
                runner.deed = "announced"
            case "announced":
                self.trainings[runner.order.attempt] = FakeTraining()
                self.begun.append(runner.order.attempt)
                runner.deed = "watching"
            case "watching":
                return self._watch(runner, folder)
        return True

    def _claim(self, runner: FakeRunner, folder: AttemptFolder) -> bool:
        before = folder.before()
        if before is not None and not attempts.is_over(before):
            return False
        if files.read(folder.run().record) is None and files.read(folder.claim) is None:
            return False
        claim = {
            "schema": 1,
            "kind": "begun",
            "by": self._me(),
            "where": to_record(self.where()),
            "order": f"order.{runner.order.term}.json",
            "at": moment(),
        }
        made = files.make_once(folder.claim, claim)
        if made.ours:
            runner.deed = "claimed"
            return True
        if made.record["kind"] == "shut" or self.watcher(runner.order.attempt) is not None:
            return False
        runner.adopted, runner.deed = True, "watching"
        return files.read(folder.exit) is None

    def _watch(self, runner: FakeRunner, folder: AttemptFolder) -> bool:
        attempt = runner.order.attempt
        training = self.trainings.get(attempt)
        if training is None:  # its runner died before "go"
            started = files.read(folder.started) is not None
            self._record(folder, Lost("died before it began") if started else NeverBegan("runner died"))
            return False
        wish = files.read(folder.wish)
        if training.ended is None and wish is not None and wish["want"] != "run":
            training.ended = Signalled(15)
        if training.ended is None:
            return True
        self._record(folder, Lost("its runner was gone when it ended") if runner.adopted else training.ended)
        return False

    def _record(self, folder: AttemptFolder, how: Exit) -> None:
        ending = Ending(exit=how, at=from_record(moment(), Moment), by=from_record(self._me(), Process))
        files.make_once(folder.exit, {"schema": 1, **to_record(ending)})

    def folder(self, attempt: AttemptId) -> AttemptFolder:
        return self.workspace.run(attempt.run).attempt(attempt.n)

    def where(self) -> Where:
        return Where("local", host=identity.host())

    def _me(self) -> identity.Identity:
        return {**identity.identity(), "boot": self.boot}


class FakeBackend:
    """The backend of a fake host, as one supervisor has it: what it launched itself it knows, until it dies.

    `answer` of the next launch: it is done, it is refused, or it is done and nobody hears of it.
    """

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.answer: Literal["done", "refused", "unheard"] = "done"
        self.nudged: list[tuple[AttemptId, bool]] = []
        self._launched: list[FakeRunner] = []

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        if self.host.blind:
            return {attempt: Unseen("blind") for attempt in attempts}
        return {attempt: self._look(attempt, doors) for attempt, doors in attempts.items()}

    def launch(self, orders: Sequence[Order]) -> None:
        answer, self.answer = self.answer, "done"
        if answer == "refused":
            raise WorldError("nothing can be started here now")
        for order in orders:
            if not self._is_on_its_way(order.attempt) and self.host.watcher(order.attempt) is None:
                self.host.start(order)
                self._launched.append(self.host.runners[-1])
        if answer == "unheard":
            raise WorldError("it is not known whether that was started")

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        self.nudged += [(attempt, now) for attempt in attempts]

    def _look(self, attempt: AttemptId, doors: Doors) -> Whereabouts:
        match doors:
            case NoDoor():
                on_its_way = self._is_on_its_way(attempt)
                return Queued(self.host.where(), "starting") if on_its_way else Nowhere()
            case Shut() | Closed():
                return Nowhere()
            case Begun(by=by, where=where):
                if by.host != identity.host():
                    return Unseen("only that host can judge it")
                if by.boot != self.host.boot:
                    return Gone(where, Word("REBOOT"))
                return Running(where, watched=self.host.watcher(attempt) is not None)

    def _is_on_its_way(self, attempt: AttemptId) -> bool:
        alive = [runner for runner in self._launched if runner in self.host.runners]
        self._launched = alive
        return any(runner.order.attempt == attempt for runner in alive)
