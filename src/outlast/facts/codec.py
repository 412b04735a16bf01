"""Value <-> JSON and plain dict. The one place that knows how a value looks on disk."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from outlast.errors import Broken, Damaged
from outlast.facts.entries import AnyEntry, Book
from outlast.facts.fact import Fact
from outlast.facts.values import RunId

F = TypeVar("F", bound=Fact)

_encoder = msgspec.json.Encoder()
_entries: "msgspec.json.Decoder[AnyEntry]" = msgspec.json.Decoder(AnyEntry)


def to_record(value: Fact) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(value)
    return record


def from_record(record: Any, kind: type[F], source: str = "record") -> F:
    """Raises Damaged, naming `source` and the key that is wrong.

    The value is what the journal would give back: it went through the same JSON, so what cannot be written there (a
    lone surrogate, a number of a hundred digits) is refused here, and NaN is nobody's word already.
    """
    try:
        value = msgspec.convert(record, kind)
        return msgspec.json.decode(_encoder.encode(value), type=kind)
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
        raise Damaged(f"{source}: {error}") from error


def to_line(entry: AnyEntry) -> bytes:
    """Raises Broken rather than write what would be read back as something else, or stop every later reader."""
    try:
        line = _encoder.encode(entry)
        if _entries.decode(line) == entry:
            return line
        why = "it would be read back as something else"
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError) as error:
        why = str(error)
    raise Broken(f"not for the journal: {why}: {entry!r}")


def from_line(line: bytes) -> AnyEntry:
    try:
        return _entries.decode(line)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Damaged(f"journal record {line[:120]!r}: {error}") from error


def from_lines(lines: Iterable[bytes]) -> list[AnyEntry]:
    return [from_line(line) for line in lines]


def books_to_record(books: Mapping[RunId, Book]) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(dict(books))
    return record


def books_from_record(record: Any, source: str = "journal") -> dict[RunId, Book]:
    try:
        return msgspec.convert(record, dict[RunId, Book])
    except msgspec.ValidationError as error:
        raise Damaged(f"{source}: the books that it carries: {error}") from error
