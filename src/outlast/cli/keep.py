"""Makes sure, while somebody waits for a run, that its place has a supervisor: one that died is started again.

Knows who holds the place and whether the last supervisor was told to leave. Refuses to start one against that word,
for another host, or for an inline run, whose supervisor is the process that was started.
"""

from __future__ import annotations

import os
import sys
import time

from outlast.cli import quick
from outlast.disk.layout import Place, Workspace
from outlast.errors import OutlastError

LOOK_EVERY_S = 1.0
SERVED = ("queued", "launching", "running", "waiting")


class Keeper:
    """`look` as often as you like. `told_to_leave`: the supervisor is gone because somebody wanted it to be. `begins`:
    of a run that was only just accepted, which is newer than that word until some supervisor has taken the run."""

    def __init__(self, workspace: Workspace, run: str, place: Place, *, begins: bool = False) -> None:
        self._workspace, self._snapshot = workspace, workspace.run(run).snapshot
        self._begins = begins
        self._place = place
        self._ours = self._place.name in ("local", os.uname().nodename)
        self._due = time.monotonic() + LOOK_EVERY_S
        self._said = ""
        self.told_to_leave = False

    def look(self, phase: str) -> None:
        if not self._ours or phase not in SERVED or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_EVERY_S
        if quick.is_held(self._place.lock) is not False:
            self.told_to_leave = False
            return
        self._begins = self._begins and not os.path.exists(self._snapshot)
        said = quick.record(self._place.supervisor) or {}
        self.told_to_leave = said.get("wanted") is False and not self._begins
        if self.told_to_leave:
            self._say("the supervisor was told to leave; `outlast up --detach` goes on")
        else:
            self._start()

    def _start(self) -> None:
        from outlast.supervise import start

        try:
            start.ensure(self._workspace, self._place.name, up=self._begins)
        except OutlastError as error:
            self._say(str(error))

    def _say(self, line: str) -> None:
        if line != self._said:
            self._said = line
            print(f"outlast: {line}", file=sys.stderr, flush=True)
