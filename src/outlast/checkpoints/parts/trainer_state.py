"""What the Hugging Face Trainer says of itself in `trainer_state.json`: its step, its last one, and whether it was
stopped between the two.

`stateful_callbacks` holds what its callbacks and its control want to keep (transformers.TrainerState). A stop by signal
(`enable_jit_checkpoint`) sets `should_training_stop` before it saves; so do callbacks that end a training early, of
which only early stopping says so. Refuses to know what lies beside that file.
"""

from typing import Any, NamedTuple

from outlast.checkpoints.parts import one_file
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline

CONTROL, EARLY_STOPPING = "TrainerControl", "EarlyStoppingCallback"


class Told(NamedTuple):
    """`total` None: it does not say. `cut`: stopped there, before its last step, and not for being good enough."""

    step: int | None = None
    total: int | None = None
    cut: bool = False


def told(path: str, deadline: Deadline) -> Told:
    """Nothing of what cannot be read or is of another shape."""
    try:
        state = one_file.json_of(path, deadline)
    except (Broken, Unknown, OSError):
        return Told()
    if not isinstance(state, dict):
        return Told()
    step, total = _count(state.get("global_step")), _count(state.get("max_steps"))
    stopped = _of(state, CONTROL, "args").get("should_training_stop") is True
    is_short = step is not None and total is not None and step < total
    return Told(step, total, stopped and is_short and not _was_good_enough(state))


def _was_good_enough(state: dict[str, Any]) -> bool:
    patience = _count(_of(state, EARLY_STOPPING, "args").get("early_stopping_patience"))
    waited = _count(_of(state, EARLY_STOPPING, "attributes").get("early_stopping_patience_counter"))
    return patience is not None and waited is not None and waited >= patience


def _of(state: dict[str, Any], callback: str, kind: str) -> dict[str, Any]:
    """Of the only callback of that name: several of one kind are a list."""
    found: Any = state
    for name in ("stateful_callbacks", callback, kind):
        found = found[0] if isinstance(found, list) and found else found
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
