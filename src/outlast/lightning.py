"""outlast for Lightning: `Trainer(..., callbacks=[outlast.lightning.Callback()])`, and nothing else.

For `lightning.pytorch` and `pytorch_lightning`. Steps (Lightning's `global_step`), total, losses, validation and saving
as sections, checkpoints, the safe stop: it saves `outlast-step=N.ckpt` beside the other checkpoints, then ends the fit.
To go on from the verified checkpoint: `trainer.fit(model, ckpt_path=outlast.resume_from())`.

Lightning is imported when `Callback` is first asked for. Refuses to know models.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from outlast.sdk import Training, frameworks, training
from outlast.sdk.own_page import rank_is, say_once

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Callback: Any

PACKAGES = ("lightning.pytorch", "pytorch_lightning")
EVAL, SAVE = "eval", "save"
VALIDATE, TEST, PREDICT = "validate", "test", "predict"  # after the fit


class Steps:
    """What the Trainer's hooks say to outlast. That a checkpoint was written is seen at the next hook."""

    def __init__(self) -> None:
        self._run: Training | None = None
        self._sections: list[Any] = []
        self._step = 0
        self._is_stopping = self._is_over = False
        self._told: set[str] = set()  # checkpoints

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        rank_is(int(trainer.global_rank), int(trainer.world_size))
        self._leave_all()
        self._run = training(start_step=trainer.global_step)
        self._is_stopping = self._is_over = False

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._step = trainer.global_step
        if self._run is not None and self._run.total_steps is None:
            total = trainer.estimated_stepping_batches  # inf: nobody knows
            self._run.total_steps = int(total) if total < 1 << 53 else None

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        self._look_for_saved(trainer)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
        run, step = self._run, trainer.global_step
        if run is None or self._is_over or step == self._step:
            return  # gradients are accumulated
        self._step = step
        run.step(step=step, loss=outputs.get("loss") if isinstance(outputs, dict) else outputs)
        if run.should_stop and not self._is_stopping:
            self._stop(trainer, run)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._look_for_saved(trainer)
        self._enter(VALIDATE if self._is_over else EVAL)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self._leave(VALIDATE if self._is_over else EVAL)
        run = self._run
        if run is not None and not self._is_over and not trainer.sanity_checking:
            run.log(self._step, **{str(name): value for name, value in trainer.logged_metrics.items()})

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        self._enter(SAVE)

    # After the fit no step shows that one of these goes on: each of their batches is a visit of its own.

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
        if self._is_over:
            self._enter_anew(VALIDATE)

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        self._enter(TEST)

    def on_test_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
        self._enter_anew(TEST)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        self._leave(TEST)

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        self._enter(PREDICT)

    def on_predict_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
        self._enter_anew(PREDICT)

    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        self._leave(PREDICT)

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._leave_all()
        if self._run is not None and not self._is_over:
            self._is_over = True
            self._run.__exit__(type(exception), exception, None)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Early, too: a training that its own callbacks ended is done; one that we stopped is not."""
        self._look_for_saved(trainer)
        run = self._run
        if run is None or self._is_over:
            return
        self._is_over = True
        total = run.total_steps
        if not (self._is_stopping and (total is None or trainer.global_step < total)):
            run.done()
        run.__exit__(None, None, None)

    def _stop(self, trainer: Any, run: Training) -> None:
        """All ranks are here at the same step: saving may be a collective."""
        self._is_stopping = True
        folder = getattr(trainer.checkpoint_callback, "dirpath", None) or trainer.default_root_dir
        path = os.path.join(folder, f"outlast-step={trainer.global_step}.ckpt")
        try:
            with run.section(SAVE):
                trainer.save_checkpoint(path)
            if _writes_at_once(trainer):
                run.saved(path, step=trainer.global_step)
        except Exception as error:  # noqa: BLE001 - a stop without a checkpoint of its own is still a stop
            say_once(f"no checkpoint at the stop: {error}")
        self._leave(SAVE)
        trainer.should_stop = True
        trainer.fit_loop.min_epochs, trainer.fit_loop.epoch_loop.min_steps = 0, None

    def _look_for_saved(self, trainer: Any) -> None:
        self._leave(SAVE)
        if self._run is None or self._is_over:
            return
        for each in trainer.checkpoint_callbacks:
            path = str(getattr(each, "_last_checkpoint_saved", "") or "")
            if path and path not in self._told and _writes_at_once(trainer):
                self._told.add(path)
                self._run.saved(path, step=getattr(each, "_last_global_step_saved", None))

    def _enter(self, name: str) -> None:
        if self._run is not None and not any(name == given for given, _ in self._sections):
            section = self._run.section(name)
            section.__enter__()
            self._sections.append((name, section))

    def _enter_anew(self, name: str) -> None:
        self._leave(name)
        self._enter(name)

    def _leave_all(self) -> None:
        for name, _ in list(self._sections):
            self._leave(name)

    def _leave(self, name: str) -> None:
        for given, section in self._sections:
            if given == name:
                section.__exit__(None, None, None)
        self._sections = [each for each in self._sections if each[0] != name]


def _writes_at_once(trainer: Any) -> bool:
    """Whether a checkpoint is on disk once it was saved: some are written by a thread, some time later."""
    return "async" not in type(getattr(trainer.strategy, "checkpoint_io", None)).__name__.lower()


def __getattr__(name: str) -> Any:
    if name != "Callback":
        raise AttributeError(f"module 'outlast.lightning' has no attribute {name!r}")
    bases = tuple(import_module(package).Callback for package in _packages())
    return frameworks.made(name, Steps, bases, globals())


def _packages() -> list[str]:
    """Those that the training has loaded: it may be either, and a callback of both suits both."""
    loaded = [package for package in PACKAGES if sys.modules.get(package) is not None]
    if loaded:
        return loaded
    for package in PACKAGES:
        try:
            import_module(package)
            return [package]
        except ImportError:
            continue
    raise ImportError("outlast.lightning.Callback needs Lightning: pip install lightning")
