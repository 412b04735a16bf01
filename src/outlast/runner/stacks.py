"""The Python stacks of processes that hang: asked for by signal 41, and by py-spy of those that do not answer.

The signal goes only to who has a handler for it and the memory to answer into (`disk/stack_page`): anybody else, a
shell around the training say, would die of it. A process in state T cannot answer, one in D answers nobody. An answer
is whole when no thread is inside the handler any more: while it runs, the kernel blocks the signal for its thread.

Knows signals, /proc/PID/fd, py-spy's command line. Refuses to know ranks, and what a stack means.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from outlast.disk.stack_page import LINK, SIGNAL
from outlast.runner import beside, census, tasks
from outlast.runner.frames import is_cut
from outlast.runner.tree import open_pidfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ANSWER_S = 2.0
LOOK_S = 0.01
FDS_MAX = 1 << 14
TEXT_BYTES_MAX = 256 << 10  # of one process
SPY_S = 10.0  # for all processes together
SPIES_MAX = 8  # at once
BIT = 1 << (SIGNAL - 1)
REASON_MAX = 300


class Answer:
    """`text` "" if there is none; `reason`: why there is none, or why it may not be whole; `by`: who gave it."""

    __slots__ = ("by", "reason", "text")

    def __init__(self, text: str = "", reason: str = "", by: str = "") -> None:
        self.text, self.reason, self.by = text, reason, by


class _Asked:
    """One process that was sent the signal: its memory as we have it open, and how much stood there before."""

    def __init__(self, pid: int, ticks: int, memory: int, deaf: set[int]) -> None:
        self.pid, self.ticks, self.memory = pid, ticks, memory
        self._deaf = deaf  # threads that block the signal for reasons of their own
        self._before = self._size = os.fstat(memory).st_size
        self.is_quiet = False

    def look(self) -> bool:
        """Whether it has answered, and the answer is whole."""
        size = os.fstat(self.memory).st_size
        self.is_quiet = size > self._before and size == self._size
        self._size = size
        return self.is_quiet and not self._is_at_work()

    def _is_at_work(self) -> bool:
        if _mask(f"/proc/{self.pid}/status", b"ShdPnd:") & BIT:
            return True
        return bool(deaf_threads(self.pid) - self._deaf)

    def text(self) -> str:
        body = os.pread(self.memory, TEXT_BYTES_MAX, self._before)
        cut = "\n(cut)\n" if self._size - self._before > TEXT_BYTES_MAX else ""
        return body.decode("utf-8", "replace") + cut

    def why_not(self) -> str:
        state = census.state(self.pid)
        if not state or state in census.DEAD:
            return "it has ended"
        if state == "D":
            where = (census.read(f"/proc/{self.pid}/wchan") or b"").decode("ascii", "replace")
            return f"state D (in {where}): it answers no signal"
        if _mask(f"/proc/{self.pid}/status", b"ShdPnd:") & BIT:
            return "all its threads block the signal"
        return f"no answer within {ANSWER_S:g} s (state {state})"


def ask(members: Mapping[int, int], until_s: float) -> dict[int, Answer]:
    """Signal all (pid -> start ticks) at one time, wait for their answers, at most `ANSWER_S` and until then on the
    monotonic clock."""
    answers: dict[int, Answer] = {}
    asked: list[_Asked] = []
    taken: dict[tuple[int, int], int] = {}
    for pid, ticks in members.items():
        try:
            found = _question(pid, ticks, taken)
        except OSError as error:
            found = f"its descriptors cannot be looked at ({error.strerror})"
        if isinstance(found, str):
            answers[pid] = Answer(reason=found)
        else:
            asked.append(found)
    try:
        _wait([each for each in asked if _send(each, answers)], answers, until_s)
    finally:
        for each in asked:
            os.close(each.memory)
    return answers


def _question(pid: int, ticks: int, taken: dict[tuple[int, int], int]) -> _Asked | str:
    """What to ask it by, or why it is not asked. Raises OSError."""
    state = census.state(pid)
    if not state or state in census.DEAD:
        return "it has ended"
    if state in ("T", "t"):
        return f"it is stopped (state {state}), and cannot answer until it is continued"
    if not _mask(f"/proc/{pid}/status", b"SigCgt:") & BIT:
        return "it does not know the stack signal: not Python, or started with -I, -E, -S or --no-inject"
    memory = _memory(pid)
    if memory is None:
        return "its handler of the stack signal has no memory to answer into"
    found = os.fstat(memory)
    other = taken.setdefault((found.st_dev, found.st_ino), pid)
    if other != pid:
        os.close(memory)
        return f"it shares its memory for stacks with process {other}"
    return _Asked(pid, ticks, memory, deaf_threads(pid))


def _memory(pid: int) -> int | None:
    """Its memfd, opened by ourselves, so that our place in it is our own. Raises OSError."""
    folder = f"/proc/{pid}/fd"
    for number in sorted(os.listdir(folder), key=int, reverse=True)[:FDS_MAX]:
        if not _is_memory(f"{folder}/{number}"):
            continue
        fd = os.open(f"{folder}/{number}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if _is_memory(f"/proc/self/fd/{fd}"):
            return fd
        os.close(fd)
    return None


def _is_memory(link: str) -> bool:
    try:
        return os.readlink(link).startswith(LINK)
    except OSError:
        return False


def _send(each: _Asked, answers: dict[int, Answer]) -> bool:
    pidfd = open_pidfd(each.pid, each.ticks)
    if pidfd is None:
        answers[each.pid] = Answer(reason="it has ended")
        return False
    try:
        signal.pidfd_send_signal(pidfd, SIGNAL)
    except OSError as error:
        answers[each.pid] = Answer(reason=f"it cannot be signalled ({error.strerror})")
        return False
    finally:
        os.close(pidfd)
    return True


def _wait(waiting: list[_Asked], answers: dict[int, Answer], until_s: float) -> None:
    until_s = min(until_s, time.monotonic() + ANSWER_S)
    while True:
        for each in list(waiting):
            if each.look():
                text = each.text()
                reason = "only a hundred threads, without the main one" if is_cut(text) else ""
                answers[each.pid] = Answer(text, reason, "signal")
                waiting.remove(each)
        if not waiting or time.monotonic() >= until_s:
            break
        time.sleep(LOOK_S)
    for each in waiting:
        text = each.text()
        reason = "it may not be whole: the time was over" if text else each.why_not()
        answers[each.pid] = Answer(text, reason, "signal" if text else "")


def deaf_threads(pid: int) -> set[int]:
    """Those that block the signal now."""
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return set()
    return {int(tid) for tid in tids if _mask(f"/proc/{pid}/task/{tid}/status", b"SigBlk:") & BIT}


def _mask(path: str, name: bytes) -> int:
    for line in (census.read(path) or b"").splitlines():
        if line.startswith(name):
            return int(line.split()[1], 16)
    return 0


# --- py-spy -------------------------------------------------------------------------------------------------------


def find_spy(path: str) -> str | None:
    """py-spy beside our Python (the extra `stacks`), or on this PATH."""
    for folder in (os.path.dirname(sys.executable), *path.split(os.pathsep)):
        program = os.path.join(folder, "py-spy")
        if folder and os.access(program, os.X_OK) and os.path.isfile(program):
            return program
    return None


def spy(pids: Iterable[int], program: str, until_s: float) -> dict[int, Answer]:
    """What py-spy sees of each, without stopping it: at most `SPY_S`, `SPIES_MAX` at once."""
    until_s = min(until_s, time.monotonic() + SPY_S)
    left = list(pids)
    at_work: dict[int, tuple[int, beside.Program]] = {}
    answers: dict[int, Answer] = {}
    while (left or at_work) and time.monotonic() < until_s:
        while left and len(at_work) < SPIES_MAX:
            pid = left.pop(0)
            try:
                spying = beside.Program(
                    [program, "dump", "--nonblocking", "--full-filenames", "--pid", str(pid)]
                )
                at_work[spying.pipe] = (pid, spying)
            except OSError as error:
                answers[pid] = Answer(reason=f"py-spy: {error.strerror}")
        for fd in beside.wait_any(at_work, until_s):
            pid, spying = at_work[fd]
            spying.read()
            if spying.is_done:
                del at_work[fd]
                spying.end()
                answers[pid] = _seen_by_spy(spying.output)
    for pid, spying in at_work.values():
        spying.end()
        answers[pid] = Answer(reason="py-spy: it did not end in time")
    return answers | {pid: Answer(reason="py-spy: no time left") for pid in left}


def _without_secrets(text: str) -> str:
    """Its first line is the command line."""
    first, newline, rest = text.partition("\n")
    return " ".join(tasks.masked(first.split(" "))) + newline + rest


def _seen_by_spy(output: bytes) -> Answer:
    text = _without_secrets(output[:TEXT_BYTES_MAX].decode("utf-8", "replace"))
    if "\nThread " in text:
        return Answer(text, "", "py-spy")
    said = text.partition("Stack backtrace")[0].split()
    return Answer(reason=f"py-spy: {' '.join(said) or 'it said nothing'}"[:REASON_MAX])
