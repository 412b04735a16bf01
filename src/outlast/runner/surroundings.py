"""What a training is given: its words, its environment, a free port.

Knows the variables that the interface promises. Refuses to know where they came from.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CHECKPOINT = "{checkpoint}"


def argv(order: Mapping[str, Any], checkpoint: str | None) -> list[str]:
    """The command, with the words for resuming only if there is something to resume from."""
    words: list[str] = list(order["argv"])
    if checkpoint is not None and order.get("resume"):
        words += order["resume"].get("args", ())
    return [word.replace(CHECKPOINT, checkpoint or "") for word in words]


def environment(
    caller: Mapping[str, str],
    order: Mapping[str, Any],
    *,
    attempt_dir: str,
    run_dir: str,
    heartbeat: str,
    resume: tuple[str | None, int | None],
) -> dict[str, str]:
    """The caller's environment, then the order's, then ours; what a person may want otherwise only where unset."""
    checkpoint, step = resume
    run, n, target = order["attempt"]["run"], order["attempt"]["n"], order.get("target_step")
    env = {**caller, **{name: value.replace(CHECKPOINT, checkpoint or "") for name, value in order["env"]}}
    env |= {
        "OUTLAST_RUN_ID": run,
        "OUTLAST_ATTEMPT": str(n),
        "OUTLAST_ATTEMPT_DIR": attempt_dir,
        "OUTLAST_RUN_DIR": run_dir,
        "OUTLAST_RESUME_FROM": checkpoint or "",
        "OUTLAST_RESUME_STEP": "" if step is None else str(step),
        "OUTLAST_TARGET_STEP": "" if target is None else str(target),
        "OUTLAST_ATTEMPT_TOKEN": f"{run}/{n}",
        "OUTLAST_HEARTBEAT": heartbeat,
    }
    unset = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "TORCHELASTIC_ERROR_FILE": f"{attempt_dir}/error.json",
        "WANDB_RUN_ID": run,
        "WANDB_RESUME": "allow",
    }
    if "MASTER_PORT" not in env:
        unset["MASTER_PORT"] = free_port()
    return {**unset, **env}


def free_port() -> str:
    """A TCP port that nobody listens on at this moment."""
    try:
        asking = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            asking.bind(("127.0.0.1", 0))
            return str(asking.getsockname()[1])
        finally:
            asking.close()
    except OSError:
        return "29500"
