"""Dumps of stacks as values: the threads of faulthandler's and py-spy's text, innermost frame first.

Knows both formats, of all versions of Python. Refuses to know how a dump was had, and what it means.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

THREADS_MAX, FRAMES_MAX = 256, 128
LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python", "/lib64/python", "<frozen ")


class Frame:
    __slots__ = ("file", "function", "line")

    def __init__(self, file: str, line: int, function: str) -> None:
        self.file, self.line, self.function = file, line, function

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}"

    @property
    def is_own(self) -> bool:
        """Whether it is of the training's own code, as far as its path tells."""
        return not any(folder in self.file for folder in LIBRARIES)


class Thread:
    """`is_main` None: this dump does not tell."""

    __slots__ = ("frames", "is_main", "title")

    def __init__(self, title: str, is_main: bool | None) -> None:
        self.title, self.is_main = title, is_main
        self.frames: list[Frame] = []


def threads(text: str) -> list[Thread]:
    """Those of a dump, in its order."""
    found: list[Thread] = []
    leader = _leader(text)
    is_main = False if is_cut(text) else None
    for line in text.splitlines():
        thread = _header(line, leader, is_main)
        if thread is not None and len(found) < THREADS_MAX:
            found.append(thread)
        frame = _frame(line)
        if frame is not None and found and len(found[-1].frames) < FRAMES_MAX:
            found[-1].frames.append(frame)
    return found


def main_thread(found: Sequence[Thread]) -> Thread | None:
    """faulthandler begins with the newest thread, so that the main one is the last, and stops after a hundred."""
    for thread in found:
        if thread.is_main:
            return thread
    return found[-1] if found and found[-1].is_main is None else None


def own_frame(thread: Thread | None) -> Frame | None:
    """The innermost of the training's own code."""
    return None if thread is None else next((frame for frame in thread.frames if frame.is_own), None)


def is_cut(text: str) -> bool:
    """Whether faulthandler gave up after a hundred threads: then the main one is missing."""
    return text.rstrip("\n").endswith("\n...")


def _header(line: str, leader: str, is_main: bool | None) -> Thread | None:
    """ "Current thread 0x7f… [name] (most recent call first):", 'Thread 12 (idle): "MainThread"'."""
    if line.startswith(("Thread ", "Current thread ")) and line.endswith("(most recent call first):"):
        return Thread(line.rpartition(" (")[0], is_main)
    if line.startswith("Thread ") and "(" in line:
        return Thread(line, line.endswith('"MainThread"') or line.split()[1] == leader)
    return None


def _leader(text: str) -> str:
    """ "Process 12: python train.py": the main thread has the number of its process. py-spy alone says it."""
    return text[len("Process ") :].partition(":")[0] if text.startswith("Process ") else ""


def _frame(line: str) -> Frame | None:
    if line.startswith('  File "'):
        file, _, rest = line[len('  File "') :].rpartition('", line ')
        number, _, function = rest.partition(" in ")
    elif line.startswith("    ") and line.endswith(")"):
        function, _, place = line.strip()[:-1].partition(" (")
        file, _, number = place.rpartition(":")
    else:
        return None
    if not file or not number.isdigit():
        return None
    return Frame(file, int(number), function)
