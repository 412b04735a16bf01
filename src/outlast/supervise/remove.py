"""Takes an ended run's folder away: packed into the archive, or deleted. Only on a settled record.

Every step may happen twice: packing again replaces the pack, and what is gone already is fine.
"""

import os
import shutil
import tarfile
from typing import BinaryIO

from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import Moment, Removed, RunId


def remove_run(workspace: Workspace, run: RunId, removing: tuple[str, int], now: Moment) -> Removed:
    """Raises WorldError; nothing is lost then."""
    how, request = removing
    folder = workspace.run(run)
    if how == "archive" and _stands(folder.path):
        _pack(workspace, run, folder.path)
    files.move_to_trash(folder.path, workspace.trash)
    _empty_trash(workspace, run)
    why = f"packed into {archive_of(workspace, run)}" if how == "archive" else "deleted on request"
    return Removed(at=now, run=run, why=why, request=request, how="archive" if how == "archive" else "rm")


def archive_of(workspace: Workspace, run: RunId) -> str:
    return os.path.join(workspace.archive, f"{run}.tar.gz")


def _stands(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise WorldError(f"cannot look at {path}: {error.strerror}") from error
    return True


def _pack(workspace: Workspace, run: RunId, path: str) -> None:
    """Durable, name and all, when it returns: what it holds is deleted next."""

    def write(file: BinaryIO) -> None:
        try:
            with tarfile.open(fileobj=file, mode="w:gz") as pack:
                pack.add(path, arcname=run)
        except tarfile.TarError as error:
            raise WorldError(f"cannot pack {path}: {error}") from error

    files.make_directory(workspace.archive)
    files.replace_with(archive_of(workspace, run), write)
    files.fsync_directory(workspace.archive)


def _empty_trash(workspace: Workspace, run: RunId) -> None:
    """What this removal threw away, or one before it that was killed half-way."""
    for name in os.listdir(workspace.trash):
        if name.rpartition(".")[0] == run:
            shutil.rmtree(os.path.join(workspace.trash, name), ignore_errors=True)
