"""The incidents of a run, as its runners left them: what every screen shows of each.

Knows incidents/NNNN/incident.json. Refuses to judge it, and to fail for one that is damaged: that one is shown as such.
"""

import os
from typing import Any

from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError

SHOWN_MAX = 100
_FIELDS = (
    "kind", "at", "attempt", "section", "limit_s", "quiet_s", "reason", "culprit", "step", "losses", "files", "missing",
)  # fmt: skip
_OF_A_RANK = ("rank", "pid", "state", "step", "section", "own", "top", "why_none")


def of(run: RunFolder) -> list[dict[str, Any]]:
    """The newest hundred, oldest first: {n, path, kind, at, attempt, section, limit_s, quiet_s, reason,
    culprit{rank pid why}, ranks[{rank pid state step section own top}], files}; of kind nonfinite {step, losses[[step
    loss gradient]]}; else {n, path, damaged}.
    """
    try:
        names = sorted(name for name in os.listdir(run.incidents) if name.isdecimal() and name.isascii())
    except OSError:
        return []  # none, or not to be seen now: the next look shows them
    return [_shown(os.path.join(run.incidents, name), int(name)) for name in names[-SHOWN_MAX:]]


def _shown(path: str, n: int) -> dict[str, Any]:
    try:
        record = files.read(os.path.join(path, "incident.json"))
    except WorldError as error:
        return {"n": n, "path": path, "damaged": str(error)}
    if record is None:
        return {"n": n, "path": path, "damaged": "it has no incident.json"}
    said = record.get("ranks")
    ranks = [
        {name: rank.get(name) for name in _OF_A_RANK}
        for rank in (said if isinstance(said, list) else ())
        if isinstance(rank, dict)
    ]
    return {"n": n, "path": path, **{name: record.get(name) for name in _FIELDS}, "ranks": ranks}
