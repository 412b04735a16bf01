"""A folder as a supervisor leaves it for one attempt, and the real runner started on it, as the local backend does."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from outlast.disk import files, identity
from outlast.disk.layout import AttemptFolder, Workspace

T = TypeVar("T")
SOURCE = str(Path(files.__file__).parents[2])
BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.runner.life import main; sys.exit(main())"
)
PATIENCE_S = 20.0
PYTHON = sys.executable
RUN = "run-20260101-000000"
Runner = subprocess.Popen[bytes]


def wait_for(look: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first true answer of `look`: a condition, not a sleep."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.002)
    raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}")


class Driver:
    """One run with one attempt. `start` may be called as often as a supervisor would."""

    def __init__(self, root: Path, n: int = 1) -> None:
        root.chmod(0o700)
        self.root = root
        self.workspace = Workspace(str(root))
        self.run = self.workspace.run(RUN)
        self.place = self.workspace.place("local")
        self.folder: AttemptFolder = self.run.attempt(n)
        self.runners: list[Runner] = []
        files.make_directory(self.folder.path)
        files.make_directory(self.place.path)
        files.make_once(self.run.record, {"schema": 1, "type": "Spec", "run": RUN, "place": "local"})
        self.caller = {"PATH": os.environ["PATH"], "HOME": str(root)}
        self.caller_is({})

    # --- what the supervisor writes -----------------------------------------------------------------------------

    def caller_is(self, env: dict[str, str]) -> None:
        files.replace(self.run.env, {"schema": 1, "env": {**self.caller, **env}})

    def order(self, argv: Sequence[str], term: int = 1, **more: Any) -> str:
        """Write order.TERM.json; its name."""
        record: dict[str, Any] = {
            "schema": 1,
            "type": "Order",
            "attempt": {"type": "AttemptId", "run": RUN, "n": self.folder.n},
            "term": term,
            "argv": list(argv),
            "cwd": str(self.root),
            "env": [],
            "resume": None,
            "target_step": None,
            "stall_limits_s": [],
            "stop_grace_s": 0.5,
            "log_bytes_max": 1 << 30,
            "stop_limit_s": 5.0,
            **more,
        }
        files.replace(self.folder.order(term), record)
        return os.path.basename(self.folder.order(term))

    def wish(self, want: str, request: int = 1, term: int = 1) -> None:
        """Write the wish and nudge the runner, as a supervisor does."""
        files.replace(self.folder.wish, {"schema": 1, "term": term, "request": request, "want": want})
        claim = files.read(self.folder.claim)
        if claim is not None:
            identity.send(claim["by"], signal.SIGUSR2)

    # --- runners --------------------------------------------------------------------------------------------------

    def words(self, order_name: str = "order.1.json") -> list[str]:
        return [PYTHON, "-I", "-S", "-c", BOOT, SOURCE, self.folder.path, order_name]

    def start(
        self,
        order_name: str = "order.1.json",
        *,
        before: Sequence[str] = (),
        words: Sequence[str] = (),
        **more: Any,
    ) -> Runner:
        """`before`: words in front of the command (strace ...); `words`: instead of it."""
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **more}
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "PYTHON"))
        }
        runner = subprocess.Popen(
            [*before, *(words or self.words(order_name))], cwd="/", env=env, start_new_session=True, **more
        )
        self.runners.append(runner)
        return runner

    def live(self, argv: Sequence[str], **order: Any) -> dict[str, Any]:
        """A whole attempt, undisturbed: its exit record."""
        self.order(argv, **order)
        runner = self.start()
        assert runner.wait(PATIENCE_S) == 0, said_by(runner)
        return self.exit()

    # --- looking ----------------------------------------------------------------------------------------------------

    def exit(self) -> dict[str, Any]:
        return wait_for(lambda: files.read(self.folder.exit), "exit.json")

    def started(self) -> dict[str, Any]:
        return wait_for(lambda: files.read(self.folder.started), "started.json")

    def progress(self) -> dict[str, Any]:
        return files.read(self.folder.progress) or {}

    def output(self) -> str:
        return (files.read_bytes(self.folder.output, 1 << 30) or b"").decode(errors="replace")

    def log(self) -> str:
        return (files.read_bytes(self.folder.runner_log) or b"").decode()

    def says(self, text: str) -> str:
        def look() -> str | None:
            output = self.output()
            return output if text in output else None

        return wait_for(look, f"{text!r} in the output")

    def members(self) -> list[int]:
        """Whatever lives and carries this attempt's mark."""
        mark = f"OUTLAST_ATTEMPT_DIR={self.folder.path}\0".encode()
        return [pid for pid in _pids() if mark in _environ(pid) and is_living(pid)]

    def leftovers(self) -> list[str]:
        return [name for name in os.listdir(self.folder.path) if name.startswith(".")]

    def clean_up(self) -> None:
        """End all that was started, and take away what lies outside of the folder."""
        self._end_all()
        started = files.read(self.folder.started) or {}
        heartbeat = started.get("heartbeat")
        if heartbeat:
            shutil.rmtree(heartbeat, ignore_errors=True)
        if started.get("cgroup"):
            with suppress(OSError):
                os.rmdir(started["cgroup"])

    def _end_all(self) -> None:
        for runner in self.runners:
            if runner.poll() is None:
                runner.kill()
            runner.wait()
            if runner.stdout is not None:
                runner.stdout.close()
        for _ in range(500):
            pids = self.members()
            if not pids:
                return
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def said_by(runner: Runner) -> str:
    """All that it printed, once it has ended."""
    assert runner.stdout is not None
    return runner.stdout.read().decode()


def kill(runner: Runner) -> None:
    runner.kill()
    runner.wait()


def is_living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def python(code: str) -> list[str]:
    return [PYTHON, "-c", code]


def record(path: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(path).read_bytes())
    return found


@contextmanager
def driver(root: Path, n: int = 1) -> Iterator[Driver]:
    made = Driver(root, n)
    try:
        yield made
    finally:
        made.clean_up()


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
