"""The guard of a supervisor where there is no systemd: a small parent that starts it again when it dies.

Standard library only, and little of it: it has to live when everything else does not. Knows how its child ended.
Refuses to know what the child does.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

FIRST_WAIT_S, LAST_WAIT_S = 0.5, 30.0
HEALTHY_S = 60.0  # a child that lived so long died of something new: wait from the beginning again
DELIBERATE = (0, 2, 4, 75)  # it was told to leave, was refused, or another holds the place
ONCE = "--up"  # takes back a `down`: a person's wish when it was started, not at every new start
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    """As a program of its own: the words of the command line are the command to keep running."""
    os.umask(0o077)
    return guard(sys.argv[1:])


def guard(words: list[str], sleep: Callable[[float], None] = time.sleep) -> int:
    """Keep `words` running until it leaves on purpose; its exit code then."""
    told = _Told()
    wait_s = FIRST_WAIT_S
    while True:
        began = time.monotonic()
        child = told.start(words)
        code = child.wait()
        words = [word for word in words if word != ONCE]
        if code in DELIBERATE or told.has_to_leave():
            return max(code, 0)
        if time.monotonic() - began > HEALTHY_S:
            wait_s = FIRST_WAIT_S
        _say(f"the supervisor (pid {child.pid}) died ({_how(code)}); again in {wait_s:.1f} s")
        sleep(wait_s)
        wait_s = min(wait_s * 2, LAST_WAIT_S)
        if told.has_to_leave():
            return 0


class _Told:
    """Passes signals on to the child. INT and TERM: the guard leaves with it."""

    def __init__(self) -> None:
        self._heard = False
        self._child: subprocess.Popen[bytes] | None = None
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)

    def has_to_leave(self) -> bool:
        return self._heard

    def start(self, words: list[str]) -> "subprocess.Popen[bytes]":
        """In its own session, so that the terminal's Ctrl-C reaches it once, through us."""
        self._child = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        return self._child

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            self._heard = True
        if self._child is not None and self._child.returncode is None:
            os.kill(self._child.pid, number)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"


def _say(line: str) -> None:
    print(f"outlast guard: {line}", file=sys.stderr, flush=True)
