"""Which run a word means, and what is read of it."""

import fcntl
import os
from pathlib import Path

import pytest

from outlast.cli import quick
from outlast.disk import files
from outlast.errors import NotFound, UserError
from tests.unit.cli.conftest import Desk, snapshot_of

BEGAN = {
    "child": {"pid": 77, "host": "h"},
    "runner": {"pid": 76},
    "at": {"wall_s": 0.0},
    "resumed_from": "/c/step-5",
}


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("train-20260101-000000", "train"),
        ("my-big-run-20260101-000000-2", "my-big-run"),
        ("a-20250101-000000-20260101-000000", "a-20250101-000000"),
        ("train", ""),
        ("train-2026-0101", ""),
        ("20260101-000000", ""),
    ],
)
def test_name_of_an_id(run: str, name: str) -> None:
    assert quick.name_of(run) == name


def made(desk: Desk, *runs: str) -> None:
    for run in runs:
        desk.add(run)


def test_an_exact_id_wins_over_all_else(desk: Desk) -> None:
    made(desk, "a-20260101-000000", "a-20260101-000000-2")
    assert quick.resolve(desk.workspace, "a-20260101-000000") == "a-20260101-000000"


def test_a_name_means_its_newest_run(desk: Desk) -> None:
    made(
        desk,
        "a-20260101-000000",
        "a-20260101-000000-2",
        "a-20260101-000000-10",
        "a-20251231-235959",
        "ab-20270101-000000",
    )
    assert quick.resolve(desk.workspace, "a") == "a-20260101-000000-10"


def test_a_prefix_must_be_unique(desk: Desk) -> None:
    made(desk, "train-20260101-000000", "train-20260102-000000")
    assert quick.resolve(desk.workspace, "train-20260102") == "train-20260102-000000"
    with pytest.raises(UserError, match="train-20260101-000000, train-20260102-000000"):
        quick.resolve(desk.workspace, "tra")


def test_many_candidates_are_not_all_listed(desk: Desk) -> None:
    made(desk, *[f"train-20260101-0000{i:02d}" for i in range(20)])
    with pytest.raises(UserError, match="and 12 more"):
        quick.resolve(desk.workspace, "tr")


def test_last_is_what_was_accepted_last(desk: Desk) -> None:
    made(desk, "a-20260101-000000", "b-20250101-000000")
    Path(desk.workspace.last).write_text("b-20250101-000000\n")
    assert quick.resolve(desk.workspace, "@last") == "b-20250101-000000"


@pytest.mark.parametrize("said", [None, "gone-20270101-000000\n", "\xff"])
def test_last_is_the_newest_where_the_file_does_not_help(desk: Desk, said: str | None) -> None:
    made(desk, "a-20260101-000000", "b-20250101-000000")
    if said is not None:
        Path(desk.workspace.last).write_text(said)
    assert quick.resolve(desk.workspace, "@last") == "a-20260101-000000"


def test_what_is_not_there_is_not_found_with_the_nearest(desk: Desk) -> None:
    with pytest.raises(NotFound, match="outlast run"):
        quick.resolve(desk.workspace, "@last")
    made(desk, "train-20260101-000000")
    with pytest.raises(NotFound, match="did you mean train"):
        quick.resolve(desk.workspace, "trian")
    with pytest.raises(NotFound):
        quick.resolve(desk.workspace, "")


def test_an_archived_run_is_named_with_its_pack(desk: Desk) -> None:
    files.make_directory(desk.workspace.archive)
    pack = Path(desk.workspace.archive) / "old-20250101-000000.tar.gz"
    pack.touch()
    with pytest.raises(NotFound, match="archived"):
        quick.resolve(desk.workspace, "old-20250101-000000")


def test_rows_carry_what_the_runner_wrote_since(desk: Desk) -> None:
    run = desk.add("a-20260101-000000", phase="launching", outcome=None, attempts=[{"n": 1}])
    desk.board(run)
    assert quick.rows(desk.workspace)[0]["phase"] == "launching"
    folder = desk.workspace.run(run["id"]).attempt(1)
    desk.write(folder.started, BEGAN)
    desk.write(folder.progress, {"step": 12, "total": 100, "loss": 2.5, "at": {"wall_s": 0.0}})
    row = quick.rows(desk.workspace)[0]
    assert (row["phase"], row["step"], row["total"], row["loss"]) == ("running", 12, 100, 2.5)


def test_rows_take_a_snapshot_that_is_newer_than_the_board(desk: Desk) -> None:
    desk.board(
        desk.add("a-20260101-000000", phase="running", outcome=None, ended_at=None, attempts=[{"n": 1}])
    )
    os.utime(desk.workspace.place("local").board, ns=(1, 1))
    desk.add("a-20260101-000000")
    row = quick.rows(desk.workspace)[0]
    assert (row["phase"], row["outcome"]) == ("ended", "completed")


def test_a_run_that_no_supervisor_has_taken_is_shown(desk: Desk) -> None:
    desk.board(desk.add("a-20260101-000000"))
    record = {"schema": 1, "name": "b", "place": "local", "made": {"wall_s": 0.0}}
    desk.write(desk.workspace.run("b-20260101-000000").record, record)
    files.make_directory(desk.workspace.run("c-20260101-000000").path)  # never accepted
    rows = {row["id"]: row for row in quick.rows(desk.workspace)}
    assert set(rows) == {"a-20260101-000000", "b-20260101-000000"}
    assert rows["b-20260101-000000"]["phase"] == "queued"
    assert rows["b-20260101-000000"]["created_at"] == "1970-01-01T00:00:00Z"


def test_older_runs_that_left_the_board_are_read_only_when_asked_for(desk: Desk) -> None:
    desk.add("old-20250101-000000")
    desk.board(desk.add("a-20260101-000000"), older=1)
    rows = quick.rows(desk.workspace)
    assert [row["id"] for row in rows] == ["a-20260101-000000"]
    assert [row["id"] for row in quick.older_rows(desk.workspace, {"a-20260101-000000"})] == [
        "old-20250101-000000"
    ]


def test_rows_of_another_host_say_when_they_were_seen_and_are_not_brought_up_to_date(desk: Desk) -> None:
    run = desk.add("a-20260101-000000", phase="running", outcome=None, place="other", attempts=[{"n": 1}])
    desk.write(desk.workspace.run(run["id"]).attempt(1).progress, {"step": 12})
    desk.board(run, place="other", supervisor={"host": "other"}, at={"wall_s": 0.0})
    row = quick.rows(desk.workspace)[0]
    assert (row["seen_at"], row["host"], row["step"]) == ("1970-01-01T00:00:00Z", "other", None)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_board_hides_nothing_but_itself(desk: Desk, body: bytes) -> None:
    desk.board(desk.add("a-20260101-000000", place="other"), place="other")
    Path(desk.workspace.place("local").board).write_bytes(body)
    assert [row["id"] for row in quick.rows(desk.workspace)] == ["a-20260101-000000"]


def test_a_snapshot_is_told_who_runs_it(desk: Desk) -> None:
    attempts = [{"n": 1, "pid": None, "runner_pid": None, "started_at": "x", "resumed_from": None}]
    run = desk.add("a-20260101-000000", phase="launching", outcome=None, attempts=attempts)
    folder = desk.workspace.run(run["id"]).attempt(1)
    desk.write(folder.started, BEGAN)
    desk.write(folder.progress, {"step": 3, "at": {"wall_s": 5.0}, "source": "sdk"})
    snapshot = quick.snapshot_of(desk.workspace, run["id"])
    attempt = snapshot["attempts"][0]
    assert (attempt["pid"], attempt["runner_pid"], attempt["host"]) == (77, 76, "h")
    assert (attempt["started_at"], attempt["resumed_from"]) == ("1970-01-01T00:00:00Z", "/c/step-5")
    assert snapshot["phase"] == "running"
    assert (snapshot["progress"]["step"], snapshot["progress"]["updated_at"]) == (3, "1970-01-01T00:00:05Z")


def test_what_was_read_of_a_living_training_is_shown_with_how_sure_it_is_and_what_it_counts(
    desk: Desk,
) -> None:
    run = desk.add("a-20260101-000000", phase="running", outcome=None, attempts=[{"n": 1, "pid": 1}])
    read = {"step": 3, "source": "keras", "confidence": "identified", "unit": "batch", "val_loss": 0.5}
    desk.write(desk.workspace.run(run["id"]).attempt(1).progress, {**read, "total_epochs": 4, "epoch": 2.0})
    shown = quick.snapshot_of(desk.workspace, run["id"])["progress"]
    assert {name: shown.get(name) for name in read} == read
    assert (shown["epoch"], shown["total_epochs"]) == (2.0, 4)


def test_an_ended_run_is_not_overlaid(desk: Desk) -> None:
    run = desk.add("a-20260101-000000", progress={"step": 100}, attempts=[{"n": 1, "pid": 1}])
    desk.write(desk.workspace.run(run["id"]).attempt(1).progress, {"step": 99})
    assert quick.snapshot_of(desk.workspace, run["id"])["progress"] == {"step": 100}


def test_show_prints_no_stamps_of_the_file() -> None:
    snapshot = snapshot_of("a-20260101-000000")
    assert quick.shown({"schema": 1, "term": 2, "record": 3, **snapshot}) == snapshot


def test_is_held_sees_a_lock_and_only_a_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert quick.is_held(path) is False
    fd = files.open_lock(path)
    assert quick.is_held(path) is False
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert quick.is_held(path) is True
    os.close(fd)
    assert quick.is_held(path) is False


def test_a_folder_without_run_json_was_never_accepted(desk: Desk) -> None:
    files.make_directory(desk.workspace.run("a-20260101-000000").path)
    with pytest.raises(NotFound, match="never accepted"):
        quick.snapshot_of(desk.workspace, "a-20260101-000000")
    with pytest.raises(NotFound, match="never accepted"):
        quick.place_of(desk.workspace, "a-20260101-000000")
