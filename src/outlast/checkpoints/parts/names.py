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
_BEING_MADE = re.compile(r"\.(?:tmp|incomplete|partial)[.\-_]|orbax-checkpoint-tmp")
_EXACT = re.compile(
    r"(?:epoch=?\d+-|ep\d+-)?(?:global_?step|step|checkpoint|ckpt|iter(?:ation)?|ba)[=_-]?\d{1,15}(?:-rank0)?(?:\.[a-z.]+)?",
    re.IGNORECASE,
)
_STATE_OF_OTHERS = re.compile(r"optim|sched|rng|random_states|scaler|sampler|ema", re.IGNORECASE)


def step_of(name: str) -> int | None:
    """The step that a checkpoint's name tells, None if it tells none."""
    numbers: list[str] = _STEP.findall(name)
    return int(numbers[-1]) if numbers else None


def is_unfinished(name: str) -> bool:
    """Hidden, or called what a saver calls it until it is whole."""
    return name.startswith(_STAGING) or name.endswith(_UNFINISHED) or bool(_BEING_MADE.search(name))


def is_exact(name: str) -> bool:
    """A step and nothing else: `checkpoint-500`, and not `checkpoint-500-merged` or `samples-step-500`."""
    return _EXACT.fullmatch(name) is not None


def is_beside_the_model(name: str) -> bool:
    """A file of an optimizer, of random states and the like, by its name."""
    return _STATE_OF_OTHERS.match(name) is not None
