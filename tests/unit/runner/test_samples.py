"""What the judgement is told of a rank: a stage of its own training, and whether it was left."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.disk import page
from outlast.disk.layout import AttemptFolder
from outlast.runner.limits import FIRST_STEP, INIT, TRAIN, Limits
from outlast.runner.metrics import Metrics
from outlast.runner.obedience import Obedience
from outlast.runner.output import Output
from outlast.runner.rank_clock import RankClock, Sample
from outlast.runner.ranks import Ranks
from outlast.runner.saves import Saves
from outlast.runner.signs import Signs
from outlast.runner.words import Words
from tests.unit.runner.conftest import Rank

Make = Callable[..., Rank]


@pytest.fixture
def signs(tmp_path: Path) -> Signs:
    folder = AttemptFolder(str(tmp_path / "0001"))
    os.mkdir(folder.path)
    words = Words(folder)
    output = Output(folder, 1 << 20, words)
    return Signs(Ranks(str(tmp_path)), output, Metrics(folder.metrics), "", Saves([], words), Obedience(None))


@pytest.mark.parametrize(
    ("word", "left"),
    [
        (page.RUNNING, False),
        (page.LEFT, True),
        (page.STOPPED, True),
        (page.DONE, True),
        (page.DO_NOT_RESTART, True),
    ],
)
def test_a_training_that_was_left_in_any_way_is_over(signs: Signs, rank: Make, word: int, left: bool) -> None:
    """Scenario: the loop ended early, without a total, and the report of it takes an hour."""
    one = rank()
    one.at(5)
    one.says(word, at=5)
    signs.look_at_ranks()
    (sample,) = signs.samples()
    assert sample.left is left


def test_the_second_training_of_a_process_begins_where_a_training_begins(signs: Signs, rank: Make) -> None:
    one = rank()
    one.at(1)
    signs.look_at_ranks()
    stages = [sample.stage for sample in signs.samples()]
    one.writing.write_facts(-1, -1, page.RUNNING, 0, begun_at=1)
    signs.look_at_ranks()
    stages += [sample.stage for sample in signs.samples()]
    one.at(2)
    signs.look_at_ranks()
    stages += [sample.stage for sample in signs.samples()]
    assert stages == ["train", "init", "train"]


def test_the_second_training_of_a_process_is_judged_by_the_limits_of_a_beginning() -> None:
    """It loads its data and compiles anew: for longer than a step of the first ever took."""
    clock = RankClock(Sample(0, 0, INIT), Limits([]), 0)
    for step in range(1, 101):
        clock.elapse(1.0, 0.0)
        clock.see(Sample(0, step, TRAIN))
    assert next(iter(clock.timers())).section == TRAIN
    sections = []
    for stage in (INIT, FIRST_STEP, TRAIN):
        clock.elapse(1.0, 0.0)
        clock.see(Sample(0, 1 if stage == TRAIN else 0, stage))
        sections.append(next(iter(clock.timers())).section)
    assert sections == [INIT, FIRST_STEP, TRAIN]
