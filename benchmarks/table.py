"""Medians of repeated measurements as a table, each with its ratio to the first row."""

import statistics
import time
from collections.abc import Callable, Sequence


def times_ms(work: Callable[[], object], repeats: int, warm_up: int = 1) -> list[float]:
    """Wall times of `work` in milliseconds."""
    for _ in range(warm_up):
        work()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def show(title: str, rows: Sequence[tuple[str, Sequence[float]]], unit: str = "ms") -> None:
    """Print name, median, 90th percentile and the ratio to the first row's median."""
    base = statistics.median(rows[0][1])
    print(f"{title}  (ratios to: {rows[0][0]})")
    for name, values in rows:
        median = statistics.median(values)
        p90 = sorted(values)[int(0.9 * (len(values) - 1))]
        print(
            f"  {name:44} {median:10.2f} {unit}   p90 {p90:10.2f}   {median / base:8.2f}x   n={len(values)}"
        )
