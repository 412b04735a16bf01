"""Work beside a training takes what it leaves: nice 19, and the disk only while nobody else wants it."""

import ctypes
import os
import platform
from contextlib import suppress

NICE = 19
IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "ppc64le": 273}  # system calls; Python has no name for this one
WHO_PROCESS, CLASS_IDLE, CLASS_SHIFT = 1, 3, 13  # linux/ioprio.h


def be_last() -> None:
    """As far as the kernel lets us; where it does not, the work is done all the same."""
    with suppress(OSError):
        os.nice(NICE)
    number = IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, WHO_PROCESS, 0, CLASS_IDLE << CLASS_SHIFT)
