"""Second copies of verified checkpoints, beside them: a framework's own rotation, a person's `rm` and a save that
overwrites its file in place take the first copy only.

    CHECKPOINTS/.outlast/pins/STEP/NAME     the copy
    CHECKPOINTS/.outlast/pins/STEP.json     its manifest, and how it was made

Made of what a manifest was written for, and compared with it whenever it is used. Refuses to choose what is pinned.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.guard import OWN
from outlast.disk import copies, files
from outlast.errors import Damaged, RefusedError, WorldError
from outlast.facts import Manifest, Pin
from outlast.facts.codec import from_record, to_record

SCHEMA = 1
PINS, TRASH = "pins", "trash"


def held(root: Path) -> list[Pin]:
    """Newest step first; only those of which the copy is there."""
    found = [pin for pin in _records(root) if os.path.lexists(path_of(root, pin))]
    return sorted(found, key=lambda pin: pin.manifest.step, reverse=True)


def path_of(root: Path, pin: Pin) -> Path:
    return _folder(root) / str(pin.manifest.step) / os.path.basename(pin.manifest.path)


def pin(root: Path, manifest: Manifest, copy_max: int, by: str = "") -> Pin:
    """Raises copies.NoRoom, RefusedError (it is not what was verified any more), WorldError. Pinned already: by the
    first who did, unless a person wants it now."""
    for each in held(root):
        if each.manifest.files == manifest.files and each.manifest.step == manifest.step:
            return each if each.by or not by else _written(root, Pin(manifest, each.how, by))
    made = Pin(manifest, "", by)
    target = path_of(root, made)
    drop(root, manifest.step)
    how = copies.duplicate(
        manifest.path, str(target), may_link=os.path.isdir(manifest.path), copy_max=copy_max
    )
    if not _is_current(manifest):  # somebody wrote it meanwhile: what was copied, nobody knows
        copies.discard(str(target))
        raise RefusedError(f"{manifest.path} is not pinned: it has changed since it was verified")
    return _written(root, Pin(manifest, how, by))


def drop(root: Path, step: int) -> None:
    """Our own copy of a checkpoint, and no longer needed: through the trash. Raises WorldError."""
    record, folder = _record(root, step), _folder(root) / str(step)
    files.remove(str(record))
    if os.path.lexists(folder):
        trashed = files.move_to_trash(str(folder), str(root / OWN / TRASH))
        if trashed is not None:
            copies.discard(trashed)


def sweep(root: Path) -> None:
    """Copies of which nobody knows what they should be: whoever made them was killed before he could say. Raises
    WorldError."""
    try:
        names = os.listdir(_folder(root))
    except OSError:
        return  # there is none, or nobody may look
    for name in names:
        if name.isdecimal() and not os.path.lexists(_record(root, int(name))):
            drop(root, int(name))


def put_back(root: Path, pin: Pin, copy_max: int) -> Path:
    """Give it its own name again, which must be free. Raises copies.NoRoom, WorldError."""
    source, target = path_of(root, pin), root / os.path.basename(pin.manifest.path)
    copies.duplicate(str(source), str(target), may_link=source.is_dir(), copy_max=copy_max)
    return target


def _written(root: Path, pin: Pin) -> Pin:
    files.replace(str(_record(root, pin.manifest.step)), {"schema": SCHEMA, **to_record(pin)})
    return pin


def _records(root: Path) -> Iterator[Pin]:
    try:
        names = os.listdir(_folder(root))
    except OSError:
        return  # there is none, or nobody may look
    for name in names:
        if not name.endswith(".json") or name.startswith("."):
            continue
        path = str(_folder(root) / name)
        try:
            record = files.read(path)
            if record is not None:
                yield from_record(record, Pin, path)
        except (Damaged, WorldError):
            continue  # a copy of which nobody can say what it should be is none


def _is_current(manifest: Manifest) -> bool:
    try:
        return manifests.is_current(manifest, manifest.path)
    except OSError:
        return False


def _folder(root: Path) -> Path:
    return root / OWN / PINS


def _record(root: Path, step: int) -> Path:
    return _folder(root) / f"{step}.json"
