import os
import resource
import subprocess
from pathlib import Path

import pytest

from outlast.runner import census, evidence
from outlast.runner.evidence import OomCount
from tests.runner_driver import wait_for


@pytest.mark.parametrize(
    ("own", "name", "root"),
    [
        ("0::/job\n", "memory.events", "ROOT_V2"),
        ("5:cpu,memory:/job\n0::/\n", "memory.oom_control", "ROOT_V1"),
    ],
)
def test_kills_are_counted_since_the_start_in_our_own_cgroup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, name: str, root: str
) -> None:
    (tmp_path / "job").mkdir()
    counter = tmp_path / "job" / name
    counter.write_text("low 0\noom 9\noom_kill 3\n")
    real = census.read
    monkeypatch.setattr(evidence, root, str(tmp_path))
    monkeypatch.setattr(
        census, "read", lambda path: own.encode() if path == "/proc/self/cgroup" else real(path)
    )
    count = OomCount()
    assert count.rose_by() == 0
    counter.write_text("low 0\noom 9\noom_kill 5\n")
    assert count.rose_by() == 2
    counter.unlink()
    assert count.rose_by() is None


def test_where_nobody_counts_the_answer_is_none_and_not_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "read", lambda path: None)
    assert OomCount().rose_by() is None


def test_cost_is_in_bytes_and_seconds() -> None:
    subprocess.run(["true"], check=True)
    cost = evidence.cost(resource.getrusage(resource.RUSAGE_CHILDREN))
    assert cost["max_rss_bytes"] > 1 << 19
    assert cost["cpu_s"] >= 0


def test_where_a_hang_stands_is_read_from_outside() -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        wait_for(lambda: (census.name(process.pid), census.state(process.pid)) == ("sleep", "S"), "the sleep")
        (found,) = evidence.standing([process.pid])
        assert found.startswith(f"process {process.pid} (sleep) state S")
    finally:
        process.kill()
        process.wait()
    assert evidence.standing([process.pid]) == []
    assert evidence.standing([os.getpid()] * 100) != []
    assert len(evidence.standing([os.getpid()] * 100)) <= 4
