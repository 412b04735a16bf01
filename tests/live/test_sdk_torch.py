"""The SDK beside the real torch: a CPU tensor is read one beat later, without its graph; others are left alone."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch as real_torch

import outlast
from outlast.disk import heartbeat
from outlast.sdk import own_page

torch: Any = real_torch  # mypy does not read it: its types take longer than all of ours


class Activation:
    """What a graph keeps for its backward pass."""


class Keeps(torch.autograd.Function):  # type: ignore[misc]
    """An operation whose graph holds an activation as long as it lives."""

    @staticmethod
    def forward(context: Any, value: Any, activation: Activation) -> Any:
        context.activation = activation
        return value.clone()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTLAST_RUN_ID", "r")
    monkeypatch.setenv("OUTLAST_HEARTBEAT", str(tmp_path))
    monkeypatch.setattr(own_page, "_own", None)
    return tmp_path


def test_a_loss_of_torch_is_seen_one_beat_later_and_its_graph_is_not_kept(folder: Path) -> None:
    run = outlast.training()
    activation = Activation()
    kept = weakref.ref(activation)
    loss = Keeps.apply(torch.tensor(6.0, requires_grad=True), activation)
    del activation
    assert kept() is not None
    run.step(loss=loss)
    del loss
    gc.collect()
    assert kept() is None
    run.step(loss=torch.ones(4))
    run.step(loss=torch.ones((), device="meta"))
    (path,) = folder.iterdir()
    beat = heartbeat.Page(str(path)).read()
    assert beat is not None
    assert (beat.step, beat.loss) == (3, 6.0)
