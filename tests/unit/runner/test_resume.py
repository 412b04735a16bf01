import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outlast.disk.layout import AttemptFolder
from outlast.runner import resume
from outlast.runner.ears import Ears
from outlast.runner.resume import Choice, Refusal, choose
from outlast.runner.words import Words
from tests.runner_driver import is_living


@pytest.fixture
def ears() -> Iterator[Ears]:
    """The signals of this process are given back afterwards."""
    numbers = (
        signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD,
    )  # fmt: skip
    before = {number: signal.getsignal(number) for number in numbers}
    yield Ears()
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def words(tmp_path: Path) -> Words:
    (tmp_path / "0001").mkdir()
    return Words(AttemptFolder(str(tmp_path / "0001")))


def go() -> bool:
    return False  # nobody calls it off


def check(code: str, *words: str) -> dict[str, Any]:
    return {"resume": {"root": "/c"}, "ready": [sys.executable, "-I", "-S", "-c", code, *words]}


def answers(answer: object) -> dict[str, Any]:
    return check("import sys; print('noise'); print(sys.argv[1])", json.dumps(answer))


def test_without_checkpoints_nobody_is_asked(ears: Ears, words: Words) -> None:
    choice = choose({"resume": None, "ready": ["/no/such/program"]}, ears, words, go)
    assert (choice.checkpoint, choice.step, choice.reasons) == (None, None, [])


def test_the_choice_is_taken_as_it_is(ears: Ears, words: Words) -> None:
    choice: Choice = choose(
        answers({"checkpoint": "/c/5", "step": 5, "reasons": ["whole"], "refuse": None}), ears, words, go
    )
    assert (choice.checkpoint, choice.step, choice.reasons) == ("/c/5", 5, ["whole"])


@pytest.mark.parametrize(
    "answer", [{"checkpoint": 5}, {"checkpoint": ["/c"]}, {"refuse": "no_valid_checkpoint"}, [1], "text"]
)
def test_an_answer_that_is_none_begins_nothing(ears: Ears, words: Words, answer: object) -> None:
    with pytest.raises(Refusal):
        choose(answers(answer), ears, words, go)


def test_a_check_that_hangs_is_killed_in_time(ears: Ears, words: Words, tmp_path: Path) -> None:
    hangs = check(
        "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(60)",
        str(tmp_path / "pid"),
    )
    with pytest.raises(Refusal, match="no answer within 1 s"):
        choose(hangs, ears, words, go, within_s=0.7)
    assert not is_living(int((tmp_path / "pid").read_text()))


def test_a_check_of_an_attempt_that_is_called_off_is_not_waited_for(ears: Ears, words: Words) -> None:
    answers = iter([False, True])
    with pytest.raises(Refusal, match="stopped before the start"):
        choose(check("import time; time.sleep(60)"), ears, words, lambda: next(answers))


def test_an_endless_answer_is_not_kept(ears: Ears, words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "ANSWER_BYTES_MAX", 10_000)
    with pytest.raises(Refusal, match="longer than 10000 bytes"):
        choose(check("while True: print('x' * 1000)"), ears, words, go)


def test_a_good_answer_of_a_check_that_failed_is_not_believed(ears: Ears, words: Words) -> None:
    with pytest.raises(Refusal, match="exit 3"):
        choose(check('print(\'{"checkpoint": "/c/5"}\'); raise SystemExit(3)'), ears, words, go)


def test_what_it_says_on_standard_error_is_in_the_log(ears: Ears, words: Words, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"see runner\.log"):
        choose(check("raise ValueError('the reason')"), ears, words, go)
    assert "ValueError: the reason" in (tmp_path / "0001" / "runner.log").read_text()
