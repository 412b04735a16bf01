"""What one line says of the loss of the step, or the few, that were just made.

A mean that runs on over an epoch stays NaN after one step that was, and what an evaluation found is no step's. Knows
names of values. Refuses to judge a loss.
"""

from __future__ import annotations

import math

from outlast.runner.output_reading.seen import BATCH, SAMPLE, STEP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.runner.output_reading.seen import Seen
    from outlast.runner.output_reading.series import Series

    Loss = tuple[int | None, float, float | None]  # step, loss, gradient norm

OF_A_STEP = frozenset("loss train training total lm step batch iter iteration".split())
UNITS = (STEP, BATCH, SAMPLE)
GRADIENT = "grad_norm"
RUNNING_MEANS = ("keras", "lightning")  # their lines and bars show such
LOSSES_MAX = 512


def loss_of_a_step(seen: Seen, series: Series | None) -> Loss | None:
    """None: it says nothing of that. Without a counter only the Hugging Face Trainer's own records do."""
    if seen.is_bar or seen.is_summary or seen.source in RUNNING_MEANS:
        return None
    is_counted = series is not None and series.unit in UNITS and not series.is_inner
    if not is_counted and seen.source != "hf-trainer":
        return None
    losses = [value for name, value in seen.values.items() if _is_of_a_step(name)]
    if not losses:
        return None
    loss = next((value for value in losses if math.isfinite(value)), losses[0])
    step = series.steps() if series is not None and series.unit == STEP else None
    return step, loss, seen.values.get(GRADIENT)


def _is_of_a_step(name: str) -> bool:
    for sign in "/_-.@":
        name = name.replace(sign, " ")
    words = name.lower().split()
    return "loss" in words and OF_A_STEP.issuperset(words)
