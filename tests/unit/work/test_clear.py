"""What clears: packs are whole or not there, one that fails keeps no other, and only one clears a place."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import clearing, files
from outlast.disk.layout import Workspace
from outlast.errors import OK, TRY_AGAIN, WorldError
from outlast.supervise import start
from outlast.work import clear as room
from outlast.work.clear import clear, empty_trash, main, pack
from tests.unit.disk.faults import as_nobody, deaths, resize, small_disk, with_error

RUN, TWIN = "demo-20260102-030405", "twin-20260102-030405"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(str(tmp_path))
    files.make_directory(made.place("local").path)
    return made


def fill(workspace: Workspace, run: str = RUN) -> Path:
    folder = Path(workspace.run(run).path)
    (folder / "attempts/0001").mkdir(parents=True)
    (folder / "run.json").write_text("{}\n")
    (folder / "attempts/0001/output.log").write_text("step 1\n" * 50)
    return folder


def said(workspace: Workspace) -> clearing.Cleared:
    return clearing.read(workspace.place("local"))


def names(workspace: Workspace, run: str = RUN) -> list[str]:
    with tarfile.open(workspace.pack(run)) as made:
        return sorted(made.getnames())


def throw_away(workspace: Workspace, name: str) -> Path:
    folder = Path(workspace.trash, name)
    (folder / "attempts").mkdir(parents=True)
    (folder / "run.json").write_text("{}\n")
    return folder


# --- packing ---------------------------------------------------------------------------------------------------------


def test_a_pack_holds_all_and_says_for_whom_it_was_made(workspace: Workspace) -> None:
    folder = fill(workspace)
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("run.json")
    (folder / "folder link").symlink_to("attempts")
    clear(workspace, workspace.place("local"), "me", [(RUN, 7)])
    inside = [
        "",
        "/attempts",
        "/attempts/0001",
        "/attempts/0001/output.log",
        "/empty",
        "/folder link",
        "/link",
    ]
    assert names(workspace) == [*(RUN + name for name in inside), f"{RUN}/run.json"]
    assert (said(workspace).by, said(workspace).packed, said(workspace).emptied) == ("me", {RUN: 7}, True)
    assert stat.S_IMODE(os.stat(workspace.pack(RUN)).st_mode) == 0o600
    assert folder.exists()


def test_killed_at_any_change_it_leaves_no_half_pack_under_the_name_and_none_beside_the_next(
    workspace: Workspace,
) -> None:
    folder = fill(workspace)

    def afresh() -> None:
        shutil.rmtree(workspace.archive, ignore_errors=True)

    for death in deaths(lambda: pack(workspace, RUN), afresh, ("write", "rename", "fsync", "mkdir")):
        if os.path.exists(workspace.pack(RUN)):
            assert len(names(workspace)) == 5, death
        pack(workspace, RUN)
        assert len(names(workspace)) == 5, death
        assert os.listdir(workspace.archive) == [f"{RUN}.tar.gz"], death
    assert folder.exists()


def test_what_another_run_left_half_is_left_to_its_own(workspace: Workspace) -> None:
    fill(workspace)
    files.make_directory(workspace.archive)
    other = Path(workspace.archive, f".{RUN}-2.tar.gz.17.0a1b2c3d.tmp")
    other.touch()
    pack(workspace, RUN)
    assert other.exists()


def test_a_run_that_cannot_be_read_whole_is_not_packed_and_keeps_no_other(common_ground: Path) -> None:
    workspace = Workspace(str(common_ground))
    folder = fill(workspace)
    fill(workspace, TWIN)
    files.make_directory(workspace.place("local").path)
    for path in common_ground.rglob("*"):
        path.chmod(0o777)
    (folder / "attempts").chmod(0)
    as_nobody(lambda: clear(workspace, workspace.place("local"), "me", [(RUN, 7), (TWIN, 8)]))
    (folder / "attempts").chmod(0o700)
    found = said(workspace)
    assert found.packed == {TWIN: 8}
    assert found.failed == {RUN: f"cannot pack {folder}/attempts: Permission denied"}
    assert not os.path.exists(workspace.pack(RUN))
    assert os.path.exists(workspace.pack(TWIN))


def test_a_disk_error_is_said_with_the_file_that_has_it(workspace: Workspace) -> None:
    folder = fill(workspace)
    with pytest.raises(WorldError, match=rf"cannot pack {folder}/run.json: Input/output error"):
        with_error(lambda: pack(workspace, RUN), "read", "EIO", when="1+")
    assert not os.path.exists(workspace.pack(RUN))


@pytest.mark.parametrize("ordinal", ["1", "3"])  # of the archive, of the run
def test_a_folder_that_cannot_be_listed_is_no_whole_pack(workspace: Workspace, ordinal: str) -> None:
    fill(workspace)
    with pytest.raises(WorldError, match="Input/output error"):
        with_error(lambda: pack(workspace, RUN), "getdents64", "EIO", when=ordinal)
    assert not os.path.exists(workspace.pack(RUN))


def test_a_full_disk_is_no_pack_and_leaves_no_half(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "512k") as disk:
        workspace = Workspace(str(disk))
        files.make_directory(workspace.place("local").path)
        (fill(workspace) / "model.pt").write_bytes(os.urandom(300 << 10))
        clear(workspace, workspace.place("local"), "me", [(RUN, 7)])
        assert "No space left on device" in said(workspace).failed[RUN]
        assert workspace.pack(RUN) in said(workspace).failed[RUN]
        assert os.listdir(workspace.archive) == []
        resize(disk, "4m")
        clear(workspace, workspace.place("local"), "me", [(RUN, 7)])
        assert (said(workspace).packed, said(workspace).failed) == ({RUN: 7}, {})


def test_a_record_that_is_being_replaced_is_packed_without_its_half(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(workspace)
    real = os.walk

    def late(path: str, **more: Any) -> Iterable[Any]:
        half = folder / ".snapshot.json.7.0a1b2c3d.tmp"
        half.touch()
        listed = list(real(path, **more))
        half.rename(folder / "snapshot.json")
        return listed

    monkeypatch.setattr(os, "walk", late)
    pack(workspace, RUN)
    assert f"{RUN}/run.json" in names(workspace)


def test_any_other_file_that_is_gone_when_its_turn_comes_is_no_whole_pack(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(workspace)
    real = os.walk

    def late(path: str, **more: Any) -> Iterable[Any]:
        listed = list(real(path, **more))
        (folder / "run.json").unlink()
        return listed

    monkeypatch.setattr(os, "walk", late)
    with pytest.raises(WorldError, match=r"run.json: No such file"):
        pack(workspace, RUN)
    assert not os.path.exists(workspace.pack(RUN))


def test_what_is_beyond_us_in_one_run_keeps_no_other(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace), fill(workspace, TWIN)
    real = room.pack

    def mad(workspace: Workspace, run: str) -> None:
        if run == RUN:
            raise ZeroDivisionError("beyond us")
        real(workspace, run)

    monkeypatch.setattr(room, "pack", mad)
    clear(workspace, workspace.place("local"), "me", [(RUN, 7), (TWIN, 8)])
    assert said(workspace).failed == {RUN: "internal error: beyond us"}
    assert said(workspace).packed == {TWIN: 8}


def test_what_was_packed_and_still_stands_is_remembered_by_the_next(workspace: Workspace) -> None:
    """The ring may not have looked yet."""
    fill(workspace), fill(workspace, TWIN)
    place = workspace.place("local")
    clearing.Cleared("before", packed={RUN: 7, "gone-20260102-030405": 6}, failed={TWIN: "x"}).write(place)
    clear(workspace, place, "me", [(TWIN, 8)])
    assert said(workspace).packed == {RUN: 7, TWIN: 8}
    assert said(workspace).failed == {}


# --- the trash -------------------------------------------------------------------------------------------------------


def test_the_trash_is_emptied_and_what_a_link_points_to_is_not_deleted(
    workspace: Workspace, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "model.pt").write_text("weights")
    (throw_away(workspace, f"{RUN}.0a1b2c3d") / "shared").symlink_to(precious)
    throw_away(workspace, f"{TWIN}.0a1b2c3d")
    assert empty_trash(workspace) == {}
    assert os.listdir(workspace.trash) == []
    assert (precious / "model.pt").read_text() == "weights"


def test_no_trash_is_empty(workspace: Workspace) -> None:
    assert empty_trash(workspace) == {}


def test_what_cannot_be_deleted_is_said_and_all_else_is(common_ground: Path) -> None:
    workspace = Workspace(str(common_ground))
    stuck, other = throw_away(workspace, f"{RUN}.0a1b2c3d"), throw_away(workspace, f"{TWIN}.0a1b2c3d")
    for path in common_ground.rglob("*"):
        path.chmod(0o777)
    (stuck / "attempts/output.log").touch()
    (stuck / "attempts").chmod(0o555)  # nobody may take a name out of it
    left = as_nobody(lambda: empty_trash(workspace))
    assert left == {stuck.name: f"cannot delete {stuck}/attempts/output.log: Permission denied"}
    assert not other.exists()
    assert not (stuck / "run.json").exists()
    (stuck / "attempts").chmod(0o700)
    assert empty_trash(workspace) == {}


def test_a_trash_that_cannot_be_listed_is_not_empty(common_ground: Path) -> None:
    workspace = Workspace(str(common_ground))
    throw_away(workspace, f"{RUN}.0a1b2c3d")
    Path(workspace.hidden).chmod(0o777)
    Path(workspace.trash).chmod(0)
    (why,) = as_nobody(lambda: empty_trash(workspace)).values()
    Path(workspace.trash).chmod(0o700)
    assert "Permission denied" in why


def test_killed_over_the_trash_it_is_emptied_by_the_next(workspace: Workspace) -> None:
    def afresh() -> None:
        if not os.path.exists(os.path.join(workspace.trash, f"{RUN}.0a1b2c3d")):
            throw_away(workspace, f"{RUN}.0a1b2c3d")

    for death in deaths(lambda: empty_trash(workspace), afresh, ("unlink", "unlinkat", "rmdir")):
        assert os.listdir(workspace.trash), death
        assert empty_trash(workspace) == {}, death
        assert os.listdir(workspace.trash) == [], death


# --- the program -----------------------------------------------------------------------------------------------------


def test_only_one_clears_a_place(workspace: Workspace) -> None:
    fill(workspace)
    lock = files.open_lock(workspace.place("local").clearing)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert main(workspace.root, "local", "me", [f"{RUN}=7"]) == TRY_AGAIN
    assert not os.path.exists(workspace.pack(RUN))
    os.close(lock)


def test_it_is_started_by_name_and_lets_trainings_go_first(workspace: Workspace) -> None:
    fill(workspace)
    throw_away(workspace, f"{TWIN}.0a1b2c3d")
    command = start.background("clear", workspace.root, "local", "me", f"{RUN}=7")
    words = [
        sys.executable,
        "-I",
        "-c",
        f"import os; real = os.nice; os.nice = print; {command[3]}",
        *command[4:],
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (OK, "19\n", "")
    assert said(workspace).packed == {RUN: 7}
    assert os.listdir(workspace.trash) == []
