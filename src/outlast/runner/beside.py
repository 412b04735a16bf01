"""Work that may block for ever (a look at a process in D state, a file on a dead server), done in a child with an end.

Knows fork, a pipe of lines, deadlines. Refuses to know the work. A child that does not end in time is killed; if even
that must wait for the kernel, nobody here waits with it.
"""

from __future__ import annotations

import os
import select
import signal
import time

from outlast.runner import kernel, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

    Say = Callable[[bytes], object]
    Work = Callable[[Say], object]

CHUNK = 64 << 10
SAID_BYTES_MAX = 16 << 20
STANDARD = frozenset({0, 1, 2})
REAP_S = 0.5  # for a killed child to be gone
FAILED = 1
at_work: set[int] = set()  # our own children: they are no part of any training


class Child:
    """A forked child at work. `pipe` can be read when it said something, or ended."""

    def __init__(self, work: Work) -> None:
        """Raises OSError: there is no child."""
        self.pid, self.pipe = _fork(lambda pipe, parent: _be_the_child(work, pipe, parent))
        self.is_done = False  # it said all that it had to say
        self._left = SAID_BYTES_MAX
        self._tail = b""

    def lines(self, until_s: float) -> list[bytes]:
        """What it said since, as whole lines; waits for at least one, until then on the monotonic clock."""
        found: list[bytes] = []
        while not self.is_done and not found:
            if not _readable(self.pipe, until_s):
                break
            found = self._read()
        return found

    def _read(self) -> list[bytes]:
        try:
            body = os.read(self.pipe, CHUNK)
        except BlockingIOError:
            return []
        self._left -= len(body)
        self.is_done = not body or self._left < 0
        *found, self._tail = (self._tail + body).split(b"\n")
        return found

    def end(self) -> None:
        """Kill it if it lives, and take it away."""
        os.close(self.pipe)
        end(self.pid)


class Program:
    """Another program, with what it prints. Raises OSError: it cannot be begun."""

    def __init__(self, argv: list[str]) -> None:
        self.pid, self.pipe = _fork(lambda pipe, parent: _be_the_program(argv, pipe, parent))
        self.output = b""
        self.is_done = False

    def read(self) -> None:
        """Take what it printed; call it when the pipe can be read."""
        try:
            body = os.read(self.pipe, CHUNK)
        except BlockingIOError:
            return
        self.output += body
        self.is_done = not body or len(self.output) > SAID_BYTES_MAX

    def end(self) -> None:
        os.close(self.pipe)
        end(self.pid)


def _fork(be: Callable[[int, int], NoReturn]) -> tuple[int, int]:
    """(pid, our end of a pipe, never blocking) of a child that is `be(its end, our pid)`. Raises OSError: none is."""
    ours, theirs = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        raise
    if pid == 0:
        be(theirs, parent)
    os.close(theirs)
    at_work.add(pid)
    os.set_blocking(ours, False)
    return pid, ours


def until(child: Child, until_s: float) -> list[bytes]:
    """All lines that it says until it is done, or the time is over; then it is ended."""
    found: list[bytes] = []
    try:
        while not child.is_done:
            said = child.lines(until_s)
            found += said
            if not said and time.monotonic() >= until_s:
                break
    finally:
        child.end()
    return found


def end(pid: int) -> None:
    """KILL, and reap as far as that goes at once: in D state it dies when the kernel lets it. Whoever watches reaps
    what it finds: so the number is ours to kill only while it is still our child."""
    at_work.discard(pid)
    deadline_s = time.monotonic() + REAP_S
    try:
        while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < deadline_s:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
    except ChildProcessError:
        return


def wait_any(fds: Iterable[int], until_s: float) -> set[int]:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(max(0.0, until_s - time.monotonic()) * 1000)}


def _readable(fd: int, until_s: float) -> bool:
    return bool(wait_any((fd,), until_s))


def _be_the_child(work: Work, pipe: int, parent: int) -> NoReturn:
    try:
        _stand_alone({pipe}, parent)
        work(lambda line: _write_all(pipe, line + b"\n"))
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - nothing may escape into the parent's own code
        os.write(2, f"outlast: {type(error).__name__}: {error}\n".encode("utf-8", "backslashreplace"))
    finally:
        os._exit(FAILED)


def _be_the_program(argv: list[str], pipe: int, parent: int) -> NoReturn:
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        _stand_alone({pipe, null}, parent)
        for number, fd in enumerate((null, pipe, pipe)):
            os.dup2(fd, number)
        os.execv(argv[0], argv)
    finally:
        os._exit(FAILED)


def _stand_alone(keep: set[int], parent: int) -> None:
    """Hold no lock of the parent's, hear no signal as it does, and do not outlive it."""
    spawn.close_all_but(keep | STANDARD)
    spawn.default_signals()
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could say that
        os._exit(FAILED)


def _write_all(fd: int, body: bytes) -> int:
    view = memoryview(body)
    while view:
        view = view[os.write(fd, view) :]
    return len(body)
