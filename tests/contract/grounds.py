"""Where backends are tried: a workspace with one run, a way to let the world go on, and the faults it can have.

    RealGround      LocalBackend or ToyBackend with the real ground floor, or with a runner of sixty lines
    FakeGround      FakeBackend on a FakeHost
    TableGround     the same, reached through the table of backends

Knows how trainings are counted, ended and cleaned up after. Refuses to know what a backend must do.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import outlast
from outlast.backends.local import LocalBackend
from outlast.cli.backends import Backends
from outlast.disk import files, identity
from outlast.disk.attempt import doors
from outlast.disk.layout import AttemptFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import AttemptId, Doors, Exited, Order, RunId, Signalled
from outlast.facts.codec import to_record
from outlast.seams import Backend
from outlast.supervise.observe import read_doors
from tests.contract.fakes import FakeBackend, FakeHost

RUN = RunId("demo-20260102-030405")
WITHIN_S = 20.0
SOURCE = Path(outlast.__file__).parent
# It says that it began, and ends as it is told.
TRAINING = "echo $$ >> trainings; read code < end-{n}; exit $code"


class Ground(Protocol):
    workspace: Workspace

    def backend(self) -> Backend:
        """A new one, as a supervisor has it that has just been started."""
        ...

    def until(self, condition: Callable[[], bool]) -> None: ...

    def end_training(self, attempt: AttemptId, code: int) -> None: ...

    def kill_training(self, attempt: AttemptId) -> None: ...

    def kill_runner(self, attempt: AttemptId) -> None: ...

    def begun(self) -> int:
        """How many trainings ever began."""
        ...

    def on_the_way(self) -> int:
        """How many runners live that watch nothing (yet)."""
        ...

    def close(self) -> None: ...


def accepted(folder: Path) -> Workspace:
    """A workspace in which the run was accepted: its run.json stands."""
    made = Workspace(str(folder))
    files.make_directory(made.run(RUN).path)
    files.make_once(made.run(RUN).record, {"schema": 1, "type": "Spec", "run": RUN, "backend": "local"})
    return made


class FakeGround:
    def __init__(self, folder: Path) -> None:
        self.workspace = accepted(folder)
        self.host = FakeHost(self.workspace)

    def backend(self) -> Backend:
        return FakeBackend(self.host)

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(100):
            if condition():
                return
            self.host.advance()
        raise AssertionError("it never came about")

    def end_training(self, attempt: AttemptId, code: int) -> None:
        self.host.end_training(attempt, Exited(code))

    def kill_training(self, attempt: AttemptId) -> None:
        self.host.end_training(attempt, Signalled(9))

    def kill_runner(self, attempt: AttemptId) -> None:
        self.host.kill_runner(attempt)

    def begun(self) -> int:
        return len(self.host.begun)

    def on_the_way(self) -> int:
        return sum(runner.deed == "coming" for runner in self.host.runners)

    def close(self) -> None:
        return


class TableGround(FakeGround):
    def backend(self) -> Backend:
        return Backends(self.workspace, "", {"local": lambda *_: FakeBackend(self.host)})


class Starts(Backend, Protocol):
    """A backend whose runners are its children."""

    _children: dict[AttemptId, "subprocess.Popen[bytes]"]


class RealGround:
    """Trainings are shells that wait at a pipe. Everything that was started is dead when `close` returns."""

    def __init__(
        self, folder: Path, floor: str, make: Callable[[Workspace, str], Starts] = LocalBackend
    ) -> None:
        self._make = make
        self.workspace, self.folder, self._floor = accepted(folder), folder, floor
        self._ends: dict[int, int] = {}
        self._backends: list[Starts] = []
        env = {"schema": 1, "env": {"PATH": os.environ["PATH"]}}
        files.make_once(self.workspace.run(RUN).env, env)

    def backend(self) -> Backend:
        self._backends.append(self._make(self.workspace, self._floor))
        return self._backends[-1]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < deadline, f"it never came about\n{self._words()}"
            time.sleep(0.003)  # between looks, and never instead of one

    def end_training(self, attempt: AttemptId, code: int) -> None:
        path = self.folder / f"end-{attempt.n}"
        if attempt.n not in self._ends:
            self._ends[attempt.n] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        os.write(self._ends[attempt.n], f"{code}\n".encode())

    def kill_training(self, attempt: AttemptId) -> None:
        started = files.read(self._attempt(attempt).started)
        assert started is not None
        identity.send(started["child"], signal.SIGKILL)

    def kill_runner(self, attempt: AttemptId) -> None:
        os.kill(self.watcher(attempt), signal.SIGKILL)
        self.until(lambda: not files.is_locked(self._attempt(attempt).claim))

    def watcher(self, attempt: AttemptId) -> int:
        """Who holds the lock of the claim: the runner that made it, or one that took over. 0: nobody."""
        with contextlib.suppress(FileNotFoundError):
            inode = Path(self._attempt(attempt).claim).stat().st_ino
            for line in Path("/proc/locks").read_text().splitlines():
                words = line.split()
                if words[1] == "FLOCK" and words[3] == "WRITE" and words[5].endswith(f":{inode}"):
                    return int(words[4])
        return 0

    def begun(self) -> int:
        try:
            return len((self.folder / "trainings").read_text().split())
        except FileNotFoundError:
            return 0

    def on_the_way(self) -> int:
        alive = [
            child.pid
            for backend in self._backends
            for child in backend._children.values()
            if child.poll() is None
        ]
        watching = {self.watcher(AttemptId(RUN, int(path.name))) for path in self._folders()}
        return len(set(alive) - watching)

    def close(self) -> None:
        for backend in self._backends:
            end_runners(backend)
        for path in self._folders():
            watcher = self.watcher(AttemptId(RUN, int(path.name)))
            if watcher:
                with contextlib.suppress(ProcessLookupError):  # it has just left by itself
                    os.kill(watcher, signal.SIGKILL)
            started = files.read(str(path / "started.json"))
            if started is not None:
                identity.send(started["child"], signal.SIGKILL)
                shutil.rmtree(started.get("heartbeat") or "/nowhere", ignore_errors=True)
        for fd in self._ends.values():
            os.close(fd)
        end_all_of(self.folder)

    def _folders(self) -> list[Path]:
        return list(Path(self.workspace.run(RUN).attempts).glob("*"))

    def _attempt(self, attempt: AttemptId) -> AttemptFolder:
        return self.workspace.run(attempt.run).attempt(attempt.n)

    def _words(self) -> str:
        logs = Path(self.workspace.run(RUN).attempts).glob("*/runner.log")
        return "\n".join(log.read_text() for log in logs)


def end_runners(backend: Starts) -> None:
    """All that it started and did not see end, and the one in waiting."""
    spare = backend._runners._spare if isinstance(backend, LocalBackend) else None
    for child in (*backend._children.values(), *([spare] if spare else [])):
        if child.stdin is not None:
            child.stdin.close()
        child.kill()
        child.wait()


def end_all_of(folder: Path) -> None:
    """Every process that was started with a word about this folder, however it was lost sight of."""
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError, WorldError):
            if os.fsencode(folder) in cmdline.read_bytes():
                identity.send(identity.identity(int(cmdline.parent.name)), signal.SIGKILL)


def order(ground: Ground, n: int = 1, term: int = 1) -> Order:
    """An order as a supervisor leaves it beside the door of attempt n."""
    folder = ground.workspace.run(RUN).attempt(n)
    files.make_directory(folder.path)
    end = Path(ground.workspace.root) / f"end-{n}"
    if not end.exists():
        os.mkfifo(end)
    made = Order(
        attempt=AttemptId(RUN, n),
        term=term,
        argv=("/bin/sh", "-c", TRAINING.replace("{n}", str(n))),
        cwd=ground.workspace.root,
        env=(),
        resume=None,
        target_step=None,
        stall_limits_s=(),
        stop_grace_s=1.0,
        log_bytes_max=1 << 20,
        stop_limit_s=5.0,
    )
    files.make_once(folder.order(term), {"schema": 1, **to_record(made)})
    return made


def doors_of(ground: Ground, attempt: AttemptId) -> Doors:
    return read_doors(ground.workspace.run(attempt.run), attempt.n)


def is_begun(ground: Ground, attempt: AttemptId) -> bool:
    """Whether its training runs, and is not only about to."""
    try:
        return doors(ground.workspace.run(attempt.run).attempt(attempt.n)).get("started") is not None
    except WorldError:
        return False
