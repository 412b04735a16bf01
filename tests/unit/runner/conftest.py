"""What the runner's rooms are tried with: real pages, and the real runner on a folder of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outlast.disk import page
from tests.runner_driver import Driver, driver


class Rank:
    """A rank's side of its page, in this process."""

    def __init__(self, folder: Path, rank: int, world: int, pid: int) -> None:
        self.path = str(folder / f"rank-{rank}.{pid}")
        self.memory = page.create(self.path)
        self.marks = self.beats = 0
        page.sign(self.memory, rank, world)
        self.says()

    def at(self, step: int, loss: float = 1.0) -> None:
        """A beat of a training that did `step` steps."""
        self.marks, self.beats = self.marks + 1, self.beats + 1
        page.BEAT.pack_into(self.memory, page.BEAT_AT, self.marks, step - self.beats, loss, self.marks)
        page.BEATS.pack_into(self.memory, page.BEATS_AT, self.beats)
        page.END_MARK.pack_into(self.memory, page.END_MARK_AT, self.marks)

    def says(self, word: int = page.RUNNING, at: int = 0, total: int = -1, section: int = 0) -> None:
        page.FACTS.pack_into(self.memory, page.FACTS_AT, total, 1, section, word, at)

    def flag(self, flag: int) -> None:
        page.FLAG.pack_into(self.memory, page.FLAG_AT, flag)

    @property
    def told(self) -> int | None:
        """The step to stop at, None: nothing."""
        want, stop_at = page.WANT.unpack_from(self.memory, page.WANT_AT)
        return stop_at if want else None


@pytest.fixture
def rank(tmp_path: Path) -> Callable[..., Rank]:
    def make(number: int = 0, world: int = 1, pid: int = 1) -> Rank:
        return Rank(tmp_path, number, world, pid)

    return make


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Driver]:
    with driver(tmp_path) as made:
        yield made
