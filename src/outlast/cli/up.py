"""`outlast up|down`: the supervisor of this workspace on this host, by hand.

Knows who holds the place and how one is asked to leave. Refuses to know what a supervisor does.
"""

import logging
import os
import sys
import time
from argparse import Namespace

from outlast.cli import quick
from outlast.cli.ask import await_answer, note
from outlast.cli.keep import SERVED
from outlast.cli.parse import Parser
from outlast.disk import files, requests
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Place, Workspace
from outlast.errors import OK, NotFound, TryAgain, WorldError

STARTED_S = 15.0
LEFT_S = 900.0  # runs are stopped safely first: a save may take its time
POLL_S = 0.05


def add_up(parser: Parser) -> None:
    way = parser.add_mutually_exclusive_group()
    way.add_argument("-d", "--detach", action="store_true", help="in the background; it stays when idle")
    way.add_argument(
        "--guard", action="store_true", help="under a small parent that starts it again when it dies"
    )
    parser.examples("outlast up", "outlast up --detach", "nohup outlast up --guard &")


def up(arguments: Namespace) -> int:
    workspace = workspaces.make(arguments.workspace)
    place = workspace.place(workspaces.place_name(workspace))
    if arguments.detach:
        return _detach(workspace, place)
    _refuse_if_held(place)
    if arguments.guard:
        from outlast.cli.guard import guard
        from outlast.supervise import start

        return guard([*start.unguarded_command(workspace, place.name), "--up", "--stay"])
    return _here(workspace, place)


def add_down(parser: Parser) -> None:
    parser.add_argument("--leave-runs", action="store_true", help="only the supervisor leaves; runs go on")
    parser.add_argument("--reason", metavar="TEXT", default="", help="kept in the journal and shown")
    parser.add_argument("--no-wait", action="store_true", help="return once it is journaled")
    parser.examples("outlast down", "outlast down --leave-runs")


def down(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace)
    place = workspace.place(workspaces.place_name(workspace))
    if quick.is_held(place.lock) is False:
        if arguments.leave_runs:
            raise NotFound(f"nobody supervises place {place.name}: there is nobody to leave, and runs go on")
        if not _has_runs(workspace, place, SERVED):
            raise NotFound(
                f"nobody supervises place {place.name}, and nothing runs: there is nothing to take down"
            )
    args = [("leave_runs", "1")] if arguments.leave_runs else []
    number = requests.post(place, "down", None, args, arguments.reason or "outlast down")
    await_answer(workspace, place, number, "down")
    if arguments.no_wait:
        return OK
    _await_leaving(place)
    note(f"the supervisor of place {place.name} has left" + (", runs go on" if arguments.leave_runs else ""))
    return OK


def _await_leaving(place: Place) -> None:
    """Until nobody holds the place: a supervisor that was asked leaves by itself once nothing lives, also one that
    stays when idle. Nothing more is asked for, which would only be heard by the next supervisor."""
    deadline = time.monotonic() + LEFT_S
    while quick.is_held(place.lock) is not False:
        if time.monotonic() > deadline:
            raise TryAgain(f"down: was accepted; runs of place {place.name} are still saving (outlast ls)")
        time.sleep(POLL_S)


def _here(workspace: Workspace, place: Place) -> int:
    from outlast.cli.background import hold_place
    from outlast.supervise.tools import Manner

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    os.umask(0o077)
    return hold_place(workspace, place.name, Manner(stay=True, up=True))


def _detach(workspace: Workspace, place: Place) -> int:
    from outlast.supervise import start

    standing = start.holder(place)
    if standing is not None:
        note(f"place {place.name} is supervised already, by pid {standing.get('pid', '?')}")
        return OK
    files.make_directory(place.path)
    process = start.spawn([*start.command(workspace, place.name), "--up", "--stay"], place)
    deadline = time.monotonic() + STARTED_S
    while time.monotonic() < deadline:
        if quick.is_held(place.lock):
            note(f"supervising place {place.name} (pid {process.pid}); its log is {place.log}")
            return OK
        if process.poll() is not None:
            break
        time.sleep(POLL_S)
    raise WorldError(f"the supervisor could not be started: read {place.log}")


def _refuse_if_held(place: Place) -> None:
    if quick.is_held(place.lock):
        said = quick.record(place.supervisor) or {}
        raise TryAgain(
            f"place {place.name} is held by the supervisor with pid {said.get('pid')} on {said.get('host')}"
        )


def _has_runs(workspace: Workspace, place: Place, phases: tuple[str, ...]) -> bool:
    return any(row.get("place") == place.name and row.get("phase") in phases for row in quick.rows(workspace))
