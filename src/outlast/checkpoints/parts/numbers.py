"""Whether floating numbers are finite, straight from their bits.

IEEE 754: a number whose exponent bits are all ones is infinite or none. float32 and float64 are multiplied by zero
instead, which leaves zero of every finite number and NaN of every other, at the speed of memory. fp8 as in the Open
Compute Project's OFP8: e4m3fn has no infinity and one NaN pattern, e5m2 is an IEEE format.

Knows the names that torch and safetensors give their types. Refuses to know where the numbers lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever only looks at names does not pay for numpy
    import numpy as np

CHUNK = 1 << 20  # bytes looked at in one go: they stay in the cache

# The name in a torch pickle, in safetensors, in numpy -> bytes of one number.
SIZES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "complex128": 16, "complex64": 8, "complex32": 4,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "bool": 1,
    "quint8": 1, "qint8": 1, "qint32": 4, "quint4x2": 1, "quint2x4": 1,
}  # fmt: skip
PARTS = {"complex128": "float64", "complex64": "float32", "complex32": "float16"}  # two of these make one
FLOATS = {"float32": "<f4", "float64": "<f8"}
MASKS = {
    "float16": ("<u2", 0x7C00),
    "bfloat16": ("<u2", 0x7F80),
    "float8_e5m2": ("u1", 0x7C),
}
NANS = {  # formats without an infinity: these patterns are no numbers
    "float8_e4m3fn": (0x7F, 0xFF),
    "float8_e4m3fnuz": (0x80,),
    "float8_e5m2fnuz": (0x80,),
    "float8_e8m0fnu": (0xFF,),
}


def is_floating(kind: str) -> bool:
    return kind.startswith(("float", "bfloat", "complex"))


def are_finite(kind: str, data: memoryview) -> bool:
    """Whether all numbers of this type in `data` (whole numbers, little-endian, of any length) are finite. Types that
    know nothing else are. Raises ValueError: `kind` is not known, or `data` holds no whole number of them."""
    if kind not in SIZES:
        raise ValueError(f"no type of numbers is named {kind}")
    if len(data) % SIZES[kind]:
        raise ValueError(f"{len(data)} bytes are no whole number of {kind}")
    part = PARTS.get(kind, kind)
    if part in FLOATS:
        return _are_zero_times(FLOATS[part], data)
    if part in MASKS:
        bits, mask = MASKS[part]
        return all(not ((chunk & mask) == mask).any() for chunk in _chunks(bits, data))
    if part in NANS:
        return all(not (chunk == nan).any() for chunk in _chunks("u1", data) for nan in NANS[part])
    return True


def nans(kind: str, data: memoryview) -> np.ndarray[Any, Any]:
    """The places of those that are no numbers, counted in numbers (for complex ones in halves); slower."""
    import numpy as np

    part = PARTS.get(kind, kind)
    if part in FLOATS:
        return np.flatnonzero(np.isnan(np.frombuffer(data, FLOATS[part])))
    if part in MASKS:
        bits, mask = MASKS[part]
        values = np.frombuffer(data, bits)
        fraction = mask & -mask  # the lowest bit of the exponent: all below it is the fraction
        return np.flatnonzero(((values & mask) == mask) & ((values & (fraction - 1)) != 0))
    return np.flatnonzero(np.isin(np.frombuffer(data, "u1"), NANS[part]))


def _are_zero_times(bits: str, data: memoryview) -> bool:
    import numpy as np

    zeros = np.zeros(CHUNK // np.dtype(bits).itemsize, bits)
    with np.errstate(invalid="ignore"):
        return all(np.dot(chunk, zeros[: len(chunk)]) == 0 for chunk in _chunks(bits, data))


def _chunks(bits: str, data: memoryview) -> Iterator[np.ndarray[Any, Any]]:
    import numpy as np

    for start in range(0, len(data), CHUNK):
        yield np.frombuffer(data[start : start + CHUNK], bits)
