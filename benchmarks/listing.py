"""`outlast ls` and `outlast status` on a workspace of 1,000 runs, against bare Python and a peer's --help."""

import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.table import show, times_ms

RUNS, REPEATS = 1000, 25


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as folder:
        place = Path(folder) / ".outlast" / "places" / "local"
        place.mkdir(parents=True, mode=0o700)
        for parent in (Path(folder), Path(folder) / ".outlast", place.parent):
            parent.chmod(0o700)
        (place / "board.json").write_text(json.dumps(_board()))
        rows = [("bare python", times_ms(lambda: _run([sys.executable, "-c", "pass"]), REPEATS))]
        outlast = str(Path(sys.executable).with_name("outlast"))
        for verb in (["ls", "--all"], ["status"]):
            command = [outlast, "--workspace", folder, *verb]
            taken = times_ms(partial(_run, command), REPEATS)
            rows.append((f"outlast {' '.join(verb)}, {RUNS} runs", taken))
        peer = Path(sys.executable).with_name("supervisorctl")
        if shutil.which(str(peer)):
            rows.append(("supervisorctl --help", times_ms(lambda: _run([str(peer), "--help"]), REPEATS)))
        show("listing", rows)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _board() -> dict[str, object]:
    row: dict[str, object] = {
        "name": "train", "phase": "ended", "waiting_for": None, "outcome": "completed", "verdict": "finished",
        "step": 1000, "total": 1000, "loss": 1.5, "rate": 10.0, "eta_s": 0, "attempt": 1,
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z", "tags": [], "why": "", "place": "local", "attempt_dir": "",
    }  # fmt: skip
    runs = [{**row, "id": f"train-20260101-{number:06d}"} for number in range(RUNS)]
    return {
        "schema": 1, "term": 1, "at": {"boot": "", "mono_s": 0, "wall_s": 0}, "place": "local",
        "supervisor": {}, "requests": 0, "older": 0, "runs": runs,
    }  # fmt: skip
