"""`outlast ls`: which runs, in which order, in which columns."""

import fcntl
import os

import pytest

from outlast.cli import listing, words
from outlast.disk import files
from outlast.errors import OK, USAGE
from tests.unit.cli.conftest import Desk

NOW = "2099-01-01T00:00:00Z"  # ended in no past: always recent
RUNNING = {"phase": "running", "outcome": None, "ended_at": None, "why": "attempt 1"}
WAITING = {"phase": "waiting", "waiting_for": "slot", "outcome": None, "ended_at": None}


@pytest.fixture
def full(desk: Desk) -> Desk:
    desk.board(
        desk.add("old-20260101-000000", outcome="failed", tags=["x"]),
        desk.add("done-20260102-000000", created_at="2026-01-02T00:00:00Z", ended_at=NOW, tags=["x", "y"]),
        desk.add(
            "live-20260103-000000",
            created_at="2026-01-03T00:00:00Z",
            progress={"step": 5, "total": 9},
            **RUNNING,
        ),
        desk.add("slot-20260104-000000", created_at="2026-01-04T00:00:00Z", **WAITING),
    )
    return desk


def names(full: Desk, *options: str) -> list[str]:
    code, out, err = full.run("ls", *options)
    assert code == OK, err
    return [line.split("-")[0] for line in out.splitlines()[1:]]


def test_what_ended_over_a_day_ago_is_hidden_and_said(full: Desk) -> None:
    assert names(full) == ["done", "live", "slot"]
    assert "1 more ended over a day ago: outlast ls --all" in full.run("ls")[2]
    assert names(full, "--all") == ["old", "done", "live", "slot"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--phase", "running"], ["live"]),
        (["--phase", "running,waiting"], ["live", "slot"]),
        (["--phase", "running", "--phase", "waiting"], ["live", "slot"]),
        (["--outcome", "failed"], ["old"]),
        (["--tag", "x"], ["old", "done"]),
        (["--tag", "x", "--tag", "y"], ["done"]),
        (["--since", "2026-01-02T12:00:00Z"], ["live", "slot"]),
        (["--since", "36500d"], ["old", "done", "live", "slot"]),
        (["--since", "1h"], []),
        (["--phase", "ended", "--outcome", "completed"], ["done"]),
    ],
)
def test_filters_look_at_all_runs(full: Desk, options: list[str], expected: list[str]) -> None:
    code, out, _ = full.run("ls", *options)
    assert code == OK
    assert [line.split("-")[0] for line in out.splitlines()[1:]] == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("created", ["old", "done", "live", "slot"]),
        ("-created", ["slot", "live", "done", "old"]),
        ("id", ["done", "live", "old", "slot"]),
        ("step", ["done", "old", "slot", "live"]),
        ("phase", ["done", "old", "live", "slot"]),
        ("tags", ["live", "slot", "old", "done"]),
    ],
)
def test_sorting(full: Desk, sort: str, expected: list[str]) -> None:
    assert names(full, "--all", f"--sort={sort}") == expected


def test_columns_are_those_asked_for(full: Desk) -> None:
    _, out, _ = full.run("ls", "--columns", "name,step,tags", "--all")
    assert out.splitlines()[0].split() == ["NAME", "STEP", "TAGS"]
    assert out.splitlines()[2].split() == ["done", "-", "x,y"]
    assert out.splitlines()[3].split() == ["live", "5/9", "-"]


@pytest.mark.parametrize("column", list(listing.COLUMNS))
def test_every_column_can_be_shown_and_sorted_by(full: Desk, column: str) -> None:
    assert full.run("ls", "--all", "--columns", column, "--sort", column)[0] == OK


@pytest.mark.parametrize(
    "options",
    [
        ["--columns", "id,stepp"],
        ["--phase", "runing"],
        ["--outcome", "fail"],
        ["--sort", "agee"],
        ["--since", "soon"],
    ],
)
def test_unknown_words_are_told(full: Desk, options: list[str]) -> None:
    code, out, err = full.run("ls", *options)
    assert (code, out) == (USAGE, "")
    assert options[0] in err
    assert options[1].split(",")[-1] in err


def test_json_has_the_same_rows_as_the_table(full: Desk) -> None:
    assert [row["name"] for row in full.json("ls")] == ["done", "live", "slot"]
    assert [row["name"] for row in full.json("ls", "--phase", "waiting")] == ["slot"]
    assert full.json("ls")[1]["step"] == 5


def test_no_runs_say_what_to_do(desk: Desk) -> None:
    code, out, err = desk.run("ls")
    assert (code, out) == (OK, "")
    assert "outlast run" in err
    assert desk.json("ls") == []


def test_no_match_is_said(full: Desk) -> None:
    assert "no run matches" in full.run("ls", "--tag", "zzz")[2]


def test_an_unsupervised_place_is_said_and_a_supervised_one_is_not(full: Desk) -> None:
    assert "nobody supervises place local" in full.run("ls")[2]
    fd = files.open_lock(full.workspace.place("local").lock)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert "nobody supervises" not in full.run("ls")[2]
    os.close(fd)


def test_another_hosts_run_is_last_seen(desk: Desk) -> None:
    run = desk.add("far-20260101-000000", place="h2", **RUNNING)
    desk.board(run, place="h2", supervisor={"host": "h2"}, at={"wall_s": 0.0})
    _, out, err = desk.run("ls")
    assert "last seen" in out
    assert "on h2" in out
    assert "nobody supervises" not in err


def test_cells_line_up_and_a_newline_breaks_nothing(desk: Desk) -> None:
    desk.board(
        desk.add("a-20260101-000000", why="first\nsecond", ended_at=NOW),
        desk.add("much-longer-20260101-000000", why="x", ended_at=NOW),
    )
    lines = desk.run("ls")[1].splitlines()
    assert len(lines) == 3
    assert {line.index("completed") for line in lines[1:]} == {lines[0].index("PHASE")}
    assert "first second" in lines[1]


def test_a_terminal_cuts_the_last_column(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setattr(listing, "_terminal_width", lambda: 40)
    desk.board(desk.add("a-20260101-000000", why="w" * 100, ended_at=NOW))
    lines = desk.run("ls")[1].splitlines()
    assert [len(line) <= 40 for line in lines] == [True, True]
    assert lines[1].endswith("…")


def test_a_run_that_ended_just_now_is_recent(desk: Desk) -> None:
    import time

    just = words.stamp(time.time() - 3600)
    long_ago = words.stamp(time.time() - 90_000)
    desk.board(desk.add("a-20260101-000000", ended_at=just), desk.add("b-20260101-000000", ended_at=long_ago))
    assert [row["name"] for row in desk.json("ls")] == ["a"]
