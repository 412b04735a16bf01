import os
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.runner import kernel
from outlast.runner.output import BLOCK, HEAD, Output
from outlast.runner.words import Words

MIB = 1 << 20
Make = Callable[[int], Output]


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    os.mkdir(tmp_path / "0001")
    return AttemptFolder(str(tmp_path / "0001"))


@pytest.fixture
def output(folder: AttemptFolder) -> Make:
    return lambda bytes_max: Output(folder, bytes_max, Words(folder))


def grow(folder: AttemptFolder, size: int) -> None:
    fd = files.open_append(folder.output)
    files.write_all(fd, b"x" * size)
    os.close(fd)


def on_disk(folder: AttemptFolder) -> int:
    return os.stat(folder.output).st_blocks * 512


def words(folder: AttemptFolder) -> str:
    return Path(folder.runner_log).read_text()


def test_a_log_within_its_bound_is_left_alone(folder: AttemptFolder, output: Make) -> None:
    log = output(4 * MIB)
    grow(folder, 4 * MIB)
    log.bound()
    assert b"\0" not in Path(folder.output).read_bytes()
    assert log.note == ""


def test_beyond_it_head_and_newest_half_stay(folder: AttemptFolder, output: Make) -> None:
    log = output(4 * MIB)
    grow(folder, 5 * MIB)
    log.bound()
    body = Path(folder.output).read_bytes()
    assert len(body) == 5 * MIB
    assert body[:MIB] == b"x" * MIB
    assert body[-MIB:] == b"x" * MIB
    assert on_disk(folder) <= 3 * MIB
    hole = body[MIB + BLOCK : 5 * MIB - 3 * MIB // 2]
    assert hole.strip(b"\0") == b""
    assert b"bytes are left out here" in body[MIB : MIB + BLOCK]


def test_it_stays_bounded_however_long_it_grows(folder: AttemptFolder, output: Make) -> None:
    log = output(2 * MIB)
    for _ in range(40):
        grow(folder, MIB // 2)
        log.bound()
        assert on_disk(folder) <= 2 * MIB + BLOCK
    assert os.stat(folder.output).st_size == 20 * MIB
    assert Path(folder.output).read_bytes().count(b"left out here") == 1


def test_the_first_sixteen_mebibytes_of_a_large_log_stay(folder: AttemptFolder, output: Make) -> None:
    assert output(1 << 30)._head == HEAD


def test_who_takes_over_bounds_it_too(folder: AttemptFolder, output: Make) -> None:
    first = output(2 * MIB)
    grow(folder, 10 * MIB)
    first.bound()
    heir = output(2 * MIB)
    grow(folder, MIB)
    heir.bound()
    assert on_disk(folder) <= 2 * MIB + BLOCK


def test_where_no_hole_can_be_made_it_is_said_once(
    folder: AttemptFolder, output: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "punch_hole", lambda fd, offset, length: False)
    log = output(MIB)
    for _ in range(5):
        grow(folder, MIB)
        log.bound()
    assert words(folder).count("knows no holes") == 1
    assert "knows no holes" in log.note
    assert b"\0" not in Path(folder.output).read_bytes()


def test_an_emptied_log_is_bounded_anew(folder: AttemptFolder, output: Make) -> None:
    log = output(2 * MIB)
    grow(folder, 5 * MIB)
    log.bound()
    os.truncate(folder.output, 0)
    log.bound()
    grow(folder, 5 * MIB)
    log.bound()
    assert on_disk(folder) <= 2 * MIB + BLOCK
