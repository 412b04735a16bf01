"""Looks at the world for one turn: doors first, then the backend, then presence.

The order matters: an old door with new whereabouts is safe, the reverse invents a death. What could not be seen is
Unseen, with the reason; nothing here raises for one run's sake.
"""

import os
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from outlast.decide import rooms
from outlast.decide.presence import presence
from outlast.disk import attempt as attempts
from outlast.disk import files
from outlast.disk.layout import RunFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import (
    AttemptId,
    Begun,
    Book,
    Candidate,
    Closed,
    Done,
    Doors,
    Ending,
    NoDoor,
    Nowhere,
    Presence,
    Process,
    RunId,
    Shut,
    Shutting,
    Spec,
    Trying,
    Unseen,
    Waiting,
    Where,
)
from outlast.facts.closed import assert_never
from outlast.facts.codec import from_record
from outlast.seams import Backend, CheckpointFormat

CANDIDATES_MAX = 1000


class Seen(NamedTuple):
    """What one turn saw of one run: the presence of its attempt `n`, and the doors that say so."""

    n: int
    doors: Doors
    presence: Presence


def attempt_in_question(book: Book) -> int:
    """The door that decides what happens next."""
    match book.phase:
        case Trying(n=n) | Shutting(n=n):
            return n
        case Waiting() | Done():
            return book.next
        case _:
            assert_never(book.phase)


def look(workspace: Workspace, books: Mapping[RunId, Book], backend: Backend) -> dict[RunId, Seen]:
    doors: dict[AttemptId, Doors] = {}
    unseen: dict[RunId, str] = {}
    for run, book in books.items():
        attempt = AttemptId(run, attempt_in_question(book))
        try:
            doors[attempt] = read_doors(workspace.run(run), attempt.n)
        except WorldError as error:
            unseen[run] = str(error)
    asked = {attempt: door for attempt, door in doors.items() if isinstance(door, NoDoor | Begun)}
    whereabouts = backend.look(asked)
    seen = {
        attempt.run: Seen(attempt.n, door, presence(door, whereabouts.get(attempt, Nowhere())))
        for attempt, door in doors.items()
    }
    for run, why in unseen.items():
        seen[run] = Seen(attempt_in_question(books[run]), NoDoor(), Unseen(why))
    return seen


def read_doors(run: RunFolder, n: int) -> Doors:
    """Raises WorldError."""
    folder = run.attempt(n)
    record = attempts.doors(folder)
    match record["door"]:
        case "none":
            return NoDoor()
        case "shut":
            claim = record["claim"]
            return Shut(bool(claim["final"]), str(claim["why"]), int(claim["term"]))
        case "begun":
            claim = record["claim"]
            return Begun(
                by=from_record(claim["by"], Process, folder.claim),
                where=_where(claim, folder.claim),
                order=str(claim.get("order", "")),
                started=record["started"] is not None,
            )
        case _:
            return Closed(
                from_record(record["exit"], Ending, folder.exit), _where(record["claim"], folder.claim)
            )


def newest_checkpoint(
    spec: Spec, formats: Iterable[CheckpointFormat], bad: Container[str] = ()
) -> Candidate | None:
    """The candidate of the highest step under the run's checkpoint folder, less those whose paths are `bad`; None:
    there is none. By their names alone, whatever format the run asks for. Raises WorldError."""
    if spec.resume is None:
        return None
    for format_ in formats:
        found = [
            each
            for each in format_.find(Path(spec.resume.root), CANDIDATES_MAX)
            if each.step is not None and each.path not in bad
        ]
        if found:
            return max(found, key=lambda candidate: candidate.step or 0)
    return None


def shortage(book: Book) -> str:
    """What the disk still lacks on which the run's last attempt died; "" if it may begin again."""
    room = rooms.lacking(book)
    if room is None:
        return ""
    try:
        found = os.statvfs(room.root if os.path.isdir(room.root) else os.path.dirname(room.root))
    except OSError:
        return ""  # gone: whoever begins there says so
    free, inodes = found.f_bavail * found.f_frsize, found.f_favail if found.f_files else -1
    now = msgspec.structs.replace(room, free=free, inodes=inodes)
    return f"{rooms.words(now)}: free some space, it goes on by itself" if now.is_short else ""


def live(run: RunFolder, n: int) -> dict[str, Any] | None:
    """The runner's progress.json of attempt n: derived, so what cannot be read is simply not shown."""
    try:
        return files.read(run.attempt(n).progress)
    except WorldError:
        return None


def _where(claim: dict[str, Any], source: str) -> Where:
    return from_record(claim["where"], Where, source)
