"""`outlast why`: the story of a run for somebody who was asleep: attempts, ends, causes, and what to do now.

Knows the snapshot and the wordings. Refuses to diagnose: it tells what was journaled.
"""

import json
import sys
import time
from argparse import Namespace
from typing import Any

from outlast.cli import quick, words
from outlast.cli.parse import Parser, add_json
from outlast.cli.parse import add_run as add_run_argument
from outlast.disk import workspace as workspaces
from outlast.disk.layout import Workspace
from outlast.errors import OK

Record = dict[str, Any]
LOG_LINES, LOG_BYTES = 5, 8192
# (phase, waiting_for): what to do; None: any
ADVICE = {
    ("queued", None): "nothing: it starts when a slot is free and what it waits for has completed",
    ("launching", None): "nothing: its runner is starting",
    ("waiting", "backoff"): "nothing: the next attempt starts by itself; `outlast retry {run}` starts it now",
    ("waiting", "disk"): "free some disk space: it goes on by itself",
    (
        "waiting",
        "code-changed",
    ): "`outlast lock diff {run}` shows what was changed; `outlast retry {run}` goes on with it",
    ("waiting", "down"): "`outlast up --detach` goes on with it",
    ("waiting", None): "nothing: it goes on by itself",
    ("paused", None): "`outlast resume {run}` lets it go on",
    ("running", None): "nothing: it is running; `outlast logs -f {run}` shows its output",
}
CAUSE_ADVICE = {
    "resume_ignored": "let the script load {{checkpoint}} (--resume-args) or OUTLAST_RESUME_FROM, then `outlast retry "
    "{run}`; if it did, and only counts from its own beginning: `outlast rerun {run} --take-over --no-resume-check`",
    "nonfinite_loss": "look at the data and the learning rate near that step, then `outlast retry {run}`: it goes on "
    "from its last finite checkpoint",
}
OUTCOME_ADVICE = {
    "completed": "nothing",
    "failed": "mend the cause, then `outlast retry {run}`: it goes on from its newest checkpoint",
    "no-op": "it ended well and did nothing: check the command, then `outlast rerun {run}`",
    "unknown": "look at its output, then `outlast retry {run}` or `outlast rm {run}`",
    "cancelled": "`outlast retry {run}` lets it go on, `outlast rm {run}` forgets it",
}


def add_why(parser: Parser) -> None:
    add_run_argument(parser)
    add_json(parser)
    parser.examples("outlast why @last", "outlast why big --json | jq .do")


def why(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace, reading=True)
    snapshot = quick.snapshot_of(workspace, quick.resolve(workspace, arguments.run))
    story = told(workspace, snapshot)
    sys.stdout.write(json.dumps(story, indent=1) + "\n" if arguments.json else text(story))
    return OK


def told(workspace: Workspace, snapshot: Record) -> Record:
    """{id, phase, outcome, why, cause, story: [lines], output: [the last lines of the attempt that ended badly], do}"""
    run = str(snapshot["id"])
    place = str(snapshot.get("place") or quick.place_of(workspace, run).name)
    attempts = snapshot.get("attempts") or []
    last = attempts[-1] if attempts else {}
    bad = last.get("verdict") not in (None, "finished")
    served = quick.is_held(workspace.place(place).lock) is not False
    return {
        "id": run,
        "phase": snapshot.get("phase"),
        "waiting_for": snapshot.get("waiting_for"),
        "outcome": snapshot.get("outcome"),
        "why": snapshot.get("why"),
        "cause": snapshot.get("cause"),
        "story": [
            _begun(snapshot),
            *[line for attempt in attempts for line in [*_attempt(attempt), *_incidents(snapshot, attempt)]],
            _now(snapshot),
        ],
        "output": _last_lines(workspace, run, int(last["n"])) if bad else [],
        "do": _do(snapshot, served).format(run=run),
    }


def text(story: Record) -> str:
    lines = list(story["story"])
    if story["output"]:
        lines += ["", "its last words:", *[f"  | {line}" for line in story["output"]]]
    return "\n".join([*lines, "", f"what to do: {story['do']}"]) + "\n"


def _begun(snapshot: Record) -> str:
    age = words.age(snapshot.get("created_at"), time.time())
    return f"{snapshot['id']} was accepted at {snapshot.get('created_at')} ({age} ago)."


def _attempt(attempt: Record) -> list[str]:
    whence = f"resuming from {attempt['resumed_from']}" if attempt.get("resumed_from") else "from scratch"
    lines = [f"Attempt {attempt['n']} began at {attempt.get('started_at')}, {whence}."]
    if attempt.get("verdict") == "never-began":
        lines = [f"Attempt {attempt['n']} was not begun."]
    if warning := words.not_resumed(attempt.get("resume_reasons")):
        lines.append(f"  {warning}")
    lines += [f"  {warning}" for warning in words.lock_warnings(attempt.get("resume_reasons"))]
    if attempt.get("verdict") is None:
        return lines
    last = attempt.get("last_step")
    at = f" at step {last}" if last is not None else ""
    lasted = f" after {words.span(attempt['lasted_s'])}" if attempt.get("lasted_s") is not None else ""
    cause = words.cause(attempt.get("cause"))
    named = f", cause: {cause}" if cause not in ("", "exit") and attempt["verdict"] != "finished" else ""
    lines.append(f"  It ended{at}{lasted}: {attempt['verdict']} ({words.end(attempt.get('exit'))}{named}).")
    if attempt.get("why") and attempt["why"] != words.end(attempt.get("exit")):
        lines.append(f"  {attempt['why']}")
    if attempt.get("charged") is False and attempt["verdict"] not in ("finished", "no-op"):
        lines.append("  It was not charged to the attempts it has.")
    return lines


def _incidents(snapshot: Record, attempt: Record) -> list[str]:
    """What was found before it was ended: who stood where, and where all of it lies."""
    lines = []
    for incident in snapshot.get("incidents") or ():
        if incident.get("attempt") != attempt["n"]:
            continue
        lines += [f"  {line}" for line in words.evidence(incident)]
        lines.append(f"  The evidence is in {incident['path']}")
    return lines


def _now(snapshot: Record) -> str:
    proof = f" (proof: {snapshot['proof']})" if snapshot.get("proof") else ""
    why = str(snapshot.get("why") or "").removeprefix(f"{snapshot.get('waiting_for')}: ")
    because = f": {why}" if why else ""
    if snapshot.get("phase") == "ended":
        return f"It ended at {snapshot.get('ended_at')}: {snapshot.get('outcome')}{proof}{because}"
    return f"Now: {words.phase(snapshot)}{because}"


def _do(snapshot: Record, served: bool) -> str:
    phase, waiting_for = snapshot.get("phase"), snapshot.get("waiting_for")
    if phase == "ended":
        if snapshot.get("outcome") == "failed" and (advice := CAUSE_ADVICE.get(str(snapshot.get("cause")))):
            return advice
        return OUTCOME_ADVICE.get(str(snapshot.get("outcome")), OUTCOME_ADVICE["unknown"])
    if not served and not words.waits_for_a_person(snapshot):
        return "nobody supervises it: `outlast up --detach` goes on with it"
    advice = ADVICE.get((str(phase), waiting_for)) or ADVICE.get((str(phase), None))
    return advice or "`outlast show {run}` says more"


def _last_lines(workspace: Workspace, run: str, n: int) -> list[str]:
    from outlast.cli.tail import Tail

    tail = Tail(workspace.run(run), n)
    try:
        tail.seek_last_lines(LOG_LINES)
        lines = tail.read()[-LOG_BYTES:].decode(errors="replace").splitlines()
    except OSError:
        return []  # the log is evidence for a person; without it the story still stands
    finally:
        tail.close()
    return [line for line in lines if line.strip()][-LOG_LINES:]
