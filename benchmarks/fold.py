"""Reading a place's journal of 100,000 ended runs: bytes checked, decoded and folded into where each run stands."""

import tempfile
import time

from benchmarks.table import show
from outlast.decide.history import fold_all
from outlast.disk import journal
from outlast.disk.clock import moment
from outlast.disk.identity import identity
from outlast.facts import (
    Accepted,
    AnyEntry,
    Cause,
    Chosen,
    Closing,
    Ended,
    Ending,
    Exited,
    Finished,
    Moment,
    RunId,
)
from outlast.facts.codec import from_line, from_record, to_line

RUNS, REPEATS = 100_000, 5


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as folder:
        term, _ = journal.take_over(folder, identity(), moment())
        now = from_record(moment(), Moment)
        for first in range(0, RUNS, 1000):
            block = [to_line(e) for number in range(first, first + 1000) for e in _life(f"r-{number}", now)]
            term.append(block)
        size_mb = term.bytes / 1e6
        read, decoded, folded = [], [], []
        for _ in range(REPEATS):
            began = time.perf_counter()
            history = journal.read(folder)
            at_read = time.perf_counter()
            entries = [from_line(body) for body in history.bodies]
            at_decoded = time.perf_counter()
            books = fold_all(entries, None)
            at_folded = time.perf_counter()
            assert len(books) == RUNS
            read.append(1e3 * (at_read - began))
            decoded.append(1e3 * (at_decoded - at_read))
            folded.append(1e3 * (at_folded - at_decoded))
        whole = [sum(three) for three in zip(read, decoded, folded, strict=True)]
        show(
            f"journal of {RUNS} ended runs, {len(entries)} records, {size_mb:.0f} MB",
            [("read and check every crc", read), ("decode", decoded), ("fold", folded), ("all", whole)],
        )


def _life(name: str, now: Moment) -> list[AnyEntry]:
    run, ending = RunId(name), Ending(exit=Exited(0), at=now)
    return [
        Accepted(at=now, run=run, why="asked for", spec_sha256="0" * 64),
        Chosen(at=now, run=run, why="first attempt", n=1, order="order.1.json"),
        Ended(
            at=now, run=run, why="exit 0", n=1, ending=ending, cause=Cause("none"), verdict="finished",
            charged=False, wait_s=0.0,
        ),
        Closing(at=now, run=run, why="exit 0", n=2, outcome="completed"),
        Finished(at=now, run=run, why="exit 0", outcome="completed"),
    ]  # fmt: skip
