"""A cgroup of the training's own, where this host lets us make one: nothing leaves it by forking or forgetting.

Version 2 only, and without controllers: it counts heads and limits nothing. To move a process takes the kernel ten
milliseconds, so only a training that has lived for a moment is moved, by the runner, and never waits for it. Where it
cannot be had, the census does without.
"""

from __future__ import annotations

import os

from outlast.runner import census

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROUNDS = 5  # whoever was forked while we moved its parent is moved in the next


def plan(name: str) -> str | None:
    """Where `gather` will make one, below our own; None: it cannot be had."""
    ours = _own_folder()
    if ours is None or not os.access(f"{ours}/cgroup.procs", os.W_OK):
        return None
    return f"{ours}/outlast-{name}"


def gather(path: str, members: Callable[[], Iterable[int]]) -> None:
    """Move all members in that are where we are. Who was put elsewhere on purpose stays there."""
    remove(path)  # an attempt of this name may have died before it could
    try:
        os.mkdir(path)
    except OSError:
        return
    ours = _line_of("self")
    for _ in range(ROUNDS):
        outside = [pid for pid in members() if _line_of(str(pid)) == ours]
        moved = [census.control(f"{path}/cgroup.procs", str(pid).encode()) for pid in outside]
        if not any(moved):
            return


def remove(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # never made; or the training made some of its own inside, which hold nobody


def _own_folder() -> str | None:
    mount = _mount_point((census.read("/proc/self/mountinfo") or b"").decode("utf-8", "surrogateescape"))
    line = _line_of("self")
    if mount is None or line is None or ".." in line:
        return None
    return f"{mount}{line.rstrip('/')}"


def _line_of(pid: str) -> str | None:
    """The process's cgroup of version 2."""
    for line in (census.read(f"/proc/{pid}/cgroup") or b"").decode("utf-8", "surrogateescape").splitlines():
        if line.startswith("0::/"):
            return line[3:]
    return None


def _mount_point(mountinfo: str) -> str | None:
    """Where version 2 is mounted, by proc(5) mountinfo."""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return left.split(" ")[4]
    return None
