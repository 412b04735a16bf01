"""`outlast show`: all that is known of a run, in fields.

Knows the snapshot. Refuses to interpret it (`why` does).
"""

import json
import shlex
import sys
import time
from argparse import Namespace
from typing import Any

from outlast.cli import quick, words
from outlast.cli.parse import Parser, add_json
from outlast.cli.parse import add_run as add_run_argument
from outlast.disk import workspace as workspaces
from outlast.errors import OK
from outlast.supervise import saved

Record = dict[str, Any]
SAID_MAX = 3
HEAD = "N,VERDICT,CAUSE,EXIT,STEPS,RESUMED FROM,BEGAN,LASTED".split(",")


def add_show(parser: Parser) -> None:
    add_run_argument(parser)
    add_json(parser)
    parser.examples("outlast show @last", "outlast show big --json | jq .progress")


def show(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace, reading=True)
    snapshot = quick.snapshot_of(workspace, quick.resolve(workspace, arguments.run))
    folder = workspace.run(snapshot["id"])
    snapshot.setdefault("run_dir", folder.path)
    verified = saved.of(folder)  # newer than the snapshot while a training runs
    if verified:
        snapshot |= {"checkpoints": verified, "checkpoint_notes": saved.notes(folder)}
    if arguments.json:
        sys.stdout.write(json.dumps(quick.shown(snapshot), indent=1) + "\n")
    else:
        sys.stdout.write(text(snapshot))
    return OK


def text(snapshot: Record) -> str:
    fields = {
        "run": snapshot.get("id"),
        "phase": _phase(snapshot),
        "why": snapshot.get("why"),
        "cause": words.cause(snapshot.get("cause")),
        "progress": _progress(snapshot.get("progress") or {}),
        "checkpoints": _checkpoints(snapshot),
        "command": shlex.join(snapshot.get("command") or []),
        "in": snapshot.get("cwd"),
        "tags": ", ".join(snapshot.get("tags") or []),
        "note": snapshot.get("note"),
        "target step": snapshot.get("target_step"),
        "place": snapshot.get("place"),
        "created": _when(snapshot.get("created_at")),
        "updated": _when(snapshot.get("updated_at")),
        "ended": _when(snapshot.get("ended_at")),
        "goodput": _goodput(snapshot.get("goodput") or {}),
        "folder": snapshot.get("run_dir"),
    }
    lines = [f"{name:<12} {value}" for name, value in fields.items() if value not in (None, "", "-")]
    attempts = snapshot.get("attempts") or []
    if attempts:
        lines += ["", *_table([_attempt(attempt) for attempt in attempts])]
    for incident in snapshot.get("incidents") or ():
        lines += ["", *_incident(incident)]
    return "\n".join(lines) + "\n"


def _phase(snapshot: Record) -> str:
    proof = f" (proof: {snapshot['proof']})" if snapshot.get("proof") else ""
    return words.phase(snapshot) + proof


def _progress(progress: Record) -> str:
    if progress.get("step") is None:
        return ""
    unit = progress.get("unit") or "step"
    parts = [f"{unit} {words.steps(progress['step'], progress.get('total'))}"]
    if progress.get("loss") is not None:
        parts.append(f"loss {words.number(progress['loss'])}")
    if progress.get("rate"):
        parts.append(f"{words.number(progress['rate'])} {unit}s/s")
    if progress.get("eta_s") is not None:
        parts.append(f"ETA {words.span(progress['eta_s'])}")
    if read := words.read_from(progress):
        parts.append(read)
    return ", ".join(parts)


def _checkpoints(snapshot: Record) -> str:
    """The newest that is good, what is wrong with newer ones, and what could not be done."""
    rows: list[Record] = snapshot.get("checkpoints") or []
    good = next((row for row in rows if row["verdict"] == "whole" and row.get("finite") is not False), None)
    said = []
    for row in rows[: rows.index(good) if good is not None else SAID_MAX]:
        what = "not finite" if row.get("finite") is False else row["verdict"]
        said.append(f"step {row['step']} {what}")
    if good is not None:
        level = f" (L{good['level']}{', finite' if good.get('finite') else ''})" if good.get("level") else ""
        copy = f", second copy {good['pinned']}" if good.get("pinned") else ""
        said.append(f"step {good['step']} whole{level}{copy}")
        older = len(rows) - rows.index(good) - 1
        said += [f"{older} older"] if older else []
    return "; ".join([*said, *(snapshot.get("checkpoint_notes") or ())])


def _goodput(goodput: Record) -> str:
    if goodput.get("ratio") is None:
        return ""
    useful, total = words.span(goodput.get("useful_s")), words.span(goodput.get("total_s"))
    return f"{goodput['ratio']:.1%} ({useful} of {total})"


def _when(stamp: str | None) -> str:
    return f"{stamp} ({words.age(stamp, time.time())} ago)" if stamp else ""


def _attempt(attempt: Record) -> list[str]:
    first, last = attempt.get("first_step"), attempt.get("last_step")
    ended = attempt.get("verdict") is not None
    return [
        str(attempt["n"]),
        str(attempt.get("verdict") or "running"),
        words.cause(attempt.get("cause")) or "-",
        words.end(attempt.get("exit")) if ended else "-",
        f"{first if first is not None else '?'}-{last}" if last is not None else "-",
        str(attempt.get("resumed_from") or "-"),
        str(attempt.get("started_at") or "-"),
        words.span(attempt.get("lasted_s")),
    ]


def _incident(incident: Record) -> list[str]:
    if incident.get("damaged"):
        return [f"incident {incident['n']}: {incident['damaged']}"]
    reason, attempt = incident.get("reason"), incident.get("attempt")
    return [
        f"incident {incident['n']} of attempt {attempt}: {reason}",
        *[f"  {line}" for line in words.evidence(incident)],
        f"  evidence: {incident['path']}",
    ]


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [HEAD, *rows]
    ]
