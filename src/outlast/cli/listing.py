"""`outlast ls`: one line for each run, read from the boards. Fast: argparse and json only.

Knows columns and filters. Refuses to know how a run came to be as it is.
"""

from __future__ import annotations

import sys
import time

from outlast.cli import quick, words
from outlast.disk import workspace as workspaces
from outlast.errors import OK, UserError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from outlast.cli.parse import Parser
    from outlast.disk.layout import Workspace

RECENT_S = 86_400.0
PHASES = ("queued", "launching", "running", "waiting", "paused", "ended")
OUTCOMES = ("completed", "failed", "cancelled", "no-op", "unknown")
DEFAULT = "id,phase,step,loss,rate,eta,attempt,age,why"
NEEDS_SUPERVISOR = ("queued", "launching", "running", "waiting")


def _where(row: quick.Row, now: float) -> str:
    seen = row.get("seen_at")
    return f"last seen {words.age(seen, now)} ago on {row['host']}" if seen else ""


COLUMNS: dict[str, Callable[[quick.Row, float], str]] = {
    "id": lambda row, now: str(row["id"]),
    "name": lambda row, now: str(row.get("name") or "-"),
    "phase": lambda row, now: words.phase(row),
    "outcome": lambda row, now: str(row.get("outcome") or "-"),
    "verdict": lambda row, now: str(row.get("verdict") or "-"),
    "step": lambda row, now: words.steps(row.get("step"), row.get("total")),
    "loss": lambda row, now: words.number(row.get("loss")),
    "rate": lambda row, now: f"{words.number(row['rate'])}/s" if row.get("rate") else "-",
    "eta": lambda row, now: words.span(row.get("eta_s")) if row.get("phase") != "ended" else "-",
    "attempt": lambda row, now: str(row.get("attempt") or "-"),
    "age": lambda row, now: words.age(row.get("created_at"), now),
    "created": lambda row, now: str(row.get("created_at") or "-"),
    "updated": lambda row, now: words.age(row.get("updated_at"), now),
    "ended": lambda row, now: words.age(row.get("ended_at"), now),
    "tags": lambda row, now: ",".join(row.get("tags") or []) or "-",
    "place": lambda row, now: str(row.get("place") or "-"),
    "why": lambda row, now: "; ".join(filter(None, (_where(row, now), row.get("why")))),
}
# what a column is sorted by, where that is not its text
SORT_KEYS = {
    "age": "created_at",
    "created": "created_at",
    "updated": "updated_at",
    "ended": "ended_at",
    "eta": "eta_s",
}
DEFAULT_SORT = "created"


class Choice:
    """The options of `ls`, before any was given: argparse fills in the same names."""

    all: bool = False
    json: bool = False
    phase: list[str] | None = None
    outcome: list[str] | None = None
    tag: list[str] | None = None
    since: str | None = None
    workspace: str | None = None
    sort: str = DEFAULT_SORT
    columns: str = DEFAULT


def plain(workspace: str | None, *, as_json: bool) -> int:
    choice = Choice()
    choice.workspace, choice.json = workspace, as_json
    return ls(choice)


def add_ls(parser: Parser) -> None:
    from outlast.cli.parse import add_json

    parser.add_argument("--all", action="store_true", help="also what ended more than a day ago")
    parser.add_argument("--phase", action="append", metavar="PHASE", help=f"only these: {', '.join(PHASES)}")
    parser.add_argument(
        "--outcome", action="append", metavar="OUTCOME", help=f"only these: {', '.join(OUTCOMES)}"
    )
    parser.add_argument("--since", metavar="DURATION|TIME", help="only runs made since: 2h, 7d, 2026-01-31")
    parser.add_argument(
        "--tag", action="append", metavar="T", help="only runs with this tag (several: with all)"
    )
    parser.add_argument(
        "--sort", metavar="[-]COLUMN", default=DEFAULT_SORT, help="by this column; - for descending"
    )
    parser.add_argument("--columns", metavar="A,B,...", default=DEFAULT, help=", ".join(COLUMNS))
    add_json(parser)
    parser.examples(
        "outlast ls",
        "outlast ls --phase running,waiting --columns id,step,loss,why",
        "outlast ls --all --outcome failed --since 7d --json",
    )


def ls(arguments: Namespace | Choice) -> int:
    columns = _known(arguments.columns.split(","), tuple(COLUMNS), "--columns")
    phases = _known(_split(arguments.phase), PHASES, "--phase")
    outcomes = _known(_split(arguments.outcome), OUTCOMES, "--outcome")
    since_s = _since(arguments.since)
    descending, sort = arguments.sort.startswith("-"), arguments.sort.lstrip("-")
    _known([sort], tuple(COLUMNS), "--sort")
    workspace = workspaces.existing(arguments.workspace, reading=True)
    every = quick.rows(workspace)
    filtered = bool(phases or outcomes or arguments.tag or arguments.since)
    if arguments.all or filtered:
        every += quick.older_rows(workspace, {row["id"] for row in every})
    chosen = [
        row
        for row in every
        if (not phases or row.get("phase") in phases)
        and (not outcomes or row.get("outcome") in outcomes)
        and set(arguments.tag or ()) <= set(row.get("tags") or ())
        and (since_s is None or (words.epoch_s(row.get("created_at")) or 0.0) >= since_s)
    ]
    hidden = 0
    if not (arguments.all or filtered):
        before = words.stamp(time.time() - RECENT_S)
        recent = [
            row for row in chosen if row.get("phase") != "ended" or (row.get("ended_at") or before) >= before
        ]
        hidden, chosen = len(chosen) - len(recent), recent
    chosen.sort(key=_sort_key(sort), reverse=descending)
    if arguments.json:
        import json

        sys.stdout.write(
            "[" + ",\n ".join(map(json.dumps, chosen)) + "]\n"
        )  # indent= would cost ten times as much
        return OK
    if chosen:
        sys.stdout.write(table(chosen, columns))
    _talk(workspace, every, len(chosen), hidden)
    return OK


def table(rows: list[quick.Row], columns: list[str]) -> str:
    """Aligned columns; the last one is cut at the edge of a terminal."""
    now = time.time()
    lines = [[name.upper() for name in columns]]
    readers = [COLUMNS[name] for name in columns]
    lines += [[read(row, now) for read in readers] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    form = "  ".join([*[f"%-{width}s" for width in widths[:-1]], "%s"])
    text = [(form % tuple(line)).rstrip().replace("\n", " ") for line in lines]
    width = _terminal_width()
    if width:
        text = [line if len(line) <= width else line[: width - 1] + "…" for line in text]
    return "\n".join(text) + "\n"


def _terminal_width() -> int:
    import os

    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0


def _sort_key(column: str) -> Callable[[quick.Row], tuple[bool, object, str]]:
    key = SORT_KEYS.get(column, column)

    def of(row: quick.Row) -> tuple[bool, object, str]:
        """Rows that say nothing come first; numbers by size, the rest by text."""
        value = row.get(key)
        if column == "phase":
            value = words.phase(row)
        if isinstance(value, list):
            value = ",".join(value)
        return value is not None, "" if value is None else value, row["id"]

    return of


def _split(given: list[str] | None) -> list[str]:
    return [word for text in given or () for word in text.split(",")]


def _known(given: list[str], known: tuple[str, ...], option: str) -> list[str]:
    for word in given:
        if word not in known:
            from outlast.cli.words import nearest

            near = nearest(word, list(known)) or f"; known are {', '.join(known)}"
            raise UserError(f"ls: {option}: there is no {word!r}{near}")
    return given


def _since(text: str | None) -> float | None:
    if text is None:
        return None
    moment = words.epoch_s(text)
    if moment is not None:
        return moment
    from outlast.settings import seconds

    try:
        return time.time() - seconds(text)
    except ValueError:
        raise UserError(
            f"ls: --since {text!r}: write a duration (2h, 7d) or a time (2026-01-31T12:00)"
        ) from None


def _talk(workspace: Workspace, rows: list[quick.Row], shown: int, hidden: int) -> None:
    """What the table does not say, for a person."""
    if not rows:
        _note(f"no runs in {workspace.root} yet: outlast run -- COMMAND")
    elif hidden:
        _note(f"{hidden} more ended over a day ago: outlast ls --all")
    elif not shown:
        _note("no run matches")
    here = {
        row["place"]
        for row in rows
        if row.get("phase") in NEEDS_SUPERVISOR
        and not row.get("seen_at")
        and not words.waits_for_a_person(row)
    }
    for place in sorted(name for name in here if name):
        if quick.is_held(workspace.place(place).lock) is False:
            cure = "outlast resume RUN" if place.startswith("inline-") else "outlast up -d"
            _note(f"nobody supervises place {place}: this is how its supervisor left it ({cure})")


def _note(line: str) -> None:
    print(f"outlast: {line}", file=sys.stderr)
