"""The few calls of Linux that Python does not have: subreaper, death signal, holes in files, the status of a stranger.

Knows numbers of the kernel's headers. Refuses to fail: where a call is missing, its answer is False or None.
"""

from __future__ import annotations

import fcntl
import select
import struct

TYPE_CHECKING = False

try:
    import _ctypes  # all of ctypes weighs twice as much

    if TYPE_CHECKING:
        _Simple = _ctypes._SimpleCData[int]
    else:
        _Simple = _ctypes._SimpleCData

    class _Long(_Simple):
        _type_ = "L"

    class _LongLong(_Simple):
        _type_ = "q"

    _libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type,unused-ignore] # None: this program
    _found = {name: _ctypes.dlsym(_libc, name) for name in ("prctl", "fallocate64")}
except (ImportError, OSError, AttributeError):  # a Python, or a C library, without it
    _found = {}

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
KEEP_SIZE_AND_PUNCH_HOLE = 0x01 | 0x02  # linux/falloc.h
PIDFD_INFO_EXIT = 1 << 3  # linux/pidfd.h, Linux 6.15
PIDFD_INFO_BYTES = 64  # struct pidfd_info as it was first published; exit_code is its last word
PIDFD_GET_INFO = (3 << 30) | (PIDFD_INFO_BYTES << 16) | (0xFF << 8) | 11  # _IOWR(0xFF, 11, struct pidfd_info)
EXIT_CODE_AT = 60
NOT_YET = -1


def be_subreaper(on: bool = True) -> bool:
    """Orphans among our descendants become our children, and not those of pid 1."""
    return _prctl(PR_SET_CHILD_SUBREAPER, int(on))


def die_with_parent(number: int) -> bool:
    """Get signal `number` when the process that forked us dies."""
    return _prctl(PR_SET_PDEATHSIG, number)


def punch_hole(fd: int, offset: int, length: int) -> bool:
    """Give the blocks of a part of a file back to the disk; it reads as zeros from now on. False: not possible here."""
    if not _found:
        return False
    words = (fd, KEEP_SIZE_AND_PUNCH_HOLE, _LongLong(offset), _LongLong(length))
    return bool(_ctypes.call_function(_found["fallocate64"], words) == 0)


def _prctl(option: int, value: int) -> bool:
    words = (option, _Long(value), _Long(0), _Long(0), _Long(0)) if _found else ()
    return bool(words) and bool(_ctypes.call_function(_found["prctl"], words) == 0)


def status_of(pidfd: int, pid: int, start_ticks: int, within_s: float) -> int | None:
    """The wait status of a process that has ended and is not our child; None: nobody tells."""
    found = _zombie_status(pid, start_ticks)
    if found is None and _ask(pidfd) is not None:
        reaped = select.poll()
        reaped.register(pidfd, 0)  # hung up once its parent has reaped it (Linux 6.14)
        reaped.poll(within_s * 1000)
        found = _ask(pidfd)
        found = None if found == NOT_YET else found
    return found


def _ask(pidfd: int) -> int | None:
    """By PIDFD_GET_INFO (Linux 6.15); NOT_YET: not reaped; None: this kernel does not tell."""
    buffer = bytearray(struct.pack("<Q", PIDFD_INFO_EXIT).ljust(PIDFD_INFO_BYTES, b"\0"))
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    (mask,) = struct.unpack_from("<Q", buffer)
    return int(struct.unpack_from("<i", buffer, EXIT_CODE_AT)[0]) if mask & PIDFD_INFO_EXIT else NOT_YET


def _zombie_status(pid: int, start_ticks: int) -> int | None:
    """While nobody has reaped it, by the last field of proc(5) stat. Where we may not know it, that field is 0: so
    0 is no answer."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if int(fields[19]) != start_ticks or fields[0] not in (b"Z", b"X"):
        return None
    return int(fields[49]) or None
