"""Values, sections, waiting for data, checkpoints: what is on the page besides the step; none of it can hurt."""

import math
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import outlast
from outlast.disk import heartbeat, page
from outlast.sdk.section import seconds

Look = Callable[[], heartbeat.Beat]
Open = Callable[[], heartbeat.Page]


# --- losses and values --------------------------------------------------------------------------------------


def test_each_steps_loss_can_be_taken_once(look: Look, page: Open) -> None:
    run = outlast.training()
    for step in range(1, 6):
        run.step(loss=step / 2)
    assert page().take() == ([(step, "loss", step / 2) for step in range(1, 6)], 0)
    assert page().take() == ([], 0)
    run.step(loss=9.0)
    run.step()
    assert page().take() == ([(6, "loss", 9.0)], 0)


def test_no_loss_is_missed_between_looks_of_fewer_steps_than_a_lap(look: Look, page: Open) -> None:
    run, taken, step = outlast.training(), [], 0
    for steps in (1, 1500, 2000, 2047, 5, 2048, 700):
        for _ in range(steps):
            step += 1
            run.step(loss=float(step)) if step % 3 else run.step(step=step, loss=float(step))
        assert (look().step, look().loss, look().seq) == (step, step, step)
        taken += page().take()[0]
    assert taken == [(each, "loss", float(each)) for each in range(1, step + 1)]


def test_of_more_steps_than_that_the_newest_are_taken_and_the_step_is_exact(look: Look, page: Open) -> None:
    run = outlast.training()
    for step in range(1, 10_001):
        run.step(loss=float(step))
    taken = [step for step, _, _ in page().take()[0]]
    assert look().step == taken[-1] == 10_000
    assert taken == list(range(taken[0], 10_001))
    assert len(taken) >= 2048


def test_losses_of_steps_that_jump_are_not_missed(look: Look, page: Open) -> None:
    run = outlast.training()
    numbers = [*range(10, 300, 10), 5, 6, 7, 1000]
    for number in numbers:
        run.step(step=number, loss=float(number))
    rows, missed = page().take()
    assert sorted(rows) == sorted((number, "loss", float(number)) for number in numbers)
    assert missed == 0


def test_a_loss_that_is_no_number_is_a_loss(look: Look, page: Open) -> None:
    run = outlast.training()
    run.step()
    assert look().loss is None
    run.step(loss=math.nan)
    assert math.isnan(look().loss or 0.0)
    run.step()
    assert math.isnan(look().loss or 0.0)
    assert [step for step, _, _ in page().take()[0]] == [2]


@pytest.mark.parametrize("numbered", [False, True])
def test_values_belong_to_their_step(look: Look, page: Open, numbered: bool) -> None:
    run = outlast.training()
    for step in (1, 2, 3):
        number: dict[str, Any] = {"step": step} if numbered else {}
        run.step(**number, loss=0.5, lr=step / 10, accuracy=np.float32(0.5), tokens=7)
    rows = page().take()[0]
    expected = [(step, "loss", 0.5) for step in (1, 2, 3)]
    for step in (1, 2, 3):
        expected += [(step, "lr", step / 10), (step, "accuracy", 0.5), (step, "tokens", 7.0)]
    assert rows == expected
    assert look().step == 3


def test_log_adds_to_the_last_step_and_its_loss_is_the_newest(look: Look, page: Open) -> None:
    run = outlast.training()
    run.step()
    run.log(loss=0.25, grad_norm=2.0)
    assert (look().step, look().loss) == (1, 0.25)
    run.step()
    run.log(step=1, late=1.0)
    assert set(page().take()[0]) == {(1, "loss", 0.25), (1, "grad_norm", 2.0), (1, "late", 1.0)}
    assert look().step == 2


def test_two_thousand_values_between_looks_are_kept_and_more_are_counted(look: Look, page: Open) -> None:
    run = outlast.training()
    look()
    for step in range(1, 1001):
        run.step(a=step, b=step)
    rows, missed = page().take()
    assert (len(rows), missed) == (2000, 0)
    for step in range(1001, 2501):
        run.step(a=step, b=step)
    rows, missed = page().take()
    assert len(rows) + missed == 3000
    assert missed > 0
    assert rows[-1] == (2500, "b", 2500.0)
    assert page().take() == ([], 0)


def test_the_runner_that_replaces_another_goes_on_where_that_one_was(
    folder: Path, look: Look, page: Open
) -> None:
    run = outlast.training()
    run.step(loss=1.0, a=1)
    assert len(page().take()[0]) == 2
    run.step(loss=2.0, a=2)
    (path,) = folder.iterdir()
    second = heartbeat.Page(str(path))
    assert second.take() == ([(2, "loss", 2.0), (2, "a", 2.0)], 0)
    second.close()


def test_names_are_shortened_at_a_whole_character_and_too_many_are_counted(look: Look, page: Open) -> None:
    run = outlast.training()
    long: dict[str, Any] = {"é" * 40: 1.0}
    run.step(**long)
    assert page().take()[0] == [(1, "é" * 23, 1.0)]
    many: dict[str, Any] = {f"name{number}": 1.0 for number in range(200)}
    run.log(**many)
    rows, missed = page().take()
    assert (len(rows), missed) == (127, 73)


def test_values_that_are_none_are_left_out_and_nothing_raises(look: Look, page: Open) -> None:
    class Awkward:
        def __float__(self) -> float:
            raise AssertionError("touched")

    run = outlast.training()
    run.step(loss=0.5, text="x", none=None, thing=Awkward(), many=np.ones(3), big=10**400, ok=True)
    assert page().take()[0] == [(1, "loss", 0.5), (1, "ok", 1.0)]


def test_the_last_values_are_read_from_the_copy_that_is_left(folder: Path, look: Look) -> None:
    with outlast.training(total_steps=2) as run:
        run.step(loss=1.0)
        run.step(loss=0.5, lr=0.1)
    (path,) = folder.iterdir()
    after = heartbeat.Page(str(path))
    assert after.take()[0] == [(1, "loss", 1.0), (2, "loss", 0.5), (2, "lr", 0.1)]
    after.close()


def test_beat_is_a_step_with_a_loss(look: Look, page: Open) -> None:
    run = outlast.training()
    for loss in (0.5, 1, np.float32(2.0), None, "x"):
        run.beat(loss)  # type: ignore[arg-type]  # wrong on purpose
    assert (look().step, look().loss, look().first_step) == (5, 2.0, 1)
    assert [value for _, _, value in page().take()[0]] == [0.5, 1.0, 2.0]


# --- sections -----------------------------------------------------------------------------------------------


def names(beat: heartbeat.Beat) -> list[tuple[str, float | None]]:
    return [(name, limit_s) for name, limit_s, _ in beat.sections]


def test_sections_nest_with_their_limits_and_are_gone_when_left(look: Look) -> None:
    run = outlast.training()
    with run.section("eval", limit="30m"):
        assert names(look()) == [("eval", 1800.0)]
        with run.section("generate", limit=90), run.section("write"):
            assert names(look()) == [("eval", 1800.0), ("generate", 90.0), ("write", None)]
        assert names(look()) == [("eval", 1800.0)]
    assert look().sections == ()


def test_each_entry_has_a_serial_of_its_own(look: Look) -> None:
    run = outlast.training()
    serials = []
    for _ in range(3):
        with run.section("eval"):
            serials.append(look().sections[0][2])
    again = run.section("eval")
    for _ in range(2):
        with again:
            serials.append(look().sections[0][2])
    assert len(set(serials)) == 5


def test_an_error_leaves_the_section_and_is_the_trainings_own(look: Look) -> None:
    run = outlast.training()
    with pytest.raises(KeyError):
        with run.section("eval"):
            raise KeyError
    assert look().sections == ()


def test_what_was_entered_inside_and_never_left_goes_with_the_outer_one(look: Look) -> None:
    run = outlast.training()

    def generator() -> Iterator[int]:
        with run.section("inner"):
            yield 1
            yield 2

    unfinished = generator()
    with run.section("outer"):
        next(unfinished)
        assert [name for name, _ in names(look())] == ["outer", "inner"]
    assert look().sections == ()
    del unfinished
    assert look().sections == ()


def test_sections_deeper_than_eight_are_counted_and_said_once(
    look: Look, capfd: pytest.CaptureFixture[str]
) -> None:
    run = outlast.training()
    opened = [run.section(f"s{depth}") for depth in range(11)]
    for section in opened:
        section.__enter__()
    assert [name for name, _ in names(look())] == [f"s{depth}" for depth in range(8)]
    assert look().depth == 11
    for section in reversed(opened):
        section.__exit__(None, None, None)
    assert (look().sections, look().depth) == ((), 0)
    assert capfd.readouterr().err.count("deeper than 8") == 1


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (30, 30.0), (0.5, 0.5), ("90", 90.0), ("90s", 90.0), ("30m", 1800.0), ("1h30m", 5400.0), (" 2D ", 172800.0),
        ("1.5h", 5400.0), (np.float32(3), 3.0), ("soon", None), ("", None), ("m", None), ("1h30x", None), (0, None),
        (-1, None), (math.inf, None), (math.nan, None), ([], None), ("3h m", None),
    ],
)  # fmt: skip
def test_a_limit_is_a_duration_or_none(limit: Any, expected: float | None) -> None:
    assert seconds(limit) == expected


def test_a_limit_that_is_no_duration_is_said_once_and_the_section_is_there(
    look: Look, capfd: pytest.CaptureFixture[str]
) -> None:
    run = outlast.training()
    for _ in range(2):
        with run.section("eval", limit="soon"):
            assert names(look()) == [("eval", None)]
    assert capfd.readouterr().err.count("'soon'") == 1


def test_names_of_sections_are_cut_at_a_whole_character_and_anything_is_a_name(look: Look) -> None:
    run = outlast.training()
    with run.section("é" * 40), run.section(None):  # type: ignore[arg-type]  # wrong on purpose
        assert [name for name, _ in names(look())] == ["é" * 15, "section"]


def test_steps_inside_a_section_count(look: Look) -> None:
    run = outlast.training()
    with run.section("warm up"):
        run.step(loss=1.0)
        assert (look().step, names(look())) == (1, [("warm up", None)])


# --- data ---------------------------------------------------------------------------------------------------


def test_whoever_watches_sees_while_track_waits_for_an_item(look: Look) -> None:
    run = outlast.training()
    waited, worked = [], []

    def loader() -> Iterator[int]:
        for item in range(3):
            waited.append(look().in_data)
            yield item
        waited.append(look().in_data)

    for _ in run.track(loader()):
        worked.append(look().in_data)
    assert (waited, worked, look().in_data) == ([True] * 4, [False] * 3, False)


@pytest.mark.parametrize("how", ["break", "error in the loop", "error in the loader"])
def test_a_loop_that_is_left_waits_for_no_data(look: Look, how: str) -> None:
    run = outlast.training()

    def loader() -> Iterator[int]:
        yield 1
        raise KeyError

    def loop() -> None:
        for _ in run.track(loader()):
            if how == "break":
                break
            if how == "error in the loop":
                raise KeyError

    try:
        loop()
    except KeyError:
        pass
    assert look().in_data is False


# --- checkpoints --------------------------------------------------------------------------------------------


def test_the_newest_checkpoint_is_told_with_its_step_and_each_anew(look: Look, tmp_path: Path) -> None:
    run = outlast.training()
    assert look().saved is None
    run.step(step=500)
    run.saved(tmp_path / "a")
    assert look().saved == (1, 500, str(tmp_path / "a"))
    run.saved("relative/b", step=400)
    assert look().saved == (2, 400, os.path.abspath("relative/b"))
    run.saved(str(tmp_path / "a"))
    assert look().saved == (3, 500, str(tmp_path / "a"))


def test_any_path_can_be_told_and_one_that_cannot_is_said(
    look: Look, capfd: pytest.CaptureFixture[str]
) -> None:
    run = outlast.training()
    for path in ("/" + "é" * 2000, "/a\udcff", "/" + "x" * (page.PATH_MAX - 1)):
        run.saved(path)
        saved = look().saved
        assert saved is not None
        assert saved[2] == path
    run.saved("/" + "x" * page.PATH_MAX)
    run.saved(None)  # type: ignore[arg-type]  # wrong on purpose
    saved = look().saved
    assert saved is not None
    assert saved[0] == 3
    assert "too long" in capfd.readouterr().err


# --- the rest -----------------------------------------------------------------------------------------------


def test_a_total_that_is_known_later_is_told_then(look: Look) -> None:
    run = outlast.training()
    assert look().total is None
    run.total_steps = 70
    assert (look().total, run.total_steps) == (70, 70)


def test_a_copy_for_another_process_may_be_called_and_is_heard_by_nobody(look: Look) -> None:
    run = outlast.training(total_steps=9)
    run.step(step=4, loss=1.0)
    copied = pickle.loads(pickle.dumps(run))
    copied.step(loss=7.0)
    copied.saved("/x")
    with copied.section("eval"):
        assert look().sections == ()
    assert (copied.total_steps, copied.should_stop) == (9, False)
    assert (look().step, look().loss, look().saved) == (4, 1.0, None)
    run.step(loss=2.0)
    assert (look().step, look().loss) == (5, 2.0)


def test_a_signals_handler_may_speak_in_the_middle_of_a_beat(look: Look, page: Open) -> None:
    run = outlast.training()

    class Speaks(dict[str, object]):
        def items(self) -> Any:
            with run.section("handler"):
                run.step(step=50, loss=5.0, inner=1.0)
            return super().items()

    run._beat(1, 1.0, Speaks(outer=2.0))
    assert look().step == 50
    assert {name for _, name, _ in page().take()[0]} >= {"inner", "outer"}


def test_stacks_are_made_ready_before_the_first_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from outlast.disk import stack_page

    armed = []
    monkeypatch.setattr(stack_page, "arm", lambda: armed.append(1))
    outlast.training()
    assert armed == [1]
