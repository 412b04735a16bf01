"""The runner's own words: a few lines in runner.log, for the person woken at three."""

from __future__ import annotations

import os
import time

from outlast.disk import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.disk.layout import AttemptFolder

LINES_MAX = 1000  # in one life; whoever repeats himself is cut off


class Words:
    def __init__(self, folder: AttemptFolder) -> None:
        self._fd = files.open_append(folder.runner_log)
        self._left = LINES_MAX
        self._said: set[str] = set()

    @property
    def fd(self) -> int:
        return self._fd

    def say(self, text: str) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            os.write(self._fd, f"{stamp} runner {os.getpid()}: {text}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            return  # a full disk: the exit record has its own room, these lines have not

    def say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def say_aloud(self, text: str) -> None:
        """Also on standard output, unless that is the same file: a scheduler keeps it as the job's output."""
        self.say(text)
        try:
            if not os.path.samestat(os.fstat(1), os.fstat(self._fd)):
                os.write(1, f"outlast runner: {text}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            return
