"""A rank's own side of the shared page: its layout, and how a training comes to one. `disk/heartbeat` is the reader.

    offset  who writes  what
       0    rank, once  magic, version, rank, world size, pid, start ticks, boot id
     256    rank        mark, shift, loss, mark again: rewritten when the count of steps jumps (loss: at each beat)
     288    rank        beats: one more at each step, as a double; the step is shift + beats
     296    rank        mark once more
     320    rank        total steps, first step, section, last word, step of the last word
     384    rank        stop flag: 0 never read, 1 read, 2 obeyed
     512    runner      want (0 run, 1 stop), stop_at: the step at which `should_stop` turns true

A beat is two stores of eight aligned bytes, loss and then beats, so nothing of it can be torn; a look between the
two sees the loss of the next step. A jump writes the marks around what it changes, the reader wants them equal, and
at worst sees the step before the one that was jumped to. All numbers are little-endian. The reader stamps the time.

A file that somebody truncates under its mapping kills the writer with SIGBUS, and so does a hole of a full tmpfs.
So the page is no file of a file system: it is a memfd sealed against shrinking, and its name in the heartbeat
folder is a symbolic link to `/proc/PID/fd/N`. It ends with its process; `leave` puts a plain copy under the name.
Where there is no memfd or no /proc there is no page.

Imported by every training: nothing here may import more than the interpreter has loaded anyway.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct

BYTES = 4096
MAGIC, VERSION = b"OUTLAST1", 1
IDENTITY = struct.Struct("<8sIIIIQQ36s")
IDENTITY_AT = 0
BEAT = struct.Struct("<qqdq")  # mark, shift, loss (NaN: none), mark
BEAT_AT = 256
LOSS_AT = 272  # the loss in it
BEATS = struct.Struct("<d")
BEATS_AT = 288
END_MARK = struct.Struct("<q")
END_MARK_AT = 296
FACTS = struct.Struct("<qqqqq")  # total (-1: unknown), first step (-1), section, last word, its step
FACTS_AT = 320
FLAG = struct.Struct("<q")
FLAG_AT = 384
WANT = struct.Struct("<qq")  # want, stop_at
WANT_AT = 512

RUNNING, STOPPED, DONE, DO_NOT_RESTART = range(4)
WORDS = ("running", "stopped", "done", "do-not-restart")
NEVER_READ, READ, OBEYED = range(3)
NO_STOP = 1 << 62

MEMFD_PREFIX = "outlast-"
_FILE_MODE = 0o600
_F_ADD_SEALS, _SEAL_SHRINK, _SEAL_GROW = 1033, 2, 4  # linux/fcntl.h; not in every build's `fcntl`
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2


class Mapped(mmap.mmap):
    """The page in this process. `fd` is the memfd that its name points to."""

    fd: int


def create(path: str) -> Mapped:
    """Make and map a rank's page under a name that ends in our pid. Raises OSError, or AttributeError or ImportError
    where this system has no such thing.

    What has that name already is of an earlier program of this process (exec), and gives way.
    """
    fd = _sealed_memory(os.path.basename(path))
    try:
        mapped = Mapped(fd, BYTES)
        mapped.fd = fd
        WANT.pack_into(mapped, WANT_AT, 0, NO_STOP)
        publish(mapped, path)
    except BaseException:
        os.close(fd)
        raise
    return mapped


def publish(mapped: Mapped, path: str) -> None:
    """Give the page its name (again, after `leave`). Raises OSError."""
    _make_way(path)
    os.symlink(_proc_name(mapped.fd), path)


def leave(mapped: Mapped, path: str) -> None:
    """Put a copy in the place of the link, for whoever looks first when this process is gone. Raises OSError.

    A full tmpfs keeps the link: who had opened the page before reads its last state.
    """
    try:
        fd = _new_file(path)
        try:
            if os.write(fd, mapped[:]) != BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        finally:
            os.close(fd)
    except OSError:
        publish(mapped, path)
        raise


def sign(mapped: mmap.mmap, rank: int, world: int) -> None:
    """Write who we are; from now on the page is one. Raises OSError."""
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        boot = file.read().strip()
    IDENTITY.pack_into(mapped, IDENTITY_AT, b"", VERSION, rank, world, 0, os.getpid(), ticks, boot)
    mapped[IDENTITY_AT : IDENTITY_AT + len(MAGIC)] = MAGIC  # last: who reads it reads all of it


def _sealed_memory(name: str) -> int:
    import fcntl  # not on Windows, where a training must be able to import us

    fd = _memfd_create(MEMFD_PREFIX + name)
    try:
        os.posix_fallocate(fd, 0, BYTES)
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEAL_SHRINK | _SEAL_GROW)
        if os.stat(_proc_name(fd)).st_ino != os.fstat(fd).st_ino:
            raise OSError(errno.ENOENT, "/proc shows other processes than ours")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _memfd_create(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, _MFD_CLOEXEC | _MFD_ALLOW_SEALING)
    import ctypes  # a Python built on an older C library than it runs on (conda) has it only there

    fd = int(ctypes.CDLL(None, use_errno=True).memfd_create(name.encode(), _MFD_CLOEXEC | _MFD_ALLOW_SEALING))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "memfd_create")
    return fd


def _new_file(path: str) -> int:
    _make_way(path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)


def _make_way(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _proc_name(fd: int) -> str:
    return f"/proc/{os.getpid()}/fd/{fd}"
