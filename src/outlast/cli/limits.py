"""`outlast limits`: how long each section of a run may be quiet, and what would have been declared of a timeline, when.

Knows the record of what was learned, and how to start the runner's own decision beside us: on our interpreter, with
nothing but the standard library, as a runner is started. Refuses to decide anything by itself.
"""

import json
import os
import subprocess
import sys
from argparse import Namespace
from typing import Any

import outlast
from outlast.backends.local.runners import clean_environment
from outlast.cli import quick, words
from outlast.cli.parse import Parser, add_json
from outlast.disk import workspace as workspaces
from outlast.disk.layout import RunFolder
from outlast.errors import OK, NotFound, UserError, WorldError

Record = dict[str, Any]
BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.runner.replay import main; sys.exit(main())"
FLOOR = os.path.dirname(os.path.dirname(os.path.abspath(outlast.__file__)))
REPLAY_LIMIT_S = 600
USAGE_OF_THE_PROGRAM = 2
NOTES = {
    "series": "series: without the SDK, the steps that are read from its output",
    "at first": "at first: until enough samples have taught a better limit; --stall-limit says one",
}
HEAD = "SECTION,LIMIT,SAMPLES,MEDIAN,P99,WHY".split(",")


def add_limits(parser: Parser) -> None:
    parser.add_argument(
        "what", choices=("show", "replay"), help="a run's limits, or what would have been declared, and when"
    )
    parser.add_argument(
        "target",
        metavar="RUN|FILE.json",
        help="an id, a unique prefix, a name (its newest run) or @last; `replay` also takes a timeline's file",
    )
    add_json(parser)
    parser.examples(
        "outlast limits show @last",
        "outlast limits replay big",
        "outlast limits replay timeline.json --json | jq .declared_s",
    )


def limits(arguments: Namespace) -> int:
    if arguments.what == "show":
        return _show(arguments)
    answer = _ask("replay", _timeline(arguments.workspace, arguments.target), arguments.target)
    sys.stdout.write(json.dumps(answer, indent=1) + "\n" if arguments.json else _told(answer))
    return OK


def _show(arguments: Namespace) -> int:
    folder = _folder(arguments.workspace, arguments.target)
    declared = (quick.record(folder.record) or {}).get("stall_limits_s") or []
    learned = {key: value for key, value in _learned(folder).items() if key != "timeline"}
    rows = _ask("show", {"learned": learned, "declared": declared}, folder.limits)
    if arguments.json:
        sys.stdout.write(json.dumps({"run": folder.id, "limits": rows}, indent=1) + "\n")
    else:
        sys.stdout.write(words.table([HEAD, *map(_row, rows)]))
        sys.stdout.write("".join(f"\n{line}" for line in _notes(rows)) + "\n")
    return OK


def _timeline(workspace: str | None, target: str) -> object:
    if target.endswith(".json") or os.path.sep in target:
        return _file(target)
    folder = _folder(workspace, target)
    timeline = _learned(folder).get("timeline")
    if timeline is None:
        raise NotFound(f"run {folder.id} kept no timeline: no attempt of it was watched yet")
    return timeline


def _file(path: str) -> object:
    try:
        with open(path, "rb") as file:
            return json.loads(file.read())
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON: {error}") from None


def _folder(workspace: str | None, wanted: str) -> RunFolder:
    found = workspaces.existing(workspace, reading=True)
    return found.run(quick.resolve(found, wanted))


def _learned(folder: RunFolder) -> Record:
    return quick.record(folder.limits) or {}


def _ask(what: str, question: object, where: str) -> Any:
    """The runner's own decision, in a process of its own. Raises UserError: the question makes no sense."""
    command = [sys.executable, "-I", "-S", "-c", BOOT, FLOOR, what]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question).encode(),
            capture_output=True,
            env=clean_environment(),
            timeout=REPLAY_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorldError(f"{where}: cannot be played: {error}") from error
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == USAGE_OF_THE_PROGRAM:
        raise UserError(f"{where}: {said}")
    if done.returncode != OK:
        raise WorldError(f"{where}: cannot be played: {said[-300:]}")
    return json.loads(done.stdout)


def _told(answer: Record) -> str:
    declared_s, straggler_s = answer["declared_s"], answer["straggler_s"]
    when = "" if declared_s is None else f"after {words.span(declared_s)} ({declared_s:.0f} s): "
    slow = (
        "" if straggler_s is None else f"a straggler since {words.span(straggler_s)} ({straggler_s:.0f} s)\n"
    )
    return f"{when}{answer['reason']}\n{slow}"


def _row(row: Record) -> list[str]:
    spans = [words.span(row[key]) for key in ("limit_s", "median_s", "p99_s")]
    return [row["section"], spans[0], str(row["samples"] or "-"), *spans[1:], row["why"]]


def _notes(rows: list[Record]) -> list[str]:
    """What the words of the table mean, where they stand in it."""
    return [text for word, text in NOTES.items() if any(word in (row["section"], row["why"]) for row in rows)]
