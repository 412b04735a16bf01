"""Letting go of checkpoints, killed anywhere: nothing goes without a record, and no half of one is ever seen."""

import json
import os
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from outlast.checkpoints import guard, users
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import Manifest, Retention
from outlast.work import keep
from outlast.work.keep import Retaining, empty_trash
from tests.unit.checkpoints.test_manifest import made_of
from tests.unit.disk import faults

RULES = Retention(last=1, least=1)


def save(root: Path, *steps: int) -> list[Manifest]:
    found = []
    for step in steps:
        made = root / f"step-{step}"
        made.mkdir(parents=True)
        for name in ("model.safetensors", "optimizer.pt"):
            (made / name).write_bytes(bytes([step]) * 100)
        found.append(replace(made_of(made), step=step))
    (root / guard.OWN).mkdir(exist_ok=True)
    return found


def names(root: Path) -> list[str]:
    return sorted(each.name for each in root.glob("step-*"))


def whole(path: Path) -> bool:
    return sorted(os.listdir(path)) == ["model.safetensors", "optimizer.pt"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_before_any_of_its_system_calls_each_checkpoint_is_whole_or_out_of_sight(
    tmp_path: Path,
) -> None:
    root, good = tmp_path / "out", list[Manifest]()

    def afresh() -> None:
        shutil.rmtree(root, ignore_errors=True)
        good[:] = save(root, 1, 2, 3)

    only = ("rename", "unlink", "unlinkat", "rmdir", "write", "fdatasync", "fsync", "mkdir")
    count = 0
    for death in faults.deaths(lambda: Retaining(root, RULES, None).keep(good), afresh, only):
        count += 1
        left = names(root)
        assert "step-3" in left, death
        assert all(whole(root / name) for name in left), death
        recorded = root / guard.OWN / keep.REMOVED
        lines = recorded.read_text().splitlines() if recorded.exists() else []
        trash = root / guard.OWN / "trash"
        trashed = (
            {each.name.partition(".")[0] for each in trash.iterdir() if whole(each)}
            if trash.exists()
            else set()
        )
        gone = {"step-1", "step-2"} - set(left) - trashed
        assert gone <= {Path(json.loads(line)["path"]).name for line in lines if line}, death
        Retaining(root, RULES, None).keep([each for each in good if os.path.exists(each.path)])
        assert names(root) == ["step-3"], death
        assert os.listdir(root / guard.OWN / "trash") == [], death
    assert count > 10


def test_where_the_record_cannot_be_written_nothing_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = save(tmp_path, 1, 2)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("outlast.disk.files.append_durably", full)
    with pytest.raises(WorldError, match="nothing is deleted"):
        Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-2"]
    assert all(whole(tmp_path / name) for name in names(tmp_path))


def test_one_that_somebody_has_open_stays(tmp_path: Path) -> None:
    good = save(tmp_path, 1, 2)
    with (tmp_path / "step-1" / "optimizer.pt").open("rb"):
        kept = Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-2"]
    assert "has it open" in kept.fates[-1].reasons[0]


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    good = save(tmp_path, 1, 2)
    kept = Retaining(tmp_path, RULES, None).keep(good, dry=True)
    assert [each.step for each in kept.fates if not each.keeps] == [1]
    assert names(tmp_path) == ["step-1", "step-2"]
    assert os.listdir(tmp_path / guard.OWN) == []


def test_what_a_deletion_left_behind_is_emptied_by_the_next(tmp_path: Path) -> None:
    save(tmp_path, 1)
    left = tmp_path / guard.OWN / "trash" / "step-0.abcd"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_text("half")
    assert empty_trash(tmp_path) == []
    assert list((tmp_path / guard.OWN / "trash").iterdir()) == []


def test_one_that_is_accepted_by_a_person_stays(tmp_path: Path) -> None:
    good = save(tmp_path, 1, 2)
    guard.accept(tmp_path / "step-1")
    Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-2"]


def part(root: Path, name: str, step: int) -> Manifest:
    (root / name).write_bytes(name.encode())
    return replace(made_of(root / name), step=step)


def test_a_step_is_kept_or_goes_with_all_that_was_saved_of_it(tmp_path: Path) -> None:
    (tmp_path / guard.OWN).mkdir()
    good = [part(tmp_path, f"step-{step}-rank{rank}.pt", step) for step in (100, 200) for rank in range(4)]
    Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == [f"step-200-rank{rank}.pt" for rank in range(4)]


def test_a_step_with_one_part_that_is_not_verified_stays_whole_and_does_not_count(tmp_path: Path) -> None:
    (tmp_path / guard.OWN).mkdir()
    good = [part(tmp_path, f"step-{step}-rank0.pt", step) for step in (100, 200, 300)]
    Retaining(tmp_path, RULES, None).keep(good, [(str(tmp_path / "step-300-rank1.pt"), 300)])
    assert names(tmp_path) == ["step-200-rank0.pt", "step-300-rank0.pt"]


def test_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    good = save(tmp_path, 1, 2, 3)
    (tmp_path / "best").symlink_to(tmp_path / "step-1")
    kept = Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-3"]
    assert kept.fates[-1].reasons == ("best points to it",)


def test_what_holds_no_weights_takes_the_place_of_no_checkpoint(tmp_path: Path) -> None:
    good = save(tmp_path, 1, 2)
    evaluations = [replace(each, finite=None) for each in save(tmp_path, 8, 9)]
    Retaining(tmp_path, RULES, None).keep([*good, *evaluations])
    assert names(tmp_path) == ["step-2", "step-8", "step-9"]


def test_one_that_cannot_be_moved_is_said_and_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = save(tmp_path, 1, 2, 3)
    rename = os.rename

    def refuse(source: str, target: str) -> None:
        if source.endswith("step-1"):
            raise OSError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    kept = Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-3"]
    assert "Permission denied" in kept.notes[0]
    assert "step-1" not in (tmp_path / guard.OWN / keep.REMOVED).read_text()


def test_one_that_another_run_goes_on_from_stays(tmp_path: Path) -> None:
    good = save(tmp_path, 1, 2)
    attempt = RunFolder(str(tmp_path / "other")).attempt(1)
    os.makedirs(attempt.path)
    users.note(tmp_path, attempt, str(tmp_path / "step-1"))
    Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-2"]


def test_a_run_that_cannot_be_seen_may_go_on_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = save(tmp_path, 1, 2)
    attempt = RunFolder(str(tmp_path / "other")).attempt(1)
    users.note(tmp_path, attempt, str(tmp_path / "step-1"))
    lstat = os.lstat

    def refuse(path: str, **more: int) -> os.stat_result:
        if str(path) == attempt.path:
            raise OSError(13, "Permission denied")
        return lstat(path, **more)

    monkeypatch.setattr(os, "lstat", refuse)
    Retaining(tmp_path, RULES, None).keep(good)
    assert names(tmp_path) == ["step-1", "step-2"]
