"""`outlast wait`: until runs have ended; the exit code says how.

Knows snapshots. Refuses to change anything, except that a supervisor that died is started again.
"""

from __future__ import annotations

import contextlib
import sys
import time

from outlast.cli import quick, words
from outlast.cli.parse import add_json, add_run, duration
from outlast.disk import workspace as workspaces
from outlast.errors import OK, TRY_AGAIN, UNKNOWN, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from outlast.cli.parse import Parser
    from outlast.disk.layout import Workspace

POLL_S = 0.05
POLL_SLOW_S = 0.5  # after a minute
# the worst of several ends is what `wait` leaves with
WORST_FIRST = (UNKNOWN, 1, 130, OK)


def add_wait(parser: Parser) -> None:
    add_run(parser, "+")
    parser.add_argument("--timeout", metavar="DURATION", type=duration, help="give up after this (exit 75)")
    add_json(parser)
    parser.examples("outlast wait @last && ./evaluate.sh", "outlast wait big small --timeout 12h")


def wait(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace, reading=True)
    runs = [quick.resolve(workspace, wanted) for wanted in arguments.runs]
    deadline = None if arguments.timeout is None else time.monotonic() + arguments.timeout
    ends = [wait_for(workspace, run, deadline) for run in runs]
    late = [run for run, end in zip(runs, ends, strict=True) if end is None]
    for run, end in zip(runs, ends, strict=True):
        if end is not None and not arguments.json:
            print(f"outlast: {run}: {words.phase(end)}{_because(end)}", file=sys.stderr)
    if arguments.json:
        import json

        shown = [
            quick.shown(end or quick.snapshot_of(workspace, run)) for run, end in zip(runs, ends, strict=True)
        ]
        with contextlib.suppress(BrokenPipeError):  # the exit code is for somebody else
            sys.stdout.write(json.dumps(shown[0] if len(shown) == 1 else shown, indent=1) + "\n")
    if late:
        print(f"outlast: not ended within the time: {', '.join(late)}", file=sys.stderr)
        return TRY_AGAIN
    codes = {exit_code(end) for end in ends if end is not None}
    return next(code for code in WORST_FIRST if code in codes)


def exit_code(snapshot: dict[str, Any]) -> int:
    """Of an ended run, by its outcome."""
    return words.OUTCOME_CODES.get(str(snapshot.get("outcome")), UNKNOWN)


def wait_for(workspace: Workspace, run: str, deadline: float | None) -> dict[str, Any] | None:
    """The snapshot of the ended run, None at the deadline. Raises NotFound if the run is removed meanwhile."""
    from outlast.cli.keep import Keeper

    began = time.monotonic()
    keeper = Keeper(workspace, run, quick.place_of(workspace, run))
    while True:
        snapshot = quick.snapshot_of(workspace, run)
        if snapshot.get("phase") == "ended":
            return snapshot
        now = time.monotonic()
        if deadline is not None and now >= deadline:
            return None
        if not quick.names(workspace.run(run).path):
            raise NotFound(f"run {run} was removed while it was waited for")
        keeper.look(str(snapshot.get("phase")))
        time.sleep(POLL_S if now - began < 60 else POLL_SLOW_S)


def _because(end: dict[str, Any]) -> str:
    return f" ({end['why']})" if end.get("why") and end.get("outcome") != "completed" else ""
