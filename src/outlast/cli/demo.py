"""`outlast demo`: a real training that is killed in three ways and ends like one that was left alone.

Knows how to hurt a run from outside, with the means that anybody has: SIGKILL to the training, SIGKILL to the
supervisor, a terminal that closes. It looks at the run through the same files and verbs as a person.

Refuses to know how the run survives.
"""

import importlib.util
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from outlast.disk import files, identity
from outlast.disk.layout import RunFolder, Workspace
from outlast.errors import OK, TryAgain, UserError
from outlast.supervise.start import holder

STEPS, SAVE_EVERY, STEP_SECONDS = 300, 25, 0.02
KILL_TRAINING_AT, KILL_SUPERVISOR_AT = 90, 170
PATIENCE_S = 120.0


def demo(folder: str | None = None, *, keep: bool = False) -> int:
    """Run the tour in `folder` (a temporary one if None). Exit code 0 only if both trainings ended alike, digit for
    digit. Raises UserError without NumPy, TryAgain if something took longer than two minutes."""
    if importlib.util.find_spec("numpy") is None:
        raise UserError("the demo trains with NumPy, which is not installed: pip install 'outlast[demo]'")
    root = Path(folder or tempfile.mkdtemp(prefix="outlast-demo-")).absolute()
    root.mkdir(parents=True, exist_ok=True)
    try:
        return _Tour(root).go()
    finally:
        if folder is None and not keep:
            shutil.rmtree(root, ignore_errors=True)
        else:
            _say(f"Everything is still in {root}: try `outlast --workspace {root} why @last`.")


class _Tour:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._workspace = Workspace(str(root))
        self._place = self._workspace.place("local")

    def go(self) -> int:
        _say(f"Training a small character-level language model twice, {STEPS} steps each, in {self._root}.")
        _say("First left alone, without outlast:")
        alone = self._train_alone()
        _say(f"  {_told(alone)}")
        _say("Now under `outlast run`, in a terminal of its own:")
        terminal = _Terminal(self._command(), self._root)
        run = self._wait("the run to be accepted", self._newest_run)
        self._wait_for_step(run, KILL_TRAINING_AT)
        self._kill_training(run)
        self._wait_for_step(run, KILL_SUPERVISOR_AT)
        self._kill_supervisor()
        terminal.close()
        _say("-> the terminal is gone too (SIGHUP), as when an SSH line drops")
        snapshot = self._wait("the run to end", lambda: _ended(run))
        terminal.join()
        return self._compare(alone, snapshot)

    def _train_alone(self) -> dict[str, Any]:
        output = self._root / "alone"
        words = [
            sys.executable,
            "-m",
            "outlast.trainers.tiny_lm",
            "--output",
            str(output),
            "--steps",
            str(STEPS),
        ]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        return _final(output)

    def _command(self) -> list[str]:
        training = [sys.executable, "-m", "outlast.trainers.tiny_lm", "--output", "survivor"]
        training += [
            "--steps",
            str(STEPS),
            "--save-every",
            str(SAVE_EVERY),
            "--step-seconds",
            str(STEP_SECONDS),
        ]
        options = ["--name", "demo", "--checkpoints", "survivor", "--target-step", str(STEPS)]
        options += ["--resume-args", "--resume-from {checkpoint}"]
        outlast = [sys.executable, "-m", "outlast", "--workspace", str(self._root), "run", *options]
        return [*outlast, "--", *training]

    def _newest_run(self) -> RunFolder | None:
        try:
            names = sorted(os.listdir(self._workspace.runs))
        except FileNotFoundError:
            return None
        folder = self._workspace.run(names[-1]) if names else None
        return folder if folder and os.path.exists(folder.record) else None

    def _kill_training(self, run: RunFolder) -> None:
        folder = run.attempt(_attempt(run))
        started = files.read(folder.started)
        if started is None or not identity.send(started["child"], signal.SIGKILL):
            raise TryAgain("the training ended before it could be killed")
        _say(f"-> SIGKILL to the training (pid {started['child']['pid']}, attempt {folder.n})")
        self._wait("a second attempt", lambda: _attempt(run) > folder.n)

    def _kill_supervisor(self) -> None:
        record = holder(self._place)
        if not record or not identity.send(record["identity"], signal.SIGKILL):
            raise TryAgain("there was no supervisor to kill")
        _say(f"-> SIGKILL to the supervisor (pid {record['pid']}); the training does not notice")

    def _wait_for_step(self, run: RunFolder, step: int) -> None:
        def reached() -> bool:
            progress = files.read(run.attempt(_attempt(run)).progress) or {}
            return (progress.get("step") or 0) >= step

        self._wait(f"step {step}", reached)

    def _wait(self, what: str, look: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := look():
                return found
            time.sleep(0.02)
        raise TryAgain(f"waited {PATIENCE_S:.0f} s for {what} in vain; see {self._place.log}")

    def _compare(self, alone: dict[str, Any], snapshot: dict[str, Any]) -> int:
        survivor = _final(self._root / "survivor")
        _say("")
        _say(f"The run {snapshot['id']}: {snapshot['outcome']}, {len(snapshot['attempts'])} attempts")
        for attempt in snapshot["attempts"]:
            begin = f"resumed from {attempt['resumed_from']}" if attempt["resumed_from"] else "from scratch"
            _say(f"  attempt {attempt['n']}: {attempt['verdict']}, {begin}")
        _say(f"  left alone: {_told(alone)}")
        _say(f"  survivor:   {_told(survivor)}")
        same = alone == survivor
        _say("The same, to the last digit." if same else "NOT the same.")
        return OK if same else 1


class _Terminal:
    """A command in a pseudo-terminal of its own, whose output is shown indented; closing it is losing the line."""

    def __init__(self, words: list[str], folder: Path) -> None:
        pid, self._fd = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execv(words[0], words)
        self._pid = pid
        self._reader = threading.Thread(target=self._show, daemon=True)
        self._reader.start()

    def close(self) -> None:
        os.kill(self._pid, signal.SIGHUP)
        os.waitpid(self._pid, 0)

    def join(self) -> None:
        self._reader.join(timeout=5)
        os.close(self._fd)

    def _show(self) -> None:
        left = b""
        while True:
            try:
                part = os.read(self._fd, 4096)
            except OSError:  # the other side is closed
                return
            *lines, left = (left + part).replace(b"\r\n", b"\n").split(b"\n")
            for line in lines:
                _say("  | " + line.decode(errors="replace").rpartition("\r")[2])


def _attempt(run: RunFolder) -> int:
    try:
        names = [name for name in os.listdir(run.attempts) if name.isdigit()]
    except FileNotFoundError:
        return 1
    begun = [int(name) for name in names if os.path.exists(run.attempt(int(name)).started)]
    return max(begun, default=1)


def _ended(run: RunFolder) -> dict[str, Any] | None:
    snapshot = files.read(run.snapshot)
    return snapshot if snapshot and snapshot["phase"] == "ended" else None


def _final(output: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "final.json").read_text())
    return record


def _told(final: dict[str, Any]) -> str:
    return f"loss {final['loss_repr']} at step {final['step']}, weights {final['weights_sha256'][:16]}"


def _say(line: str) -> None:
    print(line, flush=True)
