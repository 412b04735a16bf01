"""The training's output.log: its size, and how it is kept within a bound without ever getting in the way.

The training appends to its own file and no pipe of ours is between. When the file holds too much, the middle is
given back to the disk as a hole: the first 16 MiB stay, and the newest half of the rest. Where the file system knows
no holes, we say so once.
"""

from __future__ import annotations

import os

from outlast.disk import files
from outlast.runner import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.disk.layout import AttemptFolder
    from outlast.runner.words import Words

HEAD = 16 << 20
BLOCK = 4096


class Output:
    def __init__(self, folder: AttemptFolder, bytes_max: int, words: Words) -> None:
        self._fd = files.open_lock(folder.output)  # not to append: the marker is written in the middle
        self._max, self._words = max(bytes_max, 4 * BLOCK), words
        self._head = min(HEAD, self._max // 4) // BLOCK * BLOCK
        self._hole_to = self._head
        self._is_boundless = False
        self._size = 0
        self.note = ""

    def size(self) -> int:
        """As it was last, where the file cannot be looked at (a server that does not answer as it should)."""
        try:
            self._size = os.fstat(self._fd).st_size
        except OSError as error:
            self._words.say_once(f"the size of the output cannot be seen: {error.strerror}")
        return self._size

    def read(self, position: int, count: int) -> bytes:
        """What stands there; nothing where it cannot be read: it only informs."""
        try:
            return os.pread(self._fd, count, position)
        except OSError:
            return b""

    def append(self, body: bytes) -> None:
        """What came through a terminal of ours; on a full disk it is lost, and the training goes on."""
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
            files.write_all(self._fd, body)
        except OSError as error:
            self._words.say_once(f"output is lost: {error.strerror}")

    def bound(self) -> None:
        """Give the middle back once head and rest exceed the bound."""
        size = self.size()
        if size < self._hole_to:  # somebody emptied it
            self._hole_to = self._head
        if self._is_boundless or self._head + size - self._hole_to <= self._max:
            return
        upto = (size - (self._max - self._head) // 2) // BLOCK * BLOCK
        start = self._head + BLOCK
        if upto <= start or not kernel.punch_hole(self._fd, start, upto - start):
            self._is_boundless = True
            self.note = "the log cannot be bounded: this file system knows no holes"
            self._words.say(f"{self.note} (it has {size} bytes, the limit is {self._max})")
            return
        self._hole_to = upto
        self.note = f"log: bytes {self._head} to {upto} were given back (limit {self._max})"
        self._words.say(self.note)
        self._mark(upto)

    def _mark(self, upto: int) -> None:
        """Say it in the log too, in the block before the hole."""
        text = f"\n[outlast: {upto - self._head} bytes are left out here; the limit of this log is {self._max} bytes]\n"
        try:
            os.pwrite(self._fd, text.encode().rjust(BLOCK - 1) + b"\n", self._head)
        except OSError:
            return  # said in runner.log
