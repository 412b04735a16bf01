"""`checkpoint-N/` of the Hugging Face Trainer, with full models, shards, PEFT adapters, FSDP or DeepSpeed below it.

Written in this order (transformers.Trainer._save_checkpoint): the model, optimizer.pt, scheduler.pt, scaler.pt (fp16),
rng_state.pth or rng_state_RANK.pth, trainer_state.json last. With `save_only_model` there is a model and a
trainer_state.json. `checkpoint-is-incomplete.txt` marks one that a stop interrupted; the library itself never reads it.

Knows which files belong together. Refuses to know what lies in them (`parts`).
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from outlast.checkpoints.parts import deepspeed_folder, listing, one_file
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.listing import Entry, Folder, Part
from outlast.checkpoints.parts.one_file import BESIDE
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Candidate, Verdict, Whole

STATE, INCOMPLETE, ADAPTER = "trainer_state.json", "checkpoint-is-incomplete.txt", "adapter_config.json"
ARGUMENTS = "training_args.bin"
CONFIGURATIONS = ("config.json", "adapter_config.json", "generation_config.json")
OWN = frozenset({STATE, INCOMPLETE, ARGUMENTS})  # optimizer.pt and scheduler.pt are called so by many
SINGLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
INDEXES = (
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors.index.json",
)
FSDP = re.compile(r"(?:optimizer|pytorch_model_fsdp)_\d+")
SHARDED_STATE = re.compile(
    r"(?:optimizer|pytorch_model_fsdp)(?:_\d+)?|global_step\d+|rank\d+-of-\d+-optimizer\.pt"
)
KNOWN_BESIDE = frozenset({*OWN, *CONFIGURATIONS, "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state.pth",
    "README.md", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
    "added_tokens.json", "chat_template.jinja"})  # fmt: skip
SHARD = re.compile(r"(?:model|pytorch_model|adapter_model)-\d+-of-\d+\.(?:safetensors|bin)")
RNG = re.compile(r"rng_state(?:_(\d+))?\.pth")
NAME = re.compile(r"checkpoint-(\d{1,15})")


class HuggingFaceFormat:
    name = "hf-trainer"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        there = listing.entries(root)
        folders = {
            entry.path: listing.names_in(entry.path)
            for entry in there
            if entry.is_folder and step_of(entry.name) is not None
        }
        is_trainers = any(OWN & names for names in folders.values())

        def recognises(entry: Entry) -> bool:
            names = folders.get(entry.path) or frozenset()
            return bool(OWN & names) or (
                is_trainers and bool(names & {*SINGLE, *INDEXES, ADAPTER, "optimizer.pt"})
            )

        return listing.candidates(root, limit, self.name, recognises, step_of)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        verdict = listing.judged(candidate, lambda deadline: _parts(candidate, deadline), level, within_s)
        if not isinstance(verdict, Whole) or any(map(_is_of_optimizer, listing.names_in(candidate.path))):
            return verdict
        return replace(verdict, notes=(*verdict.notes, "model only: the optimizer begins anew"))


def model_beside(root: Path, level: int, within_s: float) -> tuple[Candidate, Verdict] | None:
    """The model that `save_model()` leaves in the output folder, beside the checkpoints; None: there is none."""
    names = frozenset(name for name in listing.names_in(str(root)) if step_of(name) is None)
    found = [entry for entry in listing.entries(root) if entry.name in {*SINGLE, *INDEXES}]
    if not found:
        return None
    newest = max(entry.mtime_ns for entry in found)
    candidate = Candidate(str(root), HuggingFaceFormat.name, None, newest_mtime_ns=newest)
    return candidate, listing.judged(
        candidate, lambda deadline: _model(str(root), names, deadline), level, within_s
    )


def _is_of_optimizer(name: str) -> bool:
    return "optimizer" in name or _is_tag(name)


def _is_tag(name: str) -> bool:
    """Of DeepSpeed, whose states lie in a folder of that name."""
    return name.startswith("global_step")


def step_of(name: str) -> int | None:
    found = NAME.fullmatch(name)
    return int(found[1]) if found is not None else None


def _parts(candidate: Candidate, deadline: Deadline) -> Iterable[Part | Folder]:
    path = candidate.path
    names = frozenset(os.listdir(path))
    if INCOMPLETE in names:
        raise Broken(f"{INCOMPLETE} is there: a stop interrupted this save")
    if STATE not in names:
        raise Broken(f"{STATE}, which is written last, is not there")
    _check_state(os.path.join(path, STATE), candidate.step, deadline)
    yield from _model(path, names, deadline)
    yield from _optimizer(path, names)
    for name in sorted(names):
        if name in CONFIGURATIONS or name.endswith((".pt", ".pth")):
            yield Part(name, os.path.join(path, name), _no_weight)
    if ARGUMENTS in names:
        yield Part(ARGUMENTS, os.path.join(path, ARGUMENTS), _no_weight, BESIDE)


def _check_state(path: str, step: int | None, deadline: Deadline) -> None:
    try:
        state: Any = one_file.json_of(path, deadline)
    except Broken as error:
        raise Broken(f"{STATE}: {error}") from error
    told = state.get("global_step") if isinstance(state, dict) else None
    if not isinstance(told, int):
        raise Broken(f"{STATE} tells no global_step")
    if told != step:
        raise Unknown(f"its name says step {step}, and {STATE} says {told}")


def _model(path: str, names: frozenset[str], deadline: Deadline) -> Iterator[Part | Folder]:
    for index in INDEXES:
        if index in names:
            for shard in _shards(os.path.join(path, index), index, deadline):
                yield Part(shard, os.path.join(path, shard), _weight)
            return
    if any(SHARD.fullmatch(name) for name in names):
        raise Broken("shards of a model are there, and no index.json that says which belong to it")
    found = [name for name in SINGLE if name in names]
    if ADAPTER in names and not any(name.startswith("adapter_model") for name in found):
        raise Broken(f"{ADAPTER} is there, and no adapter_model")
    if ADAPTER not in names and any(name.startswith("adapter_model") for name in names):
        raise Broken(f"an adapter_model is there, and no {ADAPTER}")
    parts: list[Part | Folder] = [Part(name, os.path.join(path, name), _weight) for name in found]
    for name in sorted(names):
        parts += _below(path, name)
    if any(map(_is_tag, names)):
        tag = deepspeed_folder.tagged(path)
        parts += deepspeed_folder.parts(os.path.join(path, tag), None, tag)
    if parts:
        yield from parts
    elif names <= KNOWN_BESIDE:
        raise Broken(
            "no model is there: neither " + ", ".join(SINGLE[:2]) + " nor an index of shards nor an adapter"
        )
    else:
        raise Unknown("no model is there by a name that is known here")


def _below(path: str, name: str) -> list[Part | Folder]:
    """An adapter by another name than `default`, or a model in shards of FSDP."""
    folder = os.path.join(path, name)
    inside = listing.names_in(folder)
    if FSDP.fullmatch(name) and os.path.isdir(folder):
        return [Folder(name, folder, _no_weight if name.startswith("optimizer") else _weight)]
    if ADAPTER not in inside:
        return []
    weights = [each for each in ("adapter_model.safetensors", "adapter_model.bin") if each in inside]
    if not weights:
        raise Broken(f"{name}/{ADAPTER} is there, and no adapter_model")
    return [Part(f"{name}/{each}", os.path.join(folder, each), _weight) for each in weights]


def _shards(path: str, index: str, deadline: Deadline) -> list[str]:
    try:
        told: Any = one_file.json_of(path, deadline)
        shards = sorted(set(told["weight_map"].values()))
    except Broken as error:
        raise Broken(f"{index}: {error}") from error
    except (TypeError, KeyError, AttributeError) as error:
        raise Broken(f"{index} tells no weight_map") from error
    if not all(isinstance(shard, str) and os.path.basename(shard) == shard for shard in shards):
        raise Unknown(f"{index} names files outside of this folder")
    return shards


def _optimizer(path: str, names: frozenset[str]) -> Iterator[Part]:
    """Whoever saves one of these saves all; an optimizer that is missing would silently begin anew."""
    ranks = sorted(int(found[1] or -1) for name in names if (found := RNG.fullmatch(name)))
    is_sharded = any(SHARDED_STATE.fullmatch(name) for name in names)
    is_deepspeed = any(map(_is_tag, names))  # it may keep the scheduler itself
    has = {
        "optimizer.pt": is_sharded or bool(names & {"optimizer.pt", "optimizer.bin"}),
        "scheduler.pt": is_deepspeed or "scheduler.pt" in names,
        "rng_state.pth": bool(ranks),
    }
    if any(has.values()) and not all(has.values()):
        missing = ", ".join(name for name, is_there in has.items() if not is_there)
        raise Broken(f"{missing} is not there, though the rest of the trainer's state is")
    gaps = [str(rank) for rank in range(ranks[0], ranks[-1]) if rank not in ranks] if ranks else []
    if gaps:
        raise Broken(f"rng_state of rank {', '.join(gaps)} is not there")
    if "optimizer.bin" in names:
        yield Part("optimizer.bin", os.path.join(path, "optimizer.bin"), _no_weight)


def _weight(name: str) -> bool:
    return True


def _no_weight(name: str) -> bool:
    """Moments of an optimizer and the like: what is not finite there is not what a run is rolled back for."""
    return False
