"""A journal on a disk that lives in memory: the real `disk/journal` on top of it, byte for byte.

Knows torn writes, full disks and listings that are a minute old. Refuses to know what a record says.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outlast.disk import files, journal

FOLDER = "journal"
STALE_S = 60.0  # a listing of a shared file system may be so old


class Killed(BaseException):
    """The process that was writing is no more."""


class Store:
    """Segments as bytes. `chance` says what goes wrong; `now_s` is the time of the world."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now_s = 0.0
        self.segments: dict[int, bytearray] = {}
        self.born_s: dict[int, float] = {}
        self.trouble = False  # tears, full disks and stale listings
        self.writes = 0
        self.version = 0  # of what stands here

    # --- what disk/journal needs of disk/files ---------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        assert path == FOLDER

    def read_bytes(self, path: str, limit: int = 0) -> bytes | None:
        body = self.segments.get(_term(path))
        return None if body is None else bytes(body)

    def make_segment(self, path: str, line: bytes) -> int | None:
        term = _term(path)
        if term in self.segments:
            return None
        self.segments[term], self.born_s[term] = bytearray(line), self.now_s
        self.version += 1
        return term

    def append_durably(self, fd: int, block: bytes) -> None:
        self.writes += 1
        self.version += 1
        if self.trouble and self.chance.random() < 0.02:
            self.segments[fd] += block[: self.chance.randrange(len(block))]
            if self.chance.random() < 0.5:
                raise Killed
            raise OSError(errno.ENOSPC, "No space left on device")
        self.segments[fd] += block

    decode = staticmethod(files.decode)

    def terms(self, folder: str) -> list[int]:
        assert folder == FOLDER
        if self.trouble and self.chance.random() < 0.05:
            return [term for term, born_s in sorted(self.born_s.items()) if born_s <= self.now_s - STALE_S]
        return sorted(self.segments)


@contextmanager
def mounted(store: Store) -> Iterator[None]:
    """The real journal code on this store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "files", store)
        patch.setattr(journal, "terms", store.terms)
        yield


def _term(path: str) -> int:
    return int(path.rpartition("/")[2][:8])
