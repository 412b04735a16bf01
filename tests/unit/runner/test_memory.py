"""What a runner costs while it waits, and that it needs nothing from the disk any more."""

import compileall
import re
import subprocess
from pathlib import Path

from tests.runner_driver import PYTHON, Driver, wait_for

HEAVY = (
    "asyncio",
    "subprocess",
    "logging",
    "argparse",
    "typing",
    "hashlib",
    "random",
    "secrets",
    "socket",
    "threading",
)
PRIVATE_MAX_KIB = 6 << 10
BARE = "import time; print(1, flush=True); time.sleep(60)"


def private_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", rollup, re.MULTILINE))


def test_a_waiting_runner_has_at_most_six_mebibytes_of_its_own(attempt: Driver) -> None:
    """Beside another of the same interpreter, which shares the rest with it, as on every host with more than one; and
    from compiled modules, as the workspace's copy always is: compiling takes memory that is not given back."""
    words = attempt.words()
    compileall.compile_dir(words[words.index("-c") + 2], quiet=2)
    with subprocess.Popen([PYTHON, "-I", "-S", "-c", BARE], stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        attempt.order(["sh", "-c", "echo up; sleep 60"])
        runner = attempt.start()
        wait_for(lambda: attempt.progress().get("log_bytes"), "a tick")
        mine = private_kib(runner.pid)
        bare.kill()
    assert mine <= PRIVATE_MAX_KIB


def test_nothing_heavy_is_loaded(attempt: Driver) -> None:
    words = attempt.words()
    words[words.index("-c") + 1] = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.runner.life import main; print(*sys.modules)"
    )
    loaded = set(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert "outlast.runner.life" in loaded
    assert not loaded & set(HEAVY)
