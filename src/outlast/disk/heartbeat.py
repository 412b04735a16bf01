"""The shared page between one rank of a training and the runner beside it: a file of 4096 bytes in node memory.

    offset  who writes  what
       0    rank, once  magic, version, rank, world size, pid, start ticks, boot id
     256    rank        seq, step, loss, seq again (a beat: one pack_into; the reader takes it only if both agree)
     320    rank        total steps, first step, section, last word, step of the last word
     384    rank        stop flag: 0 never read, 1 read, 2 obeyed
     512    runner      want (0 run, 1 stop), stop_at: the step at which `should_stop` turns true

The reader stamps the time: there is no clock on the training's path. All numbers are little-endian.
The file is allocated before it is mapped (a store into a hole of a full tmpfs is SIGBUS).
"""

import math
import mmap
import os
import struct
from typing import NamedTuple

from outlast.disk.files import FILE_MODE

BYTES = 4096
MAGIC, VERSION = b"OUTLAST1", 1
IDENTITY = struct.Struct("<8sIIIIQQ36s")
IDENTITY_AT = 0
BEAT = struct.Struct("<qqdq")  # seq, step, loss (NaN: none), seq
BEAT_AT = 256
FACTS = struct.Struct(
    "<qqqqq"
)  # total (-1: unknown), first step (-1), section, last word, step of the last word
FACTS_AT = 320
FLAG = struct.Struct("<q")
FLAG_AT = 384
WANT = struct.Struct("<qq")  # want, stop_at
WANT_AT = 512

RUNNING, STOPPED, DONE, DO_NOT_RESTART = range(4)
WORDS = ("running", "stopped", "done", "do-not-restart")
NEVER_READ, READ, OBEYED = range(3)
NO_STOP = 1 << 62


class Beat(NamedTuple):
    """What a rank's page says now."""

    rank: int
    world: int
    pid: int
    start_ticks: int
    seq: int
    step: int
    loss: float | None
    total: int | None
    first_step: int | None
    section: int
    word: str
    word_step: int
    flag: int


def create(path: str) -> mmap.mmap:
    """Make, allocate and map a rank's page. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        os.posix_fallocate(fd, 0, BYTES)
        return mmap.mmap(fd, BYTES)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


class Page:
    """A rank's page as the runner sees it: read with pread on a kept-open file, so that a page which is truncated
    under us is a short read and no signal."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._last: Beat | None = None

    def read(self) -> Beat | None:
        """The newest whole beat, None if the page is not one (yet)."""
        for _ in range(3):
            body = os.pread(self._fd, BYTES, 0)
            if len(body) < BYTES:
                return self._last
            magic, version, rank, world, _, pid, ticks, _ = IDENTITY.unpack_from(body, IDENTITY_AT)
            if (magic, version) != (MAGIC, VERSION):
                return None
            head, step, loss, tail = BEAT.unpack_from(body, BEAT_AT)
            if head != tail:
                continue
            total, first, section, word, word_step = FACTS.unpack_from(body, FACTS_AT)
            (flag,) = FLAG.unpack_from(body, FLAG_AT)
            self._last = Beat(
                rank,
                world,
                pid,
                ticks,
                head,
                step,
                None if math.isnan(loss) else loss,
                None if total < 0 else total,
                None if first < 0 else first,
                section,
                WORDS[word] if 0 <= word < len(WORDS) else WORDS[0],
                word_step,
                flag,
            )
            return self._last
        return self._last

    def tell(self, stop_at: int | None) -> None:
        """Ask the rank to stop once it has done step `stop_at` (None: take the wish back)."""
        try:
            os.pwrite(self._fd, WANT.pack(0, NO_STOP) if stop_at is None else WANT.pack(1, stop_at), WANT_AT)
        except OSError:
            return  # a page that is gone cannot be told; the signal that follows can

    def close(self) -> None:
        os.close(self._fd)
