import os
from pathlib import Path

import pytest

from outlast.errors import WorldError
from outlast.runner import reading


def holds(
    declared: str, folder: Path, before: list[int] | None = None, last_step: int | None = None
) -> bool | None:
    log = str(folder / "output.log")
    return reading.holds(declared, log=log, cwd=str(folder), file_before=before, last_step=last_step)


def test_nothing_declared_is_no_answer(tmp_path: Path) -> None:
    assert holds("", tmp_path) is None


def test_a_sign_in_the_log_is_a_whole_line_if_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(b"start\nall done 12\nsaved\n")
    assert holds("log:^all done [0-9]+$", tmp_path) is True
    assert holds("log:^done", tmp_path) is False
    assert holds("log:done", tmp_path) is True


def test_a_sign_is_found_wherever_a_chunk_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK", 64)
    monkeypatch.setattr(reading, "OVERLAP", 32)
    for at in range(150):
        (tmp_path / "output.log").write_bytes(b"x" * at + b"<the sign>" + b"y" * (150 - at))
        assert holds("log:<the sign>", tmp_path) is True, at


def test_the_log_is_read_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(b"\xff\xfe\0\x80 fertig\n")
    assert holds("log:fertig", tmp_path) is True


def test_only_so_much_of_a_huge_log_is_read_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 100)
    monkeypatch.setattr(reading, "SCANNED_MAX", 1000)
    (tmp_path / "output.log").write_bytes(b"first" + b"x" * 5000 + b"last")
    assert holds("log:last", tmp_path) is True
    assert holds("log:first", tmp_path) is False


def test_without_a_log_there_is_no_sign(tmp_path: Path) -> None:
    assert holds("log:x", tmp_path) is False


def test_an_expression_that_is_none_is_said_and_never_a_success(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(b"x")
    with pytest.raises(WorldError, match="log:"):
        holds("log:(", tmp_path)


def test_a_file_counts_if_it_is_new_or_became_another_whatever_the_clock_says(tmp_path: Path) -> None:
    final = tmp_path / "final"
    assert holds("file:final", tmp_path) is False
    final.write_text("model")
    os.utime(final, (0, 0))
    before = reading.signature(str(final))
    assert holds("file:final", tmp_path) is True
    assert holds("file:final", tmp_path, before) is False
    os.utime(final, (1, 1))
    assert holds("file:final", tmp_path, before) is True
    assert holds(f"file:{final}", tmp_path / "elsewhere", before) is True


def test_a_step_counts_from_the_page_only(tmp_path: Path) -> None:
    assert holds("step:5", tmp_path) is False
    assert holds("step:5", tmp_path, last_step=4) is False
    assert holds("step:5", tmp_path, last_step=5) is True
