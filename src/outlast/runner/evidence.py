"""What can be told of an end besides its status: what it cost, whether the kernel's out-of-memory killer acted, what
stood still where.

Knows cgroup counters, rusage and /proc. Refuses to conclude anything: these are hints.
"""

from __future__ import annotations

import resource

from outlast.runner import census

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

STANDING_MAX = 4
ROOT_V2, ROOT_V1 = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"


class OomCount:
    """How often the out-of-memory killer has acted in our cgroup (v2, else v1) since this was made."""

    def __init__(self) -> None:
        self._path, self._key = _counter()
        self._before = self._read()

    def rose_by(self) -> int | None:
        """None: no such counter here."""
        now = self._read()
        return None if now is None or self._before is None else max(0, now - self._before)

    def _read(self) -> int | None:
        if self._path is None:
            return None
        return _value(census.read(self._path), self._key)


def _counter() -> tuple[str | None, bytes]:
    """The file that counts for our cgroup, and the key in it."""
    for line in (census.read("/proc/self/cgroup") or b"").decode("utf-8", "surrogateescape").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            name, root, key = "memory.events", ROOT_V2, b"oom_kill"
        elif "memory" in controllers.split(","):
            name, root, key = "memory.oom_control", ROOT_V1, b"oom_kill"
        else:
            continue
        for folder in (f"{root}{path.rstrip('/')}", root):  # in a container the path is the host's
            if _value(census.read(f"{folder}/{name}"), key) is not None:
                return f"{folder}/{name}", key
    return None, b""


def _value(body: bytes | None, key: bytes) -> int | None:
    for line in (body or b"").splitlines():
        name, _, number = line.partition(b" ")
        if name == key and number.isdigit():
            return int(number)
    return None


def cost(usage: resource.struct_rusage | None) -> dict[str, Any]:
    """What wait4(2) says of the first process and all that it waited for."""
    if usage is None:
        return {"max_rss_bytes": None, "cpu_s": None}
    return {"max_rss_bytes": usage.ru_maxrss << 10, "cpu_s": round(usage.ru_utime + usage.ru_stime, 3)}


def standing(pids: Iterable[int]) -> list[str]:
    """Where the processes of a hang stand, by the kernel's word; read without touching them."""
    found = []
    for pid in list(pids)[:STANDING_MAX]:
        where = (census.read(f"/proc/{pid}/wchan") or b"").decode("ascii", "replace")
        state = census.state(pid)
        if state:
            at = f" in {where}" if where not in ("", "0") else ""
            found.append(f"process {pid} ({census.name(pid)}) state {state}{at}")
    return found
