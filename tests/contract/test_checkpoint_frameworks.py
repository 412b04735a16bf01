"""What is particular to the checkpoints of Accelerate, DeepSpeed and Orbax, on such as the real libraries write.

What every kind of checkpoint must survive is in `test_checkpoint_damage`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.checkpoints.catalog import FORMATS
from outlast.checkpoints.parts import ocdbt
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Torn, Unsure, Whole
from outlast.work.survey import survey
from tests.contract import saved
from tests.contract.test_checkpoint_damage import STEP, WITHIN_S, finite, flip, judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


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
    verdict = judge(path)
    assert isinstance(verdict, Unsure)
    assert "no model is there" in verdict.reasons[0]


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


# --- Orbax -----------------------------------------------------------------------------------------------------------


def data_files(path: Path) -> list[Path]:
    """Those to which the index leads: each process's own index is only for the library to merge."""
    return [file for file in saved.files_of(path) if file.parent.name == "d" and is_reached(path, file)]


def is_reached(path: Path, file: Path) -> bool:
    found = ocdbt.values(str(path / "default"), Deadline(WITHIN_S))
    reached = {value.place.file for value in found if value.place is not None}
    return str(file.relative_to(path / "default")) in reached or file.parent.parent.name == "default"


def test_every_data_file_of_orbax_that_the_index_needs_is_missed_and_measured(tmp_path: Path) -> None:
    path = saved.orbax(tmp_path, STEP)
    files = data_files(path)
    assert len(files) > 1, "one with the tree, one with the large array"
    for file in files:
        body = file.read_bytes()
        for size in (0, len(body) // 2):
            file.write_bytes(body[:size])
            assert isinstance(judge(path, level=0), Torn), (file.name, size)
        file.unlink()
        verdict = judge(path, level=0)
        assert isinstance(verdict, Torn)
        assert file.name in verdict.reasons[0]
        file.write_bytes(body)
    assert isinstance(judge(path, level=0), Whole)


def test_a_flipped_bit_in_the_index_of_orbax_is_seen_and_one_in_its_numbers_is_not_said_to_be(
    tmp_path: Path,
) -> None:
    path = saved.orbax(tmp_path, STEP)
    manifest = path / "default" / "manifest.ocdbt"
    (tree,) = (path / "default" / "d").iterdir()
    for file in (manifest, tree):
        for at in range(0, file.stat().st_size, 7):
            flip(file, at)
            assert isinstance(judge(path, level=0), Torn), (file.name, at)
            flip(file, at)
    verdict = judge(path)
    assert isinstance(verdict, Whole)
    assert (verdict.level, verdict.finite) == (0, True)
    assert verdict.notes == ("default: nothing in it proves its numbers: they are as many as they should be",)


def test_the_numbers_of_orbax_are_decompressed_and_zeros_in_their_place_are_seen(tmp_path: Path) -> None:
    path = saved.orbax(tmp_path, STEP)
    large = max(data_files(path), key=lambda file: file.stat().st_size)
    body = large.read_bytes()
    large.write_bytes(body[: len(body) // 2] + bytes(len(body) - len(body) // 2))
    assert isinstance(judge(path, level=0), Whole), "as long as it should be"
    assert isinstance(judge(path, level=1), Torn)


@pytest.mark.parametrize("kind", ["manager", "items", "prefix", "bare", "files", "files-3", "next"])
def test_every_layout_of_orbax_is_whole_and_its_weights_are_looked_at(tmp_path: Path, kind: str) -> None:
    verdict = judge(saved.orbax(tmp_path, STEP, kind))
    assert isinstance(verdict, Whole)
    assert verdict.finite is True, "the moments of an optimizer are no weights"


def test_a_weight_of_orbax_that_is_not_finite_is_named(tmp_path: Path) -> None:
    verdict = judge(saved.orbax(tmp_path, STEP, "ill"))
    assert isinstance(verdict, Whole)
    assert (verdict.finite, verdict.notes[-1]) == (False, "not finite: default: params.w")


def test_an_empty_step_that_orbax_would_take_is_torn_and_one_that_it_never_committed(tmp_path: Path) -> None:
    saved.orbax(tmp_path, STEP)
    (tmp_path / "9").mkdir()
    assert judge(tmp_path / "9") == Torn(("it is empty",))
    later = saved.orbax(tmp_path, 8)
    told = json.loads((later / "_CHECKPOINT_METADATA").read_text())
    (later / "_CHECKPOINT_METADATA").write_text(json.dumps({**told, "commit_timestamp_nsecs": None}))
    verdict = judge(later)
    assert isinstance(verdict, Torn)
    assert "interrupted" in verdict.reasons[0]
    later.rename(tmp_path / "8.orbax-checkpoint-tmp-17")
    (tmp_path / "notes").mkdir()
    assert [candidate.step for candidate, _ in survey(FORMATS, tmp_path, 9)] == [9, STEP]


def test_a_folder_that_is_only_called_by_a_number_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "2024").mkdir()
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "a.png").write_bytes(b"x")
    assert survey(FORMATS, tmp_path, 9) == []


def test_a_tree_of_several_heights_is_walked_to_its_last_value(tmp_path: Path) -> None:
    """Nodes of an index as large as this one would need are split: by the library itself, told to split early."""
    script = """if True:
        import sys, tensorstore
        store = tensorstore.KvStore.open({
            "driver": "ocdbt", "base": "file://" + sys.argv[1],
            "config": {"max_decoded_node_bytes": 400, "max_inline_value_bytes": 16},
        }).result()
        for n in range(300):
            store[f"key-{n:03d}"] = bytes([n % 256]) * (n % 40)
    """
    subprocess.run([sys.executable, "-c", script, f"{tmp_path}/db/"], check=True, timeout=50.0)
    found = {value.key: value for value in ocdbt.values(str(tmp_path / "db"), Deadline(WITHIN_S))}
    assert sorted(found) == [f"key-{n:03d}" for n in range(300)]
    for n in range(300):
        value = found[f"key-{n:03d}"]
        if value.place is None:
            assert value.inline == bytes([n % 256]) * (n % 40)
        else:
            body = (tmp_path / "db" / value.place.file).read_bytes()
            assert body[value.place.offset :][: value.place.length] == bytes([n % 256]) * (n % 40)


def test_an_empty_folder_of_another_name_beside_steps_of_orbax_is_nobody_s_step(tmp_path: Path) -> None:
    saved.orbax(tmp_path, 5)
    (tmp_path / "logs_2024").mkdir()
    (tmp_path / "7").mkdir()
    found = {
        Path(candidate.path).name for candidate, each in survey(FORMATS, tmp_path, 9) if each.name == "orbax"
    }
    assert found == {"5", "7"}


def test_a_model_that_was_exported_beside_states_of_accelerate_is_unsure_and_stays(tmp_path: Path) -> None:
    whole = saved.accelerate(tmp_path, 10)
    exported = tmp_path / whole.name.replace("10", "15")
    exported.mkdir()
    shutil.copy(next(whole.glob("*.safetensors")), exported / "model.safetensors")
    verdict = judge(exported)
    assert isinstance(verdict, Unsure)
    assert "only a model is there" in verdict.reasons[0]


def test_states_of_accelerate_whose_model_a_hook_keeps_elsewhere_are_whole(tmp_path: Path) -> None:
    saves = [saved.accelerate(tmp_path, step) for step in (10, 20)]
    for each in saves:
        next(each.glob("*.safetensors")).unlink()
    verdict = judge(saves[1])
    assert isinstance(verdict, Whole)
    assert any("a hook keeps it elsewhere" in note for note in verdict.notes)
    saved.accelerate(tmp_path, 30)
    assert isinstance(judge(saves[1]), Torn), "another has one"
