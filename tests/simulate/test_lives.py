"""Whole lives from seeds. A broken law prints its seed, and the seed prints the life: python -m tests.simulate SEED."""

import os
import time

import pytest

from tests.simulate.life import live

LIVES, BLOCKS = 800, 8
QUICK = 4  # of the blocks run in `make check` too
SOAK_S = 240.0


@pytest.mark.parametrize(
    "block", [pytest.param(n, marks=() if n < QUICK else pytest.mark.slow) for n in range(BLOCKS)]
)
def test_lives_of_known_seeds_keep_the_laws(block: int) -> None:
    for seed in range(block, LIVES, BLOCKS):
        live(seed)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(2))
def test_lives_of_fresh_seeds_keep_the_laws(block: int) -> None:
    """From a seed that no run of this test has had (SIMULATE_SEED sets it)."""
    seed = int(os.environ.get("SIMULATE_SEED", time.time_ns() // 1000 % 10**12)) + block
    until_s, lives = time.monotonic() + SOAK_S, 0
    print(f"from seed {seed}, every second one")
    while time.monotonic() < until_s:
        live(seed + 2 * lives)
        lives += 1
    print(f"{lives} lives")


def test_the_same_seed_gives_the_same_life() -> None:
    assert live(7).log == live(7).log
    assert live(7).log != live(8).log


def test_lives_are_eventful() -> None:
    """A simulation in which little happens proves little."""
    lives = [live(seed) for seed in range(60)]
    log = "\n".join(line for lived in lives for line in lived.log)
    for event in (
        "found begun", "is killed", "starts anew", "is requeued", "watched by", "no room", "Repeated", "Reopened",
        "called off: pause", "shut for good", "cannot write", "Declined", "told pause", "told stop", "REBOOT",
        "REQUEUED", "NODE_FAIL", "Released", "Finished completed", "Finished failed", "Finished cancelled",
        "before the start", "spawn failed", "stopped on request", "attempts without", "deaths before", "stall:",
    ):  # fmt: skip
        assert event in log, event
    assert sum(lived.terms for lived in lives) > 5 * len(lives)
