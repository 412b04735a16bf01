"""The memory into which a process writes the stacks of all its threads, and the signal that asks for them.

`arm` registers C's `faulthandler` for signal 41 on a memfd of this process: it answers from any deadlock, with the GIL
held or not, and leaves no name on any disk. The runner finds the memory through /proc/PID/fd by its name, asks only
who has both the memory and a handler for the signal, and reads what came after asking.

Used by the SDK, and by path from the injected sitecustomize, which any Python may run: so nothing here is newer than
Python 3.5, and nothing is imported that costs. Refuses to raise, and to know who reads.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIGNAL = (
    41  # SIGRTMIN+7 by glibc's count; by its number, so that a training with another C library means the same
)
NAME = "outlast-stacks"
LINK = "/memfd:" + NAME  # how readlink(2) begins to name it
FIRST_FD = 201  # out of the way of who counts on low numbers; the lease has 200

_MFD_CLOEXEC = 1  # linux/memfd.h
_MARK = "_outlast_stacks"  # on `sys`: the SDK's copy of this module and the injected one are two, the process is one


def arm() -> bool:
    """Be ready to answer. True: this process is. Does nothing the second time; never raises."""
    try:
        if hasattr(sys, _MARK):
            return True
        if not _is_free():
            return False
        _arm()
        os.register_at_fork(after_in_child=_after_fork)
    except Exception:  # noqa: BLE001 - no memfd, no faulthandler, no descriptor left: then there are no stacks
        return hasattr(sys, _MARK)
    return True


def call(name: str, *arguments: "Any") -> int:
    """A function of the C library, without the weight of all of ctypes. Raises where there is none."""
    import _ctypes

    address = _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type,unused-ignore]  # None: this program; its stub wants a path
    return int(_ctypes.call_function(address, arguments))


def _is_free() -> bool:
    """Whether the program has not taken that signal for itself."""
    import _signal  # type: ignore[import-not-found]  # `signal` would load all of enum

    return _signal.getsignal(SIGNAL) in (_signal.SIG_DFL, _signal.SIG_IGN)


def _arm() -> None:
    import faulthandler

    fd = _out_of_the_way(_memory())
    try:
        faulthandler.register(SIGNAL, file=fd, all_threads=True, chain=False)
        setattr(sys, _MARK, (fd, _identity(fd)))
    except BaseException:
        os.close(fd)
        raise


def _after_fork() -> None:
    """The parent's memory is the parent's: two who write into one could not be told apart."""
    fd, which = getattr(sys, _MARK)
    try:
        _arm()
    except Exception:  # noqa: BLE001 - then this child does not answer
        delattr(sys, _MARK)
        _disarm()
    try:
        if _identity(fd) == which:  # unless the program closed all, and the number is another's by now
            os.close(fd)
    except OSError:
        return


def _disarm() -> None:
    import faulthandler

    faulthandler.unregister(SIGNAL)


def _memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(NAME, _MFD_CLOEXEC)
    fd = call("memfd_create", NAME.encode(), _MFD_CLOEXEC)  # a Python built on an older C library (conda)
    if fd < 0:
        raise OSError("memfd_create")
    return fd


def _out_of_the_way(fd: int) -> int:
    import fcntl

    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
    except OSError:  # the limit is lower than that
        return fd
    os.close(fd)
    return high


def _identity(fd: int) -> "tuple[int, int]":
    found = os.fstat(fd)
    return found.st_dev, found.st_ino
