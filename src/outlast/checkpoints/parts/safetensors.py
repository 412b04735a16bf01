"""A safetensors file: eight bytes with the length of a JSON header, the header, the numbers.

Format: https://huggingface.co/docs/safetensors/index#format. It carries no checksum: a flipped bit in the numbers is
seen only by whoever wrote down a hash before (a manifest).

Knows header and numbers. Refuses to know what a tensor is for.
"""

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, NamedTuple

from outlast.checkpoints.parts import numbers
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline, Opened
from outlast.checkpoints.parts.reading import opened as opened_file
from outlast.checkpoints.parts.torch_zip import Looked

HEADER_MAX = 100_000_000  # the library's own limit
KINDS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu", "C64": "complex64", "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8",
    "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip
BITS = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # of which several share a byte


class Tensor(NamedTuple):
    """`begin` and `end` in the file. `kind` "" where its numbers are of a type that is not looked at."""

    name: str
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Safetensors:
    """A file whose header fits it."""

    def __init__(self, file: Opened) -> None:
        """Raises Broken, Unknown, OSError."""
        if file.size < 8:
            raise Broken(
                "it is empty" if not file.size else f"it has {file.size} bytes: its header is cut off"
            )
        (length,) = struct.unpack("<Q", file.at(0, 8))
        if length > HEADER_MAX or 8 + length > file.size:
            raise Broken(f"its header should have {length} bytes, and the file has {file.size}")
        self._file, self.header = file, file.at(8, length)
        self.tensors, self.metadata = _read_header(self.header, 8 + length, file.size)

    def check_content(self, *, finite: Callable[[str], bool] | None = None) -> Looked:
        """The tensors whose name `finite` accepts. Raises Broken, Unknown, OSError."""
        ill, count = [], 0
        for tensor in self.tensors:
            if not (
                tensor.kind
                and numbers.is_floating(tensor.kind)
                and finite is not None
                and finite(tensor.name)
            ):
                continue
            count += 1
            if any(
                not numbers.are_finite(tensor.kind, piece) and len(numbers.nans(tensor.kind, piece))
                for piece in self._pieces(tensor)
            ):
                ill.append(tensor.name)
        return Looked(count, tuple(ill))

    def _pieces(self, tensor: Tensor) -> Iterator[memoryview]:
        return self._file.pieces(tensor.begin, tensor.end - tensor.begin)


@contextmanager
def opened(path: str, deadline: Deadline) -> Iterator[Safetensors]:
    """Raises Broken, Unknown, OSError."""
    with opened_file(path, deadline) as file:
        yield Safetensors(file)


def _read_header(header: bytes, base: int, size: int) -> tuple[list[Tensor], dict[str, str]]:
    try:
        told = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise Broken(f"its header is no JSON: {str(error)[:99]}") from error
    if not isinstance(told, dict):
        raise Broken("its header is no JSON object")
    metadata = told.pop("__metadata__", None) or {}
    tensors = sorted(
        (_tensor(name, about, base) for name, about in told.items()), key=lambda each: each.begin
    )
    at = base
    for tensor in tensors:
        if tensor.begin != at:
            raise Broken(f"tensor {tensor.name} begins at byte {tensor.begin}, and should at {at}")
        at = tensor.end
    if at != size:
        raise Broken(f"its tensors end at byte {at}, and the file has {size}")
    return tensors, metadata if isinstance(metadata, dict) else {}


def _tensor(name: str, about: Any, base: int) -> Tensor:
    try:
        kind, shape, (begin, end) = about["dtype"], tuple(about["shape"]), about["data_offsets"]
        count = prod(shape)
        is_sane = all(isinstance(each, int) and each >= 0 for each in (*shape, begin, end)) and end >= begin
    except (TypeError, KeyError, ValueError) as error:
        raise Broken(f"tensor {name}: its header makes no sense") from error
    if not is_sane:
        raise Broken(f"tensor {name}: its header makes no sense")
    if not isinstance(kind, str):
        raise Broken(f"tensor {name}: its header makes no sense")
    if kind in KINDS:
        bits = 8 * numbers.SIZES[KINDS[kind]]
    elif kind in BITS:
        bits = BITS[kind]
    else:
        raise Unknown(f"tensor {name} is of type {str(kind)[:20]}, which is not known here")
    if (count * bits + 7) // 8 != end - begin:
        raise Broken(
            f"tensor {name} has {end - begin} bytes, and by its shape should have {(count * bits + 7) // 8}"
        )
    return Tensor(name, KINDS.get(kind, ""), shape, base + begin, base + end)
