"""Whether a value is a number that the CPU already has. No other value is even asked.

Knows Python's and NumPy's numbers, and torch's tensors by their type alone. Refuses to touch what may live on a device.
"""

# ruff: noqa: BLE001 - whatever a value does when it is asked, it is no number then
from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any

STEPS_MAX = 1 << 53  # what a double counts exactly
_NUMBERS, _INTEGERS = ("f", "i", "u", "b"), ("i", "u")


def number(value: object) -> float | None:
    """As a float; None if it is none."""
    try:
        if issubclass(type(value), (float, int)) or _numpy_kind(value) in _NUMBERS:
            return float(value)  # type: ignore[arg-type]  # checked by its kind, above
    except Exception:
        return None
    return None


def whole(value: object) -> int | None:
    """A step's number; None if it is none."""
    kind = type(value)
    try:
        is_whole = issubclass(kind, int) or _numpy_kind(value) in _INTEGERS
        if is_whole or (issubclass(kind, float) and value.is_integer()):  # type: ignore[attr-defined]  # checked by its kind
            found = int(value)  # type: ignore[call-overload]  # checked by its kind, above
            return found if -STEPS_MAX < found < STEPS_MAX else None
    except Exception:
        return None
    return None


def tensor(value: object) -> Any:
    """`value`, if it is one of torch's; else None. torch is never loaded for it."""
    torch = sys.modules.get("torch")
    return value if torch is not None and type(value) is getattr(torch, "Tensor", None) else None


def _numpy_kind(value: object) -> str | None:
    """The kind of a NumPy scalar or array without dimensions."""
    if type(value).__module__ != "numpy" or getattr(value, "ndim", None) != 0:
        return None
    return str(value.dtype.kind)  # type: ignore[attr-defined]  # checked by its kind
