"""Looking at /proc: one question about one process each, in as few calls as it takes.

Knows proc(5) and its corners: zombie leaders of living threads, processes in the middle of an exec, entries that may
not be read. Refuses to know what an attempt is.
"""

from __future__ import annotations

import os

from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK, READ_MAX = 64 << 10, 16 << 20
EXEC_LOOKS = 3  # at a process with neither environment nor command line: it may be in the middle of an exec
DEAD = ("Z", "X", "x")
PF_KTHREAD = 0x00200000  # linux/sched.h
EMPTY, ABSENT, PRESENT, UNREADABLE = range(4)


def pids() -> list[int]:
    """All that /proc shows, but ourselves. Raises WorldError."""
    me = str(os.getpid())
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != me]
    except OSError as error:
        raise WorldError(f"/proc: {error.strerror}") from error


def stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on, None if there is no such process."""
    body = read(f"/proc/{pid}/stat")
    return None if not body else body.rpartition(b")")[2].decode("ascii").split()


def start_ticks(pid: int) -> int | None:
    fields = stat(pid)
    return None if fields is None else int(fields[19])


def living(pid: int) -> int | None:
    """Its start ticks; None if it is gone or dead. A zombie whose other threads live is not dead."""
    fields = stat(pid)
    if fields is None or (fields[0] in DEAD and int(fields[17]) <= 1):
        return None
    return int(fields[19])


def state(pid: int) -> str:
    fields = stat(pid)
    return "" if fields is None else fields[0]


def name(pid: int) -> str:
    return (read(f"/proc/{pid}/comm") or b"?").strip().decode("utf-8", "replace")


def owner(pid: int) -> int | None:
    """Its real uid by `status`, which is readable also where the entry itself belongs to root."""
    for line in (read(f"/proc/{pid}/status") or b"").splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def mark_in(pid: int, mark: bytes) -> int:
    """Whether `mark` (with a NUL on each side) stands in its environment: PRESENT, ABSENT, UNREADABLE to us; EMPTY if
    that cannot be told now, because it is in the middle of an exec."""
    for _ in range(EXEC_LOOKS):
        found = _find(f"/proc/{pid}/environ", mark)
        if found != EMPTY:
            return found
        fields = stat(pid)
        if fields is None or int(fields[6]) & PF_KTHREAD:
            return ABSENT
        if fields[0] in DEAD:
            threads = [_find(f"/proc/{pid}/task/{tid}/environ", mark) for tid in _threads(pid)]
            return PRESENT if PRESENT in threads else ABSENT
        if read(f"/proc/{pid}/cmdline", 1):
            return ABSENT  # it was started with an empty environment
    return EMPTY


def descendants(root: int) -> set[int]:
    """All children of `root`, their children, and so on; dead ones too."""
    direct = _children(root)
    if direct is None:
        return _descendants_by_parent(root)
    found: set[int] = set()
    left = direct
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left.extend(_children(pid) or ())
    return found


def dead_children(parent: int) -> list[int]:
    """Its zombies."""
    direct = _children(parent)
    if direct is None:
        direct = [pid for pid in pids() if (fields := stat(pid)) is not None and int(fields[1]) == parent]
    return [pid for pid in direct if state(pid) in DEAD]


def cgroup_members(cgroup: str | None) -> set[int]:
    if cgroup is None:
        return set()
    return {int(word) for word in (read(f"{cgroup}/cgroup.procs") or b"").split() if word != b"0"}


def kill_cgroup(cgroup: str | None) -> None:
    """All at once, where the kernel can (5.14)."""
    if cgroup is not None:
        control(f"{cgroup}/cgroup.kill", b"1")


def control(path: str, body: bytes) -> bool:
    """Write to a control file of the kernel's. False: it cannot be done."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(fd, body)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def lock_holders(paths: Iterable[str]) -> set[int]:
    """Who has one of these files open as the very open file that holds a `flock` on it."""
    wanted = set()
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        wanted.add((found.st_dev, found.st_ino))
    return {pid for pid in pids() if _holds(pid, wanted)}


def _holds(pid: int, wanted: set[tuple[int, int]]) -> bool:
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for number in numbers:
        try:
            found = os.stat(f"/proc/{pid}/fd/{number}")
        except OSError:
            continue
        is_wanted = (found.st_dev, found.st_ino) in wanted
        if is_wanted and b"FLOCK" in (read(f"/proc/{pid}/fdinfo/{number}") or b""):
            return True
    return False


def _children(pid: int) -> list[int] | None:
    """None where this kernel has no such list."""
    found: list[int] = []
    for tid in _threads(pid):
        body = read(f"/proc/{pid}/task/{tid}/children")
        if body is None:
            if os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"):
                continue
            return None
        found.extend(int(word) for word in body.split())
    return found


def _descendants_by_parent(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid in pids():
        fields = stat(pid)
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(pid)
    found: set[int] = set()
    left = list(children.get(root, ()))
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left.extend(children.get(pid, ()))
    return found


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _find(path: str, mark: bytes) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return UNREADABLE
    except OSError:  # gone; or a zombie, whose other threads may live
        return EMPTY
    try:
        tail = first = b"\0"
        while body := os.read(fd, CHUNK):
            tail += body
            if mark in tail:
                return PRESENT
            tail = tail[-len(mark) :]
        return EMPTY if tail is first else ABSENT
    except PermissionError:
        return UNREADABLE
    except OSError:  # it died while we read
        return ABSENT
    finally:
        os.close(fd)


def read(path: str, limit: int = READ_MAX) -> bytes | None:
    """A file of the kernel's; it comes a page at a time."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        body = os.read(fd, min(limit, CHUNK))
        while len(body) < limit and (more := os.read(fd, CHUNK)):
            body += more
        return body
    except OSError:
        return None
    finally:
        os.close(fd)
