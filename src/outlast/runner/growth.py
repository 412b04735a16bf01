"""Whether a folder still grows: somebody saves there. Looked at in a child, for it may lie on a server that does not
answer, and a stop must come to its end all the same.

Knows sizes and times of files. Refuses to open one.
"""

from __future__ import annotations

import os
import time

from outlast.runner import beside

EVERY_S, PATIENCE_S = 5.0, 60.0
ANSWER_S = 0.05  # so long a look waits for its child: any disk that is well has answered by then
ENTRIES_MAX = 20_000
OWN = ".outlast"  # second copies, quarantine, trash


class Growth:
    """`is_seen` as often as you like, `close` at the end. `every_s`: between two measurements."""

    def __init__(self, root: str, every_s: float = EVERY_S) -> None:
        self._root, self._every_s = root, every_s
        self._size = b""
        self._child: beside.Child | None = None
        self._said: list[bytes] = []
        self._due_s = self._grew_at_s = float("-inf")

    def is_seen(self, now_s: float) -> bool:
        """Whether it grew between the last two measurements or so; at first nobody knows, and it may."""
        if self._child is None and now_s >= self._due_s:
            self._begin(now_s)
        if self._child is not None:
            until_s = time.monotonic() + ANSWER_S
            while said := self._child.lines(until_s):
                self._said += said
            if self._child.is_done:
                self._take(now_s)
        patience_s = (
            PATIENCE_S if self._child is not None else 2 * self._every_s
        )  # a busy server may answer late
        return now_s - self._grew_at_s < patience_s

    def close(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _begin(self, now_s: float) -> None:
        if self._due_s == float("-inf"):
            self._grew_at_s = now_s
        self._due_s, self._said = now_s + self._every_s, []
        try:
            self._child = beside.Child(lambda say: say("{} {}".format(*size(self._root)).encode()))
        except OSError:
            return  # no process now

    def _take(self, now_s: float) -> None:
        self.close()
        if not self._said:
            return
        if self._said[-1] != self._size:
            self._grew_at_s = now_s
        self._size = self._said[-1]


def size(root: str) -> tuple[int, int]:
    """(bytes of all files, newest mtime in ns) below, as far as they can be seen, but for what is ours. Of too many
    files the root's own entries are seen at least."""
    total = newest = seen = 0
    folders = [root]
    while folders and seen < ENTRIES_MAX:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if entry.name == OWN:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                        newest = max(newest, entry.stat(follow_symlinks=False).st_mtime_ns)
                    else:
                        found = entry.stat(follow_symlinks=False)
                        total, newest = total + found.st_size, max(newest, found.st_mtime_ns)
        except OSError:
            continue  # renamed under our eyes
    return total, newest
