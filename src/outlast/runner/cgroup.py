"""A cgroup of the training's own, where this host lets us make one: nothing can leave it by forking or forgetting.

Version 2 only, and without controllers: it counts heads and limits nothing. Where it cannot be had, the census does
without.
"""

from __future__ import annotations

import os

from outlast.runner import census


def make(name: str) -> str | None:
    """A new one below our own, None if it cannot be had."""
    path = path_of(name)
    if path is None or not os.access(os.path.join(os.path.dirname(path), "cgroup.procs"), os.W_OK):
        return None
    remove(path)  # an attempt of this name may have died before it could say so
    try:
        os.mkdir(path)
    except OSError:
        return None
    return path


def path_of(name: str) -> str | None:
    ours = _own_folder()
    return None if ours is None else f"{ours}/outlast-{name}"


def remove(path: str) -> None:
    try:
        os.rmdir(path)
    except OSError:
        return  # the training made some of its own inside; they hold nobody


def _own_folder() -> str | None:
    mount = _mount_point((census.read("/proc/self/mountinfo") or b"").decode("utf-8", "surrogateescape"))
    own = (census.read("/proc/self/cgroup") or b"").decode("utf-8", "surrogateescape")
    for line in own.splitlines():
        if mount is not None and line.startswith("0::/") and ".." not in line:
            return f"{mount}{line[3:].rstrip('/')}"
    return None


def _mount_point(mountinfo: str) -> str | None:
    """Where version 2 is mounted, by proc(5) mountinfo."""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return left.split(" ")[4]
    return None
