"""How a file becomes true. The only module that links, renames, fsyncs or opens for writing.

Two kinds of file and no third: a door is made once (`make_once`) and permits; a derived file is replaced
(`replace`) and informs. A look may delay, it never allows.

Refuses to know what a record means.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time

from outlast.disk.record import Record as Record
from outlast.disk.record import decode as decode
from outlast.disk.record import encode as encode
from outlast.disk.record import fitting
from outlast.errors import Damaged, WorldError

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

DIRECTORY_MODE, FILE_MODE = 0o700, 0o600
RECORD_BYTES_MAX = 16 << 20


class Made:
    """What became of an exclusive creation: whose record stands there now. `fd`: the open file, if it is ours and was
    asked to stay locked."""

    __slots__ = ("fd", "ours", "record")

    def __init__(self, ours: bool, record: Record, fd: int | None) -> None:
        self.ours, self.record, self.fd = ours, record, fd


def make_once(path: str, record: Record, *, lock: bool = False) -> Made:
    """Create `path` whole and durable, or learn who did before.

    With `lock` the file is `flock`ed before it has its name, so that nobody ever sees it unlocked while we live.
    The record gets a `nonce`; a repeated LINK whose first answer was lost is recognised by it.
    Raises WorldError when it is not known whether the file stands: ask again until it is known.
    """
    record = {**record, "nonce": os.urandom(8).hex()}
    body = encode(record)
    temporary = _temporary(path)
    keep, fd = False, -1
    try:
        fd = _create(temporary)
        if lock:
            fcntl.flock(fd, fcntl.LOCK_EX)
        write_all(fd, body)
        os.fsync(fd)
        ours, standing = _link(temporary, path, record)
        _unlink_quietly(temporary)
        fsync_directory(os.path.dirname(path))
        keep = ours and lock
        return Made(ours, standing, fd if keep else None)
    except OSError as error:
        raise _cannot("create", path, error) from error
    finally:
        _unlink_quietly(temporary)
        if fd >= 0 and not keep:
            os.close(fd)


class Reserved:
    """Room for one record, taken before any deed, that becomes a door later even when the disk is full.

    The file system may still need room for the directory's new name; the name is a hard link beside an existing
    temporary name, which directories hold without growing in all but the rarest case.
    """

    BYTES = 4096

    def __init__(self, path: str) -> None:
        self.path = path
        self._temporary = _temporary(path)
        self._fd = -1
        try:
            self._fd = _create(self._temporary)
            write_all(self._fd, b" " * (self.BYTES - 1) + b"\n")
            os.fsync(self._fd)
        except OSError as error:
            _unlink_quietly(self._temporary)
            if self._fd >= 0:
                os.close(self._fd)
            raise _cannot("reserve room for", path, error) from error

    def make(self, record: Record) -> Made:
        """Fill the reserved room and give it its name, exclusively. A record over 4096 bytes loses its `hints`, then
        the ends of its longest words; what is longer still needs room on the disk, and is whole or not there."""
        record = {**record, "nonce": os.urandom(8).hex()}
        block = fitting(record, self.BYTES)[:-1].ljust(self.BYTES - 1) + b"\n"
        try:
            if os.pwrite(self._fd, block, 0) != len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(self._fd, len(block))
            os.fsync(self._fd)
            ours, standing = _link(self._temporary, self.path, record)
            fsync_directory(os.path.dirname(self.path))
            return Made(ours, standing, None)
        except OSError as error:
            raise _cannot("create", self.path, error) from error

    def late(self, path: str) -> None:
        """Leave the filled room under another name, beside the door that somebody else made first."""
        try:
            os.link(self._temporary, path)
        except OSError:
            return  # evidence only; the door that stands is the truth

    def release(self) -> None:
        _unlink_quietly(self._temporary)
        os.close(self._fd)


def replace(path: str, record: Record, *, durable: bool = True) -> None:
    """Write a derived record: it is seen either as it was or whole. Never for a door."""
    replace_bytes(path, encode(record), durable=durable)


def replace_bytes(path: str, body: bytes, *, durable: bool = True) -> None:
    replace_with(path, lambda file: file.write(body), durable=durable)


def replace_with(path: str, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """As `replace_bytes`, for what is too large for the memory: `write` gets the open file."""
    temporary = _temporary(path)
    try:
        with os.fdopen(_create(temporary), "wb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError as error:
        raise _cannot("write", path, error) from error
    finally:
        _unlink_quietly(temporary)  # gone already if it was renamed


def read(path: str) -> Record | None:
    """The record at `path`, None if there is none. Raises WorldError (unreadable) and Damaged (not a record)."""
    body = read_bytes(path)
    if body is None:
        return None
    return decode(body, path)


def read_bytes(path: str, limit: int = RECORD_BYTES_MAX) -> bytes | None:
    """Up to `limit` bytes of a regular file, None if there is none. More than that, or anything that is not a regular
    file (a link, a pipe, a folder), is Damaged."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
            raise Damaged(f"{path}: not a regular file") from error
        raise _cannot("read", path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Damaged(f"{path}: not a regular file")
        parts, left = [], limit + 1
        while left and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise _cannot("read", path, error) from error
    finally:
        os.close(fd)
    if not left:
        raise Damaged(f"{path}: larger than {limit} bytes")
    return b"".join(parts)


def make_directory(path: str, mode: int = DIRECTORY_MODE) -> None:
    """Make a directory and its missing parents, each entry durable in its parent."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        make_directory(parent, mode)
    try:
        os.mkdir(path, mode)
        fsync_directory(parent)
    except FileExistsError:
        if not os.path.isdir(path):
            raise WorldError(f"{path}: is in the way: a folder is needed there") from None
    except OSError as error:
        raise _cannot("make the folder", path, error) from error


def open_lock(path: str, *, make: bool = True) -> int:
    """Open (and if need be, unless not to be `make`d, make) a file to `flock`. The descriptor is not inherited."""
    try:
        how = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
        return os.open(path, how, FILE_MODE)
    except OSError as error:
        raise _cannot("open", path, error) from error


def try_lock(fd: int) -> bool:
    """Take an exclusive `flock` now, or say that somebody else has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise WorldError(f"flock: {error.strerror}") from error
    return True


def try_lock_patiently(fd: int, tries: int = 20) -> bool:
    """`try_lock`, again for half a second: those who only look hold a shared lock for a moment."""
    for _ in range(tries):
        if try_lock(fd):
            return True
        time.sleep(0.025)
    return False


def is_locked(path: str) -> bool | None:
    """Whether anybody holds an exclusive `flock` on `path`; None where there is no such file.

    The probe takes a shared lock for a moment: whoever wants the lock exclusively tries more than once.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot("look at", path, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise _cannot("look at the lock of", path, error) from error
    finally:
        os.close(fd)
    return False


def open_append(path: str) -> int:
    """Open a log to append to, made if need be. The descriptor is not inherited unless handed on."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    except OSError as error:
        raise _cannot("open", path, error) from error


def write_all(fd: int, body: bytes) -> None:
    """Write every byte. Raises OSError."""
    view = memoryview(body)
    while view:
        view = view[os.write(fd, view) :]


def move_to_trash(path: str, trash: str) -> str | None:
    """First half of a deletion: out of the way under a unique name, durably. None if there was nothing."""
    make_directory(trash)
    target = os.path.join(trash, f"{os.path.basename(path)}.{os.urandom(4).hex()}")
    try:
        os.rename(path, target)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _cannot("move to the trash", path, error) from error
    fsync_directory(os.path.dirname(path))
    fsync_directory(trash)
    return target


def move(path: str, target: str) -> None:
    """Rename durably, within one file system; nothing is overwritten. Raises WorldError."""
    if os.path.lexists(target):
        raise WorldError(f"{target} is there already: nothing is overwritten")
    try:
        os.rename(path, target)
    except OSError as error:
        raise _cannot("move", path, error) from error
    fsync_directory(os.path.dirname(target))
    fsync_directory(os.path.dirname(path))


def remove(path: str) -> None:
    """Remove one file whose removal a settled record explains. Gone already is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot("remove", path, error) from error


def fsync_directory(path: str) -> None:
    """Make the names in a directory durable. Raises WorldError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot("open the folder", path, error) from error
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some FUSE file systems know no fsync of a directory
            raise _cannot("make durable the folder", path, error) from error
    finally:
        os.close(fd)


def _link(temporary: str, path: str, record: Record) -> tuple[bool, Record]:
    try:
        os.link(temporary, path)
    except FileExistsError:
        standing = read(path)
        if standing is None:
            raise WorldError(f"{path}: was there a moment ago and cannot be seen now") from None
        return standing.get("nonce") == record["nonce"], standing
    return True, record


def _create(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def _temporary(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _unlink_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # a leftover temporary name is swept with its folder, and nobody reads it


def _cannot(what: str, path: str, error: OSError) -> WorldError:
    return WorldError(f"cannot {what} {path}: {error.strerror or error}")


def make_segment(path: str, line: bytes) -> int | None:
    """Create a journal segment whole and durable and keep it open to append; None if it was there before."""
    temporary = _temporary(path)
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise _cannot("create", path, error) from error
    made = kept = False
    try:
        write_all(fd, line)
        os.fsync(fd)
        try:
            os.link(temporary, path)
            made = True
        except FileExistsError:
            standing = read_bytes(path, 1 << 34)
            if standing is None:
                raise WorldError(f"{path}: was there a moment ago and cannot be seen now") from None
            made = standing[: len(line)] == line
        _unlink_quietly(temporary)
        fsync_directory(os.path.dirname(path))
        kept = made
        return fd if made else None
    except OSError as error:
        raise _cannot("create", path, error) from error
    finally:
        _unlink_quietly(temporary)
        if not kept:
            os.close(fd)


def append_durably(fd: int, block: bytes) -> None:
    """One write and one fdatasync. A short write is an error: nobody continues it. Raises OSError."""
    if os.write(fd, block) != len(block):
        raise OSError(errno.ENOSPC, "only part of the record could be written")
    os.fdatasync(fd)


def publish_directory(staging: str, path: str) -> None:
    """Give a finished directory its name. Fine if somebody else published the same name first."""
    try:
        os.rename(staging, path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise _cannot("publish", path, error) from error
    fsync_directory(os.path.dirname(path))
