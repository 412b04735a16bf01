"""A step of Orbax: `N/`, `PREFIX_N/` of its CheckpointManager, or what a Checkpointer saved under such a name.

    N/_CHECKPOINT_METADATA     with a `commit_timestamp_nsecs` once it is whole; `item_handlers` names the items
    N/ITEM/_METADATA ...       one folder for each item, `default` if there is one only; or the step is the item itself
    N/commit_success.txt       where folders cannot be renamed
    N.orbax-checkpoint-tmp-T   until it is renamed

Format: orbax.checkpoint._src.metadata.step_metadata_serialization and ._src.path.atomicity. The library itself accepts
an empty `N/`.

Knows which items belong to a step. Refuses to know what lies in them (`parts/orbax_item`).
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from outlast.checkpoints.parts import listing, names, one_file, orbax_item, state
from outlast.checkpoints.parts.faults import Broken
from outlast.checkpoints.parts.listing import Entry, Own
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Candidate, Verdict

STEP = "_CHECKPOINT_METADATA"
COMMITTED, HANDLERS = "commit_timestamp_nsecs", "item_handlers"
SUCCESS, DESCRIPTOR, METRICS = "commit_success.txt", "descriptor", "metrics"
NAME = re.compile(r"(?:[A-Za-z][A-Za-z0-9.-]*_)?(\d{1,15})")


class OrbaxFormat:
    name = "orbax"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        inside = {
            path: held
            for path, held in listing.folders(root).items()
            if _step_of(os.path.basename(path)) is not None
        }
        shapes = {_shape(os.path.basename(path)) for path, held in inside.items() if STEP in held}

        def recognises(entry: Entry) -> bool:
            held = inside.get(entry.path)
            return held is not None and (
                _is_one(entry.path, held) or (not held and _shape(entry.name) in shapes)
            )

        return listing.candidates(root, limit, self.name, recognises, _step_of)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        return listing.judged(candidate, lambda deadline: _parts(candidate.path, deadline), level, within_s)


def _shape(name: str) -> str:
    """Of its name, less the number: an empty folder of another shape is nobody's step."""
    return name.rstrip("0123456789")


def _step_of(name: str) -> int | None:
    found = NAME.fullmatch(name)
    return int(found[1]) if found is not None else names.step_of(name)


def _is_one(path: str, held: frozenset[str]) -> bool:
    return (
        STEP in held or orbax_item.is_tree(held) or any(map(orbax_item.is_tree, _items(path, held).values()))
    )


def _items(path: str, held: frozenset[str]) -> dict[str, frozenset[str]]:
    below = {name: os.path.join(path, name) for name in sorted(held)}
    return {name: listing.names_in(each) for name, each in below.items() if os.path.isdir(each)}


def _parts(path: str, deadline: Deadline) -> Iterator[Own]:
    held = frozenset(os.listdir(path))
    if not held:
        raise Broken("it is empty")
    handlers = _handlers(path, held, deadline)
    if isinstance(handlers, str) or (handlers is None and orbax_item.is_tree(held)):
        yield _item("", path, handlers)
        return
    items = _items(path, held)
    trees = {name: "" for name, inside in items.items() if orbax_item.is_tree(inside)}
    for name, handler in sorted((handlers or trees).items()):
        if name not in items:
            raise Broken(f"item {name} is not there")
        yield _item(name, os.path.join(path, name), handler)


def _item(name: str, path: str, handler: Any) -> Own:
    told = handler if isinstance(handler, str) else ""
    return Own(name, path, _is_weight, partial(orbax_item.check, handler=told))


def _handlers(path: str, held: frozenset[str], deadline: Deadline) -> str | dict[str, Any] | None:
    """What the step says of its items; None: nothing. Raises Broken: it was never committed; Unknown, OSError."""
    if STEP not in held:
        if SUCCESS in held:
            raise Broken(f"{STEP} is not there")
        return None  # of an Orbax before 0.6
    try:
        told = one_file.json_of(os.path.join(path, STEP), deadline)
    except Broken as error:
        raise Broken(f"{STEP}: {error}") from error
    if not isinstance(told, dict) or not told.get(COMMITTED):
        raise Broken(f"{STEP} tells of no commit: a stop interrupted this save")
    handlers = told.get(HANDLERS)
    return handlers if isinstance(handlers, (str, dict)) else None


def _is_weight(name: str) -> bool:
    """`opt_state` is how Flax calls an optimizer's."""
    return state.is_weight(name) and not name.startswith(("opt_state", "opt."))
