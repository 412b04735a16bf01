"""A save that has settled is verified by the full package, in a child; whatever becomes of that child."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from outlast.disk.layout import AttemptFolder
from outlast.runner.saves import Saves
from outlast.runner.words import Words

SAYS = "import json, sys; print('some noise'); print(json.dumps({'verified': [5], 'notes': ['a note']}))"


@pytest.fixture
def words(tmp_path: Path) -> Words:
    os.mkdir(tmp_path / "0001")
    return Words(AttemptFolder(str(tmp_path / "0001")))


def program(text: str) -> list[str]:
    return [sys.executable, "-S", "-c", text]


def counting(tmp_path: Path) -> list[str]:
    log = tmp_path / "begun"
    return program(
        f"import os; os.write(os.open({str(log)!r}, os.O_WRONLY|os.O_CREAT|os.O_APPEND), b'x'); {SAYS}"
    )


def begun(tmp_path: Path) -> int:
    log = tmp_path / "begun"
    return len(log.read_bytes()) if log.exists() else 0


def busy(saves: Saves) -> bool:
    return saves.is_busy


def until_done(saves: Saves, now_s: float) -> None:
    deadline_s = time.monotonic() + 20.0
    while busy(saves):
        assert time.monotonic() < deadline_s
        saves.look(now_s, None)


def test_a_folder_that_looks_the_same_twice_is_settled(tmp_path: Path, words: Words) -> None:
    saves = Saves(counting(tmp_path), words)
    saves.look(0.0, (100, 1))
    saves.look(10.0, (200, 2))
    assert not busy(saves)
    saves.look(20.0, (200, 2))
    assert busy(saves)
    until_done(saves, 21.0)
    assert saves.answer == {"verified": [5], "notes": ["a note"]}
    assert saves.note == "a note"


def test_a_folder_that_never_rests_is_verified_all_the_same(tmp_path: Path, words: Words) -> None:
    saves = Saves(counting(tmp_path), words)
    for look in range(12):
        saves.look(10.0 * look, (200, look))
        until_done(saves, 10.0 * look)
    assert begun(tmp_path) == 3


def test_what_is_settled_is_verified_once(tmp_path: Path, words: Words) -> None:
    saves = Saves(counting(tmp_path), words)
    for at_s in (0.0, 10.0, 20.0, 30.0):
        saves.look(at_s, (200, 2))
        until_done(saves, at_s)
    assert begun(tmp_path) == 1


def test_a_training_that_says_that_it_saved_is_believed_at_once(tmp_path: Path, words: Words) -> None:
    saves = Saves(counting(tmp_path), words)
    saves.look(0.0, (200, 2), is_said=True)
    assert busy(saves)
    saves.close()


def test_an_empty_folder_is_nothing_to_verify(tmp_path: Path, words: Words) -> None:
    saves = Saves(counting(tmp_path), words)
    for at_s in (0.0, 10.0):
        saves.look(at_s, (0, 0))
    assert not busy(saves)


def test_without_a_command_nothing_is_begun(words: Words) -> None:
    saves = Saves([], words)
    saves.look(0.0, (200, 2), is_said=True)
    saves.finish((200, 2))
    assert not busy(saves)


def test_what_was_saved_last_is_verified_when_the_training_is_over(tmp_path: Path, words: Words) -> None:
    saves = Saves(counting(tmp_path), words)
    saves.finish((200, 2))
    assert saves.answer["verified"] == [5]
    saves.finish((200, 2))
    assert begun(tmp_path) == 1


@pytest.mark.parametrize(
    "text",
    ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)", "print('{\"half\": ')", "print([1])"],
    ids=["fails", "is killed", "says half a line", "says something else"],
)
def test_a_child_that_fails_is_said_and_tried_again_later(tmp_path: Path, words: Words, text: str) -> None:
    saves = Saves(program(text), words)
    saves.look(0.0, (200, 2), is_said=True)
    until_done(saves, 1.0)
    assert "could not be verified" in saves.note
    assert saves.answer == {}
    saves.look(2.0, (200, 2))
    assert not busy(saves), "too soon"
    saves.look(100.0, (200, 2))
    assert busy(saves)
    saves.close()


def test_a_child_that_does_not_end_is_ended(words: Words) -> None:
    saves = Saves(program("import time; time.sleep(1000)"), words)
    saves.look(0.0, (200, 2), is_said=True)
    saves.look(1e9, None)
    assert not busy(saves)
    assert "could not be verified" in saves.note


def test_a_command_that_cannot_be_started_is_said(words: Words) -> None:
    saves = Saves(["/nowhere/python"], words)
    saves.look(0.0, (200, 2), is_said=True)
    until_done(saves, 1.0)
    assert "could not be verified" in saves.note


def test_the_answer_may_be_long(words: Words) -> None:
    saves = Saves(program("import json; print(json.dumps({'verified': list(range(100000))}))"), words)
    saves.finish((1, 1))
    assert len(saves.answer["verified"]) == 100000
    assert json.dumps(saves.answer)


def test_whoever_hurries_does_not_wait_for_it(words: Words) -> None:
    saves = Saves(program("import time; time.sleep(1000)"), words)
    saves.finish((1, 1), lambda: True)
    assert not busy(saves)


def test_what_has_to_be_looked_at_again_is(tmp_path: Path, words: Words) -> None:
    log = tmp_path / "begun"
    text = (
        f"import json, os; os.write(os.open({str(log)!r}, os.O_WRONLY|os.O_CREAT|os.O_APPEND), b'x'); "
        "print(json.dumps({'verified': [], 'again': True}))"
    )
    saves = Saves(program(text), words)
    for at_s in (0.0, 10.0, 20.0, 100.0):
        saves.look(at_s, (200, 2))
        until_done(saves, at_s)
    saves.finish((200, 2))
    assert begun(tmp_path) == 3
