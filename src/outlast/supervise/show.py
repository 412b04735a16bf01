"""The derived files: snapshot.json, PROGRESS.txt and history.jsonl of a run, board.json of a place.

All of them are a fold of journal and attempt folders, never a second truth: they may be deleted at any time, and
what cannot be written is only not shown.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from outlast.decide import view
from outlast.disk import files
from outlast.disk.layout import AttemptFolder, Place, RunFolder
from outlast.errors import WorldError
from outlast.facts import Book, Done, Moment, RunId, Spec
from outlast.facts.codec import from_record
from outlast.supervise import incidents, saved

log = logging.getLogger(__name__)
SCHEMA = 1
ENDED_ROWS_MAX = 1000  # of ended runs on the board; `ls --all` reads the snapshots of the others


def write_run(
    folder: RunFolder, spec: Spec, book: Book, live: dict[str, Any] | None, stamp: tuple[int, int], note: str
) -> dict[str, Any]:
    """Write what every screen reads of one run, and give its row for the board. `note`: why it waits, or what of it
    could not be seen."""
    snapshot = {
        "schema": SCHEMA,
        "term": stamp[0],
        "record": stamp[1],
        **view.snapshot(spec, book, live, note),
    }
    snapshot["run_dir"] = folder.path
    snapshot["incidents"] = incidents.of(folder)
    snapshot["checkpoints"] = saved.of(folder) or snapshot["checkpoints"]
    snapshot["checkpoint_notes"] = saved.notes(folder)
    for attempt in snapshot["attempts"]:
        _add_what_started(attempt, folder.attempt(attempt["n"]))
    _quietly(folder.snapshot, files.encode(snapshot))
    _quietly(folder.words, view.words(snapshot).encode())
    row = view.row(spec, book, live, note)
    row["attempt_dir"] = folder.attempt(row["attempt"]).path if row["attempt"] else ""
    return row


def rows_to_begin_with(
    place: Place, books: Mapping[RunId, Book]
) -> tuple[dict[RunId, dict[str, Any]], set[RunId]]:
    """The rows of the last board that still hold (ended runs), and the runs whose screens have to be written anew."""
    try:
        board = files.read(place.board) or {"runs": []}
    except WorldError:
        board = {"runs": []}
    rows: dict[RunId, dict[str, Any]] = {}
    for row in board["runs"]:
        book = books.get(row["id"])
        if row["phase"] == "ended" and book is not None and isinstance(book.phase, Done):
            rows[row["id"]] = row
    ended = sorted(
        ((book.phase.at.wall_s, run) for run, book in books.items() if isinstance(book.phase, Done)),
        reverse=True,
    )
    unshown = {run for _, run in ended[:ENDED_ROWS_MAX] if run not in rows}
    return rows, unshown | {run for run, book in books.items() if not isinstance(book.phase, Done)}


def write_history(folder: RunFolder, lines: Iterable[bytes]) -> None:
    _quietly(folder.history, b"".join(line + b"\n" for line in lines))


def write_board(
    place: Place,
    term: int,
    at: dict[str, Any],
    supervisor: dict[str, Any],
    requests: int,
    holds: tuple[str, ...],
    rows: Mapping[RunId, dict[str, Any]],
) -> None:
    ended = sorted(
        (row for row in rows.values() if row["phase"] == "ended"),
        key=lambda row: str(row["ended_at"]),
        reverse=True,
    )
    kept = {row["id"] for row in ended[:ENDED_ROWS_MAX]}
    board = {
        "schema": SCHEMA,
        "term": term,
        "at": at,
        "place": place.name,
        "supervisor": supervisor,
        "requests": requests,
        "holds": list(holds),
        "older": len(ended) - len(kept),
        "runs": [row for row in rows.values() if row["phase"] != "ended" or row["id"] in kept],
    }
    _quietly(place.board, files.encode(board))


def _add_what_started(attempt: dict[str, Any], folder: AttemptFolder) -> None:
    """Who runs it, as its started.json says."""
    attempt["log_path"] = folder.output
    try:
        started = files.read(folder.started)
    except WorldError:
        started = None
    if started is None:
        return
    attempt["pid"] = started["child"]["pid"]
    attempt["host"] = started["child"]["host"]
    attempt["runner_pid"] = started["runner"]["pid"]
    attempt["resumed_from"] = started["resumed_from"]
    attempt["resume_reasons"] = started["resume_reasons"]
    attempt["started_at"] = view.time_of(from_record(started["at"], Moment))


def _quietly(path: str, body: bytes) -> None:
    try:
        files.replace_bytes(path, body, durable=False)
    except WorldError as error:
        log.warning("not shown: %s", error)
