"""A folder that DeepSpeed wrote for one tag: states of the model, and with ZeRO each rank's part of the optimizer.

    mp_rank_MM_model_states.pt                           stages 0 to 2, one for each model-parallel rank
    zero_pp_rank_D_mp_rank_MM_model_states.pt            stage 3, one for each data-parallel rank as well
    [bf16_]zero_pp_rank_D_mp_rank_MM_optim_states.pt     stages 1 to 3
    layer_LL-..., layer_LL_expert_EE_..., expp_rank_...  pipelines and mixtures of experts
    ../latest                                            the tag, written last by rank 0

Format: deepspeed.runtime.engine (save_checkpoint, _get_ckpt_name, _get_rank_zero_ckpt_name). The states of the model
tell how many ranks saved (`dp_world_size`, `mp_world_size`; a shard group of MiCS instead of all, if its size is
configured), and by `param_shapes` that the optimizer lies in files of its own (_common_checkpoint_state).

Knows which files belong together. Refuses to know whose it is: a training's own, or a part of a checkpoint of Hugging
Face or Accelerate.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from outlast.checkpoints.parts import state
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.listing import Part

LATEST, LATEST_MAX = "latest", 4096
STATES = re.compile(
    r"(?P<zero>(?P<prefix>(?:bf16_|fp16_)?)zero_pp_rank_(?P<dp>\d+)_)?mp_rank_(?P<mp>\d+)_(?P<what>model|optim)_states\.pt"
)
OTHERS = re.compile(r"(?:layer|expp_rank|expert)_.*_states\.pt")
SHOWN = 3


def is_one(names: frozenset[str]) -> bool:
    return any(STATES.fullmatch(name) for name in names)


def tagged(path: str) -> str:
    """The folder that `latest` in `path` names, by which DeepSpeed finds it. Raises Broken, OSError."""
    tag = tag_in(path)
    if tag is None:
        raise Broken(f"{LATEST}, by which DeepSpeed finds its states, is not there")
    if not tag:
        raise Broken(f"{LATEST} is empty")
    if not os.path.isdir(os.path.join(path, tag)):
        raise Broken(f"{LATEST} names {tag[:99]}, which is not there")
    return tag


def tag_in(path: str) -> str | None:
    """What `latest` says; None: there is none. Raises Broken, OSError."""
    try:
        with open(os.path.join(path, LATEST), encoding="utf-8") as file:
            return file.read(LATEST_MAX).strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise Broken(f"{LATEST} is no text") from error


def parts(path: str, step: int | None, above: str = "") -> Iterator[Part]:
    """`step`: what the name tells, if it is DeepSpeed's own. `above`: the name of the folder, for people. Raises
    Broken, Unknown, OSError."""
    names = frozenset(os.listdir(path))
    told = _told(path, names)
    _check_step(told, step)
    missing = _missing(names, told)
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        are = "is" if len(missing) == 1 else "are"
        raise Broken(
            f"{', '.join(os.path.join(above, each) for each in missing[:SHOWN])}{more} {are} not there"
        )
    for name in sorted(names):
        if STATES.fullmatch(name) or OTHERS.fullmatch(name):
            yield Part(os.path.join(above, name), os.path.join(path, name), is_weight)


def step_in(path: str) -> int | None:
    """That of the engine. None: it cannot be read. Raises OSError."""
    return _number(_told(path, frozenset(os.listdir(path))), "global_steps")


def is_weight(name: str) -> bool:
    """Under ZeRO the weights that count are the optimizer's, in float32 and cut into parts."""
    return name.startswith("module.") or "fp32" in name


def _told(path: str, names: frozenset[str]) -> dict[Any, Any]:
    """What the first states of the model say; nothing, where they cannot be read: whoever checks them says why."""
    for name in sorted(names):
        found = STATES.fullmatch(name)
        if found is not None and found["what"] == "model":
            try:
                return state.top_of(os.path.join(path, name))
            except (Broken, Unknown):
                continue
    return {}


def _check_step(told: dict[Any, Any], step: int | None) -> None:
    """Raises Unknown. A loop that names its tags itself may count by its own `iteration`."""
    steps = [each for key in ("global_steps", *state.STEP_KEYS) if (each := _number(told, key)) is not None]
    if step is not None and steps and step not in steps:
        raise Unknown(f"its name says step {step}, and the states of the model say {steps[0]}")


def _missing(names: frozenset[str], told: dict[Any, Any]) -> list[str]:
    """Files without which those that are there cannot be loaded. Raises Broken: no states of a model."""
    found = [each for name in names if (each := STATES.fullmatch(name))]
    models = [each for each in found if each["what"] == "model"]
    optimizers = [each for each in found if each["what"] == "optim"]
    if not models:
        raise Broken(
            "neither mp_rank_00_model_states.pt nor zero_pp_rank_0_mp_rank_00_model_states.pt is there"
        )
    ways = _count((each["mp"] for each in found), _number(told, "mp_world_size"))
    ranks = _count((each["dp"] for each in found if each["dp"]), _partitions(told))
    prefix = optimizers[0]["prefix"] if optimizers else ""
    wanted = []
    for way in range(ways):
        if any(each["zero"] for each in models):
            wanted += [f"zero_pp_rank_{rank}_mp_rank_{way:02d}_model_states.pt" for rank in range(ranks)]
        else:
            wanted.append(f"mp_rank_{way:02d}_model_states.pt")
        if optimizers or told.get("param_shapes") is not None:
            wanted += [
                f"{prefix}zero_pp_rank_{rank}_mp_rank_{way:02d}_optim_states.pt" for rank in range(ranks)
            ]
    return [name for name in wanted if name not in names]


def _count(ranks: Iterable[str], told: int | None) -> int:
    """As many as are told, or reach to the last that is there: the world may have been larger once."""
    return told or 1 + max(map(int, ranks), default=0)


def _partitions(told: dict[Any, Any]) -> int | None:
    config = told.get("ds_config")
    zero = config.get("zero_optimization") if isinstance(config, dict) else None
    group = _number(zero, "mics_shard_size") if isinstance(zero, dict) else None
    return group or _number(told, "dp_world_size")


def _number(told: dict[Any, Any], key: str) -> int | None:
    value = told.get(key)
    return value if type(value) is int and value >= 0 else None
