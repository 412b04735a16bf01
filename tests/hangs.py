"""Trainings that hang, each for real and in its own way, and a helper that starts them as the runner would."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from outlast.runner import census, injection
from tests.runner_driver import PYTHON, wait_for

READY = "ready"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "PYTHON"))}

LOOP = """
def spin():
    n = 0
    while True:
        n += 1  # the loop that never ends
print("ready", flush=True)
spin()
"""

# The GIL is held by a C call that waits for a lock which nobody will ever release.
GIL_HELD = """
import ctypes
libc = ctypes.PyDLL(None)
mutex = ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
def deadlock():
    libc.pthread_mutex_lock(mutex)  # with the GIL
print("ready", flush=True)
deadlock()
"""

# The same lock without the GIL, and a thread that lives on and proves nothing.
GIL_RELEASED = """
import ctypes, threading, time
libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
def beat():
    while True:
        time.sleep(0.01)
def deadlock():
    libc.pthread_mutex_lock(mutex)  # without the GIL
threading.Thread(target=beat, daemon=True, name="beating").start()
print("ready", flush=True)
deadlock()
"""

NAP = """
import time
def nap():
    time.sleep(3600)
print("ready", flush=True)
nap()
"""

# Its handler of the signal would run only between two bytecodes.
IN_C = """
import time
print("ready", flush=True)
sum(iter(int, 1))
"""


SIXTY_FOUR = """
import os, threading
for number in range(63):
    if os.fork() == 0:
        break
for _ in range(8):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""


class Hung:
    """A process that hangs. `members` as the runner counts them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.pid = process, process.pid

    @property
    def members(self) -> dict[int, int]:
        return members(self.pid)


def members(*pids: int) -> dict[int, int]:
    """With all their descendants."""
    found = set(pids)
    for pid in pids:
        found |= census.descendants(pid)
    return {pid: ticks for pid in sorted(found) if (ticks := census.living(pid)) is not None}


def environment(**more: str) -> dict[str, str]:
    """As the runner gives it to a training whose sitecustomize it injects."""
    env = {**CLEAN, "OMP_NUM_THREADS": "1", **more}
    return {**env, **injection.environment(env, os.getpid())}


@contextmanager
def hung(
    words: Sequence[str] | str, *, env: Mapping[str, str] | None = None, where: str = "nanosleep"
) -> Iterator[Hung]:
    """Python code or a command, once it said that it is ready, and the kernel says that it waits there."""
    argv = [PYTHON, "-c", words] if isinstance(words, str) else list(words)
    process = subprocess.Popen(
        argv,
        env=dict(env if env is not None else environment()),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        while READY not in (line := process.stdout.readline()):
            assert line, "it ended before it hung"
        wait_for(lambda: waits_in(process.pid, where), "the hang")
        yield Hung(process)
    finally:
        end(process)


def end(process: "subprocess.Popen[str]") -> None:
    """All of its session, whatever state it is in."""
    for pid in [*census.descendants(process.pid), process.pid]:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def code(path: Path, text: str) -> list[str]:
    """The words that run `text` as a file, so that its lines can be shown."""
    path.write_text(text)
    return [PYTHON, str(path)]


def line_of(text: str, part: str) -> int:
    """The number of the line of `text` that holds `part`."""
    (found,) = [number for number, line in enumerate(text.splitlines(), 1) if part in line]
    return found


def waits_in(pid: int, where: str) -> bool:
    """Whether the kernel says that it waits there; "": anywhere or nowhere."""
    return where in (census.read(f"/proc/{pid}/wchan") or b"").decode()
