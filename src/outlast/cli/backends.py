"""The table of backends: which there are, by the name that a run is accepted with, and how each is made.

Knows every backend by its name, and imports one when a run first needs it. Refuses to know what any of them does: to
the ring they are one, which hands each attempt to the backend of its run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import UserError, WorldError
from outlast.facts import AttemptId, Doors, Order, RunId, Unseen, Where, Whereabouts
from outlast.seams import Backend

Make = Callable[[Workspace, str], Backend]  # the workspace, the folder of its copy of the ground floor
DEFAULT = "local"


def _local(workspace: Workspace, floor: str) -> Backend:
    from outlast.backends.local import LocalBackend

    return LocalBackend(workspace, floor)


TABLE: dict[str, Make] = {DEFAULT: _local}


def check(name: str) -> None:
    """Raises UserError, naming those that there are."""
    if name not in TABLE:
        raise UserError(
            f"run: --backend {name}: there is no such backend; known are: {', '.join(sorted(TABLE))}"
        )


class Backends:
    """All of the table as one backend. One that fails, or that this version does not know, blinds no other."""

    def __init__(self, workspace: Workspace, floor: str, table: Mapping[str, Make] | None = None) -> None:
        self._workspace, self._floor = workspace, floor
        self._table = TABLE if table is None else table
        self._made: dict[str, Backend] = {}
        self._names: dict[RunId, str] = {}

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        """Every backend that was made is asked, if for nobody: it may have children to collect."""
        seen: dict[AttemptId, Whereabouts] = {}
        asked: dict[str, dict[AttemptId, Doors]] = {name: {} for name in self._made}
        for attempt, doors in attempts.items():
            try:
                asked.setdefault(self._name(attempt.run), {})[attempt] = doors
            except WorldError as error:
                seen[attempt] = Unseen(str(error))
        for name, part in asked.items():
            try:
                seen.update(self._backend(name).look(part))
            except WorldError as error:
                seen.update(dict.fromkeys(part, Unseen(str(error))))
        return seen

    def launch(self, orders: Sequence[Order]) -> None:
        """Raises WorldError: not known whether those of one backend happened; those of the others did."""
        failed: WorldError | None = None
        self._names.update({order.attempt.run: order.backend for order in orders})
        for name in _each_once(order.backend for order in orders):
            try:
                self._backend(name).launch([order for order in orders if order.backend == name])
            except WorldError as error:
                failed = error
        if failed is not None:
            raise failed

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        asked: dict[str, dict[AttemptId, Where]] = {}
        for attempt, where in attempts.items():
            asked.setdefault(self._name(attempt.run), {})[attempt] = where
        for name, part in asked.items():
            self._backend(name).end(part, now)

    def _name(self, run: RunId) -> str:
        """As it was accepted, for life. Raises WorldError."""
        if run not in self._names:
            path = self._workspace.run(run).record
            record = files.read(path)
            if record is None:
                raise WorldError(f"{path} is not there: nobody knows the run's backend")
            self._names[run] = str(record.get("backend", DEFAULT))
        return self._names[run]

    def _backend(self, name: str) -> Backend:
        if name not in self._made:
            if name not in self._table:
                raise WorldError(f"this version of outlast knows no backend {name}")
            self._made[name] = self._table[name](self._workspace, self._floor)
        return self._made[name]


def _each_once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
