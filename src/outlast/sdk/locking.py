"""What a training says may not change, left in its attempt's folder for whoever starts the next one.

Knows plain values: text, numbers, paths, and lists and mappings of them. Refuses to touch anything else, which may live
on a device, and to read what a path names: that is done from outside.
"""

from __future__ import annotations

import os

from outlast.sdk.own_page import say_once

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

SCHEMA = 1
NAME = "locked.json"
CHARS_MAX, ITEMS_MAX = 4096, 64
_told: dict[str, Any] = {}  # of this process; a later word for a key takes the place of the earlier


def tell(values: Mapping[str, object]) -> None:
    """Raises WorldError: it could not be written."""
    from outlast.disk import files

    folder = os.environ.get("OUTLAST_ATTEMPT_DIR")
    if not folder:
        return
    for key, value in values.items():
        known = _plain(value, 0)
        if known is None:
            say_once(f"lock({key}=...): {type(value).__name__} is no text, number or path: it is not locked")
        else:
            _told[str(key)] = known
    record = {"schema": SCHEMA, "cwd": os.getcwd(), "told": dict(_told)}
    files.replace(os.path.join(folder, NAME), record, durable=False)


def _plain(value: object, depth: int) -> Any:
    """None: it is nothing that may be looked at."""
    kind = type(value)  # asked of nothing else: a value on a device waits for it when it is looked at
    if kind in (str, int, float, bool):
        return value[:CHARS_MAX] if isinstance(value, str) else value
    items: Any = value
    if issubclass(kind, os.PathLike):
        return str(os.fspath(items))[:CHARS_MAX]
    if depth < 2 and kind in (list, tuple, set, frozenset) and len(items) <= ITEMS_MAX:
        return [known for each in items if (known := _plain(each, depth + 1)) is not None]
    if depth < 2 and issubclass(kind, dict) and len(items) <= ITEMS_MAX:
        pairs = {str(key): _plain(each, depth + 1) for key, each in items.items()}
        return {key: each for key, each in pairs.items() if each is not None}
    return None
