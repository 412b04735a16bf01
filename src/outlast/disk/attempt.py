"""The doors of an attempt, read as they stand: claim, started.json, exit.json. Doors are read before anybody is asked.

Knows the order of looking (exit.json before started.json: an end is never seen without its beginning). Refuses to
know what follows from it.
"""

from __future__ import annotations

from outlast.disk import files
from outlast.disk.clock import moment
from outlast.disk.layout import AttemptFolder
from outlast.errors import Damaged

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any

SCHEMA = 1
_SAYS = {"shut": ("final", "why", "term"), "begun": ("by", "where")}


def doors(folder: AttemptFolder) -> dict[str, Any]:
    """{"door": "none" | "shut" | "begun" | "closed"} and the records: claim, started, exit.

    Raises WorldError where a door cannot be read, Damaged where it says nothing.
    """
    claim = files.read(folder.claim)
    if claim is None:
        return {"door": "none"}
    kind = claim.get("kind")
    if kind not in _SAYS or any(key not in claim for key in _SAYS[kind]):
        raise Damaged(f"{folder.claim}: it neither begins nor shuts an attempt")
    if kind == "shut":
        return {"door": "shut", "claim": claim}
    exit_record = files.read(folder.exit)
    started = files.read(folder.started)
    if exit_record is None:
        return {"door": "begun", "claim": claim, "started": started}
    return {"door": "closed", "claim": claim, "started": started, "exit": exit_record}


def is_over(folder: AttemptFolder) -> bool:
    """Whether an attempt's end stands on disk: then, and only then, may the next one begin."""
    return doors(folder)["door"] in ("shut", "closed")


def shut(folder: AttemptFolder, *, final: bool, why: str, term: int) -> bool:
    """Take the claim so that the attempt never begins. False: somebody else was there first."""
    files.make_directory(folder.path)
    record = {
        "schema": SCHEMA,
        "kind": "shut",
        "final": final,
        "why": why,
        "term": term,
        "at": moment(),
    }
    return files.make_once(folder.claim, record).ours


def record_end(folder: AttemptFolder, ending: dict[str, Any]) -> bool:
    """Make exit.json for an attempt that nobody can record any more. False: a record stood there already."""
    return files.make_once(folder.exit, {"schema": SCHEMA, **ending}).ours
