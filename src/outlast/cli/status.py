"""`outlast status`: who supervises, what runs, what is held, and why nothing runs. Fast: argparse and json only.

Knows boards and locks. Refuses to know a single run's story (`outlast why`).
"""

from __future__ import annotations

import os
import sys
import time

from outlast.cli import quick, words
from outlast.disk import workspace as workspaces
from outlast.errors import NOT_FOUND, OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from outlast.cli.parse import Parser
    from outlast.disk.layout import Workspace

UNSERVED = ("queued", "launching", "running", "waiting")
SEEN_WITHIN_S = 90.0


def plain(workspace: str | None, *, as_json: bool) -> int:
    return _print(workspaces.existing(workspace, reading=True), as_json)


def add_status(parser: Parser) -> None:
    from outlast.cli.parse import add_json

    add_json(parser)
    parser.examples("outlast status", "outlast status --json | jq .why")


def status(arguments: Namespace) -> int:
    return plain(arguments.workspace, as_json=arguments.json)


def _print(workspace: Workspace, as_json: bool) -> int:
    found = summary(workspace)
    if as_json:
        import json

        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        sys.stdout.write(_text(workspace, found))
    return OK if found["health"] != "unsupervised" else NOT_FOUND


def summary(workspace: Workspace) -> dict[str, Any]:
    """{supervisors, runs: {phase: n}, holds, why, health}. health: ok, held, unsupervised (somebody must act)."""
    boards = dict(quick.boards(workspace))
    rows = quick.rows(workspace, boards)
    supervisors = [_supervisor(workspace, place, board) for place, board in boards.items()]
    phases: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for row in rows:
        phases[row["phase"]] = phases.get(row["phase"], 0) + 1
        if row.get("waiting_for"):
            waiting[row["waiting_for"]] = waiting.get(row["waiting_for"], 0) + 1
    orphans = _unsupervised(rows, supervisors)
    holds = [hold for supervisor in supervisors for hold in supervisor.pop("holds")]
    health = "unsupervised" if orphans else "held" if holds else "ok"
    why = _why(rows, phases, waiting, holds, orphans)
    shown = [
        one for one in supervisors if one["alive"] is not False or one["place"] in orphans or one["error"]
    ]
    return {
        "supervisors": shown,
        "runs": phases,
        "waiting_for": waiting,
        "holds": holds,
        "why": why,
        "health": health,
    }


def _supervisor(workspace: Workspace, name: str, board: dict[str, Any]) -> dict[str, Any]:
    place = workspace.place(name)
    said = quick.record(place.supervisor) or {}
    here = said.get("host", os.uname().nodename) == os.uname().nodename
    error = said.get("error") or None
    holds = [hold if isinstance(hold, str) else str(hold.get("what")) for hold in board.get("holds") or []]
    return {
        "place": name,
        "pid": said.get("pid"),
        "host": said.get("host"),
        "alive": quick.is_held(place.lock) if here else _beats(place.board, place.beat),
        "since": words.stamp(said["start_time"]) if said.get("start_time") else None,
        "version": said.get("version"),
        "error": error,
        "holds": [*holds, *([error] if error else [])],
    }


def _unsupervised(rows: list[quick.Row], supervisors: list[dict[str, Any]]) -> list[str]:
    """Places with runs to serve that nobody holds."""
    held = {one["place"]: one["alive"] for one in supervisors}
    needed = {
        row.get("place") for row in rows if row.get("phase") in UNSERVED and not words.waits_for_a_person(row)
    }
    return sorted(place for place in needed if place and not held.get(place, False))


def _why(
    rows: list[quick.Row],
    phases: dict[str, int],
    waiting: dict[str, int],
    holds: list[str],
    orphans: list[str],
) -> str:
    """Why nothing runs, or what is going on, in one sentence."""
    if not rows:
        return "there are no runs: start one with `outlast run -- COMMAND`"
    if orphans:
        inline = all(place.startswith("inline-") for place in orphans)
        cure = (
            "`outlast resume RUN` goes on with one" if inline else "`outlast up --detach` goes on with them"
        )
        return f"runs wait and nobody supervises place {', '.join(orphans)}: {cure}"
    running = phases.get("running", 0) + phases.get("launching", 0)
    if running:
        return f"{running} running"
    if holds:
        return f"held: {'; '.join(holds)}"
    if phases.get("paused"):
        return f"{phases['paused']} paused: `outlast resume RUN` lets one go on"
    if waiting:
        said = "waiting for " + ", ".join(f"{what} ({count})" for what, count in sorted(waiting.items()))
        return said + "; `outlast retry RUN` goes on with changed code" * ("code-changed" in waiting)
    if phases.get("queued"):
        return f"{phases['queued']} queued, about to start"
    return "all runs have ended"


def _beats(*paths: str) -> bool | None:
    """A supervisor on another host: whether it wrote lately; None if nobody can tell."""
    times = [os.stat(path).st_mtime for path in paths if os.path.exists(path)]
    return time.time() - max(times) < SEEN_WITHIN_S if times else None


def _text(workspace: Workspace, found: dict[str, Any]) -> str:
    now = time.time()
    lines = [f"workspace    {workspace.root}"]
    for one in found["supervisors"]:
        life = {True: "alive", False: "not running", None: "cannot be seen from here"}[one["alive"]]
        since = f", since {words.age(one['since'], now)}" if one["alive"] and one["since"] else ""
        lines.append(f"supervisor   {one['place']}: {life} (pid {one['pid']} on {one['host']}{since})")
        if one["error"]:
            lines.append(f"             {one['error']}")
    if not found["supervisors"]:
        lines.append("supervisor   none is needed")
    counts = ", ".join(f"{count} {phase}" for phase, count in sorted(found["runs"].items())) or "none"
    lines += [f"runs         {counts}", f"health       {found['health']}", f"why          {found['why']}"]
    return "\n".join(lines) + "\n"
