import os
import subprocess
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.disk.layout import Place
from outlast.runner import ring
from tests.runner_driver import wait_for


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "local").mkdir()
    return Place(str(tmp_path / "local"))


def test_a_place_that_nobody_holds_needs_somebody(place: Place) -> None:
    assert ring.is_missing(place)
    Path(place.lock).touch()
    assert ring.is_missing(place)
    files.replace(place.supervisor, {"wanted": True})
    assert ring.is_missing(place)


def test_a_place_that_is_held_does_not(place: Place) -> None:
    holder = subprocess.Popen(["flock", "--no-fork", place.lock, "sleep", "60"])
    try:
        wait_for(lambda: files.is_locked(place.lock), "the holder")
        assert not ring.is_missing(place)
    finally:
        holder.kill()
        holder.wait()


def test_nor_one_whose_supervisor_was_told_to_leave(place: Place) -> None:
    files.replace(place.supervisor, {"wanted": False})
    assert not ring.is_missing(place)


def test_what_cannot_be_read_starts_nobody(place: Place) -> None:
    Path(place.supervisor).write_text("{torn")
    assert not ring.is_missing(place)


def test_without_a_command_nobody_is_started(place: Place) -> None:
    assert not ring.ensure(place, [])
    assert not os.path.exists(place.log)


def test_one_that_never_comes_to_hold_its_place_is_tried_less_and_less() -> None:
    waits = [ring.EVERY_S]
    for _ in range(8):
        waits.append(ring.next_wait_s(waits[-1], started=True))
    assert waits == [15, 30, 60, 120, 240, 480, 600, 600, 600]
    assert ring.next_wait_s(600.0, started=False) == 15
