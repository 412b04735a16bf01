"""Whose checkpoints lie in a folder: `CHECKPOINTS/.outlast/owner.json`, from the first that was verified on.

A folder with checkpoints of two trainings is a trap: a framework picks and rotates by number. Knows the record. Refuses
to judge what follows from it.
"""

import os
from pathlib import Path
from typing import NamedTuple

from outlast.checkpoints.guard import OWN
from outlast.disk import clock, files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError

SCHEMA = 1
NAME = "owner.json"
ENDED = "ended"


class Owner(NamedTuple):
    run: str
    run_dir: str

    @property
    def is_at_work(self) -> bool:
        """As far as its own record tells. One that cannot be seen may be; one whose folder is not there is gone."""
        try:
            os.lstat(self.run_dir)
            snapshot = files.read(RunFolder(self.run_dir).snapshot)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, WorldError):
            return True
        return snapshot is None or snapshot.get("phase") != ENDED


def of(root: Path) -> Owner | None:
    """None: nobody has said so yet. Raises WorldError."""
    record = files.read(str(root / OWN / NAME))
    if record is None or not isinstance(record.get("run"), str):
        return None
    return Owner(record["run"], str(record.get("run_dir") or ""))


def take(root: Path, folder: RunFolder) -> None:
    """Raises WorldError."""
    files.make_directory(str(root / OWN))
    record = {"schema": SCHEMA, "run": folder.id, "run_dir": folder.path, "since": clock.moment()}
    files.replace(str(root / OWN / NAME), record)
