"""A rank's page while a framework trains in this process: what is on it at each of the framework's own events."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outlast.disk import heartbeat
from outlast.sdk import own_page

RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS")


class Watched:
    """`seen`: (event, step, open sections) in order; `values`: all that was taken from the page."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._page: heartbeat.Page | None = None
        self.seen: list[tuple[str, int, tuple[str, ...]]] = []
        self.values: list[tuple[int, str, float]] = []

    @property
    def page(self) -> heartbeat.Page:
        if self._page is None:
            (path,) = self._folder.glob("rank-*")
            self._page = heartbeat.Page(str(path))
        return self._page

    def look(self, event: str = "") -> heartbeat.Beat:
        beat = self.page.read()
        assert beat is not None
        self.values += self.page.take()[0]
        if event:
            self.seen.append((event, beat.step, tuple(name for name, _, _ in beat.sections)))
        return beat

    def of(self, name: str) -> list[tuple[int, float]]:
        self.look()
        return [(step, value) for step, named, value in self.values if named == name]

    def close(self) -> None:
        if self._page is not None:
            self._page.close()


@contextmanager
def watched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    for name in (*RANKS, "OUTLAST_RESUME_FROM", "OUTLAST_RESUME_STEP", "OUTLAST_TARGET_STEP"):
        monkeypatch.delenv(name, raising=False)
    folder.mkdir()
    monkeypatch.setenv("OUTLAST_RUN_ID", "r-1")
    monkeypatch.setenv("OUTLAST_HEARTBEAT", str(folder))
    monkeypatch.setattr(own_page, "_own", None)
    monkeypatch.setattr(own_page, "_rank", None)
    seen = Watched(folder)
    yield seen
    seen.close()
    made = own_page.current_page()
    if made is not None:
        atexit.unregister(made.leave)
