"""Out of the way, and back: nothing is deleted, nothing overwritten."""

import os
from pathlib import Path

import pytest

from outlast.checkpoints import guard
from outlast.errors import NotFound, RefusedError


def test_what_was_moved_away_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "step-8"
    path.mkdir()
    (path / "model.pt").write_bytes(b"half")
    moved = guard.quarantine(path)
    assert (path.exists(), guard.quarantined(tmp_path)) == (False, ["step-8"])
    assert moved == tmp_path / ".outlast" / "quarantine" / "step-8"
    assert guard.restore(tmp_path, "step-8") == path
    assert ((path / "model.pt").read_bytes(), guard.quarantined(tmp_path)) == (b"half", [])


def test_of_two_of_one_name_both_are_kept(tmp_path: Path) -> None:
    for body in ("first", "second", "third"):
        (tmp_path / "step-8.pt").write_text(body)
        guard.quarantine(tmp_path / "step-8.pt")
    folder = guard.quarantine_of(tmp_path)
    assert [(folder / name).read_text() for name in guard.quarantined(tmp_path)] == [
        "first",
        "second",
        "third",
    ]


def test_nothing_is_overwritten_on_the_way_back(tmp_path: Path) -> None:
    (tmp_path / "step-8.pt").write_text("old")
    guard.quarantine(tmp_path / "step-8.pt")
    (tmp_path / "step-8.pt").write_text("new")
    with pytest.raises(RefusedError, match="is there already"):
        guard.restore(tmp_path, "step-8.pt")
    with pytest.raises(NotFound, match=r"in quarantine: step-8\.pt"):
        guard.restore(tmp_path, "step-9.pt")
    assert (tmp_path / "step-8.pt").read_text() == "new"


def test_what_changes_while_we_look_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "step-8.pt"
    path.write_text("half")
    monkeypatch.setattr("outlast.checkpoints.guard.time.sleep", lambda _: path.write_text("half, and more"))
    with pytest.raises(RefusedError, match="somebody still writes it"):
        guard.quarantine(path)
    assert path.exists()


def test_what_a_person_accepted_is_accepted_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "step-8.pt"
    path.write_text("half")
    assert not guard.is_accepted(path)
    guard.accept(path)
    assert guard.is_accepted(path)
    path.write_text("half, and more")
    assert not guard.is_accepted(path)
    with pytest.raises(NotFound, match="no such checkpoint"):
        guard.accept(tmp_path / "step-9.pt")


def test_what_vanishes_while_we_look_is_said(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be looked at"):
        guard.quarantine(tmp_path / "step-8.pt")


def test_who_only_reads_it_is_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "step-8"
    path.mkdir()
    (path / "model.pt").write_bytes(b"x")
    with (path / "model.pt").open("rb"):
        assert guard.writer_of(path) is None
    with (path / "model.pt").open("r+b"):
        assert guard.writer_of(path) == os.getpid()
