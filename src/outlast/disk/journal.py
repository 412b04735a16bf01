"""One place's journal: a segment per term, sealed by its successor; the only truth about decisions.

A line is one JSON object that ends in `,"crc":"%08x"}\\n`: the CRC-32 of the object without that key, seeded with
the crc of the line before (so a missing line shows, not only a bent one).

Valid history = the newest segment's whole records + of each older segment exactly the bytes that its successor
sealed. What a zombie appends to its own dead segment lies beyond the seal and is void for ever.

Refuses to know what a record says: bodies are bytes, except for the opening of each segment.
"""

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from outlast.disk import files
from outlast.errors import Damaged, TryAgain, WorldError

SCHEMA = 1
_MARK = b',"crc":"'
_SEGMENT = re.compile(r"[0-9]{8}\.jsonl")


class Lost(TryAgain):
    """Somebody else opened that term first."""


class TermOver(WorldError):
    """This term can write no more; the history is what stands on the disk. Open the next term when possible."""


class Seal(NamedTuple):
    """Exactly what was read of a segment."""

    term: int
    bytes: int
    crc: int

    def record(self) -> dict[str, Any]:
        return {"term": self.term, "bytes": self.bytes, "crc": f"{self.crc:08x}"}


class History(NamedTuple):
    """The valid history of a place. `bodies` are lines without newline, oldest first, without the openings.

    `books` is what the oldest segment that was read carries of all before it (None: nothing was before).
    `settled` counts the bodies that a later segment sealed: no takeover can void them any more.
    `torn` holds what lay behind the newest segment's last whole record: void, kept as evidence.
    """

    bodies: list[bytes]
    books: Any
    seal: Seal
    settled: int
    torn: bytes


def encode_line(body: bytes, crc: int) -> tuple[bytes, int]:
    """`body` is one JSON object without newline and without a "crc" key."""
    crc = zlib.crc32(body, crc)
    return body[:-1] + b',"crc":"%08x"}\n' % crc, crc


def terms(folder: str) -> list[int]:
    """The numbers of the segments there, ascending."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorldError(f"cannot list {folder}: {error.strerror}") from error
    return sorted(int(name[:8]) for name in names if _SEGMENT.fullmatch(name))


def segment(folder: str, term: int) -> str:
    return os.path.join(folder, f"{term:08d}.jsonl")


def read(folder: str, segments: int | None = None) -> History:
    """With `segments`, only so many of the newest (enough to look for something recent).

    Raises WorldError when the file system shows less than a seal says (a stale view: look again), Damaged when a
    sealed part does not match its seal (this place starts nothing; the message names file and byte).
    """
    numbers = terms(folder)
    if not numbers:
        return History([], None, Seal(0, 0, 0), 0, b"")
    seal, newest, torn = None, None, b""
    parts: list[list[bytes]] = []
    books: Any = None
    term = numbers[-1]
    while term and (segments is None or len(parts) < segments):
        path = segment(folder, term)
        data = _segment_bytes(path, seal)
        lines, size, crc = scan(data)
        _check_seal(path, seal, data, size, crc)
        if not lines:
            raise _no_opening(path, data)
        opening = _opening(lines[0], term, path)
        if newest is None:
            newest, torn = Seal(term, size, crc), data[size:]
        parts.append(lines[1:])
        if "books" in opening:
            books = opening["books"]
            break
        seal = _seal_of(opening, path)
        term = seal.term
    assert newest is not None
    bodies = [line for part in reversed(parts) for line in part]
    return History(bodies, books, newest, len(bodies) - len(parts[0]), torn)


def _no_opening(path: str, data: bytes) -> WorldError:
    """A segment gets its name with a whole opening in it: a shorter one is an old view, another one is damage."""
    if b"\n" not in data and b"\0" not in data:
        return WorldError(
            f"{path}: shows less than its opening record: an old view (look again), or a copy cut short"
        )
    return Damaged(f"{path}: byte 0: its opening record is not whole")


def scan(data: bytes, crc: int = 0) -> tuple[list[bytes], int, int]:
    """Whole records from the front: (lines without newline, their bytes, the last crc). Stops at the first byte
    that does not belong to one."""
    lines: list[bytes] = []
    position = 0
    while (end := data.find(b"\n", position)) >= 0:
        line = data[position:end]
        cut = len(line) - 18  # ,"crc":"xxxxxxxx"}
        if cut < 1 or line[cut : cut + 8] != _MARK or line[-2:] != b'"}':
            break
        expected = zlib.crc32(b"}", zlib.crc32(line[:cut], crc))
        if line[cut + 8 : -2] != b"%08x" % expected:
            break
        lines.append(line)
        crc, position = expected, end + 1
    return lines, position, crc


class Term:
    """The right to write the history, until somebody opens a later term. Not a lock: only `make_once` permits."""

    def __init__(self, folder: str, number: int, fd: int, crc: int, size: int) -> None:
        self.folder, self.number = folder, number
        self._fd, self._crc, self.bytes = fd, crc, size
        self.over = False

    @classmethod
    def open(
        cls, folder: str, history: History, by: dict[str, Any], at: dict[str, Any], books: Any = None
    ) -> "Term":
        """Open the term after `history`, sealing exactly what was read. `books` replaces all that came before.

        Raises Lost if another did first, WorldError if that is not known.
        """
        number = history.seal.term + 1
        opening: dict[str, Any] = {
            "type": "Opened",
            "schema": SCHEMA,
            "term": number,
            "at": at,
            "by": by,
            "nonce": os.urandom(8).hex(),
            "seal": history.seal.record(),
        }
        if books is not None:
            opening["books"] = books
        line, crc = encode_line(_json(opening), 0)
        fd = files.make_segment(segment(folder, number), line)
        if fd is None:
            raise Lost(f"term {number} of {folder} was opened by somebody else")
        return cls(folder, number, fd, crc, len(line))

    def append(self, bodies: Iterable[bytes]) -> None:
        """One write and one fdatasync for all; whole or never believed. Raises TermOver: nothing more will be
        written in this term, and what of these records counts is decided by the next reading."""
        if self.over:
            raise TermOver(f"term {self.number} is over")
        block, crc = b"", self._crc
        for body in bodies:
            line, crc = encode_line(body, crc)
            block += line
        try:
            files.append_durably(self._fd, block)
        except OSError as error:
            self.over = True
            raise TermOver(
                f"cannot write {segment(self.folder, self.number)}: {error.strerror or error}"
            ) from error
        self._crc, self.bytes = crc, self.bytes + len(block)

    def superseded(self) -> bool:
        """Whether somebody opened a later term. A courtesy: not seeing it permits nothing."""
        return max(terms(self.folder), default=0) > self.number

    def close(self) -> None:
        self.over = True
        os.close(self._fd)


def take_over(
    folder: str,
    by: dict[str, Any],
    at: dict[str, Any],
    carry: Callable[[History], Any] | None = None,
) -> tuple[Term, History]:
    """Read the valid history and open the next term. Raises Lost, WorldError, Damaged."""
    files.make_directory(folder)
    history = read(folder)
    books = carry(history) if carry else None
    return Term.open(folder, history, by, at, books), history


def _segment_bytes(path: str, seal: Seal | None) -> bytes:
    body = files.read_bytes(path, 1 << 34)
    if body is None or (seal is not None and len(body) < seal.bytes):
        raise WorldError(f"{path}: shows less than its successor sealed; a stale view, look again")
    return body if seal is None else body[: seal.bytes]


def _check_seal(path: str, seal: Seal | None, data: bytes, size: int, crc: int) -> None:
    if seal is not None and (size, crc) != (seal.bytes, seal.crc):
        raise Damaged(
            f"{path}: byte {size}: does not match what the next term sealed; "
            "nothing is started here until a copy of that file is put back"
        )


def _opening(line: bytes, term: int, path: str) -> dict[str, Any]:
    record = files.decode(line, path)
    if record.get("type") != "Opened" or record.get("term") != term:
        raise Damaged(f"{path}: byte 0: it does not open term {term}")
    if record.get("schema") != SCHEMA:
        raise Damaged(
            f"{path}: schema {record.get('schema')}: written by another version of outlast; use that one"
        )
    return record


def _seal_of(opening: dict[str, Any], path: str) -> Seal:
    try:
        seal = Seal(
            int(opening["seal"]["term"]), int(opening["seal"]["bytes"]), int(opening["seal"]["crc"], 16)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{path}: byte 0: its seal says nothing: {error}") from error
    if not 0 <= seal.term < opening["term"]:
        raise Damaged(f"{path}: byte 0: it seals term {seal.term}, which is not before it")
    return seal


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
