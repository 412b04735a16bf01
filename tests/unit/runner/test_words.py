import os
from pathlib import Path

import pytest

from outlast.disk.layout import AttemptFolder
from outlast.runner import words
from outlast.runner.words import Words


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    (tmp_path / "0001").mkdir()
    return AttemptFolder(str(tmp_path / "0001"))


def said(folder: AttemptFolder) -> list[str]:
    return Path(folder.runner_log).read_text().splitlines()


def test_a_line_says_when_and_who(folder: AttemptFolder) -> None:
    Words(folder).say("the reason")
    (line,) = said(folder)
    assert line.endswith(f"Z runner {os.getpid()}: the reason")


def test_what_was_said_once_is_not_said_again(folder: AttemptFolder) -> None:
    mine = Words(folder)
    for text in ("a", "b", "a"):
        mine.say_once(text)
    assert len(said(folder)) == 2


def test_who_repeats_himself_is_cut_off(folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "LINES_MAX", 3)
    mine = Words(folder)
    for number in range(10):
        mine.say(str(number))
    assert len(said(folder)) == 3


def test_a_full_disk_silences_nobody_for_good(folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Words(folder)
    with monkeypatch.context() as disk:
        disk.setattr(
            os, "write", lambda fd, body: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        mine.say("lost")
    mine.say("heard\udcff")
    assert len(said(folder)) == 1
