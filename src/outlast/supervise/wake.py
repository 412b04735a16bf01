"""Sleeps until something may have changed: a file event, the end of a child, a signal, or a deadline.

Knows inotify, and does without it where there is none. A wake-up proves nothing: the turn that follows looks.
"""

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Protocol

from inotify_simple import INotify, flags

_EVENTS = flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.ONLYDIR


class OnSignal(Protocol):
    def __call__(self, number: int) -> None: ...


class Wake:
    """Watches folders and signals. `caught` holds the signals that came since it was last emptied;
    `obeyed` is for who counts those that he followed, whatever the term."""

    def __init__(self, handled: tuple[int, ...]) -> None:
        self.caught: list[int] = []
        self.obeyed = 0
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._old_wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, self._on_signal) for number in (*handled, signal.SIGCHLD)}
        self._inotify = _inotify()
        self._watched: dict[str, int] = {}
        self._unsure = False

    def watch_only(self, folders: set[str]) -> None:
        """Watch exactly these folders; one that cannot be watched is left to the deadline. What happened in one before
        it was watched made no event: the next `wait` does not sleep, so that it is looked at once more."""
        if self._inotify is None:
            return
        for folder in self._watched.keys() - folders:
            with contextlib.suppress(OSError):
                self._inotify.rm_watch(self._watched[folder])
            del self._watched[folder]
        for folder in folders - self._watched.keys():
            with contextlib.suppress(OSError):
                self._watched[folder] = self._inotify.add_watch(folder, _EVENTS)
                self._unsure = True

    def wait(self, seconds: float) -> None:
        descriptors = [self._read] + ([self._inotify.fileno()] if self._inotify else [])
        ready, _, _ = select.select(descriptors, [], [], 0.0 if self._unsure else max(0.0, seconds))
        self._unsure = False
        if self._read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._read, 4096)
        if self._inotify is not None and self._inotify.fileno() in ready:
            for event in self._inotify.read(timeout=0):
                if event.mask & flags.IGNORED:
                    self._forget(event.wd)

    def take_signals(self) -> list[int]:
        taken, self.caught = self.caught, []
        return taken

    def close(self) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)
        if self._inotify is not None:
            self._inotify.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.caught.append(number)

    def _forget(self, descriptor: int) -> None:
        for folder, watch in list(self._watched.items()):
            if watch == descriptor:
                del self._watched[folder]


def _inotify() -> INotify | None:
    try:
        return INotify()
    except OSError:
        return None  # no more instances for this user: the deadline alone wakes us
