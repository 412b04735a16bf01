"""Level 3: a checkpoint is loaded, by the training's own Python, in a process with limits."""

import os
import pickle
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from outlast.errors import UserError
from outlast.facts import Torn, Unsure, Whole
from outlast.work import load
from outlast.work.load import Limits, loaded
from tests.contract import saved

torch: Any = import_module("torch")
# What these libraries and torch warn each other of is not ours to mend.
pytestmark = [pytest.mark.live, pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore")]
HERE = Limits(sys.executable)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from safetensors.torch import save_file

    made = tmp_path / "step-5"
    made.mkdir()
    save_file({"w": torch.ones(4)}, made / "model.safetensors")
    torch.save({"state": {0: torch.ones(4)}}, made / "optimizer.pt")
    (made / "config.json").write_text("{}")
    return made


def test_what_loads_has_level_3(folder: Path) -> None:
    assert loaded(Whole(1, finite=True), str(folder), HERE) == Whole(3, finite=True)


@pytest.mark.parametrize(
    "make", [saved.hugging_face, saved.lightning, saved.accelerate], ids=lambda each: each.__name__
)
def test_what_the_frameworks_save_loads(tmp_path: Path, make: Any) -> None:
    verdict = loaded(Whole(1), str(make(tmp_path, 5)), HERE)
    assert isinstance(verdict, Whole), verdict
    assert verdict.level == 3


def test_what_does_not_load_is_named_with_the_libraries_own_words(folder: Path) -> None:
    torch.save(Strange(), folder / "extra.pt")
    verdict = loaded(Whole(1), str(folder), HERE)
    assert isinstance(verdict, Unsure)
    assert verdict.reasons[0].startswith("does not load: extra.pt: UnpicklingError: Weights only load failed")


class Strange:
    """Of no library: whoever loads plain tensors only does not know it."""


def test_r7_what_would_run_a_program_is_not_run_even_here(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {canary}",)

    torch.save(Evil(), folder / "evil.pt")
    (folder / "legacy.pt").write_bytes(pickle.dumps(Evil()))
    assert isinstance(loaded(Whole(1), str(folder), HERE), Unsure)
    assert not canary.exists()


def test_whoever_takes_too_long_is_ended_and_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PROGRAM", "import time; time.sleep(1000)")
    verdict = loaded(Whole(1), str(folder), Limits(sys.executable, 0.3))
    assert isinstance(verdict, Unsure)
    assert "was not done within 0 s" in verdict.reasons[0]


def test_whoever_takes_too_much_memory_takes_only_himself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greedy = load.PROGRAM.replace("    if path.endswith", "    bytearray(64 << 30)\n    if path.endswith", 1)
    monkeypatch.setattr(load, "PROGRAM", greedy)
    verdict = loaded(Whole(1), str(folder), HERE)
    assert isinstance(verdict, Unsure)
    assert "MemoryError" in verdict.reasons[0]


def test_whoever_crashes_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = load.PROGRAM.replace("    if path.endswith", "    os.abort()\n    if path.endswith", 1)
    monkeypatch.setattr(load, "PROGRAM", crash)
    verdict = loaded(Whole(1), str(folder), HERE)
    assert isinstance(verdict, Unsure)
    assert "whoever loaded it ended with signal 6" in verdict.reasons[0]


def test_what_is_torn_is_not_loaded(folder: Path) -> None:
    assert loaded(Torn(("cut",)), str(folder), Limits("/nowhere")) == Torn(("cut",))


def test_a_python_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(UserError, match="/nowhere/python: cannot be started: No such file"):
        loaded(Whole(1), str(folder), Limits("/nowhere/python"))


def test_what_holds_nothing_that_is_loaded_keeps_its_level(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    verdict = loaded(Whole(0), str(tmp_path), HERE)
    assert isinstance(verdict, Whole)
    assert verdict.level == 0
    assert "nothing in it" in verdict.notes[0]
