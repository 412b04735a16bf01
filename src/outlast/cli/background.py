"""The programs that run in the background: `supervise ROOT PLACE [--up] [--stay]`, `ready`, `settle` and `final`, each
with ATTEMPT_DIR ORDER, and `clear ROOT PLACE NAME [RUN=REQUEST...]`.

Knows how hands are wired to the ring. Refuses to know what any of them does.
"""

import logging
import os
import sys
from collections.abc import Sequence

from outlast.checkpoints.formats.folder import FolderFormat
from outlast.cli.backends import Backends
from outlast.disk.layout import AttemptFolder, Workspace
from outlast.errors import BUG, OutlastError, TryAgain
from outlast.facts import Order, Spec
from outlast.seams import CheckpointFormat
from outlast.settings import load
from outlast.supervise import act, start
from outlast.supervise.floor import ground_floor
from outlast.supervise.loop import supervise
from outlast.supervise.remove import Child, Removals, Start
from outlast.supervise.tools import Complete, Manner, Tools

log = logging.getLogger("outlast")
NAMED: tuple[CheckpointFormat, ...] = (FolderFormat(),)  # the ring looks at names only, and opens nothing
UMASK = 0o077


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    os.umask(UMASK)
    if words[0] == "ready":
        from outlast.checkpoints.catalog import FORMATS
        from outlast.work import ready

        return ready.main(FORMATS, words[1], words[2])
    if words[0] == "settle":
        from outlast.checkpoints.catalog import FORMATS
        from outlast.work import settle

        return settle.main(FORMATS, words[1], words[2])
    if words[0] == "final":
        from outlast.checkpoints.catalog import FORMATS
        from outlast.work import final

        return final.main(FORMATS, words[1], words[2])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        if words[0] == "clear":
            from outlast.work import clear

            return clear.main(words[1], words[2], words[3], words[4:])
        return hold_place(Workspace(words[1]), words[2], Manner(stay="--stay" in words, up="--up" in words))
    except TryAgain as error:
        log.info("%s", error)
        return error.exit_code
    except OutlastError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception:
        log.exception("a bug of outlast; the runs are not touched by it")
        return BUG


def hold_place(workspace: Workspace, place: str, manner: Manner) -> int:
    """Be the supervisor of a place in this process. Raises OutlastError."""
    command = start.command(workspace, place)
    tools = Tools(
        backend=Backends(workspace, ground_floor(workspace)),
        formats=NAMED,
        complete=_complete(command),
        slots=_Slots(workspace),
        command=command,
        removals=Removals(
            workspace,
            workspace.place(place),
            _clearing(workspace, place),
            leaves_trash=manner.inline is not None,
        ),
    )
    return supervise(workspace, place, tools, manner)


def _clearing(workspace: Workspace, place: str) -> Start:
    def start_clearing(words: Sequence[str]) -> Child:
        command = start.background("clear", workspace.root, place, *words)
        return start.spawn([*command], workspace.place(place))

    return start_clearing


class _Slots:
    """Read anew when asked; a mistake that was made in the file meanwhile changes nothing but the log."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.config
        self._last = load(self._path).slots_count  # a mistake in it is said before the place is held

    def __call__(self) -> int:
        try:
            self._last = load(self._path).slots_count
        except OutlastError as error:
            log.warning("the configuration stays as it was: %s", error)
        return self._last


def _complete(command: tuple[str, ...]) -> Complete:
    def complete(spec: Spec, order: Order, folder: AttemptFolder) -> Order:
        name = os.path.basename(folder.order(order.term))
        return act.completed_order(
            spec,
            order,
            folder,
            ready=start.background("ready", folder.path, name),
            settle=start.background("settle", folder.path, name),
            final=start.background("final", folder.path, name),
            supervisor=command,
        )

    return complete
