"""Random trainings, each by its seed: step times with heavy tails (lognormal, Pareto), bursts, evals, saves, stalls.

What is drawn is what happens: medians from milliseconds to half a minute, lognormal with sigma up to 1, Pareto with
alpha down to 1.5. A single wait is cut off at nine tenths of what is allowed at first in its section: a training that
stands longer than that without a word cannot be told from a hang by anybody.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.corpus.story import Rank, sdk, zero

STEPS = 400
TRAIN_MAX_S, SERIES_MAX_S = 540.0, 1620.0
SECTION_MAX_S = {"eval": 1620.0, "save": 1620.0, "data": 1080.0}
Draw = Callable[[], float]


def timeline(seed: int) -> dict[str, Any]:
    dice = random.Random(seed)
    rank = Rank().init(dice.uniform(1, 600)).steps(1, dice.uniform(1, 1000))
    wait = _waits(dice)
    if dice.random() < 0.2:
        rank = Rank(at_s=dice.uniform(1, 1500))
        return zero(rank.each([min(wait(), SERIES_MAX_S) for _ in range(STEPS)]))
    sections = [name for name in ("eval", "save", "data") if dice.random() < 0.5]
    every, lasts = dice.randint(5, 120), {name: _lasting(dice, SECTION_MAX_S[name]) for name in sections}
    for number in range(1, STEPS + 1):
        rank.each([min(wait(), TRAIN_MAX_S)])
        for name in sections:
            if number % every == 0 or (name == "data" and dice.random() < 0.02):
                rank.section(name, lasts[name]())
    return sdk(rank)


def _waits(dice: random.Random) -> Draw:
    median_s = 10 ** dice.uniform(-2, 1.5)
    kind = dice.choice(("lognormal", "pareto", "bursts"))
    if kind == "lognormal":
        sigma = dice.uniform(0.1, 1.0)
        return lambda: median_s * dice.lognormvariate(0.0, sigma)
    if kind == "pareto":
        alpha = dice.uniform(1.5, 4.0)
        least_s = median_s / 2 ** (1 / alpha)
        return lambda: least_s * dice.paretovariate(alpha)
    return lambda: median_s * (0.05 if dice.random() < 0.9 else dice.uniform(1.0, 8.0))


def _lasting(dice: random.Random, most_s: float) -> Draw:
    median_s, sigma = 10 ** dice.uniform(0, 2.5), dice.uniform(0.05, 0.6)
    return lambda: min(most_s, median_s * dice.lognormvariate(0.0, sigma))
