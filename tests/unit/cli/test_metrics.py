"""One curve across attempts: what was lost and done again is there once, as it was done last."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from outlast.errors import NOT_FOUND, OK
from tests.unit.cli.conftest import Desk

RUN = "big-20260101-000000"


@pytest.fixture
def run(desk: Desk) -> Desk:
    desk.add(RUN)
    return desk


def say(desk: Desk, n: int, *rows: dict[str, Any], more: bytes = b"") -> None:
    path = Path(desk.workspace.run(RUN).attempt(n).metrics)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"schema": 1, "every": 1}, *rows]
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + more)


def row(step: int, loss: float, **more: Any) -> dict[str, Any]:
    return {"step": step, "t": 1767225600.0 + step, "loss": loss, **more}


def curve(desk: Desk, *options: str) -> list[tuple[int, Any, int]]:
    return [(each["step"], each.get("loss"), each["attempt"]) for each in desk.json("metrics", RUN, *options)]


def test_steps_that_were_done_again_are_there_once_as_they_were_done_last(run: Desk) -> None:
    say(run, 1, row(1, 4.0), row(2, 3.0), row(3, 2.5), row(4, 99.0))
    say(run, 2, row(3, 2.0))
    say(run, 3, row(4, 1.5), row(5, 1.0))
    assert curve(run) == [(1, 4.0, 1), (2, 3.0, 1), (3, 2.0, 2), (4, 1.5, 3), (5, 1.0, 3)]


def test_what_an_attempt_lost_is_no_part_of_the_curve_even_where_nobody_did_it_again_yet(run: Desk) -> None:
    say(run, 1, *(row(step, 1.0) for step in range(1, 11)))
    say(run, 2, row(6, 0.5))
    assert [step for step, _, _ in curve(run)] == [1, 2, 3, 4, 5, 6]


def test_an_attempt_that_began_anew_replaces_all(run: Desk) -> None:
    say(run, 1, row(1, 4.0), row(2, 3.0))
    say(run, 2, row(1, 5.0))
    assert curve(run) == [(1, 5.0, 2)]


def test_attempts_without_metrics_change_nothing(run: Desk) -> None:
    say(run, 1, row(1, 4.0))
    Path(run.workspace.run(RUN).attempt(2).path).mkdir(parents=True)
    say(run, 3, row(2, 3.0))
    assert curve(run) == [(1, 4.0, 1), (2, 3.0, 3)]


def test_rows_of_one_step_become_one_and_the_last_word_counts(run: Desk) -> None:
    late = {"step": 1, "t": 1.0, "accuracy": 0.5}
    say(run, 1, row(1, 4.0), row(2, 3.0), late, row(3, 2.0), row(2, 2.9))
    assert run.json("metrics", RUN) == [
        {"step": 1, "t": 1.0, "loss": 4.0, "accuracy": 0.5, "attempt": 1},
        {**row(2, 2.9), "attempt": 1},
        {**row(3, 2.0), "attempt": 1},
    ]


def test_one_attempt_may_be_looked_at_alone(run: Desk) -> None:
    say(run, 1, row(1, 4.0), row(2, 3.0))
    say(run, 2, row(2, 2.0))
    assert curve(run, "--attempt", "1") == [(1, 4.0, 1), (2, 3.0, 1)]


def test_a_name_chooses_what_is_shown_and_which_rows(run: Desk) -> None:
    say(run, 1, row(1, 4.0, lr=0.1), row(2, 3.0), row(3, 2.0, lr=0.2))
    found = run.json("metrics", RUN, "--name", "lr")
    assert [(each["step"], each["lr"]) for each in found] == [(1, 0.1), (3, 0.2)]
    assert "loss" not in found[0]


def test_csv_has_a_column_for_each_name_and_gaps_are_empty(run: Desk) -> None:
    say(run, 1, row(1, 4.0), row(2, 3.0, lr=0.1), row(3, 2.0))
    _, out, _ = run.run("metrics", RUN, "--csv")
    header, *lines = csv.reader(out.splitlines())
    assert header == ["step", "t", "attempt", "loss", "lr"]
    assert [(line[0], line[3], line[4]) for line in lines] == [
        ("1", "4.0", ""),
        ("2", "3.0", "0.1"),
        ("3", "2.0", ""),
    ]


def test_text_is_a_table_with_words_for_what_is_no_number(run: Desk) -> None:
    say(run, 1, row(1, 4.0), {"step": 2, "t": 1767225602.0, "loss": "nan"})
    code, out, err = run.run("metrics", "big")
    assert (code, err) == (OK, "")
    assert [line.split() for line in out.splitlines()] == [
        ["STEP", "AT", "ATTEMPT", "loss"],
        ["1", "2026-01-01T00:00:01Z", "1", "4"],
        ["2", "2026-01-01T00:00:02Z", "1", "nan"],
    ]


def test_a_line_that_a_crash_cut_short_is_left_out(run: Desk) -> None:
    say(run, 1, row(1, 4.0), more=b'{"step":2,"lo\n[]\n{"step":"x"}\n{"step":3,"t":1.0,"loss":2.0}\n{"st')
    assert curve(run) == [(1, 4.0, 1), (3, 2.0, 1)]


def test_a_run_without_metrics_says_so_and_is_an_empty_list(run: Desk) -> None:
    code, out, err = run.run("metrics", RUN)
    assert (code, out) == (OK, "")
    assert "has no metrics" in err
    assert run.json("metrics", RUN) == []


def test_an_unknown_run_is_not_found(run: Desk) -> None:
    assert run.run("metrics", "nothing")[0] == NOT_FOUND


def test_a_long_curve_is_streamed_in_order(run: Desk) -> None:
    say(run, 1, *(row(step, 1.0) for step in range(1, 3001)))
    say(run, 2, *(row(step, 0.5) for step in range(2001, 5001)))
    found = curve(run)
    assert [step for step, _, _ in found] == list(range(1, 5001))
    assert (found[1999][2], found[2000][2]) == (1, 2)
