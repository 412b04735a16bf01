"""What a training says reaches whoever reads its page, and nothing that it says can hurt it."""

import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import outlast
from outlast.disk import heartbeat

Look = Callable[[], heartbeat.Beat]
Open = Callable[[], heartbeat.Page]


class Untouchable:
    """A value on a device: to look at it in any way is to wait for the device."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"touched: {name}")

    def _touched(self, *_: object) -> Any:
        raise AssertionError("touched")

    __float__ = __int__ = __index__ = __bool__ = __eq__ = __hash__ = __array__ = _touched


class Tensor:
    """torch.Tensor as far as the SDK may go: `is_cpu` does not wait, nor does `item` of what is there."""

    def __init__(self, value: float, device: str = "cpu") -> None:
        self.value, self.is_cpu, self.is_cuda = value, device == "cpu", False

    def numel(self) -> int:
        return 1

    def item(self) -> float:
        assert self.is_cpu, "read on a device"
        return self.value

    def __float__(self) -> float:
        raise AssertionError("read with its graph, or on a device")


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("torch")
    vars(module)["Tensor"] = Tensor
    monkeypatch.setitem(sys.modules, "torch", module)


def test_the_page_says_who_we_are_before_the_first_step(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    outlast.training(total_steps=100)
    beat = look()
    assert (beat.rank, beat.world, beat.pid) == (3, 8, os.getpid())
    assert (beat.seq, beat.step, beat.loss, beat.total, beat.first_step) == (0, 0, None, 100, None)
    assert (beat.word, beat.flag) == ("running", heartbeat.NEVER_READ)


def test_steps_without_a_number_count_from_one(look: Look) -> None:
    run = outlast.training()
    for number in range(1, 6):
        run.step(loss=number / 2)
        beat = look()
        assert (beat.seq, beat.step, beat.loss, beat.first_step) == (number, number, number / 2, 1)


@pytest.mark.parametrize("loss", [None, 0.5])
def test_a_given_number_is_the_step_whether_it_follows_or_jumps(look: Look, loss: float | None) -> None:
    run = outlast.training()
    for beats, number in enumerate([7, 8, 9, 20, 20, 3, 4, 0], start=1):
        run.step(step=number, loss=loss)
        beat = look()
        assert (beat.step, beat.seq, beat.loss, beat.first_step) == (number, beats, loss, 7)
    run.step()
    assert look().step == 1


def test_a_step_without_a_loss_keeps_the_last_known_one(look: Look) -> None:
    run = outlast.training()
    run.step(loss=2.5)
    run.step()
    run.step(step=40)
    assert (look().step, look().loss) == (40, 2.5)


@pytest.mark.parametrize("loss", [3, np.float64(3), np.float32(3), np.float16(3), np.int64(3), np.array(3.0)])
def test_any_number_of_the_cpu_is_a_loss(look: Look, loss: Any) -> None:
    run = outlast.training()
    run.step(loss=loss)
    assert look().loss == 3.0


def test_numbers_of_numpy_are_steps(look: Look) -> None:
    run = outlast.training(total_steps=np.int64(50))
    run.step(step=np.int32(12))
    assert (look().step, look().total) == (12, 50)


def test_a_value_that_may_live_on_a_device_is_never_touched(look: Look, torch: None) -> None:
    run = outlast.training()
    run.step(loss=1.5)
    holder = np.empty((), object)
    holder[()] = Untouchable()
    for loss in (Untouchable(), holder, Tensor(9.0, "cuda")):
        run.step(loss=loss)
        run.step(step=10, loss=loss)
    run.step(step=Untouchable(), loss=Untouchable())  # type: ignore[arg-type]  # wrong on purpose
    beat = look()
    assert (beat.seq, beat.step, beat.loss) == (8, 11, 1.5)


def test_a_tensor_of_the_cpu_is_read_at_once_without_its_graph(look: Look, page: Open, torch: None) -> None:
    """The training may change it in place before its next step."""
    run = outlast.training()
    total = Tensor(4.0)
    run.step(loss=total, norm=total)
    total.value = 7.0
    assert (look().loss, page().take()) == (4.0, ([(1, "loss", 4.0), (1, "norm", 4.0)], 0))
    run.log(late=total)
    total.value = 9.0
    assert page().take() == ([(1, "late", 7.0)], 0)


def test_a_tensor_never_overwrites_a_newer_loss(look: Look, torch: None) -> None:
    run = outlast.training()
    run.step(loss=Tensor(4.0))
    run.step(loss=1.0)
    run.step(step=3)
    assert look().loss == 1.0


def test_the_last_tensor_is_read_when_the_training_is_left(look: Look, torch: None) -> None:
    with outlast.training() as run:
        run.step(loss=Tensor(4.0))
        look()
    assert look().loss == 4.0


def test_nonsense_is_a_step_all_the_same_and_raises_nothing(look: Look) -> None:
    run = outlast.training(total_steps="many")  # type: ignore[arg-type]  # wrong on purpose
    step: Any
    for step in ("seven", 2**70, -(2**70), float("nan"), 1.5, [], np.array([1, 2])):
        run.step(step=step, loss={})
    run.step(loss=10**400)
    assert (look().seq, look().step, look().total, look().loss) == (8, 8, None, None)
    run.step(loss=0.25)
    assert (look().step, look().loss) == (9, 0.25)


def test_track_beats_after_each_item(look: Look) -> None:
    run = outlast.training()
    seen = []
    for item in run.track("abc"):
        seen.append((item, look().step))
    assert seen == [("a", 0), ("b", 1), ("c", 2)]
    assert (look().step, look().total) == (3, 3)


def test_track_does_not_count_a_step_twice_that_the_loop_reports_itself(look: Look) -> None:
    run = outlast.training()
    for item in run.track([0.1, 0.2, 0.3]):
        run.step(loss=item)
    assert (look().step, look().loss) == (3, 0.3)


def test_the_total_is_the_trainings_own_else_that_of_what_it_tracks(look: Look) -> None:
    run = outlast.training(total_steps=90)
    list(run.track([1, 2]))
    assert look().total == 90
    for run, total, expected in ((outlast.training(), 7, 7), (outlast.training(), None, None)):
        list(run.track(iter([1, 2]), total=total))
        assert (look().total, run.total_steps) == (expected, expected)


def test_a_second_epoch_goes_on_counting(look: Look) -> None:
    run = outlast.training()
    for _ in range(2):
        list(run.track([1, 2, 3]))
    assert (look().step, look().total) == (6, 6)


def test_an_error_of_the_loader_is_the_trainings_own(look: Look) -> None:
    def loader() -> Iterator[int]:
        yield 1
        raise KeyError("worker")

    run = outlast.training()
    with pytest.raises(KeyError, match="worker"):
        list(run.track(loader()))
    assert look().step == 1


def test_a_stop_is_obeyed_at_its_step_and_not_before(look: Look, page: Open) -> None:
    run = outlast.training()
    run.step()
    assert not run.should_stop
    assert look().flag == heartbeat.READ
    page().tell(4)
    answers = []
    for _ in range(5):
        run.step()
        answers.append((look().step, run.should_stop, look().flag))
    assert answers == [
        (2, False, heartbeat.READ),
        (3, False, heartbeat.READ),
        (4, True, heartbeat.OBEYED),
        (5, True, heartbeat.OBEYED),
        (6, True, heartbeat.OBEYED),
    ]


def test_a_wish_may_be_taken_back_until_it_was_obeyed(look: Look, page: Open) -> None:
    run = outlast.training()
    run.step()
    look()
    page().tell(2)
    page().tell(None)
    run.step()
    answers = [run.should_stop]
    page().tell(2)
    answers.append(run.should_stop)
    page().tell(None)
    answers.append(run.should_stop)
    assert answers == [False, True, True]


def test_a_training_that_never_steps_waits_for_its_step_and_can_be_told_none(look: Look, page: Open) -> None:
    run = outlast.training()
    look()
    page().tell(2)
    answers = [run.should_stop]
    page().tell(0)
    answers.append(run.should_stop)
    assert answers == [False, True]


def leaves(run: outlast.Training) -> None:
    run.step()


def finishes(run: outlast.Training) -> None:
    run.step(step=10)


def says_done(run: outlast.Training) -> None:
    run.done()


def says_do_not_restart(run: outlast.Training) -> None:
    run.step(step=10)
    run.do_not_restart()


def raises(run: outlast.Training) -> None:
    run.step(step=10)
    raise RuntimeError


def is_interrupted(run: outlast.Training) -> None:
    run.step(step=10)
    raise KeyboardInterrupt


def exits(code: int | None) -> Callable[[outlast.Training], None]:
    def exit_now(run: outlast.Training) -> None:
        run.step(step=10)
        sys.exit(code)

    return exit_now


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (leaves, "left"),
        (finishes, "done"),
        (says_done, "done"),
        (says_do_not_restart, "do-not-restart"),
        (raises, "left"),
        (is_interrupted, "left"),
        (exits(None), "done"),
        (exits(0), "done"),
        (exits(1), "left"),
        (exits(75), "stopped"),
        (exits(93), "do-not-restart"),
    ],
)
def test_the_last_word_is_how_the_training_was_left(
    look: Look, body: Callable[[outlast.Training], None], word: str
) -> None:
    try:
        with outlast.training(total_steps=10) as run:
            look()
            body(run)
    except (RuntimeError, KeyboardInterrupt, SystemExit):
        pass
    assert (look().word, look().word_step) == (word, look().step)


def test_left_after_a_stop_the_last_word_is_stopped_and_its_step(look: Look, page: Open) -> None:
    with outlast.training(total_steps=10) as run:
        look()
        page().tell(3)
        while not run.should_stop:
            run.step()
    assert (look().word, look().word_step) == ("stopped", 3)


def test_whoever_looks_only_afterwards_finds_a_copy_that_is_a_plain_file(folder: Path, look: Look) -> None:
    with outlast.training(total_steps=2) as run:
        run.step(loss=1.0)
        run.step(loss=0.5)
    (path,) = folder.iterdir()
    assert path.is_file()
    assert not path.is_symlink()
    assert (look().step, look().loss, look().word) == (2, 0.5, "done")


def test_beating_on_after_the_training_was_left_comes_back_to_the_page(folder: Path, look: Look) -> None:
    with outlast.training() as run:
        run.step(loss=1.0)
    run.step(loss=0.5)
    (path,) = folder.iterdir()
    assert path.is_symlink()
    assert (look().step, look().loss) == (2, 0.5)


def test_a_training_that_goes_on_after_it_was_left_is_running_again(look: Look) -> None:
    run = outlast.training()
    for _ in range(2):
        with run:
            assert look().word == "running"
            run.step(loss=1.0)
        assert look().word == "left"
    run.step(loss=0.5)
    assert (look().word, look().step) == ("running", 3)


def test_the_beats_of_another_training_are_none_of_the_next_ones(look: Look) -> None:
    """Each begins where its own first beat is still to come, and goes on where it was."""
    outer = outlast.training(total_steps=10)
    assert look().own_beats == 0
    outer.step()
    with outlast.training(total_steps=3) as inner:
        assert look().own_beats == 0
        inner.step()
        inner.step()
        assert look().own_beats == 2
    outer.step()
    assert look().own_beats == 2
    assert look().seq == 4


def test_a_training_that_was_left_and_comes_back_for_a_section_has_begun(look: Look) -> None:
    with outlast.training(total_steps=1) as run:
        run.step()
    with run.section("eval"):
        beat = look()
        assert (beat.word, beat.own_beats, [name for name, _, _ in beat.sections]) == ("done", 1, ["eval"])


def test_a_second_training_goes_on_with_the_page_and_each_keeps_its_count(folder: Path, look: Look) -> None:
    outer = outlast.training(total_steps=10)
    outer.step(step=5, loss=1.0)
    with outlast.training(total_steps=3) as inner:
        assert (look().step, look().total, look().loss) == (0, 3, None)
        inner.step(loss=7.0)
        assert (look().step, look().loss, look().first_step) == (1, 7.0, 1)
    before = look().seq
    outer.step(loss=0.5)
    beat = look()
    assert (beat.step, beat.total, beat.loss, beat.first_step) == (6, 10, 0.5, 5)
    assert beat.seq == before + 1
    assert len(list(folder.iterdir())) == 1


def test_resume_from_is_the_checkpoint_we_were_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = outlast.training()
    assert (run.resume_from, outlast.resume_from()) == (None, None)
    monkeypatch.setenv("OUTLAST_RESUME_FROM", "")
    assert (run.resume_from, outlast.resume_from()) == (None, None)
    monkeypatch.setenv("OUTLAST_RESUME_FROM", "/ckpt/step-500")
    assert (run.resume_from, outlast.resume_from()) == (Path("/ckpt/step-500"), "/ckpt/step-500")


def test_a_resumed_training_that_only_counts_does_not_claim_a_first_step(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAST_RESUME_FROM", "/ckpt/step-500")
    run = outlast.training()
    run.step(loss=1.0)
    assert (look().step, look().first_step) == (1, None)
    run.step(step=502)
    assert (look().step, look().first_step) == (502, 502)


@pytest.mark.parametrize("told", ["argument", "environment"])
def test_counting_goes_on_from_the_step_that_was_resumed(
    look: Look, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("OUTLAST_RESUME_FROM", "/ckpt/step-500")
    if told == "environment":
        monkeypatch.setenv("OUTLAST_RESUME_STEP", "500")
    run = outlast.training(start_step=500 if told == "argument" else None)
    assert look().step == 500
    run.step()
    assert look().step == 501


def test_the_target_of_the_run_is_the_total_unless_the_code_says_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAST_TARGET_STEP", "70")
    assert outlast.training().total_steps == 70
    assert outlast.training(total_steps=80).total_steps == 80


def test_threads_that_step_at_once_leave_a_page_that_can_be_read(look: Look) -> None:
    run = outlast.training()

    def steps() -> None:
        for _ in range(2000):
            run.step(loss=1.0)

    threads = [threading.Thread(target=steps) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2000 <= look().step <= 8000
    assert look().loss == 1.0


def test_outside_outlast_it_is_the_same_code_and_silent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OUTLAST_RUN_ID")
    monkeypatch.delenv("OUTLAST_HEARTBEAT")
    with outlast.training(total_steps=3) as run:
        assert [run.should_stop for _ in run.track(range(3))] == [False] * 3
        run.step(loss=0.5)
    assert capfd.readouterr() == ("", "")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("where", ["", "/nowhere/at/all"])
def test_without_a_page_it_says_so_once_and_trains_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], where: str
) -> None:
    monkeypatch.setenv("OUTLAST_HEARTBEAT", where)
    for _ in range(2):
        with outlast.training(total_steps=3) as run:
            run.step(loss=0.5)
            assert not run.should_stop
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("outlast: no exact progress: ")
    assert err.count("\n") == 1
