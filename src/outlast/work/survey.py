"""What lies under a folder of checkpoints, by all formats: each candidate once, by the most particular of them.

Refuses to judge what it finds.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from outlast.facts import Candidate
from outlast.seams import CheckpointFormat

Found: TypeAlias = tuple[Candidate, CheckpointFormat]


def survey(formats: Iterable[CheckpointFormat], root: Path, limit: int) -> list[Found]:
    """Newest step first; what tells no step comes first of all, for it may be the newest. Raises WorldError."""
    found: dict[str, Found] = {}
    for each in formats:
        for candidate in each.find(root, limit):
            found.setdefault(candidate.path, (candidate, each))
    return newest_first(found.values())


def newest_first(found: Iterable[Found]) -> list[Found]:
    return sorted(found, key=lambda pair: _age(pair[0]), reverse=True)


def _age(candidate: Candidate) -> tuple[bool, int, int, int, str]:
    step = candidate.step
    return step is None, step or 0, candidate.preference, candidate.newest_mtime_ns, candidate.path
