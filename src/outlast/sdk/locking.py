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
    if type(value) in (str, int, float, bool):
        return value[:CHARS_MAX] if isinstance(value, str) else value
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))[:CHARS_MAX]
    if depth < 2 and type(value) in (list, tuple, set, frozenset) and len(value) <= ITEMS_MAX:  # type: ignore[arg-type]  # their types stand one word before
        return [known for each in value if (known := _plain(each, depth + 1)) is not None]  # type: ignore[attr-defined]  # as above
    if depth < 2 and isinstance(value, dict) and len(value) <= ITEMS_MAX:
        pairs = {str(key): _plain(each, depth + 1) for key, each in value.items()}
        return {key: each for key, each in pairs.items() if each is not None}
    return None
