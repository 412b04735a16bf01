"""The look at the newest checkpoint in the end: bounded, and whatever becomes of it the end is recorded."""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.facts import Final
from outlast.facts.codec import from_record
from outlast.runner.ears import Ears
from outlast.runner.final import ended_well, look
from outlast.runner.words import Words
from tests.unit.runner.test_resume import ears

__all__ = ["ears"]

WHOLE = {
    "type": "Final",
    "worth": "whole",
    "path": "/c/5",
    "step": 5,
    "total": 9,
    "cut": True,
    "why": "5 is whole",
}
WAITS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)"


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    made = AttemptFolder(str(tmp_path / "0001"))
    files.make_directory(made.path)
    return made


def program(code: str, *words: str) -> dict[str, Any]:
    return {"resume": {"root": "/c"}, "final": [sys.executable, "-I", "-S", "-c", code, *words]}


def answers(answer: object) -> dict[str, Any]:
    return program("import sys; print('noise'); print(sys.argv[1])", json.dumps(answer))


def found(order: dict[str, Any], folder: AttemptFolder, ears: Ears, within_s: float = 20.0) -> Final:
    record = look(order, folder, ears, Words(folder), within_s)
    assert record is not None
    return from_record(record, Final)


def test_without_checkpoints_or_by_an_old_order_nobody_is_asked(folder: AttemptFolder, ears: Ears) -> None:
    nobody = ["/no/such/program"]
    for order in ({"resume": None, "final": nobody}, {"final": nobody}, {"resume": {"root": "/c"}}):
        assert look(order, folder, ears, Words(folder)) is None


def test_the_answer_is_taken_as_it_is(folder: AttemptFolder, ears: Ears) -> None:
    assert found(answers(WHOLE), folder, ears) == Final("whole", "/c/5", 5, 9, True, "5 is whole")


@pytest.mark.parametrize(
    "order",
    [
        answers({**WHOLE, "worth": "splendid"}),
        answers({"worth": "whole"}),
        answers([1]),
        program("print('{')"),
        program("raise SystemExit(3)"),
        program("import os; os.kill(os.getpid(), 9)"),
        {"resume": {"root": "/c"}, "final": ["/no/such/program"]},
    ],
)
def test_an_answer_that_is_none_leaves_it_unchecked(
    order: dict[str, Any], folder: AttemptFolder, ears: Ears
) -> None:
    answer = found(order, folder, ears)
    assert (answer.worth, answer.why.startswith("not checked: the look at the newest checkpoint")) == (
        "unchecked",
        True,
    )


def test_it_has_its_time_and_no_more(folder: AttemptFolder, ears: Ears, tmp_path: Path) -> None:
    answer = found(program(WAITS, str(tmp_path / "pid")), folder, ears, within_s=0.7)
    assert answer == Final(
        "unchecked", why="not checked: the look at the newest checkpoint failed: no answer within 1 s"
    )


@pytest.mark.parametrize("how", ["a signal", "a wish"])
def test_whoever_is_in_a_hurry_is_not_kept_waiting(
    folder: AttemptFolder, ears: Ears, tmp_path: Path, how: str
) -> None:
    files.replace(folder.wish, {"want": "run"})  # an old one says nothing

    def hurry() -> None:
        if how == "a signal":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            files.replace(folder.wish, {"want": "stop-now"})

    threading.Timer(0.3, hurry).start()
    answer = found(program(WAITS, str(tmp_path / "pid")), folder, ears)
    assert (answer.worth, "somebody waits for the end" in answer.why) == ("unchecked", True)


def test_what_it_says_fits_into_the_room_of_the_end(folder: AttemptFolder, ears: Ears) -> None:
    record = look(answers({**WHOLE, "why": "x" * 9000, "path": "/c" * 4000}), folder, ears, Words(folder))
    assert len(json.dumps(record)) < 2048


def test_it_is_asked_where_the_training_may_be_complete_and_nowhere_else() -> None:
    done, running = ["rank 0: done at step 5"], ["rank 0: done at step 5", "rank 1: running at step 5"]
    assert ended_well({"type": "Exited", "code": 0}, [])
    assert ended_well({"type": "Lost", "why": "adopted"}, done)
    for end, said in (
        ({"type": "Exited", "code": 1}, done),
        ({"type": "Signalled", "signal": 9}, done),
        ({"type": "NeverBegan", "why": ""}, done),
        ({"type": "Lost", "why": "adopted"}, running),
        ({"type": "Lost", "why": "adopted"}, []),
    ):
        assert not ended_well(end, said)
