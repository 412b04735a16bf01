"""The callback in the real Hugging Face Trainer, with a tiny model made here."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import outlast
from outlast.disk import heartbeat
from tests.live.frameworks import Watched, watched

torch: Any = importlib.import_module("torch")
transformers: Any = importlib.import_module("transformers")
SOURCE = str(Path(outlast.__file__).parents[1])
# What these libraries and torch warn each other of is not ours to mend.
pytestmark = [pytest.mark.live, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with watched(tmp_path / "beats", monkeypatch) as each:
        yield each


def trainer(tmp_path: Path, seen: Watched, stop_at: int | None = None, **options: Any) -> Any:
    """Twenty steps on forty rows, logging each second, saving and evaluating at 10 and 20."""

    class Looks(transformers.TrainerCallback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        """Comes after ours, so that it sees what ours just said."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.look("step")
            if state.global_step == stop_at:
                seen.page.tell(state.global_step + 1)

        def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.look("predict")

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.look("evaluated")

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.look("saved")

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.look("begin")

    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    rows = [{"input_ids": torch.arange(6) % 32, "labels": torch.arange(6) % 32} for _ in range(40)]
    settings: dict[str, Any] = {
        "output_dir": str(tmp_path / "out"), "max_steps": 20, "per_device_train_batch_size": 2,
        "logging_steps": 2, "save_steps": 10, "eval_strategy": "steps", "eval_steps": 10, "use_cpu": True,
        "report_to": [], "disable_tqdm": True,
    }  # fmt: skip
    return transformers.Trainer(
        model=transformers.LlamaForCausalLM(config),
        args=transformers.TrainingArguments(**settings | options),
        train_dataset=rows,
        eval_dataset=rows[:4],
        callbacks=[outlast.hf.Callback(), Looks()],
    )


def test_steps_total_losses_and_the_last_word_are_the_trainers_own(tmp_path: Path, seen: Watched) -> None:
    trainer(tmp_path, seen).train()
    beat = seen.look()
    assert (beat.step, beat.total, beat.first_step, beat.word) == (20, 20, 1, "done")
    assert [step for event, step, _ in seen.seen if event == "step"] == list(range(1, 21))
    losses = seen.of("loss")
    assert [step for step, _ in losses] == list(range(2, 21, 2))
    assert beat.loss == losses[-1][1] > 0
    assert [step for step, _ in seen.of("eval_loss")] == [10, 20]
    assert beat.saved == (2, 20, str(tmp_path / "out" / "checkpoint-20"))


def test_evaluation_and_saving_are_sections_and_steps_are_in_none(tmp_path: Path, seen: Watched) -> None:
    trainer(tmp_path, seen).train()
    sections = {event: {open_ for each, _, open_ in seen.seen if each == event} for event, _, _ in seen.seen}
    assert sections["begin"] == {()}
    assert sections["predict"] == {("eval",)}
    assert sections["evaluated"] == {("save",)}
    assert sections["saved"] == {(), ("exit",)}, "behind the last step comes what ends the training"
    assert seen.look().sections == ()


def at(seen: Watched, event: str) -> set[tuple[str, ...]]:
    return {open_ for each, _, open_ in seen.seen if each == event}


def test_saving_what_is_best_is_a_section_though_it_is_decided_only_after_the_evaluation(
    tmp_path: Path, seen: Watched
) -> None:
    trainer(tmp_path, seen, save_strategy="best", metric_for_best_model="loss", save_steps=500).train()
    assert at(seen, "evaluated") == {("save",)}
    assert at(seen, "begin") == {()}


def test_loading_the_best_model_at_the_end_is_no_step_that_does_not_come(
    tmp_path: Path, seen: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(tmp_path, seen, load_best_model_at_end=True)
    load = made._load_best_model
    monkeypatch.setattr(made, "_load_best_model", lambda: (seen.look("loads"), load()))
    made.train()
    assert at(seen, "loads") == {("exit",)}
    assert (seen.look().word, seen.look().sections) == ("done", ())


@pytest.mark.parametrize("after", ["evaluate", "predict"])
def test_an_evaluation_after_the_training_is_a_section_that_is_new_with_each_batch(
    tmp_path: Path, seen: Watched, after: str
) -> None:
    """It may take longer than any of the training's own did, as long as it goes on."""
    made = trainer(tmp_path, seen, eval_strategy="no", max_steps=2, per_device_eval_batch_size=1)
    made.train()
    seen.seen.clear()
    serials = []

    class Serials(transformers.TrainerCallback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            serials.append(seen.look().sections[0][2])

    made.add_callback(Serials())
    getattr(made, after)(made.eval_dataset)
    assert at(seen, "predict") == {("predict",)}
    assert len(set(serials)) == len(serials) == 4
    beat = seen.look()
    assert (beat.word, beat.step, beat.sections) == ("done", 2, ())


def test_an_evaluation_that_a_callback_asks_for_is_a_section_from_its_first_batch(
    tmp_path: Path, seen: Watched
) -> None:
    made = trainer(tmp_path, seen, eval_strategy="no", max_steps=4)

    class Asks(transformers.TrainerCallback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 3:
                made.evaluate()

    made.add_callback(Asks())
    made.train()
    assert at(seen, "predict") == {("eval",)}
    assert at(seen, "evaluated") == {()}
    assert seen.look().word == "done"


def test_a_step_is_an_optimizer_step_when_gradients_are_accumulated(tmp_path: Path, seen: Watched) -> None:
    trainer(tmp_path, seen, gradient_accumulation_steps=4, max_steps=5).train()
    assert (seen.look().step, seen.look().seq) == (5, 5)


def test_asked_to_stop_it_saves_at_that_step_leaves_and_says_stopped(tmp_path: Path, seen: Watched) -> None:
    trainer(tmp_path, seen, stop_at=6).train()
    beat = seen.look()
    assert (beat.step, beat.word, beat.word_step, beat.flag) == (7, "stopped", 7, 2)
    assert beat.saved == (1, 7, str(tmp_path / "out" / "checkpoint-7"))
    assert (tmp_path / "out" / "checkpoint-7" / "trainer_state.json").exists()


def test_resumed_it_goes_on_counting(tmp_path: Path, seen: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer(tmp_path, seen, stop_at=6).train()
    checkpoint = str(tmp_path / "out" / "checkpoint-7")
    monkeypatch.setenv("OUTLAST_RESUME_FROM", checkpoint)
    with pytest.MonkeyPatch.context() as patch, watched(tmp_path / "again", patch) as again:
        patch.setenv("OUTLAST_RESUME_FROM", checkpoint)
        trainer(tmp_path, again).train(resume_from_checkpoint=outlast.resume_from())
        beat = again.look()
        assert (beat.step, beat.first_step, beat.seq, beat.word) == (20, 8, 13, "done")


def test_a_training_that_ends_itself_early_is_done(tmp_path: Path, seen: Watched) -> None:
    class Enough(transformers.TrainerCallback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.global_step == 4

    made = trainer(tmp_path, seen)
    made.add_callback(Enough())
    made.train()
    assert (seen.look().step, seen.look().word) == (4, "done")


@pytest.mark.parametrize("told", [True, False], ids=["by SIGTERM", "by its own callback"])
def test_r14_a_training_that_sigterm_ended_early_is_stopped_and_not_done(
    tmp_path: Path, seen: Watched, told: bool
) -> None:
    """`enable_jit_checkpoint`: it saves, and goes on behind `train()` as if all steps had been made."""
    before = signal.getsignal(signal.SIGTERM)
    made = trainer(tmp_path, seen, eval_strategy="no", enable_jit_checkpoint=True)
    for callback in made.callback_handler.callbacks:
        if getattr(callback, "jit_manager", None) is not None:
            callback.jit_manager.kill_wait = 0

    class Hurt(transformers.TrainerCallback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step != 4:
                return
            if not told:
                control.should_training_stop = True
                return
            os.kill(os.getpid(), signal.SIGTERM)
            timers = [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
            for timer in timers:
                timer.join(10)

    made.add_callback(Hurt())
    made.train()
    beat = seen.look()
    assert beat.step < 20
    assert beat.word == ("stopped" if told else "done")
    assert signal.getsignal(signal.SIGTERM) == before, "its own handler, and ours with it, is taken away"
    assert (tmp_path / "out" / "checkpoint-4").exists() is told


def test_outside_outlast_it_is_the_same_code_and_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch, watched(tmp_path / "beats", patch):
        patch.delenv("OUTLAST_RUN_ID")
        patch.delenv("OUTLAST_HEARTBEAT")
        plain = transformers.Trainer(
            model=torch.nn.Linear(1, 1),
            args=transformers.TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[]),
            callbacks=[outlast.hf.Callback()],
        )
        for event in ("on_train_begin", "on_step_begin", "on_step_end", "on_train_end"):
            getattr(plain.callback_handler, event)(plain.args, plain.state, plain.control)
        assert "outlast" not in capfd.readouterr().err
        assert list((tmp_path / "beats").iterdir()) == []


def test_peft_trains_with_the_same_callback(tmp_path: Path, seen: Watched) -> None:
    peft = importlib.import_module("peft")
    made = trainer(tmp_path, seen, max_steps=3, eval_strategy="no")
    made.model = peft.get_peft_model(made.model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
    made.train()
    assert (seen.look().step, seen.look().word) == (3, "done")


RANKS = """
import os, sys
import torch, transformers, outlast

class Slow(transformers.TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if state.global_step == 3: open(os.path.join(sys.argv[1], f"at-3-{args.process_index}"), "w").close()
        if state.global_step > 3:
            import time; time.sleep(0.05)

config = transformers.LlamaConfig(
    vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
)
rows = [{"input_ids": torch.arange(6), "labels": torch.arange(6)} for _ in range(64)]
args = transformers.TrainingArguments(
    output_dir=os.path.join(sys.argv[1], "out"), max_steps=5000, per_device_train_batch_size=1, use_cpu=True,
    ddp_backend="gloo", report_to=[], disable_tqdm=True, logging_steps=1, save_strategy="no",
)
transformers.Trainer(
    model=transformers.LlamaForCausalLM(config), args=args, train_dataset=rows,
    callbacks=[outlast.hf.Callback(), Slow()],
).train()
"""


@pytest.mark.timeout(120)
def test_two_ranks_stop_at_the_same_step_with_one_checkpoint(tmp_path: Path) -> None:
    script, beats = tmp_path / "train.py", tmp_path / "beats"
    script.write_text(RANKS)
    beats.mkdir()
    env = {**os.environ, "PYTHONPATH": SOURCE, "OUTLAST_RUN_ID": "r", "OUTLAST_HEARTBEAT": str(beats)}
    env |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    with subprocess.Popen([*command, str(script), str(tmp_path)], env=env, stderr=subprocess.PIPE) as ranks:
        try:
            deadline = time.monotonic() + 60
            while len(list(tmp_path.glob("at-3-*"))) < 2:
                assert time.monotonic() < deadline
                assert ranks.poll() is None, ranks.stderr and ranks.stderr.read().decode()
                time.sleep(0.01)
            pages = [heartbeat.Page(str(path)) for path in sorted(beats.iterdir())]
            steps = [beat.step for page in pages if (beat := page.read()) is not None]
            for page in pages:
                page.tell(max(steps) + 3)
            _, err = ranks.communicate(timeout=60)
        finally:
            ranks.kill()
    assert ranks.returncode == 0, err.decode()
    found = [page.read() for page in pages]
    stop = max(steps) + 3
    assert [
        (beat.rank, beat.world, beat.step, beat.word, beat.flag) for beat in found if beat is not None
    ] == [
        (0, 2, stop, "stopped", 2),
        (1, 2, stop, "stopped", 2),
    ]
    first, second = found
    assert first is not None
    assert second is not None
    assert first.saved == (1, stop, str(tmp_path / "out" / f"checkpoint-{stop}"))
    assert second.saved is None
    for page in pages:
        page.close()


def test_the_module_imports_without_loading_transformers() -> None:
    assert import_module("outlast.hf").Callback is outlast.hf.Callback
