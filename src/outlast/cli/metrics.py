"""`outlast metrics`: one curve across all attempts of a run.

Knows attempts' metrics.jsonl (`runner/metrics` says what stands there). A later attempt that resumed at a step replaces
all that earlier ones said from that step on: what was lost is no part of the curve. Streams: no file is held whole.
"""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace

from outlast.cli import quick
from outlast.cli.parse import Parser, add_json, positive
from outlast.cli.parse import add_run as add_run_argument
from outlast.cli.words import stamp
from outlast.disk import workspace as workspaces
from outlast.disk.layout import RunFolder
from outlast.errors import OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    Row = dict[str, Any]

TOGETHER = 256  # rows within which those of one step are put together
LINE_MAX = 1 << 16
FIXED = ("step", "t", "attempt")
WIDTH = 12
NONE = "neither the SDK nor a line of its output has told a value and its step"


def add_metrics(parser: Parser) -> None:
    add_run_argument(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--csv", action="store_true", help="print comma-separated values, with a header")
    add_json(how)  # type: ignore[arg-type]  # a group takes arguments as a parser does
    parser.add_argument(
        "--name", metavar="NAME", action="append", help="only this value, e.g. loss; repeatable"
    )
    parser.add_argument(
        "--attempt", metavar="N", type=positive, help="of attempt N alone (default: all as one)"
    )
    parser.examples(
        "outlast metrics @last",
        "outlast metrics big --name loss --csv > loss.csv",
        "outlast metrics big --json | jq '.[-1].loss'",
    )


def metrics(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace, reading=True)
    run = quick.resolve(workspace, arguments.run)
    folder = workspace.run(run)
    found = [arguments.attempt] if arguments.attempt else _attempts(folder)
    first_steps, names = _survey(folder, found)
    names = arguments.name or names
    rows = _chosen(_stitched(folder, first_steps), names)
    printer = _print_json if arguments.json else _print_csv if arguments.csv else _print_text
    if not printer(rows, names):
        print(f"outlast: run {run} has no metrics: {NONE}", file=sys.stderr)
    return OK


def _attempts(folder: RunFolder) -> list[int]:
    return sorted(int(name) for name in quick.names(folder.attempts) if name.isdigit())


def _survey(folder: RunFolder, attempts: list[int]) -> tuple[dict[int, int], list[str]]:
    """The lowest step of each attempt that has any, and the names of all values as they first appear."""
    first: dict[int, int] = {}
    names: dict[str, None] = {}
    for n in attempts:
        for row in _rows(folder, n):
            first[n] = min(first.get(n, row["step"]), row["step"])
            names.update(dict.fromkeys(row))
    return first, [name for name in names if name not in FIXED]


def _stitched(folder: RunFolder, first_steps: dict[int, int]) -> Iterator[Row]:
    for n in first_steps:
        before = min((step for later, step in first_steps.items() if later > n), default=None)
        for row in _together(_rows(folder, n)):
            if before is None or row["step"] < before:
                yield {**row, "attempt": n}


def _together(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of one step as one, if they are not far apart; by step as far as that goes."""
    kept: dict[int, Row] = {}
    for row in rows:
        step = row["step"]
        kept[step] = {**kept.get(step, {}), **row}
        if len(kept) > TOGETHER:
            yield kept.pop(min(kept))
    for step in sorted(kept):
        yield kept[step]


def _chosen(rows: Iterable[Row], names: list[str]) -> Iterator[Row]:
    wanted = {*FIXED, *names}
    for row in rows:
        shown = {key: value for key, value in row.items() if key in wanted}
        if len(shown) > len(FIXED):
            yield shown


def _rows(folder: RunFolder, n: int) -> Iterator[Row]:
    """What cannot be read (a line that a crash cut short) is left out."""
    try:
        file = open(folder.attempt(n).metrics, "rb")  # noqa: SIM115 - closed below; only the opening may fail
    except OSError:
        return
    with file:
        while line := file.readline(LINE_MAX):
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict) and isinstance(row.get("step"), int):
                yield row


def _print_json(rows: Iterable[Row], names: list[str]) -> bool:
    before = "["
    for row in rows:
        sys.stdout.write(f"{before}\n{json.dumps(row)}")
        before = ","
    sys.stdout.write("[]\n" if before == "[" else "\n]\n")
    return True


def _print_csv(rows: Iterable[Row], names: list[str]) -> bool:
    writer, any_row = csv.writer(sys.stdout, lineterminator="\n"), False
    writer.writerow([*FIXED, *names])
    for row in rows:
        writer.writerow([row.get(key, "") for key in (*FIXED, *names)])
        any_row = True
    return any_row


def _print_text(rows: Iterable[Row], names: list[str]) -> bool:
    columns = [(name, max(WIDTH, len(name))) for name in names]
    titles = "".join(f"  {name:>{width}}" for name, width in columns)
    any_row = False
    for row in rows:
        if not any_row:
            sys.stdout.write(f"{'STEP':>9}  {'AT':20}  ATTEMPT{titles}\n")
        cells = "".join(f"  {_word(row.get(name)):>{width}}" for name, width in columns)
        sys.stdout.write(f"{row['step']:>9}  {_at(row):20}  {row['attempt']:>7}{cells}\n")
        any_row = True
    return any_row


def _word(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float | int) else str(value)


def _at(row: Row) -> str:
    return stamp(row["t"]) if isinstance(row.get("t"), float | int) else ""
