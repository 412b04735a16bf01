"""`outlast logs`: the training's own output, byte for byte, or (`--json`) line for line.

Knows attempts' output.log. Refuses to change or to understand it.
"""

import json
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
LINE_BYTES_MAX = 1 << 20


def add_logs(parser: Parser) -> None:
    add_run_argument(parser)
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on as it grows, across attempts, to the end"
    )
    parser.add_argument("--attempt", metavar="N", type=positive, help="of attempt N (default: the newest)")
    parser.add_argument("-n", "--lines", metavar="N", type=positive, help="begin with the last N lines")
    parser.add_argument(
        "--json", action="store_true", help="print {attempt, offset, line} in JSON for each line"
    )
    parser.examples(
        "outlast logs @last",
        "outlast logs -f big",
        "outlast logs big --attempt 1 -n 50",
        "outlast logs -f big --json | jq -r .line",
    )


def logs(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace, reading=True)
    run = quick.resolve(workspace, arguments.run)
    folder = workspace.run(run)
    n = arguments.attempt or last_attempt(folder)
    if not quick.names(folder.attempt(n).path) and not (arguments.follow and arguments.attempt is None):
        what = f"no attempt {n}" if arguments.attempt else "no attempt yet, so no output"
        raise NotFound(f"run {run} has {what} (outlast show {run})")
    tail = Tail(folder, n)
    shown = JsonLines(tail) if arguments.json else Plain(tail)
    try:
        if arguments.lines:
            tail.seek_last_lines(arguments.lines)
        if arguments.follow:
            _follow(workspace, run, tail, shown, only=arguments.attempt is not None)
        else:
            while shown.more():
                pass
        shown.end()
        return OK
    finally:
        tail.close()


class Plain:
    """Bytes, as they are."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail

    def more(self) -> bool:
        """Show what is new; False: nothing is. Raises OSError."""
        part = self._tail.read()
        write(1, part)
        return bool(part)

    def end(self) -> None:
        """No more comes of this attempt."""


class JsonLines(Plain):
    """A record for each line, with where it begins in the attempt's log; one without an end for LINE_BYTES_MAX is
    shown in pieces. What is no UTF-8 is shown as U+FFFD: the offset says where its bytes are."""

    def __init__(self, tail: Tail) -> None:
        super().__init__(tail)
        self._begun, self._begins = b"", 0

    def more(self) -> bool:
        part = self._tail.read()
        at = self._tail.at - len(part)
        if part and at != self._begins + len(self._begun):
            self.end()  # the middle of a log that grew too large was given back, or somebody emptied it
        if not self._begun:
            self._begins = at
        *whole, self._begun = (self._begun + part).split(b"\n")
        said = [self._record(line, len(line) + 1) for line in whole]
        if len(self._begun) > LINE_BYTES_MAX:
            said.append(self._rest())
        write(1, b"".join(said))
        return bool(part)

    def end(self) -> None:
        if self._begun:
            write(1, self._rest())

    def _rest(self) -> bytes:
        line, self._begun = self._begun, b""
        return self._record(line, len(line))

    def _record(self, line: bytes, size: int) -> bytes:
        record = {"attempt": self._tail.n, "offset": self._begins, "line": line.decode(errors="replace")}
        self._begins += size
        return json.dumps(record).encode() + b"\n"


def _follow(workspace: Workspace, run: str, tail: Tail, shown: Plain, *, only: bool) -> None:
    """Until the run has ended (`only`: the attempt), and all of its output was shown."""
    keeper = Keeper(workspace, run, quick.place_of(workspace, run))
    while True:
        over = tail.is_over()
        if shown.more():
            continue
        if over:
            shown.end()
        if over and only:
            return
        if over and tail.advance():
            print(f"outlast: --- attempt {tail.n} ---", file=sys.stderr, flush=True)
            continue
        phase = str(quick.snapshot_of(workspace, run).get("phase"))
        if phase == "ended":
            return
        keeper.look(phase)
        time.sleep(POLL_S)
