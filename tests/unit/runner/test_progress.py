import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.errors import WorldError
from outlast.runner.metrics import Metrics
from outlast.runner.obedience import Obedience
from outlast.runner.output import Output
from outlast.runner.patience import Stall
from outlast.runner.progress import Progress
from outlast.runner.ranks import Ranks
from outlast.runner.saves import Saves
from outlast.runner.signs import Signs
from outlast.runner.words import Words
from tests.unit.runner.conftest import Rank

Make = Callable[..., Rank]


class Screen:
    """progress.json of one attempt, a second a look."""

    def __init__(self, root: Path, target: int | None = None) -> None:
        (root / "0001").mkdir()
        self.folder = AttemptFolder(str(root / "0001"))
        self.words = Words(self.folder)
        self.output = Output(self.folder, 1 << 20, self.words)
        self.signs = Signs(
            Ranks(str(root)),
            self.output,
            Metrics(self.folder.metrics),
            "",
            Saves([], self.words),
            Obedience(None),
        )
        self.progress = Progress(self.folder, target)
        self.now_s = 100.0

    def look(self, says: str = "", note: str = "", nearest: Stall | None = None) -> dict[str, Any]:
        self.now_s += 1.0
        self.output.append(says.encode())
        self.signs.look(self.now_s)
        self.progress.publish(
            self.signs,
            self.now_s,
            elapsed_s=self.now_s - 100,
            since_progress_s=0.5,
            nearest=nearest,
            note=note,
        )
        return files.read(self.folder.progress) or {}


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return Screen(tmp_path)


def test_without_a_page_only_what_is_known_is_said(screen: Screen) -> None:
    shown = screen.look("twelve bytes", note="a note")
    assert (shown["step"], shown["rate"], shown["eta_s"], shown["source"]) == (None, None, None, "none")
    assert (shown["log_bytes"], shown["note"], shown["ranks"], shown["elapsed_s"]) == (12, "a note", 0, 1.0)


def test_the_lowest_rank_speaks_and_all_beats_count(screen: Screen, rank: Make) -> None:
    second, first = rank(1, 2), rank(0, 2)
    second.at(9)
    first.at(8, loss=0.25)
    first.says(total=100)
    shown = screen.look()
    assert (shown["step"], shown["total"], shown["loss"], shown["ranks"], shown["beats"]) == (
        8,
        100,
        0.25,
        2,
        2,
    )


def test_the_rate_is_that_of_steps_and_says_when_it_ends(screen: Screen, rank: Make) -> None:
    training = rank()
    training.says(total=1000)
    for step in range(0, 60, 3):
        training.at(step)
        shown = screen.look()
    assert shown["rate"] == pytest.approx(3.0)
    assert shown["eta_s"] == pytest.approx((1000 - 57) / 3, abs=0.1)


def test_steps_that_begin_anew_begin_a_new_rate(screen: Screen, rank: Make) -> None:
    training = rank()
    for step in (100, 110, 120, 0, 1, 2):
        training.at(step)
        shown = screen.look()
    assert shown["rate"] == pytest.approx(1.0)


def test_the_target_stands_in_for_a_total_that_nobody_said(tmp_path: Path, rank: Make) -> None:
    screen = Screen(tmp_path, target=50)
    assert screen.look()["total"] == 50
    rank().at(1)
    assert screen.look()["total"] == 50


def test_nothing_is_written_while_nothing_changes(screen: Screen, rank: Make) -> None:
    rank().at(5)
    screen.look()
    before = os.stat(screen.folder.progress).st_ino
    for _ in range(3):
        screen.look()
    assert os.stat(screen.folder.progress).st_ino == before
    screen.look("x")
    assert os.stat(screen.folder.progress).st_ino != before


def test_a_full_disk_loses_nothing_but_the_screen(
    screen: Screen, rank: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    rank().at(5)

    def full(*words: object, **more: object) -> None:
        raise WorldError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr(files, "replace", full)
        assert screen.look() == {}
    assert screen.look()["step"] == 5


def test_what_the_output_says_is_shown_with_its_source_and_how_sure_it_is(screen: Screen) -> None:
    for step in range(1, 4):
        shown = screen.look(f"step {step}/10 loss {1 / step:.3f}\n")
    assert (shown["step"], shown["total"], shown["loss"]) == (3, 10, 0.333)
    assert (shown["source"], shown["confidence"], shown["rate"]) == (
        "plain",
        "identified",
        pytest.approx(1.0),
    )


def test_a_page_that_counts_speaks_and_the_output_does_not(screen: Screen, rank: Make) -> None:
    rank().at(8, loss=0.25)
    shown = screen.look("step 3/10 loss 0.5\n")
    assert (shown["step"], shown["loss"], shown["source"], shown["confidence"]) == (8, 0.25, "sdk", "exact")


def test_the_limit_that_is_nearest_is_shown(screen: Screen) -> None:
    shown = screen.look(nearest=Stall(10.0, 420.0, "eval", why="at first"))
    assert (shown["limit_s"], shown["limit_why"]) == (420.0, "at first")
