"""Clears away what was removed: packs ended runs into the archive, then empties the trash.

Beside the ring, which starts it by name, one at a time in a place, and reads `cleared.json` in a later turn. Killed
anywhere, it is started again: a pack has its name only once it is whole and durable, and nothing came into the trash
but on a settled record. What cannot be packed or deleted is said, and keeps nothing else.

Knows the archive and the trash. Refuses to know why a run goes; it takes none out of its place.
"""

import errno
import logging
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO, NoReturn

from outlast.disk import clearing, files
from outlast.disk.layout import Place, Workspace
from outlast.errors import OK, TRY_AGAIN, WorldError

log = logging.getLogger(__name__)
NICE = 19  # whatever trains goes first
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # for the pack; all else is the fault of what is read


def main(root: str, place_name: str, name: str, packs: Sequence[str]) -> int:
    """`name`: what our word is to be known by; `packs`: RUN=REQUEST, in this order. 75: another clears this place."""
    with suppress(OSError):
        os.nice(NICE)
    workspace = Workspace(root)
    place = workspace.place(place_name)
    lock = files.open_lock(place.clearing)  # open, and locked, until this process is no more
    if not files.try_lock_patiently(lock):
        return TRY_AGAIN
    words = (word.rpartition("=") for word in packs)
    clear(workspace, place, name, [(run, int(request)) for run, _, request in words])
    return OK


def clear(workspace: Workspace, place: Place, name: str, packs: Sequence[tuple[str, int]]) -> None:
    """Raises WorldError: what became of it cannot be said."""
    said = clearing.Cleared(by=name, packed=_still_standing(workspace, clearing.read(place)))
    for run, request in packs:
        try:
            pack(workspace, run)
            said.packed[run] = request
        except WorldError as error:
            said.failed[run] = str(error)
        except Exception as error:  # one that is beyond us never keeps the others
            log.exception("run %s: cannot be packed", run)
            said.failed[run] = f"internal error: {error}"
        said.write(place)
    said.left, said.emptied = empty_trash(workspace), True
    said.write(place)


def pack(workspace: Workspace, run: str) -> None:
    """Durable, name and all, when it returns. Raises WorldError; then there is no pack, or the one before."""
    path = workspace.run(run).path

    def write(file: BinaryIO) -> None:
        try:
            with tarfile.open(fileobj=file, mode="w:gz") as made:
                for name in _within(path):
                    _add(made, name, run + name[len(path) :])
        except tarfile.TarError as error:
            raise WorldError(f"cannot pack {path}: {error}") from error

    files.make_directory(workspace.archive)
    _remove_halves(workspace, run)
    files.replace_with(workspace.pack(run), write)
    files.fsync_directory(workspace.archive)


def empty_trash(workspace: Workspace) -> dict[str, str]:
    """What is left, and why."""
    left: dict[str, str] = {}
    try:
        names = sorted(os.listdir(workspace.trash))
    except FileNotFoundError:
        names = []
    except OSError as error:
        return {"": f"cannot list {workspace.trash}: {error.strerror}"}
    for name in names:
        why = _delete(os.path.join(workspace.trash, name))
        if why:
            left[name] = why
    return left


def _delete(path: str) -> str:
    """All that can be; why not the rest. What is gone already was another place's to delete, too."""
    met: list[tuple[str, BaseException]] = []
    if sys.version_info >= (3, 12):
        shutil.rmtree(path, onexc=lambda _call, name, error: met.append((name, error)))
    else:
        shutil.rmtree(path, onerror=lambda _call, name, info: met.append((name, info[1])))
    if not met or not os.path.lexists(path):
        return ""
    name, error = met[0]
    return f"cannot delete {name}: {getattr(error, 'strerror', None) or error}"


def _still_standing(workspace: Workspace, before: clearing.Cleared) -> dict[str, int]:
    """What was packed, and has not been seen to be: who packs it again has only lost time."""
    return {
        run: request for run, request in before.packed.items() if os.path.lexists(workspace.run(run).path)
    }


def _within(path: str) -> Iterator[str]:
    """The folder and all that is in it. Raises WorldError: unseen is not packed."""

    def fail(error: OSError) -> NoReturn:
        raise _unread(error, path) from error

    yield path
    for folder, folders, names in os.walk(path, onerror=fail):
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted([*folders, *names]))


def _add(made: tarfile.TarFile, path: str, name: str) -> None:
    try:
        made.add(path, arcname=name, recursive=False)
    except FileNotFoundError as error:
        if not _is_temporary(path):  # of a record that is being replaced
            raise _unread(error, path) from error
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise _unread(error, path) from error


def _unread(error: OSError, path: str) -> WorldError:
    return WorldError(f"cannot pack {error.filename or path}: {error.strerror or error}")


def _is_temporary(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(".") and name.endswith(".tmp")


def _remove_halves(workspace: Workspace, run: str) -> None:
    """What one of us wrote who was killed; nobody else packs the runs of this place while we have its lock."""
    try:
        names = os.listdir(workspace.archive)
    except OSError as error:
        raise WorldError(f"cannot list {workspace.archive}: {error.strerror}") from error
    for name in names:
        if name.startswith(f".{run}.tar.gz.") and _is_temporary(name):
            files.remove(os.path.join(workspace.archive, name))


if __name__ == "__main__":
    sys.exit("started through outlast.cli.background")
