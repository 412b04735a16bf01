"""What one `step(loss=)` costs the training, beside a no-op call, the floors and tqdm; then memory and import.

Each way is called in rounds, all ways in turn, so that a busy machine is unfair to none of them. Medians are of
whole rounds. The 99.9th percentile is of single calls with the clock's own cost in it: it shows outliers, not price.
"""

from __future__ import annotations

import importlib.util
import io
import mmap
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count, islice, repeat

import outlast

ROUNDS, CALLS, SINGLE_CALLS = 61, 20_000, 200_000
STARTS = 21
Call = Callable[[int], None]


def main() -> None:
    ways = _ways()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter_ns()
            way(CALLS)
            taken[name].append((time.perf_counter_ns() - began) / CALLS)
    medians = {name: statistics.median(rounds) for name, rounds in taken.items()}
    outliers = {name: _p999(way) for name, way in ways.items()}
    base, base_outlier = medians["no-op call"], outliers["no-op call"]
    peer = medians.get("tqdm.update(1)")
    print(f"step cost  (Python {sys.version.split()[0]}; ratios to: no-op call)")
    for name, median in medians.items():
        beside = f"   {median / peer:5.2f}x tqdm.update" if peer else ""
        tail = f"p99.9 {outliers[name]:8.0f} ns {outliers[name] / base_outlier:6.2f}x"
        print(f"  {name:34} {median:8.1f} ns {median / base:6.2f}x   {tail}{beside}")
    if peer is None:
        print("  tqdm is not installed here: no peer to compare with")
    _memory_and_import()


def _ways() -> dict[str, Call]:
    page = mmap.mmap(-1, 4096)
    step_and_loss = struct.Struct("<qd").pack_into
    run, numbered, numbers = outlast.training(total_steps=10**9), outlast.training(), count(1)
    thing = _Thing()

    def noop() -> None:
        pass

    def noop_loss(loss: object = None) -> None:
        pass

    def noops(calls: int) -> None:
        for _ in repeat(None, calls):
            noop()

    def noops_loss(calls: int) -> None:
        for _ in repeat(None, calls):
            noop_loss(loss=0.5)

    def attributes(calls: int) -> None:
        for _ in repeat(None, calls):
            thing.step = 0.5

    def stores(calls: int) -> None:
        for _ in repeat(None, calls):
            step_and_loss(page, 256, 7, 0.5)

    def steps(calls: int) -> None:
        for _ in repeat(None, calls):
            run.step(loss=0.5)

    def steps_numbered(calls: int) -> None:
        for number in islice(numbers, calls):
            numbered.step(step=number, loss=0.5)

    def steps_bare(calls: int) -> None:
        for _ in repeat(None, calls):
            run.step()

    def stops(calls: int) -> None:
        for _ in repeat(None, calls):
            run.should_stop  # noqa: B018

    ways: dict[str, Call] = {
        "no-op call": noops,
        "no-op call with (loss=)": noops_loss,
        "floor: attribute store": attributes,
        "floor: mmap store of step and loss": stores,
    }
    if importlib.util.find_spec("tqdm") is not None:
        ways["tqdm.update(1)"] = _tqdm()
    return ways | {
        "outlast step(loss=)": steps,
        "outlast step(step=, loss=)": steps_numbered,
        "outlast step()": steps_bare,
        "outlast should_stop": stops,
    }


class _Thing:
    step = 0.0


def _tqdm() -> Call:
    from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

    bar = tqdm(total=10**9, file=io.StringIO())

    def updates(calls: int) -> None:
        for _ in repeat(None, calls):
            bar.update(1)

    return updates


def _p999(way: Call) -> float:
    clock, taken = time.perf_counter_ns, []
    for _ in repeat(None, SINGLE_CALLS):
        began = clock()
        way(1)
        taken.append(clock() - began)
    return sorted(taken)[int(0.999 * SINGLE_CALLS)]


def _memory_and_import() -> None:
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as cache:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an import is measured as it is the second time
        _starts(environ)
        used = _private_kb(
            "import outlast; run = outlast.training(); [run.step(loss=0.5) for _ in range(1000)]", environ
        )
        bare = _private_kb("pass", environ)
    print(f"  memory of a training that steps    {used - bare:8.0f} KB more than bare python")


def _starts(environ: dict[str, str]) -> None:
    starts = {
        "bare python": "pass",
        "import outlast": "import outlast",
        "outlast.training loaded": "import outlast; outlast.training",
    }
    seconds: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(1 + STARTS):
        for name, code in starts.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, env=environ)
            seconds[name].append(time.perf_counter() - began)
    base = statistics.median(seconds["bare python"])
    for name in starts:
        median = statistics.median(seconds[name])
        print(f"  {name:34} {1e3 * median:8.1f} ms {median / base:6.2f}x")


def _private_kb(work: str, environ: dict[str, str]) -> float:
    code = f"{work}; print(*(l for l in open('/proc/self/smaps_rollup') if l.startswith('Private')))"
    samples = []
    for _ in range(9):
        words = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ
        )
        samples.append(sum(int(word) for word in words.stdout.split() if word.isdigit()))
    return statistics.median(samples)


if __name__ == "__main__":
    main()
