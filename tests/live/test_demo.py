"""The demo as a newcomer sees it: killed, hung, damaged, orphaned, and the same loss to the last digit."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from outlast.trainers import minibatches
from tests.hangs import line_of
from tests.live.workspace import PYTHON, bench

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]
NARROW = 80
BUG = "with self._lock:  # draw() holds it"


def test_the_demo_hangs_once_shows_the_line_where_it_stood_and_ends_as_if_left_alone(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "SLURM_"))}
    with bench(tmp_path) as outlast:
        done = subprocess.run(
            [PYTHON, "-m", "outlast", "demo", "--folder", str(tmp_path)],
            capture_output=True, text=True, timeout=240, env=env, check=False,
        )  # fmt: skip
        out = done.stdout
        assert (done.returncode, done.stderr) == (0, ""), out
        assert max(map(len, out.splitlines())) <= NARROW
        source = Path(minibatches.__file__).read_text()
        line = line_of(source, BUG)
        assert f"minibatches.py, line {line}, in places:" in out
        assert re.search(rf"^     >   {line}  +{re.escape(BUG)}", out, re.MULTILINE)
        (found,) = [
            json.loads(path.read_text()) for path in tmp_path.glob(".outlast/runs/*/incidents/*/*.json")
        ]
        assert (found["section"], found["limit_s"], found["attempt"]) == ("train", 3.0, 2)
        assert f"minibatches.py:{line} places" in outlast.outlast("why", "@last").stdout
        lives = re.findall(r"^  attempt \d: (.*)", out, re.MULTILINE)
        ends = [re.findall(r"failed|finished", life)[0] for life in lives]
        assert ends == ["failed", "failed", "finished"]
        assert "from step-000125" in lives[2], "the newest one, step-000150, was damaged"
        assert re.search(r"^     torn: model\.npz: .*CRC-32 does not match$", out, re.MULTILINE)
        assert os.listdir(tmp_path / "survivor" / ".outlast" / "quarantine") == ["step-000150"]
        losses = re.findall(r"^  (?:left alone: |survivor:   )(loss .*)", out, re.MULTILINE)
        assert len(losses) == 2
        assert losses[0] == losses[1]
        assert "The same, to the last digit." in out
