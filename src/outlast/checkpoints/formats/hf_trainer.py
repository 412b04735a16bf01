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

from outlast.checkpoints.parts import listing, one_file
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.listing import Entry, Part
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Candidate, Verdict

STATE, INCOMPLETE, ADAPTER = "trainer_state.json", "checkpoint-is-incomplete.txt", "adapter_config.json"
OWN = frozenset({STATE, INCOMPLETE, "training_args.bin", "scheduler.pt", "optimizer.pt"})
SINGLE = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
INDEXES = (
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
    "adapter_model.safetensors.index.json",
)
SHARDED_STATE = re.compile(r"(?:optimizer|pytorch_model_fsdp)(?:_\d+)?|global_step\d+")
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
            return bool(OWN & names) or (is_trainers and bool(names & {*SINGLE, *INDEXES, ADAPTER}))

        return listing.candidates(root, limit, self.name, recognises, step_of)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        return listing.judged(candidate, lambda deadline: _parts(candidate, deadline), level, within_s)


def step_of(name: str) -> int | None:
    found = NAME.fullmatch(name)
    return int(found[1]) if found is not None else None


def _parts(candidate: Candidate, deadline: Deadline) -> Iterable[Part]:
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
        if name.endswith((".json", ".safetensors", ".pt", ".pth")) and name not in SINGLE:
            yield Part(name, os.path.join(path, name), _no_weight)


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


def _model(path: str, names: frozenset[str], deadline: Deadline) -> Iterator[Part]:
    for index in INDEXES:
        if index in names:
            for shard in _shards(os.path.join(path, index), index, deadline):
                yield Part(shard, os.path.join(path, shard), _weight)
            return
    found = [name for name in SINGLE if name in names]
    if ADAPTER in names and not any(name.startswith("adapter_model") for name in found):
        raise Broken(f"{ADAPTER} is there, and no adapter_model")
    if ADAPTER not in names and any(name.startswith("adapter_model") for name in names):
        raise Broken(f"an adapter_model is there, and no {ADAPTER}")
    if not found and not any(SHARDED_STATE.fullmatch(name) for name in names):
        raise Broken(
            "no model is there: neither " + ", ".join(SINGLE[:2]) + " nor an index of shards nor an adapter"
        )
    for name in found:
        yield Part(name, os.path.join(path, name), _weight)


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
    is_deepspeed = any(name.startswith("global_step") for name in names)  # it may keep the scheduler itself
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
