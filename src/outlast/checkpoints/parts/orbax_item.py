"""One item of an Orbax step: a tree of arrays with `_METADATA`, in OCDBT or as a folder of Zarr for each; or any files.

Format: orbax.checkpoint._src.metadata.tree (`_METADATA`: `tree_metadata`, `use_ocdbt`,
`store_array_data_equal_to_fill_value`) and ._src.handlers.json_checkpoint_handler (a file `metadata`).

Knows which arrays belong to a tree. Refuses to know whether a step was committed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from outlast.checkpoints.parts import listing, ocdbt, one_file, zarr
from outlast.checkpoints.parts.faults import Broken
from outlast.checkpoints.parts.ocdbt import Place, Value
from outlast.checkpoints.parts.one_file import CONTENT, FINITE, STRUCTURE, Checked
from outlast.checkpoints.parts.reading import Deadline, Opened, opened

METADATA, JSON_ITEM = "_METADATA", "metadata"
OF_TREES, OF_JSON = ("PyTree", "Standard"), ("JsonCheckpointHandler", "JsonHandler")
ARRAYS = ("jax.Array", "np.ndarray", "scalar")  # other leaves are no arrays, or are none at all
UNPROVEN = "nothing in it proves its numbers: they are as many as they should be"


class Stored(NamedTuple):
    """Where the value of a key lies: in a node of the tree, or in a file."""

    inline: bytes
    place: Place | None


def is_tree(names: frozenset[str]) -> bool:
    return METADATA in names or ocdbt.MANIFEST in names


def check(
    path: str, level: int, deadline: Deadline, weighs: Callable[[str], bool], handler: str = ""
) -> Checked:
    """`handler`: the class that saved it, if that was told. Raises Broken, Unknown, OSError."""
    names = frozenset(os.listdir(path))
    if not names:
        raise Broken("it is empty")
    saver = handler.rpartition(".")[2]
    if saver in OF_JSON and JSON_ITEM not in names:
        raise Broken(f"{JSON_ITEM} is not there")
    if not is_tree(names) and not saver.startswith(OF_TREES):
        return _check_others(path, names, deadline)
    told = _told(path, names, deadline)
    stored = _stored(path, told.get("use_ocdbt", ocdbt.MANIFEST in names), deadline)
    arrays = [
        zarr.described(key.rpartition("/")[0], _read(path, where, deadline))
        for key, where in stored.items()
        if key.endswith(zarr.DESCRIPTIONS)
    ]
    _refuse_missing(told, stored, arrays)
    if level < CONTENT:
        return Checked(STRUCTURE)
    return _check_arrays(path, stored, arrays, level, deadline, weighs)


def _check_others(path: str, names: frozenset[str], deadline: Deadline) -> Checked:
    if JSON_ITEM in names and os.path.isfile(os.path.join(path, JSON_ITEM)):
        one_file.json_of(os.path.join(path, JSON_ITEM), deadline)
    return Checked(STRUCTURE)


def _told(path: str, names: frozenset[str], deadline: Deadline) -> dict[str, Any]:
    if METADATA not in names:
        raise Broken(f"{METADATA} is not there")
    try:
        told = one_file.json_of(os.path.join(path, METADATA), deadline)
    except Broken as error:
        raise Broken(f"{METADATA}: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("tree_metadata"), dict):
        raise Broken(f"{METADATA} tells of no tree")
    return told


def _stored(path: str, in_ocdbt: Any, deadline: Deadline) -> dict[str, Stored]:
    if in_ocdbt:
        return {value.key: _of(value) for value in ocdbt.values(path, deadline)}
    found = {}
    for folder, _, files in listing.walk(path):
        for name in files:
            file = os.path.relpath(os.path.join(folder, name), path)
            found[file] = Stored(b"", Place(file, "", 0, os.stat(os.path.join(folder, name)).st_size))
    return found


def _of(value: Value) -> Stored:
    return Stored(value.inline, value.place)


def _refuse_missing(told: dict[str, Any], stored: dict[str, Stored], arrays: list[zarr.Array]) -> None:
    """Raises Broken: an array, or a chunk of one, is not there."""
    wanted = [name for leaf in told["tree_metadata"].values() if (name := _name(leaf)) is not None]
    if len(arrays) < len(wanted):
        there = {array.name for array in arrays}
        missing = [name for name in wanted if name not in there]
        raise Broken(
            f"array {(missing or wanted)[0]} is not there: neither {' nor '.join(zarr.DESCRIPTIONS)}"
        )
    if told.get("store_array_data_equal_to_fill_value") is not True:
        return  # what is not there may be nothing but zeros
    for array in arrays:
        for key in array.chunks():
            if key not in stored:
                raise Broken(f"chunk {key} is not there")


def _name(leaf: Any) -> str | None:
    """Of an array, as it is stored; None: it is none."""
    try:
        if leaf["value_metadata"]["value_type"] not in ARRAYS or leaf["value_metadata"].get(
            "skip_deserialize"
        ):
            return None
        return ".".join(str(each["key"]) for each in leaf["key_metadata"])
    except (TypeError, KeyError, AttributeError) as error:
        raise Broken(f"{METADATA} tells of a leaf that makes no sense") from error


def _check_arrays(
    path: str,
    stored: dict[str, Stored],
    arrays: list[zarr.Array],
    level: int,
    deadline: Deadline,
    weighs: Callable[[str], bool],
) -> Checked:
    ill, count = [], 0
    unread = [array.name for array in arrays if not array.is_read]
    for array in arrays:
        looked_at = level >= FINITE and array.is_read and array.is_floating and weighs(array.name)
        is_good = True
        for key in array.chunks() if array.is_read else ():
            if key not in stored:
                continue
            try:
                with _source(path, stored[key], deadline) as source:
                    is_good = zarr.is_finite(array, source, looked_at) and is_good
            except Broken as error:
                raise Broken(f"array {array.name}: {error}") from error
        count += looked_at
        ill += [array.name] * (not is_good)
    notes = [f"array {name} is stored in a way that is not known here" for name in unread[:1]]
    return Checked(STRUCTURE, count, tuple(ill), (UNPROVEN, *notes))


class _Within:
    """A stretch of a file, or bytes that are at hand, as one to read from."""

    def __init__(self, file: Opened | None, data: bytes, offset: int, size: int) -> None:
        self._file, self._data, self._offset, self.size = file, data, offset, size

    def at(self, offset: int, count: int) -> bytes:
        if self._file is None:
            return self._data[offset : offset + count]
        return self._file.at(self._offset + offset, count)


@contextmanager
def _source(path: str, where: Stored, deadline: Deadline) -> Iterator[_Within]:
    if where.place is None:
        yield _Within(None, where.inline, 0, len(where.inline))
        return
    with opened(os.path.join(path, where.place.file), deadline) as file:
        yield _Within(file, b"", where.place.offset, where.place.length)


def _read(path: str, where: Stored, deadline: Deadline) -> bytes:
    with _source(path, where, deadline) as source:
        return source.at(0, min(source.size, one_file.JSON_MAX))
