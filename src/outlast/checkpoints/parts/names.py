"""Names of checkpoints: the step that one tells, and whether it is still being made.

    step-000125   checkpoint-500   global_step1000   step_7.pt   epoch=3-step=1200.ckpt   iter-42.safetensors   ep1-ba20

The runner reads the same in `checkpoint_steps`, with the standard library only; tests compare the two.
"""

import re

_STEP = re.compile(
    r"(?:global_?step|step|checkpoint|ckpt|iter(?:ation)?|(?<![a-z])ba)[=_-]?([0-9]{1,15})(?![0-9])",
    re.IGNORECASE,  # not the ba of mamba-130m; more digits are a date or a hash, no step
)
_STAGING, _UNFINISHED = (".", "tmp", "_tmp"), (".tmp", ".incomplete", ".partial", ".part", "-tmp")


def step_of(name: str) -> int | None:
    """The step that a checkpoint's name tells, None if it tells none."""
    numbers: list[str] = _STEP.findall(name)
    return int(numbers[-1]) if numbers else None


def is_unfinished(name: str) -> bool:
    """Hidden, or called what a saver calls it until it is whole."""
    return name.startswith(_STAGING) or name.endswith(_UNFINISHED)
