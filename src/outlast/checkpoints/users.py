"""Who goes on from which checkpoint of a folder: `CHECKPOINTS/.outlast/users/RUN.json`, written before a start.

Whoever clears a folder must know of every run that uses it, also of one that does not own it. Refuses to judge.
"""

import os
from pathlib import Path

from outlast.checkpoints.guard import OWN
from outlast.disk import attempt, files
from outlast.disk.layout import AttemptFolder
from outlast.errors import WorldError

SCHEMA = 1
USERS = "users"


def note(root: Path, folder: AttemptFolder, path: str) -> None:
    """Raises WorldError."""
    files.make_directory(str(root / OWN / USERS))
    record = {"schema": SCHEMA, "attempt_dir": folder.path, "path": path}
    files.replace(str(root / OWN / USERS / f"{folder.run().id}.json"), record, durable=False)


def resumed_from(root: Path) -> set[str]:
    """Paths from which attempts resumed that are not over, as far as that can be seen: else they are not."""
    found = set()
    try:
        names = os.listdir(root / OWN / USERS)
    except OSError:
        return set()  # nobody has said so
    for name in names:
        if not name.endswith(".json") or name.startswith("."):
            continue
        try:
            record = files.read(str(root / OWN / USERS / name)) or {}
            folder = AttemptFolder(str(record.get("attempt_dir")))
            is_over = not os.path.isdir(folder.path) or attempt.is_over(folder)
        except (WorldError, ValueError):
            continue  # a record of nothing
        if not is_over:
            found.add(str(record.get("path")))
    return found
