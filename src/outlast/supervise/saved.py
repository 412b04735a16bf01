"""What was verified of a run's checkpoints, as `work/settle` left it: what screens show, and what budgets count.

Knows RUN/checkpoints/verified.json. Refuses to judge; one that cannot be read says nothing.
"""

from typing import Any

from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import Candidate


def of(run: RunFolder) -> list[dict[str, Any]]:
    """Newest step first: [{path, step, format, verdict, level, finite, reasons, pinned}]."""
    return [row for row in _record(run).get("checkpoints") or () if isinstance(row, dict)]


def notes(run: RunFolder) -> list[str]:
    return [str(note) for note in _record(run).get("notes") or ()]


def proven_bad(run: RunFolder) -> frozenset[str]:
    """Paths of those from which no start would resume: they are no progress."""
    return frozenset(
        str(row.get("path")) for row in of(run) if row.get("verdict") == "torn" or row.get("finite") is False
    )


def newest(run: RunFolder) -> Candidate | None:
    """The newest that was verified and is good: also one whose name tells no step."""
    good = [row for row in of(run) if row.get("verdict") == "whole" and row.get("finite") is not False]
    for row in good:
        path, step = row.get("path"), row.get("step")
        if isinstance(path, str) and isinstance(step, int):
            return Candidate(path, str(row.get("format")), step)
    return None


def _record(run: RunFolder) -> dict[str, Any]:
    try:
        return files.read(run.verified) or {}
    except WorldError:
        return {}
