"""The format that `outlast limits replay` reads, and the clock of a machine that sleeps."""

from typing import Any

import pytest

from outlast.runner.replay import play, show
from outlast.runner.timelines import Clock, Look, Timeline, Wrong


def beats(*entries: Any, until_s: float = 1e9) -> list[tuple[float, int]]:
    """(time, step) of every change of the step that is seen, look by look."""
    look = Look(Timeline({"mode": "sdk", "beats": list(entries)}))
    found: list[tuple[float, int]] = []
    while (at_s := look.next_change_s(0.0)) < until_s:
        (sample,) = look.samples(at_s)
        found.append((at_s, sample.step))
    return found


def sections(*entries: Any) -> list[list[str]]:
    look = Look(Timeline({"mode": "sdk", "beats": list(entries)}))
    found = []
    while (at_s := look.next_change_s(0.0)) < 1e9:
        (sample,) = look.samples(at_s)
        found.append([sample.stage, *(name for name, _, _ in sample.sections)])
    return found


def test_a_block_is_beats_at_cycled_distances() -> None:
    block = {"from": 10, "to": 16, "every": [1, 2], "step0": 5}
    assert beats(block) == [(10, 5), (11, 6), (13, 7), (14, 8), (16, 9)]


def test_distances_of_a_block_may_grow() -> None:
    block = {"from": 0, "to": 7.1, "every": 1, "step0": 0, "inc": 10, "grow": 1.0}
    assert beats(block) == [(0, 0), (1, 10), (3, 20), (7, 30)]


def test_the_last_beat_of_a_block_survives_the_sums_of_floats() -> None:
    assert len(beats({"from": 0.1, "to": 100.1, "every": 0.1, "step0": 0})) == 1001


def test_both_forms_mix_and_blocks_may_overlap() -> None:
    assert beats([0, 0, "train"], {"from": 2, "to": 4, "every": 2, "step0": 1}, [3, 7, "train"]) == [
        (0, 0), (2, 1), (3, 7), (4, 2),
    ]  # fmt: skip


def test_sections_are_entered_nested_and_left() -> None:
    told = [[0, 0, "init"], [1, 0, "train"], [2, 1, "train"], [3, 1, "eval"], [4, 1, "save"], [5, 1, "eval"]]
    assert sections(*told, [6, 1, "train"]) == [
        ["init"], ["first step"], ["train"], ["train", "eval"], ["train", "eval", "save"], ["train", "eval"],
        ["train"],
    ]  # fmt: skip


def test_steps_inside_init_are_not_the_first_step() -> None:
    told = [[0, 0, "init"], [5, 100, "init"], [9, 100, "train"], [12, 101, "train"]]
    assert sections(*told) == [["init"], ["init"], ["first step"], ["train"]]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ([], "an object"),
        ({"mode": "x"}, "mode"),
        ({"beats": 3}, "beats"),
        ({"beats": [[0, 1]]}, "beats[0]"),
        ({"beats": [[5, 1, "train"], [4, 1, "train"]]}, "beats[1]"),
        ({"beats": [{"from": 0, "to": 9, "every": 0, "step0": 1}]}, "every"),
        ({"beats": [{"from": 0, "to": 9, "every": 1}]}, "step0"),
        ({"beats": [], "stopped": [3]}, "stopped"),
        ({"beats": [], "declared_limits": {"eval": "x"}}, "eval"),
        ({"beats": [], "end_of_data_s": "late"}, "end_of_data_s"),
        ({"ranks": {"0": []}}, "ranks"),
    ],
)
def test_what_is_no_timeline_says_where_and_why(record: Any, says: str) -> None:
    with pytest.raises(Wrong) as raised:
        play(record)
    assert says in str(raised.value)


def test_other_keys_are_ignored() -> None:
    assert (
        play({"mode": "sdk", "beats": [[0, 0, "train"]], "from": "somewhere", "wall_clock_jumps": [1]}).stall
        is None
    )


def test_the_watchers_clock_stands_while_the_machine_sleeps() -> None:
    clock = Clock([(10.0, 20.5), (30.0, 40.0)])
    assert [clock.time_s(poll) for poll in (10, 11, 19, 20)] == [10, 21.5, 29.5, 40.5]
    assert [clock.first_poll(time_s) for time_s in (10, 10.1, 20.5, 29.5, 30.0, 39.0)] == [
        10,
        11,
        11,
        19,
        20,
        20,
    ]


def test_hours_cost_few_looks() -> None:
    day = {
        "mode": "sdk",
        "beats": [[0, 0, "train"], [60, 1, "train"], [60, 1, "idle"]],
        "end_of_data_s": 86_400,
    }
    assert play(day).looks < 30


def test_limits_of_a_run_that_taught_nothing_are_the_caps() -> None:
    rows = {row["section"]: row["limit_s"] for row in show({"learned": {}, "declared": [["eval", 90]]})}
    assert (rows["train"], rows["eval"], rows["init"]) == (600.0, 90.0, 1800.0)
