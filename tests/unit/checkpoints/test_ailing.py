"""What was no number from the beginning is noted, and rolls nothing back."""

from pathlib import Path

import pytest

from outlast.checkpoints import ailing
from outlast.disk.layout import RunFolder
from outlast.facts import Torn, Whole

SICK = Whole(1, finite=False, notes=("not finite: best_score",), ill=("best_score",))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(str(tmp_path / "run"))


def test_a_buffer_that_was_nan_in_the_first_checkpoint_is_excused_in_the_next(run: RunFolder) -> None:
    assert ailing.known(run) is None
    ailing.learn(run, SICK)
    verdict = ailing.excused(SICK, ailing.known(run))
    assert isinstance(verdict, Whole)
    assert verdict.finite is True
    assert verdict.notes == ("no number since the beginning: best_score",)


def test_what_became_nan_later_is_not(run: RunFolder) -> None:
    ailing.learn(run, Whole(1, finite=True))
    assert ailing.excused(SICK, ailing.known(run)) == SICK
    worse = Whole(1, finite=False, ill=("best_score", "layer.weight"))
    ailing.learn(run, SICK)
    assert ailing.excused(worse, ailing.known(run)) == worse


def test_where_most_weights_are_no_numbers_nothing_is_learned(run: RunFolder) -> None:
    ailing.learn(run, Whole(1, finite=False, ill=()))
    ailing.learn(run, Torn(("cut",)))
    assert ailing.known(run) is None


def test_a_list_that_cannot_be_read_excuses_nothing(run: RunFolder) -> None:
    ailing.learn(run, SICK)
    Path(run.ill).write_text("{")
    assert ailing.excused(SICK, ailing.known(run)) == SICK
