"""`outlast rm|archive`: ended runs leave the workspace, deleted or packed.

Refuses to delete by itself: the supervisor does, on a settled record. Checkpoints are never touched.
"""

import os
import time
from argparse import Namespace

from outlast.cli import quick, words
from outlast.cli.ask import Wish, fulfil, note
from outlast.cli.parse import Parser, duration
from outlast.cli.parse import add_run as add_run_argument
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Place, Workspace
from outlast.errors import OK, TryAgain, UserError

WITHIN_S = 120.0
HOPE_S = 5.0  # what cannot be done is tried again


def add_rm(parser: Parser) -> None:
    _add(parser)
    parser.examples("outlast rm @last", "outlast rm --older-than 30d")


def rm(arguments: Namespace) -> int:
    return _remove(arguments, "rm", "deleted (its checkpoints are where they were)")


def add_archive(parser: Parser) -> None:
    _add(parser)
    parser.examples("outlast archive big", "outlast archive --older-than 7d")


def archive(arguments: Namespace) -> int:
    return _remove(arguments, "archive", "packed into .outlast/archive")


def _add(parser: Parser) -> None:
    add_run_argument(parser, "*")
    parser.add_argument(
        "--older-than", metavar="T", type=duration, help="all that ended longer ago than this"
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="kept in the journal")
    parser.add_argument(
        "--no-wait", action="store_true", help="return once it is journaled, before it has happened"
    )


def _remove(arguments: Namespace, verb: str, done: str) -> int:
    workspace = workspaces.existing(arguments.workspace)
    if bool(arguments.runs) == (arguments.older_than is not None):
        raise UserError(f"{verb}: name runs, or give --older-than T (30d)")
    if arguments.runs:
        runs = list(dict.fromkeys(quick.resolve(workspace, wanted) for wanted in arguments.runs))
    else:
        runs = _older(workspace, arguments.older_than)
        if not runs:
            note(f"no run ended longer ago than {words.span(arguments.older_than)}: nothing to do")
    why = arguments.reason or f"outlast {verb}"
    wishes = [Wish(verb, run, [], why, _gone(workspace, verb, run), WITHIN_S) for run in runs]
    fulfil(workspace, wishes, wait=not arguments.no_wait)
    for run in runs:
        note(f"{run}: {f'{verb} is journaled' if arguments.no_wait else done}")
    return OK


def _older(workspace: Workspace, seconds: float) -> list[str]:
    every = quick.rows(workspace)
    every += quick.older_rows(workspace, {row["id"] for row in every})
    before = time.time() - seconds
    found = []
    for row in every:
        ended = words.epoch_s(row.get("ended_at")) if row.get("phase") == "ended" else None
        if ended is not None and ended < before:
            found.append(row["id"])
    return sorted(found)


def _gone(workspace: Workspace, verb: str, run: str) -> "Gone":
    return Gone(verb, quick.place_of(workspace, run))


class Gone:
    """Whether a run has been taken away, and no screen shows it any more. Raises TryAgain once it has been said for a
    while why it cannot be."""

    def __init__(self, verb: str, place: Place) -> None:
        self._verb, self._place = verb, place
        self._hindered_s: float | None = None

    def __call__(self, workspace: Workspace, run: str) -> bool:
        board = quick.record(self._place.board) or {}
        if not os.path.lexists(workspace.run(run).record):
            return all(row.get("id") != run for row in board.get("runs") or [])
        holds = [str(hold) for hold in board.get("holds") or []]
        said = [hold for hold in holds if hold.startswith(f"{self._verb} {run}: ")]
        if not said:
            self._hindered_s = None
        elif self._hindered_s is None:
            self._hindered_s = time.monotonic()
        elif time.monotonic() - self._hindered_s > HOPE_S:
            raise TryAgain(f"{said[0]}; nothing of it is lost, and it is tried again (outlast status)")
        return False
