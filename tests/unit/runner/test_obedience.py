"""A training that began anew although it was told where to go on from."""

import pytest

from outlast.runner.obedience import Obedience


def first(told: int | None, step: int) -> Obedience:
    heard = Obedience(told)
    heard.hear_first(step)
    return heard


@pytest.mark.parametrize(("told", "step"), [(500, 1), (500, 0), (500, 50), (2, 1), (10, 1), (1, 0)])
def test_p8_who_begins_at_the_beginning_has_not_obeyed(told: int, step: int) -> None:
    assert first(told, step).found == (
        f"its first step was {step}, and it was told to go on from step {told}"
    )


@pytest.mark.parametrize(("told", "step"), [(500, 501), (500, 500), (500, 9000), (1, 1), (1, 2)])
def test_who_goes_on_has_obeyed(told: int, step: int) -> None:
    heard = first(told, step)
    assert (heard.found, heard.note) == ("", "")


@pytest.mark.parametrize(("told", "step"), [(550, 501), (500, 51), (1000, 999)])
def test_who_goes_on_from_the_beginning_of_an_epoch_is_noted_and_let_go_on(told: int, step: int) -> None:
    heard = first(told, step)
    assert heard.found == ""
    assert f"from step {step}, earlier than step {told}" in heard.note


@pytest.mark.parametrize("told", [None, 0])
def test_who_was_told_nothing_has_nothing_to_obey(told: int | None) -> None:
    heard = first(told, 1)
    heard.hear_saved([1, 2])
    assert (heard.found, heard.note) == ("", "")


def test_a_second_training_in_the_same_process_counts_from_its_own_beginning() -> None:
    heard = first(500, 501)
    heard.hear_first(1)
    assert heard.found == ""


def test_a_checkpoint_of_half_the_way_or_less_proves_a_new_beginning() -> None:
    heard = Obedience(40)
    heard.hear_saved([])
    heard.hear_saved([50, 60])
    heard.hear_saved([30])
    assert heard.found == ""
    heard.hear_saved([20, 50])
    assert heard.found == "it saved step 20, and it was told to go on from step 40"


def test_the_checkpoint_that_it_was_told_may_be_saved_again() -> None:
    heard = Obedience(10)
    heard.hear_saved([10])
    assert heard.found == ""


def test_of_one_that_reported_its_first_step_checkpoints_prove_nothing() -> None:
    """Somebody may write into an old folder while it trains: an evaluation, for one."""
    heard = first(40, 41)
    heard.hear_saved([10])
    assert heard.found == ""
