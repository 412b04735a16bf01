"""An OCDBT database, in which Orbax keeps arrays: `manifest.ocdbt` names the root of a B+tree in a data file; the nodes
of the tree name others, and where each value lies.

    manifest.ocdbt   d/32_HEX_DIGITS   ocdbt.process_0/d/32_HEX_DIGITS

Format: https://google.github.io/tensorstore/kvstore/ocdbt/index.html#storage-format. The manifest and every node carry
their length and a CRC-32C; values carry neither, only their length stands in the node.

Knows the tree. Refuses to know what a value is.
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline, opened

MANIFEST = "manifest.ocdbt"
MANIFEST_MAGIC, NODE_MAGIC = b"\x0c\xdb\x3a\x2a", b"\x0c\xdb\x20\xde"
HEAD, FOOT = 14, 4  # magic, length (8), version and compression as varints of one byte; CRC-32C
PLAIN, ZSTD = 0, 1
ENCODED_MAX, DECODED_MAX = 64 << 20, 256 << 20  # the library's own limit of a node is 100 MB
NODES_MAX, HEIGHT_MAX, ENTRIES_MAX = 1_000_000, 64, 10_000_000
NOWHERE = 1 << 63  # an offset from here on: there is none
CRC32C = 0x82F63B78  # reversed polynomial of Castagnoli


class Place(NamedTuple):
    """Bytes of a data file. `above`: of its path, what the paths in a node there are relative to."""

    file: str
    above: str
    offset: int
    length: int


class Value(NamedTuple):
    """`place` None: it stands in the node itself, as `inline`."""

    key: str
    inline: bytes
    place: Place | None


def values(path: str, deadline: Deadline) -> Iterator[Value]:
    """All of the newest version in the database `path`, each of which lies where its node says. Raises Broken, Unknown,
    OSError."""
    sizes: dict[str, int] = {}
    for value in _in_tree(path, deadline):
        if value.place is not None:
            _check_reach(path, value.place, sizes)
        yield value


def _in_tree(path: str, deadline: Deadline) -> Iterator[Value]:
    root, height = _root(path, deadline)
    left = [(root, height, b"")] if root is not None else []
    for _ in range(NODES_MAX):
        if not left:
            return
        place, height, prefix = left.pop()
        body = _Body(_decoded(_bytes(path, place, deadline), NODE_MAGIC, place.file))
        if body.byte() != height or height > HEIGHT_MAX:
            raise Broken(f"{place.file}: a node of its tree is not where it should be")
        files = body.files(place.above)
        count = body.count()
        if height:
            left += [(child, height - 1, key) for child, key in _children(body, files, count, prefix)]
        else:
            yield from _leaves(body, files, count, prefix)
    raise Unknown(f"its tree has more than {NODES_MAX} nodes")


def _root(path: str, deadline: Deadline) -> tuple[Place | None, int]:
    try:
        with opened(os.path.join(path, MANIFEST), deadline) as file:
            if file.size > ENCODED_MAX:
                raise Unknown(f"{MANIFEST} has {file.size} bytes")
            body = _Body(_decoded(file.at(0, file.size), MANIFEST_MAGIC, MANIFEST))
    except FileNotFoundError as error:
        raise Broken(f"{MANIFEST} is not there") from error
    body.take(16)  # uuid
    if body.varint() != 0:
        raise Unknown(f"{MANIFEST}: of a kind that is not known here")
    body.varints(2)  # the sizes up to which values and nodes go
    body.byte()  # arity of the tree of versions
    if body.varint() == ZSTD:
        body.take(4)  # its level
    files = body.files("")
    count = body.count()
    body.varints(count)  # generations
    heights = body.take(count)
    ids, offsets, lengths = (body.varints(count) for _ in range(3))
    if not count or offsets[-1] >= NOWHERE:
        return None, 0
    return _place(files, ids[-1], offsets[-1], lengths[-1]), heights[-1]


def _children(
    body: "_Body", files: list[tuple[str, str]], count: int, prefix: bytes
) -> list[tuple[Place, bytes]]:
    shared, own, common = body.shared(count), body.varints(count), body.varints(count)
    keys = _keys(body, shared, own)
    ids, offsets, lengths = (body.varints(count) for _ in range(3))
    return [
        (_place(files, *at), prefix + key[:length])
        for *at, key, length in zip(ids, offsets, lengths, keys, common, strict=True)
    ]


def _leaves(body: "_Body", files: list[tuple[str, str]], count: int, prefix: bytes) -> Iterator[Value]:
    keys = _keys(body, body.shared(count), body.varints(count))
    lengths, kinds = body.varints(count), body.varints(count)
    far = sum(map(bool, kinds))
    ids, offsets = iter(body.varints(far)), iter(body.varints(far))
    for key, length, kind in zip(keys, lengths, kinds, strict=True):
        name = (prefix + key).decode("utf-8", "replace")
        place = _place(files, next(ids), next(offsets), length) if kind else None
        yield Value(name, b"" if kind else body.take(length), place)


def _keys(body: "_Body", shared: list[int], own: list[int]) -> list[bytes]:
    keys, last = [], b""
    for kept, added in zip(shared, own, strict=True):
        last = last[:kept] + body.take(added)
        keys.append(last)
    return keys


def _place(files: list[tuple[str, str]], number: int, offset: int, length: int) -> Place:
    if number >= len(files):
        raise Broken("its tree names a data file that it does not list")
    return Place(*files[number], offset, length)


def _check_reach(path: str, place: Place, sizes: dict[str, int]) -> None:
    if place.file not in sizes:
        try:
            sizes[place.file] = os.stat(os.path.join(path, place.file)).st_size
        except FileNotFoundError as error:
            raise Broken(f"{place.file} is not there") from error
    if place.offset + place.length > sizes[place.file]:
        raise Broken(
            f"{place.file}: it should have {place.offset + place.length} bytes or more, and has {sizes[place.file]}"
        )


def _bytes(path: str, place: Place, deadline: Deadline) -> bytes:
    try:
        with opened(os.path.join(path, place.file), deadline) as file:
            return file.at(place.offset, place.length)
    except FileNotFoundError as error:
        raise Broken(f"{place.file} is not there") from error
    except Broken as error:
        raise Broken(f"{place.file}: {error}") from error


def _decoded(data: bytes, magic: bytes, name: str) -> bytes:
    """What its manifest or a node says. Raises Broken: not all of it is there, or it was changed; Unknown."""
    if not data.startswith(magic) or len(data) < HEAD + FOOT:
        raise Broken(f"{name}: it does not begin as it should" if data else f"{name}: it is empty")
    (length,) = struct.unpack("<Q", data[4:12])
    if length != len(data):
        raise Broken(f"{name}: it should have {length} bytes, and has {len(data)}")
    if crc32c(data[:-FOOT]) != int.from_bytes(data[-FOOT:], "little"):
        raise Broken(f"{name}: its CRC-32C does not match")
    version, compression = data[12], data[13]
    if version != 0 or compression not in (PLAIN, ZSTD):
        raise Unknown(f"{name}: of a version that is not known here")
    return data[HEAD:-FOOT] if compression == PLAIN else _decompressed(data[HEAD:-FOOT], name)


def _decompressed(data: bytes, name: str) -> bytes:
    try:
        if zstandard.frame_content_size(data) > DECODED_MAX:
            raise Unknown(f"{name}: it asks for more memory than it may")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=DECODED_MAX)
    except zstandard.ZstdError as error:
        raise Broken(f"{name}: it cannot be decompressed ({str(error)[:99]})") from error


def _table() -> tuple[int, ...]:
    found = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (CRC32C if number & 1 else 0)
        found.append(number)
    return tuple(found)


TABLE = _table()


def crc32c(data: bytes) -> int:
    """Some megabytes a second: for an index, not for what it leads to."""
    crc, table = 0xFFFFFFFF, TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class _Body:
    """What stands in a manifest or a node, from the left to the right. All raise Broken: it ends before."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise Broken("a node of its tree ends too early")
        self._at += count
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise Broken("a node of its tree holds a number that is none")

    def varints(self, count: int) -> list[int]:
        return [self.varint() for _ in range(count)]

    def count(self) -> int:
        count = self.varint()
        if count > ENTRIES_MAX:
            raise Broken("a node of its tree tells of more entries than it can hold")
        return count

    def shared(self, count: int) -> list[int]:
        """How much of each key, or path, is that of the one before it."""
        return [0, *self.varints(count - 1)][:count]

    def files(self, above: str) -> list[tuple[str, str]]:
        """(path, what paths in a node there are relative to) of each data file. Raises Broken, Unknown."""
        count = self.count()
        shared, own, bases = self.shared(count), self.varints(count), self.varints(count)
        found = []
        for path, base in zip(_keys(self, shared, own), bases, strict=True):
            name = above + path.decode("utf-8", "replace")
            if name.startswith("/") or ".." in name.split("/"):
                raise Unknown("it names a file outside of this folder")
            found.append((name, above + path[:base].decode("utf-8", "replace")))
        return found
