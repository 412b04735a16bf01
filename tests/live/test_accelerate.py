"""A loop of Accelerate's own kind, with accumulated gradients, its tracker and its save_state."""

import importlib
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import outlast
from tests.live.frameworks import Watched, watched

torch: Any = importlib.import_module("torch")
accelerate: Any = importlib.import_module("accelerate")
# What these libraries and torch warn each other of is not ours to mend.
pytestmark = [pytest.mark.live, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(accelerate.state.AcceleratorState, "_shared_state", {})
    monkeypatch.setattr(accelerate.state.GradientState, "_shared_state", {})
    monkeypatch.setattr(accelerate.state.PartialState, "_shared_state", {})
    with watched(tmp_path / "beats", monkeypatch) as each:
        yield each


def train(tmp_path: Path, seen: Watched, stop_at: int | None = None) -> None:
    """Sixteen batches, a step for every second one."""
    accelerator = accelerate.Accelerator(
        cpu=True, gradient_accumulation_steps=2, log_with=outlast.accelerate.Tracker()
    )
    accelerator.init_trackers("any", config={"lr": 0.1})
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = torch.utils.data.DataLoader(torch.randn(32, 4), batch_size=2)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    step = 0
    with outlast.accelerate.training(accelerator, total_steps=8) as run:
        for batch in loader:
            with accelerator.accumulate(model):
                loss = model(batch).pow(2).mean()
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                step += 1
                run.step(loss=loss)
                accelerator.log({"norm": float(step), "step": 99}, step=step)
                if seen.look("step").step == stop_at:
                    seen.page.tell(stop_at or 0)
            if run.should_stop:
                outlast.accelerate.save_state(run, accelerator, str(tmp_path / "out"))
                break
        accelerator.end_training()


def test_steps_losses_and_values_are_the_loops_own(tmp_path: Path, seen: Watched) -> None:
    train(tmp_path, seen)
    beat = seen.look()
    assert (beat.rank, beat.world, beat.step, beat.total, beat.word) == (0, 1, 8, 8, "done")
    assert [step for step, _ in seen.of("loss")] == list(range(1, 9))
    assert seen.of("norm") == [(step, float(step)) for step in range(1, 9)]


@pytest.mark.parametrize("where", ["docs", "module"])
def test_the_example_of_the_docs_reports_its_steps_and_what_its_tracker_is_given(
    tmp_path: Path, seen: Watched, where: str
) -> None:
    """Accelerate hands nothing to a tracker that was never initialised."""
    docs = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", docs, re.DOTALL)
    (code,) = [block for block in blocks if "outlast.accelerate.training" in block]
    if where == "module":
        code = textwrap.dedent((outlast.accelerate.__doc__ or "").split("\n\n")[1])
    model = torch.nn.Linear(4, 1)
    exec(
        code,
        {
            "Accelerator": lambda **options: accelerate.Accelerator(cpu=True, **options),
            "outlast": outlast,
            "loader": range(8),
            "model": model,
            "loss": torch.ones(()),
            "lr": 0.5,
        },
    )
    assert seen.look().step >= 2
    assert [value for _, value in seen.of("loss")][:2] == [1.0, 1.0]
    assert [value for _, value in seen.of("lr")][:2] == [0.5, 0.5]


def test_asked_to_stop_it_saves_all_of_its_state_and_leaves(tmp_path: Path, seen: Watched) -> None:
    train(tmp_path, seen, stop_at=5)
    beat = seen.look()
    assert (beat.step, beat.word, beat.sections) == (5, "stopped", ())
    assert beat.saved == (1, 5, str(tmp_path / "out"))
    assert (tmp_path / "out" / "optimizer.bin").exists()
