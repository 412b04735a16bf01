"""The least that is a backend: a runner as a child for each attempt, and no spare ones, no help for stopped ones.

Added as docs/adding-a-backend.md says, but for its place: it is of the tests. Knows locks. Refuses to know why.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from outlast.disk import files, identity
from outlast.disk.attempt import doors
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import (
    AttemptId,
    Begun,
    Closed,
    Doors,
    Gone,
    NoDoor,
    Nowhere,
    Order,
    Queued,
    Running,
    Shut,
    Unseen,
    Where,
    Whereabouts,
    Word,
)

NAME = "toy"
BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.runner.life import main; sys.exit(main())"
)


class ToyBackend:
    def __init__(self, workspace: Workspace, floor: str) -> None:
        self._workspace, self._floor = workspace, floor
        self._children: dict[AttemptId, subprocess.Popen[bytes]] = {}

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        self._children = {each: child for each, child in self._children.items() if child.poll() is None}
        return {attempt: self._look(attempt, seen) for attempt, seen in attempts.items()}

    def launch(self, orders: Sequence[Order]) -> None:
        for order in orders:
            child = self._children.get(order.attempt)
            is_on_its_way = child is not None and child.poll() is None
            if not is_on_its_way and not files.is_locked(self._claim(order.attempt)):
                self._children[order.attempt] = self._start(order)

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        for attempt in attempts:
            claim = doors(self._workspace.run(attempt.run).attempt(attempt.n)).get("claim") or {}
            if "by" in claim:
                identity.send(claim["by"], signal.SIGUSR2)

    def _look(self, attempt: AttemptId, seen: Doors) -> Whereabouts:
        match seen:
            case NoDoor():
                return Queued(Where(NAME), "starting") if attempt in self._children else Nowhere()
            case Shut() | Closed():
                return Nowhere()
            case Begun(by=by, where=where):
                if by.boot != identity.boot_id():
                    if by.host != identity.host():
                        return Unseen(f"only host {by.host} can judge it")
                    return Gone(where, Word("REBOOT"))
                try:
                    return Running(where, watched=bool(files.is_locked(self._claim(attempt))))
                except WorldError as error:
                    return Unseen(str(error))

    def _start(self, order: Order) -> "subprocess.Popen[bytes]":
        folder = self._workspace.run(order.attempt.run).attempt(order.attempt.n)
        words = [folder.path, os.path.basename(folder.order(order.term))]
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("OUTLAST_", "PYTHON", "LD_"))
        }
        log = files.open_append(folder.runner_log)
        try:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT, self._floor, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean,
                start_new_session=True,
            )
        finally:
            os.close(log)

    def _claim(self, attempt: AttemptId) -> str:
        return self._workspace.run(attempt.run).attempt(attempt.n).claim
