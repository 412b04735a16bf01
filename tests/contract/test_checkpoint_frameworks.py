"""What is particular to the checkpoints of Accelerate and DeepSpeed, on such as the real libraries write.

What every kind of checkpoint must survive is in `test_checkpoint_damage`.
"""

import os
import shutil
from pathlib import Path

import pytest

from outlast.checkpoints.catalog import FORMATS
from outlast.facts import Torn, Whole
from outlast.work.survey import survey
from tests.contract import saved
from tests.contract.test_checkpoint_damage import STEP, WITHIN_S, finite, judge

pytestmark = pytest.mark.slow


# --- Accelerate ------------------------------------------------------------------------------------------------------


def step_and_notes(path: Path) -> tuple[int | None, tuple[str, ...]]:
    found = {candidate.path: (candidate, each) for candidate, each in survey(FORMATS, path.parent, 100)}
    candidate, each = found[str(path)]
    verdict = each.inspect(candidate, 2, WITHIN_S)
    assert (candidate.format, type(verdict)) == ("accelerate", Whole), verdict
    assert isinstance(verdict, Whole)
    return candidate.step, verdict.notes


def test_the_number_that_accelerate_gives_is_a_save_and_the_step_is_told_by_what_lies_in_it(
    tmp_path: Path,
) -> None:
    import torch

    path = saved.accelerate_numbered(tmp_path, 12)
    assert step_and_notes(path) == (saved.MADE_AT, ()), "as often as Adam has stepped"
    torch.save({"global_step": 640, "epoch": 2}, path / "custom_checkpoint_1.pkl")
    assert step_and_notes(path) == (640, ()), "a registered object knows better"
    named = path.with_name("step_700")
    path.rename(named)
    assert step_and_notes(named) == (700, ())


def test_where_nothing_tells_the_step_the_newest_save_is_resumed_from_and_that_is_said(
    tmp_path: Path,
) -> None:
    for number in (9, 10):
        path = saved.accelerate_numbered(tmp_path, number, "nothing-tells")
    assert [candidate.step for candidate, _ in survey(FORMATS, path.parent, 9)] == [10, 9]
    assert step_and_notes(path) == (10, ("nothing in it tells its step: the number is that of its name",))
    epoch = path.with_name("epoch_11")
    path.rename(epoch)
    assert step_and_notes(epoch)[0] == 11
    assert step_and_notes(saved.accelerate_numbered(tmp_path / "other", 5))[0] == saved.MADE_AT


@pytest.mark.parametrize("wrong", ["empty", "cut", "half"])
def test_a_newest_save_that_tells_no_step_because_it_is_torn_is_looked_at_before_all_others(
    tmp_path: Path, wrong: str
) -> None:
    """Accelerate would load it, for its number is the highest; by the step it would seem to be an old one."""
    whole, torn = (saved.accelerate_numbered(tmp_path, number) for number in (1, 2))
    if wrong == "cut":
        os.truncate(torn / "optimizer.bin", 900)
    for file in torn.iterdir() if wrong != "cut" else ():
        if wrong == "empty" or file.name.startswith(("random", "custom", "optimizer", "scheduler")):
            file.unlink()
    first, second = survey(FORMATS, whole.parent, 9)
    assert (first[0].path, first[0].step) == (str(torn), None)
    assert isinstance(judge(torn), Torn)
    assert second[0].step == saved.MADE_AT


def test_a_script_that_saves_its_model_by_a_hook_of_its_own_is_whole(tmp_path: Path) -> None:
    """diffusers: `checkpoint-500/unet/diffusion_pytorch_model.safetensors`, or LoRA weights."""
    path = saved.renamed(saved.accelerate(tmp_path, STEP), 500)
    (path / "unet").mkdir()
    (path / "model.safetensors").rename(path / "unet" / "diffusion_pytorch_model.safetensors")
    assert step_and_notes(path) == (500, ())
    os.truncate(path / "unet" / "diffusion_pytorch_model.safetensors", 5000)
    assert isinstance(judge(path), Torn)
    shutil.rmtree(path / "unet")
    assert judge(path) == Torn(("no model is there: neither model.safetensors nor pytorch_model.bin",))


def test_what_is_numbered_has_no_gaps(tmp_path: Path) -> None:
    path = saved.accelerate(tmp_path, STEP)
    for kind, name in (("random_states_{}.pkl", 0), ("custom_checkpoint_{}.pkl", 0), ("optimizer{}.bin", "")):
        later = path / kind.format("_2" if name == "" else 2)
        shutil.copy(path / kind.format(name), later)
        verdict = judge(path)
        assert isinstance(verdict, Torn)
        assert kind.format("_1" if name == "" else 1) in verdict.reasons[0]
        later.unlink()
    assert isinstance(judge(path), Whole)


# --- DeepSpeed -------------------------------------------------------------------------------------------------------


def test_the_last_ranks_that_are_missing_are_missed_although_the_rest_has_no_gap(tmp_path: Path) -> None:
    path = saved.deepspeed(tmp_path, STEP)
    (path / "zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    assert judge(path) == Torn(("zero_pp_rank_1_mp_rank_00_optim_states.pt is not there",))
    (path / "zero_pp_rank_0_mp_rank_00_optim_states.pt").unlink()
    verdict = judge(path)
    assert isinstance(verdict, Torn), "the states of the model say that there was an optimizer of parts"
    assert "zero_pp_rank_0" in verdict.reasons[0]


def test_weights_of_zero_that_are_not_finite_are_found_where_they_lie(tmp_path: Path) -> None:
    """At stage 3 the model's own states hold no numbers: they are the optimizer's, in parts."""
    for stage, key in ((2, "single_partition_of_fp32_groups"), (3, "fp32_flat_groups")):
        assert finite(saved.deepspeed(tmp_path / f"whole-{stage}", STEP, stage)) is True
        path = saved.deepspeed(tmp_path / f"ill-{stage}", STEP, stage, "ill")
        verdict = judge(path)
        assert isinstance(verdict, Whole)
        assert verdict.finite is False
        assert key in verdict.notes[-1]


def test_a_latest_that_names_nothing_is_said_and_makes_no_tag_torn(tmp_path: Path) -> None:
    path = saved.deepspeed(tmp_path, STEP)
    assert judge(path) == Whole(1, finite=True)
    for says in ("", "global_step900\n"):
        (tmp_path / "latest").write_text(says)
        verdict = judge(path)
        assert isinstance(verdict, Whole)
        assert verdict.notes[0].startswith(f"`latest` beside it names {says.strip() or 'nothing'}")
    (tmp_path / "latest").unlink()
    assert judge(path) == Whole(1, finite=True)


def test_a_tag_of_its_own_is_known_by_the_engine_s_step(tmp_path: Path) -> None:
    saved.deepspeed(tmp_path, STEP).rename(tmp_path / "best")
    ((candidate, _),) = survey(FORMATS, tmp_path, 9)
    assert (candidate.format, candidate.step) == ("deepspeed", STEP)


@pytest.mark.parametrize("wrong", ["rank", "latest", "tag"])
def test_deepspeed_inside_of_a_trainer_s_checkpoint_is_looked_into(tmp_path: Path, wrong: str) -> None:
    path = saved.hugging_face(tmp_path, STEP)
    (path / "optimizer.pt").unlink()
    tag = saved.deepspeed(path, STEP)
    assert isinstance(judge(path), Whole)
    if wrong == "rank":
        (tag / "zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    elif wrong == "latest":
        (path / "latest").unlink()
    else:
        tag.rename(path / "global_step8")
    verdict = judge(path)
    assert isinstance(verdict, Torn)
    assert {"rank": "zero_pp_rank_1", "latest": "latest", "tag": f"global_step{STEP}"}[
        wrong
    ] in verdict.reasons[0]


def test_deepspeed_below_accelerate_is_looked_into(tmp_path: Path) -> None:
    path = saved.accelerate(tmp_path, STEP)
    for name in ("model.safetensors", "optimizer.bin", "scheduler.bin"):
        (path / name).unlink()
    saved.deepspeed(path, STEP).rename(path / "pytorch_model")
    assert step_and_notes(path) == (STEP, ())
    (path / "pytorch_model" / "zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    assert judge(path) == Torn(("pytorch_model/zero_pp_rank_1_mp_rank_00_optim_states.pt is not there",))
