"""Names of plain checkpoints: a step is known when it is seen, and what is not one is not taken for one."""

import os
from pathlib import Path

import pytest

from outlast.checkpoints.formats.folder import FolderFormat
from outlast.checkpoints.parts.names import step_of
from outlast.facts import Candidate

STEPS = {
    "step-000125": 125,
    "checkpoint-500": 500,
    "global_step1000": 1000,
    "globalstep7": 7,
    "step_7.pt": 7,
    "epoch=3-step=1200.ckpt": 1200,
    "iter-42.safetensors": 42,
    "iteration_9": 9,
    "ep0-ba500-rank0.pt": 500,
    "ba12": 12,
    "ckpt_step_3_lr_0.1": 3,
    "CHECKPOINT-8": 8,
    "model_checkpoint-3_step-9.pt": 9,
    "step0": 0,
}
NO_STEPS = [
    "final",
    "best.pt",
    "last.ckpt",
    "mamba-130m",
    "samba2",
    "llama-7b",
    "epoch-3",
    "step",
    "step-",
    "stepwise-3",
    "model_500",
    "step-20260102030405678901",
    "",
]
NOT_YET = [
    ".step-5",
    "step-5.tmp",
    "step-5.incomplete",
    "step-5.partial",
    "step-5-tmp",
    "tmp-checkpoint-5",
    "_tmp_step-5",
    "step-5.part",
]


@pytest.mark.parametrize(("name", "step"), STEPS.items())
def test_a_step_is_the_last_that_the_name_tells(name: str, step: int) -> None:
    assert step_of(name) == step


@pytest.mark.parametrize("name", NO_STEPS)
def test_a_number_that_is_no_step_is_not_taken_for_one(name: str) -> None:
    assert step_of(name) is None


@pytest.mark.parametrize("name", NOT_YET)
def test_what_is_still_being_written_is_no_candidate(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "step-4").mkdir()
    assert [found.step for found in FolderFormat().find(tmp_path, 10)] == [4]


def test_a_single_file_is_a_checkpoint_by_its_ending_only(tmp_path: Path) -> None:
    for name in ("step_1.pt", "step_2.log", "step_3", "step_4.json", "step_5.safetensors", "step_6.tar"):
        (tmp_path / name).write_bytes(b"x")
    assert [found.step for found in FolderFormat().find(tmp_path, 10)] == [6, 5, 1]


def test_a_pipe_with_the_name_of_a_checkpoint_is_none_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "step_1.pt")
    assert FolderFormat().find(tmp_path, 10) == []


def test_a_candidate_says_its_size_and_when_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "step_1.pt"
    path.write_bytes(b"x" * 77)
    os.utime(path, ns=(5, 1_000_000_007))
    told = Candidate(str(path), "folder", 1, bytes=77, parts=1, newest_mtime_ns=1_000_000_007, preference=1)
    assert FolderFormat().find(tmp_path, 10) == [told]


def test_a_checkpoint_behind_a_link_is_found_under_the_name_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "checkpoints"
    root.mkdir()
    (root / "step-3").symlink_to(tmp_path / "elsewhere")
    assert [found.path for found in FolderFormat().find(root, 10)] == [str(root / "step-3")]


def test_of_two_of_one_step_the_one_written_last_is_first(tmp_path: Path) -> None:
    both = ["step-3", "checkpoint-3"]
    for name in both:
        (tmp_path / name).mkdir()
    for last, first in (both, both[::-1]):
        os.utime(tmp_path / last, ns=(1, 1))
        os.utime(tmp_path / first, ns=(2, 2))
        assert [Path(found.path).name for found in FolderFormat().find(tmp_path, 10)] == [first, last]
