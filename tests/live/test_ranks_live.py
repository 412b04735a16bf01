"""Whole runs of real PyTorch ranks under torchrun: one sleeps, one is killed, all are told to stop, a loader dies; and
64 ranks of the SDK alone.

Everything goes through the command as a person uses it; the ranks train together (gloo) and save as plain PyTorch does.
"""

import os
import re
import time
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.disk.layout import RunFolder
from tests.live.test_hang_runs import incident, script, stacks
from tests.live.test_progress_hardships import cpu_s, progress, runner
from tests.live.workspace import PYTHON, Bench, wait_for
from tests.runner_driver import SOURCE

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

END_S = 150.0
# What happens at the twelfth step of the first attempt, and to whom: `how`. Rank 0 sees that something is started
# which nobody will end, and every rank keeps its own opinion about what is the newest checkpoint.
TRAINING = """
import datetime, os, signal, subprocess, sys, threading, time
import torch
import torch.distributed as dist
import outlast

how, root, last, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
is_first = os.environ["OUTLAST_ATTEMPT"] == "1"
rank = int(os.environ["RANK"])

def nap():
    time.sleep(3600)

def trouble():
    if rank == 0 and how == "kill":
        subprocess.Popen(["sleep", "3600"], start_new_session=True)
    if rank == 0 and how == "lag":
        os.mkdir(f"{root}/ckpt/step-15")  # and there it ends
    dist.barrier()
    if rank == 1 and how in ("nap", "raise"):
        nap()
    if rank == 1 and how in ("kill", "term", "lag"):
        os.kill(os.getpid(), signal.SIGTERM if how == "term" else signal.SIGKILL)

def newest():
    steps = sorted(int(name.removeprefix("step-")) for name in os.listdir(f"{root}/ckpt") if name[0] != ".")
    return steps[-1] if rank == 0 else steps[0]  # this one's file system is slow to show what is new

def save(model, step):
    path = f"{root}/ckpt/step-{step}"
    if rank == 0:
        os.makedirs(f"{root}/tmp-{step}")
        torch.save({"step": step, "model": model.state_dict()}, f"{root}/tmp-{step}/state.pt")
        os.rename(f"{root}/tmp-{step}", path)
    dist.barrier()
    return path

def main():
    dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=2 if how == "raise" else 600))
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    step, resume = 0, outlast.resume_from()
    if resume:
        print(f"rank {rank} would take {newest()}", flush=True)
        state = torch.load(f"{resume}/state.pt")
        step = state["step"]
        model.load_state_dict(state["model"])
    print(f"rank {rank} from {step}", flush=True)
    with outlast.training(total_steps=last, start_step=step) as run:
        while step < last:
            if is_first and step == 12:
                trouble()
            loss = model(torch.ones(2, 4)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            time.sleep(pause * rank)
            run.step(loss=loss)
            if run.should_stop:
                with run.section("save"):
                    run.saved(save(model, step))
                print(f"rank {rank} stops at {step}", flush=True)
                sys.exit(75)
            if step % 5 == 0 and last < 1000:
                with run.section("save"):
                    run.saved(save(model, step))
    dist.destroy_process_group()

try:
    main()
except RuntimeError:
    print(f"rank {rank} raised", flush=True)
    if how != "raise":
        raise
    threading.Thread(target=nap).start()  # a logger, say, that nobody ends
"""
LOADING = """
import os, signal, sys, time
import torch, outlast

class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 40
    def __getitem__(self, at):
        worker = outlast.training()
        worker.step(step=9999)  # a worker that imports the code of its training, and means no harm
        if at == 24 and os.environ["OUTLAST_ATTEMPT"] == "1":
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.ones(4)

if __name__ == "__main__":
    loader = torch.utils.data.DataLoader(Rows(), num_workers=2, prefetch_factor=1)
    with outlast.training() as run:
        for batch in run.track(loader, total=40):
            time.sleep(0.02)
"""


@pytest.fixture
def torch_bench(outlast: Bench) -> Bench:
    outlast.env |= {"OMP_NUM_THREADS": "1"}
    (outlast.root / "ckpt").mkdir()
    return outlast


def torchrun(bench: Bench, how: str, *, ranks: int = 2, last: int = 20, pause: float = 0.01) -> list[str]:
    script = bench.root / "train.py"
    script.write_text(TRAINING)
    launcher = [PYTHON, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [*launcher, str(script), how, str(bench.root), str(last), str(pause)]


def saving(bench: Bench) -> list[str]:
    return ["--backoff", "0", "--checkpoints", str(bench.root / "ckpt")]


def left_of(run: RunFolder, n: int) -> list[int]:
    """Processes of one attempt that live."""
    mark = f"OUTLAST_ATTEMPT_DIR={run.attempt(n).path}\0".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            environ = Path(f"/proc/{name}/environ").read_bytes()
        except OSError:
            continue
        if mark in environ:
            found.append(int(name))
    return found


def checkpoint_steps(bench: Bench) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in (bench.root / "ckpt").glob("step-*"))


def beginnings(bench: Bench, run: RunFolder, n: int) -> dict[str, str]:
    """By rank, the step that it says it began from."""
    return dict(re.findall(r"rank (\d+) from (\d+)", bench.output(run, n)))


@pytest.mark.parametrize("how", ["nap", "raise"])
def test_r27_of_two_ranks_the_one_that_sleeps_is_the_culprit_though_the_other_raised_first(
    torch_bench: Bench, how: str
) -> None:
    bench = torch_bench
    run = bench.start("--stall-limit", "train=4s", *saving(bench), command=torchrun(bench, how))
    shown = bench.ended(run, END_S)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2), bench.output(run)
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"], first["last_step"]) == ("failed", "hang_train", 12)
    found = incident(run)
    assert found["culprit"]["rank"] == 1, found["culprit"]
    assert ("rank 0 raised" in bench.output(run)) == (how == "raise")
    assert [rank["rank"] for rank in found["ranks"]] == [0, 1]
    assert found["ranks"][1]["own"].endswith(" nap")
    text = stacks(run)
    assert "=== rank 0, process" in text
    assert "=== rank 1, process" in text
    assert not left_of(run, 1)
    assert beginnings(bench, run, 2) == {"0": "10", "1": "10"}
    assert checkpoint_steps(bench) == [5, 10, 15, 20]


def test_r28_a_rank_that_is_killed_costs_one_restart_and_leaves_no_orphan(torch_bench: Bench) -> None:
    bench = torch_bench
    run = bench.start(*saving(bench), command=torchrun(bench, "kill"))
    bench.exit(run)
    assert not left_of(run, 1)
    shown = bench.ended(run, END_S)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2), bench.output(run)
    assert shown["attempts"][0]["verdict"] == "failed"
    assert beginnings(bench, run, 2) == {"0": "10", "1": "10"}


def test_r30_a_term_to_one_rank_of_four_leaves_no_torn_checkpoint_and_all_begin_again_from_one(
    torch_bench: Bench,
) -> None:
    bench = torch_bench
    run = bench.start(*saving(bench), command=torchrun(bench, "term", ranks=4))
    shown = bench.ended(run, END_S)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2), bench.output(run)
    assert beginnings(bench, run, 2) == {str(rank): "10" for rank in range(4)}
    assert checkpoint_steps(bench) == [5, 10, 15, 20]
    assert not list(bench.root.glob("tmp-*"))


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_p4_r30_four_ranks_that_are_told_to_stop_agree_on_one_step_and_go_on_from_it(
    torch_bench: Bench, verb: str
) -> None:
    bench = torch_bench
    run = bench.start(*saving(bench), command=torchrun(bench, "well", ranks=4, last=1000, pause=0.03))
    wait_for(lambda: (files.read(run.attempt(1).progress) or {}).get("step"), "the first steps", END_S)
    bench.outlast(verb, run.id, timeout=END_S)
    shown = bench.snapshot(run)
    first = shown["attempts"][0]
    (step,) = checkpoint_steps(bench)
    stops = re.findall(r"rank (\d) stops at (\d+)", bench.output(run))
    assert sorted(stops) == [(str(rank), str(step)) for rank in range(4)]
    end = bench.exit(run)
    assert end["exit"] == {"type": "Exited", "code": 1}  # what torchrun makes of 75
    assert end["last_words"] == [f"rank {rank}: stopped at step {step}" for rank in range(4)]
    assert (first["verdict"], first["cause"]) == ("interrupted", "stopped")
    state = ("paused", None) if verb == "pause" else ("ended", "cancelled")
    assert (shown["phase"], shown["outcome"]) == state
    assert not left_of(run, 1)
    bench.outlast("resume" if verb == "pause" else "retry", run.id)
    n = 2 if verb == "pause" else 3  # the second door was shut for good
    wait_for(lambda: len(beginnings(bench, run, n)) == 4, "all ranks", END_S)
    assert set(beginnings(bench, run, n).values()) == {str(step)}


def test_r32_ranks_that_see_different_newest_checkpoints_resume_from_the_one_that_was_checked(
    torch_bench: Bench,
) -> None:
    """Rank 1 does not see the last that is whole yet; the folder that nobody filled is out of the way of all."""
    bench = torch_bench
    run = bench.start(*saving(bench), command=torchrun(bench, "lag"))
    wait_for(lambda: len(beginnings(bench, run, 2)) == 2, "both ranks of the second attempt", END_S)
    would = dict(re.findall(r"rank (\d+) would take (\d+)", bench.output(run, 2)))
    assert would == {"0": "10", "1": "5"}
    assert os.listdir(bench.root / "ckpt" / ".outlast" / "quarantine") == ["step-15"]
    assert beginnings(bench, run, 2) == {"0": "10", "1": "10"}


def test_r33_a_loader_that_is_killed_ends_its_training_as_torch_does_and_never_speaks_for_it(
    torch_bench: Bench,
) -> None:
    bench = torch_bench
    script = bench.root / "load.py"
    script.write_text(LOADING)
    run = bench.start("--backoff", "0", command=[PYTHON, str(script)])
    shown = bench.ended(run, END_S)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2), bench.output(run)
    first, second = shown["attempts"]
    assert "is killed by signal: Killed" in bench.output(run)
    assert (first["verdict"], first["cause"]) == ("failed", "exit")
    assert 20 <= first["last_step"] <= 24
    assert not bench.exit(run)["oom_kills"]  # so it was not the kernel, for want of memory
    assert second["last_step"] == 40


# --- many ranks on one node ---------------------------------------------------------------------------------------

MANY = """
import mmap, os, signal, subprocess, sys, time
root, world, at = sys.argv[1], 64, 37
if "RANK" not in os.environ:
    with open(root + "/steps", "wb") as file: file.truncate(8 * world)
    env = {**os.environ, "WORLD_SIZE": str(world)}
    ranks = [subprocess.Popen([sys.executable, "-S", *sys.argv], env={**env, "RANK": str(n)}) for n in range(world)]
    sys.exit(max(rank.wait() != 0 for rank in ranks))
import outlast
rank, is_first = int(os.environ["RANK"]), os.environ["OUTLAST_ATTEMPT"] == "1"
with open(root + "/steps", "r+b") as file:
    steps = memoryview(mmap.mmap(file.fileno(), 8 * world)).cast("q")

def meet(step):
    steps[rank] = step
    while min(steps) < step: time.sleep(0.05)

def stand():
    time.sleep(3600)

with outlast.training(total_steps=40) as run:
    for step in range(1, 41):
        if rank == at and step == 30 and is_first: stand()
        meet(step - 1)
        time.sleep(0.05)
        run.step(step)
"""


def test_of_sixty_four_ranks_on_one_node_the_one_that_hangs_is_named_within_the_deadline_for_little(
    outlast: Bench,
) -> None:
    outlast.env["PYTHONPATH"] = SOURCE
    words = [*script(outlast, MANY), str(outlast.root)]
    run = outlast.start(
        "--stall-limit", "train=5s", "--backoff", "0", "--stop-grace", "1s", command=words
    )  # fmt: skip
    wait_for(lambda: progress(run).get("ranks") == 64, "all ranks")
    pid = runner(run)
    before_s, began_s = cpu_s(pid), time.monotonic()
    log = Path(run.attempt(1).path, "runner.log")
    wait_for(lambda: "gathering" in log.read_text(), "the hang")
    share = (cpu_s(pid) - before_s) / (time.monotonic() - began_s)
    declared_s = time.monotonic()
    wait_for(lambda: "evidence: /" in log.read_text(), "the evidence", 22)
    gathered_s = time.monotonic() - declared_s
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], shown["attempts"][0]["cause"]) == ("completed", "hang_train")
    found = incident(run)
    assert found["culprit"]["rank"] == 37, found["culprit"]
    own = [rank["own"].split()[-1] for rank in found["ranks"]]
    assert own == ["meet"] * 37 + ["stand"] + ["meet"] * 26
    assert share < 0.15, f"{share:.0%} of a core"
    assert gathered_s < 20.0
