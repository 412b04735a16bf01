"""Which counter is the training, what only keeps busy, and what a checkpoint adds."""

from typing import Any

import pytest

from outlast.runner.output_reading import Known, OutputReading


def bar(name: str, n: int, total: int, end: str = "", values: str = "") -> str:
    more = f", {values}" if values else ""
    return f"\r{name}{100 * n // total:3d}%|█         | {n}/{total} [00:01<00:09, 10.0it/s{more}]{end}"


def read(*texts: str) -> OutputReading:
    reading = OutputReading()
    reading.feed("".join(texts).encode())
    return reading


def known(*texts: str) -> Known:
    return read(*texts).known()


def bars(name: str, total: int, **more: Any) -> str:
    return "".join(bar(name, n, total, **more) for n in range(total + 1)) + "\n"


# --- what is no training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Map: ", "Map (num_proc=4): ", "Filter: ", "Loading checkpoint shards: ", "Loading weights: ",
        "Downloading data: ", "Generating train split: ", "Fetching 5 files: ", "Evaluating: ", "Validation: ",
        "Validation DataLoader 0: ", "Sanity Checking DataLoader 0: ", "Predicting DataLoader 0: ",
        "Testing DataLoader 0: ", "eval: ", "test: ",
    ],
)  # fmt: skip
def test_a_bar_of_that_name_is_activity_however_long_it_runs(name: str) -> None:
    seen = known(bars(name, 1000))
    assert (seen.ticks, seen.step, seen.total, seen.source, seen.confidence) == (0, None, None, "", "")
    assert seen.bytes_seen > 0


def test_p14_no_evaluation_map_or_loading_bar_is_read_as_progress_or_as_the_target() -> None:
    """Scenario P14, as one run: shards are loaded, data mapped, and the evaluation reaches 10/10 again and again."""
    reading = read(bars("Loading checkpoint shards: ", 4), bars("Map: ", 1000), bars("Filter: ", 500))
    assert (reading.known().ticks, reading.known().step, reading.known().section) == (0, None, "init")
    ticks = 0
    for step in range(1, 301):
        reading.feed(bar("", step, 300).encode())
        if step % 10 == 0:
            reading.feed(f"\n{{'loss': '0.5', 'grad_norm': '1', 'epoch': '{step / 100}'}}\n".encode())
            reading.feed(bar("", step, 300).encode())
        if step % 100 == 50:
            ticks = reading.known().ticks
            for n in range(11):
                reading.feed(("\n" + bar("", n, 10, "\x1b[A")).encode())
                assert reading.known().step == step
                assert reading.known().total == 300
                assert reading.known().ticks == ticks
            reading.feed(b"\r{'eval_loss': '0.6', 'eval_runtime': '1.0', 'epoch': '0.5'}\n")
            assert (reading.known().val_loss, reading.known().section) == (0.6, "")
    reading.feed(b"\n")
    assert (reading.known().step, reading.known().total, reading.known().ticks > ticks) == (300, 300, True)


def test_the_section_is_the_evaluation_while_its_bar_runs() -> None:
    reading = read(bars("train ", 9, values="loss=1"), bar("Validation: ", 3, 10, "\n"))
    assert reading.known().section == "eval"
    reading.feed(bar("Validation: ", 10, 10, "\n").encode())
    assert reading.known().section == ""
    reading.feed(b"Saving model checkpoint to out/checkpoint-9\n")
    assert reading.known().section == "save"
    reading.feed(bar("train ", 1, 9, "\n", "loss=1").encode())
    assert reading.known().section == ""


def test_a_nameless_bar_within_a_training_that_runs_by_itself_is_an_evaluation() -> None:
    train = "".join(bar("", n, 500) for n in range(60))
    inner = "".join("\n" + bar("", n, 2000, "\x1b[A") for n in range(2000))
    reading = read(train, inner)
    assert (reading.known().step, reading.known().total, reading.known().section) == (59, 500, "eval")


# --- what identifies the training ---------------------------------------------------------------------------


def test_a_bar_without_a_loss_is_identified_after_fifty_ticks_at_one_total_and_shown_as_a_guess_before() -> (
    None
):
    reading = read("".join(bar("", n, 500) for n in range(49)))
    assert (reading.known().confidence, reading.known().ticks, reading.known().step) == ("guess", 0, 48)
    reading.feed("".join(bar("", n, 500) for n in range(49, 60)).encode())
    assert (reading.known().confidence, reading.known().ticks > 5) == ("identified", True)


def test_a_nameless_bar_without_a_loss_that_reached_its_end_proves_nothing() -> None:
    seen = known(bars("", 500))
    assert (seen.confidence, seen.step) == ("guess", 500)
    seen = known(bars("", 500), bar("", 0, 900), bar("", 3, 900), "\n")
    assert (seen.confidence, seen.step, seen.total) == ("guess", 3, 900)


def test_a_loop_around_loops_is_not_identified_but_its_inner_loop_is() -> None:
    reading = OutputReading()
    for outer in range(60):
        reading.feed(bar("", outer, 70).encode())
        for n in range(3):
            reading.feed(("\n" + bar("batch", n, 2, "\x1b[A")).encode())
    assert (reading.known().unit, reading.known().confidence) == ("step", "identified")
    assert reading.known().step == 60 * 2


def test_a_loop_around_preparations_is_not_identified_however_often_it_turns() -> None:
    reading = OutputReading()
    for outer in range(90):
        reading.feed(bar("", outer, 100).encode())
        reading.feed("".join("\n" + bar("Map: ", n, 2, "\x1b[A") for n in range(3)).encode())
    assert (reading.known().ticks, reading.known().confidence) == (0, "guess")


def test_a_counter_that_carries_a_loss_is_identified_at_once() -> None:
    seen = known("step 1 loss 0.5\n")
    assert (seen.confidence, seen.ticks, seen.step) == ("identified", 1, 1)


def test_a_loss_without_a_counter_belongs_to_the_bar_that_runs() -> None:
    reading = read(
        bar("", 3, 500),
        "\n{'loss': 0.5, 'learning_rate': 1e-5, 'epoch': 0.1}\n",
        bar("", 4, 500),
        bar("", 5, 500),
    )
    assert (reading.known().source, reading.known().confidence, reading.known().step) == (
        "hf-trainer",
        "identified",
        5,
    )
    assert dict(reading.take_records())[4]["loss"] == 0.5


def test_a_finished_preparation_does_not_get_the_loss_of_the_training() -> None:
    seen = known(bars("", 30), "loss: 0.5\nloss: 0.4\n")
    assert (seen.step, seen.total, seen.unit, seen.ticks) == (None, None, "report", 2)


def test_lines_with_a_loss_and_nothing_else_are_progress() -> None:
    reading = read("loss: 0.5\n", "loss: 0.5\n")
    assert (reading.known().ticks, reading.known().step, reading.known().confidence) == (
        2,
        None,
        "identified",
    )


def test_a_line_that_says_an_old_loss_again_is_no_progress_beside_the_reports_of_the_training() -> None:
    reading = read("".join(f"loss: {0.5 - n / 100}\n" for n in range(9)))
    reading.feed("".join(f"12:00:{n} worker alive; last loss: 0.42\n" for n in range(10, 60)).encode())
    assert reading.known().ticks == 9
    reading.feed(b"".join(b"phase two has loss %.2f\n" % (0.4 - n / 100) for n in range(9)))
    assert reading.known().ticks > 12


def test_reports_of_ever_new_texts_are_all_progress() -> None:
    reading = read("".join(f"{'abcdefghijklmnopqrst'[n]} says loss {n / 10}\n" for n in range(20)))
    assert reading.known().ticks >= 16


def test_a_counter_without_a_loss_does_not_take_over_from_a_training_that_has_one() -> None:
    reading = read("".join(f"step {n} loss 0.5\n" for n in range(9)))
    for line in ("retry attempt: iteration {}\n", "retry attempt: iteration {}/500\n"):
        reading.feed("".join(line.format(n) for n in range(100)).encode())
    assert (reading.known().step, reading.known().ticks) == (8, 9)


def test_a_training_with_a_loss_takes_over_from_a_counter_that_has_none() -> None:
    reading = read("".join(f"connecting: iteration {n}/500\n" for n in range(80)))
    assert reading.known().confidence == "identified"
    for n in range(80, 85):
        reading.feed(f"connecting: iteration {n}/500\nstep {n - 70} loss 0.5\n".encode())
    assert reading.known().step == 14


def test_an_endless_counter_without_a_loss_is_not_identified_however_long_it_runs() -> None:
    assert known("".join(f"waiting: iteration {n}\n" for n in range(500))).confidence == "guess"


def test_an_evaluations_bar_that_moves_is_told_apart_from_one_that_stands() -> None:
    reading = read("step 1 loss 0.5\n", bar("Evaluating: ", 1, 100), bar("Evaluating: ", 2, 100), "\n")
    inner = reading.known().inner_ticks
    assert (reading.known().section, reading.known().ticks) == ("eval", 1)
    reading.feed(bar("Evaluating: ", 2, 100, "\n").encode())
    assert reading.known().inner_ticks == inner
    reading.feed(bar("Evaluating: ", 3, 100, "\n").encode())
    assert (reading.known().inner_ticks, reading.known().ticks) == (inner + 1, 1)


def test_a_second_phase_in_another_shape_takes_over() -> None:
    reading = read(bars("pretrain ", 20, values="loss=1"), "\n")
    ticks = reading.known().ticks
    reading.feed(b"".join(b"iter %d: loss 0.5, time 5ms\n" % n for n in range(10)))
    assert (reading.known().source, reading.known().step) == ("nanogpt", 9)
    assert reading.known().ticks > ticks


def test_an_epoch_line_beside_a_bar_of_batches_does_not_make_the_step_jump() -> None:
    reading = OutputReading()
    steps = []
    for epoch in range(1, 5):
        reading.feed(bars(f"Epoch {epoch}/4: ", 60, values="loss=1").encode())
        reading.feed(f"Epoch {epoch}: train loss 0.5 val loss 0.6\n".encode())
        steps.append(reading.known().step)
    assert steps == [60, 120, 180, 240]
    assert reading.known().total == 240


# --- counters that begin anew -------------------------------------------------------------------------------


def test_a_counter_of_every_epoch_becomes_one_that_only_rises() -> None:
    reading, steps = OutputReading(), []
    for epoch in range(3):
        for batch in range(0, 100, 25):
            reading.feed(f"Epoch: [{epoch}][{batch:3d}/100]\tLoss 0.5 (0.5)\n".encode())
            steps.append(reading.known().step)
    assert steps == list(range(0, 300, 25))
    assert (reading.known().epoch, reading.known().ticks) == (2, 12)


def test_a_training_that_resumes_in_a_later_epoch_stands_where_it_stands() -> None:
    assert known("Epoch 5/10\n", "20/100 ━━━━ 5s 4ms/step - loss: 0.5\n").step == 420
    assert known("Epoch: [4][20/100]\tLoss 0.5\n").step in (320, 420)  # the first epoch may be 0 or 1
    lightning = "Epoch 4:  20%|##  | 20/100 [00:01<00:09, 10.0it/s, v_num=0, train_loss=0.5]\n"
    assert known(lightning).step == 420


def test_a_global_step_beside_an_epoch_is_left_alone() -> None:
    reading = read(*(f"epoch {step // 100} step {step} loss 0.5\n" for step in range(0, 400, 50)))
    assert (reading.known().step, reading.known().epoch) == (350, 3)


def test_a_step_of_its_epoch_beside_an_epoch_is_added_up() -> None:
    reading = read(*(f"epoch {e} step {s} loss 0.5\n" for e in range(3) for s in range(0, 100, 10)))
    assert (reading.known().step, reading.known().ticks) == (290, 30)


def test_nameless_bars_that_begin_anew_are_epochs() -> None:
    seen = known(*(bars("", 100) for _ in range(3)))
    assert (seen.step, seen.epoch, seen.confidence) == (300, 3, "identified")


def test_two_ranks_that_print_the_same_counter_are_one_training() -> None:
    reading = OutputReading()
    for step in range(10, 200, 10):
        reading.feed(f"[rank0] step {step} loss 0.5\n[rank1] step {step - 10} loss 0.5\n".encode())
    assert (reading.known().step, reading.known().ticks) == (190, 19)


def test_a_training_that_was_set_back_in_the_same_process_advances_again() -> None:
    reading = read(*(f"step {n} loss 0.5\n" for n in range(100, 200, 10)))
    before = reading.known().ticks
    reading.feed(b"".join(b"step %d loss 0.5\n" % n for n in range(50, 120, 10)))
    assert reading.known().ticks > before
    assert reading.known().step == 110


def test_a_number_that_is_noise_does_not_stop_the_count_for_ever() -> None:
    for noise in ("step 999999999999999 loss 0.5\n", "epoch 88888888 step 1 loss 0.5\n"):
        reading = read("epoch 1 step 1 loss 0.5\n", noise)
        before = reading.known().ticks
        reading.feed(b"".join(b"epoch 1 step %d loss 0.5\n" % n for n in range(2, 12)))
        assert reading.known().ticks > before, noise
        assert reading.known().step == 11


def test_the_same_line_again_is_no_progress() -> None:
    reading = read("step 5 loss 0.5\n" * 100, bar("x", 5, 50, "\n", "loss=1") * 100)
    assert reading.known().ticks <= 2


def test_keras_evaluating_or_predicting_with_its_own_bar_is_no_training() -> None:
    fit = "Epoch 1/1\n" + "".join(f"\r{n}/100 ━━━━ 5s 4ms/step - loss: 0.5" for n in range(1, 101)) + "\n"
    reading = read(fit)
    ticks = reading.known().ticks
    reading.feed("".join(f"\r{n}/20 ━━━━ 5s 4ms/step - loss: 0.9" for n in range(1, 21)).encode() + b"\n")
    reading.feed("".join(f"\r{n}/300 ━━━━ 5s 4ms/step" for n in range(1, 301)).encode() + b"\n")
    seen = reading.known()
    assert (seen.step, seen.total, seen.ticks, seen.loss, seen.val_loss) == (100, 100, ticks, 0.5, 0.9)


# --- the newest line, records -------------------------------------------------------------------------------


def test_a_bar_whose_line_has_no_end_yet_is_seen() -> None:
    reading = read(bar("", 3, 50, values="loss=2"), bar("", 4, 50, values="loss=1"))
    seen = reading.known()
    assert (seen.step, seen.loss, seen.ticks) == (4, 1, 2)
    assert reading.known().ticks == 2  # to look twice changes nothing
    reading.feed(bar("", 5, 50, values="loss=1").encode())
    assert (reading.known().step, reading.known().ticks) == (5, 3)


def test_a_line_that_is_cut_within_its_number_is_not_read_before_its_end() -> None:
    reading = read("step 1 loss 0.5\nstep 12")
    assert reading.known().step == 1
    reading.feed(b"34 loss 0.5\n")
    assert reading.known().step == 1234


def test_records_are_taken_once_and_of_many_the_newest_stay() -> None:
    reading = read(*(f"step {n} loss 0.5 lr 0.1\n" for n in range(2000)))
    records = reading.take_records()
    assert records[-1] == (1999, {"loss": 0.5})
    assert len(records) == 512
    assert reading.take_records() == []


def test_an_evaluation_is_recorded_at_the_step_that_it_was_made_at() -> None:
    reading = read("step 10 loss 0.5\nval_loss: 0.7\nstep 20 loss 0.4\n")
    assert reading.take_records() == [(10, {"loss": 0.5, "val_loss": 0.7}), (20, {"loss": 0.4})]


# --- checkpoints and the trainer's own state ----------------------------------------------------------------


def test_a_new_checkpoint_is_progress_and_an_old_one_is_none() -> None:
    reading = OutputReading()
    reading.tell_checkpoint(500)
    seen = reading.known()
    assert (seen.step, seen.ticks, seen.source, seen.confidence) == (500, 1, "checkpoint", "guess")
    reading.tell_checkpoint(500)
    reading.tell_checkpoint(400)
    assert (reading.known().ticks, reading.known().confidence) == (1, "guess")
    reading.tell_checkpoint(600)
    assert (reading.known().ticks, reading.known().confidence) == (2, "exact")


def test_a_counter_that_agrees_with_a_checkpoint_is_identified_and_with_two_exact() -> None:
    reading = read("".join(bar("", n, 500) for n in range(22)))
    assert reading.known().confidence == "guess"
    reading.tell_checkpoint(20)
    assert (reading.known().confidence, reading.known().step, reading.known().total) == (
        "identified",
        21,
        500,
    )
    reading.feed("".join(bar("", n, 500) for n in range(22, 42)).encode())
    reading.tell_checkpoint(40)
    assert reading.known().confidence == "exact"


def test_an_evaluation_whose_end_is_the_step_of_the_checkpoint_is_not_identified_by_it() -> None:
    reading = read("".join(bar("", n, 30) for n in range(11)), "\n")
    reading.feed("".join("\n" + bar("", n, 10, "\x1b[A") for n in range(11)).encode())
    reading.tell_checkpoint(10)
    assert (reading.known().step, reading.known().total) == (10, 30)


def test_the_state_of_the_trainer_gives_steps_and_target_to_lines_that_name_none() -> None:
    line = "{{'loss': '0.5', 'grad_norm': '1', 'learning_rate': '1e-05', 'epoch': '{}'}}\n"
    reading = read(line.format(0.1), line.format(0.5))
    assert (reading.known().step, reading.known().ticks, reading.known().unit) == (None, 2, "epoch")
    reading.tell_trainer_state({"global_step": 50, "max_steps": 300, "epoch": 0.5, "num_train_epochs": 3})
    assert (reading.known().step, reading.known().total) == (50, 300)
    reading.feed(line.format(1.0).encode())
    assert reading.known().step == 100


def test_the_state_of_the_trainer_confirms_the_bar_of_its_length() -> None:
    reading = read(bar("", 100, 1000), bar("", 110, 1000), "\n")
    reading.tell_trainer_state({"global_step": 100, "max_steps": 1000, "epoch": 1.0})
    assert (reading.known().confidence, reading.known().total) == ("exact", 1000)


@pytest.mark.parametrize(
    "state", [{}, {"global_step": None, "max_steps": "x", "epoch": []}, {"max_steps": -1, "epoch": 0}]
)
def test_a_state_that_says_nothing_changes_nothing(state: dict[str, Any]) -> None:
    reading = read("step 1 loss 0.5\n")
    reading.tell_trainer_state(state)
    assert (reading.known().step, reading.known().total) == (1, None)


def test_batches_of_which_several_make_a_step_become_steps_once_two_checkpoints_show_it() -> None:
    reading = OutputReading()
    for epoch in range(3):
        for n in range(0, 401, 5):
            line = f"Epoch {epoch}: {n // 4}%|##  | {n}/400 [00:01<00:09, 1.0it/s, v_num=0, train_loss=0.5]\r"
            reading.feed(line.encode())
        reading.tell_checkpoint((epoch + 1) * 100)
    seen = reading.known()
    assert (seen.step, seen.unit, seen.confidence) == (300, "step", "exact")
