"""`outlast demo`: a real training that is killed in three ways, hangs once, and ends like one that was left alone.

Knows how to hurt a run from outside, with the means that anybody has: SIGKILL to the training, SIGKILL to the
supervisor, a terminal that closes. The hang is a bug of the training itself, which it is told to meet. The demo looks
at the run through the same files and verbs as a person.

Refuses to know how the run survives, and how a hang is noticed.
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
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from outlast.cli import words
from outlast.disk import files, identity
from outlast.disk.layout import RunFolder, Workspace
from outlast.errors import OK, TryAgain, UserError
from outlast.supervise.start import holder

STEPS, SAVE_EVERY, STEP_SECONDS = 300, 25, 0.015
KILL_TRAINING_AT, HANG_AT, KILL_SUPERVISOR_AT = 60, 160, 200
STALL_LIMIT_S = 3
PATIENCE_S = 120.0
WIDTH = 80
LINES_AROUND = 2  # of the source, before and after the one where it stood


def demo(folder: str | None = None, *, keep: bool = False) -> int:
    """Run the tour in `folder` (a temporary one if None). Exit code 0 only if both trainings ended alike, digit for
    digit. Raises UserError without NumPy, TryAgain if something took longer than two minutes."""
    if importlib.util.find_spec("numpy") is None:
        raise UserError("the demo trains with NumPy, which is not installed: pip install numpy")
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
        _told("  ", alone)
        _say("Now under `outlast run`, in a terminal of its own; it will be hurt five times:")
        terminal = _Terminal(self._command(), self._root)
        run = self._wait("the run to be accepted", self._newest_run)
        self._wait_for_step(run, KILL_TRAINING_AT)
        self._kill_training(run)
        self._watch_it_hang(run)
        self._wait_for_step(run, KILL_SUPERVISOR_AT)
        self._kill_supervisor()
        terminal.close()
        _say("-> The terminal is gone too (SIGHUP), as when an SSH line drops. The run goes on unseen.")
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
            "--hang-once-at",
            str(HANG_AT),
        ]
        options = ["--name", "demo", "--checkpoints", "survivor", "--target-step", str(STEPS)]
        options += ["--stall-limit", f"train={STALL_LIMIT_S}s"]
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
        _say(f"-> SIGKILL to the training (pid {started['child']['pid']}, attempt {folder.n}).")
        self._wait("a second attempt", lambda: _attempt(run) > folder.n)

    def _watch_it_hang(self, run: RunFolder) -> None:
        self._wait("the training to hang", (self._root / "survivor" / "hung-once").exists)
        _say(
            f"-> The training hangs now: a bug in its own code, a lock that is taken twice. It says nothing, it "
            f"uses no CPU, and it would stand there for ever. This run was told to wait for {STALL_LIMIT_S} s "
            f"(--stall-limit train={STALL_LIMIT_S}s); without that it is 10 minutes, later what the run has taught."
        )
        hung, damaged = _attempt(run), self._flip_a_bit()
        incident = self._wait("the hang to be noticed", lambda: _incident(run))
        _print(
            *_wrapped(
                f"-> {_sentence(incident['reason'])} Before it is ended, outlast looks where it stands:"
            ),
            *_wrapped(words.culprit(incident["culprit"]), "     "),
            *_source(incident["ranks"][0]),
            *_wrapped("`outlast why` tells the same; the stacks of all its threads are kept.", "     "),
        )
        self._wait("a third attempt", lambda: _attempt(run) > hung)
        self._show_what_was_resumed_from(run, damaged)

    def _flip_a_bit(self) -> Path:
        """In the weights of the newest checkpoint, as a bad disk or cable does."""
        newest = max((self._root / "survivor").glob("step-*"))
        weights = newest / "model.npz"
        body = bytearray(weights.read_bytes())
        body[len(body) // 2] ^= 1
        files.replace_bytes(str(weights), bytes(body))
        _say(
            f"-> While it stands there, one bit of its newest checkpoint is flipped, in {newest.name}/model.npz."
        )
        return newest

    def _show_what_was_resumed_from(self, run: RunFolder, damaged: Path) -> None:
        started = files.read(run.attempt(_attempt(run)).started) or {}
        found = [reason for reason in started.get("resume_reasons") or () if str(damaged) in reason]
        resumed = os.path.basename(started.get("resumed_from") or "nothing")
        _print(
            *_wrapped(
                f"-> Before it goes on, outlast reads what it is to go on from. Of {damaged.name} it says:"
            ),
            *_wrapped(found[0].removeprefix(f"{damaged}: ") if found else "nothing", "     "),
            *_wrapped(f"It is moved aside, and the training resumes from {resumed}.", "     "),
        )

    def _kill_supervisor(self) -> None:
        record = holder(self._place)
        if not record or not identity.send(record["identity"], signal.SIGKILL):
            raise TryAgain("there was no supervisor to kill")
        _say(f"-> SIGKILL to the supervisor (pid {record['pid']}); the training does not notice.")

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
        _print("")
        _say(f"The run {snapshot['id']}: {snapshot['outcome']}, {len(snapshot['attempts'])} attempts")
        for attempt in snapshot["attempts"]:
            _say(f"  attempt {attempt['n']}: {self._life(attempt)}", hang="    ")
        _told("  left alone: ", alone)
        _told("  survivor:   ", survivor)
        same = alone == survivor
        _say("The same, to the last digit." if same else "NOT the same.")
        return OK if same else 1

    def _life(self, attempt: dict[str, Any]) -> str:
        """ "from step-000050, failed at step 160 (signal 15 (SIGTERM), hang_train)" """
        checkpoint = attempt["resumed_from"]
        begin = f"from {os.path.basename(checkpoint)}" if checkpoint else "from scratch"
        why = words.end(attempt["exit"])
        if (cause := words.cause(attempt["cause"])) and attempt["verdict"] != "finished":
            why = f"{why}, {cause}"
        return f"{begin}, {attempt['verdict']} at step {attempt['last_step']} ({why})"


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
                _say(line.decode(errors="replace").rpartition("\r")[2], "  | ", "  |   ")


def _attempt(run: RunFolder) -> int:
    try:
        names = [name for name in os.listdir(run.attempts) if name.isdigit()]
    except FileNotFoundError:
        return 1
    begun = [int(name) for name in names if os.path.exists(run.attempt(int(name)).started)]
    return max(begun, default=1)


def _incident(run: RunFolder) -> dict[str, Any] | None:
    """What was found, once all of it was."""
    found = files.read(os.path.join(run.incidents, "0001", "incident.json"))
    return found if found and found["culprit"]["pid"] is not None and found["ranks"] else None


def _ended(run: RunFolder) -> dict[str, Any] | None:
    snapshot = files.read(run.snapshot)
    return snapshot if snapshot and snapshot["phase"] == "ended" else None


def _final(output: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "final.json").read_text())
    return record


def _source(rank: dict[str, Any]) -> list[str]:
    """The lines around the one where a rank stood, that one marked."""
    place, _, function = str(rank.get("own") or rank.get("top")).rpartition(" ")
    file, _, number = place.rpartition(":")
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return []
    first = max(1, int(number) - LINES_AROUND)
    shown = textwrap.dedent("\n".join(lines[first - 1 : int(number) + LINES_AROUND])).splitlines()
    return [
        f"       {os.path.basename(file)}, line {number}, in {function}:",
        *[
            f"     {'>' if at == int(number) else ' '} {at:4}  {line}"[:WIDTH].rstrip()
            for at, line in enumerate(shown, first)
        ],
    ]


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _told(before: str, final: dict[str, Any]) -> None:
    _say(f"{before}loss {final['loss_repr']} at step {final['step']}, weights {final['weights_sha256'][:16]}")


def _say(text: str, indent: str = "", hang: str | None = None) -> None:
    _print(*_wrapped(text, indent, hang))


def _wrapped(text: str, indent: str = "", hang: str | None = None) -> list[str]:
    """For a narrow terminal."""
    after = hang if hang is not None else indent or "   " * text.startswith("->")
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=after, break_on_hyphens=False
    ) or [indent]


def _print(*lines: str) -> None:
    """At once: the terminal's output is printed by a thread of its own."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
