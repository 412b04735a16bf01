"""One public program, run twice: alone, and under outlast with one SIGKILL after its first checkpoint.

Knows processes, outputs, and what tells a training that went on from one that began anew. Refuses to know which
programs there are, and how a page shows what came out.
"""

import glob
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from outlast.disk import files
from outlast.disk.layout import RunFolder
from tests.live.workspace import Bench, bench, wait_for

PROGRAMS = Path(__file__).parent / "programs"
PATIENCE_S = 240.0
MORE_LINES = 2  # that a program prints behind its checkpoint before it is killed;
MANY_LINES = 20  # if outlast has not understood any of them yet
UNDERSTOOD = ("source", "confidence", "step", "total", "unit", "epoch", "total_epochs", "loss", "val_loss")
ANEW, CONTINUED, SAME, BROKEN = "began anew", "continued", "same numbers", "broken"
ASK_VERSIONS = """
import json, sys
from importlib.metadata import packages_distributions, version
known = packages_distributions()
print(json.dumps({name: version(known[name][0]) for name in sys.argv[1:] if name in known}))
"""
Position = tuple[float, ...]
Curve = dict[Position, str]


class Program(NamedTuple):
    """`curve`: where its printed lines say the position (groups `a`, and `b` within it) and the loss (`loss`).
    `saves`: a pattern of the file or folder, in the folder where it runs, that is a checkpoint; "": it writes none.
    Words: `{out}` is that folder; `{python}` and `{script}` stand in `command`. `resume`: how it goes on, for a
    person; "" where its original cannot.
    """

    name: str
    public: str
    script: str
    command: tuple[str, ...]
    curve: str
    saves: str
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("torch",)
    resume: str = ""
    note: str = ""
    counts_on: bool = True  # its printed counter goes on where the checkpoint was
    kept_from: float = 0  # the position from which on its checkpoint is one to go on from

    @property
    def can_resume(self) -> bool:
        return bool(self.resume)

    def filled(self, words: tuple[str, ...], python: str, out: Path) -> list[str]:
        known = {"{python}": shlex.quote(python), "{script}": str(PROGRAMS / self.script), "{out}": str(out)}
        return [_filled(word, known) for word in words]


def _filled(word: str, known: Mapping[str, str]) -> str:
    for name, value in known.items():
        word = word.replace(name, value)
    return word


class Trial:
    def __init__(self, program: Program, root: Path, python: str = sys.executable) -> None:
        self.program, self.python = program, python
        self._root = root

    def run(self) -> dict[str, Any]:
        """What was understood, and whether it resumed: plain values. Raises AssertionError: it did not even run."""
        alone = self._alone()
        self._root.joinpath("watched").mkdir(parents=True)
        with bench(self._root / "watched") as made:
            return self._watched(made, alone)

    def _alone(self) -> Curve:
        """Undisturbed, and without outlast."""
        out = self._folder("alone")
        command = self.program.filled(self.program.command, self.python, out)
        log = self._root / "alone.log"
        env = {k: v for k, v in os.environ.items() if not k.startswith("OUTLAST_")} | {
            "PYTHONUNBUFFERED": "1"
        }
        with log.open("wb") as to:
            done = subprocess.run(
                command,
                cwd=out,
                env=env,
                stdout=to,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE_S,
                check=False,
            )
        said = log.read_text(errors="replace")
        assert done.returncode == 0, f"{self.program.name} fails by itself: {said[-2000:]}"
        return self.curve(said)

    def _folder(self, name: str) -> Path:
        made = self._root / name
        made.mkdir(parents=True)
        return made

    def _watched(self, made: Bench, alone: Curve) -> dict[str, Any]:
        out = self._folder("watched/out")
        options = self.program.filled(self.program.options, self.python, out)
        command = self.program.filled(self.program.command, self.python, out)
        run = made.start("--cwd", str(out), "--backoff", "0", *options, command=command)
        before = self._kill_behind_a_checkpoint(made, run, out)
        again = self._until_ended(made, run)
        shown = made.show(run)
        first, second = (self.curve(made.output(run, n)) for n in (1, 2))
        verdict, evidence = self.judged(alone, first, second, shown)
        return {
            "verdict": verdict,
            "evidence": evidence,
            "before_the_kill": _understood(before),
            "running_again": _understood(again),
            "ended": _understood(shown.get("progress") or {}),
            "outcome": shown["outcome"],
            "attempts": [
                [each.get("verdict"), each.get("cause"), each.get("why")] for each in shown["attempts"]
            ],
            "resumed_from": os.path.basename(shown["attempts"][-1].get("resumed_from") or ""),
            "versions": versions(self.python, self.program.needs),
        }

    def _kill_behind_a_checkpoint(self, made: Bench, run: RunFolder, out: Path) -> dict[str, Any]:
        """Once its first checkpoint is there, and it has gone on. What `show` said last before it."""
        lines_then: int | None = None
        shown: dict[str, Any] = {}
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, (
                f"no checkpoint {self.program.saves}: {made.output(run)[-2000:]}"
            )
            now = made.snapshot(run)
            assert now["phase"] != "ended", f"it ended first: {now.get('why')}: {made.output(run)[-2000:]}"
            curve = self.curve(made.output(run))
            lines = len(curve)
            if lines_then is None and self._has_saved(curve, out):
                lines_then = lines
            live = files.read(run.attempt(1).progress) or {}
            more = lines - lines_then if lines_then is not None else 0
            if more >= (MORE_LINES if live.get("step") is not None else MANY_LINES):
                shown = made.show(run).get("progress") or {}
                break
            time.sleep(0.02)
        made.kill_training(run)
        made.exit(run)
        return shown

    def _has_saved(self, curve: Curve, out: Path) -> bool:
        saves, at = self.program.saves, max(curve, default=(-1.0,))
        there = not saves or any(_is_there(path) for path in glob.glob(str(out / saves)))
        return there and at[0] >= self.program.kept_from

    def _until_ended(self, made: Bench, run: RunFolder) -> dict[str, Any]:
        """What `show` said last while the second attempt ran, and was not at its last step."""
        wait_for(lambda: files.read(run.attempt(2).started), "the second attempt", PATIENCE_S)
        last: dict[str, Any] = {}
        deadline = time.monotonic() + PATIENCE_S
        while made.snapshot(run)["phase"] != "ended":
            assert time.monotonic() < deadline, f"no end: {made.output(run, 2)[-2000:]}"
            shown = made.show(run)
            progress = shown.get("progress") or {}
            if shown["phase"] == "running" and progress.get("step") is not None:
                last = last if last and _is_over(progress) else progress
            time.sleep(0.2)
        return last

    def curve(self, said: str) -> Curve:
        """Position -> loss as it is printed; the newest, where a position is printed several times."""
        found: Curve = {}
        for hit in re.finditer(self.program.curve, said):
            groups = hit.groupdict()
            position = tuple(float(groups[name]) for name in ("a", "b") if groups.get(name) is not None)
            found[position] = groups.get("loss") or ""
        return found

    def judged(
        self, alone: Curve, first: Curve, second: Curve, shown: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """By what the program itself printed, and by what outlast says of the end."""
        evidence: dict[str, Any] = {
            "first": _first(first),
            "killed_behind": _last(first),
            "began_again_at": _first(second),
            "last": _last(second),
            "last_alone": _last(alone),
            "loss": second.get(max(second), "") if second else "",
            "loss_alone": alone.get(max(alone), "") if alone else "",
        }
        if shown["outcome"] != "completed" or len(shown["attempts"]) != 2 or not (first and second and alone):
            return BROKEN, evidence
        if not self.program.counts_on:
            went_on = len(second) < len(alone)
            is_same = went_on and evidence["loss"] == evidence["loss_alone"] != ""
            return (SAME if is_same else CONTINUED if went_on else ANEW), evidence
        if max(second) != max(alone):
            return BROKEN, evidence
        if min(second) <= min(first):
            return ANEW, evidence
        if min(second) > _next(alone, max(first)):
            return BROKEN, evidence  # it left steps out
        differing = [at for at in second if at in alone and second[at] != alone[at]]
        told = [at for at in second if at in alone and second[at]]
        evidence["compared"], evidence["differing"] = len(told), len(differing)
        return (SAME if told and not differing else CONTINUED), evidence


def _next(curve: Curve, at: Position) -> Position:
    """The position behind `at`."""
    return min((each for each in curve if each > at), default=at)


def _first(curve: Curve) -> list[float] | None:
    return list(min(curve)) if curve else None


def _last(curve: Curve) -> list[float] | None:
    return list(max(curve)) if curve else None


def _is_there(path: str) -> bool:
    return any(os.scandir(path)) if os.path.isdir(path) else os.path.getsize(path) > 0


def _is_over(progress: Mapping[str, Any]) -> bool:
    return bool(progress.get("total")) and progress["step"] >= progress["total"]


def _understood(progress: Mapping[str, Any]) -> dict[str, Any]:
    return {name: progress[name] for name in UNDERSTOOD if progress.get(name) not in (None, "")}


def versions(python: str, names: tuple[str, ...]) -> dict[str, str]:
    """Of those that `python` imports by these names."""
    done = subprocess.run([python, "-c", ASK_VERSIONS, *names], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found
