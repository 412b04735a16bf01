"""A rank's own side of the shared page: its layout, and how a training comes to one. `disk/heartbeat` is the reader.

    offset  who writes  what
       0    rank, once  magic, version, rank, world size, pid, start ticks, boot id
     256    rank        lap: mark, base, shift, cells of the lap before that can still be read, loss
     384    rank        total steps, first step, last word, step of the last word, beats before this training's own
     448    rank        stop flag: 0 never read, 1 read, 2 obeyed
     456    rank        1 while `track` waits for the training's data
     512    runner      want (0 run, 1 stop), stop_at: the step at which `should_stop` turns true
     576    runner      how many beats, and how many values, it has taken
     640    rank        values written, names known, values that had no room for their name
     704    rank        newest checkpoint: serial, step, bytes of its path
     768    rank        sections open (also those deeper than eight), then eight of: serial, limit in s, name
    4096    rank        the path of the newest checkpoint
    8192    rank        losses: 2048 cells of this lap
   24576    rank        and those of the lap before
   40960    rank        names of values: 128 of a length and up to 47 bytes
   49152    rank        values: a ring of 2048 of (step and name's number, value)

A beat is one store of eight aligned bytes: the loss of that step into the next cell of the lap. How many cells of the
lap are filled is how many steps were done since `base`; so step and loss are never torn from each other, and each
step's loss can still be read for a while. A cell that waits is all ones, which is a NaN that no computation makes; a
step without a loss (NO_LOSS) and one whose loss is still on its way (PENDING) are two more such. A loss that is NaN is
any other. When a lap is full, or the number of the step jumps, a new lap begins; a full one is kept beside it, so that
no look misses a loss. step = shift + base + filled cells.

All but cells and the three single words (flag, waiting, values written) is written between two changes of the mark:
odd while something changes. The reader wants it even and equal before and after its copy. A value is on the page
before their count is. All numbers are little-endian. The reader stamps the time.

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

BYTES = 81920
MAGIC, VERSION = b"OUTLAST1", 2
IDENTITY = struct.Struct("<8sIIIIQQ36s")
IDENTITY_AT = 0
RANK = struct.Struct("<II")  # of the identity: rank, world size
RANK_AT = 12
MARK = struct.Struct("<q")
MARK_AT = 256
LAP = struct.Struct("<qqqd")  # base, shift, cells of the lap before, last loss before this lap (or NO_LOSS)
LAP_AT = 264
FACTS = struct.Struct("<qqqq")  # total (-1: unknown), first step (-1), last word, its step
FACTS_AT = 384
BEGUN = struct.Struct("<q")  # beats of other trainings of this process
BEGUN_AT = 416
FLAG = struct.Struct("<q")
FLAG_AT = 448
WAITING = struct.Struct("<q")
WAITING_AT = 456
WANT = struct.Struct("<qq")  # want, stop_at
WANT_AT = 512
TAKEN = struct.Struct("<qq")  # beats, values
TAKEN_AT = 576
WRITTEN = struct.Struct("<q")
WRITTEN_AT = 640
NAMES = struct.Struct("<qq")  # known, values without room for their name
NAMES_AT = 648
SAVED = struct.Struct("<qqq")  # serial (0: none), step, bytes of the path
SAVED_AT = 704
DEPTH = struct.Struct("<q")
DEPTH_AT = 768
SECTION = struct.Struct("<qdB31s")  # serial, limit in s (NaN: none of its own), bytes of the name, name
SECTIONS_AT, SECTIONS_MAX, SECTION_NAME_MAX = 776, 8, 31
HEAD_BYTES = SECTIONS_AT + SECTIONS_MAX * SECTION.size
PATH_AT, PATH_MAX = 4096, 4096
CELL = struct.Struct("<d")
LOSSES_AT, LAP_CELLS = 8192, 2048
LAP_BYTES = LAP_CELLS * CELL.size
BEFORE_AT = LOSSES_AT + LAP_BYTES
NAME = struct.Struct("<B47s")
NAMES_LIST_AT, NAMES_MAX, NAME_MAX = BEFORE_AT + LAP_BYTES, 128, 47
VALUE = struct.Struct("<qd")  # step << 8 | number of the name, value
VALUES_AT, VALUES_MAX = 49152, 2048

EMPTY_CELL = b"\xff" * 8
NO_LOSS, PENDING = b"\x01" + b"\xff" * 7, b"\x02" + b"\xff" * 7

RUNNING, STOPPED, DONE, DO_NOT_RESTART, LEFT = range(5)  # LEFT: the training is over, and how is not known
WORDS = ("running", "stopped", "done", "do-not-restart", "left")
NEVER_READ, READ, OBEYED = range(3)
NO_STOP = 1 << 62

MEMFD_PREFIX = "outlast-"
_FILE_MODE = 0o600
_HIGH_FD = 200  # beyond the numbers that a program closes or takes because it believes that they are its own
_F_ADD_SEALS, _SEAL_SHRINK, _SEAL_GROW = 1033, 2, 4  # linux/fcntl.h; not in every build's `fcntl`
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2


class Mapped(mmap.mmap):
    """The page in this process. `fd` is the memfd that its name points to, `file` that one's device and inode."""

    fd: int
    file: tuple[int, int]


def create(path: str) -> Mapped:
    """Make and map a rank's page under a name that ends in our pid. Raises OSError, or AttributeError or ImportError
    where this system has no such thing.

    What has that name already is of an earlier program of this process (exec), and gives way.
    """
    fd = _sealed_memory(os.path.basename(path))
    try:
        mapped = Mapped(fd, BYTES)
        mapped.fd, mapped.file = fd, _file(fd)
        clear(mapped)
        publish(mapped, path)
    except BaseException:
        os.close(fd)
        raise
    return mapped


def clear(memory: mmap.mmap) -> None:
    """Make new memory a page on which nothing happened yet."""
    WANT.pack_into(memory, WANT_AT, 0, NO_STOP)
    FACTS.pack_into(memory, FACTS_AT, -1, -1, RUNNING, 0)
    memory[LAP_AT + LAP.size - 8 : LAP_AT + LAP.size] = NO_LOSS
    memory[LOSSES_AT:BEFORE_AT] = EMPTY_CELL * LAP_CELLS


def let_go(mapped: Mapped) -> None:
    """Close its descriptor, in a forked child; unless the training has closed it, and the number is another's."""
    try:
        if _file(mapped.fd) == mapped.file:
            os.close(mapped.fd)
    except OSError:
        return


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

    fd = _moved_up(_memfd_create(MEMFD_PREFIX + name))
    try:
        os.posix_fallocate(fd, 0, BYTES)
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEAL_SHRINK | _SEAL_GROW)
        if os.stat(_proc_name(fd)).st_ino != os.fstat(fd).st_ino:
            raise OSError(errno.ENOENT, "/proc shows other processes than ours")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _moved_up(fd: int) -> int:
    import fcntl

    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
    except OSError:
        return fd  # there are no such numbers here
    os.close(fd)
    return high


def _file(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


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
