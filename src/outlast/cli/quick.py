"""Reads what supervisors have written for screens: boards, snapshots, progress. Imports json and nothing heavy.

Knows that a derived file may be missing, old or half the truth: what cannot be read is not shown, never invented.
Refuses to know how anything is decided, and never writes.
"""

from __future__ import annotations

import fcntl
import json
import os

from outlast.cli.words import stamp
from outlast.disk.layout import AttemptFolder, Place, Workspace
from outlast.errors import NotFound, UserError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = dict[str, Any]

LAST = "@last"
SHOWN_AT_MOST = 8
LIVE = ("launching", "running")
PROGRESS = ("step", "total", "loss", "rate", "eta_s", "section", "last_progress_s")
OF_ONE_RUN = ("elapsed_s", "epoch", "total_epochs", "val_loss", "source", "confidence", "unit")


def record(path: str) -> dict[str, Any] | None:
    """A derived record, None if it is not there or says nothing."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def boards(workspace: Workspace) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, board) of every place; a place whose board cannot be read has an empty one."""
    for name in sorted(names(workspace.places)):
        yield name, record(workspace.place(name).board) or {}


def rows(workspace: Workspace, seen: dict[str, dict[str, Any]] | None = None) -> list[Row]:
    """One row for each run, of all places, with live progress; also of runs that no supervisor has taken yet. `seen`:
    the boards, if they were read already."""
    found: list[Row] = []
    older = 0
    here = os.uname().nodename
    for place, board in (dict(boards(workspace)) if seen is None else seen).items():
        written = _written(workspace.place(place).board)
        host = (board.get("supervisor") or {}).get("host", here)
        older += board.get("older", 0)
        for row in board.get("runs", ()):
            row["place"] = place
            if host != here:
                row["seen_at"] = _stamp(board.get("at"))
                row["host"] = host
            elif row.get("phase") != "ended":
                _bring_up_to_date(workspace, row, written)
            found.append(row)
    found += _not_on_a_board(workspace, {row["id"] for row in found}, older)
    return found


def older_rows(workspace: Workspace, known: set[str]) -> list[Row]:
    """Ended runs that no longer fit on a board, from their own snapshots."""
    found = []
    for name in set(names(workspace.runs)) - known:
        snapshot = record(workspace.run(name).snapshot)
        if snapshot is not None:
            found.append(row_of(snapshot))
    return found


def row_of(snapshot: dict[str, Any]) -> Row:
    progress = snapshot.get("progress") or {}
    attempts = snapshot.get("attempts") or []
    row = {key: snapshot.get(key) for key in ("id", "name", "phase", "waiting_for", "outcome", "why", "tags")}
    row |= {key: snapshot.get(key) for key in ("created_at", "updated_at", "ended_at", "place")}
    row |= {key: progress.get(key) for key in ("step", "total", "loss", "rate", "eta_s")}
    row["verdict"] = attempts[-1].get("verdict") if attempts else None
    row["attempt"] = attempts[-1].get("n") if attempts else None
    return row


def _bring_up_to_date(workspace: Workspace, row: Row, written: int) -> None:
    """What was written since the board: the run's snapshot (boards are written at most twice a second), and what its
    runner says."""
    path = workspace.run(row["id"]).snapshot
    if _written(path) > written:
        row |= {key: value for key, value in row_of(record(path) or {}).items() if value is not None}
    if row.get("phase") not in LIVE:
        return
    attempt_dir = row.get("attempt_dir") or workspace.run(row["id"]).attempt(row.get("attempt") or 1).path
    row["phase"] = phase_of_live(attempt_dir, row["phase"])
    live = record(os.path.join(attempt_dir, "progress.json")) or {}
    row |= {key: live[key] for key in PROGRESS if live.get(key) is not None}


def _written(path: str) -> int:
    """When, in ns; 0: never."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def is_held(lock: str) -> bool | None:
    """Whether a supervisor of this host holds the place; None where that cannot be seen."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(fd)
    return False


def resolve(workspace: Workspace, wanted: str) -> str:
    """The id of the run that `wanted` means: an id, @last, a name (its newest run), a unique prefix. Raises NotFound,
    UserError (ambiguous)."""
    ids = [name for name in names(workspace.runs) if name_of(name)]
    if wanted in ids:
        return wanted
    if wanted == LAST:
        return _last(workspace, ids)
    named = [run for run in ids if name_of(run) == wanted]
    if named:
        return max(named, key=_age_key)
    begun = [run for run in ids if run.startswith(wanted)] if wanted else []
    if len(begun) == 1:
        return begun[0]
    if begun:
        listed = sorted(begun)
        more = f" and {len(listed) - SHOWN_AT_MOST} more" if len(listed) > SHOWN_AT_MOST else ""
        raise UserError(
            f"{wanted!r} may mean {', '.join(listed[:SHOWN_AT_MOST])}{more}: write more of the id"
        )
    packed = os.path.join(workspace.archive, f"{wanted}.tar.gz")
    if os.path.exists(packed):
        raise NotFound(f"run {wanted} was archived: it lies in {packed}")
    raise NotFound(f"no run {wanted!r} in {workspace.root}{_near(wanted, ids)} (outlast ls --all lists them)")


def place_of(workspace: Workspace, run: str) -> Place:
    """The place that the run belongs to for life. Raises NotFound if its record cannot be read."""
    spec = record(workspace.run(run).record)
    if spec is None or not isinstance(spec.get("place"), str):
        raise NotFound(f"{workspace.run(run).record}: cannot be read: this run was never accepted")
    return workspace.place(spec["place"])


def snapshot_of(workspace: Workspace, run: str) -> dict[str, Any]:
    """The run's snapshot, with what runners have written since; a sketch where no supervisor has written one yet."""
    folder = workspace.run(run)
    found = record(folder.snapshot)
    if found is None:
        return _sketch(workspace, run)
    attempts = found.get("attempts") or []
    for attempt in attempts:
        _add_beginning(folder.attempt(attempt["n"]), attempt)
    if found.get("phase") in LIVE and attempts:
        last = folder.attempt(attempts[-1]["n"])
        found["phase"] = phase_of_live(last.path, found["phase"])
        found["progress"] = _with_live(found.get("progress") or {}, record(last.progress) or {})
    return found


def phase_of_live(attempt_dir: str, phase: str) -> str:
    """`launching` until the training has begun, which its runner writes down and nobody journals."""
    began = phase == "launching" and os.path.exists(os.path.join(attempt_dir, "started.json"))
    return "running" if began else phase


def _add_beginning(folder: AttemptFolder, attempt: dict[str, Any]) -> None:
    """Who runs it: what started.json says and the journal never did."""
    started = record(folder.started) if attempt.get("pid") is None else None
    if started is None:
        return
    child, runner = started.get("child") or {}, started.get("runner") or {}
    attempt |= {"pid": child.get("pid"), "host": child.get("host")}
    attempt["runner_pid"] = attempt.get("runner_pid") or runner.get("pid")
    attempt["started_at"] = _stamp(started.get("at")) or attempt.get("started_at")
    attempt["resumed_from"] = attempt.get("resumed_from") or started.get("resumed_from")


def _with_live(progress: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    if live:
        known = (*PROGRESS, *OF_ONE_RUN)
        progress |= {key: live[key] for key in known if live.get(key) is not None}
        progress["updated_at"] = _stamp(live.get("at"))
    return progress


def shown(snapshot: dict[str, Any]) -> dict[str, Any]:
    """A snapshot as `--json` prints it: without the stamps of the file."""
    return {key: value for key, value in snapshot.items() if key not in ("schema", "term", "record")}


def _sketch(workspace: Workspace, run: str) -> dict[str, Any]:
    spec = record(workspace.run(run).record)
    if spec is None:
        raise NotFound(
            f"run {run}: its folder holds no run.json, so it was never accepted; it may be removed by hand"
        )
    made = _stamp(spec.get("made"))
    why = "accepted; no supervisor has taken it yet"
    shown: dict[str, Any] = {
        "id": run,
        "name": spec.get("name") or name_of(run),
        "tags": spec.get("tags") or [],
    }
    shown |= {
        "phase": "queued",
        "waiting_for": None,
        "outcome": None,
        "proof": None,
        "cause": None,
        "why": why,
    }
    shown |= {"created_at": made, "updated_at": made, "ended_at": None, "resume_from": None}
    shown |= {
        "target_step": spec.get("target_step"),
        "progress": {},
        "goodput": {},
        "place": spec.get("place"),
    }
    return shown | {"attempts": [], "checkpoints": [], "incidents": [], "actions": []}


def _not_on_a_board(workspace: Workspace, known: set[str], older: int) -> list[Row]:
    """Accepted, and taken by no supervisor yet. Ended runs that no longer fit on a board are not looked at."""
    unknown = set(names(workspace.runs)) - known
    if len(unknown) <= older:
        return []
    found = []
    for run in unknown:
        folder = workspace.run(run)
        if os.path.exists(folder.record) and not os.path.exists(folder.snapshot):
            found.append(row_of(_sketch(workspace, run)))
    return found


def _last(workspace: Workspace, ids: list[str]) -> str:
    try:
        with open(workspace.last, encoding="utf-8") as file:
            named = file.read().strip()
    except OSError:
        named = ""
    if named in ids:
        return named
    if not ids:
        raise NotFound(f"there are no runs in {workspace.root}: start one with `outlast run -- COMMAND`")
    return max(ids, key=_age_key)


def _age_key(run: str) -> tuple[str, int, str]:
    """Newer ids are greater: the moment, then the suffix (-2 before -10)."""
    text = run.removeprefix(name_of(run))
    return text[:16], len(text), text


def _near(wanted: str, ids: list[str]) -> str:
    from outlast.cli.words import nearest

    return nearest(wanted, [*{name_of(run) for run in ids}, *ids]) if wanted else ""


def name_of(run: str) -> str:
    """NAME of NAME-YYYYMMDD-HHMMSS[-x]; "" if it is no run's id. (A regular expression takes longer to compile than
    `ls` has.)"""
    parts = run.split("-")
    for tail in (2, 3):
        date, clock = parts[-tail : len(parts) - tail + 2] if len(parts) > tail else ("", "")
        if len(date) == 8 and len(clock) == 6 and (date + clock).isdecimal():
            return "-".join(parts[:-tail])
    return ""


def _stamp(moment: dict[str, Any] | None) -> str | None:
    """A Moment's wall clock as RFC 3339 UTC."""
    if not moment or not isinstance(moment.get("wall_s"), (int, float)):
        return None
    return stamp(moment["wall_s"])
