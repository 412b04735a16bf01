"""Takes what people and programs ask, in number order, and the runs that wait to be accepted.

Knows requests/ and run.json. Refuses to know what a verb means for a run: that is decided.
"""

import hashlib
import logging
import os
from typing import NamedTuple

import msgspec

from outlast.disk import files, requests
from outlast.disk.layout import Place, Workspace
from outlast.errors import Damaged, WorldError
from outlast.facts import Accepted, AnyEntry, Declined, Moment, Request, RunId, Spec
from outlast.facts.codec import from_record

log = logging.getLogger(__name__)
REQUESTS_PER_TURN = 256


class Intake(NamedTuple):
    """`taken` in number order; `declined` what could not even be read as a request; `highest` number looked at."""

    taken: tuple[Request, ...]
    declined: tuple[Declined, ...]
    highest: int


def new_requests(place: Place, after: int, now: Moment) -> Intake:
    """The requests above number `after`. Raises WorldError when they cannot be seen."""
    taken: list[Request] = []
    declined: list[Declined] = []
    numbers = requests.above(place, after)[:REQUESTS_PER_TURN]
    for number in numbers:
        record, why = requests.load(place, number)
        if record is not None:
            try:
                taken.append(from_record({**record, "number": number}, Request, place.request(number)))
                continue
            except Damaged as error:
                why = str(error)
        declined.append(Declined(at=now, run=None, why=why, request=number))
    return Intake(tuple(taken), tuple(declined), numbers[-1] if numbers else after)


def unaccepted(workspace: Workspace, place: Place, known: set[RunId]) -> list[RunId]:
    """Runs of this place whose run.json stands though the valid history does not know them: acceptances whose record
    was lost with a dead term, or whose request was never posted. Raises WorldError."""
    try:
        names = os.listdir(workspace.runs)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorldError(f"cannot list {workspace.runs}: {error.strerror}") from error
    found: list[RunId] = []
    for name in sorted(set(names) - known):
        try:
            record = files.read(workspace.run(name).record)
        except WorldError as error:  # damaged, or not to be read now
            log.error("not accepted, and nothing else is stopped by it: %s", error)
            continue
        if record is not None and record.get("place") == place.name:
            found.append(RunId(name))
    return found


def load_spec(workspace: Workspace, run: RunId) -> Spec:
    """Raises WorldError (not there, unreadable) and Damaged."""
    path = workspace.run(run).record
    record = files.read(path)
    if record is None:
        raise WorldError(f"{path}: there is no such run")
    spec = from_record(record, Spec, path)
    if spec.run != run:
        raise Damaged(f"{path}: it is the record of run {spec.run}")
    return spec


def accepted(spec: Spec, now: Moment, why: str) -> AnyEntry:
    digest = hashlib.sha256(msgspec.json.encode(spec)).hexdigest()
    return Accepted(at=now, run=spec.run, why=why, spec_sha256=digest)
