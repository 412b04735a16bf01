"""What wakes the runner: signals and descriptors, through one poll.

TERM and INT ask for a safe stop, a second one for a stop now; USR2 says that the wish has changed. HUP and USR1 are
heard by nobody and never forwarded: a lost terminal is no reason, and a scheduler's warning is the supervisor's.
"""

from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

IGNORED = (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1)


class Ears:
    """`stops` are the numbers of the signals that asked for an end, oldest first; `nudged`: look at the wish."""

    def __init__(self) -> None:
        self.stops: list[int] = []
        self.nudged = False
        self._wake, wake_up = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake_up, False)
        signal.set_wakeup_fd(wake_up, warn_on_full_buffer=False)
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would take our children's statuses away
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR2, self._nudge)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stops.append(number)

    def _nudge(self, number: int, frame: FrameType | None) -> None:
        self.nudged = True

    def wait(self, fds: Iterable[int], seconds: float) -> set[int]:
        """Until one of these can be read (or is closed at its other end), a signal came, or the time is over."""
        poll = select.poll()
        for fd in (self._wake, *fds):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(max(0.0, seconds) * 1000)}
        if self._wake in ready:
            ready.discard(self._wake)
            os.read(self._wake, 4096)
        return ready
