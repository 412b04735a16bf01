"""The corpus, played in virtual time through the decision itself: nothing legitimate is ended, every hang is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from outlast.runner.patience import POLL_S
from outlast.runner.replay import play
from tests.corpus import hangs, heavy_tails, legitimate
from tests.corpus.__main__ import HEAD, row
from tests.corpus.hangs import Hang

pytestmark = pytest.mark.slow

LEGITIMATE = legitimate.all_of_them()
HANGS = {hang.name: hang for hang in hangs.all_of_them()}
RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"
RECORDED_LEAST = 30
SEEDS, SEEDS_SOAKED = 250, 10_000
COMPARED_S = 9000.0
LATE_S = 2 * POLL_S


@pytest.mark.parametrize("name", LEGITIMATE)
def test_what_is_legitimate_is_not_ended(name: str) -> None:
    answer = play(LEGITIMATE[name])
    assert answer.stall is None, f"{answer.stall} at {answer.declared_s} s"


@pytest.mark.parametrize("name", HANGS)
def test_a_hang_is_declared_seconds_after_its_limit(name: str) -> None:
    hang = HANGS[name]
    answer = play(hang.timeline)
    assert answer.stall is not None
    assert answer.declared_s is not None
    assert (answer.stall.section, answer.stall.limit_s <= hang.limit_s) == (hang.section, True), str(
        answer.stall
    )
    if hang.rank is not None:
        assert answer.stall.rank == hang.rank
    late_s = answer.declared_s - hang.since_s - hang.given_back_s - answer.stall.limit_s
    assert -LATE_S <= late_s <= LATE_S + (hang.given_back_s > 0), str(answer.stall)


def test_the_time_to_each_hang_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {name: play(hang.timeline) for name, hang in HANGS.items()}
    rows = [_row(HANGS[name], answer) for name, answer in answers.items()]
    with capsys.disabled():
        print("", HEAD, *rows, sep="\n")
    assert len(rows) >= 50


def _row(hang: Hang, answer: Any) -> str:
    assert answer.stall is not None
    return row(hang, answer.declared_s, answer.stall.limit_s)


def test_every_section_is_in_the_corpus_of_hangs() -> None:
    assert {hang.section for hang in HANGS.values()} >= set(
        "init,first step,train,eval,save,data,collective,exit".split(",")
    )


@pytest.mark.parametrize("name", [*LEGITIMATE, *HANGS])
def test_passing_over_looks_that_change_nothing_changes_nothing(name: str) -> None:
    timeline = LEGITIMATE.get(name) or HANGS[name].timeline
    timeline = timeline | {"end_of_data_s": min(timeline["end_of_data_s"], COMPARED_S)}
    quick, whole = play(timeline), play(timeline, every_look=True)
    assert (quick.record(), quick.learned) == (whole.record(), whole.learned)
    assert quick.looks <= whole.looks


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_heavy_tails_are_no_hangs(first: int) -> None:
    _none_is_ended(range(first, first + 50))


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, SEEDS_SOAKED, 1000))
def test_ten_thousand_heavy_tails_are_no_hangs(first: int) -> None:
    _none_is_ended(range(first, first + 1000))


def _none_is_ended(seeds: range) -> None:
    ended = [f"seed {seed}: {stall}" for seed in seeds if (stall := play(heavy_tails.timeline(seed)).stall)]
    assert not ended, "\n".join(ended)


def test_no_recorded_training_would_have_been_ended() -> None:
    files = sorted(RECORDED.glob("*.json"))
    assert len(files) >= RECORDED_LEAST
    ended = [f"{file.name}: {stall}" for file in files if (stall := play(json.loads(file.read_text())).stall)]
    assert not ended, "\n".join(ended)
