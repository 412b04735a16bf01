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
    """Paths from which attempts resumed that are not known to be over. Raises WorldError: nobody can say."""
    try:
        names = os.listdir(root / OWN / USERS)
    except FileNotFoundError:
        return set()  # nobody has said so
    except OSError as error:
        raise WorldError(f"cannot list {root / OWN / USERS}: {error.strerror}") from error
    found = set()
    for name in names:
        record = files.read(str(root / OWN / USERS / name)) if not name.startswith(".") else None
        if record is not None and _may_live(str(record.get("attempt_dir"))):
            found.add(str(record.get("path")))
    return found


def _may_live(attempt_dir: str) -> bool:
    """Unless it is seen to be over, or to be there no more."""
    try:
        os.lstat(attempt_dir)
        return not attempt.is_over(AttemptFolder(attempt_dir))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except (OSError, WorldError):
        return True
