"""Whom a waiting person starts a supervisor for, and whom not."""

import fcntl
import os
from typing import Any

import pytest

from outlast.cli import keep
from outlast.disk import files
from outlast.errors import WorldError
from tests.unit.cli.conftest import Desk

RUN = "big-20260101-000000"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    monkeypatch.setattr(keep, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(
        "outlast.supervise.start.ensure",
        lambda workspace, place, up=False: asked.append(f"{place} up" if up else place),
    )
    return asked


def keeper(desk: Desk, place: str = "local", **said: Any) -> keep.Keeper:
    desk.add(RUN, place=place)
    desk.write(desk.workspace.place(place).supervisor, {"host": os.uname().nodename, **said})
    return keep.Keeper(desk.workspace, RUN, desk.workspace.place(place))


@pytest.mark.parametrize("phase", ["queued", "launching", "running", "waiting"])
def test_one_that_died_is_started_again(desk: Desk, started: list[str], phase: str) -> None:
    keeper(desk, wanted=True).look(phase)
    assert started == ["local"]


@pytest.mark.parametrize("phase", ["ended", "paused"])
def test_nobody_is_needed_where_nothing_is_to_be_served(desk: Desk, started: list[str], phase: str) -> None:
    keeper(desk, wanted=True).look(phase)
    assert started == []


def test_one_that_was_told_to_leave_is_not_started(
    desk: Desk, started: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    keeping = keeper(desk, wanted=False)
    keeping.look("queued")
    keeping.look("queued")
    assert started == []
    assert keeping.told_to_leave
    assert capsys.readouterr().err.count("outlast up --detach") == 1


def test_a_run_that_begins_is_newer_than_an_earlier_word_to_leave_until_it_was_taken(
    desk: Desk, started: list[str]
) -> None:
    snapshot = desk.add(RUN)
    os.remove(desk.workspace.run(RUN).snapshot)
    desk.write(desk.workspace.place("local").supervisor, {"host": os.uname().nodename, "wanted": False})
    keeping = keep.Keeper(desk.workspace, RUN, desk.workspace.place("local"), begins=True)
    keeping.look("queued")
    assert (started, keeping.told_to_leave) == (["local up"], False)
    desk.write(desk.workspace.run(RUN).snapshot, snapshot)
    keeping.look("queued")
    assert (started, keeping.told_to_leave) == (["local up"], True)


def test_one_that_lives_is_left_alone(desk: Desk, started: list[str]) -> None:
    keeping = keeper(desk, wanted=False)
    fd = files.open_lock(desk.workspace.place("local").lock)
    fcntl.flock(fd, fcntl.LOCK_EX)
    keeping.look("running")
    assert started == []
    assert not keeping.told_to_leave
    os.close(fd)


@pytest.mark.parametrize("place", [f"inline-{RUN}", "some-other-host"])
def test_no_supervisor_is_started_for_anothers_place(desk: Desk, started: list[str], place: str) -> None:
    keeper(desk, place, wanted=True).look("running")
    assert started == []


def test_the_hosts_own_place_on_a_shared_file_system_is_ours(desk: Desk, started: list[str]) -> None:
    keeper(desk, os.uname().nodename, wanted=True).look("running")
    assert started == [os.uname().nodename]


def test_looks_are_bounded_in_time(desk: Desk, started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "LOOK_EVERY_S", 3600.0)
    keeping = keeper(desk, wanted=True)
    for _ in range(5):
        keeping.look("running")
    assert started == []


def test_one_that_cannot_be_started_is_said_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ensure(*_: object, **__: object) -> None:
        raise WorldError("no more processes")

    monkeypatch.setattr(keep, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("outlast.supervise.start.ensure", ensure)
    keeping = keeper(desk, wanted=True)
    keeping.look("running")
    keeping.look("running")
    assert capsys.readouterr().err.count("no more processes") == 1
