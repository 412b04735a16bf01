"""Moves damaged checkpoints out of a training's way, and back: by rename, on their own file system.

    CHECKPOINTS/.outlast/quarantine/NAME
    CHECKPOINTS/.outlast/accepted/NAME.json    a person wants it resumed from, whatever is said of it

A framework that looks for the newest checkpoint by name must not find one that is proven to be torn, or whose weights
are not finite. Nothing is ever deleted here. Knows folders and open files. Refuses to judge a checkpoint.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outlast.disk import files
from outlast.errors import NotFound, OutlastError, RefusedError, TryAgain

SCHEMA = 1
OWN, QUARANTINE, ACCEPTED = ".outlast", "quarantine", "accepted"
NAMES = (QUARANTINE, ACCEPTED, "pins", "owner.json")
LOCK = "lock"
LOOK_AGAIN_S = 0.5
FILES_LOOKED_AT = 20_000


@contextmanager
def held(root: Path, *, patiently: bool = True) -> Iterator[None]:
    """Only one verifies, copies or clears the checkpoints of a folder. Raises TryAgain (another does), WorldError."""
    files.make_directory(str(root / OWN))
    lock = files.open_lock(str(root / OWN / LOCK))
    try:
        if not (files.try_lock_patiently(lock) if patiently else files.try_lock(lock)):
            raise TryAgain(f"{root}: another verifies or clears these checkpoints now")
        yield
    finally:
        os.close(lock)


def is_ours(root: Path) -> bool:
    """Whether checkpoints lie there of which we know something: a workspace has a folder of the same name."""
    return any(os.path.lexists(root / OWN / name) for name in NAMES)


def quarantine_of(root: Path) -> Path:
    return root / OWN / QUARANTINE


def quarantine(path: Path) -> Path:
    """Move it there; where it lies then. Raises RefusedError (somebody still writes it), WorldError."""
    before = _marks(path)
    writer = writer_of(path)
    if writer is None:
        time.sleep(LOOK_AGAIN_S)
        writer = writer_of(path)
    if writer is not None:
        raise RefusedError(f"{path} is not moved: process {writer} has it open for writing")
    if _marks(path) != before:
        raise RefusedError(f"{path} is not moved: somebody still writes it")
    folder = quarantine_of(path.parent)
    target = _free(folder / path.name)
    files.make_directory(str(folder))
    files.move(str(path), str(target))
    return target


def accept(path: Path) -> None:
    """A person says that it is to be resumed from as it is. Raises NotFound, WorldError."""
    if not os.path.lexists(path):
        raise NotFound(f"{path}: there is no such checkpoint")
    folder = path.parent / OWN / ACCEPTED
    files.make_directory(str(folder))
    files.replace(str(folder / f"{path.name}.json"), {"schema": SCHEMA, "marks": _marks(path)})


def is_accepted(path: Path) -> bool:
    """By a person, and not changed since."""
    try:
        told = files.read(str(path.parent / OWN / ACCEPTED / f"{path.name}.json"))
        return told is not None and told.get("marks") == [list(mark) for mark in _marks(path)]
    except OutlastError:
        return False  # what cannot be read was accepted by nobody


def restore(root: Path, name: str) -> Path:
    """Move it back, accepted: else the next start would move it away again. Raises NotFound, RefusedError (its name is
    taken), WorldError."""
    source, target = quarantine_of(root) / name, root / name
    if not os.path.lexists(source):
        there = ", ".join(quarantined(root)) or "nothing"
        raise NotFound(f"{source}: there is none; in quarantine: {there}")
    if os.path.lexists(target):
        raise RefusedError(f"{target} is there already: move it away first, nothing is overwritten")
    files.move(str(source), str(target))
    accept(target)
    return target


def quarantined(root: Path) -> list[str]:
    try:
        return sorted(os.listdir(quarantine_of(root)))
    except OSError:
        return []  # there is none, or nobody may look


def writer_of(path: Path) -> int | None:
    """A process of this host that has a file of it open for writing, as far as we may see."""
    return _holder(path, is_writer=True)


def user_of(path: Path) -> int | None:
    """The same for a process that has a file of it open, to read or to write."""
    return _holder(path, is_writer=False)


def _holder(path: Path, *, is_writer: bool) -> int | None:
    inside = os.path.realpath(path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for number in _listed(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{number}")
                if target != inside and not target.startswith(f"{inside}/"):
                    continue
                if target.startswith(f"{inside}/{OWN}/"):
                    continue  # a lock of ours
                flags = Path(f"/proc/{pid}/fdinfo/{number}").read_text() if is_writer else "flags: 02"
            except OSError:
                continue  # closed meanwhile, or not ours to see
            if int(flags.partition("flags:")[2].split()[0], 8) & os.O_ACCMODE != os.O_RDONLY:
                return int(pid)
    return None


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []  # gone, or of another user


def _marks(path: Path) -> list[tuple[str, int, int]]:
    """Raises RefusedError: it is gone."""
    try:
        return sorted(_walk(path))
    except OSError as error:
        raise RefusedError(f"{path}: cannot be looked at: {error.strerror}") from error


def _walk(path: Path) -> Iterator[tuple[str, int, int]]:
    if not path.is_dir():
        status = path.lstat()
        yield str(path), status.st_size, status.st_mtime_ns
        return
    seen = 0
    for folder, _, names in os.walk(path):
        for name in names:
            seen += 1
            if seen > FILES_LOOKED_AT:
                return
            try:
                status = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            yield os.path.join(folder, name), status.st_size, status.st_mtime_ns


def _free(path: Path) -> Path:
    """That name, or one beside it that nobody has."""
    found, number = path, 1
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{path.name}.{number}")
    return found
