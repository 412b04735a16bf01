"""What a watcher writes down: small, and played again it says the same."""

import json
from typing import Any

import pytest

from outlast.runner.patience import Patience, Sample, Stall
from outlast.runner.replay import play
from outlast.runner.timelines import Clock, Look, Timeline
from tests.corpus import hangs, legitimate

pytestmark = pytest.mark.slow

WATCHED_S = 6000
TOLD = {hang.name: hang.timeline for hang in hangs.all_of_them()} | legitimate.all_of_them()
ALIKE_S = 3.0


def watched(told: dict[str, Any], seconds: int = WATCHED_S) -> tuple[dict[str, Any], Stall | None, float]:
    """What a runner that lived through this would have kept, and declared."""
    timeline = Timeline(told)
    look, clock = Look(timeline), Clock(timeline.suspended)
    patience = Patience(
        timeline.declared, 0.0, reached_step=timeline.reached_step, learned=timeline.learned, sdk=True
    )
    for poll in range(min(seconds, int(timeline.end_s)) + 1):
        at_s = clock.time_s(poll)
        if any(begin < at_s < end for begin, end in timeline.gaps):
            continue
        stall = patience.look(float(poll), look.samples(at_s), stopped=look.is_stopped(at_s))
        if stall is not None:
            return _kept(patience), stall, float(poll)
    return _kept(patience), None, 0.0


def _kept(patience: Patience) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(json.dumps(patience.learned()))
    return kept


@pytest.mark.parametrize(
    "name", [name for name in TOLD if not name.startswith(("log", "64 ranks", "8 ranks"))]
)
def test_what_was_written_down_says_the_same_when_it_is_played(name: str) -> None:
    kept, stall, declared_s = watched(TOLD[name])
    answer = play(kept["timeline"] | {"learned": TOLD[name].get("learned")})
    assert (answer.stall is None) == (stall is None), f"{stall} / {answer.record()}"
    if stall is not None and answer.declared_s is not None:
        assert abs(answer.declared_s - declared_s) <= ALIKE_S + 0.1 * stall.limit_s


@pytest.mark.parametrize("name", [name for name in TOLD if name.startswith("log")])
def test_what_a_log_told_was_written_down_and_says_the_same_when_it_is_played(name: str) -> None:
    timeline = Timeline(TOLD[name])
    look, clock = Look(timeline), Clock(timeline.suspended)
    patience = Patience(timeline.declared, 0.0)
    inner, stall, poll = 0, None, 0
    for poll in range(min(6 * WATCHED_S, int(timeline.end_s)) + 1):
        at_s = clock.time_s(poll)
        samples, (moved, section) = look.samples(at_s), look.life(at_s)
        step = samples[0].step if samples else None
        section = samples[0].sections[-1][0] if samples and samples[0].sections else section
        inner += moved and section != ""
        stall = patience.look(
            float(poll), stopped=look.is_stopped(at_s), series=step, step=step, section=section,
            alive=moved, unsure=moved and not section, inner=inner,
        )  # fmt: skip
        if stall is not None:
            break
    answer = play(_kept(patience)["timeline"])
    assert (answer.stall is None) == (stall is None), f"{stall} / {answer.record()}"
    if stall is not None and answer.stall is not None and answer.declared_s is not None:
        assert answer.stall.section == stall.section
        assert answer.stall.limit_s == pytest.approx(stall.limit_s)
        assert abs(answer.declared_s - poll) <= ALIKE_S  # what is kept is told by the watcher's clock


def test_signs_of_life_before_any_series_are_played_again() -> None:
    patience, lives = Patience([("", 60.0), ("eval", 200.0)], 0.0), (7, 30, 31, 32, 80, 139, 600)
    for second in range(1, 250):
        where = "eval" if second > 100 else ""
        assert patience.look(float(second), alive=second in lives, section=where) is None
    stall, poll = None, 250
    while stall is None:
        poll += 1
        stall = patience.look(float(poll), section="eval")
    answer = play(_kept(patience)["timeline"])
    assert answer.stall is not None
    assert answer.declared_s is not None
    assert (answer.stall.section, answer.stall.limit_s) == (stall.section, stall.limit_s) == ("eval", 200.0)
    assert abs(answer.declared_s - poll) <= ALIKE_S


def test_a_first_page_that_came_late_is_no_hang_when_it_is_played() -> None:
    patience = Patience([], 0.0)
    for second in range(2, 3000):
        patience.look(float(second), alive=True)
    for second in range(3000, 3100):
        assert patience.look(float(second), [Sample(0, second, "train")]) is None
    assert play(_kept(patience)["timeline"]).stall is None


def test_a_log_that_comes_to_steps_never_made_before_is_played_with_them() -> None:
    kills = {"schema": 1, "world": 1, "doublings": {"series": 1}}
    patience = Patience([], 0.0, learned=kills, reached_step=50)
    stall, poll = None, 0
    while stall is None:
        poll += 1
        stall = patience.look(float(poll), series=min(poll, 40), step=min(poll, 40))
    assert stall.limit_s == 3600.0
    answer = play(_kept(patience)["timeline"] | {"learned": kills})
    assert answer.stall is not None
    assert answer.stall.limit_s == 3600.0


def test_a_long_training_is_written_small() -> None:
    kept, _, _ = watched(legitimate.all_of_them()["a sequence that grows for ten hours"], 9000)
    assert len(json.dumps(kept)) < 4096


def test_without_room_the_oldest_is_dropped_and_what_was_learned_stands_for_it() -> None:
    patience = Patience([], 0.0)
    look = Look(Timeline(legitimate.evals_and_saves()["seventy evals, each like the others"]))
    for poll in range(14_000):
        patience.look(float(poll), look.samples(float(poll)))
    wild = Timeline(
        {"mode": "sdk", "beats": [{"from": 14_100, "to": 30_000, "every": [3, 9, 27], "step0": 9999}]}
    )
    look = Look(wild)
    for poll in range(14_100, 30_000):
        patience.look(float(poll), look.samples(float(poll)))
    kept = _kept(patience)
    assert kept["timeline"]["learned"]["sections"]["train"]["count"] > 50
    assert len(json.dumps(kept)) < 40_000
    assert play(kept["timeline"]).stall is None
