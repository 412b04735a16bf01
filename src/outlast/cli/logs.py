"""`outlast logs`: the training's own output, byte for byte.

Knows attempts' output.log. Refuses to change or to understand it.
"""

import sys
import time
from argparse import Namespace

from outlast.cli import quick
from outlast.cli.keep import Keeper
from outlast.cli.parse import Parser, positive
from outlast.cli.parse import add_run as add_run_argument
from outlast.cli.tail import Tail, last_attempt
from outlast.cli.view import write
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Workspace
from outlast.errors import OK, NotFound

POLL_S = 0.05


def add_logs(parser: Parser) -> None:
    add_run_argument(parser)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on as it grows, across attempts, to the end"
    )
    parser.add_argument("--attempt", metavar="N", type=positive, help="of attempt N (default: the newest)")
    parser.add_argument("-n", "--lines", metavar="N", type=positive, help="begin with the last N lines")
    parser.examples("outlast logs @last", "outlast logs -f big", "outlast logs big --attempt 1 -n 50")


def logs(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace, reading=True)
    run = quick.resolve(workspace, arguments.run)
    folder = workspace.run(run)
    n = arguments.attempt or last_attempt(folder)
    if not quick.names(folder.attempt(n).path) and not (arguments.follow and arguments.attempt is None):
        what = f"no attempt {n}" if arguments.attempt else "no attempt yet, so no output"
        raise NotFound(f"run {run} has {what} (outlast show {run})")
    tail = Tail(folder, n)
    try:
        if arguments.lines:
            tail.seek_last_lines(arguments.lines)
        if not arguments.follow:
            while part := tail.read():
                write(1, part)
            return OK
        return _follow(workspace, run, tail, only=arguments.attempt is not None)
    finally:
        tail.close()


def _follow(workspace: Workspace, run: str, tail: Tail, *, only: bool) -> int:
    """Until the run has ended (`only`: the attempt), and all of its output was shown."""
    keeper = Keeper(workspace, run)
    while True:
        over = tail.is_over()
        if part := tail.read():
            write(1, part)
            continue
        if over and only:
            return OK
        if over and tail.advance():
            print(f"outlast: --- attempt {tail.n} ---", file=sys.stderr, flush=True)
            continue
        phase = str(quick.snapshot_of(workspace, run).get("phase"))
        if phase == "ended":
            return OK
        keeper.look(phase)
        time.sleep(POLL_S)
