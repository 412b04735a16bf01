"""A file that `torch.save` wrote (since 1.6): a zip of uncompressed records, with the numbers' CRC-32 beside them.

    NAME/data.pkl      the pickle; tensors in it refer to records by key
    NAME/data/KEY      the bytes of one storage
    NAME/version, NAME/byteorder, NAME/.format_version, NAME/.storage_alignment, NAME/.data/serialization_id

Format: torch.serialization and caffe2/serialize/inline_container.cc; zip by PKWARE's APPNOTE.TXT. CRCs are all zero
where `torch.serialization.set_crc32_options(False)` was set: then nothing proves the numbers.

Knows records and checks them. Refuses to know what a state dict is for.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from isal import isal_zlib

from outlast.checkpoints.parts import numbers, pickles, tensors
from outlast.checkpoints.parts.faults import Broken, OtherZip, Unknown
from outlast.checkpoints.parts.pickles import Stored
from outlast.checkpoints.parts.reading import Deadline, Opened
from outlast.checkpoints.parts.reading import opened as opened_file

PICKLE_MAX, FEW = 1 << 28, 16
NO_ZIP = (zipfile.BadZipFile, struct.error, UnicodeDecodeError, ValueError, NotImplementedError, EOFError)
SIGNATURE = b"PK\x03\x04"
LOCAL = struct.Struct("<4s5H3I2H")


class Record(NamedTuple):
    """`header_at`: where its own header begins in the file, with its bytes behind."""

    name: str
    header_at: int
    size: int
    crc: int


class Looked(NamedTuple):
    """`seen`: so many tensors' numbers were looked at; `ill`: the names of those that hold a NaN."""

    seen: int = 0
    ill: tuple[str, ...] = ()


class TorchZip:
    """`records` by their names without the leading folder; `said`: what the pickle says; `names`: the classes and
    functions in it. A whole one has every storage that the pickle refers to."""

    def __init__(self, file: Opened, records: dict[str, Record]) -> None:
        """Raises Broken, Unknown, OSError."""
        self._file, self.records = file, records
        pickle = records["data.pkl"]
        if pickle.size > PICKLE_MAX:
            raise Unknown(f"its pickle has {pickle.size} bytes")
        body = file.at(self.begin_of(pickle), pickle.size)
        if self.has_checksums and isal_zlib.crc32(body) != pickle.crc:
            raise Broken("record data.pkl: its CRC-32 does not match")
        try:
            self.said, self.names = pickles.read(body)
        except Broken as error:
            raise (Unknown if self.has_checksums else Broken)(
                str(error)
            ) from error  # its bytes are as they were saved
        self.stored = {each.key: each for each in stored_in(self.said)}
        for stored in self.stored.values():
            self._check(stored)

    def begin_of(self, record: Record) -> int:
        """Where its bytes begin. Read when they are: on a cold disk a leap to each header would cost more than all the
        rest. Raises Broken, OSError."""
        head = self._file.at(record.header_at, LOCAL.size)
        if not head.startswith(SIGNATURE):
            raise Broken(f"record {record.name}: its header is not there")
        return record.header_at + LOCAL.size + int(sum(LOCAL.unpack(head)[-2:]))

    def _check(self, stored: Stored) -> None:
        record = self.records.get(f"data/{stored.key}")
        if record is None:
            raise Broken(f"record data/{stored.key}, to which its pickle refers, is not there")
        if stored.kind not in ("", *numbers.SIZES):
            return
        size = stored.count * (numbers.SIZES[stored.kind] if stored.kind else 1)
        if record.size != size:
            raise Broken(f"record data/{stored.key} has {record.size} bytes, and should have {size}")

    @property
    def has_checksums(self) -> bool:
        """Whether something proves the numbers."""
        sized = [record for record in self.records.values() if record.size]
        return not sized or any(record.crc for record in sized)

    @property
    def is_native(self) -> bool:
        """Whether its numbers lie as on this kind of machine."""
        order = self.records.get("byteorder")
        return order is None or self._file.at(self.begin_of(order), min(order.size, 16)) != b"big"

    def check_content(self, *, finite: Callable[[str], bool] | None = None) -> Looked:
        """All records against their CRC-32; and in one go the tensors whose name `finite` accepts. Raises Broken,
        Unknown, OSError."""
        wanted: dict[str, list[tensors.Tensor]] = {}
        for tensor in tensors.tensors_in(self.said) if finite is not None and self.is_native else ():
            if finite is not None and self._can_be_looked_at(tensor) and finite(tensor.name):
                wanted.setdefault(f"data/{tensor.stored.key}", []).append(tensor)
        ill: dict[str, None] = {}
        for key, record in self.records.items():
            crc, at, here = 0, 0, wanted.get(key, [])
            for piece in self._file.pieces(self.begin_of(record), record.size):
                crc = isal_zlib.crc32(piece, crc)
                if here and not numbers.are_finite(here[0].kind, piece):
                    ill |= dict.fromkeys(_ill_in(here, piece, at))
                at += len(piece)
            if self.has_checksums and crc != record.crc:
                raise Broken(f"record {record.name}: its CRC-32 does not match")
        return Looked(sum(map(len, wanted.values())), tuple(ill))

    def numbers(self, tensor: tensors.Tensor) -> list[float]:
        """Of a tensor of very few: the first ones. None where they are of a type that is not read here. Raises Broken,
        OSError."""
        if (
            not self._can_be_looked_at(tensor)
            or tensor.kind not in ("float32", "float64")
            or not self.is_native
        ):
            return []
        size = numbers.SIZES[tensor.kind]
        count = min(tensor.last - tensor.first, FEW)
        at = self.begin_of(self.records[f"data/{tensor.stored.key}"]) + tensor.first * size
        return list(struct.unpack(f"<{count}{'f' if size == 4 else 'd'}", self._file.at(at, count * size)))

    def _can_be_looked_at(self, tensor: tensors.Tensor) -> bool:
        record = self.records.get(f"data/{tensor.stored.key}")
        if record is None or not tensor.kind or not numbers.is_floating(tensor.kind):
            return False
        size = numbers.SIZES[tensor.kind]
        return record.size % size == 0 and tensor.last * size <= record.size


def _ill_in(here: list[tensors.Tensor], piece: memoryview, at: int) -> Iterator[str]:
    """The names of those to which a NaN of the piece belongs: a storage may be longer than what is saved of it, and
    what lies there is nobody's. Infinity is no illness: masks and observers hold it from the beginning."""
    kind = here[0].kind
    places = numbers.nans(kind, piece) // (2 if kind in numbers.PARTS else 1) + at // numbers.SIZES[kind]
    for tensor in here:
        if ((places >= tensor.first) & (places < tensor.last)).any():
            yield tensor.name


def is_one(head: bytes) -> bool:
    """By the first bytes of a file."""
    return head.startswith(SIGNATURE)


@contextmanager
def opened(path: str, deadline: Deadline) -> Iterator[TorchZip]:
    """A whole one, as far as its structure tells. Raises Broken, Unknown, OSError."""
    with opened_file(path, deadline) as file:
        yield whole(file)


def check_plain(file: Opened, level: int) -> None:
    """Another zip (.npz): its directory, and from level 1 on each member's CRC-32. Raises Broken, Unknown, OSError."""
    try:
        with zipfile.ZipFile(_Window(file, 0, file.size)) as found:
            bad = found.testzip() if level > 0 else None
    except (*NO_ZIP, zlib.error) as error:
        raise Broken(f"it is no whole zip ({str(error)[:99]}): cut off, or overwritten") from error
    if bad is not None:
        raise Broken(f"member {bad}: its CRC-32 does not match")


def whole(file: Opened, begin: int = 0, count: int | None = None) -> TorchZip:
    """The one that the file is, or that lies inside of it. Raises Broken, Unknown, OSError."""
    return TorchZip(file, _records(file, begin, count))


class _Window(io.RawIOBase):
    """A part of a file, as zipfile wants it."""

    def __init__(self, file: Opened, begin: int, count: int) -> None:
        self._file, self._begin, self._count, self._at = file, begin, count, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._count)[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._count - self._at)
        count = left if count is None or count < 0 else min(count, left)
        found = self._file.at(self._begin + self._at, count) if count else b""
        self._at += len(found)
        return found


def _records(file: Opened, begin: int, count: int | None) -> dict[str, Record]:
    count = file.size if count is None else count
    if count == 0:
        raise Broken("it is empty")
    try:
        with zipfile.ZipFile(_Window(file, begin, count)) as found:
            infos, end = found.infolist(), begin + found.start_dir
    except NO_ZIP as error:
        raise Broken(f"it is no whole zip ({str(error)[:99]}): cut off, or overwritten") from error
    records: dict[str, Record] = {}
    for info in sorted(infos, key=lambda each: each.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise OtherZip(f"record {info.filename} is compressed: torch does not write it so")
        header_at = begin + info.header_offset
        if header_at + LOCAL.size + len(info.filename) + info.file_size > end:
            raise Broken(f"record {info.filename} reaches beyond the end")
        records[info.filename.partition("/")[2]] = Record(info.filename, header_at, info.file_size, info.CRC)
    if "data.pkl" not in records:
        raise OtherZip("a zip without a data.pkl: torch.save did not write it")
    return records


def stored_in(said: Any) -> Iterator[Stored]:
    """All storages to which it refers, each once."""
    seen: set[int] = set()
    keys: set[str] = set()
    left = [said]
    while left:
        value = left.pop()
        if isinstance(value, Stored):
            if value.key not in keys:
                keys.add(value.key)
                yield value
        elif isinstance(value, (dict, list, tuple, set, frozenset, pickles.Named)) and id(value) not in seen:
            seen.add(id(value))
            left.extend(pickles.inside(value))
