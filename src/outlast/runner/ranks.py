"""What the ranks of a training say on their pages, and how they are told to stop.

Knows the heartbeat folder in the node's memory. Refuses to know what a stop is for. Progress is a change of a page's
sequence: no clock of a rank is believed.
"""

from __future__ import annotations

import itertools
import os
import stat
import struct

from outlast.disk.heartbeat import READ, Page
from outlast.runner import census

try:
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]  # hashlib would load all of OpenSSL
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore]  # the same name, wherever this Python has it
    except ImportError:
        from hashlib import sha256  # type: ignore[assignment,unused-ignore]  # the same name, wherever this Python has it

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.disk.heartbeat import Beat, Owner

MEMORY = "/dev/shm"
PAGES_MAX = 4096
STOP_MARGIN_STEPS = 2
TELLING_S = 0.1  # telling all ranks takes less than this, also on a busy node
WORDS_MAX = 16
SCRIBBLED = (OSError, ValueError, OverflowError, struct.error)  # what reading nonsense may raise


def make_folder(attempt_dir: str) -> str:
    """The folder for the pages of one attempt, empty; "" if none can be had: then there is no exact progress."""
    path = folder_of(attempt_dir)
    try:
        for folder in (os.path.dirname(path), path):
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                found = os.lstat(folder)
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                    return ""
        _empty(path)
        return path
    except OSError:
        return ""


def folder_of(attempt_dir: str) -> str:
    return os.path.join(MEMORY, f"outlast-{os.getuid()}", name_of(attempt_dir))


def name_of(attempt_dir: str) -> str:
    """A short name for what belongs to an attempt outside of its folder."""
    return str(sha256(os.fsencode(attempt_dir)).hexdigest()[:16])


def remove_folder(path: str) -> None:
    try:
        _empty(path)
        os.rmdir(path)
    except OSError:
        return  # memory, and named by the attempt: who comes next finds it as it is


def _empty(path: str) -> None:
    for name in os.listdir(path):
        os.unlink(os.path.join(path, name))


class _Seat:
    """One page, and which file had its name when we opened it (inode and change time: inodes are used again)."""

    def __init__(self, path: str, page: Page, file: tuple[int, int]) -> None:
        self.path, self.page, self.file = path, page, file
        self.beat: Beat | None = None
        self.is_dead = self.was_dead = False  # its process, at this look and at the one before
        self.is_new = True  # at this look
        self._owner: Owner | None = page.owner

    def open_anew(self, page: Page, file: tuple[int, int]) -> None:
        """Its name has become another file: a copy that was left, or the page of what the process became (exec)."""
        self.page.close()
        self.page, self.file = page, file
        self._owner = page.owner or self._owner

    def look(self) -> Beat | None:
        """What it says now; its last state, if it is gone or was scribbled over."""
        try:
            self.beat = self.page.read() or self.beat
        except SCRIBBLED:
            pass
        self.was_dead = self.is_dead
        self.is_dead = self.beat is not None and not self._lives(self.beat)
        return self.beat

    def take(self) -> tuple[list[tuple[int, str, float]], int]:
        try:
            return self.page.take()
        except SCRIBBLED:
            return [], 0

    def tell(self, stop_at: int | None) -> None:
        try:
            self.page.tell(stop_at)
        except SCRIBBLED:
            return

    def _lives(self, beat: Beat) -> bool:
        return census.living(beat.pid) == beat.start_ticks and (self._owner is None or self._owner.holds_it)

    def is_what_has_its_name(self) -> bool:
        try:
            return _file(self.path) == self.file
        except OSError:
            return False


class Ranks:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._seats: dict[str, _Seat] = {}
        self._speakers: dict[int, _Seat] = {}
        self._left_over: list[tuple[int, str, float]] = []  # values of pages that are closed
        self._missed = 0
        self._moved: tuple[tuple[int, ...], ...] = ()
        self.beats: list[Beat] = []  # of each rank the process that speaks for it, by rank
        self.living: list[
            Beat
        ] = []  # those of them whose process lives, and is still the program that it was

    def look(self) -> bool:
        """Read all pages; whether any rank moved since the last look."""
        self._take_seats()
        sitting: dict[int, list[_Seat]] = {}
        for seat in self._seats.values():
            beat = seat.look()
            if beat is not None:
                sitting.setdefault(beat.rank, []).append(seat)
        speakers = {rank: self._speaker(rank, sitting[rank]) for rank in sorted(sitting)}
        self._keep_the_values(speakers)
        for rank, seats in sitting.items():
            self._release([seat for seat in seats if seat is not speakers[rank]])
        for seat in self._seats.values():
            seat.is_new = False
        self._speakers = speakers
        self.beats = [seat.beat for seat in speakers.values() if seat.beat is not None]
        self.living = [seat.beat for seat in speakers.values() if seat.beat is not None and not seat.is_dead]
        moved = tuple((beat.rank, beat.pid, beat.seq, beat.step) for beat in self.beats)
        before, self._moved = self._moved, moved
        return moved != before

    def _speaker(self, rank: int, seats: list[_Seat]) -> _Seat:
        """Who speaks for the rank as long as its process lives. A child of it may use the SDK too, and have its rank
        from the environment; of several that we meet at once the oldest is no child of another."""
        before = self._speakers.get(rank)
        living = [seat for seat in seats if not seat.is_dead]
        if before in living and before is not None:
            return before
        if living:
            return min(living, key=_born)
        if before is None or before not in seats:
            return max(seats, key=_born)
        # Dead before it began: what is new was the rank, for less than a look.
        later = [seat for seat in seats if before.was_dead and seat.is_new and _born(seat) > _born(before)]
        return max(later, key=_born, default=before)

    def _keep_the_values(self, speakers: dict[int, _Seat]) -> None:
        """Of the page whose values are ours, once another speaks."""
        for rank, seat in itertools.islice(self._speakers.items(), 1):
            if speakers.get(rank) is not seat:
                rows, missed = seat.take()
                self._left_over += rows
                self._missed += missed

    def _release(self, seats: list[_Seat]) -> None:
        """Pages of dead processes that nobody needs any more: another speaks for their rank."""
        for seat in seats:
            if not (seat.is_dead and seat.was_dead):
                continue
            name = os.path.basename(seat.path)
            try:
                if seat.is_what_has_its_name():
                    os.unlink(seat.path)
            except OSError:
                continue  # it would be found again
            seat.page.close()
            del self._seats[name]

    def _take_seats(self) -> None:
        """Pages that are new, or have become another file under their name (an exec; a copy left at the end)."""
        if not self._folder:
            return
        try:
            names = os.listdir(self._folder)
        except OSError:
            return  # logged out: who has a page keeps it, and we have it open
        for name in names[:PAGES_MAX]:
            path = os.path.join(self._folder, name)
            seat = self._seats.get(name)
            try:
                file = _file(path)
                if seat is not None and seat.file == file:
                    continue
                page = Page(path)
            except OSError:
                continue
            if seat is not None:
                seat.open_anew(page, file)
            else:
                self._seats[name] = _Seat(path, page, file)

    def take(self) -> tuple[list[tuple[int, str, float]], int]:
        """(step, name, value) of what the first rank's page says since the last time, and how many were missed."""
        rows, missed = self._left_over, self._missed
        self._left_over, self._missed = [], 0
        for seat in itertools.islice(self._speakers.values(), 1):
            newer, more_missed = seat.take()
            rows, missed = rows + newer, missed + more_missed
        return rows, missed

    # --- what they say --------------------------------------------------------------------------------------

    @property
    def first(self) -> Beat | None:
        """The lowest rank speaks for all."""
        return self.beats[0] if self.beats else None

    @property
    def are_all_here(self) -> bool:
        """Whether we see a page of every rank that there is: else no step can be agreed upon."""
        return len(self.beats) >= max((beat.world for beat in self.beats), default=1)

    @property
    def has_stepped(self) -> bool:
        return any(beat.seq for beat in self.beats)

    @property
    def any_read(self) -> bool:
        """Whether any rank looks at its flag at all."""
        return any(beat.flag >= READ for beat in self.beats)

    def last_words(self) -> list[str]:
        """ "rank 0: stopped at step 120"; of many ranks those whose words differ from their neighbour's first."""
        words = [(beat.rank, f"{beat.word} at step {_word_step(beat)}") for beat in self.beats]
        if len(words) > WORDS_MAX:
            differing = [each for before, each in itertools.pairwise(words) if before[1] != each[1]]
            words = [words[0], *differing][:WORDS_MAX]
        return [f"rank {rank}: {text}" for rank, text in words]

    # --- what they are told ---------------------------------------------------------------------------------

    def stop_at(self, steps_per_s: float) -> int:
        """A step that every rank can still stop at: a lone rank's own, else two beyond the first runner's, and more
        where steps are so quick that telling all takes several."""
        step = max((beat.step for beat in self.beats), default=0)
        if max((beat.world for beat in self.beats), default=1) <= 1 and len(self.beats) <= 1:
            return step
        return step + STOP_MARGIN_STEPS + int(steps_per_s * TELLING_S)

    def tell(self, stop_at: int | None) -> None:
        for seat in self._seats.values():
            seat.tell(stop_at)


def _born(seat: _Seat) -> int:
    return 0 if seat.beat is None else seat.beat.start_ticks


def _file(path: str) -> tuple[int, int]:
    """Raises OSError."""
    found = os.lstat(path)
    return found.st_ino, found.st_ctime_ns


def _word_step(beat: Beat) -> int:
    return beat.step if beat.word == "running" else beat.word_step
