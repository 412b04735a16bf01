"""The shared page between one rank of a training and the runner beside it, as the runner sees it.

Knows how a page is found, read and told. Its layout and how a rank makes it: `disk/page`. The reader stamps the
time: there is no clock on the training's path.
"""

from __future__ import annotations

import errno
import math
import os
from collections import namedtuple

from outlast.disk import page as layout
from outlast.disk.page import (
    BEFORE_AT,
    CELL,
    DO_NOT_RESTART,
    DONE,
    EMPTY_CELL,
    FACTS,
    FACTS_AT,
    FLAG,
    FLAG_AT,
    IDENTITY,
    IDENTITY_AT,
    LAP,
    LAP_AT,
    LAP_CELLS,
    LEFT,
    LOSSES_AT,
    MAGIC,
    MARK,
    MARK_AT,
    MEMFD_PREFIX,
    NEVER_READ,
    NO_LOSS,
    NO_STOP,
    OBEYED,
    PENDING,
    READ,
    RUNNING,
    STOPPED,
    TAKEN,
    TAKEN_AT,
    VALUES_MAX,
    VERSION,
    WANT,
    WANT_AT,
    WORDS,
    WRITTEN,
    WRITTEN_AT,
    create,
)

__all__ = [
    "DONE", "DO_NOT_RESTART", "LEFT", "NEVER_READ", "NO_STOP", "OBEYED", "READ", "RUNNING", "STOPPED", "WANT",
    "WANT_AT", "WORDS", "Beat", "Page", "create",
]  # fmt: skip

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
_LOOKS = 3
_ODD_LOOKS = (
    5  # a mark that stays odd over so many looks: its writer was interrupted for good, between two stores
)
_HELD_BACK = 64  # beats that the loss of a step may be late
COUNTS_MAX = 1 << 53  # no beat and no value has a higher number; a page that says one was scribbled over
_NO_NUMBERS = (NO_LOSS, PENDING, EMPTY_CELL)


if TYPE_CHECKING:
    from typing import NamedTuple

    class Beat(NamedTuple):
        """What a rank's page says now. `loss`: the newest known; NaN is a loss, None is none."""

        rank: int
        world: int
        pid: int
        start_ticks: int
        seq: int
        step: int
        loss: float | None
        total: int | None
        first_step: int | None
        depth: int  # sections that are open, also those too deep to be in `sections`
        word: str
        word_step: int
        flag: int
        sections: tuple[
            tuple[str, float | None, int], ...
        ]  # name, own limit in s, serial; the outermost first
        in_data: bool  # `track` waits for an item
        saved: tuple[int, int, str] | None  # serial, step, path of the newest checkpoint
        own_beats: int = 0  # of the training that has the page now: a process may train twice

else:
    Beat = namedtuple(
        "Beat",
        "rank world pid start_ticks seq step loss total first_step depth word word_step flag "
        "sections in_data saved own_beats",
        defaults=(0,),
    )


class Page:
    """A rank's page as the runner sees it: read with pread on a kept-open file, so that a page which is truncated
    under us is a short read and no signal. Raises OSError if there is no page, or none any more."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd, self._owner = _open(path)
        self._last: Beat | None = None
        self._odd = (0, 0)  # the odd mark that we saw, and how often
        self._loss: tuple[int, float | None] = (0, None)  # looked for it up to this beat
        self._taken: list[int] | None = None  # beats, values, values without room for their name

    def read(self) -> Beat | None:
        """The newest whole beat, None if the page is not one (yet)."""
        odd: bytes | None = None
        for _ in range(_LOOKS):
            body = self._copy(BEFORE_AT)
            if body is None:
                continue  # it changes under our eyes
            if not body:
                return self._last
            if not _is_signed(body):
                return None
            if not _mark(body) & 1:
                losses = _Losses(body)
                if losses.are_counted:
                    self._last = self._told(body, losses)
                return self._last
            odd = body
        if odd is not None and self._is_odd_for_good(_mark(odd)):
            losses = _Losses(odd)
            if losses.are_counted and (
                self._last is None or losses.seq >= self._last.seq
            ):  # else half of a new lap
                self._last = self._told(odd, losses)
        return self._last

    def _told(self, body: bytes, losses: _Losses) -> Beat:
        _, _, rank, world, _, pid, ticks, _ = IDENTITY.unpack_from(body, IDENTITY_AT)
        total, first, word, word_step = FACTS.unpack_from(body, FACTS_AT)
        return Beat(
            rank,
            world,
            pid,
            ticks,
            losses.seq,
            losses.shift + losses.seq,
            self._newest_loss(losses),
            None if total < 0 else total,
            None if first < 0 else first,
            layout.DEPTH.unpack_from(body, layout.DEPTH_AT)[0],
            WORDS[word] if 0 <= word < len(WORDS) else WORDS[0],
            word_step,
            FLAG.unpack_from(body, FLAG_AT)[0],
            _sections(body),
            layout.WAITING.unpack_from(body, layout.WAITING_AT)[0] == 1,
            _saved(body),
            max(0, losses.seq - max(0, layout.BEGUN.unpack_from(body, layout.BEGUN_AT)[0])),
        )

    def take(self) -> tuple[list[tuple[int, str, float]], int]:
        """(step, name, value) of all that is new since the last `take` of any runner, and how many values were missed.

        Each step's loss is among them as long as fewer than 2,048 steps lie between two looks; else those of the
        newest. A loss that is still on its way is waited for, for some steps.
        """
        body = next((copy for _ in range(_LOOKS) if (copy := self._copy(layout.BYTES)) is not None), b"")
        if not body or not _is_signed(body) or _mark(body) & 1:
            return [], 0
        losses = _Losses(body)
        (upto,) = WRITTEN.unpack_from(body, WRITTEN_AT)
        if not losses.are_counted or not 0 <= upto < COUNTS_MAX:
            return [], 0
        try:
            (written,) = WRITTEN.unpack(os.pread(self._fd, WRITTEN.size, WRITTEN_AT))
        except OSError:
            return [], 0
        if self._taken is None:
            beats, values = TAKEN.unpack_from(body, TAKEN_AT)
            self._taken = [min(max(0, beats), losses.seq), min(max(0, values), upto), 0]
        beats, values, unnamed = self._taken
        rows = losses.since(beats)
        first = max(values, min(written, upto + VALUES_MAX) + 1 - VALUES_MAX)
        known, now_unnamed = layout.NAMES.unpack_from(body, layout.NAMES_AT)
        now_unnamed = min(max(unnamed, now_unnamed), COUNTS_MAX >> 1)
        rows += _values(body, range(max(first, upto - VALUES_MAX), upto), known)
        self._taken = [losses.taken, max(first, upto), now_unnamed]
        try:
            os.pwrite(self._fd, TAKEN.pack(*self._taken[:2]), TAKEN_AT)
        except OSError:
            pass  # whoever replaces us takes some of it again: later rows replace earlier ones
        return rows, first - values + now_unnamed - unnamed

    def _copy(self, size: int) -> bytes | None:
        """The page as it stood at one moment; None: it changed meanwhile; empty: there is too little of it."""
        before = os.pread(self._fd, MARK.size, MARK_AT)
        body = os.pread(self._fd, size, 0)
        after = os.pread(self._fd, MARK.size, MARK_AT)
        if len(body) < size or len(after) < MARK.size:
            return b""
        return body if before == after else None

    def _is_odd_for_good(self, mark: int) -> bool:
        seen, times = self._odd
        self._odd = (mark, times + 1 if seen == mark else 1)
        return self._odd[1] > _ODD_LOOKS

    def _newest_loss(self, losses: _Losses) -> float | None:
        upto, known = self._loss
        found = losses.newest(upto)
        if found is None:
            found = known if losses.base <= upto <= losses.seq else losses.before  # the lap may be new to us
        self._loss = (losses.seq, found)
        return found

    def tell(self, stop_at: int | None) -> None:
        """Ask the rank to stop once it has done step `stop_at` (None: take the wish back)."""
        try:
            wish = WANT.pack(0, NO_STOP) if stop_at is None else WANT.pack(1, min(stop_at, NO_STOP))
            os.pwrite(self._fd, wish, WANT_AT)
        except OSError:
            return  # a page that is gone cannot be told; the signal that follows can

    @property
    def owner(self) -> Owner | None:
        """Where its process holds it; None: this is a copy that was left."""
        return self._owner

    def close(self) -> None:
        os.close(self._fd)


class Owner:
    """A process that holds a page: by a descriptor, or, if it closed that, by its memory. Not any more once it has
    become another program (exec), though its pid and its start are the same."""

    def __init__(self, target: str, fd: int) -> None:
        found = os.fstat(fd)
        self._target, self._file = target, (found.st_dev, found.st_ino)

    @property
    def holds_it(self) -> bool:
        try:
            found = os.stat(self._target)
            if (found.st_dev, found.st_ino) == self._file:
                return True
        except FileNotFoundError:
            pass
        except OSError:
            return True  # nobody may look (any more), and nothing is known
        return self._maps_it()

    def _maps_it(self) -> bool:
        maps = os.path.join(os.path.dirname(os.path.dirname(self._target)), "maps")
        try:
            with open(maps, "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        inode, name = str(self._file[1]).encode(), b"/memfd:" + MEMFD_PREFIX.encode()
        return any(name in line and line.split(None, 5)[4] == inode for line in lines)


class _Losses:
    """The cells of a copy: which are filled, and with what."""

    def __init__(self, body: bytes) -> None:
        self.base, self.shift, kept, _ = LAP.unpack_from(body, LAP_AT)
        before = body[LAP_AT + LAP.size - CELL.size : LAP_AT + LAP.size]
        self.before = None if before in _NO_NUMBERS else CELL.unpack(before)[0]
        # A cell whose beat was interrupted for ever stays empty: the last one that is filled counts, not the first
        # that is not. No number ends in a whole cell of ones.
        filled = -(-len(body[LOSSES_AT:BEFORE_AT].rstrip(EMPTY_CELL[:1])) // CELL.size)
        self.seq = self.base + filled
        counts = (0 <= self.base < COUNTS_MAX, abs(self.shift) < 2 * COUNTS_MAX, 0 <= kept <= LAP_CELLS)
        self.are_counted = all(counts)
        self._body = body
        self._first = self.base - min(max(kept, 0), LAP_CELLS)
        self.taken = 0

    def newest(self, since: int) -> float | None:
        """The last loss of this lap behind beat `since`, or a little before: some come late."""
        for beat in range(self.seq - 1, max(self.base, min(since, self.seq - _HELD_BACK)) - 1, -1):
            cell = self._cell(beat)
            if cell not in _NO_NUMBERS:
                return float(CELL.unpack(cell)[0])
        return None

    def since(self, taken: int) -> list[tuple[int, str, float]]:
        """(step, "loss", value) of the beats behind `taken`; then `taken` is up to where they were."""
        rows = []
        beat = max(self._first, min(taken, self.seq))
        while beat < self.seq:
            cell = self._cell(beat)
            if cell in (PENDING, EMPTY_CELL) and beat >= self.seq - _HELD_BACK:
                break
            beat += 1
            if cell not in _NO_NUMBERS:
                rows.append((self.shift + beat, "loss", CELL.unpack(cell)[0]))
        self.taken = beat
        return rows

    def _cell(self, beat: int) -> bytes:
        place = beat - self.base
        at = LOSSES_AT + CELL.size * place if place >= 0 else BEFORE_AT + CELL.size * (place + LAP_CELLS)
        return self._body[at : at + CELL.size]


def _is_signed(body: bytes) -> bool:
    return IDENTITY.unpack_from(body, IDENTITY_AT)[:2] == (MAGIC, VERSION)


def _mark(body: bytes) -> int:
    return int(MARK.unpack_from(body, MARK_AT)[0])


def _values(body: bytes, which: range, known: int) -> list[tuple[int, str, float]]:
    names: dict[int, str] = {}
    rows = []
    for each in which:
        at = layout.VALUES_AT + layout.VALUE.size * (each % VALUES_MAX)
        word, value = layout.VALUE.unpack_from(body, at)
        number = word & 0xFF
        if number >= min(known, layout.NAMES_MAX):
            continue  # scribbled over
        if number not in names:
            length, name = layout.NAME.unpack_from(body, layout.NAMES_LIST_AT + layout.NAME.size * number)
            names[number] = name[:length].decode("utf-8", "replace")
        rows.append((word >> 8, names[number], value))
    return rows


def _sections(body: bytes) -> tuple[tuple[str, float | None, int], ...]:
    (depth,) = layout.DEPTH.unpack_from(body, layout.DEPTH_AT)
    found = []
    for place in range(min(max(depth, 0), layout.SECTIONS_MAX)):
        at = layout.SECTIONS_AT + layout.SECTION.size * place
        serial, limit_s, length, name = layout.SECTION.unpack_from(body, at)
        limit = limit_s if 0.0 < limit_s < math.inf else None  # NaN: none of its own
        found.append((name[:length].decode("utf-8", "replace"), limit, serial))
    return tuple(found)


def _saved(body: bytes) -> tuple[int, int, str] | None:
    serial, step, length = layout.SAVED.unpack_from(body, layout.SAVED_AT)
    if serial <= 0:
        return None
    path = body[layout.PATH_AT : layout.PATH_AT + min(max(length, 0), layout.PATH_MAX)]
    return None if b"\0" in path else (serial, step, os.fsdecode(path))


def _open(path: str) -> tuple[int, Owner | None]:
    """A plain file, or the memfd that a link names. Any other file is never opened for long: the process that the
    link meant may be gone, and its pid and number another's."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW), None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    target = os.readlink(path)
    if _is_page(target):
        fd = os.open(target, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if _is_page(f"/proc/self/fd/{fd}"):
            return fd, Owner(target, fd)
        os.close(fd)
    raise FileNotFoundError(errno.ENOENT, "its rank is gone", path)


def _is_page(proc_name: str) -> bool:
    try:
        return os.readlink(proc_name).startswith(f"/memfd:{MEMFD_PREFIX}")
    except OSError:
        return False
