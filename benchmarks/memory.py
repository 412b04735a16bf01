"""Private memory of a runner and of a supervisor while a training runs, beside bare interpreters."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import show


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as folder:
        outlast = [sys.executable, "-m", "outlast", "--workspace", folder]
        started = subprocess.run(
            [*outlast, "run", "--detach", "--name", "bench", "--", "sleep", "600"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        run = started.stdout.strip()
        hidden = Path(folder) / ".outlast"
        record = hidden / "runs" / run / "attempts" / "0001" / "started.json"
        _wait_for(record)
        runner = json.loads(record.read_text())["runner"]["pid"]
        supervisor = json.loads((hidden / "places" / "local" / "supervisor.json").read_text())["pid"]
        time.sleep(3)  # past the first turns
        rows = [
            ("bare python -I -S", [_bare("-I", "-S")]),
            ("bare python", [_bare()]),
            ("runner", [_private_mb(runner)]),
            ("supervisor", [_private_mb(supervisor)]),
        ]
        subprocess.run([*outlast, "stop", run, "--now"], check=True, capture_output=True)
        show("private memory", rows, unit="MB")


def _bare(*flags: str) -> float:
    words = [sys.executable, *flags, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return _private_mb(process.pid)


def _private_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear")
        time.sleep(0.01)
