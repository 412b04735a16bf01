"""R13: rolled back once, and stopped where it goes bad again; never a fourth time."""

from typing import Any

import pytest
from msgspec.structs import replace

from outlast.decide.policy import judge
from outlast.decide.rollback import in_vain, is_same_stretch
from outlast.facts import Candidate, Cause, Ended, Ending, Exited, Final, Signalled
from tests.unit.decide.values import BOOK, RUN, SPEC, at, ending

SAID = "loss nan at steps 13, 14, 15"


def bad(step: int | None = 13, resumed: int | None = None, **more: Any) -> Ending:
    told = {"told": "stop-now", "told_by": f"nonfinite: {SAID}", "nonfinite": SAID}
    return ending(Signalled(15), nonfinite_step=step, resumed_step=resumed, last_step=step, **told, **more)


def ended(n: int, one: Ending, name: str = "nonfinite_loss") -> Ended:
    return Ended(
        at=at(float(n)), run=RUN, why="", n=n, ending=one, cause=Cause(name), verdict="failed", charged=True,
        wait_s=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        (bad(13), bad(13, 10), True),
        (bad(13), bad(11, 10), True),
        (bad(13), bad(33, 10), True),  # no 20 steps further
        (bad(13), bad(34, 10), False),
        (bad(50_000), bad(51_000, 49_000), True),  # no further than it had been rolled back
        (bad(50_000), bad(51_001, 49_000), False),
        (bad(13), bad(26), True),  # from scratch
        (bad(30), bad(61), False),
        (bad(13), bad(None, 10), True),
        (bad(None), bad(900, 10), True),
        (bad(13), ending(Exited(0), resumed_step=10, final=Final("nonfinite", step=20)), True),
        (bad(13), ending(Exited(0), resumed_step=10, final=Final("nonfinite", step=500)), False),
    ],
)
def test_what_came_no_further_than_it_was_rolled_back_went_bad_in_the_same_stretch(
    before: Ending, now: Ending, same: bool
) -> None:
    assert is_same_stretch(before, now) is same


def test_r13_the_first_is_rolled_back_and_the_second_in_the_same_stretch_ends_the_run() -> None:
    newest = Candidate("ckpt/checkpoint-20", "hf-trainer", 20)
    book = BOOK
    first = judge(SPEC, BOOK, 1, bad(13), newest)
    assert (first.verdict, first.cause.name, first.closing) == ("failed", "nonfinite_loss", None)
    assert first.checkpoint_step is None, "what the attempt spoilt is no checkpoint to go on from"
    book = replace(book, next=2, endings=(ended(1, bad(13)),), charges=(("nonfinite_loss", 1),))
    second = judge(replace(SPEC, attempts_max=99), book, 2, bad(14, 10), newest)
    assert (second.closing, second.closing_cause and second.closing_cause.name) == (
        "failed",
        "nonfinite_loss",
    )
    assert second.closing_why == (
        "diverged again near step 14, as in attempt 1: rolled back in vain; diverged: loss nan at steps 13, 14, 15"
    )


def test_it_is_rolled_back_again_where_it_came_much_further() -> None:
    assert in_vain([ended(1, bad(13))], bad(5000, 10)) is None
    assert in_vain([ended(1, bad(13)), ended(2, bad(5000, 10))], bad(5001, 4990)) is not None


def test_other_deaths_and_those_before_a_persons_retry_are_no_rollbacks() -> None:
    assert in_vain([ended(1, bad(13), name="exit")], bad(13, 10)) is None
    book = replace(BOOK, next=4, endings=(ended(1, bad(13)), ended(2, bad(13, 10))))
    assert judge(SPEC, book, 4, bad(13, 10), None).closing is None, (
        "door 3 was shut for good, and reopened behind"
    )


def test_a_finite_checkpoint_before_the_bad_step_is_progress_and_one_at_it_is_none() -> None:
    book = BOOK
    steps = [10, 11, 12, 13, 20]
    found = [judge(SPEC, book, 1, bad(13), Candidate("c", "folder", step)).checkpoint_step for step in steps]
    assert found == [10, 11, None, None, None]
    torn = ending(Exited(0), last_step=20, final=Final("torn", step=20, why="c is torn"))
    found = [judge(SPEC, book, 1, torn, Candidate("c", "folder", step)).checkpoint_step for step in (10, 20)]
    assert found == [10, None]


def test_torn_ends_without_progress_use_up_the_budget() -> None:
    torn = ending(Exited(0), resumed_step=10, last_step=20, final=Final("torn", step=20, why="c is torn"))
    book = replace(BOOK, best_step=10, had_checkpoint=True)
    newest, closing = Candidate("c", "folder", 20), []
    for n in range(1, 4):
        verdict = judge(SPEC, book, n, torn, newest)
        closing.append(verdict.closing)
        entry = replace(ended(n, torn, "torn_checkpoint"), charged=verdict.charged)
        charges = (("torn_checkpoint", n),)
        book = replace(book, next=n + 1, endings=(*book.endings, entry), charges=charges)
    assert closing == [None, None, "failed"]
