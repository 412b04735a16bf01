"""Does what was decided and journaled. Every act may happen twice, and is harmless if its record is voided.

Knows doors, orders, wishes and the backend. Refuses to know why.
"""

import logging
import os

import msgspec

from outlast.disk import attempt as attempts
from outlast.disk import files
from outlast.disk.clock import moment
from outlast.disk.layout import AttemptFolder, RunFolder, Workspace
from outlast.errors import Broken, Damaged, WorldError
from outlast.facts import Action, AttemptId, Launch, Order, RecordEnd, ShutDoor, Spec, Tell, Where, Work
from outlast.facts.closed import assert_never
from outlast.facts.codec import from_record, to_record
from outlast.seams import Backend
from outlast.supervise.tools import Complete

log = logging.getLogger(__name__)
SCHEMA = 1


class Hands:
    """`complete` adds to an order what only this host knows: paths and the commands of our own programs."""

    def __init__(self, workspace: Workspace, backend: Backend, term: int, complete: Complete) -> None:
        self._workspace, self._backend, self._term, self._complete = workspace, backend, term, complete

    def act(self, spec: Spec, action: Action) -> None:
        """Raises WorldError: the same act follows next turn."""
        match action:
            case Launch(orders=orders):
                self._launch(spec, orders)
            case Tell(attempt=attempt, want=want, request=request):
                self._tell(attempt, want, request)
            case ShutDoor(attempt=attempt, final=final, why=why):
                shut = attempts.shut(self._folder(attempt), final=final, why=why, term=self._term)
                log.info(
                    "%s/%d: door shut%s: %s (%s)", attempt.run, attempt.n, " for good" * final, why, shut
                )
            case RecordEnd(attempt=attempt, ending=ending):
                made = attempts.record_end(self._folder(attempt), to_record(ending))
                log.info("%s/%d: end recorded: %s (%s)", attempt.run, attempt.n, ending.exit, made)
            case Work():
                raise Broken(f"no hand does {action.kind} yet")
            case _:
                assert_never(action)

    def _launch(self, spec: Spec, orders: tuple[Order, ...]) -> None:
        record = self._workspace.run(spec.run).record
        if not os.path.lexists(record):  # or a late launch would make the folder of a removed run again
            raise WorldError(f"{record} is not there: the run was removed")
        ready = [self._written(spec, order) for order in orders]
        self._backend.launch(ready)
        for order in ready:
            log.info("%s/%d: launched (term %d)", order.attempt.run, order.attempt.n, order.term)

    def _written(self, spec: Spec, order: Order) -> Order:
        """The order as it stands on disk: the first one of this term."""
        folder = self._folder(order.attempt)
        files.make_directory(folder.path)
        whole = self._complete(spec, order, folder)
        made = files.make_once(folder.order(order.term), {"schema": SCHEMA, **to_record(whole)})
        return whole if made.ours else from_record(made.record, Order, folder.order(order.term))

    def _tell(self, attempt: AttemptId, want: str, request: int) -> None:
        folder = self._folder(attempt)
        standing = _standing(folder.wish)
        wish = {"term": self._term, "request": request, "want": want}
        if standing is not None and (standing.get("request"), standing.get("want")) == (request, want):
            return
        files.replace(folder.wish, {"schema": SCHEMA, **wish, "at": moment()})
        log.info("%s/%d: told to %s (request %d)", attempt.run, attempt.n, want, request)
        self._backend.end({attempt: Where("")}, now=want == "stop-now")

    def _folder(self, attempt: AttemptId) -> AttemptFolder:
        return self._workspace.run(attempt.run).attempt(attempt.n)


def _standing(path: str) -> files.Record | None:
    """A wish only informs: one that cannot be understood is written anew."""
    try:
        return files.read(path)
    except Damaged:
        return None


def completed_order(
    spec: Spec,
    order: Order,
    folder: AttemptFolder,
    *,
    ready: tuple[str, ...],
    settle: tuple[str, ...],
    final: tuple[str, ...],
    supervisor: tuple[str, ...],
) -> Order:
    """`order` with {run_dir} replaced and the commands of our programs filled in."""
    run = folder.run()
    resume = order.resume and msgspec.structs.replace(
        order.resume,
        root=_with_run(order.resume.root, run),
        args=tuple(_with_run(word, run) for word in order.resume.args),
    )
    return msgspec.structs.replace(
        order,
        argv=tuple(_with_run(word, run) for word in order.argv),
        env=tuple((name, _with_run(value, run)) for name, value in order.env),
        done_when=_with_run(order.done_when, run),
        resume=resume,
        ready=ready if resume else (),
        settle=settle if resume else (),
        final=final if resume else (),
        supervisor=supervisor,
    )


def _with_run(word: str, run: RunFolder) -> str:
    return word.replace("{run_dir}", run.path)
