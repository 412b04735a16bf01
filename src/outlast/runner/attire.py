"""How the runner stands in the world whoever started it: own session, whole descriptors, private files.

Knows what a careless parent leaves behind: closed or foreign descriptors, a umask, ignored signals.
"""

from __future__ import annotations

import os

UMASK = 0o077


def put_on(folder: str) -> int:
    """Raises OSError if `folder` cannot be entered. The umask that we were started with is returned."""
    if os.getpid() not in (os.getsid(0), os.getpgid(0)):  # who leads one already cannot found another
        os.setsid()
    _mend_standard_descriptors()
    _close_the_rest()
    before = os.umask(UMASK)
    os.chdir(folder)
    return before


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
