"""Whether a training died because its disk was full, by its last words and by its file system."""

import os
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.runner import room

PLENTY = os.statvfs_result([4096, 4096, 9**9, 9**9, 9**9, 9**9, 9**9, 9**9, 0, 255])


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(str(tmp_path / "run"))


def look(
    run: RunFolder, root: Path, says: str, monkeypatch: pytest.MonkeyPatch, **disk: int
) -> dict[str, Any] | None:
    """`disk`: f_bavail in blocks of 4096, f_favail."""
    kept = {name: getattr(PLENTY, name) for name in ("f_bavail", "f_favail")} | disk
    found = os.statvfs_result(
        [4096, 4096, 9**9, 9**9, kept["f_bavail"], 9**9, 9**9, kept["f_favail"], 0, 255]
    )
    monkeypatch.setattr(os, "statvfs", lambda _: found)
    body = says.encode()
    return room.look(str(root), run, lambda at, count: body[at : at + count], len(body))


def remember(run: RunFolder, *sizes: int) -> None:
    files.make_directory(run.checkpoints)
    files.replace(
        run.verified, {"checkpoints": [{"step": -n, "bytes": size} for n, size in enumerate(sizes)]}
    )


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("OSError: [Errno 28] No space left on device: 'ckpt/step-10.pt'", "full"),
        ("safetensors_rust.SafetensorError: I/O error: No space left on device (os error 28)", "full"),
        ("RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534", "unwritten"),
        ("OSError: [Errno 122] Disk quota exceeded", "quota"),
        ("ValueError: nothing about disks", ""),
    ],
)
def test_the_last_words_are_read_as_the_libraries_say_them(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, kind: str
) -> None:
    found = look(run, tmp_path, says, monkeypatch, f_bavail=1)
    assert found is not None
    assert (found["said"], found["free"], found["root"]) == (kind, 4096, str(tmp_path))


def test_words_alone_that_may_mean_anything_speak_for_nothing_where_there_is_room(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(run, tmp_path, "inline_container.cc:672] . unexpected pos 576 vs 534", monkeypatch) is None
    assert look(run, tmp_path, "ValueError", monkeypatch) is None
    assert look(run, tmp_path, "No space left on device", monkeypatch) is not None, "perhaps on another disk"


def test_a_checkpoint_needs_a_fifth_more_than_the_last_ones_took(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(run, 10_000_000, 50_000_000)
    found = look(run, tmp_path, "", monkeypatch, f_bavail=10_000)  # 41 MB
    assert found is not None
    assert found["needs"] == 60_000_000
    assert look(run, tmp_path, "", monkeypatch, f_bavail=20_000) is None


def test_a_step_of_several_files_needs_room_for_all_of_them(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.make_directory(run.checkpoints)
    files.replace(run.verified, {"checkpoints": [{"step": 5, "bytes": 10_000_000} for _ in range(4)]})
    found = look(run, tmp_path, "", monkeypatch, f_bavail=1)
    assert found is not None
    assert found["needs"] == 48_000_000


def test_a_disk_without_inodes_is_full(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(run, tmp_path, "", monkeypatch, f_favail=0)
    assert found is not None
    assert found["inodes"] == 0


def test_a_folder_that_is_not_there_yet_lies_on_the_disk_of_its_parent(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look(run, tmp_path / "a" / "b", "", monkeypatch, f_bavail=0)
    assert found is not None
    assert found["free"] == 0


def test_only_the_end_of_the_output_is_read(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = "No space left on device" + "." * room.TAIL_BYTES
    assert look(run, tmp_path, says, monkeypatch) is None


def test_a_damaged_list_of_checkpoints_tells_no_size(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.make_directory(run.checkpoints)
    Path(run.verified).write_text('{"checkpoints": [3]}')
    found = look(run, tmp_path, "", monkeypatch, f_bavail=1)
    assert found is not None
    assert found["needs"] == room.LEAST_BYTES
