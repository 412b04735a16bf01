"""What a training is given: its words, its environment, a free port.

Knows the variables that the interface promises. Refuses to know where they came from.
"""

from __future__ import annotations

import os

from outlast.runner import census, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CHECKPOINT = "{checkpoint}"
DEFAULT_PORT, PORTS = 29500, (32768, 60999)  # of torch; of Linux
TABLE_MAX = 16 << 20


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
    if _injects(order):
        env |= injection.environment(env, os.getpid())
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


def _injects(order: Mapping[str, Any]) -> bool:
    """Unless a person said --no-inject."""
    return ("inject", "no") not in [tuple(pair) for pair in order.get("options") or ()]


def free_port() -> str:
    """A TCP port that nobody uses at this moment, of those that the kernel gives to whoever asks for any. By its
    tables: a runner need not carry a socket library for that."""
    first, last = _port_range()
    used: set[int] = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in (census.read(table, TABLE_MAX) or b"").splitlines()[1:]:
            used.add(int(line.split()[1].rpartition(b":")[2], 16))
    chance = int.from_bytes(os.urandom(4), "little")
    count = last - first + 1
    for step in range(count):
        candidate = first + (chance + step) % count
        if candidate not in used:
            return str(candidate)
    return str(DEFAULT_PORT)


def _port_range() -> tuple[int, int]:
    words = (census.read("/proc/sys/net/ipv4/ip_local_port_range") or b"").split()
    try:
        first, last = (int(word) for word in words)
    except ValueError:
        return PORTS
    return first, last
