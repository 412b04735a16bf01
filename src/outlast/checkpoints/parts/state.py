"""What trainings keep at the top of what they save with `torch.save`: the step, and which tensors are weights.

Knows the usual keys. Refuses to know frameworks.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from outlast.checkpoints.parts import tensors, torch_zip
from outlast.checkpoints.parts.reading import Deadline

STEP_KEYS = ("global_step", "step", "iter_num", "iteration", "num_updates")
STEP_OF_ADAM = re.compile(r"state\.\d+\.step")
TENSORS_LOOKED_AT = 256  # three for each parameter; all of them step together
LOOK_S = 10.0
NO_WEIGHTS = frozenset(
    "callbacks callback loops rng random scaler metrics metric hyper hparams args config history lr loss best".split()
)  # as the key at the top
OPTIMIZERS = ("optim", "sched")  # as the beginning of any key
WORDS = re.compile(r"[^a-zA-Z]+")


def top_of(path: str) -> dict[Any, Any]:
    """What was saved, if it is a mapping. Raises Broken, Unknown, OSError."""
    with torch_zip.opened(path, Deadline(LOOK_S)) as found:
        return found.said if isinstance(found.said, dict) else {}


def said_in(top: dict[Any, Any]) -> dict[str, int | None]:
    """Its keys, and the whole numbers among what they hold: all of it that a format asks for when it looks for
    candidates."""
    return {key: value if type(value) is int else None for key, value in top.items() if type(key) is str}


def step_in(top: Mapping[Any, Any]) -> int | None:
    """None also where an epoch stands beside it and nothing says that the step counts on through all of them."""
    for key in STEP_KEYS:
        step = top.get(key)
        if type(step) is int and step >= 0:
            return None if key != "global_step" and "epoch" in top else step
    return None


def optimizer_steps(path: str) -> int | None:
    """How often the optimizer of a saved state dict has stepped, where it counts: the kin of Adam does, SGD does not.
    Raises Broken, Unknown, OSError."""
    with torch_zip.opened(path, Deadline(LOOK_S)) as found:
        top = found.said if isinstance(found.said, dict) else {}
        held = top.get("state")
        counts = (
            [each.get("step") for each in held.values() if isinstance(each, dict)]
            if isinstance(held, dict)
            else []
        )
        steps = [each for each in counts if type(each) is int and each >= 0]
        for tensor in islice(tensors.tensors_in(top), TENSORS_LOOKED_AT):
            if STEP_OF_ADAM.fullmatch(tensor.name):
                steps += [int(each) for each in found.numbers(tensor) if each >= 0 and each.is_integer()]
    return max(steps, default=None)


def is_weight(name: str) -> bool:
    """By its keys: moments of an optimizer, and scalars of callbacks that are infinite at first, are none."""
    keys = [word for word in WORDS.split(name.lower()) if word]
    return not (keys and keys[0] in NO_WEIGHTS) and not any(key.startswith(OPTIMIZERS) for key in keys)
