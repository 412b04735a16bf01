"""outlast for the Hugging Face Trainer: `Trainer(..., callbacks=[outlast.hf.Callback()])`, and nothing else.

Steps, total, losses and other logged values, evaluation and saving as sections, checkpoints, the safe stop. To go on
from the verified checkpoint: `trainer.train(resume_from_checkpoint=outlast.resume_from())`.

transformers is imported when `Callback` is first asked for. Refuses to know models.
"""

from __future__ import annotations

import os
import signal

from outlast.errors import RESUME_ME
from outlast.sdk import Training, frameworks, training
from outlast.sdk.own_page import rank_is

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Callback: Any

EVAL, SAVE, PREDICT, EXIT = "eval", "save", "predict", "exit"


class Steps:
    """What the Trainer's events say to outlast. The Trainer logs, evaluates and saves after a step, in this order, and
    announces none of it but by the flags of `control`. Behind the last step it may load the best model and remove
    checkpoints, which it does not announce at all; and after the training its user may evaluate, for hours."""

    def __init__(self) -> None:
        self._run: Training | None = None
        self._section: Any = None
        self._is_stopping = self._is_over = self._is_announced = self._got_sigterm = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        rank_is(int(args.process_index), int(args.world_size))
        self._leave()
        self._run = training(total_steps=state.max_steps, start_step=state.global_step)
        self._is_stopping = self._is_over = self._is_announced = self._got_sigterm = False
        if getattr(args, "enable_jit_checkpoint", False):
            self._note_sigterm()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._leave()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        run = self._run
        if run is None or self._is_over:
            return
        run.step(step=state.global_step)
        if run.should_stop:
            self._is_stopping = control.should_save = control.should_training_stop = True
        self._enter_what_comes(state, control)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._enter_what_comes(state, control)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One batch of an evaluation. One that nobody announced is seen from here on; after the training each batch
        is a visit of its own, as there is no step that could show that it goes on."""
        if self._is_over:
            self._enter(PREDICT)
        elif self._section is None or self._section.name != EVAL.encode():
            self._enter(EVAL)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Whether the newest is the best, and saved as such, is decided only after this."""
        self._leave()
        is_announced, self._is_announced = self._is_announced, False
        if self._is_over:
            return
        if control.should_save or (is_announced and args.save_strategy == "best"):
            self._enter(SAVE)
        elif _ends(state, control):
            self._enter(EXIT)

    def on_predict(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._leave()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._leave()
        path = os.path.join(args.output_dir, f"checkpoint-{state.global_step}")
        if self._run is not None and state.is_world_process_zero and os.path.isdir(path):
            self._run.saved(path, step=state.global_step)
        if _ends(state, control) and not self._is_over:
            self._enter(EXIT)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self._run is not None and logs and not self._is_over:
            values = {str(name): value for name, value in logs.items() if name != "step"}
            self._run.log(state.global_step, **values)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Early, too: a training that its own callbacks ended is done; one that we stopped, or a signal, is not."""
        self._leave()
        run = self._run
        if run is None or self._is_over:
            return
        self._is_over = True
        is_short = state.global_step < state.max_steps
        if is_short and self._got_sigterm and not self._is_stopping:
            run.__exit__(SystemExit, SystemExit(RESUME_ME), None)
            return
        if not (is_short and self._is_stopping):
            run.done()
        run.__exit__(None, None, None)

    def _note_sigterm(self) -> None:
        """With `enable_jit_checkpoint` the Trainer saves at SIGTERM and ends its training, and the script goes on as if
        that were complete. The Trainer's handler does what it did; it takes ours away with its own."""
        handler = signal.getsignal(signal.SIGTERM)
        if not callable(handler):
            return

        def noted(number: int, frame: Any) -> None:
            self._got_sigterm = True
            handler(number, frame)

        try:
            signal.signal(signal.SIGTERM, noted)
        except ValueError:
            return  # this is not the main thread, and nobody can set one

    def _enter_what_comes(self, state: Any, control: Any) -> None:
        if self._is_over:
            return
        self._is_announced = control.should_evaluate
        if control.should_evaluate:
            self._enter(EVAL)
        elif control.should_save:
            self._enter(SAVE)
        elif _ends(state, control):
            self._enter(EXIT)

    def _enter(self, name: str) -> None:
        self._leave()
        if self._run is not None:
            self._section = self._run.section(name)
            self._section.__enter__()

    def _leave(self) -> None:
        section, self._section = self._section, None
        if section is not None:
            section.__exit__(None, None, None)


def _ends(state: Any, control: Any) -> bool:
    return bool(control.should_training_stop or state.global_step >= state.max_steps)


def __getattr__(name: str) -> Any:
    if name != "Callback":
        raise AttributeError(f"module 'outlast.hf' has no attribute {name!r}")
    base = frameworks.base("transformers", "TrainerCallback", "outlast.hf.Callback")
    return frameworks.made(name, Steps, (base,), globals())
