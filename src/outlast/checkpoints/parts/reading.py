"""Reads a file that somebody may be writing, cutting or overwriting meanwhile, in pieces that stay in the cache.

Not mapped into memory: a mapped file that is cut off ends whoever reads it (SIGBUS).
"""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from outlast.checkpoints.parts.faults import Broken, Late

PIECE = 1 << 20


class Deadline:
    """`check` now and then: raises Late once the time is over. `seen` counts bytes, for whoever shows progress."""

    def __init__(self, within_s: float) -> None:
        self._within_s, self._until_s = within_s, time.monotonic() + within_s
        self.seen = 0

    def check(self, seen: int = 0) -> None:
        self.seen += seen
        if time.monotonic() > self._until_s:
            raise Late(f"it could not be read within {self._within_s:.0f} s")


class Opened:
    """A regular file. `size`: when it was opened."""

    def __init__(self, path: str, fd: int, size: int, deadline: Deadline) -> None:
        self.path, self.size = path, size
        self._fd, self._deadline = fd, deadline

    def at(self, offset: int, count: int) -> bytes:
        """Raises Broken: it does not reach so far. Unknown, OSError."""
        return b"".join(bytes(piece) for piece in self.pieces(offset, count))

    def pieces(self, offset: int, count: int) -> Iterator[memoryview]:
        """All are of the same length but the last, and each is overwritten by the next. Raises Broken: it does not
        reach so far. Unknown, OSError."""
        buffer = memoryview(bytearray(min(PIECE, max(1, count))))
        while count > 0:
            piece = buffer[: min(count, len(buffer))]
            self._fill(piece, offset)
            offset, count = offset + len(piece), count - len(piece)
            self._deadline.check(len(piece))
            yield piece

    def _fill(self, piece: memoryview, offset: int) -> None:
        while piece:
            got = os.preadv(self._fd, [piece], offset)
            if got == 0:
                raise Broken(f"it ends at byte {offset}, and should go on for {len(piece)} or more")
            piece, offset = piece[got:], offset + got


@contextmanager
def opened(path: str, deadline: Deadline) -> Iterator[Opened]:
    """Raises Broken: it is no regular file. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise Broken("it is no regular file")
        yield Opened(path, fd, status.st_size, deadline)
    finally:
        os.close(fd)
