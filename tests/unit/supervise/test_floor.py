"""The copy of the ground floor: whole, the same as ours, made anew when it is not, and enough for a runner."""

import compileall
import os
import subprocess
import sys
from pathlib import Path

import pytest

import outlast
from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.supervise import floor
from outlast.supervise.floor import ground_floor
from tests.unit.disk.faults import Child, small_disk

ROOMS = ("disk", "runner", "sdk")


def modules(package: Path) -> dict[str, bytes]:
    found = [package / name for name in ("__init__.py", "errors.py")]
    found += [path for room in ROOMS for path in (package / room).rglob("*.py")]
    return {str(path.relative_to(package)): path.read_bytes() for path in found}


OURS = modules(Path(outlast.__file__).parent)


def copy_of(workspace: Workspace) -> Path:
    return Path(ground_floor(workspace)) / "outlast"


def test_it_is_a_whole_copy_of_the_ground_floor_and_of_nothing_else(workspace: Workspace) -> None:
    package = copy_of(workspace)
    assert modules(package) == OURS
    every = {path.name for path in package.iterdir()} - {"__pycache__"}
    assert every == {"__init__.py", "errors.py", *ROOMS}
    assert package.parent.parent == Path(workspace.bin)
    assert package.parent.name.startswith(f"{outlast.__version__}-")


def test_a_runner_and_a_training_find_all_they_need_in_it(workspace: Workspace) -> None:
    code = (
        f"import sys; sys.path.insert(0, {ground_floor(workspace)!r}); import outlast.runner.life, outlast.sdk; "
        "print(outlast.runner.life.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(workspace.bin)


def test_a_copy_that_is_whole_is_used_as_it_is(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = copy_of(workspace).stat()

    def refuse(staging: str, quiet: int) -> None:
        raise AssertionError("it is made anew")

    monkeypatch.setattr(compileall, "compile_dir", refuse)
    assert copy_of(workspace).stat() == before


@pytest.mark.parametrize("damage", ["changed", "missing", "more"])
def test_a_copy_that_is_not_as_it_should_be_is_made_anew(workspace: Workspace, damage: str) -> None:
    package = copy_of(workspace)
    victim = package / "disk/files.py"
    match damage:
        case "changed":
            victim.write_bytes(victim.read_bytes().replace(b"O_EXCL", b"O_SYNC"))
        case "missing":
            victim.unlink()
        case _:
            (package / "runner/zz_more.py").write_text("import antigravity\n")
    assert modules(copy_of(workspace)) == OURS
    assert list((Path(workspace.bin) / "trash").iterdir()) == []


def test_several_that_make_it_at_once_all_find_a_whole_one(workspace: Workspace) -> None:
    children = [
        Child(lambda: (ground_floor(workspace), modules(copy_of(workspace)) == OURS)) for _ in range(4)
    ]
    for child in children:
        child.go()
    answers = {child.answer() for child in children}
    assert answers == {(ground_floor(workspace), True)}
    assert [path.name for path in Path(workspace.bin).glob("*.tmp")] == []


def test_what_another_made_in_the_meantime_is_left_as_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def another_is_faster(staging: str, quiet: int) -> None:
        monkeypatch.undo()
        made.append(copy_of(workspace))
        made[0].with_name("mark").touch()

    monkeypatch.setattr(compileall, "compile_dir", another_is_faster)
    assert copy_of(workspace) == made[0]
    assert made[0].with_name("mark").exists()
    assert modules(made[0]) == OURS


def test_killed_while_it_is_made_there_is_no_half_of_it_under_its_name(workspace: Workspace) -> None:
    def make_and_die() -> None:
        files.publish_directory = lambda staging, path: os.kill(os.getpid(), 9)
        ground_floor(workspace)

    child = Child(make_and_die)
    child.go()
    assert child.killed()
    assert [
        path.name for path in Path(workspace.bin).iterdir() if not path.name.endswith((".tmp", "trash"))
    ] == []
    assert modules(copy_of(workspace)) == OURS


def test_a_new_version_leaves_the_copy_that_runners_of_the_old_one_stand_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = copy_of(workspace)
    monkeypatch.setattr(outlast, "__version__", "9.9.9")
    new = copy_of(workspace)
    assert new != old
    assert modules(old) == modules(new) == OURS


def test_a_package_that_an_installer_made_of_links_is_copied_by_what_they_point_to(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = tmp_path / "linked"
    for name in OURS:
        (linked / name).parent.mkdir(parents=True, exist_ok=True)
        (linked / name).symlink_to(Path(floor.SOURCE) / name)
    monkeypatch.setattr(floor, "SOURCE", str(linked))
    package = copy_of(workspace)
    assert modules(package) == OURS
    assert not any(path.is_symlink() for path in package.rglob("*"))


def test_a_full_disk_is_said_and_leaves_no_half_of_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        with pytest.raises(WorldError, match="No space left"):
            ground_floor(Workspace(str(disk)))
        assert [path for path in (disk / ".outlast/bin").iterdir() if path.name != "trash"] == []
