"""An array of Zarr, as Orbax writes it: a JSON that describes it, and chunks that Zstandard compresses.

    NAME/.zarray     NAME/0.0   NAME/0.1                    version 2
    NAME/zarr.json   NAME/c/0/0                             version 3; there a chunk may be a shard that holds chunks

Format: https://zarr-specs.readthedocs.io (v2, v3, codecs bytes, zstd and sharding_indexed). Chunks carry no checksum:
that one decompresses to as many bytes as it should says little of a flipped bit.

Knows the description and one chunk. Refuses to know where they lie.
"""

import io
import json
from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any, NamedTuple, Protocol

import zstandard

from outlast.checkpoints.parts import numbers
from outlast.checkpoints.parts.faults import Broken, Unknown

DESCRIPTIONS = (".zarray", "zarr.json")
PIECE = 1 << 20
KINDS_2 = {
    "<f8": "float64", "<f4": "float32", "<f2": "float16", "<c16": "complex128", "<c8": "complex64", "<i8": "int64",
    "<i4": "int32", "<i2": "int16", "|i1": "int8", "<u8": "uint64", "<u4": "uint32", "<u2": "uint16", "|u1": "uint8",
    "|b1": "bool",
}  # fmt: skip
INDEX_ENTRY, INDEX_FOOT, ABSENT = 16, 4, (1 << 64) - 1  # of a shard: offset and length of each chunk, CRC-32C
CHUNKS_MAX = 10_000_000


class Bytes(Protocol):
    """What is read of a chunk. Both raise Broken, Unknown, OSError."""

    size: int

    def at(self, offset: int, count: int) -> bytes: ...


class Array(NamedTuple):
    """`kind` "" where its numbers are of a type that is not looked at. `inner`: the shape of chunks in a shard.
    `is_read`: whether its codecs are known here."""

    name: str
    kind: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    inner: tuple[int, ...] | None
    separator: str
    prefix: str
    is_read: bool
    is_compressed: bool

    @property
    def is_floating(self) -> bool:
        return bool(self.kind) and numbers.is_floating(self.kind)

    def chunks(self) -> Iterator[str]:
        """The keys of all of them. Raises Unknown: there are too many."""
        grid = [range(-(-size // step)) for size, step in zip(self.shape, self.chunk, strict=True)]
        if prod(map(len, grid)) > CHUNKS_MAX:
            raise Unknown(f"{self.name}: it has more than {CHUNKS_MAX} chunks")
        for place in product(*grid):
            numbers_of = self.separator.join(map(str, place))
            last = (
                f"{self.prefix}{self.separator}{numbers_of}"
                if self.prefix and place
                else self.prefix or numbers_of
            )
            yield f"{self.name}/{last or '0'}"


def described(name: str, body: bytes) -> Array:
    """Raises Broken, Unknown."""
    try:
        told = json.loads(body)
        return _version_2(name, told) if told["zarr_format"] == 2 else _version_3(name, told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Broken(f"{name}: its description makes no sense ({type(error).__name__})") from error


def _version_2(name: str, told: Any) -> Array:
    compressor = told["compressor"]
    is_read = not told.get("filters") and (compressor is None or compressor.get("id") == "zstd")
    kind = told["dtype"] if isinstance(told["dtype"], str) else ""
    return _array(
        name, KINDS_2.get(kind, kind), told["shape"], told["chunks"], None, told.get("dimension_separator", "."), "",
        is_read=is_read, is_compressed=compressor is not None,
    )  # fmt: skip


def _version_3(name: str, told: Any) -> Array:
    chunk, inner, codecs = told["chunk_grid"]["configuration"]["chunk_shape"], None, told["codecs"]
    if codecs[0]["name"] == "sharding_indexed":
        inner, codecs = codecs[0]["configuration"]["chunk_shape"], codecs[0]["configuration"]["codecs"]
    names = [codec["name"] for codec in codecs]
    order = codecs[0].get("configuration", {}).get("endian", "little") if names else ""
    is_read = names in (["bytes"], ["bytes", "zstd"]) and order == "little" and len(told["codecs"]) == 1
    encoding = told["chunk_key_encoding"]
    separator = encoding.get("configuration", {}).get("separator", "/")
    return _array(
        name, told["data_type"], told["shape"], chunk, inner, separator, "c",
        is_read=(is_read or (inner is None and names == ["bytes", "zstd"])) and encoding["name"] == "default",
        is_compressed="zstd" in names,
    )  # fmt: skip


def _array(
    name: str, kind: str, shape: Any, chunk: Any, inner: Any, separator: str, prefix: str,
    *, is_read: bool, is_compressed: bool,
) -> Array:  # fmt: skip
    """Raises Broken."""
    counts = [tuple(shape), tuple(chunk), tuple(inner) if inner is not None else tuple(chunk)]
    is_sane = all(type(each) is int and each >= 0 for each in counts[0])
    is_sane = is_sane and all(type(each) is int and each > 0 for each in (*counts[1], *counts[2]))
    if not is_sane or len({len(each) for each in counts}) != 1:
        raise Broken(f"{name}: its description makes no sense")
    known = kind if kind in numbers.SIZES else ""
    return Array(
        name, known, counts[0], counts[1], counts[2] if inner is not None else None, separator, prefix, is_read,
        is_compressed,
    )  # fmt: skip


def is_finite(array: Array, source: Bytes, looked_at: bool) -> bool:
    """Whether the numbers of a chunk are, if they are to be looked at; all of it is decompressed. Raises Broken,
    Unknown, OSError."""
    if array.inner is None:
        return _is_chunk_finite(array, source, 0, source.size, array.chunk, looked_at)
    count = prod(-(-whole // part) for whole, part in zip(array.chunk, array.inner, strict=True))
    index_size = count * INDEX_ENTRY + INDEX_FOOT
    if source.size < index_size or count > CHUNKS_MAX:
        raise Broken(f"a shard of it has {source.size} bytes: cut off")
    index = memoryview(source.at(source.size - index_size, index_size - INDEX_FOOT)).cast("Q")
    is_good = True
    for n in range(count):
        at, size = index[2 * n : 2 * n + 2]
        if at != ABSENT:
            is_good = _is_chunk_finite(array, source, at, size, array.inner, looked_at) and is_good
    return is_good


def _is_chunk_finite(
    array: Array, source: Bytes, at: int, size: int, shape: tuple[int, ...], looked_at: bool
) -> bool:
    if at + size > source.size:
        raise Broken(f"a chunk of it should end at byte {at + size}, and {source.size} are there")
    looks = looked_at and array.is_floating
    is_good, seen = True, 0
    for piece in _pieces(array, source, at, size):
        seen += len(piece)
        if looks and is_good and not numbers.are_finite(array.kind, memoryview(piece)):
            is_good = not len(numbers.nans(array.kind, memoryview(piece)))
    wanted = prod(shape) * numbers.SIZES[array.kind] if array.kind else seen
    if seen != wanted:
        raise Broken(f"a chunk of it has {seen} bytes, and should have {wanted}")
    return is_good


def _pieces(array: Array, source: Bytes, at: int, size: int) -> Iterator[bytes]:
    """All of the same length but the last."""
    raw = _Raw(source, at, size)
    if not array.is_compressed:
        while piece := raw.read(PIECE):
            yield piece
        return
    try:
        with zstandard.ZstdDecompressor().stream_reader(io.BufferedReader(raw, PIECE)) as reader:
            while piece := _full(reader.read, PIECE):
                yield piece
    except zstandard.ZstdError as error:
        raise Broken(f"a chunk of it cannot be decompressed ({str(error)[:99]})") from error


def _full(read: Callable[[int], bytes], count: int) -> bytes:
    parts = []
    while count > 0 and (part := read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class _Raw(io.RawIOBase):
    def __init__(self, source: Bytes, at: int, size: int) -> None:
        super().__init__()
        self._source, self._at, self._left = source, at, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left)
        buffer[:count] = self._source.at(self._at, count)
        self._at, self._left = self._at + count, self._left - count
        return count
