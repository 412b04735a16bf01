"""A folder of `Accelerator.save_state`: `step_500/`, `epoch_1/`, `checkpoint-500/` (diffusers' scripts), or
`checkpoints/checkpoint_I/`, which the library numbers itself: I counts saves and is no step.

Written in this order (accelerate.checkpointing.save_accelerator_state): model.safetensors or pytorch_model.bin,
optimizer.bin, scheduler.bin, sampler.bin, scaler.pt (a second one of a kind is called optimizer_1.bin), then of each
process random_states_RANK.pkl, and last what was registered as custom_checkpoint_I.pkl. With FSDP the model and the
optimizer are folders of torch.distributed.checkpoint, with DeepSpeed a tag `pytorch_model`. Hooks of a script may put
the model elsewhere.

The step: what the name tells, unless the library chose it; else that of a registered object; else how often Adam has
stepped; else the number in the name.

Knows which files belong together. Refuses to know what lies in them (`parts`).
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from outlast.checkpoints.parts import apart, dcp_folder, deepspeed_folder, listing, names, state
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.listing import Entry, Folder, Part
from outlast.checkpoints.parts.one_file import KNOWN, NEEDED
from outlast.facts import Candidate, Verdict, Whole

RANDOM = re.compile(r"random_states_(\d+)\.pkl")
CUSTOM = re.compile(r"custom_checkpoint_(\d+)\.pkl")
MODEL = re.compile(r"(?:model|pytorch_model)(?:_\d+)?\.(?:safetensors|bin)|pytorch_model_fsdp(?:_\d+)?\.bin")
OPTIMIZER = re.compile(r"optimizer(?:_\d+)?\.bin")
BESIDE = re.compile(r"(?:scheduler|sampler|dl_state_dict)(?:_\d+)?\.bin|scaler\.pt")
TAG = re.compile(r"pytorch_model(?:_\d+)?")
SHARDS = re.compile(r"(?:optimizer|pytorch_model_fsdp)_\d+")
NUMBERED = ("model", "pytorch_model", "optimizer", "scheduler")  # the first has no number, the second is _1
KINDS = (RANDOM, CUSTOM, MODEL, OPTIMIZER, BESIDE, TAG, SHARDS)
NAME = re.compile(r"(?:checkpoint|step|epoch)[_-](\d{1,15})")
OWN_FOLDER, OWN_NAME = "checkpoints", re.compile(r"checkpoint_\d+")  # with automatic_checkpoint_naming
WITHOUT_STEP = "nothing in it tells its step: the number is that of its name"
LOOKED_INTO = 64  # the newest


class AccelerateFormat:
    name = "accelerate"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        inside = listing.folders(root)
        is_accelerates = any(map(_has_states, inside.values()))

        def recognises(entry: Entry) -> bool:
            held = inside.get(entry.path)
            if held is None:
                return False
            is_half = is_accelerates and (any(map(_is_known, held)) or not held)
            return _has_states(held) or (is_half and NAME.fullmatch(entry.name) is not None)

        found = sorted(filter(recognises, listing.entries(root)), key=_age, reverse=True)
        steps = _steps_of([entry.path for entry in found[:LOOKED_INTO]])
        paths = {entry.path for entry in found if steps.get(entry.name, "") != (None, True)}
        return listing.candidates(
            root,
            limit,
            self.name,
            lambda entry: entry.path in paths,
            lambda name: steps[name][0] if name in steps else _number_in(name),
        )

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        verdict = listing.judged(candidate, lambda _: _parts(candidate.path), level, within_s)
        if not isinstance(verdict, Whole):
            return verdict
        notes = [] if _is_told(candidate.path) else [WITHOUT_STEP]
        if not any(map(_is_of_optimizer, listing.names_in(candidate.path))):
            notes.append("no optimizer is there: it begins anew")
        if not _has_model(listing.names_in(candidate.path)):
            notes.append("no model is there, nor in those beside it: a hook keeps it elsewhere")
        return replace(verdict, notes=(*verdict.notes, *notes))


def _age(entry: Entry) -> int:
    return entry.mtime_ns


def _has_states(held: frozenset[str]) -> bool:
    return any(map(RANDOM.fullmatch, held))


def _is_known(name: str) -> bool:
    return any(kind.fullmatch(name) for kind in KINDS)


def _is_of_optimizer(name: str) -> bool:
    return name.startswith("optimizer") or TAG.fullmatch(name) is not None


# --- the step --------------------------------------------------------------------------------------------------------


def _steps_of(paths: list[str]) -> dict[str, tuple[int | None, bool]]:
    """By their names."""
    steps = {path: (named, True) for path in paths if (named := _named(path)) is not None}
    nameless = [path for path in paths if path not in steps]
    answers = apart.each(_step_of, nameless, state.LOOK_S, tuple[int | None, bool])
    found = {
        path: (None, False) if isinstance(answer, apart.Died) else answer.value
        for path, answer in zip(nameless, answers, strict=True)
    }
    return {os.path.basename(path): step for path, step in (steps | found).items()}


def _step_of(path: str) -> tuple[int | None, bool]:
    """(the step, whether all could be read). Of one that cannot be read nobody knows where it belongs."""
    try:
        held = frozenset(os.listdir(path))
        told = _told(path, held)
    except (Broken, Unknown, OSError):
        return None, False
    if told is not None:
        return told, True
    return (_number_in(os.path.basename(path)), True) if _has_states(held) else (None, False)


def _is_told(path: str) -> bool:
    try:
        return _named(path) is not None or _told(path, frozenset(os.listdir(path))) is not None
    except (Broken, Unknown, OSError):
        return False


def _named(path: str) -> int | None:
    return None if _is_numbered_by_the_library(path) else names.step_of(os.path.basename(path))


def _is_numbered_by_the_library(path: str) -> bool:
    folder, name = os.path.split(path)
    return os.path.basename(folder) == OWN_FOLDER and OWN_NAME.fullmatch(name) is not None


def _told(path: str, held: frozenset[str]) -> int | None:
    """Raises Broken, Unknown, OSError."""
    for name in sorted(filter(CUSTOM.fullmatch, held)):
        step = state.step_in(state.top_of(os.path.join(path, name)))
        if step is not None:
            return step
    if "optimizer.bin" in held:
        return state.optimizer_steps(os.path.join(path, "optimizer.bin"))
    return None


def _number_in(name: str) -> int | None:
    found = NAME.fullmatch(name)
    return int(found[1]) if found is not None else None


# --- the parts -------------------------------------------------------------------------------------------------------


def _parts(path: str) -> Iterable[Part | Folder]:
    held = frozenset(os.listdir(path))
    if not held:
        raise Broken("it is empty")
    ranks = {int(found[1]) for name in held if (found := RANDOM.fullmatch(name))}
    is_alone = all(MODEL.fullmatch(name) or name.endswith(".json") for name in held)
    if not ranks and is_alone and not _is_numbered_by_the_library(path):
        raise Unknown("only a model is there: it was exported, or its save was broken off")
    if not ranks:
        raise Broken("random_states_0.pkl, which is written after all the rest, is not there")
    _refuse_gaps("random_states_{}.pkl", ranks)
    _refuse_gaps("custom_checkpoint_{}.pkl", {int(f[1]) for name in held if (f := CUSTOM.fullmatch(name))})
    for word in NUMBERED:
        _refuse_missing_first(word, held)
    if "scheduler.bin" in held and not any(map(_is_of_optimizer, held)):
        raise Broken("optimizer.bin is not there, though its scheduler is")
    if not _has_model(held):
        _refuse_a_lost_model(path)
    yield from _listed(path, held)


def _has_model(held: frozenset[str]) -> bool:
    return not held <= set(filter(_is_beside_the_model, held))


def _refuse_a_lost_model(path: str) -> None:
    """Where none of those beside it has a model either, a hook of the script keeps it elsewhere."""
    beside = list(map(_has_model, _siblings(path)))
    why = "no model is there: neither model.safetensors nor pytorch_model.bin"
    if any(beside):
        raise Broken(why)
    if not beside:
        raise Unknown(f"{why}, and there is no other save to compare it with")


def _siblings(path: str) -> Iterator[frozenset[str]]:
    for other, held in listing.folders(Path(path).parent).items():
        if other != path and _has_states(held):
            yield held


def _is_beside_the_model(name: str) -> bool:
    return any(kind.fullmatch(name) for kind in (RANDOM, CUSTOM, OPTIMIZER, BESIDE)) or name.startswith(
        "optimizer"
    )


def _refuse_gaps(name: str, numbers: set[int]) -> None:
    gaps = sorted(set(range(max(numbers, default=0))) - numbers)
    if gaps:
        raise Broken(f"{name.format(gaps[0])} is not there, though later ones are")


def _refuse_missing_first(word: str, held: frozenset[str]) -> None:
    kind = re.compile(rf"{word}(_\d+)?(\.safetensors|\.bin)")
    found = [each for name in held if (each := kind.fullmatch(name))]
    later = {int(each[1][1:]) for each in found if each[1]}
    missing = set(range(1, max(later, default=0))) - later
    if later and (missing or not any(each[1] is None for each in found)):
        first = f"_{min(missing)}" if missing else ""
        raise Broken(f"{word}{first}{found[0][2]} is not there, though later ones are")


def _listed(path: str, held: frozenset[str]) -> Iterator[Part | Folder]:
    for name in sorted(held):
        below = os.path.join(path, name)
        if not os.path.isdir(below):
            role = NEEDED if _is_known(name) else KNOWN
            yield Part(name, below, _weight if MODEL.fullmatch(name) else _no_weight, role)
        elif TAG.fullmatch(name) and deepspeed_folder.is_one(listing.names_in(below)):
            yield from deepspeed_folder.parts(below, None, name)
        elif SHARDS.fullmatch(name) or not os.path.islink(below):  # a link may lead anywhere
            yield from _below(path, name)


def _below(path: str, name: str) -> Iterator[Part | Folder]:
    """Shards of FSDP, or the model of a script that saves it by a hook of its own."""
    weighs = _no_weight if name.startswith("optimizer") else state.is_weight
    if SHARDS.fullmatch(name):
        yield Folder(name, os.path.join(path, name), weighs)
        return
    for folder, folders, files in listing.walk(os.path.join(path, name)):
        if dcp_folder.is_one(frozenset(files)):
            yield Folder(os.path.relpath(folder, path), folder, weighs)
            folders.clear()
            continue
        for each in files:
            file = os.path.join(folder, each)
            yield Part(os.path.relpath(file, path), file, weighs, KNOWN)


def _weight(name: str) -> bool:
    return True


def _no_weight(name: str) -> bool:
    """Moments of an optimizer and the like: what is not finite there is not what a run is rolled back for."""
    return False
