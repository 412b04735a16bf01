"""Takes an ended run's folder away: packed into the archive, or deleted. Only on a settled record.

Every step may happen twice: packing again replaces the pack, and what is gone already is fine.
"""

import io
import os
import shutil
import tarfile

from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import Moment, Removed, RunId


def remove_run(workspace: Workspace, run: RunId, removing: tuple[str, int], now: Moment) -> Removed:
    """Raises WorldError; nothing is lost then."""
    how, request = removing
    folder = workspace.run(run)
    if how == "archive" and os.path.isdir(folder.path):
        _pack(workspace, run, folder.path)
    trashed = files.move_to_trash(folder.path, workspace.trash) if os.path.lexists(folder.path) else None
    if trashed is not None:
        shutil.rmtree(trashed, ignore_errors=True)
    why = f"packed into {archive_of(workspace, run)}" if how == "archive" else "deleted on request"
    return Removed(at=now, run=run, why=why, request=request, how="archive" if how == "archive" else "rm")


def archive_of(workspace: Workspace, run: RunId) -> str:
    return os.path.join(workspace.archive, f"{run}.tar.gz")


def _pack(workspace: Workspace, run: RunId, path: str) -> None:
    body = io.BytesIO()
    try:
        with tarfile.open(fileobj=body, mode="w:gz") as pack:
            pack.add(path, arcname=run)
    except (OSError, tarfile.TarError) as error:
        raise WorldError(f"cannot pack {path}: {error}") from error
    files.make_directory(workspace.archive)
    files.replace_bytes(archive_of(workspace, run), body.getvalue())
