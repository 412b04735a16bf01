"""The training's output, read as it grows, attempt after attempt.

Knows output.log and what says that no more of it will come. Refuses to understand a byte of it, and holds no lock.
"""

from __future__ import annotations

import errno
import os

from outlast.disk.layout import AttemptFolder, RunFolder

CHUNK = 1 << 16


class Tail:
    """Read `n`'s output until it is over and drained, then `advance` to the next attempt."""

    def __init__(self, run: RunFolder, first: int = 1) -> None:
        self._run, self.n = run, first
        self._fd: int | None = None
        self._at = 0

    @property
    def at(self) -> int:
        """The offset in the log up to which it was read."""
        return self._at

    @property
    def folder(self) -> AttemptFolder:
        return self._run.attempt(self.n)

    def read(self) -> bytes:
        """New bytes, b"" if there are none now. Raises OSError."""
        if self._fd is None and not self._open():
            return b""
        assert self._fd is not None
        size = os.fstat(self._fd).st_size
        if size < self._at:
            self._at = 0  # somebody emptied it: what stands there now is new
        if size == self._at:
            return b""
        self._at, end = _next_data(self._fd, self._at, size)
        part = os.pread(self._fd, min(CHUNK, end - self._at), self._at)
        self._at += len(part)
        return part

    def is_over(self) -> bool:
        """Whether no more of this attempt's output will come: ask before the last `read`."""
        folder = self.folder
        return os.path.exists(folder.exit) or os.path.isdir(folder.next().path)

    def advance(self) -> bool:
        """Go to the next attempt that has output, if there is one: an attempt that never began has none. Only after
        `is_over` and a `read` that gave nothing."""
        following = self.folder.next()
        while os.path.isdir(following.path):
            if os.path.exists(following.output):
                self.close()
                self.n = following.n
                return True
            following = following.next()
        return False

    def seek_last_lines(self, count: int) -> None:
        """Skip to the last `count` lines that stand there now."""
        if self._fd is None and not self._open():
            return
        assert self._fd is not None
        end = os.fstat(self._fd).st_size
        if end and os.pread(self._fd, 1, end - 1) == b"\n":
            end -= 1
        while end > 0:
            start = max(0, end - CHUNK)
            part = os.pread(self._fd, end - start, start)
            cut = len(part)
            while (cut := part.rfind(b"\n", 0, cut)) >= 0:
                count -= 1
                if count == 0:
                    self._at = start + cut + 1
                    return
            end = start
        self._at = 0

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self._at = None, 0

    def _open(self) -> bool:
        try:
            self._fd = os.open(self.folder.output, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        return True


def _next_data(fd: int, at: int, size: int) -> tuple[int, int]:
    """From where to where bytes stand, at or behind `at`: a log that grew too large has its middle given back."""
    try:
        data = os.lseek(fd, at, os.SEEK_DATA)
        return data, os.lseek(fd, data, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        return at, size  # this file system knows no holes


def last_attempt(run: RunFolder) -> int:
    """The newest attempt that has output; 1 if none has."""
    try:
        found = [int(name) for name in os.listdir(run.attempts) if name.isdigit()]
    except OSError:
        return 1
    return max((n for n in found if os.path.exists(run.attempt(n).output)), default=1)
