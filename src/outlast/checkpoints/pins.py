"""Second copies of verified checkpoints, beside them: a framework's own rotation, a person's `rm` and a save that
overwrites its file in place take the first copy only.

    CHECKPOINTS/.outlast/pins/STEP/NAME          the copy
    CHECKPOINTS/.outlast/pins/STEP/NAME.json     its manifest, how it was made, and by whom

Made of what a manifest was written for, and compared with it whenever it is used. What a person made only a person
drops. Refuses to choose what is pinned.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
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
    return sorted(found, key=lambda pin: (pin.manifest.step, pin.manifest.path), reverse=True)


def path_of(root: Path, pin: Pin) -> Path:
    return _place(root, pin.manifest)


def pin(root: Path, manifest: Manifest, copy_max: int, by: str = "") -> Pin:
    """Raises copies.NoRoom, RefusedError (it is not what was verified any more, or a person has another copy under its
    name), WorldError. Pinned already: by the first who did, unless a person wants it now."""
    known = _record_of(root, manifest)
    target = _place(root, manifest)
    if known is not None and known.manifest.files == manifest.files and os.path.lexists(target):
        return known if known.by or not by else _written(root, Pin(manifest, known.how, by))
    if known is not None and known.by and not by:
        raise RefusedError(
            f"{manifest.path}: {known.by} has pinned what stood there before; `unpin` lets go of it"
        )
    fresh = target.with_name(f".{target.name}.next")
    copies.discard(str(fresh))
    may_link = os.path.isdir(manifest.path)
    how = copies.duplicate(manifest.path, str(fresh), may_link=may_link, copy_max=copy_max)
    if not _is_current(manifest):  # somebody wrote it meanwhile: what was copied, nobody knows
        copies.discard(str(fresh))
        raise RefusedError(f"{manifest.path} is not pinned: it has changed since it was verified")
    drop(root, manifest)
    files.move(str(fresh), str(target))
    return _written(root, Pin(manifest, how, by))


def drop(root: Path, manifest: Manifest) -> None:
    """Our own copy of it, no longer needed: through the trash. Raises WorldError."""
    target = _place(root, manifest)
    files.remove(f"{target}.json")
    if os.path.lexists(target):
        trashed = files.move_to_trash(str(target), str(root / OWN / TRASH))
        if trashed is not None:
            copies.discard(trashed)
    with suppress(OSError):  # another file of that step has its copy there
        target.parent.rmdir()


def sweep(root: Path) -> None:
    """Copies of which nobody knows what they should be: whoever made them was killed before he could say. Raises
    WorldError."""
    for step in _steps(root):
        folder = root / OWN / PINS / step
        for name in _listed(folder):
            is_record = name.endswith(".json") and os.path.lexists(folder / name.removesuffix(".json"))
            if not is_record and not os.path.lexists(folder / f"{name}.json"):
                trashed = files.move_to_trash(str(folder / name), str(root / OWN / TRASH))
                if trashed is not None:
                    copies.discard(trashed)


def put_back(root: Path, pin: Pin, copy_max: int) -> Path:
    """Give it its own name again, which must be free. Raises copies.NoRoom, WorldError."""
    source, target = path_of(root, pin), root / os.path.basename(pin.manifest.path)
    copies.duplicate(
        str(source),
        str(target),
        may_link=source.is_dir(),
        copy_max=copy_max,
        made_in=str(root / OWN / TRASH),
    )
    return target


def _written(root: Path, pin: Pin) -> Pin:
    files.replace(f"{path_of(root, pin)}.json", {"schema": SCHEMA, **to_record(pin)})
    return pin


def _records(root: Path) -> Iterator[Pin]:
    for step in _steps(root):
        folder = root / OWN / PINS / step
        for name in _listed(folder):
            if name.endswith(".json") and not name.startswith("."):
                found = _read(str(folder / name))
                if found is not None:
                    yield found


def _record_of(root: Path, manifest: Manifest) -> Pin | None:
    return _read(f"{_place(root, manifest)}.json")


def _read(path: str) -> Pin | None:
    """A copy of which nobody can say what it should be is none."""
    try:
        body = files.read_bytes(path, manifests.BYTES_MAX)
        return from_record(files.decode(body, path), Pin, path) if body is not None else None
    except (Damaged, WorldError):
        return None


def _is_current(manifest: Manifest) -> bool:
    try:
        return manifests.is_current(manifest, manifest.path)
    except OSError:
        return False


def _place(root: Path, manifest: Manifest) -> Path:
    return root / OWN / PINS / str(manifest.step) / os.path.basename(manifest.path)


def _steps(root: Path) -> list[str]:
    return [name for name in _listed(root / OWN / PINS) if name.isdecimal()]


def _listed(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []  # there is none, or nobody may look
