"""What people and programs ask of a supervisor: files made once at the next free number, so order needs no clock.

Knows how a request is posted, found and answered. Refuses to know what a verb means.
"""

import json
import os
import re
import secrets
from typing import Any

from outlast.disk import files, journal
from outlast.disk.clock import moment
from outlast.disk.layout import Place
from outlast.errors import Damaged, WorldError

SCHEMA = 1
BYTES_MAX = 64 << 10
RECENT_SEGMENTS = 4
_TRIES = 10_000
_NAME = re.compile(r"[0-9]{8,12}\.json")


def post(place: Place, verb: str, run: str | None, args: list[tuple[str, str]], why: str) -> int:
    """Make the next request durable and give its number. Raises WorldError: it is not known to be posted."""
    files.make_directory(place.requests)
    number = (numbers(place) or [0])[-1] + 1
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "id": secrets.token_hex(8),
        "verb": verb,
        "run": run,
        "args": args,
        "why": why,
        "by": f"uid {os.getuid()} pid {os.getpid()} on {os.uname().nodename}",
        "at": moment(),
    }
    for _ in range(_TRIES):
        made = files.make_once(place.request(number), {**record, "number": number})
        if made.ours:
            return number
        number += 1
    raise WorldError(f"{place.requests}: no free number found")


def numbers(place: Place) -> list[int]:
    """The numbers of all requests that stand there, ascending."""
    try:
        names = os.listdir(place.requests)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorldError(f"cannot list {place.requests}: {error.strerror}") from error
    return sorted(int(name[:-5]) for name in names if _NAME.fullmatch(name))


def above(place: Place, number: int) -> list[int]:
    """The numbers above `number`, none left out: a request is made only where the one before it stood, but a listing
    is no snapshot, and may show the later of two and not the earlier. Raises WorldError."""
    found = [each for each in numbers(place) if each > number]
    gaps = bool(found) and found[-1] - number > len(found)
    if gaps:  # a second listing has all that came before the first's last
        found = [each for each in numbers(place) if number < each <= found[-1]]
    return found


def load(place: Place, number: int) -> tuple[dict[str, Any] | None, str]:
    """(record, "") or (None, why it is declined): garbage, too large, a foreign owner, not for us to read. Raises
    WorldError: it cannot be seen now."""
    path = place.request(number)
    try:
        owner = os.lstat(path).st_uid
    except FileNotFoundError:
        return None, "it is gone"
    except OSError as error:
        raise WorldError(f"cannot look at {path}: {error.strerror}") from error
    if owner not in (os.getuid(), 0):
        return None, f"it belongs to uid {owner}"
    try:
        return files.decode(files.read_bytes(path, BYTES_MAX) or b"", path), ""
    except WorldError as error:
        if isinstance(error, Damaged) or isinstance(error.__cause__, PermissionError):
            return None, f"it cannot be understood: {error}"
        raise


def answer(place: Place, number: int) -> dict[str, Any] | None:
    """The record that acknowledges a request: Asked or Declined in the valid history; None: no answer yet (or one
    that is older than the last few terms)."""
    for body in reversed(journal.read(place.journal, RECENT_SEGMENTS).bodies):
        if b'"request":%d,' % number not in body and b'"request":%d}' % number not in body:
            continue
        record: dict[str, Any] = json.loads(body)
        if record["type"] in ("Asked", "Declined") and record["request"] == number:
            return record
    return None


def remove_settled(place: Place, highest_settled: int) -> None:
    """Remove the requests whose records are settled. The highest number there stays: it keeps the count."""
    standing = numbers(place)
    for number in standing[:-1]:
        if number <= highest_settled:
            files.remove(place.request(number))
