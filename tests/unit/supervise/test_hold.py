"""A place has one holder; its lock dies with it, is inherited by nobody, and whoever comes second is told who."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

import outlast
from outlast.disk import files, identity
from outlast.disk.layout import Place, Workspace
from outlast.errors import TryAgain, WorldError
from outlast.supervise.hold import Hold
from tests.unit.disk.faults import Child, fill, open_descriptors, small_disk


@pytest.fixture
def place(workspace: Workspace) -> Place:
    return workspace.place("local")


def hold(place: Place) -> Hold:
    return Hold(place, ("supervise", "here"), None)


def test_who_comes_second_is_told_who_holds_the_place_and_changes_nothing(place: Place) -> None:
    with hold(place):
        before = Path(place.supervisor).read_bytes()
        descriptors = open_descriptors()
        with pytest.raises(
            TryAgain, match=rf"local is held by .* pid {os.getpid()} on {os.uname().nodename}"
        ) as told:
            hold(place).__enter__()
        assert told.value.exit_code == 75
        assert Path(place.supervisor).read_bytes() == before
        assert open_descriptors() == descriptors
    with hold(place):
        pass


def test_of_four_that_start_at_once_again_and_again_never_two_are_inside(
    place: Place, tmp_path: Path
) -> None:
    inside = tmp_path / "inside"

    def come_and_go() -> int:
        entered = 0
        for _ in range(40):
            try:
                with hold(place):
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    entered += 1
                    inside.unlink()
            except TryAgain:
                continue
        return entered

    children = [Child(come_and_go) for _ in range(4)]
    for child in children:
        child.go()
    assert sum(child.answer() for child in children) >= 40


def test_a_holder_that_is_killed_holds_nothing_though_its_helpers_live_on(
    place: Place, tmp_path: Path
) -> None:
    note = tmp_path / "helper"

    def hold_and_die() -> None:
        hold(place).__enter__()
        helper = subprocess.Popen(["sleep", "60"], close_fds=False, start_new_session=True)
        note.write_text(str(helper.pid))
        os.kill(os.getpid(), signal.SIGKILL)

    child = Child(hold_and_die)
    child.go()
    assert child.killed()
    helper = identity.identity(int(note.read_text()))
    with hold(place):
        assert identity.alive(helper)
    identity.send(helper, signal.SIGKILL)


def test_a_lock_file_that_is_deleted_under_its_holder_is_noticed(place: Place) -> None:
    with hold(place) as first:
        assert first.still_ours()
        Path(place.lock).unlink()
        assert not first.still_ours()
        with hold(place) as second:  # nothing keeps it out; the first leaves when it sees that
            assert second.still_ours()
            assert not first.still_ours()


def test_a_lock_file_that_cannot_be_looked_at_is_not_taken_for_deleted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, **more: object) -> None:
        raise OSError(5, "Input/output error")

    with hold(place) as holder, monkeypatch.context() as disk:
        disk.setattr(os, "stat", fail)
        with pytest.raises(WorldError, match="Input/output error"):
            holder.still_ours()


def test_the_holder_says_who_it_is_and_whether_it_is_wanted(place: Place) -> None:
    with Hold(place, ("supervise", "here"), "demo-20260102-030405") as holder:
        said = files.read(place.supervisor)
        assert said is not None
        assert (said["pid"], said["host"], said["boot_id"]) == (
            os.getpid(),
            identity.host(),
            identity.boot_id(),
        )
        assert (said["version"], said["command"]) == (outlast.__version__, ["supervise", "here"])
        assert (said["wanted"], said["inline"]) == (True, "demo-20260102-030405")
        assert identity.alive(said["identity"])
        holder.say(wanted=False, error="told to leave")
        said = files.read(place.supervisor)
        assert said is not None
        assert (said["wanted"], said["error"]) == (False, "told to leave")


def test_a_full_disk_keeps_nobody_from_holding_a_place(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        place = Place(str(disk / "places/local"))
        with hold(place):
            pass
        fill(disk)
        with hold(place) as holder:
            holder.say(wanted=True, error="held: disk")
            assert files.is_locked(place.lock)


@pytest.mark.parametrize("body", [b"", b"garbage", b"[]", b"{}", b'{"pid":1}'])
def test_a_holder_that_has_not_said_its_name_or_nonsense_is_a_holder(place: Place, body: bytes) -> None:
    with hold(place):
        Path(place.supervisor).write_bytes(body)
        with pytest.raises(TryAgain, match="held by a supervisor"):
            hold(place).__enter__()


def test_the_name_of_a_dead_predecessor_is_not_told_as_the_holder_s(place: Place) -> None:
    with hold(place):
        said = files.read(place.supervisor)
        assert said is not None
        said["identity"]["start_ticks"] -= 1
        files.replace(place.supervisor, said)
        with pytest.raises(TryAgain, match="has not said its name yet"):
            hold(place).__enter__()
