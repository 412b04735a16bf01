"""Checkpoints that appear: the runner, which has only names, sees the same steps as who chooses what
to resume from."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.checkpoints.formats.folder import FolderFormat
from outlast.runner.checkpoint_steps import EVERY_S, CheckpointSteps, step_of
from tests.unit.checkpoints.formats.test_folder import NO_STEPS, NOT_YET, STEPS

AS_FRAMEWORKS_WRITE_THEM = {
    "checkpoint-3.pth.tar": 3,
    "training_checkpoint_1000.pt": 1000,
    "model_step-9_checkpoint-3": 3,
    "epoch=0-step=100-v1.ckpt": 100,
    "global_step_5": 5,
    "ckpt-07.keras": 7,
    "step-40.weights.h5": 40,
    "model_iter-20.ubj": 20,
    "Step-5-BA6": 6,
    "checkpoint-500-best": 500,
    "step-123456789012345": 123456789012345,
}
NO_CHECKPOINTS = [
    *NO_STEPS,
    *NOT_YET,
    "step==3",
    "step--3",
    "steps-5",
    "checkpoint.100",
    "netG_epoch_1.pth",
    "step-1234567890123456",
    "3",
    "ba",
]
NAMES = [*STEPS, *AS_FRAMEWORKS_WRITE_THEM, *NO_CHECKPOINTS]
FILES = [
    "step_1.pt",
    "step_2.log",
    "step_3",
    "step_4.json",
    "step_5.safetensors",
    "step_6.tar",
    "step_7.keras",
]


WITHIN_S = 30.0


class Looks:
    """Whole looks at a folder, each until its child has said what it saw."""

    def __init__(self, root: Path) -> None:
        self.steps, self._now_s = CheckpointSteps(str(root)), 0.0
        assert self.new() == []

    def new(self) -> list[int]:
        self._now_s += EVERY_S
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            found, _ = self.steps.look(self._now_s)
            if self.steps._child is None:
                return found
            time.sleep(0.001)
        raise AssertionError("the look does not end")


@pytest.fixture
def looks(tmp_path: Path) -> Iterator[Looks]:
    made = Looks(tmp_path)
    yield made
    made.steps.close()


def chosen_from(root: Path) -> list[int]:
    return sorted(found.step or 0 for found in FolderFormat().find(root, 1000))


def test_a_name_means_the_same_step_to_the_runner_and_to_who_chooses_what_to_resume_from(
    tmp_path: Path, looks: Looks
) -> None:
    wanted = {**STEPS, **AS_FRAMEWORKS_WRITE_THEM}
    for name in NAMES:
        if name:
            (tmp_path / name / "full").mkdir(parents=True)
            assert (name, chosen_from(tmp_path)) == (name, [wanted[name]] if name in wanted else [])
            assert (name, step_of(name)) == (name, wanted.get(name))
            shutil.rmtree(tmp_path / name)
    for name in wanted:
        (tmp_path / name / "full").mkdir(parents=True)
    assert looks.new() == chosen_from(tmp_path) == sorted(wanted.values())


def test_a_file_that_is_no_checkpoint_to_one_of_them_is_none_to_the_other(
    tmp_path: Path, looks: Looks
) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "step_8.pt")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "step-9").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "step-10").symlink_to(tmp_path / "nowhere")
    assert looks.new() == chosen_from(tmp_path) == [1, 5, 6, 7, 9]


def test_what_was_there_before_is_no_progress_and_each_new_one_is_one_once(tmp_path: Path) -> None:
    (tmp_path / "step-1").mkdir()
    looks = Looks(tmp_path)
    (tmp_path / "step-3").mkdir()
    (tmp_path / "step-2").mkdir()
    assert (looks.new(), looks.new()) == ([2, 3], [])


def test_what_is_renamed_when_it_is_whole_is_one_then(tmp_path: Path, looks: Looks) -> None:
    (tmp_path / "step-5.tmp").mkdir()
    assert looks.new() == []
    (tmp_path / "step-5.tmp").rename(tmp_path / "step-5")
    assert looks.new() == [5]
