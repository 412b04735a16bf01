"""The contract of a checkpoint format: it finds what is there, newest step first, and never guesses kindly or unkindly.

A new format adds one row to `GROUNDS`: how a training that saves so makes a checkpoint, and how one is torn.
"""

import errno
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from outlast.checkpoints.formats.accelerate import AccelerateFormat
from outlast.checkpoints.formats.dcp import DcpFormat
from outlast.checkpoints.formats.deepspeed import DeepSpeedFormat
from outlast.checkpoints.formats.folder import FolderFormat
from outlast.checkpoints.formats.hf_trainer import HuggingFaceFormat
from outlast.checkpoints.formats.lightning import LightningFormat
from outlast.checkpoints.formats.orbax import OrbaxFormat
from outlast.checkpoints.formats.torch_file import TorchFileFormat
from outlast.errors import WorldError
from outlast.facts import Candidate, Torn, Unsure, Whole
from outlast.seams import CheckpointFormat
from tests.contract import saved
from tests.unit.disk.faults import as_nobody

LEVEL, WITHIN_S = 2, 10.0


class Canary:
    """Loading it runs a command. Nobody who only looks may."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (
            self.path,
        )  # nothing that is known for a program: it must not be run all the same


class Ground(NamedTuple):
    format: CheckpointFormat
    save: Callable[[Path, int], Path]  # a whole checkpoint of that step, under that root
    tear: Callable[[Path], object]  # make it one that a training died over


def save_folder(root: Path, step: int) -> Path:
    path = root / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.pt").write_bytes(pickle.dumps(Canary(root / "canary")))
    return path


def save_file(root: Path, step: int) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"epoch=3-step={step}.ckpt"
    path.write_bytes(pickle.dumps(Canary(root / "canary")))
    return path


def without(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).unlink()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


BUILT_HERE = {
    "folder": Ground(FolderFormat(), save_folder, without("model.pt")),
    "folder, single files": Ground(FolderFormat(), save_file, lambda path: os.truncate(path, 0)),
}
BY_THEIR_LIBRARY = {
    "hf-trainer": Ground(HuggingFaceFormat(), saved.hugging_face, without("trainer_state.json")),
    "hf-trainer, shards": Ground(
        HuggingFaceFormat(),
        partial(saved.hugging_face, kind="sharded"),
        without("model-00002-of-00006.safetensors"),
    ),
    "hf-trainer, adapter": Ground(
        HuggingFaceFormat(), partial(saved.hugging_face, kind="adapter"), without("adapter_model.safetensors")
    ),
    "hf-trainer, model only": Ground(
        HuggingFaceFormat(), partial(saved.hugging_face, kind="model-only"), without("model.safetensors")
    ),
    "accelerate": Ground(
        AccelerateFormat(), saved.accelerate, lambda path: cut(path / "random_states_0.pkl")
    ),
    "accelerate, .bin": Ground(
        AccelerateFormat(), partial(saved.accelerate, kind="bin"), without("optimizer.bin")
    ),
    "deepspeed, stage 0": Ground(
        DeepSpeedFormat(),
        partial(saved.deepspeed, stage=0),
        lambda path: cut(path / "mp_rank_00_model_states.pt"),
    ),
    "deepspeed, stage 1": Ground(
        DeepSpeedFormat(),
        partial(saved.deepspeed, stage=1),
        without("zero_pp_rank_1_mp_rank_00_optim_states.pt"),
    ),
    "deepspeed, stage 2": Ground(DeepSpeedFormat(), saved.deepspeed, without("mp_rank_00_model_states.pt")),
    "deepspeed, stage 3": Ground(
        DeepSpeedFormat(),
        partial(saved.deepspeed, stage=3),
        without("zero_pp_rank_1_mp_rank_00_model_states.pt"),
    ),
    **{
        f"orbax, {kind}": Ground(OrbaxFormat(), partial(saved.orbax, kind=kind), tear)
        for kind, tear in {
            "manager": without("_CHECKPOINT_METADATA"),
            "items": lambda path: shutil.rmtree(path / "notes"),
            "prefix": without("default/manifest.ocdbt"),
            "bare": without("_METADATA"),
            "files": without("params.w/0.0"),
            "files-3": without("params.w/c/0/0"),
            "next": lambda path: cut(path / "state" / "_METADATA"),
        }.items()
    },
    "dcp": Ground(DcpFormat(), saved.dcp, without(".metadata")),
    "lightning": Ground(LightningFormat(), saved.lightning, cut),
    "torch": Ground(TorchFileFormat(), saved.torch_file, cut),
    "folder, safetensors": Ground(FolderFormat(), saved.safetensors_file, cut),
}
GROUNDS = BUILT_HERE | BY_THEIR_LIBRARY


@pytest.fixture(
    params=[*BUILT_HERE, *(pytest.param(name, marks=pytest.mark.slow) for name in BY_THEIR_LIBRARY)]
)
def ground(request: pytest.FixtureRequest) -> Ground:
    return GROUNDS[request.param]


def steps(ground: Ground, root: Path, limit: int = 1000) -> list[int | None]:
    return [candidate.step for candidate in ground.format.find(root, limit)]


def only(ground: Ground, root: Path) -> Candidate:
    (found,) = ground.format.find(root, 1000)
    return found


@contextmanager
def entries_after(deed: Callable[[], object], root: Path) -> Iterator[Any]:
    """The listing of a folder in which `deed` happened just after it was listed."""
    with LIST(root) as found:
        listed = list(found)
    deed()
    yield iter(listed)


LIST = os.scandir


# --- finding ---------------------------------------------------------------------------------------------------------


def test_steps_are_numbers_and_not_text(ground: Ground, tmp_path: Path) -> None:
    for step in (9, 1000, 10, 0, 100, 99):
        ground.save(tmp_path, step)
    assert steps(ground, tmp_path) == [1000, 100, 99, 10, 9, 0]


def test_the_newest_step_is_first_whatever_was_written_last(ground: Ground, tmp_path: Path) -> None:
    for age, step in enumerate((30, 20, 10)):
        os.utime(ground.save(tmp_path, step), (1_000_000 + age, 1_000_000 + age))
    assert steps(ground, tmp_path) == [30, 20, 10]


def test_what_is_found_can_be_opened_and_names_its_format(ground: Ground, tmp_path: Path) -> None:
    path = ground.save(tmp_path, 7)
    found = only(ground, tmp_path)
    assert (found.path, found.format, found.step) == (str(path), ground.format.name, 7)


def test_of_too_many_the_newest_are_kept(ground: Ground, tmp_path: Path) -> None:
    for step in range(12):
        ground.save(tmp_path, step)
    assert steps(ground, tmp_path, 3) == [11, 10, 9]


def test_a_folder_that_is_not_there_yet_holds_nothing(ground: Ground, tmp_path: Path) -> None:
    assert steps(ground, tmp_path / "not yet") == []
    (tmp_path / "empty").mkdir()
    assert steps(ground, tmp_path / "empty") == []


def test_a_folder_that_may_not_be_read_is_unseen_and_never_empty(ground: Ground, common_ground: Path) -> None:
    root = common_ground / "checkpoints"
    ground.save(root, 7)
    root.chmod(0)
    with pytest.raises(WorldError, match="checkpoints: Permission denied"):
        as_nobody(lambda: ground.format.find(root, 1000))
    root.chmod(0o700)


def test_a_file_in_the_place_of_the_folder_is_said(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(WorldError, match="checkpoints: Not a directory"):
        ground.format.find(tmp_path / "checkpoints", 1000)


def test_a_disk_error_is_unseen_and_never_empty(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.save(tmp_path, 7)

    def fail(root: Path) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(WorldError, match="Stale file handle"):
        ground.format.find(tmp_path, 1000)


def test_one_that_is_deleted_while_we_look_hides_no_other(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 20, 30):
        last = ground.save(tmp_path, step)

    def delete() -> None:
        monkeypatch.undo()
        shutil.rmtree(last) if last.is_dir() else last.unlink()

    monkeypatch.setattr(os, "scandir", lambda root: entries_after(delete, root))
    assert steps(ground, tmp_path) == [20, 10]


def test_a_link_to_nothing_hides_no_other(ground: Ground, tmp_path: Path) -> None:
    path = ground.save(tmp_path, 10)
    path.with_name(path.name.replace("10", "20")).symlink_to("nothing")
    assert steps(ground, tmp_path) == [10]


def test_what_lies_beside_checkpoints_is_no_checkpoint(ground: Ground, tmp_path: Path) -> None:
    path = ground.save(tmp_path, 10)
    for name in (f".{path.name}", f"tmp-{path.name}", f"{path.name}.tmp", "train.log", "README.md", "runs"):
        (tmp_path / name).mkdir()
    assert steps(ground, tmp_path) == [10]


# --- inspecting ------------------------------------------------------------------------------------------------------


def test_a_whole_one_is_whole_and_one_that_a_training_died_over_is_torn(
    ground: Ground, tmp_path: Path
) -> None:
    path = ground.save(tmp_path, 7)
    assert isinstance(ground.format.inspect(only(ground, tmp_path), LEVEL, WITHIN_S), Whole)
    ground.tear(path)
    torn = ground.format.inspect(only(ground, tmp_path), LEVEL, WITHIN_S)
    assert isinstance(torn, Torn)
    assert torn.reasons


def test_one_that_is_gone_or_not_for_us_to_read_is_unsure_and_never_torn(
    ground: Ground, common_ground: Path
) -> None:
    root = common_ground / "checkpoints"
    ground.save(root, 7)
    candidate = only(ground, root)
    root.chmod(0)
    hidden = as_nobody(lambda: ground.format.inspect(candidate, LEVEL, WITHIN_S))
    root.chmod(0o700)
    shutil.rmtree(root)
    gone = ground.format.inspect(candidate, LEVEL, WITHIN_S)
    assert [type(each) for each in (hidden, gone)] == [Unsure, Unsure]


def test_looking_never_executes_what_it_looks_at(ground: Ground, tmp_path: Path) -> None:
    ground.save(tmp_path, 7)
    ground.format.inspect(only(ground, tmp_path), LEVEL, WITHIN_S)
    assert not (tmp_path / "canary").exists()
