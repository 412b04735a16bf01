"""What a training said of its steps is a small file of rows, whatever the disk does."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.errors import WorldError
from outlast.runner import metrics
from outlast.runner.metrics import Metrics


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()[1:]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def losses(first: int, last: int) -> list[tuple[int, str, float]]:
    return [(step, "loss", 1 / step) for step in range(first, last + 1)]


def test_a_step_is_a_row_with_all_that_was_said_of_it(path: Path) -> None:
    made = Metrics(str(path))
    made.add([(1, "loss", 0.5), (2, "loss", 1 / 3), (2, "lr", 0.01), (1, "accuracy", 1.0)], 1700000000.12345)
    made.write()
    assert rows(path) == [
        {"step": 1, "t": 1700000000.123, "loss": 0.5, "accuracy": 1.0},
        {"step": 2, "t": 1700000000.123, "loss": 0.333333333, "lr": 0.01},
    ]
    assert json.loads(path.read_bytes().splitlines()[0]) == {"schema": 1, "every": 1}


def test_what_is_no_finite_number_is_a_word_and_the_file_stays_json(path: Path) -> None:
    made = Metrics(str(path))
    made.add([(1, "loss", float("nan")), (2, "loss", float("inf")), (3, "loss", float("-inf"))], 0.0)
    made.write()
    assert [row["loss"] for row in rows(path)] == ["nan", "inf", "-inf"]


def test_records_of_the_output_are_rows_too(path: Path) -> None:
    made = Metrics(str(path))
    made.add_records([(10, {"loss": 2.0, "epoch": 0.1}), (20, {"loss": 1.0})], 5.0)
    made.write()
    assert rows(path) == [
        {"step": 10, "t": 5.0, "loss": 2.0, "epoch": 0.1},
        {"step": 20, "t": 5.0, "loss": 1.0},
    ]


def test_a_value_named_step_or_t_does_not_replace_ours(path: Path) -> None:
    made = Metrics(str(path))
    made.add([(1, "step", 99.0), (1, "t", 99.0), (1, "loss", 0.5)], 7.0)
    made.write()
    assert rows(path) == [{"step": 1, "t": 7.0, "loss": 0.5}]


def test_rows_are_written_in_blocks_not_one_by_one(path: Path) -> None:
    made = Metrics(str(path))
    made.add(losses(1, 3), 0.0)
    made.tick(100.0)
    made.tick(100.0 + metrics.BLOCK_S - 0.1)
    assert not path.exists()
    made.tick(100.0 + metrics.BLOCK_S)
    assert len(rows(path)) == 3
    made.add(losses(4, 4 + metrics.BLOCK_ROWS), 0.0)
    assert len(rows(path)) == 3 + metrics.BLOCK_ROWS


def test_the_next_runner_goes_on_behind_a_line_that_was_cut_short(path: Path) -> None:
    first = Metrics(str(path))
    first.add(losses(1, 2), 0.0)
    first.write()
    with path.open("ab") as file:
        file.write(b'{"step":3,"t":0.0,"lo')
    second = Metrics(str(path))
    second.add(losses(4, 4), 0.0)
    second.write()
    lines = path.read_bytes().splitlines()
    assert lines[3] == b'{"step":3,"t":0.0,"lo'
    assert json.loads(lines[4])["step"] == 4


def test_the_file_is_bounded_and_keeps_the_whole_curve_and_every_other_value(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "BYTES_MAX", 40_000)
    made = Metrics(str(path))
    for step in range(1, 20_001):
        made.add([(step, "loss", 1 / step)], 1700000000.0)
        if step % 500 == 0:
            made.add([(step, "eval_loss", 2.0)], 1700000000.0)
    made.write()
    found = rows(path)
    assert path.stat().st_size <= 40_000 + 64
    assert [row["step"] for row in found if "eval_loss" in row] == list(range(500, 20_001, 500))
    steps = [int(str(row["step"])) for row in found]
    assert steps == sorted(steps)
    assert steps[0] < 200
    assert max(after - before for before, after in pairwise(steps)) <= 2 * 64
    assert json.loads(path.read_bytes().splitlines()[0])["every"] > 1
    again = Metrics(str(path))
    again.add(losses(20_001, 20_128), 0.0)
    again.write()
    assert len(rows(path)) - len(found) < 64, "the next runner is as thrifty"


def test_a_file_of_nothing_but_values_is_bounded_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "BYTES_MAX", 20_000)
    made = Metrics(str(path))
    for step in range(5000):
        made.add([(step, "reward", 1.0), (step, "length", 2.0)], 0.0)
    made.write()
    assert path.stat().st_size <= 20_000 + metrics.BLOCK_ROWS * 64
    steps = [int(str(row["step"])) for row in rows(path)]
    assert steps == sorted(steps)
    assert steps[-1] == 4999 or steps[-1] == 4998


@pytest.mark.parametrize("writes", [lambda fd, body: 10, None])
def test_what_a_full_disk_does_not_take_is_dropped_and_the_note_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch, writes: object
) -> None:
    made = Metrics(str(path))
    made.add(losses(1, 2), 0.0)

    def full(fd: int, body: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", writes or full)
        made.write()
        made.add(losses(3, 4), 0.0)
        made.write()
    assert made.note.startswith("some metrics could not be written: ")
    made.add(losses(5, 5), 0.0)
    made.write()
    last = path.read_bytes().splitlines()[-1]
    assert json.loads(last)["step"] == 5
    assert "could not be written" in made.note


def test_a_folder_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    made = Metrics(str(tmp_path / "gone" / "metrics.jsonl"))
    made.add(losses(1, 2), 0.0)
    made.write()
    assert "could not be written" in made.note


def test_a_thinning_that_fails_leaves_the_file_and_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "BYTES_MAX", 2000)
    made = Metrics(str(path))

    def full(*_: object, **__: object) -> None:
        raise WorldError("cannot write: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace_with", full)
        for step in range(1, 200):
            made.add(losses(step, step), 0.0)
            made.write()
    assert len(rows(path)) == 199
    made.add(losses(200, 200), 0.0)
    made.write()
    assert path.stat().st_size <= 9000
    assert len(rows(path)) > 10


def test_values_that_were_missed_are_counted_in_the_note(path: Path) -> None:
    made = Metrics(str(path))
    assert made.note == ""
    made.add([], 0.0, missed=3)
    made.add([], 0.0, missed=4)
    assert made.note == "7 values came too fast to be kept"
