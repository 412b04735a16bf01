"""A workspace on a real disk, and the real command as a person uses it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from outlast.disk import files, identity
from outlast.disk.layout import RunFolder, Workspace

T = TypeVar("T")
PATIENCE_S = 40.0
PYTHON = sys.executable


def wait_for(look: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """The first true answer of `look`; a condition, not a sleep."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {patience_s:.0f} s in vain for {what}")


class Bench:
    """One workspace; everything in it is ended when the test is over."""

    def __init__(self, root: Path) -> None:
        root.chmod(0o700)
        self.root = root
        self.workspace = Workspace(str(root))
        self.place = self.workspace.place("local")
        self._started: list[subprocess.Popen[str]] = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("OUTLAST_", "SLURM_"))}

    # --- the command -----------------------------------------------------------------------------------------------

    def words(self, *words: str) -> list[str]:
        return [PYTHON, "-m", "outlast", "--workspace", str(self.root), *words]

    def outlast(
        self, *words: str, expect: int | None = 0, timeout: float = 60
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            self.words(*words), capture_output=True, text=True, env=self.env, cwd=self.root, timeout=timeout
        )
        if expect is not None:
            assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *options: str, command: list[str]) -> RunFolder:
        """`outlast run --detach`: the run's folder, once the command has returned."""
        done = self.outlast("run", "--detach", *options, "--", *command)
        return self.workspace.run(done.stdout.strip())

    def popen(self, *words: str, **more: Any) -> "subprocess.Popen[str]":
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
        process: subprocess.Popen[str] = subprocess.Popen(
            self.words(*words), env=self.env, cwd=self.root, **more
        )
        self._started.append(process)
        return process

    def newest_run(self) -> RunFolder | None:
        """The run that was accepted last; None: none yet."""
        try:
            names = sorted(os.listdir(self.workspace.runs))
        except FileNotFoundError:
            return None
        run = self.workspace.run(names[-1]) if names else None
        return run if run is not None and os.path.exists(run.record) else None

    def show(self, run: RunFolder) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.outlast("show", run.id, "--json").stdout)
        return answer

    # --- looking ----------------------------------------------------------------------------------------------------

    def snapshot(self, run: RunFolder) -> dict[str, Any]:
        return files.read(run.snapshot) or {"phase": "?", "attempts": []}

    def ended(self, run: RunFolder, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            snapshot = self.snapshot(run)
            return snapshot if snapshot["phase"] == "ended" else None

        return wait_for(look, f"the end of {run.id}", patience_s)

    def started(self, run: RunFolder, n: int = 1) -> dict[str, Any]:
        return wait_for(lambda: files.read(run.attempt(n).started), f"attempt {n} of {run.id}")

    def exit(self, run: RunFolder, n: int = 1) -> dict[str, Any]:
        return wait_for(lambda: files.read(run.attempt(n).exit), f"the end of attempt {n} of {run.id}")

    def output(self, run: RunFolder, n: int = 1) -> str:
        body = files.read_bytes(run.attempt(n).output, 1 << 30)
        return (body or b"").decode(errors="replace")

    def says(self, run: RunFolder, text: str, n: int = 1) -> str:
        def look() -> str | None:
            output = self.output(run, n)
            return output if text in output else None

        return wait_for(look, f"{text!r} in the output of attempt {n}")

    def supervisor(self) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            record = files.read(self.place.supervisor) if files.is_locked(self.place.lock) else None
            return record if record is not None and identity.alive(record["identity"]) else None

        return wait_for(look, "a supervisor")

    # --- hurting ----------------------------------------------------------------------------------------------------

    def kill_supervisor(self) -> None:
        """And its guard before it, so that nobody but a runner or a person starts another."""
        record = self.supervisor()
        guard = parent_of(record["pid"])
        if b"outlast.cli.guard" in Path(f"/proc/{guard}/cmdline").read_bytes():
            os.kill(guard, signal.SIGKILL)
        identity.send(record["identity"], signal.SIGKILL)
        wait_for(lambda: identity.alive(record["identity"]) is False, "the supervisor's death")

    def kill_runner(self, run: RunFolder, n: int = 1) -> None:
        claim = files.read(run.attempt(n).claim)
        assert claim is not None
        identity.send(claim["by"], signal.SIGKILL)
        wait_for(lambda: identity.alive(claim["by"]) is False, "the runner's death")

    def kill_training(self, run: RunFolder, n: int = 1) -> None:
        identity.send(self.started(run, n)["child"], signal.SIGKILL)

    # --- cleaning up --------------------------------------------------------------------------------------------------

    def end_everything(self) -> None:
        """Whatever belongs to this workspace, found by environment and command line."""
        for process in self._started:
            process.kill()
            process.communicate()
        for _ in range(200):
            pids = self.members()
            if not pids:
                return
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)
        raise AssertionError(f"processes {self.members()} of {self.root} cannot be ended")

    def members(self) -> list[int]:
        marks = (f"{self.root}/.outlast".encode(), f"{self.root}".encode() + b"\0")
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                mine = Path(f"/proc/{name}/environ").read_bytes() + Path(f"/proc/{name}/cmdline").read_bytes()
                state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state not in "ZX" and any(mark in mine for mark in marks):
                found.append(int(name))
        return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def bench(root: Path) -> Iterator[Bench]:
    made = Bench(root)
    try:
        yield made
    finally:
        made.end_everything()
