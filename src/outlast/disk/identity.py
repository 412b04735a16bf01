"""Who a process is: (host, boot id, pid namespace, pid, start ticks). A bare pid is never an identity.

Knows /proc and pidfds. Refuses to know why anybody asks.
"""

from __future__ import annotations

import os
import signal as signals

from outlast.errors import WorldError

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any

    Identity = dict[str, Any]
else:
    Identity = dict  # {"host", "boot", "pid_ns", "pid", "start_ticks"}


def host() -> str:
    return os.uname().nodename


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def identity(pid: int | None = None) -> Identity:
    """Who `pid` (we, if None) is now. Raises WorldError if there is no such process."""
    pid = os.getpid() if pid is None else pid
    ticks = start_ticks(pid)
    if ticks is None:
        raise WorldError(f"process {pid}: gone")
    return {"host": host(), "boot": boot_id(), "pid_ns": pid_namespace(), "pid": pid, "start_ticks": ticks}


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third (state) on; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode("ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise WorldError(f"cannot look at process {pid}: {error.strerror}") from error


def start_ticks(pid: int) -> int | None:
    fields = stat_fields(pid)
    return None if fields is None else int(fields[19])


def here(process: Identity) -> bool:
    """Whether that process is, or was, one that our /proc can show."""
    return bool(process["boot"] == boot_id() and process["pid_ns"] == pid_namespace())


def alive(process: Identity) -> bool | None:
    """Whether it still runs; a zombie does not. None where our /proc cannot tell."""
    if process["boot"] != boot_id():
        return False if process["host"] == host() else None
    if process["pid_ns"] != pid_namespace():
        return None
    fields = stat_fields(process["pid"])
    if fields is None:
        return _hidden(process["pid"])
    return int(fields[19]) == process["start_ticks"] and fields[0] not in "ZX"


def _hidden(pid: int) -> bool:
    """Whether there is such a process though /proc does not show it to us (another user's, under hidepid)."""
    if pid < 1:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def open_pidfd(process: Identity) -> int | None:
    """A pidfd of exactly that process (start ticks compared after opening), None if it is gone or not here."""
    if not here(process):
        return None
    try:
        fd = os.pidfd_open(process["pid"])
    except (ProcessLookupError, OverflowError):
        return None
    except OSError as error:
        raise WorldError(f"cannot open process {process['pid']}: {error.strerror}") from error
    if start_ticks(process["pid"]) != process["start_ticks"]:
        os.close(fd)
        return None
    return fd


def send(process: Identity, number: int) -> bool:
    """Signal exactly that process. False if it is gone or not here."""
    fd = open_pidfd(process)
    if fd is None:
        return False
    try:
        signals.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return False
    except OSError as error:
        raise WorldError(f"cannot signal process {process['pid']}: {error.strerror}") from error
    finally:
        os.close(fd)
    return True
