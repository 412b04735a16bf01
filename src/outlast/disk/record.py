"""A record as bytes: one JSON object and a newline, strict, whatever a training, a path or a person put into it.

Knows JSON's corners (NaN, bytes that are no UTF-8, brackets nested without end). Refuses to know files.
"""

from __future__ import annotations

import json
import math

from outlast.errors import Damaged

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]
else:
    Record = dict


def encode(record: Record) -> bytes:
    """NaN and infinity become null; a byte that is no UTF-8 (in a path, in the caller's environment) becomes an
    escaped surrogate, which comes back as it was."""
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(record), ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(_finite(record), separators=(",", ":")).encode() + b"\n"


def decode(body: bytes, source: str) -> Record:
    """Raises Damaged, naming `source`."""
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:  # the second: thousands of nested brackets
        raise Damaged(f"{source}: not a record of outlast: {error}") from error
    if not isinstance(record, dict):
        raise Damaged(f"{source}: not a record of outlast: it holds a {type(record).__name__}")
    return record


def fitting(record: Record, room: int) -> bytes:
    """`record` within `room` bytes if it can be had: it loses its `hints`, then the ends of its longest words."""
    body = encode(record)
    if len(body) > room and record.get("hints"):
        record = {**record, "hints": []}
        body = encode(record)
    for length in (1000, 250, 100):
        if len(body) > room:
            body = encode(_shortened(record, length))
    return body


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shortened(value: Any, length: int) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(each, length) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shortened(each, length) for each in value]
    return value[:length] + "…" if isinstance(value, str) and len(value) > length else value
