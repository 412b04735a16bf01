"""A folder that torch.distributed.checkpoint wrote: `__RANK_N.distcp` with one torch zip for each tensor or object, one
after the other, and `.metadata`, which is renamed into place last and says where each lies.

Format: torch.distributed.checkpoint.filesystem (`_StorageInfo`: relative_path, offset, length) and .metadata.

Knows the folder. Refuses to know whose it is: a training's own, or a part of a Hugging Face checkpoint.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from outlast.checkpoints.parts import pickles, torch_zip
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.one_file import CONTENT, FINITE, STRUCTURE, Checked, refuse_programs
from outlast.checkpoints.parts.reading import Deadline, opened
from outlast.checkpoints.parts.torch_zip import Looked

METADATA = ".metadata"
METADATA_MAX = 1 << 30


class Item(NamedTuple):
    name: str
    file: str
    offset: int
    length: int
    is_plain: bool  # not compressed or otherwise transformed


def is_one(names: frozenset[str]) -> bool:
    return METADATA in names or f"{METADATA}.tmp" in names or any(name.endswith(".distcp") for name in names)


def check(path: str, level: int, deadline: Deadline, weighs: Callable[[str], bool]) -> Checked:
    """Raises Broken, Unknown, OSError."""
    items = _items(path, deadline)
    by_file: dict[str, list[Item]] = {}
    for item in items:
        by_file.setdefault(item.file, []).append(item)
    ill: list[str] = []
    notes: list[str] = []
    count = 0
    for name, held in sorted(by_file.items()):
        try:
            looked, proven = _check_file(os.path.join(path, name), held, level, deadline, weighs)
        except FileNotFoundError as error:
            raise Broken(f"{name} is not there") from error
        except Broken as error:
            raise Broken(f"{name}: {error}") from error
        ill += looked.ill
        count += looked.seen
        if not proven and level >= CONTENT:
            notes.append(f"{name}: nothing in it proves its content")
    return Checked(STRUCTURE if notes else min(level, CONTENT), count, tuple(ill), tuple(notes[:1]))


def _items(path: str, deadline: Deadline) -> list[Item]:
    file_path = os.path.join(path, METADATA)
    try:
        with opened(file_path, deadline) as file:
            if not 0 < file.size <= METADATA_MAX:
                raise Broken(f"{METADATA} has {file.size} bytes")
            said, names = pickles.read(file.at(0, file.size))
            refuse_programs(names)
    except FileNotFoundError as error:
        raise Broken(f"{METADATA}, which is written last, is not there") from error
    except Broken as error:
        raise Broken(f"{METADATA}: {error}") from error
    storage = said.state.get("storage_data") if isinstance(getattr(said, "state", None), dict) else None
    if not isinstance(storage, dict):
        raise Unknown(f"{METADATA} tells nothing of where the data lie")
    return [_item(key, info) for key, info in storage.items()]


def _item(key: Any, info: Any) -> Item:
    told = info.state if isinstance(getattr(info, "state", None), dict) else {}
    name, file = _state(key).get("fqn"), told.get("relative_path")
    offset, length = told.get("offset"), told.get("length")
    if not (
        isinstance(name, str)
        and isinstance(file, str)
        and isinstance(offset, int)
        and isinstance(length, int)
    ):
        raise Unknown(f"{METADATA} tells where the data lie in a way that is not known here")
    if os.path.isabs(file) or ".." in file.split("/") or offset < 0 or length < 0:
        raise Unknown(f"{METADATA} names a file outside of this folder")
    return Item(name, file, offset, length, not told.get("transform_descriptors"))


def _state(value: Any) -> dict[str, Any]:
    state = getattr(value, "state", None)
    return state if isinstance(state, dict) else {}


def _check_file(
    path: str, items: list[Item], level: int, deadline: Deadline, weighs: Callable[[str], bool]
) -> tuple[Looked, bool]:
    """(what was looked at, whether checksums prove all of it)."""
    ill: list[str] = []
    count = 0
    is_proven = True
    with opened(path, deadline) as file:
        end = max(item.offset + item.length for item in items)
        if end != file.size:
            raise Broken(f"it should have {end} bytes, and has {file.size}")
        for item in items if level >= CONTENT else ():
            if not item.is_plain or not torch_zip.is_one(file.at(item.offset, min(4, item.length))):
                is_proven = False
                continue
            try:
                found = torch_zip.whole(file, item.offset, item.length)
                refuse_programs(found.names)
                is_wanted = level >= FINITE and weighs(item.name)
                looked = found.check_content(finite=(lambda _: True) if is_wanted else None)
            except Broken as error:
                raise Broken(f"{item.name}: {error}") from error
            is_proven = is_proven and found.has_checksums
            count += looked.seen
            ill += [item.name] * bool(looked.ill)
    return Looked(count, tuple(ill)), is_proven
