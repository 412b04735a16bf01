"""The shared page between one rank of a training and the runner beside it, as the runner sees it.

Knows how a page is found, read and told. Its layout and how a rank makes it: `disk/page`. The reader stamps the
time: there is no clock on the training's path.
"""

from __future__ import annotations

import errno
import math
import os
from collections import namedtuple

from outlast.disk.page import (
    BEAT,
    BEAT_AT,
    BEATS,
    BEATS_AT,
    BYTES,
    DO_NOT_RESTART,
    DONE,
    END_MARK,
    END_MARK_AT,
    FACTS,
    FACTS_AT,
    FLAG,
    FLAG_AT,
    IDENTITY,
    IDENTITY_AT,
    LOSS_AT,
    MAGIC,
    MEMFD_PREFIX,
    NEVER_READ,
    NO_STOP,
    OBEYED,
    READ,
    RUNNING,
    STOPPED,
    VERSION,
    WANT,
    WANT_AT,
    WORDS,
    create,
)

__all__ = [
    "BEAT", "BEATS", "BEATS_AT", "BEAT_AT", "BYTES", "DONE", "DO_NOT_RESTART", "FACTS", "FACTS_AT",
    "FLAG", "FLAG_AT", "IDENTITY", "IDENTITY_AT", "MAGIC", "NEVER_READ", "NO_STOP", "OBEYED",
    "READ", "RUNNING", "STOPPED", "VERSION", "WANT", "WANT_AT", "WORDS", "Beat", "Page", "create",
]  # fmt: skip

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
_LOOKS = 3


if TYPE_CHECKING:
    from typing import NamedTuple

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

else:
    Beat = namedtuple(
        "Beat", "rank world pid start_ticks seq step loss total first_step section word word_step flag"
    )


class Page:
    """A rank's page as the runner sees it: read with pread on a kept-open file, so that a page which is truncated
    under us is a short read and no signal. Raises OSError if there is no page, or none any more."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = _open(path)
        self._last: Beat | None = None

    def read(self) -> Beat | None:
        """The newest whole beat, None if the page is not one (yet)."""
        for _ in range(_LOOKS):
            body = os.pread(self._fd, BYTES, 0)
            if len(body) < BYTES:
                return self._last
            magic, version, rank, world, _, pid, ticks, _ = IDENTITY.unpack_from(body, IDENTITY_AT)
            if (magic, version) != (MAGIC, VERSION):
                return None
            head, shift, loss, tail = BEAT.unpack_from(body, BEAT_AT)
            beats = int(BEATS.unpack_from(body, BEATS_AT)[0])
            (end,) = END_MARK.unpack_from(body, END_MARK_AT)
            if head != tail or end not in (0, head) or self._jumped_since(body):
                continue  # it jumps under our eyes
            total, first, section, word, word_step = FACTS.unpack_from(body, FACTS_AT)
            (flag,) = FLAG.unpack_from(body, FLAG_AT)
            self._last = Beat(
                rank,
                world,
                pid,
                ticks,
                beats if end else head,
                shift + beats,
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

    def _jumped_since(self, body: bytes) -> bool:
        """A copy is not made in one moment: its marks may be from after a jump, and the shift between them from before.
        Then the page itself says another shift now."""
        mark_and_shift = slice(BEAT_AT, LOSS_AT)
        return os.pread(self._fd, LOSS_AT - BEAT_AT, BEAT_AT) != body[mark_and_shift]

    def tell(self, stop_at: int | None) -> None:
        """Ask the rank to stop once it has done step `stop_at` (None: take the wish back)."""
        try:
            os.pwrite(self._fd, WANT.pack(0, NO_STOP) if stop_at is None else WANT.pack(1, stop_at), WANT_AT)
        except OSError:
            return  # a page that is gone cannot be told; the signal that follows can

    def close(self) -> None:
        os.close(self._fd)


def _open(path: str) -> int:
    """A plain file, or the memfd that a link names. Any other file is never opened for long: the process that the
    link meant may be gone, and its pid and number another's."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    target = os.readlink(path)
    if _is_page(target):
        fd = os.open(target, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if _is_page(f"/proc/self/fd/{fd}"):
            return fd
        os.close(fd)
    raise FileNotFoundError(errno.ENOENT, "its rank is gone", path)


def _is_page(proc_name: str) -> bool:
    try:
        return os.readlink(proc_name).startswith(f"/memfd:{MEMFD_PREFIX}")
    except OSError:
        return False
