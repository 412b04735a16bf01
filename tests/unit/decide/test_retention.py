"""Which checkpoints are kept: each rule keeps, none removes, and of what is not verified nothing goes."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from outlast.decide.retention import Saved, fates
from outlast.facts import Retention


def saved(*steps: int, **changed: Any) -> list[Saved]:
    return [Saved(step, (f"out/step-{step}",), **{"verified": True, **changed}) for step in steps]


def kept(found: Sequence[Saved], rules: Retention) -> list[int]:
    return [each.step for each in fates(found, rules) if each.keeps]


def test_the_last_n_are_kept_by_number_and_not_by_text() -> None:
    assert kept(saved(9, 10, 100, 99), Retention(last=2, least=1)) == [100, 99]


def test_what_one_rule_keeps_is_kept_whatever_the_others_say() -> None:
    rules = Retention(last=1, every=1000, least=1)
    assert kept(saved(900, 1000, 1100, 2000, 2100), rules) == [2100, 2000, 1000]


def test_the_best_of_a_metric_is_kept_and_of_equal_ones_the_newest() -> None:
    values = {100: 0.5, 200: 0.3, 300: 0.3, 400: 0.9}
    found = [Saved(step, (str(step),), verified=True, value=value) for step, value in values.items()]
    assert kept(found, Retention(best="eval_loss", last=1, least=1)) == [400, 300]
    assert kept(found, Retention(best="accuracy", best_is_max=True, last=1, least=1)) == [400]


def test_a_value_that_is_no_number_is_never_the_best() -> None:
    found = [
        Saved(1, ("1",), verified=True, value=float("nan")),
        Saved(2, ("2",), verified=True, value=0.5),
        *saved(3),
    ]
    assert kept(found, Retention(best="loss", last=1, least=1)) == [3, 2]


def test_a_metric_that_nobody_knows_keeps_all_and_says_so() -> None:
    fate = fates(saved(1, 2, 3, 4), Retention(best="eval_lsos", least=1))[-1]
    assert fate.keeps
    assert fate.reasons == ("eval_lsos is not known for any yet",)


def test_the_young_are_kept() -> None:
    found = [*saved(1, 2, age_s=90.0), *saved(3, 4, age_s=10.0)]
    assert kept(found, Retention(younger_s=60.0, least=1)) == [4, 3]


def test_without_a_rule_nothing_goes() -> None:
    assert kept(saved(*range(20)), Retention()) == list(range(19, -1, -1))


def test_one_that_is_not_verified_is_neither_counted_nor_removed() -> None:
    found = [*saved(1, 2, 3), *saved(4, 5, verified=False)]
    assert kept(found, Retention(last=1, least=1)) == [5, 4, 3]


def test_l46_the_last_verified_ones_stay_whatever_the_rules_say() -> None:
    assert kept(saved(1, 2, 3), Retention(every=1000)) == [3, 2]
    assert kept(saved(1, 2, 3), Retention(every=1000, least=0)) == [3]


def test_what_is_pinned_or_in_use_stays_and_the_reason_is_told() -> None:
    found = [*saved(1, holds=("pinned by a person",)), *saved(2, 3, 4)]
    last = fates(found, Retention(last=1))[-1]
    assert last.keeps
    assert last.reasons == ("pinned by a person",)


def test_what_goes_is_told_why() -> None:
    fate = fates(saved(1, 2, 3), Retention(last=2, every=1000))[-1]
    assert fate.reasons == ("not of the last 2, its step is no multiple of 1000",)


CHECKPOINTS = st.lists(
    st.builds(
        Saved,
        step=st.integers(0, 50),
        paths=st.just(("out/a", "out/b")),
        verified=st.booleans(),
        age_s=st.floats(0, 100),
        value=st.none() | st.floats(allow_nan=True),
        holds=st.sampled_from([(), ("pinned",)]),
    ),
    max_size=12,
    unique_by=lambda each: each.step,
)
RULES = st.builds(
    Retention,
    last=st.none() | st.integers(1, 5),
    every=st.none() | st.integers(1, 10),
    best=st.sampled_from(["", "loss"]),
    best_is_max=st.booleans(),
    younger_s=st.none() | st.floats(0, 100),
    least=st.integers(0, 4),
)


@given(CHECKPOINTS, RULES)
def test_whatever_the_rules_enough_verified_ones_stay(found: list[Saved], rules: Retention) -> None:
    decided = fates(found, rules)
    gone = {each.step for each in decided if not each.keeps}
    assert len(decided) == len(found)
    verified = [each for each in found if each.verified]
    staying = [each for each in verified if each.step not in gone]
    assert len(staying) >= min(len(verified), max(1, rules.least))
    newest = max((each.step for each in verified), default=None)
    assert newest is None or newest in {each.step for each in staying}
    assert not any(each.step in gone for each in found if each.holds and each.verified)
    assert all(each.reasons for each in decided)
