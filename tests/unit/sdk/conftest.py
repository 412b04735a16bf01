"""A training of this process whose page is read as the runner reads it."""

import atexit
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outlast.disk import heartbeat
from outlast.sdk import own_page

Look = Callable[[], heartbeat.Beat]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The heartbeat folder that outlast names to a training; this process has no page yet."""
    for name in (
        "RANK",
        "WORLD_SIZE",
        "SLURM_PROCID",
        "LOCAL_RANK",
        "OUTLAST_RESUME_FROM",
        "OUTLAST_TARGET_STEP",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUTLAST_RUN_ID", "sherlock-1")
    monkeypatch.setenv("OUTLAST_HEARTBEAT", str(tmp_path))
    monkeypatch.setattr(own_page, "_own", None)
    monkeypatch.setattr(own_page, "_said", set())
    monkeypatch.setattr(own_page, "_rank", None)
    yield tmp_path
    if (made := own_page.current_page()) is not None:
        atexit.unregister(made.leave)


@pytest.fixture
def page(folder: Path) -> Iterator[Callable[[], heartbeat.Page]]:
    """The one page of the folder, opened when first asked for and kept open."""
    opened: list[heartbeat.Page] = []

    def open_once() -> heartbeat.Page:
        if not opened:
            (path,) = folder.iterdir()
            opened.append(heartbeat.Page(str(path)))
        return opened[0]

    yield open_once
    for one in opened:
        one.close()


@pytest.fixture
def look(page: Callable[[], heartbeat.Page]) -> Look:
    def now() -> heartbeat.Beat:
        beat = page().read()
        assert beat is not None
        return beat

    return now
