"""A GPU is never waited for. Its side is played here by an honest fake: a copy arrives when its event says so."""

import sys
import types
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

import outlast
from outlast.disk import heartbeat
from outlast.sdk import later

Look = Callable[[], heartbeat.Beat]
Open = Callable[[], heartbeat.Page]


class Device:
    """A queue of copies; `catch_up` does those that wait."""

    def __init__(self) -> None:
        self.queue: list[Callable[[], None]] = []
        self.copies = self.pinned = 0
        self.is_capturing = self.is_broken = False

    def catch_up(self) -> None:
        for work in self.queue:
            work()
        self.queue.clear()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    one = Device()

    class Tensor:
        def __init__(self, value: float, *, on_device: bool = True, size: int = 1) -> None:
            self._value, self._on_device, self._size = value, on_device, size
            self.is_cuda, self.is_cpu, self.device = on_device, not on_device, "cuda:0"

        def numel(self) -> int:
            return self._size

        def detach(self) -> "Tensor":
            return self

        def reshape(self, shape: tuple[()]) -> "Tensor":
            return self

        def copy_(self, other: "Tensor", non_blocking: bool) -> None:
            assert non_blocking, "this would wait for the device"
            one.copies += 1
            one.queue.append(lambda: setattr(self, "_value", other._value))

        def __float__(self) -> float:
            assert not self._on_device, "this would wait for the device"
            return self._value

    class Event:
        def __init__(self) -> None:
            self._arrived = False

        def record(self) -> None:
            self._arrived = False
            one.queue.append(lambda: setattr(self, "_arrived", True))

        def query(self) -> bool:
            if one.is_broken:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            return self._arrived

    def empty(shape: tuple[()], dtype: object, pin_memory: bool) -> Tensor:
        assert pin_memory
        one.pinned += 1
        return Tensor(-1.0, on_device=False)

    cuda = types.SimpleNamespace(
        Event=Event, device=lambda which: nullcontext(), is_current_stream_capturing=lambda: one.is_capturing
    )
    torch = types.ModuleType("torch")
    vars(torch).update(Tensor=Tensor, cuda=cuda, empty=empty, float32="float32")
    monkeypatch.setitem(sys.modules, "torch", torch)
    return one


def on_device(value: float, size: int = 1) -> Any:
    return sys.modules["torch"].Tensor(value, size=size)


def test_a_loss_on_a_device_is_known_once_it_arrived_by_itself(
    look: Look, page: Open, device: Device
) -> None:
    run = outlast.training()
    run.step(loss=on_device(4.0))
    run.step(loss=on_device(3.0))
    assert (look().step, look().loss, page().take()) == (2, None, ([], 0))
    device.catch_up()
    run.step(loss=on_device(2.0))
    assert (look().step, look().loss) == (3, 3.0)
    assert page().take() == ([(1, "loss", 4.0), (2, "loss", 3.0)], 0)


def test_values_on_a_device_arrive_at_their_step_too(look: Look, page: Open, device: Device) -> None:
    run = outlast.training()
    run.step(loss=0.5, norm=on_device(7.0))
    device.catch_up()
    run.step(loss=0.4, norm=on_device(8.0))
    assert (1, "norm", 7.0) in page().take()[0]


def test_a_device_that_is_far_behind_keeps_its_numbers_and_no_memory_is_taken_for_them(
    look: Look, device: Device
) -> None:
    run = outlast.training()
    for _ in range(100):
        run.step(loss=on_device(1.0))
    assert (device.copies, device.pinned) == (later.ON_THE_WAY_MAX, later.ON_THE_WAY_MAX)
    device.catch_up()
    for _ in range(100):
        run.step(loss=on_device(2.0))
        device.catch_up()
    assert device.pinned == later.ON_THE_WAY_MAX
    assert (look().step, look().loss) == (200, 2.0)


def test_a_loss_that_arrives_in_another_lap_still_belongs_to_its_step(
    look: Look, page: Open, device: Device
) -> None:
    run = outlast.training()
    run.step(step=10, loss=on_device(4.0))
    device.catch_up()
    run.step(step=900, loss=1.0)
    run.step(step=901, loss=on_device(4.5))
    run.step(step=10_000, loss=1.0)
    device.catch_up()
    run.step(step=20_000, loss=1.0)
    rows = page().take()[0]
    assert {(10, "loss", 4.0), (901, "loss", 4.5)} <= set(rows)


def test_nothing_is_copied_into_a_graph_that_is_being_captured(look: Look, device: Device) -> None:
    device.is_capturing = True
    run = outlast.training()
    run.step(loss=on_device(4.0))
    assert (look().step, device.copies) == (1, 0)


def test_a_tensor_of_many_numbers_is_no_loss(look: Look, device: Device) -> None:
    run = outlast.training()
    run.step(loss=on_device(4.0, size=8))
    assert (look().step, device.copies) == (1, 0)


def test_an_error_of_the_device_is_met_by_the_training_and_not_by_us(look: Look, device: Device) -> None:
    run = outlast.training()
    run.step(loss=on_device(4.0))
    device.is_broken = True
    for _ in range(3):
        run.step(loss=on_device(3.0))
    assert (look().step, look().loss) == (4, None)


def test_a_build_of_torch_without_a_device_changes_nothing(look: Look, device: Device) -> None:
    del sys.modules["torch"].cuda
    run = outlast.training()
    run.step(loss=on_device(4.0))
    run.step(loss=1.0)
    assert (look().step, look().loss) == (2, 1.0)


def test_who_beats_elsewhere_meanwhile_gets_no_loss_of_ours(look: Look, page: Open, device: Device) -> None:
    outer = outlast.training()
    outer.step(loss=on_device(4.0))
    inner = outlast.training()
    device.catch_up()
    inner.step(loss=1.0)
    outer.step(loss=2.0)
    assert sorted(value for _, _, value in page().take()[0]) == [1.0, 2.0]
