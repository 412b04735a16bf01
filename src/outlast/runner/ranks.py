"""What the ranks of a training say on their pages, and how they are told to stop.

Knows the heartbeat folder in the node's memory. Refuses to know what a stop is for. Progress is a change of a page's
sequence: no clock of a rank is believed.
"""

from __future__ import annotations

import itertools
import os
import stat

from outlast.disk.heartbeat import READ, Page

try:
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]  # hashlib would load all of OpenSSL
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore]
    except ImportError:
        from hashlib import sha256  # type: ignore[assignment,unused-ignore]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.disk.heartbeat import Beat

MEMORY = "/dev/shm"
PAGES_MAX = 4096
STOP_MARGIN_STEPS = 2
TELLING_S = 0.1  # telling all ranks takes less than this, also on a busy node
WORDS_MAX = 16


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

    def __init__(self, page: Page, file: tuple[int, int]) -> None:
        self.page, self.file = page, file
        self.beat: Beat | None = None

    def look(self) -> Beat | None:
        """What it says now; its last state, if it is gone or was scribbled over."""
        try:
            self.beat = self.page.read() or self.beat
        except (OSError, ValueError, OverflowError):
            return self.beat
        return self.beat


class Ranks:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._seats: dict[str, _Seat] = {}
        self._moved: tuple[tuple[int, ...], ...] = ()
        self.beats: list[Beat] = []  # of each rank the newest process, by rank

    def look(self) -> bool:
        """Read all pages; whether any rank moved since the last look."""
        self._take_seats()
        newest: dict[int, Beat] = {}
        for seat in self._seats.values():
            beat = seat.look()
            if beat is not None and (
                beat.rank not in newest or newest[beat.rank].start_ticks <= beat.start_ticks
            ):
                newest[beat.rank] = beat
        self.beats = [newest[rank] for rank in sorted(newest)]
        moved = tuple((beat.rank, beat.pid, beat.seq, beat.step) for beat in self.beats)
        before, self._moved = self._moved, moved
        return moved != before

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
                found = os.lstat(path)
                file = (found.st_ino, found.st_ctime_ns)
                if seat is not None and seat.file == file:
                    continue
                page = Page(path)
            except OSError:
                continue
            if seat is not None:
                seat.page.close()
            self._seats[name] = _Seat(page, file)

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
            seat.page.tell(stop_at)


def _word_step(beat: Beat) -> int:
    return beat.step if beat.word == "running" else beat.word_step
