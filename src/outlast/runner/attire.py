"""How the runner stands in the world whoever started it: own session, whole descriptors, private files.

Knows what a careless parent leaves behind: closed or foreign descriptors, a umask, ignored signals.
"""

from __future__ import annotations

import os
import resource

UMASK = 0o077
DESCRIPTORS = 1 << 14  # a page of each rank, and of each that it had before


def put_on(folder: str) -> int:
    """Raises OSError if `folder` cannot be entered. The umask that we were started with is returned."""
    if os.getpid() not in (os.getsid(0), os.getpgid(0)):  # who leads one already cannot found another
        os.setsid()
    _mend_standard_descriptors()
    _close_the_rest()
    raise_descriptors()
    before = os.umask(UMASK)
    os.chdir(folder)
    return before


_found: list[tuple[int, int]] = []  # the limits of descriptors that we were started with


def raise_descriptors() -> None:
    """As far as we may. They are not the training's: some programs close or count all that there could be."""
    soft, hard = found = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        _found.append(found)
    except (OSError, ValueError):
        return  # fewer pages can be open at once


def give_back_descriptors() -> None:
    """In the child that becomes the training."""
    for found in _found:
        resource.setrlimit(resource.RLIMIT_NOFILE, found)


def _mend_standard_descriptors() -> None:
    """Nothing that we open may ever become somebody's standard output."""
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:
        os.set_inheritable(fd, True)
        fd = os.open(os.devnull, os.O_RDWR)
    os.dup2(fd, 0)
    os.close(fd)


def _close_the_rest() -> None:
    """What we inherited besides is another's: a lock that it holds would be held by us."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                continue  # that of the listing itself
