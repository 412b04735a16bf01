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
        try:
            known = _plain(value, 0)
        except _TooMany:
            say_once(f"lock({key}=...): more than {ITEMS_MAX} items: it is not locked")
            continue
        if known is None:
            say_once(f"lock({key}=...): {type(value).__name__} is no text, number or path: it is not locked")
        else:
            _told[str(key)] = known
    record = {"schema": SCHEMA, **_where(), "told": dict(_told)}
    files.replace(os.path.join(folder, NAME), record, durable=False)


class _TooMany(Exception):
    """A part of it alone would be another value."""


def _where() -> dict[str, str]:
    """What paths are relative to; nothing where that folder was removed."""
    try:
        return {"cwd": os.getcwd()}
    except OSError:
        return {}


def _plain(value: object, depth: int) -> Any:
    """None: it is nothing that may be looked at. Raises _TooMany."""
    kind = type(value)  # asked of nothing else: a value on a device waits for it when it is looked at
    items: Any = value
    if kind is str:
        return _short(items)
    if kind is float:
        return items if items - items == 0 else str(items)  # JSON has no word for inf and nan
    if kind in (int, bool):
        return value
    if issubclass(kind, os.PathLike):
        return _short(str(os.fspath(items)))
    if (
        depth < 2
        and (kind in (list, tuple, set, frozenset) or issubclass(kind, dict))
        and len(items) > ITEMS_MAX
    ):
        raise _TooMany
    if depth < 2 and kind in (list, tuple, set, frozenset):
        return [known for each in items if (known := _plain(each, depth + 1)) is not None]
    if depth < 2 and issubclass(kind, dict):
        pairs = {str(key): _plain(each, depth + 1) for key, each in items.items()}
        return {key: each for key, each in pairs.items() if each is not None}
    return None


def _short(text: str) -> str:
    """Long text by its hash: of two that begin alike each is itself."""
    if len(text) <= CHARS_MAX:
        return text
    import hashlib

    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
