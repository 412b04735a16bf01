"""What the newest checkpoint of a training that ended well is worth: made by the real libraries, and spoilt in every
way that changes the answer."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints import guard
from outlast.checkpoints.catalog import FORMATS
from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.errors import WorldError
from outlast.facts import AttemptId, Final, Order, Resume, RunId
from outlast.facts.codec import to_record
from outlast.work.final import final, main
from tests.contract import saved

BEGAN_S = 1_000_000_000.0  # long before anything was saved here


class Ended:
    """An attempt that began, and whose checkpoints are to be looked at."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "out"
        self.folder = AttemptFolder(str(tmp_path / "run" / "attempts" / "0001"))
        files.make_directory(self.folder.path)
        self.began(BEGAN_S)

    def began(self, wall_s: float) -> None:
        files.replace(
            self.folder.started, {"schema": 1, "at": {"boot": "b", "mono_s": 1.0, "wall_s": wall_s}}
        )

    def order(self, format_: str = "auto") -> None:
        order = Order(
            attempt=AttemptId(RunId("r-20260101-000000"), 1), term=1, argv=("true",), cwd="/", env=(),
            resume=Resume(root=str(self.root), format=format_), target_step=None, stall_limits_s=(),
            stop_grace_s=1.0, log_bytes_max=1 << 20,
        )  # fmt: skip
        files.replace(self.folder.order(1), {"schema": 1, **to_record(order)})

    def look(self, format_: str = "auto", **more: Any) -> Final:
        self.order(format_)
        return final(FORMATS, self.folder, "order.1.json", **more)


@pytest.fixture
def ended(tmp_path: Path) -> Ended:
    return Ended(tmp_path)


def spoil(path: Path) -> None:
    """Its weights are no numbers any more."""
    import torch
    from safetensors.torch import load_file, save_file

    if path.suffix == ".safetensors":
        weights = load_file(path)
        next(iter(weights.values())).view(-1)[3] = float("nan")
        save_file(weights, path)
    else:
        state = torch.load(path, weights_only=False)
        next(each for each in state["model"].values() if each.is_floating_point()).view(-1)[3] = float("nan")
        torch.save(state, path)


def test_the_newest_by_number_is_looked_at_and_is_whole(ended: Ended) -> None:
    saved.torch_file(ended.root, 9)
    path = saved.torch_file(ended.root, 10)
    spoil(saved.torch_file(ended.root, 8))
    found = ended.look()
    assert (found.worth, found.path, found.step) == ("whole", str(path), 10)
    assert found.why == f"{path.name} is whole (L1) and finite"


def test_r12_weights_that_are_no_numbers_are_no_result(ended: Ended) -> None:
    saved.hugging_face(ended.root, 10)
    spoil(saved.hugging_face(ended.root, 20) / "model.safetensors")
    found = ended.look()
    assert (found.worth, found.step) == ("nonfinite", 20)
    assert found.why.startswith("checkpoint-20 is not finite (not finite: model.safetensors: ")


def test_r9_what_another_run_left_in_the_folder_proves_nothing_and_spoils_nothing(ended: Ended) -> None:
    """Its step is higher, and it was there before this run was accepted."""
    spoil(saved.hugging_face(ended.root, 1000) / "model.safetensors")
    run = ended.folder.run()
    files.replace(run.record, {"schema": 1, "made": {"wall_s": time.time()}})
    found = ended.look()
    assert (found.worth, found.step, found.cut) == ("unchecked", None, False)
    assert found.why.startswith("there is no checkpoint of this run in ")
    os.utime(saved.hugging_face(ended.root, 20))  # a copy keeps the time of its original
    assert (ended.look().worth, ended.look().step) == ("whole", 20)
    started = {"schema": 1, "at": {"wall_s": BEGAN_S}, "resumed_from": str(ended.root / "checkpoint-1000")}
    files.replace(ended.folder.started, started)
    assert (ended.look().worth, ended.look().step) == ("nonfinite", 1000), "what it went on from is its own"


def test_what_is_cut_off_is_torn(ended: Ended) -> None:
    path = saved.hugging_face(ended.root, 20) / "optimizer.pt"
    os.truncate(path, path.stat().st_size // 2)
    found = ended.look()
    assert (found.worth, found.step) == ("torn", 20)
    assert found.why.startswith("checkpoint-20 is torn: optimizer.pt: ")


def hostile(root: Path) -> None:
    path = saved.hugging_face(root, 20) / "rng_state.pth"
    path.write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.")


def of_another_step(root: Path) -> None:
    saved.renamed(saved.hugging_face(root, 20), 30)


def nothing(root: Path) -> None:
    root.mkdir()
    (root / "notes.txt").write_text("no checkpoint")


@pytest.mark.parametrize("make", [hostile, of_another_step, nothing])
def test_what_nobody_can_say_is_not_checked_and_never_called_bad(
    ended: Ended, make: Callable[[Path], None]
) -> None:
    make(ended.root)
    found = ended.look()
    assert (found.worth, found.cut) == ("unchecked", False)
    assert found.why


def test_numbers_that_nobody_can_read_are_not_checked(ended: Ended) -> None:
    import numpy

    ended.root.mkdir()
    numpy.savez(ended.root / "step-5.npz", weight=numpy.ones(9))
    found = ended.look()
    assert (found.worth, found.why) == (
        "unchecked",
        "step-5.npz is whole (L1), and nobody looked at its weights",
    )


def test_what_a_person_accepted_is_not_judged_again(ended: Ended) -> None:
    path = saved.torch_file(ended.root, 10)
    spoil(path)
    guard.accept(path)
    assert ended.look().worth == "unchecked"


def test_no_time_is_no_fault(ended: Ended) -> None:
    saved.hugging_face(ended.root, 20)
    found = ended.look(within_s=0.0)
    assert (found.worth, found.step) == ("unchecked", 20)


# --- the model that is saved beside the checkpoints -----------------------------------------------------------


def model_beside(root: Path) -> Path:
    made = saved.hugging_face(root.parent / "shelf", 20)
    for name in ("model.safetensors", "config.json"):
        os.rename(made / name, root / name)
    return root / "model.safetensors"


def test_the_model_saved_beside_a_whole_checkpoint_is_looked_at_too(ended: Ended) -> None:
    saved.hugging_face(ended.root, 20)
    path = model_beside(ended.root)
    assert (
        ended.look().why
        == "checkpoint-20 is whole (L0) and finite; the model saved in out is whole (L0) and finite"
    )
    spoil(path)
    found = ended.look()
    assert (found.worth, found.path, found.step) == ("nonfinite", str(ended.root), 20)
    os.truncate(path, path.stat().st_size // 2)
    assert (ended.look().worth, ended.look().path) == ("torn", str(ended.root))


def test_a_model_that_lay_there_before_is_not_its_own(ended: Ended) -> None:
    saved.hugging_face(ended.root, 20)
    path = model_beside(ended.root)
    os.truncate(path, 10)
    ended.began(time.time() + 60)
    assert ended.look().worth == "whole"


# --- what the trainer says of its own end -----------------------------------------------------------------------


def trained(root: Path, *callbacks: Any, **options: Any) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    rows = [{"input_ids": torch.arange(6), "labels": torch.arange(6)} for _ in range(8)]
    settings: dict[str, Any] = {
        "output_dir": str(root), "max_steps": 12, "per_device_train_batch_size": 2, "save_steps": 2, "use_cpu": True,
        "report_to": [], "disable_tqdm": True, **options,
    }  # fmt: skip
    Trainer(
        model=LlamaForCausalLM(config), args=TrainingArguments(**settings), train_dataset=rows, eval_dataset=rows,
        callbacks=list(callbacks),
    ).train()  # fmt: skip


# What these libraries and torch warn each other of is not ours to mend.
@pytest.mark.filterwarnings("ignore")
def test_r14_one_that_was_stopped_before_its_last_step_says_so_itself(ended: Ended) -> None:
    import transformers

    class Stops(transformers.TrainerCallback):  # type: ignore[misc]  # its library's types are not read (pyproject.toml)
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = control.should_save = state.global_step == 5

    trained(ended.root, Stops())
    found = ended.look()
    assert (found.worth, found.step, found.total, found.cut) == ("whole", 5, 12, True)
    assert found.why.endswith("and its training was stopped there, at step 5 of 12")


# What these libraries and torch warn each other of is not ours to mend.
@pytest.mark.filterwarnings("ignore")
def test_early_stopping_is_an_end_and_so_is_the_last_step(ended: Ended) -> None:
    import transformers

    early = transformers.EarlyStoppingCallback(early_stopping_patience=2, early_stopping_threshold=99.0)
    trained(
        ended.root, early, eval_strategy="steps", eval_steps=2, load_best_model_at_end=True,
        metric_for_best_model="loss",
    )  # fmt: skip
    found = ended.look()
    assert (found.worth, found.step, found.total, found.cut) == ("whole", 6, 12, False)
    state = json.loads((ended.root / "checkpoint-6/trainer_state.json").read_text())
    assert state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"], (
        "else this shows nothing"
    )
    whole = Ended(ended.root.parent / "whole")
    trained(whole.root, max_steps=4)
    found = whole.look()
    assert (found.step, found.total, found.cut) == (4, 4, False)


# --- the program ----------------------------------------------------------------------------------------------------


def test_the_answer_is_one_line_whatever_is_in_the_way(
    ended: Ended, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended.order()
    assert main(FORMATS, ended.folder.path, "order.1.json") == 0
    assert main(FORMATS, ended.folder.path, "order.9.json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["type"], first["worth"]) == ("Final", "unchecked")
    assert (second["worth"], "there is no such order" in second["why"]) == ("unchecked", True)
    ended.root.write_text("no folder")
    with pytest.raises(WorldError):
        ended.look()
