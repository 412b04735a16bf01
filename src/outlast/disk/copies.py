"""A second copy of a file or a folder, on the same file system, as cheaply as that can do it; and the end of one.

    cloned    blocks are shared until somebody writes (FICLONE: XFS, Btrfs): safe whatever is written, and free
    linked    a second name of the same file: safe against deletion, not against who overwrites the file in place
    copied    all bytes

Nobody sees a copy that is not whole: it is made under another name and renamed. Refuses to know what is copied, and
why.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil

from outlast.disk import files
from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CLONED, LINKED, COPIED = "cloned", "linked", "copied"
WORST_FIRST = (COPIED, LINKED, CLONED)
FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
NOT_CLONED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)
NOT_LINKED = (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
PIECE = 8 << 20
SPARE = 3  # a copy of all bytes leaves room for two more of its size


class NoRoom(WorldError):
    """It could only be copied, and that is more than may be used."""


def duplicate(source: str, target: str, *, may_link: bool, copy_max: int, made_in: str | None = None) -> str:
    """How it was made, by its dearest part. `copy_max`: bytes that may be copied, of which three times as many must be
    free. `made_in`: the folder in which it gets its name only once it is whole (its own). Raises NoRoom, WorldError;
    then there is no `target`."""
    if os.path.lexists(target):
        raise WorldError(f"{target} is there already: nothing is overwritten")
    folder, name = os.path.split(target)
    for each in (folder, made_in or folder):
        files.make_directory(each)
    staging = os.path.join(made_in or folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    how = _Copying(folder, may_link, copy_max)
    try:
        how.all_of(source, staging)
        os.rename(staging, target)
    except OSError as error:
        raise WorldError(f"cannot copy {source} to {target}: {error.strerror or error}") from error
    finally:
        discard(staging)
    files.fsync_directory(folder)
    return how.dearest


def discard(path: str) -> str:
    """Delete a file or a folder with all that is in it; why something of it is left, "" if nothing is. Gone is fine."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return "" if not os.path.lexists(path) else f"{path}: it changed while it was deleted"
    except OSError as error:
        return f"{error.filename or path}: {error.strerror}"
    return ""


class _Copying:
    def __init__(self, folder: str, may_link: bool, copy_max: int) -> None:
        self._folder, self._may_link, self._copy_max = folder, may_link, copy_max
        self._is_allowed = False
        self.dearest = CLONED

    def all_of(self, source: str, target: str) -> None:
        """Raises OSError, NoRoom, WorldError. Links to files are followed: what they point to is what would be lost."""
        self._source = source
        if not os.path.isdir(source):
            self._file(source, target)
            return
        os.mkdir(target, files.DIRECTORY_MODE)
        for inside, folders, names in os.walk(source, onerror=_refuse):
            there = os.path.join(target, os.path.relpath(inside, source))
            for name in folders:
                if os.path.islink(os.path.join(inside, name)):
                    raise WorldError(
                        f"{os.path.join(inside, name)}: a link to a folder, whose files are not copied"
                    )
                os.mkdir(os.path.join(there, name), files.DIRECTORY_MODE)
            for name in names:
                if os.path.isfile(os.path.join(inside, name)):
                    self._file(os.path.join(inside, name), os.path.join(there, name))
        for inside in _folders(target):
            files.fsync_directory(inside)

    def _file(self, source: str, target: str) -> None:
        how = (
            self._cloned(source, target) or self._linked(source, target) or self._copied_whole(source, target)
        )
        self.dearest = min(self.dearest, how, key=WORST_FIRST.index)

    def _cloned(self, source: str, target: str) -> str:
        if self.dearest == COPIED:
            return ""  # it could not before
        with open(source, "rb") as read, open(target, "xb") as written:
            try:
                fcntl.ioctl(written, FICLONE, read.fileno())
                _keep_times(read.fileno(), written.fileno())
                os.fsync(written.fileno())
                return CLONED
            except OSError as error:
                os.unlink(target)
                if error.errno not in NOT_CLONED:
                    raise
        return ""

    def _linked(self, source: str, target: str) -> str:
        if not self._may_link:
            return ""
        try:
            os.link(os.path.realpath(source), target)
            return LINKED
        except OSError as error:
            if error.errno not in NOT_LINKED:
                raise
        return ""

    def _copied_whole(self, source: str, target: str) -> str:
        with open(source, "rb") as read:
            self._need_room_for_all()
            with open(target, "xb") as written:
                shutil.copyfileobj(read, written, PIECE)
                written.flush()
                _keep_times(read.fileno(), written.fileno())
                os.fsync(written.fileno())
        return COPIED

    def _need_room_for_all(self) -> None:
        """Before the first byte, for the whole of it: where one file has to be copied, the others may have to be."""
        if self._is_allowed:
            return
        size = sum(os.stat(path).st_size for path in _files(self._source))
        if size > self._copy_max:
            raise NoRoom(f"{self._source}: only {self._copy_max} bytes may be copied (pins.copy_max)")
        found = os.statvfs(self._folder)
        if found.f_bavail * found.f_frsize < SPARE * size:
            raise NoRoom(f"{self._source}: its file system has not {SPARE} times its size free")
        self._is_allowed = True


def _keep_times(read: int, written: int) -> None:
    found = os.fstat(read)
    os.utime(written, ns=(found.st_atime_ns, found.st_mtime_ns))


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):
        yield path
    for inside, _, names in os.walk(path):
        yield from (each for name in names if os.path.isfile(each := os.path.join(inside, name)))


def _folders(path: str) -> Iterator[str]:
    for inside, _, _ in os.walk(path, onerror=_refuse):
        yield inside


def _refuse(error: OSError) -> None:
    raise error
