"""A training hangs: how long until its replacement makes a step, with a limit of 2 s, beside a shell's watchdog.

The training writes a line twenty times a second and, in its first life, takes a lock twice after forty. Its first
process writes when its last line was written, the second when its first was. The watchdog is what people write: every
second it looks when the log was changed, and kills and starts anew. outlast gathers the stacks of all processes before
it ends them, and records each step of the restart.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.table import show

REPEATS = 8
LIMIT_S, PATIENCE_S = 2, 60.0
TRAINING = """
import os, sys, threading, time
marks, lock = sys.argv[1], threading.Lock()
first = not os.path.exists(marks)
def say(word):
    with open(marks, "a") as file:
        file.write(f"{word} {time.monotonic_ns()}\\n")
def load():
    with lock:
        load()
for step in range(1, 10**6):
    if step == 1 and not first:
        say("again")
    print(f"step {step}/1000000 loss 0.5", flush=True)
    if first and step == 40:
        say("hung")
        load()
    time.sleep(0.05)
"""
WATCHDOG = f"""
: > "$1"
while :; do
  "$2" "$3" "$4" >> "$1" 2>&1 & child=$!
  while kill -0 $child 2> /dev/null; do
    sleep 1
    age=$(( $(date +%s%N) - $(date -r "$1" +%s%N) ))
    [ $age -gt {LIMIT_S}000000000 ] && kill -9 $child
  done
  wait $child
done
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as name:
        root = Path(name)
        (root / "train.py").write_text(TRAINING)
        noticed: list[float] = []
        rows = [
            ("shell watchdog, looks every second", _measure(root / "bash", _watchdog)),
            (f"outlast run --stall-limit {LIMIT_S}s", _measure(root / "ours", _outlast, noticed)),
        ]
        show(f"last line of a hung training -> first line of the next, limit {LIMIT_S} s", rows)
        show("  of which outlast took to notice it", [("declared a hang", noticed)])


def _measure(
    folder: Path, start: Callable[[Path, Path], Callable[[], None]], noticed: list[float] | None = None
) -> list[float]:
    taken = []
    for number in range(REPEATS):
        place = folder / str(number)
        place.mkdir(parents=True, mode=0o700)
        marks = place / "marks"
        stop = start(place, marks)
        try:
            words = _wait_for(marks)
        finally:
            stop()
        taken.append((int(words["again"]) - int(words["hung"])) / 1e6)
        if noticed is not None:
            (incident,) = place.glob(".outlast/runs/*/incidents/*/incident.json")
            noticed.append(1e3 * float(json.loads(incident.read_text())["quiet_s"]))
    return taken


def _watchdog(place: Path, marks: Path) -> Callable[[], None]:
    script = [str(place / "log"), sys.executable, str(place.parent.parent / "train.py"), str(marks)]
    process = subprocess.Popen(
        ["bash", "-c", WATCHDOG, "watchdog", *script], start_new_session=True, stderr=subprocess.DEVNULL
    )

    def stop() -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    return stop


def _outlast(place: Path, marks: Path) -> Callable[[], None]:
    outlast = [sys.executable, "-m", "outlast", "--workspace", str(place)]
    options = ["--detach", "--name", "bench", "--backoff", "0", "--stall-limit", f"{LIMIT_S}s"]
    words = [sys.executable, str(place.parent.parent / "train.py"), str(marks)]
    run = subprocess.run(
        [*outlast, "run", *options, "--", *words], check=True, capture_output=True, text=True
    ).stdout.strip()

    def stop() -> None:
        subprocess.run([*outlast, "stop", run, "--now"], check=False, capture_output=True)

    return stop


def _wait_for(marks: Path) -> dict[str, str]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if marks.exists() and marks.read_text().count("\n") == 2:
            return dict(line.split() for line in marks.read_text().splitlines())
        time.sleep(0.01)
    raise TimeoutError(f"{marks}: no second life within {PATIENCE_S:.0f} s")


if __name__ == "__main__":
    main()
