"""When losses have ceased to be numbers for good, and when they have not: P7, R12, L37."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

import pytest

from outlast.runner.divergence import KEPT, Divergence, Found
from outlast.runner.output_reading import OutputReading

NAN, INF = math.nan, math.inf
RECORDED = Path(__file__).parents[2] / "corpus" / "output"
NAMES = sorted(path.stem for path in RECORDED.glob("*.out"))
DIVERGED = ("hf-trainer-nan",)


def heard(losses: Iterable[float], gradients: Iterable[float] = (), piece: int = 1) -> Found | None:
    """Each a step, from 1 on, seen so many at once."""
    divergence = Divergence()
    rows = [(step, "loss", loss) for step, loss in enumerate(losses, 1)]
    rows += [(step, "grad_norm", gradient) for step, gradient in enumerate(gradients, 1)]
    rows.sort(key=lambda row: row[0])
    for start in range(0, len(rows), piece):
        divergence.hear(rows[start : start + piece])
    return divergence.found


@pytest.mark.parametrize("piece", [1, 2, 1000])
@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([1.0, NAN, NAN, NAN], 2),
        ([1.0, INF, NAN, -INF], 2),
        ([1.0, NAN, 1.0, NAN, NAN, NAN], 4),
    ],
)
def test_three_in_a_row_are_enough_and_the_first_of_them_is_named(
    losses: list[float], step: int, piece: int
) -> None:
    found = heard(losses, piece=piece)
    assert found is not None
    assert found.step == step


@pytest.mark.parametrize("piece", [1, 2, 1000])
@pytest.mark.parametrize(
    "losses",
    [
        [],
        [1.0, NAN],
        [1.0, NAN, NAN, 1.0],
        [1.0, NAN, NAN, 1.0, NAN, NAN],
        [1.0, *([NAN, 1.0] * 200)],
        [INF] * 19,  # the loss scale is still being found
        [NAN] * 300,  # no loss yet: a buffer of experience is being filled
        [*([NAN] * 300), 1.0, NAN, INF],
        [0.0] * 99,
    ],
)
def test_a_spike_is_none_nor_are_the_first_steps(losses: list[float], piece: int) -> None:
    assert heard(losses, piece=piece) is None


def test_p7_gradients_alone_are_never_evidence() -> None:
    assert heard([1.0] * 50, [INF, NAN] * 25) is None
    divergence = Divergence()
    divergence.hear([(step, "grad_norm", NAN) for step in range(1, 99)])
    assert divergence.found is None


def test_r12_the_trainers_pair_in_two_records_is_a_loss_that_is_nan() -> None:
    found = heard([3.2, 0.0, 0.0], [NAN, NAN, NAN])
    assert found is not None
    assert (found.step, found.rows) == (2, [[1, "3.2", "nan"], [2, "0", "nan"], [3, "0", "nan"]])
    assert found.why == (
        "loss 0 and gradient norm nan at steps 2, 3: that is how this trainer writes a loss that is NaN"
    )
    assert heard([0.0, 0.0], [NAN, NAN]) is not None, "from the very first"
    assert heard([3.2, 0.0], [1.0, NAN]) is None
    assert heard([3.2, 0.0, 3.1, 0.0], [NAN] * 4) is None
    assert heard([0.0] * 9, [INF] * 9) is None, (
        "a loss of 0 with a gradient that the loss scale makes too large"
    )
    assert heard([0.0] * 9, [0.0] * 9) is None


@pytest.mark.parametrize("name", ["eval_loss", "val_loss", "test_loss", "aux_loss", "lr"])
def test_other_values_are_not_heard(name: str) -> None:
    divergence = Divergence()
    divergence.hear([(step, name, NAN) for step in range(1, 99)])
    divergence.hear([(1, "loss", 1.0)])
    assert divergence.found is None


def test_a_loss_that_comes_late_stands_where_it_belongs() -> None:
    divergence = Divergence()
    divergence.hear([(1, "loss", 1.0), (3, "loss", NAN), (4, "loss", NAN)])
    divergence.hear([(2, "loss", 1.0)])
    healthy = divergence.found
    assert healthy is None
    divergence.hear([(5, "loss", NAN)])
    found = divergence.found
    assert found is not None
    assert found.step == 3


def test_another_training_of_the_process_begins_anew() -> None:
    divergence = Divergence()
    divergence.hear([(step, "loss", 1.0) for step in range(1, 500)])
    divergence.hear([(500, "loss", NAN), (501, "loss", NAN)])
    divergence.hear([(1, "loss", NAN), (2, "loss", 1.0)])
    assert divergence.found is None


def test_however_long_it_goes_on_it_keeps_little() -> None:
    divergence = Divergence()
    divergence.hear([(step, "loss", 1.0) for step in range(1, 10_000)])
    assert len(divergence._pages._rows) == KEPT


# --- as the log tells it ------------------------------------------------------------------------------------------


def read(text: bytes, piece: int = 1 << 20) -> Divergence:
    reading, divergence = OutputReading(), Divergence()
    for start in range(0, len(text), piece):
        reading.feed(text[start : start + piece])
        divergence.hear_log(reading.take_losses())
    return divergence


@pytest.mark.parametrize("piece", [17, 1 << 20])
@pytest.mark.parametrize("name", NAMES)
def test_of_all_recorded_outputs_only_the_one_that_diverged_is_found(name: str, piece: int) -> None:
    found = read((RECORDED / f"{name}.out").read_bytes(), piece).found
    assert (found is not None) is (name in DIVERGED), found and found.why


def test_the_recorded_ones_hold_healthy_losses_that_are_no_numbers() -> None:
    text = (RECORDED / "loss-scale.out").read_bytes()
    assert (text.count(b" loss: nan "), text.count(b"grad_norm: nan"), text.count(b"eval_loss nan")) == (
        4,
        25,
        5,
    )
    assert "Healthy" in json.loads((RECORDED / "loss-scale.json").read_text())["note"]


STEPS = b"".join(b"step %d/99 loss 0.5\n" % step for step in range(1, 9))


@pytest.mark.parametrize(
    "line",
    [
        b"step %d/99 loss nan\n",
        b'{"step": %d, "loss": NaN, "lr": 0.1}\n',
        b"step=%d train_loss=inf eval_loss=0.5\n",
        b"iter %d: loss nan, time 12.1ms, mfu 1.0%%\n",
        b"Step %d | train loss -inf | lr 0.1\n",
    ],
)
def test_lines_that_tell_a_step_and_its_loss_are_heard(line: bytes) -> None:
    found = read(STEPS + b"".join(line % step for step in (9, 10, 11))).found
    assert found is not None
    assert (found.step, found.why.endswith("at steps 9, 10, 11")) == (9, True)
    assert read(STEPS + b"".join(line % step for step in (9, 10))).found is None


@pytest.mark.parametrize(
    "line",
    [
        b"step %d/99 val_loss nan\n",
        b"eval step %d/99 loss nan\n",
        b"step %d/99 avg_loss nan\n",  # a mean that runs on is NaN after one step that was
        b"step %d/99 running_loss=nan\n",
        b"step %d/99 loss 0.5 aux_loss nan\n",
        b"step %d/99 grad_norm nan\n",
        b"worker %d is alive; last loss: nan\n",  # of no step
        b"\r 50%%|#####     | %d/99 [00:01<00:01, 9.0it/s, loss=nan]",  # bars show running means
        b"%d/99 [==>...] - ETA: 5s - loss: nan\n",
        b"step 8/99 loss nan (%d times)\n",  # the same step again and again
    ],
)
def test_lines_that_say_something_else_are_not(line: bytes) -> None:
    assert read(STEPS + b"".join(line % step for step in range(9, 60))).found is None
