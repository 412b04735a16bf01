"""What the runner's rooms are tried with: real pages, and the real runner on a folder of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outlast.disk import page
from outlast.sdk.writing import Writing
from tests.runner_driver import Driver, driver


class Rank:
    """A rank's side of its page, in this process."""

    def __init__(self, folder: Path, rank: int, world: int, pid: int) -> None:
        self.path = str(folder / f"rank-{rank}.{pid}")
        self.memory = page.create(self.path)
        page.sign(self.memory, rank, world)
        self.writing = Writing(self.memory)
        self.writing.jump(0)
        self.says()

    def at(self, step: int, loss: float = 1.0) -> None:
        """A beat of a training that did `step` steps."""
        self.writing.jump(step - self.writing.count() - 1)
        self.writing.next_cell()[()] = loss

    def says(self, word: int = page.RUNNING, at: int = 0, total: int = -1) -> None:
        self.writing.write_facts(total, 1, word, at)

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
