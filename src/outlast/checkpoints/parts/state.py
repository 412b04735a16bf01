"""What trainings keep at the top of what they save with `torch.save`: the step, and which tensors are weights.

Knows the usual keys. Refuses to know frameworks.
"""

from typing import Any

from outlast.checkpoints.parts import torch_zip
from outlast.checkpoints.parts.reading import Deadline

STEP_KEYS = ("global_step", "step", "iter_num", "iteration", "iter", "num_updates", "steps")
LOOK_S = 10.0
NO_WEIGHTS = (
    "optim", "sched", "callback", "loop", "rng", "random", "scaler", "metric", "hyper", "hparam", "args", "config",
    "history", "lr", "loss", "best",
)  # fmt: skip


def top_of(path: str) -> dict[Any, Any]:
    """What was saved, if it is a mapping. Raises Broken, Unknown, OSError."""
    with torch_zip.opened(path, Deadline(LOOK_S)) as found:
        return found.said if isinstance(found.said, dict) else {}


def step_in(top: dict[Any, Any]) -> int | None:
    steps = [top[key] for key in STEP_KEYS if type(top.get(key)) is int]
    return steps[0] if steps and steps[0] >= 0 else None


def is_weight(name: str) -> bool:
    """By the key at the top: moments of an optimizer, and scalars of callbacks that are infinite at first, are none."""
    return not any(word in name.lower().partition(".")[0] for word in NO_WEIGHTS)
