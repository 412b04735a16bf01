"""What one `step(loss=)` costs the training, beside a no-op call, the floors and what people use; memory and import.

Each way is called in rounds, all ways in turn, so that a busy machine is unfair to none of them; slow ways make fewer
calls in a round. Medians are of whole rounds. The 99.9th percentile is of single calls with the clock's own cost in
it: it shows outliers, not price.
"""

from __future__ import annotations

import gc
import mmap
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from array import array
from contextlib import ExitStack
from itertools import count, cycle, islice, repeat

import outlast
from benchmarks.peers import NOISY, QUIET, Call, of_the_day
from outlast.sdk.own_page import private

ROUNDS, CALLS, SINGLE_CALLS = 61, 20_000, 200_000
ROUND_NS, TAIL_NS = 4_000_000, 2_000_000_000  # no way gets more time than that in a round, and for its tail
STARTS = 21
PEER = "tqdm.update(1)"


def main() -> None:
    with ExitStack() as stack:
        quiet, missing = of_the_day(stack, QUIET)
        print(f"step cost  (Python {sys.version.split()[0]}; ratios to: no-op call)")
        _compare(_floors() | quiet | _ours())
        noisy, more = of_the_day(
            stack, NOISY
        )  # threads and processes of their own: they would slow the others
        _compare(
            {"no-op call": _floors()["no-op call"]}
            | noisy
            | {"outlast step(loss=)": _ours()["outlast step(loss=)"]}
        )
    for line in (*missing, *more):
        print(f"  not measured: {line}")
    _memory_and_import()


def _compare(ways: dict[str, Call]) -> None:
    calls = {name: _affordable(way) for name, way in ways.items()}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.perf_counter_ns()
            way(calls[name])
            taken[name].append((time.perf_counter_ns() - began) / calls[name])
    medians = {name: statistics.median(rounds) for name, rounds in taken.items()}
    outliers = {name: _p999(way, medians[name]) for name, way in ways.items()}
    base, base_outlier, peer = medians["no-op call"], outliers["no-op call"], medians.get(PEER)
    for name, median in medians.items():
        beside = f"   {median / peer:8.2f}x tqdm.update" if peer else ""
        tail = f"p99.9 {outliers[name]:10.0f} ns {outliers[name] / base_outlier:8.2f}x"
        print(f"  {name:42} {median:10.1f} ns {median / base:9.2f}x   {tail}{beside}")


def _affordable(way: Call) -> int:
    began = time.perf_counter_ns()
    way(20)
    return max(20, min(CALLS, 20 * ROUND_NS // (time.perf_counter_ns() - began)))


def _floors() -> dict[str, Call]:
    page = mmap.mmap(-1, 4096)
    step_and_loss = struct.Struct("<qd").pack_into
    cell = memoryview(page)[256:264].cast("d", [])
    thing = _Thing()

    def noop() -> None:
        pass

    def noop_loss(loss: object = None) -> None:
        pass

    def noop_values(step: object = None, loss: object = None, **values: object) -> None:
        pass

    ring = cycle([cell])

    def stored_values(step: object = None, loss: float = 0.0, **values: object) -> None:
        for each in ring:
            each[()] = loss
            return

    def noops(calls: int) -> None:
        for _ in repeat(None, calls):
            noop()

    def noops_loss(calls: int) -> None:
        for _ in repeat(None, calls):
            noop_loss(loss=0.5)

    def noops_values(calls: int) -> None:
        for _ in repeat(None, calls):
            noop_values(loss=0.5)

    def signatures(calls: int) -> None:
        for _ in repeat(None, calls):
            stored_values(loss=0.5)

    def attributes(calls: int) -> None:
        for _ in repeat(None, calls):
            thing.step = 0.5

    def stores(calls: int) -> None:
        for _ in repeat(None, calls):
            step_and_loss(page, 256, 7, 0.5)

    def cells(calls: int) -> None:
        for _ in repeat(None, calls):
            cell[()] = 0.5

    return {
        "no-op call": noops,
        "no-op call with (loss=)": noops_loss,
        "no-op call that takes **values": noops_values,
        "floor: this signature, one store, no test": signatures,
        "floor: attribute store": attributes,
        "floor: one store into a mapped page": cells,
        "floor: mmap store of step and loss": stores,
    }


def _ours() -> dict[str, Call]:
    """Each with a page of its own: trainings that share one would take it from each other."""
    run, numbered, bare, quick, valued, tracked = (outlast.Training(alone=private()) for _ in range(6))
    numbers = count(1)

    def steps(calls: int) -> None:
        for _ in repeat(None, calls):
            run.step(loss=0.5)

    def quicks(calls: int) -> None:
        for _ in repeat(None, calls):
            quick.beat(0.5)

    def steps_numbered(calls: int) -> None:
        for number in islice(numbers, calls):
            numbered.step(step=number, loss=0.5)

    def steps_bare(calls: int) -> None:
        for _ in repeat(None, calls):
            bare.step()

    def steps_valued(calls: int) -> None:
        for _ in repeat(None, calls):
            valued.step(loss=0.5, lr=0.1)

    def tracks(calls: int) -> None:
        for _ in tracked.track(repeat(None, calls), total=calls):
            tracked.step(loss=0.5)

    def stops(calls: int) -> None:
        for _ in repeat(None, calls):
            run.should_stop  # noqa: B018 - the look itself is what is measured

    return {
        "outlast step(loss=)": steps,
        "outlast beat(loss)": quicks,
        "outlast step(step=, loss=)": steps_numbered,
        "outlast step()": steps_bare,
        "outlast step(loss=, lr=)": steps_valued,
        "outlast track() and step(loss=)": tracks,
        "outlast should_stop": stops,
    }


class _Thing:
    step = 0.0


def _p999(way: Call, median_ns: float) -> float:
    singles = int(max(2000, min(SINGLE_CALLS, TAIL_NS / median_ns)))
    clock, taken = time.perf_counter_ns, array("q", bytes(8 * singles))
    gc.disable()  # neither the garbage nor the new memory of this very loop is part of a step
    for number in range(singles):
        began = clock()
        way(1)
        taken[number] = clock() - began
    gc.enable()
    return sorted(taken)[int(0.999 * singles)]


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
