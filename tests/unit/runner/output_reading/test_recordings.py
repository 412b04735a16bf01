"""Outputs of real trainings, recorded byte by byte, against what a person reads in them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from outlast.runner.output_reading import Known, OutputReading

RECORDED = Path(__file__).parents[3] / "corpus" / "output"
NAMES = sorted(path.stem for path in RECORDED.glob("*.out"))
UNDERSTOOD_MIN = 36  # of all recordings: identified, with all that a person reads in them


def body(name: str) -> bytes:
    return (RECORDED / f"{name}.out").read_bytes()


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def read(data: bytes, chunk: int = 1 << 20) -> OutputReading:
    reading = OutputReading()
    for start in range(0, len(data), chunk):
        reading.feed(data[start : start + chunk])
    return reading


def facts(known: Known) -> dict[str, Any]:
    names = (name for name in Known.__slots__ if name not in ("ticks", "bytes_seen", "unseen_bytes"))
    return {name: getattr(known, name) for name in names}


def test_the_corpus_is_there() -> None:
    assert len(NAMES) >= 40
    assert sum(expected(name)["confidence"] == "identified" for name in NAMES) >= UNDERSTOOD_MIN


@pytest.mark.parametrize("name", NAMES)
def test_the_end_of_a_recorded_output_reads_as_a_person_reads_it(name: str) -> None:
    known, wanted = facts(read(body(name)).known()), expected(name)
    asked = ("source", "step", "total", "unit", "epoch", "total_epochs", "loss", "val_loss", "confidence")
    assert {field: known[field] for field in asked} == {field: wanted[field] for field in asked}


@pytest.mark.parametrize("name", NAMES)
def test_no_recorded_output_is_read_otherwise_when_it_comes_in_pieces(name: str) -> None:
    data = body(name)
    whole = read(data)
    records = whole.take_records()
    for chunk in (1, 7, 100, 4096):
        pieces = read(data, chunk)
        assert repr(facts(pieces.known())) == repr(facts(whole.known()))  # NaN is not equal to itself
        assert pieces.known().ticks == whole.known().ticks
        assert repr(pieces.take_records()) == repr(records)


@pytest.mark.parametrize("name", NAMES)
def test_neither_step_nor_ticks_ever_go_back_while_a_recorded_training_runs(name: str) -> None:
    reading, step, ticks, source = OutputReading(), -1, 0, ("", "")
    data = body(name)
    for start in range(0, len(data), 61):
        reading.feed(data[start : start + 61])
        known = reading.known()
        assert known.ticks >= ticks
        if known.confidence == "identified":
            if (known.source, known.unit) == source:
                assert known.step is None or known.step >= step, start
            source = (known.source, known.unit)
            step = -1 if known.step is None else known.step
        ticks = known.ticks


@pytest.mark.parametrize("name", NAMES)
def test_a_successor_that_begins_in_the_middle_of_a_line_does_not_read_half_of_it(name: str) -> None:
    data = body(name)
    for cut in (len(data) // 3, len(data) // 2):
        torn, whole = OutputReading(cut), OutputReading()
        whole.skip(cut)
        for reading in (torn, whole):
            reading.feed(data[cut:])
        assert repr(facts(torn.known())) == repr(facts(whole.known()))


def test_a_loss_that_is_no_number_is_a_value() -> None:
    reading = read(b"step 1 loss 2.5\nstep 2 loss nan\n")
    known = reading.known()
    assert known.loss is not None
    assert math.isnan(known.loss)
    assert (known.step, known.ticks) == (2, 2)
    assert math.isnan(dict(reading.take_records())[2]["loss"])


def test_what_the_trainer_of_hugging_face_says_of_lost_weights_is_kept_as_it_says_it() -> None:
    records = read(body("hf-trainer-nan")).take_records()
    ill = [step for step, values in records if values["loss"] == 0 and math.isnan(values["grad_norm"])]
    assert ill == [10, 15, 20, 25, 30, 35, 40]


def test_each_record_of_the_trainer_of_hugging_face_stands_at_its_step() -> None:
    records = dict(read(body("hf-trainer-eval-save")).take_records())
    assert [step for step, values in records.items() if "loss" in values] == list(range(10, 100, 10))
    assert [step for step, values in records.items() if "eval_loss" in values] == [30, 60, 90]


def test_recorded_timelines_rise_in_time_and_step() -> None:
    """Timings of real trainings, for the hang limits: what the replay reads."""
    files = sorted((RECORDED.parent / "recorded").glob("*.json"))
    assert len(files) >= 30
    for file in files:
        timeline = json.loads(file.read_text())
        times = [beat[0] for beat in timeline["beats"]]
        steps = [beat[1] for beat in timeline["beats"]]
        assert times == sorted(times), file.name
        assert steps == sorted(steps), file.name
        assert times[-1] <= timeline["end_of_data_s"], file.name
        assert all((beat[2] is None) == (timeline["mode"] == "zero-sdk") for beat in timeline["beats"]), (
            file.name
        )
