"""Whether a training died because its disk was full: by its own last words, and by what the file system of its
checkpoints has left. Looked at in a child, for that may lie on a server that does not answer.

Knows errno's words and statvfs. Refuses to conclude anything: what follows is decided by the ring.
"""

from __future__ import annotations

import os
import time

from outlast.disk import files
from outlast.errors import WorldError
from outlast.runner import beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from outlast.disk.layout import RunFolder

WITHIN_S = 5.0
TAIL_BYTES = 64 << 10
STEPS = 3
LEAST_BYTES = 1 << 20  # where no checkpoint tells how much it takes
# As Python, Rust (safetensors) and C++ (torch, which sometimes says only that it could not write) say it.
FULL = (b"No space left on device", b"os error 28", b"[Errno 28]")
QUOTA = (b"Disk quota exceeded", b"os error 122", b"[Errno 122]")
UNWRITTEN = (b"PytorchStreamWriter failed writing", b". unexpected pos ")


def look(root: str, run: RunFolder, read: Callable[[int, int], bytes], size: int) -> dict[str, Any] | None:
    """The record of a Room; None: nothing speaks for it. `read`: so many bytes of the output from an offset, of `size`
    in all."""
    tail = read(max(0, size - TAIL_BYTES), TAIL_BYTES)
    kinds = (("quota", QUOTA), ("full", FULL), ("unwritten", UNWRITTEN))
    said = next((kind for kind, words in kinds if any(word in tail for word in words)), "")
    needs = _needs(run)
    room = _room(root)
    if room is None:
        return _record(said, root, needs, None, None) if said in ("full", "quota") else None
    free, inodes = room
    is_short = free < needs or inodes == 0
    if not is_short and said not in ("full", "quota"):
        return None
    return _record(said, root, needs, free, inodes)


def _record(said: str, root: str, needs: int, free: int | None, inodes: int | None) -> dict[str, Any]:
    return {"type": "Room", "said": said, "root": root, "needs": needs, "free": free, "inodes": inodes}


def _needs(run: RunFolder) -> int:
    """For the next checkpoint: the most that one of the newest steps took, with all its files, and a fifth."""
    took: dict[object, int] = {}
    try:
        for row in (files.read(run.verified) or {}).get("checkpoints") or []:
            took[row.get("step")] = took.get(row.get("step"), 0) + int(row.get("bytes") or 0)
        return max(LEAST_BYTES, max(list(took.values())[:STEPS], default=0) * 6 // 5)
    except (WorldError, ValueError, AttributeError):
        return LEAST_BYTES


def _room(root: str) -> tuple[int, int] | None:
    """(bytes, inodes) that are free for us there or, where it is not there yet, above it. -1 inodes: it has none."""

    def work(say: beside.Say) -> None:
        path = root
        while not os.path.isdir(path) and os.path.dirname(path) != path:
            path = os.path.dirname(path)
        found = os.statvfs(path)
        say(f"{found.f_bavail * found.f_frsize} {found.f_favail if found.f_files else -1}".encode())

    try:
        child = beside.Child(work)
    except OSError:
        return None
    said = beside.until(child, time.monotonic() + WITHIN_S)
    if not said:
        return None
    free, _, inodes = said[-1].partition(b" ")
    return int(free), int(inodes)
