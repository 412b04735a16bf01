"""The CPU that a runner and its supervisor take of a core while a training goes on, printing at a normal rate.

Measured by the kernel (schedstat: nanoseconds on a processor), behind the first seconds. All ways run at once, each in
a workspace of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

WINDOW_S = float(os.environ.get("OUTLAST_BENCH_WINDOW_S", "60"))
SETTLED_S, LIMIT_S = 10.0, 60.0
FOR_EVER = "import time, sys, itertools\n"
WAYS = {
    "silent": FOR_EVER + "time.sleep(1e6)",
    "a line every second": FOR_EVER
    + "for n in itertools.count(1): print(f'step {n}/100000 loss {1 / n:.4f}', flush=True); time.sleep(1)",
    "tqdm, ten times a second": FOR_EVER
    + "from tqdm import tqdm\nfor n in tqdm(range(10**9), desc='train'): time.sleep(0.002)",
    "SDK, 500 steps a second": FOR_EVER
    + "import outlast\nwith outlast.training(total_steps=10**9) as run:\n"
    + "    for n in run.track(itertools.count()): run.step(loss=1 / (n + 1)); time.sleep(0.002)",
    "both": FOR_EVER
    + "import outlast\nfrom tqdm import tqdm\nwith outlast.training(total_steps=10**9) as run:\n"
    + "    for n in tqdm(range(10**9), desc='train'): run.step(loss=1 / (n + 1)); time.sleep(0.002)",
}


def main() -> None:
    with ExitStack() as stack:
        folders = {
            name: Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outlast-bench-")))
            for name in WAYS
        }
        pids = {name: _start(stack, folder, WAYS[name]) for name, folder in folders.items()}
        time.sleep(SETTLED_S)
        before = {pid: _on_cpu_s(pid) for pair in pids.values() for pid in pair}
        began = time.monotonic()
        time.sleep(WINDOW_S)
        taken_s = time.monotonic() - began
        print(f"CPU time beside a training, in percent of one core, over {taken_s:.0f} s")
        for name, (runner, supervisor) in pids.items():
            shares = [100 * (_on_cpu_s(pid) - before[pid]) / taken_s for pid in (runner, supervisor)]
            print(f"  {name:28} runner {shares[0]:6.3f} %   supervisor {shares[1]:6.3f} %")


def _start(stack: ExitStack, folder: Path, code: str) -> tuple[int, int]:
    """The pids of the runner and of the supervisor."""
    script = folder / "train.py"
    script.write_text(code)
    outlast = [sys.executable, "-m", "outlast", "--workspace", str(folder)]
    run = subprocess.run(
        [*outlast, "run", "--detach", "--name", "bench", "--", sys.executable, str(script)],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    stack.callback(subprocess.run, [*outlast, "stop", run, "--now"], check=False, capture_output=True)
    hidden = folder / ".outlast"
    started = hidden / "runs" / run / "attempts" / "0001" / "started.json"
    deadline = time.monotonic() + LIMIT_S
    while not started.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{started} did not appear")
        time.sleep(0.05)
    supervisor = json.loads((hidden / "places" / "local" / "supervisor.json").read_text())
    return int(json.loads(started.read_text())["runner"]["pid"]), int(supervisor["pid"])


def _on_cpu_s(pid: int) -> float:
    """Of all its threads."""
    return (
        sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    )


if __name__ == "__main__":
    main()
