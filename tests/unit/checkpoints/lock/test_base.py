"""A base model has the same fingerprint as long as it is the same, and another as soon as one weight is another."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from outlast.checkpoints.lock import base, hashes, hub, saved
from outlast.checkpoints.parts.reading import Deadline, Opened
from outlast.facts import Known, NotLocked, Trait
from tests.contract import models

KINDS = ("safetensors", "sharded", "torch")


def weights(path: Path, revision: str = "") -> Trait:
    return base.weights(str(path), revision, "--base", Deadline(20.0))


def value(path: Path) -> str:
    found = weights(path)
    assert isinstance(found, Known), found
    return found.value


@pytest.mark.parametrize("kind", KINDS)
def test_r16_one_changed_weight_is_another_model_though_the_header_is_the_same(
    tmp_path: Path, kind: str
) -> None:
    path = models.base(tmp_path / "base", kind)
    before = weights(path)
    models.change_one_weight(path)
    after = weights(path)
    assert isinstance(before, Known)
    assert isinstance(after, Known)
    assert before.value != after.value
    assert before.kind == after.kind
    changed = {name for name, said in after.fields if dict(before.fields)[name] != said}
    assert len(changed) == 1
    assert changed.pop().split()[-1] == ("records" if kind == "torch" else "values")


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_was_copied_renamed_or_saved_again_is_the_same(tmp_path: Path, kind: str) -> None:
    path = models.base(tmp_path / "base", kind)
    before = value(path)
    shutil.copytree(path, tmp_path / "copied")
    os.rename(path, tmp_path / "another-name")
    (tmp_path / "another-name" / "README.md").write_text("downloaded anew")
    assert value(tmp_path / "copied") == value(tmp_path / "another-name") == before


def test_a_header_that_tells_other_shapes_is_another_model(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = models.base(tmp_path / "base")
    before = value(path)
    tensors = load_file(path / "model.safetensors")
    name, tensor = next(iter(tensors.items()))
    save_file({**tensors, name: tensor.reshape(-1, 1)}, path / "model.safetensors")
    assert value(path) != before


def test_what_the_index_does_not_name_is_no_part_of_the_model(tmp_path: Path) -> None:
    path = models.base(tmp_path / "base", "sharded")
    before = value(path)
    shutil.copy(sorted(path.glob("*.safetensors"))[0], path / "left-over.safetensors")
    assert value(path) == before


def test_a_missing_shard_is_not_locked_and_named(tmp_path: Path) -> None:
    path = models.base(tmp_path / "base", "sharded")
    shard = sorted(path.glob("*.safetensors"))[1]
    shard.unlink()
    found = weights(path)
    assert isinstance(found, NotLocked)
    assert shard.name in found.why


@pytest.mark.parametrize("damage", ["cut", "empty", "index"])
def test_what_cannot_be_read_is_not_locked_and_says_why(tmp_path: Path, damage: str) -> None:
    path = models.base(tmp_path / "base", "sharded" if damage == "index" else "safetensors")
    if damage == "cut":
        os.truncate(path / "model.safetensors", 5000)
    elif damage == "empty":
        (path / "model.safetensors").unlink()
    else:
        (path / "model.safetensors.index.json").write_text("{")
    found = weights(path)
    assert isinstance(found, NotLocked)
    assert {"cut": "the file has 5000", "empty": "holds no weights", "index": "is no JSON"}[
        damage
    ] in found.why


def test_training_args_are_never_taken_for_weights(tmp_path: Path) -> None:
    path = models.base(tmp_path / "base", "torch")
    before = value(path)
    (path / "training_args.bin").write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")
    (path / "optimizer.pt").write_bytes(b"junk")
    assert value(path) == before


def test_a_large_model_is_sampled_and_every_tensor_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "WHOLE_MAX", 0)
    monkeypatch.setattr(hashes, "SAMPLES", 2)
    monkeypatch.setattr(hashes, "SAMPLE_BYTES", 64)
    path = models.base(tmp_path / "base")
    whole = os.path.getsize(path / "model.safetensors")
    read: list[int] = []
    pieces = hashes.of_pieces

    def counted(file: Opened, wanted: Sequence[tuple[int, int]]) -> str:
        read.append(sum(count for _, count in wanted))
        return pieces(file, wanted)

    monkeypatch.setattr(hashes, "of_pieces", counted)
    monkeypatch.setattr(base, "SAMPLE", 64)
    before = value(path)
    assert 0 < read[0] < whole / 2
    from safetensors.torch import load_file, save_file

    for name in load_file(path / "model.safetensors"):
        tensors = load_file(path / "model.safetensors")
        tensors[name].view(-1)[-1] += 1
        save_file(tensors, tmp_path / "one.safetensors", metadata={"format": "pt"})
        changed = base.weights(str(tmp_path / "one.safetensors"), "", "", Deadline(20.0))
        assert isinstance(changed, Known)
        assert changed.value != before, name


def test_no_more_time_is_taken_than_there_is(tmp_path: Path) -> None:
    path = models.base(tmp_path / "base")
    found = base.weights(str(path), "", "--base", Deadline(-1.0))
    assert isinstance(found, NotLocked)
    assert "could not be read within" in found.why


def test_the_tokenizer_is_its_files(tmp_path: Path) -> None:
    path = models.base(tmp_path / "base")
    before = base.tokenizer(str(path), "--base", Deadline(5.0))
    assert isinstance(before, Known)
    assert [name for name, _ in before.fields] == ["tokenizer.json"]
    assert before.partial, "of other files beside it only what both sides have is compared"
    told = json.loads((path / "tokenizer.json").read_text())
    (path / "tokenizer.json").write_text(
        json.dumps({**told, "padding": {"pad_id": 0}, "truncation": None}, indent=1)
    )
    padded = base.tokenizer(str(path), "--base", Deadline(5.0))
    assert isinstance(padded, Known)
    assert padded.value == before.value, "what the last batch left in it"
    told["model"]["vocab"]["w64"] = 64
    (path / "tokenizer.json").write_text(json.dumps(told))
    after = base.tokenizer(str(path), "--base", Deadline(5.0))
    assert isinstance(after, Known)
    assert before.value != after.value


def test_the_architecture_is_what_config_json_says_of_the_model_and_not_who_saved_it(tmp_path: Path) -> None:
    path = models.base(tmp_path / "base")
    before = base.architecture(str(path), "--base", Deadline(5.0))
    config = json.loads((path / "config.json").read_text())
    noise = {
        "transformers_version": "9",
        "_name_or_path": "elsewhere",
        "dtype": "bfloat16",
        "use_cache": False,
    }
    (path / "config.json").write_text(json.dumps({**config, **noise}, indent=7))
    same = base.architecture(str(path), "--base", Deadline(5.0))
    (path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    other = base.architecture(str(path), "--base", Deadline(5.0))
    assert isinstance(before, Known)
    assert isinstance(same, Known)
    assert isinstance(other, Known)
    assert before.value == same.value != other.value
    assert dict(other.fields)["num_hidden_layers"] == "3"


# --- where it lies ----------------------------------------------------------------------------------------------------


def test_a_name_leads_into_the_cache_and_tells_its_commit(tmp_path: Path) -> None:
    cache, commit = tmp_path / "hub", "0123456789abcdef0123456789abcdef01234567"
    model = cache / "models--tiny--llama"
    models.base(model / "snapshots" / commit)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(commit)
    by_home = hub.resolve("tiny/llama", str(tmp_path), {"HF_HOME": str(tmp_path)})
    place = hub.resolve("tiny/llama", str(tmp_path), {"HF_HUB_CACHE": str(cache)})
    assert isinstance(place, hub.Place)
    assert place == by_home
    assert place.revision == commit
    found = weights(Path(place.path), place.revision)
    assert isinstance(found, Known)
    assert ("revision", commit) in found.fields
    assert found.value == value(models.base(tmp_path / "same")), "where it lies is no part of what it is"
    inside = hub.resolve(str(model / "snapshots" / commit), "/", {})
    assert isinstance(inside, hub.Place)
    assert inside.revision == commit
    assert isinstance(hub.resolve("tiny/llama", str(tmp_path), {"HOME": str(tmp_path)}), NotLocked)


def test_a_name_that_is_not_here_yet_is_not_locked(tmp_path: Path) -> None:
    found = hub.resolve("tiny/llama", str(tmp_path), {"HF_HOME": str(tmp_path / "none")})
    assert found == NotLocked("tiny/llama is no folder here, and not in the Hugging Face cache yet")


# --- what a checkpoint says -------------------------------------------------------------------------------------------


def test_an_adapter_tells_its_rank_its_targets_and_its_base_model(tmp_path: Path) -> None:
    base_model = models.base(tmp_path / "base")
    path = models.adapter(tmp_path / "checkpoint-10", base_model)
    told = saved.read(str(path), Deadline(5.0))
    assert told.base_model == str(base_model)
    (lora,) = (trait for key, trait in told.identity.traits if key == "lora")
    assert isinstance(lora, Known)
    assert dict(lora.fields) == {"r": "4", "alpha": "8", "targets": "q_proj,v_proj", "kind": "LORA"}


@pytest.mark.parametrize("body", ["", "{", "[1]", "null", '{"r": {"a": 1}, "target_modules": 7}'])
def test_an_adapter_configuration_that_makes_no_sense_tells_nothing_and_breaks_nothing(
    tmp_path: Path, body: str
) -> None:
    (tmp_path / "adapter_config.json").write_text(body)
    assert saved.read(str(tmp_path), Deadline(5.0)).base_model == ""
