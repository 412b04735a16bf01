"""Work on bytes that somebody else wrote, in children: what those do to their reader, they do to nobody else.

A pickle is a program for a small machine. Nothing that it names is run; but a tuple of two that are one, sixty deep, is
hashed for ever, and one that is a million deep ends whoever hashes it (SIGSEGV). Both happen in C, where no exception
reaches them.

Knows fork, limits and a pipe of JSON lines. Refuses to know the work.
"""

import ctypes
import faulthandler
import json
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

import msgspec

T = TypeVar("T")
A = TypeVar("A")
WAIT_S = 3600.0  # in one go: who has for ever has more than the call can count
CHUNK, ANSWER_MAX = 1 << 16, 64 << 20
MEMORY_MAX = 8 << 30  # of data; what a hostile pickle asks for beyond that, it does not get
PR_SET_PDEATHSIG = 1  # linux/prctl.h
BUSY = signal.SIGVTALRM  # nobody catches it: the kernel ends the child, whatever it is at
WORDS = {
    signal.SIGSEGV: "it crashes whoever reads it (SIGSEGV)",
    BUSY: "it keeps its reader busy for ever: made for that, or of a size that no checkpoint has",
    signal.SIGKILL: "whoever reads it is killed: there may be too little memory",
}


class Died(NamedTuple):
    """There is no answer: why, in words for people."""

    why: str


class Answer(Generic[A]):
    def __init__(self, value: A) -> None:
        self.value = value


def each(
    work: Callable[[T], A], items: Sequence[T], within_s: float, kind: Any
) -> Generator[Answer[A] | Died, None, None]:
    """The answer to each of the items, in their order, each within its time. `work` must not raise, and its answers are
    of type `kind`, which JSON can carry. One that ends its child costs its own answer and no other."""
    done = 0
    while done < len(items):
        try:
            child = _Child(work, items[done:])
        except OSError as error:
            done += 1
            yield Died(f"there is no process to read it: {error.strerror}")
            continue
        try:
            while done < len(items):
                line = child.line(time.monotonic() + within_s)
                if line is None:
                    break
                done += 1
                yield Answer(msgspec.convert(json.loads(line), kind))
        finally:
            why = child.end(within_s)
        if done < len(items):
            done += 1
            yield Died(why)


@contextmanager
def busy_at_most(limit_s: float) -> Iterator[None]:
    """So much of the processor's time for what Python cannot interrupt; then the child ends. Nothing where this is no
    child: who reads in its own process takes the risk."""
    if not _Child.is_this:
        yield
        return
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class _Child:
    is_this = False

    def __init__(self, work: Callable[[T], Any], items: Sequence[T]) -> None:
        """Raises OSError: there is none."""
        self._pipe, theirs = os.pipe()
        self._tail, self._is_late = b"", False
        parent = os.getpid()
        with warnings.catch_warnings():
            # Python 3.12 warns where NumPy's threads wait for work: the child takes none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                self._pid = os.fork()
            except OSError:
                os.close(self._pipe)
                os.close(theirs)
                raise
        if self._pid == 0:
            _be_the_child(work, items, theirs, parent)
        os.close(theirs)

    def line(self, until_s: float) -> bytes | None:
        """The next one; None: it ended, or the time is over."""
        while b"\n" not in self._tail:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                self._is_late = True
                return None
            if not select.select([self._pipe], [], [], min(left_s, WAIT_S))[0]:
                continue
            body = os.read(self._pipe, CHUNK)
            if not body or len(self._tail) > ANSWER_MAX:
                return None
            self._tail += body
        line, _, self._tail = self._tail.partition(b"\n")
        return line

    def end(self, within_s: float) -> str:
        """Kill it if it lives, and take it away: why it ended, in words."""
        os.close(self._pipe)
        if self._is_late:
            os.kill(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        if self._is_late:
            return f"it could not be read within {within_s:.0f} s: its reader came to no end"
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return WORDS.get(signal.Signals(number), f"whoever reads it is ended by signal {number}")
        return f"whoever reads it ends with code {os.WEXITSTATUS(status)}"


def _be_the_child(work: Callable[[T], Any], items: Sequence[T], pipe: int, parent: int) -> NoReturn:
    code = 1
    try:
        _Child.is_this = True
        _end_with(parent)
        signal.signal(BUSY, signal.SIG_DFL)
        faulthandler.disable()  # where it crashes is known, and is not for the screen
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_memory(MEMORY_MAX)
        for item in items:
            _say(pipe, json.dumps(msgspec.to_builtins(work(item))).encode() + b"\n")
        code = 0
    finally:
        os._exit(
            code
        )  # also after an exception: nothing of the parent's is flushed, closed or cleaned up here


def _say(pipe: int, line: bytes) -> None:
    while line:
        line = line[os.write(pipe, line) :]


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def limit_memory(most: int) -> None:
    """Of this process. One that is there already, and lower, stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [most, *(each for each in (soft, hard) if each != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
