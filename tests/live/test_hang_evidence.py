"""Real PyTorch ranks that hang: the evidence of all of them, and the one that the others wait for."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from outlast.disk.layout import AttemptFolder
from outlast.runner import census, frames, stacks
from outlast.runner.findings import Found, Rank
from outlast.runner.gathering import begin
from outlast.runner.surroundings import free_port
from tests import hangs
from tests.hangs import line_of, members
from tests.runner_driver import PYTHON, wait_for

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),
    # What forks here has one thread when it is the runner; under pytest there are others.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
]

START_S = 120.0
TRAINING = """
import datetime, os, sys, threading, time, traceback
import torch
import torch.distributed as dist

how, folder, limit = sys.argv[1], sys.argv[2], datetime.timedelta(seconds=float(sys.argv[3]))

def nap():
    time.sleep(3600)

def step(model):
    model(torch.ones(2, 4)).sum().backward()

def meet():
    if how == "all_reduce":
        dist.all_reduce(torch.ones(3))
    elif how == "barrier":
        dist.barrier()
    elif how == "wait":
        dist.all_reduce(torch.ones(3), async_op=True).wait()
    elif how == "backward":
        step(model)

def main():
    global model
    dist.init_process_group("gloo", timeout=limit)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 4))
    for _ in range(3):
        step(model)
    rank = dist.get_rank()
    open(f"{folder}/rank-{rank}", "w").write(str(os.getpid()))
    if rank == dist.get_world_size() - 1:
        nap()
    meet()

def stay():
    time.sleep(3600)

if __name__ == "__main__":
    try:
        main()
    except RuntimeError:
        traceback.print_exc()
        open(f"{folder}/raised", "w").close()
        if how == "all_reduce":
            threading.Thread(target=stay).start()  # a logger, say, that nobody ends
"""

SPAWNING = """
import os, sys
import torch.multiprocessing as mp

def rank(number, world, port):
    os.environ.update(RANK=str(number), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    import train
    train.main()

if __name__ == "__main__":
    mp.spawn(rank, args=(2, sys.argv[4]), nprocs=2)
"""


class Ranks:
    """A launcher and its ranks, by number."""

    def __init__(self, launcher: int, pids: list[int]) -> None:
        self.launcher, self.pids = launcher, pids

    @property
    def members(self) -> dict[int, int]:
        return members(self.launcher)


@contextmanager
def training(folder: Path, words: list[str], world: int) -> Iterator[Ranks]:
    """Once all ranks have trained a little; what they print goes to a file."""
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen(
            words, env=hangs.environment(), stdout=output, stderr=output, text=True, start_new_session=True
        )
    try:
        files = [folder / f"rank-{number}" for number in range(world)]

        def all_trained() -> bool:
            assert process.poll() is None, (folder / "output").read_text()
            return all(file.exists() and file.read_text() for file in files)

        wait_for(all_trained, "all ranks", START_S)
        yield Ranks(process.pid, [int(file.read_text()) for file in files])
    finally:
        hangs.end(process)


def torchrun(folder: Path, how: str, world: int = 2, limit_s: float = 600.0) -> list[str]:
    (folder / "train.py").write_text(TRAINING)
    launch = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    return [*launch, str(folder / "train.py"), how, str(folder), str(limit_s)]


def stands(pid: int, function: str) -> bool:
    """Whether its main thread is in there; asked as the runner does."""
    answer = stacks.ask(members(pid), time.monotonic() + 10)[pid]
    main = frames.main_thread(frames.threads(answer.text))
    return main is not None and any(frame.function == function for frame in main.frames)


def evidence(folder: Path, ranks: list[Rank], who: dict[int, int]) -> tuple[Found, dict[str, Any]]:
    attempt = AttemptFolder(str(folder / "run" / "attempts" / "0001"))
    os.makedirs(attempt.path)
    Path(attempt.output).write_text("")
    found = begin(attempt, {"kind": "hang", "reason": "no step"}, ranks, who).result()
    record: dict[str, Any] = json.loads(Path(found.path, "incident.json").read_text())
    return found, record


@pytest.mark.parametrize("how", ["all_reduce", "barrier", "wait", "backward"])
def test_rank_that_sleeps_is_named_whatever_the_other_waits_in(tmp_path: Path, how: str) -> None:
    with training(tmp_path, torchrun(tmp_path, how), 2) as ranks:
        wait_for(lambda: stands(ranks.pids[0], "meet") and stands(ranks.pids[1], "nap"), "the hang")
        found, record = evidence(tmp_path, [], ranks.members)
    zero, one = record["ranks"]
    assert (zero["rank"], one["rank"], record["culprit"]["rank"]) == (0, 1, 1)
    assert one["own"] == f"{tmp_path}/train.py:{line_of(TRAINING, 'def nap') + 1} nap"
    assert zero["own"].startswith(f"{tmp_path}/train.py:")
    assert (zero["stacks_by"], one["stacks_by"], record["missing"]) == ("signal", "signal", [])
    assert f"=== process {ranks.launcher} (" in Path(found.path, "stacks.txt").read_text()


def test_rank_that_raised_first_is_not_the_culprit(tmp_path: Path) -> None:
    """It only lost patience first: the other sleeps. Both stacks are there."""
    words = torchrun(tmp_path, "all_reduce", limit_s=3.0)
    with training(tmp_path, words, 2) as ranks:
        wait_for((tmp_path / "raised").exists, "the error of rank 0", START_S)
        wait_for(lambda: stands(ranks.pids[0], "_shutdown"), "its leaving")
        known = [Rank(0, ranks.pids[0], 3), Rank(1, ranks.pids[1], 3)]
        found, record = evidence(tmp_path, known, ranks.members)
    assert "Traceback" in (tmp_path / "output").read_text()
    assert record["culprit"]["rank"] == 1
    assert all(rank["stacks_by"] == "signal" for rank in record["ranks"])
    text = Path(found.path, "stacks.txt").read_text()
    assert "in _shutdown" in text
    assert "in nap" in text


def test_rank_that_raised_and_has_ended_is_not_the_culprit(tmp_path: Path) -> None:
    """Under a launcher that does not end the others."""
    (tmp_path / "train.py").write_text(TRAINING)
    rank = f"WORLD_SIZE=2 RANK=%d {PYTHON} {tmp_path}/train.py barrier {tmp_path} 3"
    script = f"export MASTER_ADDR=127.0.0.1 MASTER_PORT={free_port()}\n{rank % 0} &\n{rank % 1} &\nwait"
    with training(tmp_path, ["bash", "-c", script], 2) as ranks:
        wait_for(lambda: census.living(ranks.pids[0]) is None, "the end of rank 0", START_S)
        known = [Rank(0, ranks.pids[0], 3), Rank(1, ranks.pids[1], 3)]
        _, record = evidence(tmp_path, known, ranks.members)
    assert record["culprit"]["rank"] == 1
    assert record["missing"] == [f"no Python stacks of process {ranks.pids[0]}: it has ended"]


def test_ranks_of_torch_multiprocessing_that_nobody_numbers_are_told_apart_too(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAINING)
    (tmp_path / "spawn.py").write_text(SPAWNING)
    words = [PYTHON, str(tmp_path / "spawn.py"), "all_reduce", str(tmp_path), "600", free_port()]
    with training(tmp_path, words, 2) as ranks:
        wait_for(lambda: stands(ranks.pids[0], "meet") and stands(ranks.pids[1], "nap"), "the hang")
        _, record = evidence(tmp_path, [], ranks.members)
    assert record["culprit"]["pid"] == ranks.pids[1]
    assert sorted(rank["pid"] for rank in record["ranks"] if rank["pid"] in ranks.pids) == sorted(ranks.pids)


def test_four_ranks_with_pages_are_named_by_step_and_stack(tmp_path: Path) -> None:
    with training(tmp_path, torchrun(tmp_path, "backward", 4), 4) as ranks:
        wait_for(lambda: all(stands(pid, "meet") for pid in ranks.pids[:3]), "the hang")
        wait_for(lambda: stands(ranks.pids[3], "nap"), "the hang")
        known = [Rank(n, pid, 3, "train") for n, pid in enumerate(ranks.pids)]
        _, record = evidence(tmp_path, known, ranks.members)
    assert record["culprit"]["rank"] == 3
    assert "rank 0, rank 1, rank 2" in record["culprit"]["why"]
    assert [rank["section"] for rank in record["ranks"]] == ["train"] * 4
