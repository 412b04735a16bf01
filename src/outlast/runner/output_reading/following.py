"""Keeping up with a log that grows, at any speed: what is read of it when there is more than can be read.

Knows how much one look may cost. Refuses to know the file: it is given a function that reads.
"""

from __future__ import annotations

from outlast.runner.output_reading.lines import may_speak

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.runner.output_reading.reading import OutputReading

PIECE = 64 << 10
READ_MAX = 256 << 10  # of lines that may speak, in one look
LOOK_MAX = 4 << 20  # of anything, in one look


def follow(reading: OutputReading, read: Callable[[int, int], bytes], size: int) -> None:
    """Read on to `size`, with `read(offset, count)`. When more was written than one look may cost, it is the newest
    that counts, and the rest is reported as not seen. A file that became smaller was emptied: it is read anew."""
    if size < reading.position:
        reading.start_over()
    start = _worth_reading(read, reading.position, size)
    if start > reading.position:
        reading.skip(start - reading.position)
    while reading.position < size:
        piece = read(reading.position, min(PIECE, size - reading.position))
        if not piece:
            return
        reading.feed(piece)


def _worth_reading(read: Callable[[int, int], bytes], start: int, size: int) -> int:
    """Where to begin so that at most READ_MAX bytes of lines that may speak lie ahead."""
    if size - start <= READ_MAX:
        return start
    at, left = size, READ_MAX
    start = max(start, size - LOOK_MAX)
    while at > start and left > 0:
        count = min(PIECE, at - start)
        if may_speak(read(at - count, count)):
            left -= count
        at -= count
    return at
