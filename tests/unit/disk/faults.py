"""Faults of the real world, for tests: a process killed before any of its system calls, a system call that fails, a
disk that is full, a user who may not.

Knows fork, strace and mount. Refuses to know what is tested; where the machine does not allow a fault, it skips.
"""

import ctypes
import gc
import os
import pickle
import re
import shutil
import signal
import subprocess
import tempfile
import traceback
import warnings
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import pytest

T = TypeVar("T")
Deed = Callable[[], Any]
NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_CALL = re.compile(r"([a-z_0-9]+)\(")
_MEMORY = ("brk", "mmap", "mremap", "munmap", "madvise", "mprotect")
_BEGIN = "getppid"  # a child makes this system call just before its deed, and no deed makes it


class Death(NamedTuple):
    """A child that was killed just before the `ordinal`-th of its calls of `call`."""

    call: str
    ordinal: int


def in_child(deed: Callable[[], T], *, before: Deed | None = None) -> T:
    """What `deed` gives back, done in a forked child. An exception there is raised here again."""
    child = Child(lambda: (before() if before else None, deed())[1])
    child.go()
    return child.answer()  # type: ignore[no-any-return]  # what was pickled is what the caller's function returns


def as_nobody(deed: Callable[[], T]) -> T:
    """`deed` as a user to whom the permissions of files apply. Needs root, unless we are no root already."""
    if os.getuid() != 0:
        return deed()
    return in_child(deed, before=become_nobody)


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec: /proc/self is ours again


def system_calls(deed: Deed) -> list[str]:
    """The names of the system calls that `deed` makes, in order, less those for memory (which vary)."""
    with tempfile.NamedTemporaryFile("r") as log:
        child = Child(deed)
        with _strace(child, "-o", log.name):
            child.go()
            child.answer()
        calls = [found[1] for line in log if (found := _CALL.match(line)) and found[1] not in _MEMORY]
    return calls[calls.index(_BEGIN) + 1 : calls.index("exit_group") - 1]  # the last is the answer


def deaths(deed: Deed, afresh: Deed, only: Container[str] | None = None) -> Iterator[Death]:
    """Kill a child that does `deed` before its first system call (or the first of `only`), another before its second,
    ...; yields after each, for a look at what is left. `afresh` makes the world as each child finds it."""
    seen: dict[str, int] = {}
    afresh()
    for call in system_calls(deed):
        if only is not None and call not in only:
            continue
        afresh()
        seen[call] = seen.get(call, 0) + 1
        child = Child(deed)
        with _strace(child, "-e", f"inject={call}:signal=KILL:when={seen[call]}"):
            child.go()
            assert child.killed(), f"the child was not killed before its {call} number {seen[call]}"
        yield Death(call, seen[call])


def with_error(deed: Callable[[], T], call: str, error: str, when: str = "1") -> T:
    """What `deed` gives back (or raises) when system call `call` fails with `error` (an errno's name)."""
    child = Child(deed)
    with _strace(child, "-e", f"inject={call}:error={error}:when={when}"):
        child.go()
        return child.answer()  # type: ignore[no-any-return]  # what was pickled is what the caller's function returns


class Child:
    """A forked child that stops itself, and does its deed when it is told to go on."""

    def __init__(self, deed: Deed) -> None:
        self._result, answer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # of forking beside a thread of the test runner
            self.pid = os.fork()
        if self.pid == 0:
            _be(deed, answer)
        os.close(answer)
        self._ended = False
        os.waitpid(self.pid, os.WUNTRACED)

    def go(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def killed(self) -> bool:
        return self._wait() == -signal.SIGKILL

    def ended_by(self) -> int:
        return self._wait()

    def answer(self) -> Any:
        with os.fdopen(self._result, "rb") as file:
            body = file.read()
        status = self._wait()
        assert body, f"the child ended with {status} and without an answer"
        answer, error = pickle.loads(body)
        if error is not None:
            raise error
        return answer

    def _wait(self) -> int:
        if not self._ended:
            _, status = os.waitpid(self.pid, 0)
            self._status, self._ended = os.waitstatus_to_exitcode(status), True
            with suppress(OSError):
                os.close(self._result)
        return self._status


def _be(deed: Deed, answer: int) -> NoReturn:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # no test leaves a child behind
        os.kill(os.getpid(), signal.SIGSTOP)
        os.getppid()
        said: tuple[Any, BaseException | None]
        try:
            said = (deed(), None)
        except BaseException as error:  # noqa: BLE001 - raised again by who asks for the answer
            error.__traceback__ = error.__context__ = None
            said = (None, error)
        os.write(answer, pickle.dumps(said))
        code = 0
    except BaseException:  # noqa: BLE001 - this process must not go on as a second pytest
        traceback.print_exc()
    finally:
        os._exit(code)


@contextmanager
def _strace(child: Child, *words: str) -> Iterator[None]:
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    with tempfile.TemporaryFile("w+") as said:
        tracer = subprocess.Popen([program, "-qq", "-p", str(child.pid), *words], stdout=said, stderr=said)
        try:
            while f"TracerPid:\t{tracer.pid}\n" not in Path(f"/proc/{child.pid}/status").read_text():
                if tracer.poll() is not None:
                    os.kill(child.pid, signal.SIGKILL)
                    said.seek(0)
                    pytest.skip(f"strace may not trace here: {said.read()[-200:]}")
            yield
        finally:
            if not child._ended:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
                child._wait()
            tracer.wait(10)


def open_descriptors() -> int:
    gc.collect()  # what other tests left may close at any moment
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs of so many bytes (`64k`) mounted at `folder`. Needs the right to mount."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "outlast-test", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True) if os.getuid() == 0 else None
    if done is None or done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip() if done else 'needs root'}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is free on that disk; the file that took them."""
    path = disk / "filler"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while os.write(fd, bytes(size)) == size:
                    pass
    finally:
        os.close(fd)
    return path
