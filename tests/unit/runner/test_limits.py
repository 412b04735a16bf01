"""How a limit follows from what was declared, from history, from a cap."""

import random

import pytest

from outlast.runner.limits import SAMPLES_LEAST, WEIGHT_MAX, History, Limits, series_base


def history(*seconds: float) -> History:
    made = History()
    for each in seconds:
        made.add(each)
    return made


def learned_s(*seconds: float, section: str = "train", world: int = 1) -> float:
    limits = Limits()
    limits.meet(world)
    return limits.base(section, history(*seconds))[0]


@pytest.mark.parametrize(
    ("section", "world", "cap_s"),
    [
        ("init", 1, 1800), ("first step", 1, 1200), ("train", 1, 600), ("train", 2, 420), ("eval", 1, 1800),
        ("save", 2, 1800), ("data", 1, 1200), ("collective", 8, 420), ("exit", 1, 1800), ("distil", 1, 1800),
    ],
)  # fmt: skip
def test_the_caps_at_first(section: str, world: int, cap_s: float) -> None:
    limits = Limits()
    limits.meet(world)
    assert limits.base(section, history(*[1.0] * (SAMPLES_LEAST - 1))) == (cap_s, "at first")


@pytest.mark.parametrize(
    ("seconds", "limit_s"),
    [([1.0] * 50, 60.0), ([20.0] * 50, 160.0), ([2.0] * 80 + [50.0] * 20, 150.0), ([200.0] * 60, 1600.0)],
)
def test_limit_is_the_floor_or_three_p99_or_eight_medians(seconds: list[float], limit_s: float) -> None:
    assert learned_s(*seconds) == pytest.approx(limit_s)


@pytest.mark.parametrize(
    ("section", "least_s"),
    [
        ("data", 960.0),
        ("eval", 600.0),
        ("save", 600.0),
        ("exit", 600.0),
        ("push", 600.0),
        ("collective", 60.0),
    ],
)
def test_what_is_rare_or_waits_for_storage_shrinks_to_a_share_of_its_cap(
    section: str, least_s: float
) -> None:
    assert learned_s(*[1.0] * 200, section=section) == pytest.approx(least_s)


def test_regular_jitter_makes_no_limit_wider_than_the_formula() -> None:
    dice = random.Random(1)
    assert learned_s(*(20 * dice.lognormvariate(0.0, 0.1) for _ in range(300))) == pytest.approx(
        160, rel=0.05
    )


def test_of_few_samples_the_longest_is_p99_and_of_many_it_is_not() -> None:
    assert history(*[1.0] * 300, 100.0).p99_s() == 100.0
    assert history(*[1.0] * 2000, 100.0).p99_s() == 1.0


def test_a_tail_that_goes_on_makes_the_limit_wider_but_not_beyond_the_cap() -> None:
    dice = random.Random(2)
    waits = [5 * dice.lognormvariate(0.0, 1.0) for _ in range(400)]
    assert 3 * history(*waits).p99_s() < learned_s(*waits) == 600.0


def test_a_series_may_be_quiet_for_half_an_hour_or_ten_times_its_p99() -> None:
    assert series_base(history(1.0), 60.0)[0] == 1800.0
    assert series_base(history(*[400.0] * 20), 60.0)[0] == pytest.approx(4000.0)
    assert series_base(history(), 3000.0)[0] == 30_000.0


def test_memory_is_bounded_and_what_is_long_ago_fades() -> None:
    made = history(*[1000.0] * 1000)
    for _ in range(20 * WEIGHT_MAX):
        made.add(1.0)
    assert made.weight <= WEIGHT_MAX
    assert (made.p99_s(), made.count) == (1.0, 1000 + 20 * WEIGHT_MAX)
    dice = random.Random(3)
    wide = history(*(10 ** dice.uniform(-6, 9) for _ in range(WEIGHT_MAX)))
    assert len(wide.record()["classes"]) < 400


def test_a_history_is_the_same_after_its_record() -> None:
    dice = random.Random(4)
    made = history(*(dice.expovariate(0.1) for _ in range(500)))
    again = History.of(made.record())
    assert again.p99_s() == pytest.approx(made.p99_s(), abs=1e-3)
    assert (again.count, again.weight) == (made.count, made.weight)
    assert again.record() == made.record()


def test_each_kill_doubles_and_only_a_few_times() -> None:
    limits = Limits()
    for _ in range(3):
        limits.note_kill("eval")
    assert limits.of("eval", "eval", limits.base("eval", None))[0] == 8 * 1800
    for _ in range(50):
        limits.note_kill("eval")
    assert limits.of("eval", "eval", limits.base("eval", None))[0] == 32 * 1800


def test_first_step_may_be_declared_with_a_hyphen() -> None:
    assert Limits([("first-step", 9.0)]).declared_s("first step") == (9.0, "by --stall-limit")


def test_rows_show_every_section_and_where_its_limit_comes_from() -> None:
    limits = Limits([("eval", 90.0)])
    learned = limits.record([{"train": history(*[1.0] * 60), "distil": history(*[10.0] * 9)}])
    rows = {row["section"]: row for row in Limits([("eval", 90.0)], learned).rows()}
    assert (rows["train"]["limit_s"], rows["train"]["why"]) == (60.0, "learned from 60 samples")
    assert (rows["eval"]["limit_s"], rows["eval"]["why"]) == (90.0, "by --stall-limit")
    assert (rows["distil"]["limit_s"], rows["distil"]["samples"]) == (1800.0, 9)
    assert list(rows)[:3] == ["init", "first step", "train"]
