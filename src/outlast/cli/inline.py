"""`run --inline`: this very process is the supervisor; a thread shows the output.

Knows how the view runs beside the ring, whose loop owns the main thread and its signals. Refuses to act on the run:
signals become requests in the ring.
"""

import contextlib
import logging
import os
import threading
import time

from outlast.cli import quick
from outlast.cli.announce import conclusion
from outlast.cli.view import Leave, View, say
from outlast.cli.wait import exit_code
from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import TRY_AGAIN
from outlast.facts import Spec

POLL_S = 0.05
DRAIN_S = 10.0  # for the last output, once the run has ended


def serve(workspace: Workspace, spec: Spec) -> int:
    """Supervise the run until it ends or this process is told to leave; its exit code, or 75: resumable."""
    from outlast.cli.background import hold_place
    from outlast.supervise.tools import Manner

    _log_to_the_place(workspace, spec.place)
    say(f"run {spec.run} (inline)")
    shown = _Shown(workspace, spec.run)
    shown.start()
    code = hold_place(workspace, spec.place, Manner(inline=spec.run))
    shown.finish()
    snapshot = quick.snapshot_of(workspace, spec.run)
    if snapshot.get("phase") != "ended":
        if quick.is_held(workspace.place(spec.place).lock):
            say(f"{spec.run} goes on under another supervisor: outlast logs -f {spec.run}")
        else:
            verb = "retry" if snapshot.get("waiting_for") == "code-changed" else "resume"
            say(f"{spec.run} is stopped and resumable: outlast {verb} {spec.run}")
        return code or TRY_AGAIN
    for line in conclusion(snapshot):
        say(line)
    return exit_code(snapshot)


class _Shown(threading.Thread):
    """The view, in a thread. When nobody reads the output any more the run does not notice."""

    def __init__(self, workspace: Workspace, run: str) -> None:
        super().__init__(daemon=True, name="view")
        self._view = View(workspace, run)
        self._over = threading.Event()

    def run(self) -> None:
        with contextlib.suppress(Leave):
            while True:
                if self._view.step():
                    if self._over.is_set():
                        break
                    _reap_orphans()
                    time.sleep(POLL_S)
        self._view.close()

    def finish(self) -> None:
        self._over.set()
        self.join(DRAIN_S)


def _reap_orphans() -> None:
    """The first process of a container inherits whoever lost a parent, and must collect them."""
    if os.getpid() != 1:
        return
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _log_to_the_place(workspace: Workspace, place_name: str) -> None:
    place = workspace.place(place_name)
    files.make_directory(place.path)
    stream = os.fdopen(files.open_append(place.log), "w", buffering=1)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=stream)
