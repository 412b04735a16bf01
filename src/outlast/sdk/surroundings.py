"""What the environment says to a training: which rank it is, what to resume from, where its page belongs.

Knows the variables of outlast and of the launchers. Refuses to know what is done with them.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# The first launcher that says a rank rules: torchrun and its kin, Slurm, Open MPI, MPICH, one node's own count.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),
)


def rank_and_world(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(0, 1) if nobody says."""
    for rank_name, world_name in LAUNCHERS:
        rank = whole(environ.get(rank_name))
        if rank is not None:
            return rank, max(whole(environ.get(world_name)) or 1, rank + 1)
    return 0, 1


def counted_by_torch() -> tuple[int, int] | None:
    """Rank and world size, if torch's processes have counted each other already. No collective, and no import."""
    distributed: Any = sys.modules.get("torch.distributed")
    try:
        if distributed is not None and distributed.is_available() and distributed.is_initialized():
            rank, world = int(distributed.get_rank()), int(distributed.get_world_size())
            return (rank, world) if 0 <= rank < world < 1 << 31 else None
    except Exception:  # noqa: BLE001 - in the middle of its import, or not ours to ask
        return None
    return None


def supervised(environ: Mapping[str, str] = os.environ) -> bool:
    return bool(environ.get("OUTLAST_RUN_ID") or environ.get("OUTLAST_HEARTBEAT"))


def checkpoint(environ: Mapping[str, str] = os.environ) -> str | None:
    """The verified checkpoint to resume from, None from scratch."""
    return environ.get("OUTLAST_RESUME_FROM") or None


def whole(word: str | None) -> int | None:
    """A whole number from 0 to 2^31 - 1, or None."""
    if word is None or not (word.isascii() and word.isdigit()):
        return None
    number = int(word[:12])
    return number if number < 1 << 31 else None
