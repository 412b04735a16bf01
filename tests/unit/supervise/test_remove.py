"""An ended run goes away whole: packed or deleted, at no moment neither there nor packed, and nobody else with it."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import Removed, RunId
from outlast.supervise.remove import archive_of, remove_run
from tests.unit.disk.faults import as_nobody, deaths, system_calls
from tests.unit.supervise.conftest import NOW, RUN

FILES = {
    "run.json": "{}\n",
    "attempts/0001/output.log": "step 1\n" * 50,
    "checkpoints/step-1/model.pt": "weights",
}
TWIN = RunId("demo-20260102-030405-2")
CHANGES = ("link", "rename", "fsync", "unlink", "unlinkat", "rmdir", "mkdir", "write")


def fill(workspace: Workspace, run: RunId = RUN) -> Path:
    folder = Path(workspace.run(run).path)
    for name, body in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def packed(workspace: Workspace, run: RunId = RUN) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(archive_of(workspace, run)) as pack:
        for member in pack.getmembers():
            file = pack.extractfile(member)
            if file is not None:
                found[member.name.removeprefix(f"{run}/")] = file.read().decode()
    return found


def rm(workspace: Workspace) -> Removed:
    return remove_run(workspace, RUN, ("rm", 7), NOW)


def archive(workspace: Workspace) -> Removed:
    return remove_run(workspace, RUN, ("archive", 8), NOW)


def trash(workspace: Workspace) -> list[str]:
    return sorted(os.listdir(workspace.trash))


def test_a_run_that_is_deleted_is_gone_and_its_neighbour_is_not(workspace: Workspace) -> None:
    folder, neighbour = fill(workspace), fill(workspace, TWIN)
    told = rm(workspace)
    assert (told.request, told.how, told.run) == (7, "rm", RUN)
    assert not folder.exists()
    assert content(neighbour) == FILES
    assert trash(workspace) == []


def test_a_run_that_is_archived_is_packed_whole(workspace: Workspace) -> None:
    folder = fill(workspace)
    told = archive(workspace)
    assert (told.request, told.how) == (8, "archive")
    assert archive_of(workspace, RUN) in told.why
    assert not folder.exists()
    assert packed(workspace) == FILES


def test_killed_before_any_change_a_run_is_whole_in_its_place_or_in_the_archive(workspace: Workspace) -> None:
    seen = set()

    def afresh() -> None:
        shutil.rmtree(workspace.hidden, ignore_errors=True)
        fill(workspace)

    for death in deaths(lambda: archive(workspace).how, afresh, CHANGES):
        folder = Path(workspace.run(RUN).path)
        in_place = folder.exists() and content(folder) == FILES
        in_archive = Path(archive_of(workspace, RUN)).exists() and packed(workspace) == FILES
        assert in_place or in_archive, death
        seen.add((in_place, in_archive))
        archive(workspace)
        assert packed(workspace) == FILES, death
        assert trash(workspace) == [], death
    assert {(True, False), (True, True), (False, True)} <= seen


def test_the_pack_and_its_name_are_on_disk_before_the_run_is_touched(workspace: Workspace) -> None:
    fill(workspace)
    for folder in (workspace.archive, workspace.trash):
        files.make_directory(folder)
    calls = system_calls(lambda: archive(workspace).how)
    changes = [call for call in calls if call in ("rename", "fsync", "unlink", "unlinkat", "rmdir")]
    pack = changes.index("rename")
    trashed = changes.index("rename", pack + 1)
    assert changes[pack - 1] == "fsync"  # its content
    assert "fsync" in changes[pack:trashed]  # its name
    assert not {"unlinkat", "rmdir"} & set(changes[:trashed])


def test_a_removal_that_follows_itself_changes_nothing(workspace: Workspace) -> None:
    fill(workspace)
    first, second = archive(workspace), archive(workspace)
    assert first == second
    assert packed(workspace) == FILES
    assert rm(workspace).how == "rm"
    assert packed(workspace) == FILES


def test_what_an_earlier_removal_left_in_the_trash_is_emptied_and_nobody_else_s(workspace: Workspace) -> None:
    for name in (f"{RUN}.0a1b2c3d", f"{TWIN}.0a1b2c3d", "other-20260102-030405.ffffffff"):
        (Path(workspace.trash) / name / "attempts").mkdir(parents=True)
    rm(workspace)
    assert trash(workspace) == [f"{TWIN}.0a1b2c3d", "other-20260102-030405.ffffffff"]


@pytest.mark.parametrize("how", ["rm", "archive"])
def test_a_run_that_cannot_be_seen_is_not_said_to_be_removed(common_ground: Path, how: str) -> None:
    workspace = Workspace(str(common_ground))
    fill(workspace)
    Path(workspace.hidden).chmod(0o777)
    Path(workspace.runs).chmod(0)
    with pytest.raises(WorldError, match="Permission denied"):
        as_nobody(lambda: remove_run(workspace, RUN, (how, 7), NOW))
    Path(workspace.runs).chmod(0o700)
    assert content(Path(workspace.run(RUN).path)) == FILES


def test_a_run_that_cannot_be_packed_whole_is_not_deleted(common_ground: Path) -> None:
    workspace = Workspace(str(common_ground))
    folder = fill(workspace)
    for path in (Path(workspace.hidden), Path(workspace.runs), folder):
        path.chmod(0o777)
    (folder / "checkpoints").chmod(0)
    with pytest.raises(WorldError, match="Permission denied"):
        as_nobody(lambda: archive(workspace))
    (folder / "checkpoints").chmod(0o700)
    assert content(folder) == FILES
    assert not Path(archive_of(workspace, RUN)).exists()


def test_what_a_link_in_a_run_points_to_is_not_deleted(workspace: Workspace, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "model.pt").write_text("weights")
    (fill(workspace) / "checkpoints/shared").symlink_to(precious)
    rm(workspace)
    assert (precious / "model.pt").read_text() == "weights"
