"""Second copies: whole or not there, and as cheap as the file system lets them be."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import copies
from outlast.errors import WorldError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "step-5"
    (made / "shards").mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"m" * 100)
    (made / "shards" / "0.distcp").write_bytes(b"s" * 50)
    return made


@pytest.fixture(autouse=True)
def cannot_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this file system can."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr("fcntl.ioctl", refuse)


def all_bytes(path: Path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_a_folder_is_linked_file_by_file_and_outlives_its_first_name(folder: Path, tmp_path: Path) -> None:
    before = all_bytes(folder)
    target = tmp_path / "pins" / "5" / "step-5"
    assert copies.duplicate(str(folder), str(target), may_link=True, copy_max=0) == copies.LINKED
    assert (target / "model.safetensors").samefile(folder / "model.safetensors")
    assert copies.discard(str(folder)) == ""
    assert all_bytes(target) == before


def test_p6_a_copy_is_none_of_what_is_overwritten_in_place(tmp_path: Path) -> None:
    first = tmp_path / "ckpt.pt"
    first.write_bytes(b"step 100")
    target = tmp_path / "pins" / "ckpt.pt"
    assert copies.duplicate(str(first), str(target), may_link=False, copy_max=1 << 20) == copies.COPIED
    first.write_bytes(b"step 200")
    assert target.read_bytes() == b"step 100"


def test_a_copy_has_the_times_of_its_original(tmp_path: Path) -> None:
    first = tmp_path / "ckpt.pt"
    first.write_bytes(b"x")
    os.utime(first, ns=(1, 1_000_000_007))
    copies.duplicate(str(first), str(tmp_path / "copy"), may_link=False, copy_max=10)
    assert (tmp_path / "copy").stat().st_mtime_ns == 1_000_000_007


def test_no_more_is_copied_than_may_be_and_nothing_is_left_of_it(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(copies.NoRoom, match="copy_max"):
        copies.duplicate(str(folder), str(tmp_path / "pins" / "5"), may_link=False, copy_max=149)
    assert list((tmp_path / "pins").iterdir()) == []


def test_three_times_its_size_must_be_free(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = os.statvfs(tmp_path)
    short = os.statvfs_result([1, 1, *true[2:4], 299, *true[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _: short)
    with pytest.raises(copies.NoRoom, match="3 times"):
        copies.duplicate(str(folder), str(tmp_path / "pins" / "5"), may_link=False, copy_max=1 << 20)


def test_a_file_system_without_hard_links_gets_copies(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "pins" / "5"
    assert copies.duplicate(str(folder), str(target), may_link=True, copy_max=1 << 20) == copies.COPIED
    assert all_bytes(target) == all_bytes(folder)


def test_a_full_disk_in_the_middle_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(WorldError, match="No space left"):
        copies.duplicate(str(folder), str(tmp_path / "pins" / "5"), may_link=False, copy_max=1 << 20)
    assert list((tmp_path / "pins").iterdir()) == []


def test_what_a_link_points_to_is_copied(folder: Path, tmp_path: Path) -> None:
    (folder / "last.pt").symlink_to(folder / "model.safetensors")
    target = tmp_path / "pins" / "5"
    copies.duplicate(str(folder), str(target), may_link=True, copy_max=0)
    assert (target / "last.pt").read_bytes() == b"m" * 100
    assert not (target / "last.pt").is_symlink()


def test_a_link_to_a_folder_is_no_part_that_may_be_left_out(folder: Path, tmp_path: Path) -> None:
    (folder / "loop").symlink_to(folder)
    with pytest.raises(WorldError, match="a link to a folder, whose files are not copied"):
        copies.duplicate(str(folder), str(tmp_path / "pins" / "5"), may_link=True, copy_max=0)
    assert list((tmp_path / "pins").iterdir()) == []


def test_half_made_it_lies_where_nobody_looks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", killed)
    monkeypatch.setattr(copies, "discard", killed)
    with pytest.raises(KeyboardInterrupt):
        copies.duplicate(
            str(folder), str(tmp_path / "back"), may_link=True, copy_max=0, made_in=str(tmp_path / "trash")
        )
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]
    assert len(list((tmp_path / "trash").iterdir())) == 1


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(WorldError, match="nothing is overwritten"):
        copies.duplicate(str(folder), str(tmp_path / "there"), may_link=True, copy_max=0)


def test_what_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")

    def refuse(path: str) -> None:
        raise OSError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "unlink", refuse)
    assert "Permission denied" in copies.discard(str(tmp_path / "file"))


def test_what_is_gone_already_is_deleted(tmp_path: Path) -> None:
    assert copies.discard(str(tmp_path / "never-there")) == ""
