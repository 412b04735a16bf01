"""`outlast status`: who supervises, and why nothing runs."""

import fcntl
import os
from collections.abc import Iterator

import pytest

from outlast.disk import files
from outlast.errors import NOT_FOUND, OK
from tests.unit.cli.conftest import Desk

HERE = os.uname().nodename
LIVE = {"outcome": None, "ended_at": None}


@pytest.fixture
def held(desk: Desk) -> Iterator[Desk]:
    place = desk.workspace.place("local")
    desk.write(
        place.supervisor,
        {"schema": 1, "pid": 12, "host": HERE, "start_time": 5.0, "version": "9", "error": ""},
    )
    fd = files.open_lock(place.lock)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield desk
    os.close(fd)


def run(desk: Desk, name: str, phase: str, **more: object) -> dict[str, object]:
    return desk.add(f"{name}-20260101-000000", phase=phase, **LIVE, **more)


def test_a_supervisor_is_described(held: Desk) -> None:
    held.board(run(held, "a", "running"), run(held, "b", "waiting", waiting_for="slot"))
    found = held.json("status")
    assert found["supervisors"] == [
        {
            "place": "local",
            "pid": 12,
            "host": HERE,
            "alive": True,
            "since": "1970-01-01T00:00:05Z",
            "version": "9",
            "error": None,
        }
    ]
    assert found["runs"] == {"running": 1, "waiting": 1}
    assert found["waiting_for"] == {"slot": 1}
    assert (found["health"], found["holds"]) == ("ok", [])


@pytest.mark.parametrize(
    ("phase", "more", "why"),
    [
        ("running", {}, "1 running"),
        ("paused", {}, "outlast resume"),
        ("waiting", {"waiting_for": "backoff"}, "waiting for backoff (1)"),
        ("waiting", {"waiting_for": "code-changed"}, "outlast retry RUN"),
        ("queued", {}, "about to start"),
    ],
)
def test_why_says_what_goes_on(held: Desk, phase: str, more: dict[str, str], why: str) -> None:
    held.board(run(held, "a", phase, **more))
    assert why in held.json("status")["why"]


def test_a_run_that_waits_for_a_persons_word_needs_no_supervisor(desk: Desk) -> None:
    desk.board(run(desk, "a", "waiting", waiting_for="code-changed"))
    assert desk.json("status")["health"] == "ok"
    assert "nobody supervises" not in desk.run("ls")[2]


def test_runs_that_nobody_serves_are_not_healthy_and_the_cure_is_named(desk: Desk) -> None:
    desk.board(run(desk, "a", "queued"))
    code, out, _ = desk.run("status")
    assert code == NOT_FOUND
    assert "outlast up" in out
    code, out, _ = desk.run("status", "--json")
    assert code == NOT_FOUND
    assert '"health": "unsupervised"' in out


@pytest.mark.parametrize("phase", ["ended", "paused"])
def test_nobody_is_needed_where_nothing_is_to_be_served(desk: Desk, phase: str) -> None:
    desk.board(run(desk, "a", phase))
    code, out, _ = desk.run("status")
    assert code == OK
    assert "none is needed" in out


def test_without_runs_it_says_how_to_start_one(desk: Desk) -> None:
    assert "outlast run" in desk.json("status")["why"]


def test_holds_of_a_place_and_errors_of_a_supervisor_are_shown(held: Desk) -> None:
    held.board(run(held, "a", "waiting", waiting_for="disk"), holds=["disk"])
    place = held.workspace.place("local")
    held.write(place.supervisor, {"pid": 12, "host": HERE, "error": "byte 7: does not match"})
    found = held.json("status")
    assert found["holds"] == ["disk", "byte 7: does not match"]
    assert found["health"] == "held"
    assert "byte 7" in found["why"]
    assert "byte 7" in held.run("status")[1]


def test_a_supervisor_on_another_host_is_alive_while_it_writes(desk: Desk) -> None:
    desk.board(run(desk, "a", "running", place="h2"), place="h2", supervisor={"host": "h2"}, at={"wall_s": 0})
    place = desk.workspace.place("h2")
    desk.write(place.supervisor, {"pid": 5, "host": "h2"})
    assert desk.json("status")["supervisors"][0]["alive"] is True
    os.utime(place.board, (1, 1))
    code, out, _ = desk.run("status", "--json")
    assert (code, '"alive": false' in out) == (NOT_FOUND, True)
    os.unlink(place.board)
    assert desk.json("status")["supervisors"][0]["alive"] is None
