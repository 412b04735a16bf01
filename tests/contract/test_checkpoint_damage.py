"""What happens to checkpoints, done to such as the real libraries write: nothing of it may be called whole, and nothing
of it may be executed. R1-R12 of the scenarios: half-written, missing part, flipped bit, zeros, hostile, wrong step.
"""

import json
import os
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from outlast.checkpoints.catalog import FORMATS
from outlast.checkpoints.parts import apart, torch_zip
from outlast.checkpoints.parts.faults import Late
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Torn, Unsure, Verdict, Whole
from outlast.work.survey import survey
from tests.contract import saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WITHIN_S = 30.0
STEP = 7


class Kind(NamedTuple):
    """`needs`: the files without which it is not whole; all, if none are named. `proves`: checksums for all of it."""

    save: Callable[[Path, int], Path]
    needs: tuple[str, ...] = ()
    proves: bool = True


TRAINER = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")
ZERO = ("zero_pp_rank_0_mp_rank_00_optim_states.pt", "zero_pp_rank_1_mp_rank_00_optim_states.pt")
KINDS = {
    "hf": Kind(saved.hugging_face, (*TRAINER, "model.safetensors", "config.json"), proves=False),
    "hf, shards": Kind(
        partial(saved.hugging_face, kind="sharded"),
        (*TRAINER, "model.safetensors.index.json", "model-00001-of-00006.safetensors"),
        proves=False,
    ),
    "hf, adapter": Kind(
        partial(saved.hugging_face, kind="adapter"),
        (*TRAINER, "adapter_config.json", "adapter_model.safetensors"),
        proves=False,
    ),
    "hf, model only": Kind(
        partial(saved.hugging_face, kind="model-only"),
        ("trainer_state.json", "model.safetensors"),
        proves=False,
    ),
    "accelerate": Kind(
        saved.accelerate,
        (
            "model.safetensors",
            "optimizer.bin",
            "scheduler.bin",
            "random_states_0.pkl",
            "custom_checkpoint_0.pkl",
        ),
        proves=False,
    ),
    "accelerate, .bin": Kind(
        partial(saved.accelerate, kind="bin"), ("pytorch_model.bin", "optimizer.bin", "random_states_0.pkl")
    ),
    "deepspeed": Kind(saved.deepspeed, ("mp_rank_00_model_states.pt", *ZERO)),
    "deepspeed, stage 3": Kind(
        partial(saved.deepspeed, stage=3),
        ("zero_pp_rank_0_mp_rank_00_model_states.pt", "zero_pp_rank_1_mp_rank_00_model_states.pt", *ZERO),
    ),
    "orbax": Kind(
        saved.orbax, ("_CHECKPOINT_METADATA", "default/_METADATA", "default/manifest.ocdbt"), proves=False
    ),
    "orbax, items": Kind(
        partial(saved.orbax, kind="items"),
        ("_CHECKPOINT_METADATA", "state/_METADATA", "state/manifest.ocdbt", "notes/metadata"),
        proves=False,
    ),
    "orbax, files": Kind(
        partial(saved.orbax, kind="files"),
        ("_CHECKPOINT_METADATA", "_METADATA", "params.w/.zarray", "params.w/0.0"),
        proves=False,
    ),
    "orbax, shards": Kind(
        partial(saved.orbax, kind="files-3"),
        ("_CHECKPOINT_METADATA", "_METADATA", "params.w/zarr.json", "params.w/c/0/0"),
        proves=False,
    ),
    "dcp": Kind(saved.dcp, (".metadata", "__0_0.distcp")),
    "lightning": Kind(saved.lightning),
    "torch": Kind(saved.torch_file),
    "safetensors": Kind(saved.safetensors_file, proves=False),
}


TELL_THEIR_STEP = ["hf", "hf, shards", "hf, adapter", "hf, model only", "deepspeed", "deepspeed, stage 3"]
ORBAX = ["orbax", "orbax, items", "orbax, files", "orbax, shards"]
OF_PARTS = [*TELL_THEIR_STEP, "accelerate", "accelerate, .bin", *ORBAX, "dcp"]
MAY_BE_MISSING = (
    "config.json",  # a training that makes its model itself does not need it
    "scheduler.bin", "custom_checkpoint_0.pkl",  # nothing says that there was one
)  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def judge(path: Path, level: int = 2, within_s: float = WITHIN_S) -> Verdict:
    found = {candidate.path: (candidate, each) for candidate, each in survey(FORMATS, path.parent, 100)}
    candidate, each = found[str(path)]
    return each.inspect(candidate, level, within_s)


def finite(path: Path) -> bool | None:
    verdict = judge(path)
    assert isinstance(verdict, Whole)
    return verdict.finite


def needed(kind: Kind, path: Path) -> list[Path]:
    return [path / name for name in kind.needs] if kind.needs and path.is_dir() else saved.files_of(path)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


# --- damage ----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_off_anywhere_is_torn(kind: Kind, tmp_path: Path) -> None:
    path = kind.save(tmp_path, STEP)
    for file in needed(kind, path):
        body = file.read_bytes()
        last = len(body.rstrip()) - 1 if file.suffix == ".json" else len(body) - 1
        for size in sorted({0, 1, 7, len(body) // 4, len(body) // 2, len(body) * 3 // 4, last}):
            file.write_bytes(body[:size])
            assert isinstance(judge(path), Torn), (file.name, size)
        file.write_bytes(body)
    assert isinstance(judge(path), Whole)


@pytest.mark.parametrize("kind", OF_PARTS, indirect=True)
def test_a_part_that_is_missing_makes_it_torn(kind: Kind, tmp_path: Path) -> None:
    kind.save(tmp_path, STEP - 1)
    path = kind.save(tmp_path, STEP)
    for file in needed(kind, path):
        if file.name in MAY_BE_MISSING:
            continue
        body = file.read_bytes()
        file.unlink()
        verdict = judge(path)
        assert isinstance(verdict, Torn), file.name
        assert (
            file.name.partition("-0")[0].removesuffix(".index.json").partition(".")[0] in verdict.reasons[0]
        )
        file.write_bytes(body)


def test_each_flipped_bit_of_what_checksums_prove_is_seen(tmp_path: Path) -> None:
    for path in (saved.lightning(tmp_path, STEP), saved.torch_file(tmp_path, STEP)):
        with torch_zip.opened(str(path), Deadline(WITHIN_S)) as found:
            spans = [(found.begin_of(each), each.size) for each in found.records.values() if each.size]
        assert len(spans) > 4
        for begin, size in spans:
            for at in {begin, begin + size // 2, begin + size - 1}:
                flip(path, at)
                assert isinstance(judge(path, level=1), Torn), at
                flip(path, at)
        assert judge(path, level=1) == Whole(1)


def test_a_flipped_bit_in_a_shard_of_torch_distributed_is_seen(tmp_path: Path) -> None:
    path = saved.dcp(tmp_path, STEP)
    shard = path / "__0_0.distcp"
    body = shard.read_bytes()
    torn = 0
    for at in range(100, len(body), len(body) // 40):
        flip(shard, at)
        torn += isinstance(judge(path), Torn)
        shard.write_bytes(body)
    assert torn > 30, "between the records lies padding that nobody reads"


def test_a_second_half_of_zeros_is_seen_where_something_proves_the_content(
    kind: Kind, tmp_path: Path
) -> None:
    path = kind.save(tmp_path, STEP)
    for file in needed(kind, path):
        body = file.read_bytes()
        file.write_bytes(body[: len(body) // 2] + bytes(len(body) - len(body) // 2))
        verdict = judge(path)
        if file.suffix == ".safetensors":
            assert isinstance(verdict, Whole)
            assert verdict.level == 0, "it carries no checksum: nothing proves it, and that is said"
        else:
            assert isinstance(verdict, Torn), file.name
        file.write_bytes(body)


def test_what_no_checksum_proves_is_never_said_to_be_proven(kind: Kind, tmp_path: Path) -> None:
    verdict = judge(kind.save(tmp_path, STEP))
    assert isinstance(verdict, Whole)
    assert (verdict.level, verdict.finite) == (1 if kind.proves else 0, True)


@pytest.mark.parametrize("kind", TELL_THEIR_STEP, indirect=True)
def test_a_name_that_tells_another_step_than_the_content_is_unsure(kind: Kind, tmp_path: Path) -> None:
    path = kind.save(tmp_path, STEP)
    verdict = judge(saved.renamed(path, 900))
    assert isinstance(verdict, Unsure)
    assert "900" in verdict.reasons[0]
    assert "7" in verdict.reasons[0]


def test_lightning_s_own_step_is_the_step_whatever_a_name_says(tmp_path: Path) -> None:
    """`self.log("step", epoch)`, the usual trick for an axis of epochs, is what the name then tells."""
    path = saved.renamed(saved.lightning(tmp_path, STEP), 900)
    ((candidate, _),) = survey(FORMATS, tmp_path, 9)
    assert (candidate.path, candidate.step, candidate.format) == (str(path), STEP, "lightning")
    assert isinstance(judge(path), Whole)


def test_a_loop_that_counts_otherwise_than_it_names_its_files_is_whole(tmp_path: Path) -> None:
    assert isinstance(judge(saved.renamed(saved.torch_file(tmp_path, STEP), STEP - 1)), Whole)


def test_r5_a_marker_of_an_interrupted_save_makes_it_torn(tmp_path: Path) -> None:
    path = saved.hugging_face(tmp_path, STEP)
    (path / "checkpoint-is-incomplete.txt").touch()
    verdict = judge(path)
    assert isinstance(verdict, Torn)
    assert "interrupted" in verdict.reasons[0]


def test_an_empty_folder_that_is_newer_is_torn(kind: Kind, tmp_path: Path) -> None:
    kind.save(tmp_path, STEP)
    newer = tmp_path / "checkpoint-99"
    newer.mkdir()
    assert judge(newer) == Torn(("it is empty",))


def test_a_gap_between_the_ranks_makes_it_torn_and_a_model_alone_does_not(tmp_path: Path) -> None:
    path = saved.hugging_face(tmp_path, STEP)
    rng = (path / "rng_state.pth").read_bytes()
    (path / "rng_state.pth").unlink()
    for rank in (0, 1, 3):
        (path / f"rng_state_{rank}.pth").write_bytes(rng)
    assert judge(path) == Torn(("rng_state of rank 2 is not there",))
    (path / "rng_state_2.pth").write_bytes(rng)
    assert isinstance(judge(path), Whole)


# --- nothing is executed ---------------------------------------------------------------------------------------------


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", ["step-7.pt", "epoch=0-step=7.ckpt", "ckpt.pt"])
def test_a_hostile_file_is_never_run_and_never_resumed_from(tmp_path: Path, name: str) -> None:
    import torch

    (tmp_path / "saved").mkdir()
    path, canary = tmp_path / "saved" / name, tmp_path / "canary"
    content = {"state_dict": {}, "epoch": 0, "global_step": 7, "pytorch-lightning_version": "2"}
    torch.save({**content, "evil": Canary(canary)}, path)
    verdict = judge(path)
    assert isinstance(verdict, Unsure)
    assert "posix.system" in verdict.reasons[0]
    assert not canary.exists()


def test_a_hostile_metadata_is_never_run(tmp_path: Path) -> None:
    path = saved.dcp(tmp_path / "saved", STEP)
    (path / ".metadata").write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    assert isinstance(judge(path), Unsure)
    assert not (tmp_path / "canary").exists()


def test_a_pickle_that_asks_for_all_memory_is_refused(tmp_path: Path) -> None:
    """A memo index of four billion: the C unpickler would allocate as many entries."""
    path = saved.dcp(tmp_path, STEP)
    (path / ".metadata").write_bytes(b"\x80\x02N" + b"r\xff\xff\xff\xff" + b".")
    pid = os.fork()
    if pid == 0:
        apart.limit_memory(1 << 30)
        os._exit(0 if isinstance(judge(path), (Unsure, Torn)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# --- finite ----------------------------------------------------------------------------------------------------------


def of(kind: str, tmp_path: Path, **tensors: Any) -> Path:
    """A file of that kind with these tensors in the model, and an infinite one where it means nothing."""
    import torch
    from safetensors.torch import save_file

    if kind == "safetensors":
        save_file(tensors, tmp_path / "step-7.safetensors")
        return tmp_path / "step-7.safetensors"
    content = {
        "model": tensors,
        "optimizer": {"exp_avg": torch.tensor([float("inf")])},
        "best_loss": float("inf"),
    }
    torch.save(content, tmp_path / "step-7.pt")
    return tmp_path / "step-7.pt"


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn"]
)
@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_weights_that_are_not_finite_are_found_by_name_and_all_else_is_not(
    tmp_path: Path, kind: str, dtype: str
) -> None:
    import torch

    good = torch.randn(300, 7).to(getattr(torch, dtype))
    assert finite(of(kind, tmp_path, good=good)) is True
    bad = torch.randn(300, 7)
    bad[211, 3] = float("nan")
    verdict = judge(of(kind, tmp_path, good=good, bad=bad.to(getattr(torch, dtype))))
    assert isinstance(verdict, Whole)
    assert verdict.finite is False
    assert "bad" in verdict.notes[-1]
    assert "good" not in verdict.notes[-1]


def test_what_lies_in_a_storage_beside_the_tensor_is_nobodys(tmp_path: Path) -> None:
    import torch

    memory = torch.full((100,), float("nan"))
    memory[10:20] = 1.0
    assert finite(of("torch", tmp_path, view=memory[10:20])) is True
    assert finite(of("torch", tmp_path, view=memory[10:21])) is False


def test_weights_of_torch_distributed_that_are_not_finite_are_found(tmp_path: Path) -> None:
    import torch
    import torch.distributed.checkpoint as distributed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library, about a single process
        content = {
            "model": {"bad": torch.tensor([1.0, float("nan")]), "good": torch.ones(3)},
            "optimizer": {"x": torch.tensor(float("inf"))},
        }
        distributed.save(content, checkpoint_id=tmp_path / "step-7", no_dist=True)
    verdict = judge(tmp_path / "step-7")
    assert isinstance(verdict, Whole)
    assert (verdict.finite, verdict.notes) == (False, ("not finite: model.bad",))


# --- the rest of the world -------------------------------------------------------------------------------------------


def test_what_torch_saved_without_checksums_is_said_and_proves_nothing(tmp_path: Path) -> None:
    import torch

    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        path = saved.torch_file(tmp_path, STEP)
    finally:
        torch.serialization.set_crc32_options(before)
    verdict = judge(path)
    assert isinstance(verdict, Whole)
    assert verdict.level == 0
    assert "without checksums" in verdict.notes[0]


def late(*_: object, **__: object) -> None:
    raise Late("it could not be read within 90 s")


def test_too_little_time_leaves_the_structure_proven_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved.torch_file(tmp_path, STEP)
    candidate, each = survey(FORMATS, tmp_path, 9)[0]
    assert (candidate.path, candidate.format, candidate.step) == (str(path), "torch", 7)
    assert isinstance(each.inspect(candidate, 2, -1.0), Unsure), "not even its structure"
    monkeypatch.setattr(torch_zip.TorchZip, "check_content", late)
    verdict = each.inspect(candidate, 2, WITHIN_S)
    assert isinstance(verdict, Whole)
    assert (verdict.level, verdict.finite, verdict.notes[0][:33]) == (
        0,
        None,
        "of its content not all was read: ",
    )


def test_a_sparse_file_of_fifty_gigabytes_is_no_checkpoint_and_takes_no_time(tmp_path: Path) -> None:
    for name in ("step-7.pt", "step-8.safetensors", "step-9.npz", "step-10.h5"):
        path = tmp_path / name
        path.touch()
        os.truncate(path, 50 << 30)
        assert isinstance(judge(path, within_s=5.0), Torn), name


def test_links_that_lead_in_circles_are_unsure(tmp_path: Path) -> None:
    path = saved.hugging_face(tmp_path, STEP)
    (path / "circle").symlink_to(path)
    assert isinstance(judge(path), Whole)
    (path / "optimizer.pt").unlink()
    (path / "optimizer.pt").symlink_to("optimizer.pt")
    assert isinstance(judge(path), Unsure)


def test_an_index_that_names_files_elsewhere_is_not_followed(tmp_path: Path) -> None:
    path = saved.hugging_face(tmp_path, STEP, kind="sharded")
    index = path / "model.safetensors.index.json"
    told = json.loads(index.read_text())
    told["weight_map"] = dict.fromkeys(told["weight_map"], "../../etc/passwd")
    index.write_text(json.dumps(told))
    assert isinstance(judge(path), Unsure)


# --- what is healthy stays where it is -------------------------------------------------------------------------------


def loop_folder(tmp_path: Path) -> Path:
    """`checkpoint-200/{model.pt,optimizer.pt}` of a loop of its own."""
    import torch

    path = tmp_path / "checkpoint-200"
    path.mkdir()
    torch.save({"weight": torch.ones(9)}, path / "model.pt")
    torch.save({"state": {0: torch.tensor(float("inf"))}}, path / "optimizer.pt")
    return path


@pytest.mark.parametrize(
    "name", ["DONE", "__init__.py", "log.json", "zeros.dat", "link", "notes.bin"], ids=lambda name: str(name)
)
def test_what_lies_beside_the_weights_of_a_loop_makes_nothing_torn(tmp_path: Path, name: str) -> None:
    path = loop_folder(tmp_path)
    assert judge(path) == Whole(1, finite=True)
    body = {"log.json": b'{"a": 1}\n{"a": 2}\n', "zeros.dat": bytes(200_000), "notes.bin": bytes(200_000)}
    if name == "link":
        (path / name).symlink_to("nothing")
    else:
        (path / name).write_bytes(body.get(name, b""))
    verdict = judge(path)
    assert isinstance(verdict, Whole)
    assert verdict.finite is True


class Outer:
    class Inner:
        pass


@pytest.mark.parametrize("name", ["step_100.pt", "ckpt_7.pt"])
def test_what_torch_wrote_long_ago_or_somebody_else_under_its_ending_is_not_torn(
    tmp_path: Path, name: str
) -> None:
    import gzip

    import torch

    content = {"model": torch.ones(3), "step": 100, "of_a_class_in_a_class": Outer.Inner()}
    torch.save(content, tmp_path / name)
    assert isinstance(judge(tmp_path / name), Whole)
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=False)
    assert isinstance(judge(tmp_path / name), Whole)
    for body in (pickle.dumps({"a": 1}, 0), pickle.dumps({"a": 1}), gzip.compress(os.urandom(999))):
        (tmp_path / name).write_bytes(body)
        assert isinstance(judge(tmp_path / name), Whole)


def test_an_adapter_by_a_name_of_its_own_and_any_file_of_a_trainer_s_user_are_whole(tmp_path: Path) -> None:
    path = saved.hugging_face(tmp_path, STEP, kind="adapter")
    (path / "policy").mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        os.rename(path / name, path / "policy" / name)
    (path / "predictions.json").write_text("{}\n{}\n")
    assert isinstance(judge(path), Whole)
    os.truncate(path / "policy" / "adapter_model.safetensors", 500)
    assert isinstance(judge(path), Torn)


def test_masks_that_are_infinite_are_healthy(tmp_path: Path) -> None:
    import torch

    mask = torch.nn.Transformer.generate_square_subsequent_mask(8)
    assert finite(of("torch", tmp_path, mask=mask, w=torch.ones(2))) is True
    assert finite(of("safetensors", tmp_path, mask=mask)) is True


def test_where_no_weight_was_looked_at_nobody_says_finite(tmp_path: Path) -> None:
    import numpy as np

    np.savez(tmp_path / "step-3.npz", w=np.array([np.nan]))
    assert judge(tmp_path / "step-3.npz") == Whole(1)


@pytest.mark.parametrize(
    ("meant", "other"),
    [
        ("model_step_200.pt", "optim_step_200.pt"),
        ("step-1000.pt", "samples-step-1000"),
        ("checkpoint-500", "checkpoint-500-merged"),
    ],
)
def test_of_two_of_one_step_the_one_that_is_meant_comes_first(tmp_path: Path, meant: str, other: str) -> None:
    import torch

    for name in (meant, other):
        if name.endswith(".pt"):
            torch.save({"a": torch.ones(1)}, tmp_path / name)
        elif name == "checkpoint-500":
            saved.hugging_face(tmp_path, 500)
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "a.png").write_bytes(b"x")
    assert Path(survey(FORMATS, tmp_path, 9)[0][0].path).name == meant


def test_shards_in_folders_of_a_checkpoint_are_looked_at_as_well(tmp_path: Path) -> None:
    path = tmp_path / "step-5"
    path.mkdir()
    for part in ("model", "optim"):
        os.rename(saved.dcp(tmp_path / part, STEP), path / part)
    assert judge(path) == Whole(1, finite=True)
    (path / "optim" / "__0_0.distcp").unlink()
    assert isinstance(judge(path), Torn)


def test_a_script_of_torch_is_no_checkpoint_and_refuses_no_start(tmp_path: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own scripts
        script = torch.jit.script(torch.nn.Linear(2, 2))
    script.save(str(tmp_path / "backbone.pt"))
    (tmp_path / "step-2-logs").mkdir()
    (tmp_path / "step_500.orbax-checkpoint-tmp-17").mkdir()
    assert survey(FORMATS, tmp_path, 9) == []
    script.save(str(tmp_path / "step-3.pt"))
    assert isinstance(judge(tmp_path / "step-3.pt"), Whole)
    cut = tmp_path / "step-3.pt"
    os.truncate(cut, cut.stat().st_size // 2)
    assert isinstance(judge(tmp_path / "step-3.pt"), Torn)


@pytest.mark.parametrize("name", ["bare", "legacy", "item"])
def test_a_program_in_any_pickle_is_named(tmp_path: Path, name: str) -> None:
    import torch

    (tmp_path / "saved").mkdir()
    path, evil = tmp_path / "saved" / "ckpt_5.pt", Canary(tmp_path / "canary")
    if name == "bare":
        path.write_bytes(pickle.dumps({"evil": evil, "more": list(range(99))}))
    elif name == "legacy":
        torch.save({"evil": evil}, path, _use_new_zipfile_serialization=False)
    else:
        path = saved.hugging_face(tmp_path / "saved", STEP)
        torch.save({"evil": evil}, path / "training_args.bin")
    verdict = judge(path)
    assert isinstance(verdict, Unsure)
    assert "posix.system" in verdict.reasons[0]
    assert not (tmp_path / "canary").exists()
