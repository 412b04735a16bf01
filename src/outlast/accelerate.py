"""outlast for Accelerate, whose training loop is the user's own.

    accelerator = Accelerator(log_with=outlast.accelerate.Tracker())     # the tracker only if values are logged by it,
    accelerator.init_trackers("any name")                                # and then this: else it is handed nothing
    with outlast.accelerate.training(accelerator, total_steps=1000) as run:
        for batch in run.track(loader):
            with accelerator.accumulate(model):
                ...
            if accelerator.sync_gradients:                               # a step is an optimizer step
                run.step(loss=loss)
                accelerator.log({"lr": lr})
            if run.should_stop:
                outlast.accelerate.save_state(run, accelerator, "out/step-500")
                break

Accelerate is imported when `Tracker` is first asked for. Refuses to know models.
"""

from __future__ import annotations

from outlast.sdk import Training, frameworks
from outlast.sdk import training as begin
from outlast.sdk.own_page import rank_is

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Tracker: Any

_run: Training | None = None  # what the tracker logs for


def training(accelerator: Any, total_steps: int | None = None, *, start_step: int | None = None) -> Training:
    """`outlast.training`, told by the accelerator which rank this is."""
    global _run
    rank_is(int(accelerator.process_index), int(accelerator.num_processes))
    _run = begin(total_steps, start_step=start_step)
    return _run


def save_state(run: Training, accelerator: Any, path: str, **options: Any) -> str:
    """`accelerator.save_state(path)` in a section of its own, and said to outlast once all of it is written."""
    with run.section("save"):
        written = str(accelerator.save_state(path, **options) or path)
        accelerator.wait_for_everyone()  # a collective of the caller's own choice: every rank saves
    if accelerator.is_main_process:
        run.saved(written)
    return written


class Values:
    """Hands on what `accelerator.log(values, step=)` is given, on the main process."""

    name = "outlast"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()

    @property
    def tracker(self) -> Training | None:
        return _run

    def store_init_configuration(self, values: Any) -> None:
        return None

    def log(self, values: Mapping[str, Any], step: int | None = None, **_: Any) -> None:
        if _run is not None:
            _run.log(step, **{str(name): value for name, value in values.items() if name != "step"})


def __getattr__(name: str) -> Any:
    if name != "Tracker":
        raise AttributeError(f"module 'outlast.accelerate' has no attribute {name!r}")
    base = frameworks.base("accelerate.tracking", "GeneralTracker", "outlast.accelerate.Tracker")
    return frameworks.made(name, Values, (base,), globals())
