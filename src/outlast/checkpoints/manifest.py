"""What a checkpoint was when it was verified, file by file, and whether it still is.

    RUN/checkpoints/STEP.json

Safetensors has no checksum of its own, and no file tells that it belongs to the same save as the one beside it. Knows
files, their times and their hashes (BLAKE3). Refuses to know formats, and when a manifest is made.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import blake3
import msgspec

from outlast.checkpoints.parts import listing
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.one_file import OF_WEIGHTS
from outlast.checkpoints.parts.reading import Deadline, opened
from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.errors import Damaged, WorldError
from outlast.facts import FileMark, Manifest, Torn, Verdict, Whole
from outlast.facts.codec import from_record, to_record

SCHEMA = 1
CONTENT = 1
BYTES_MAX = 256 << 20  # of 200,000 files it has 30 MB
NAMES_SHOWN = 3
PAYLOAD = (".distcp", ".bin", ".msgpack", ".metadata", "trainer_state.json")  # besides files of weights
Mark: TypeAlias = tuple[str, int, int]


class Changes(NamedTuple):
    """Files of weights and state, by name: `untouched`; `same`: written anew with the bytes that they had; `other`
    bytes; `rotten`: other bytes, and by its time nobody wrote it; `missing`. `beside`: files that only accompany them,
    and are other or missing."""

    untouched: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    rotten: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def marks(path: str) -> list[Mark]:
    """(name below `path`, bytes, mtime in ns) of all its regular files, sorted; of a single file the name is "". Raises
    OSError."""
    return sorted(_marks(path))


def hashed(path: str, deadline: Deadline) -> tuple[FileMark, ...]:
    """Raises Unknown: it changed meanwhile, or the time is over. OSError, Broken."""
    before = marks(path)
    found = tuple(FileMark(*mark, _hash(os.path.join(path, mark[0]), deadline)) for mark in before)
    if marks(path) != before:
        raise Unknown("it changed while it was read")
    return found


def is_current(manifest: Manifest, path: str) -> bool:
    """Whether nobody has touched it since, by sizes and times. Raises OSError."""
    return [(each.name, each.bytes, each.mtime_ns) for each in manifest.files] == marks(path)


def changes(manifest: Manifest, path: str, deadline: Deadline) -> Changes:
    """All that the manifest names is read. Raises Unknown (Late), OSError, Broken."""
    now = {name: (size, mtime_ns) for name, size, mtime_ns in marks(path)}
    found: dict[str, list[str]] = {key: [] for key in Changes._fields}
    for each in manifest.files:
        kind = _change(each, now.get(each.name), os.path.join(path, each.name), deadline)
        is_beside = not _is_payload(each.name or os.path.basename(path))
        if kind in ("untouched", "same") and is_beside:
            continue
        found["beside" if is_beside else kind].append(each.name or os.path.basename(path))
    return Changes(**{key: tuple(names) for key, names in found.items()})


def judged(verdict: Verdict, manifest: Manifest, path: str, within_s: float) -> Verdict:
    """What a format says of a checkpoint, and what its manifest says besides: content that has no checksum of its own,
    and parts of two saves in one folder. One that was saved anew as a whole is what the format says it is."""
    if not isinstance(verdict, Whole):
        return verdict
    try:
        found = changes(manifest, path, Deadline(within_s))
    except (Broken, Unknown, OSError) as error:  # cut, exchanged or out of time while it was read
        return _noted(verdict, f"not compared with its manifest: {error}")
    if found.rotten:
        return Torn(
            (f"{_listed(found.rotten)}: other bytes than were verified, and nobody wrote there since",)
        )
    if found.missing and found.untouched:
        return Torn((f"{_listed(found.missing)}: verified once, and not there now",))
    if found.other and found.untouched:
        parts = (
            f"{_listed(found.other)}: other bytes than were verified; {_listed(found.untouched)}: untouched"
        )
        return Torn((f"{parts}: a save that was broken off, or damage",))
    if found.other or found.missing:
        return _noted(verdict, "saved anew since it was verified")
    notes = [f"{_listed(found.beside)}: changed since it was verified"] if found.beside else []
    return _noted(msgspec.structs.replace(verdict, level=max(verdict.level, CONTENT)), *notes)


def has_new_payload(before: Manifest, now: tuple[FileMark, ...]) -> bool:
    """Whether files of weights or state have other bytes, or were written since: not only what accompanies them."""
    name = os.path.basename(before.path)
    known = {mark for mark in before.files if _is_payload(mark.name or name)}
    return {mark for mark in now if _is_payload(mark.name or name)} != known


def written_ns(path: str, marks_: Sequence[FileMark]) -> int:
    """When its files of weights and state were written last; of those that have none, any."""
    name = os.path.basename(path)
    payload = [mark.mtime_ns for mark in marks_ if _is_payload(mark.name or name)]
    return max(payload or [mark.mtime_ns for mark in marks_], default=0)


def write(folder: RunFolder, manifest: Manifest) -> None:
    """Beside those of other files of its step. Raises WorldError."""
    others = [each for each in at(folder, manifest.step) if each.path != manifest.path]
    keep(folder, manifest.step, [*others, manifest])


def keep(folder: RunFolder, step: int, manifests: Sequence[Manifest]) -> None:
    """These, and no other of that step. Raises WorldError."""
    if not manifests:
        files.remove(folder.manifest(step))
        return
    files.make_directory(folder.checkpoints)
    rows = [to_record(each) for each in manifests]
    files.replace(folder.manifest(step), {"schema": SCHEMA, "manifests": rows})


def of(folder: RunFolder, step: int, path: str) -> Manifest | None:
    """That of this very checkpoint."""
    return next((each for each in at(folder, step) if each.path == path), None)


def at(folder: RunFolder, step: int) -> list[Manifest]:
    """Of that step, of whatever path. What cannot be read proves nothing, and neither does its damage."""
    name = folder.manifest(step)
    try:
        body = files.read_bytes(name, BYTES_MAX)
        rows = files.decode(body, name).get("manifests") if body is not None else ()
        return [from_record(row, Manifest, name) for row in rows or ()]
    except (Damaged, WorldError, TypeError):
        return []


def _change(mark: FileMark, now: tuple[int, int] | None, path: str, deadline: Deadline) -> str:
    if now is None:
        return "missing"
    if now[0] == mark.bytes and _hash(path, deadline) == mark.blake3:
        return "untouched" if now == (mark.bytes, mark.mtime_ns) else "same"
    return "rotten" if now == (mark.bytes, mark.mtime_ns) else "other"


def _hash(path: str, deadline: Deadline) -> str:
    digest = blake3.blake3()
    with opened(path.rstrip("/"), deadline) as file:
        for piece in file.pieces(0, file.size):
            digest.update(piece)
    return digest.hexdigest()


def _marks(path: str) -> Iterator[Mark]:
    if not os.path.isdir(path):
        found = os.stat(path)
        yield "", found.st_size, found.st_mtime_ns
        return
    for folder, _, names in listing.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            try:
                found = os.stat(file)
            except FileNotFoundError:
                if os.path.lexists(file):
                    continue  # a link to nothing is none of its files
                raise
            if not stat.S_ISREG(found.st_mode):
                continue
            yield os.path.relpath(file, path), found.st_size, found.st_mtime_ns


def _is_payload(name: str) -> bool:
    return name.endswith(PAYLOAD) or OF_WEIGHTS.fullmatch(os.path.basename(name)) is not None


def _noted(verdict: Whole, *notes: str) -> Whole:
    return msgspec.structs.replace(verdict, notes=(*verdict.notes, *notes))


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
