"""What a training's step costs with outlast and without: the same script twice at a time, taking turns, ABBA.

The step is a real one of PyTorch on the CPU, one thread, its batch tuned to about 2 ms here, its model small enough
for the core's own cache: one that is not costs up to a fifth more or less by where its memory happens to lie. Without
outlast it is the bare process; with outlast it is `outlast run`: a supervisor, a runner that looks every second, the
page, the output read. Both trainings of a pair are alive at once and each waits while the other does its ten steps,
so that what a machine does to one (its clock, its neighbours) it does to the other within some hundredths of a
second; for the same reason both are bound to one core, while the runner may have any. Each pair is of new processes,
for some lie better in memory than others. A pair's difference is the median of its ABBA rounds (or of all its time,
second line); the interval is Student's over the pairs.

What the runner itself takes of a core: `python -m benchmarks runner_cpu`.
"""

from __future__ import annotations

import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

PAIRS = int(os.environ.get("OUTLAST_BENCH_PAIRS", "20"))
ROUNDS, BLOCK, WARM_UP_ROUNDS = 60, 10, 5
STEP_MS = 2.0
CORE = max(os.sched_getaffinity(0))
STUDENT_95 = {
    5: 2.571,
    9: 2.262,
    14: 2.145,
    19: 2.093,
    29: 2.045,
    39: 2.023,
}  # two-sided, by degrees of freedom

START_LIMIT_S, BLOCK_LIMIT_S = 120.0, 120.0

COMMON = f"""
import json, os, socket, sys, time
os.sched_setaffinity(0, [int(sys.argv[4])])
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
batch, blocks = int(sys.argv[2]), int(sys.argv[3])
layers = [layer for _ in range(4) for layer in (torch.nn.Linear(128, 128), torch.nn.ReLU())]
model = torch.nn.Sequential(*layers, torch.nn.Linear(128, 128))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = torch.randn(2 * batch, 128)
loader = [data[i % 2 * batch:][:batch] for i in range(blocks * {BLOCK})]
harness = socket.socket(socket.AF_UNIX)
harness.connect(sys.argv[1])
def train(x):
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
began = None
def turn(step):
    global began
    if step % {BLOCK}:
        return
    if began is not None:
        wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        harness.sendall(json.dumps([wall, cpu]).encode() + b"\\n")
    if step < len(loader):
        harness.recv(1)
    began = time.perf_counter(), time.process_time()
"""
BARE = """
for step, x in enumerate(loader):
    turn(step)
    loss = train(x)
turn(step + 1)
"""
WITH_SDK = """
import outlast
with outlast.training(total_steps=len(loader)) as run:
    for step, x in enumerate(run.track(loader)):
        turn(step)
        loss = train(x)
        run.step(loss=loss)
        if run.should_stop:
            break
    turn(step + 1)
"""
WITH_TQDM = """
from tqdm import tqdm
bar = tqdm(loader)
for step, x in enumerate(bar):
    turn(step)
    loss = train(x)
    if step % 10 == 0:
        bar.set_postfix(loss=loss.item(), refresh=False)
turn(step + 1)
"""


class Taken(NamedTuple):
    wall_s: float
    cpu_s: float

    def with_(self, other: Taken) -> Taken:
        return Taken(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as name:
        folder = Path(name)
        batch = _batch(folder)
        steps = 2 * ROUNDS * BLOCK
        print(
            f"a training's step of about {STEP_MS:g} ms: {PAIRS} pairs, {steps} steps each, in turns (ABBA)"
        )
        for title, without, within in (
            ("with the SDK (track, step(loss=tensor), should_stop), without it and outlast", BARE, WITH_SDK),
            ("no SDK: the same script with tqdm, its output read", WITH_TQDM, WITH_TQDM),
        ):
            _show(title, [_pair(folder, without, within, batch) for _ in range(PAIRS)])


def _pair(folder: Path, without: str, within: str, batch: int) -> list[tuple[Taken, Taken]]:
    """(wall, CPU) of both blocks without outlast and of both with it, for each ABBA round."""
    blocks = 2 * (WARM_UP_ROUNDS + ROUNDS)
    with (
        _training(folder, without, batch, blocks, supervised=False) as bare,
        _training(folder, within, batch, blocks, supervised=True) as ours,
    ):
        rounds = []
        for _ in range(WARM_UP_ROUNDS + ROUNDS):
            first, second, third, fourth = bare.take(), ours.take(), ours.take(), bare.take()
            rounds.append((first.with_(fourth), second.with_(third)))
        return rounds[WARM_UP_ROUNDS:]


def _training(
    folder: Path, loop: str, batch: int, blocks: int, *, supervised: bool
) -> AbstractContextManager[Turns]:
    name = "ours" if supervised else "bare"
    script, where = folder / f"{name}.py", folder / f"{name}.socket"
    script.write_text(COMMON + loop)
    words = [sys.executable, str(script), str(where), str(batch), str(blocks), str(CORE)]
    if supervised:
        outlast = [sys.executable, "-m", "outlast", "--workspace", str(folder)]
        words = [*outlast, "run", "--detach", "--name", "bench", "--", *words]
    return _turns(where, words, folder / f"{name}.log")


class Turns:
    """A training that does a block of steps when it is told to."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def take(self) -> Taken:
        self._line.sendall(b"g")
        said = b""
        while not said.endswith(b"\n"):
            part = self._line.recv(4096)
            if not part:
                raise EOFError("the training ended before its last block: see its log")
            said += part
        return Taken(*json.loads(said))


@contextmanager
def _turns(where: Path, words: list[str], log: Path) -> Iterator[Turns]:
    with socket.socket(socket.AF_UNIX) as door, log.open("ab") as output:
        where.unlink(missing_ok=True)
        door.bind(str(where))
        door.listen(1)
        door.settimeout(START_LIMIT_S)
        with subprocess.Popen(words, stdout=output, stderr=output) as process:
            try:
                line, _ = door.accept()
                with line:
                    line.settimeout(BLOCK_LIMIT_S)
                    yield Turns(line)
            except BaseException:
                process.kill()
                raise


def _show(title: str, pairs: Sequence[Sequence[tuple[Taken, Taken]]]) -> None:
    print(title)
    for name, of in MEASURES.items():
        found = [of(rounds) for rounds in pairs]
        relative = [100 * (ours / bare - 1) for bare, ours in found]
        bare, ours = (statistics.median(column) / (2 * BLOCK) for column in zip(*found, strict=True))
        low, high = _interval(relative)
        print(
            f"  {name:28} without {1e3 * bare:6.3f} ms   with {1e3 * ours:6.3f} ms   difference "
            f"{statistics.fmean(relative):+5.2f} %   95 % interval {low:+5.2f} to {high:+5.2f} %"
        )


def _typical(rounds: Sequence[tuple[Taken, Taken]]) -> tuple[float, float]:
    """The wall time of the round whose ratio is the median."""
    ordered = sorted(rounds, key=lambda each: each[1].wall_s / each[0].wall_s)
    middle = ordered[len(ordered) // 2 - 1 : len(ordered) // 2 + 1]
    bare = statistics.fmean(bare.wall_s for bare, _ in middle)
    return bare, bare * statistics.fmean(ours.wall_s / bare.wall_s for bare, ours in middle)


def _all_wall(rounds: Sequence[tuple[Taken, Taken]]) -> tuple[float, float]:
    return tuple(statistics.fmean(each[which].wall_s for each in rounds) for which in (0, 1))  # type: ignore[return-value]  # two, though mypy sees a tuple of any length


def _all_cpu(rounds: Sequence[tuple[Taken, Taken]]) -> tuple[float, float]:
    return tuple(statistics.fmean(each[which].cpu_s for each in rounds) for which in (0, 1))  # type: ignore[return-value]  # two, though mypy sees a tuple of any length


def _interval(values: Sequence[float]) -> tuple[float, float]:
    mean, n = statistics.fmean(values), len(values)
    half = STUDENT_95.get(n - 1, 2.0) * statistics.stdev(values) / math.sqrt(n)
    return mean - half, mean + half


def _batch(folder: Path) -> int:
    """The batch whose step takes about STEP_MS here."""
    batch = 64
    for _ in range(4):
        with _training(folder, BARE, batch, 8, supervised=False) as bare:
            taken_ms = 1e3 * statistics.median(bare.take().wall_s for _ in range(8)) / BLOCK
        if abs(taken_ms / STEP_MS - 1) < 0.1:
            break
        batch = max(8, min(1024, round(batch * STEP_MS / taken_ms)))
    return batch


MEASURES: dict[str, Callable[[Sequence[tuple[Taken, Taken]]], tuple[float, float]]] = {
    "wall clock, median round": _typical,
    "wall clock, all rounds": _all_wall,
    "CPU time, all rounds": _all_cpu,
}

if __name__ == "__main__":
    main()
