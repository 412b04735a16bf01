"""The demonstration training keeps its promises: right gradients, and an end that no interruption changes.

Knows: the program as a process and, where a stop must fall on one exact step, as a function with an honest
little run in place of the SDK's. Refuses to know: supervisors; nothing here starts one.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import outlast
from outlast.trainers import character_model as model
from outlast.trainers import checkpoint_folder as folders
from outlast.trainers import tiny_lm
from tests.hangs import waits_in
from tests.runner_driver import wait_for

STEPS, SAVE_EVERY = 20, 3
Train = Callable[..., int]
KILL_AFTER_LINE = [1, 2]  # of the lines that report every tenth step


@dataclass
class StoppingRun:
    """A run without a supervisor, asked to stop once `stop_at` steps are done."""

    resume_from: Path | None
    stop_at: int
    done: int = 0

    @property
    def should_stop(self) -> bool:
        return self.done >= self.stop_at

    def step(self, *, step: int | None = None, loss: float | None = None) -> None:
        assert step is not None
        assert loss is not None
        self.done = step

    def section(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def saved(self, path: Path) -> None:
        assert (path / "state.json").exists()


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Train:
    """Call the program in this process, with small minibatches; give back its exit code."""
    monkeypatch.setattr(tiny_lm, "BATCH", 16)

    def call(
        output: Path, *words: str, stop_at: int = 10**9, told: Path | None = None, steps: int = STEPS
    ) -> int:
        @contextmanager
        def training(*, total_steps: int) -> Iterator[StoppingRun]:
            assert total_steps == steps
            yield StoppingRun(told, stop_at)

        monkeypatch.setattr(outlast, "training", training, raising=False)
        fixed = ["--output", str(output), "--steps", str(steps), "--save-every", str(SAVE_EVERY)]
        return tiny_lm.main([*fixed, *words])

    return call


def newest(output: Path) -> Path:
    return max(output.glob("step-*"))


def names(output: Path) -> list[str]:
    return sorted(path.name for path in output.iterdir())


def final(output: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((output / "final.json").read_text())
    return record


def process(output: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-m", "outlast.trainers.tiny_lm", "--output", str(output), *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OUTLAST_")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean)


def run_to_the_end(output: Path, *words: str) -> tuple[int, str, str]:
    with process(output, *words) as running:
        out, err = running.communicate(timeout=60)
    return running.returncode, out, err


def test_the_backward_pass_agrees_with_finite_differences() -> None:
    generator = np.random.default_rng(1)
    weights: model.Arrays = {
        name: array.astype(np.float64) for name, array in model.first_weights(5, generator).items()
    }
    contexts, targets = model.windows(generator.integers(5, size=model.CONTEXT + 8))
    _, gradients = model.loss_and_gradients(weights, contexts, targets)
    width = 1e-5
    for name, weight in weights.items():
        for place in generator.integers(weight.size, size=12):
            kept = weight.flat[place]
            weight.flat[place] = kept + width
            above, _ = model.loss_and_gradients(weights, contexts, targets)
            weight.flat[place] = kept - width
            below, _ = model.loss_and_gradients(weights, contexts, targets)
            weight.flat[place] = kept
            assert gradients[name].flat[place] == pytest.approx(
                (above - below) / (2 * width), rel=1e-5, abs=1e-9
            ), name


def test_it_learns(tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, steps=100)
    losses = [
        float(line.split()[3]) for line in capsys.readouterr().out.splitlines() if line.startswith("step ")
    ]
    assert len(losses) == 10
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.slow
def test_killed_anywhere_and_resumed_it_ends_as_if_left_alone(tmp_path: Path) -> None:
    words = ["--steps", "30", "--save-every", str(SAVE_EVERY)]
    code, out, err = run_to_the_end(tmp_path / "undisturbed", *words)
    assert (code, err) == (0, "")
    for lines in KILL_AFTER_LINE:
        output = tmp_path / f"killed-{lines}"
        with process(output, *words, "--step-seconds", "0.03") as running:
            assert running.stdout is not None
            for _ in range(lines):
                assert running.stdout.readline().startswith("step ")
            running.send_signal(signal.SIGKILL)
        code, resumed, err = run_to_the_end(output, *words, "--resume-from", str(newest(output)))
        assert (code, err) == (0, "")
        assert final(output) == final(tmp_path / "undisturbed")
        assert resumed.partition("sample: ")[2] == out.partition("sample: ")[2]  # sample, final loss, weights


@pytest.mark.parametrize("stop_at", [0, 1, SAVE_EVERY, 10, STEPS - 1])
def test_stopped_on_request_it_saves_leaves_with_75_and_resumes_to_the_same_end(
    tmp_path: Path, train: Train, stop_at: int
) -> None:
    assert train(tmp_path / "undisturbed") == 0
    assert train(tmp_path / "stopped", stop_at=stop_at) == 75
    assert newest(tmp_path / "stopped").name == f"step-{stop_at:06d}"
    assert not (tmp_path / "stopped" / "final.json").exists()
    assert train(tmp_path / "stopped", told=newest(tmp_path / "stopped")) == 0
    assert final(tmp_path / "stopped") == final(tmp_path / "undisturbed")


def test_the_final_record_says_the_loss_to_the_last_digit(tmp_path: Path, train: Train) -> None:
    train(tmp_path)
    record = final(tmp_path)
    assert repr(record["loss"]) == record["loss_repr"]
    assert record["step"] == STEPS


def test_only_the_newest_three_are_kept(tmp_path: Path, train: Train) -> None:
    (tmp_path / "step-notes").mkdir()
    train(tmp_path)
    assert names(tmp_path) == ["final.json", "step-000015", "step-000018", "step-000020", "step-notes"]


def test_a_later_step_of_an_earlier_attempt_stays_until_it_is_reached(tmp_path: Path, train: Train) -> None:
    train(tmp_path)
    assert train(tmp_path, stop_at=4) == 75
    assert {"step-000003", "step-000004", "step-000015", "step-000018", "step-000020"} <= set(names(tmp_path))


def test_a_step_that_was_saved_before_is_replaced(tmp_path: Path, train: Train) -> None:
    (tmp_path / "step-000003").mkdir(parents=True)
    (tmp_path / "step-000003" / "model.npz").write_bytes(b"torn")
    train(tmp_path, stop_at=3)
    assert folders.load(tmp_path / "step-000003").step == 3
    assert names(tmp_path) == ["step-000003"]


def test_what_a_crash_left_half_written_or_half_removed_is_cleared(tmp_path: Path, train: Train) -> None:
    for debris in (".step-000003.tmp", ".step-000006.gone", ".step-000007.tmp"):
        (tmp_path / debris).mkdir()
        (tmp_path / debris / "model.npz").write_bytes(b"half")
    assert train(tmp_path, stop_at=3) == 75
    assert names(tmp_path) == ["step-000003"]


def test_a_crash_between_the_two_renames_of_a_replacement_loses_no_checkpoint(
    tmp_path: Path, train: Train
) -> None:
    train(tmp_path, stop_at=3)
    (tmp_path / "step-000003").rename(tmp_path / ".step-000003.old")
    assert train(tmp_path, "--resume-from", str(tmp_path / "step-000003")) == 0


def test_resume_from_on_the_command_line_wins_over_what_the_run_was_told(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path)
    train(tmp_path, "--resume-from", str(tmp_path / "step-000015"), told=tmp_path / "step-000018")
    assert f"resumed from {tmp_path / 'step-000015'} at step 15\n" in capsys.readouterr().out


def test_a_missing_checkpoint_is_one_line_that_names_it_and_exit_2(tmp_path: Path) -> None:
    missing = tmp_path / "step-000999"
    code, out, err = run_to_the_end(tmp_path / "out", "--resume-from", str(missing))
    assert (code, out) == (2, "")
    assert err == f"tiny_lm: cannot resume from {missing}: state.json: No such file or directory\n"


@pytest.mark.parametrize("file", ["model.npz", "optimizer.npz", "state.json"])
@pytest.mark.parametrize("fault", ["missing", "empty", "cut", "one bit flipped"])
def test_a_damaged_checkpoint_is_one_line_that_names_it_and_exit_2(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str], file: str, fault: str
) -> None:
    train(tmp_path, stop_at=3)
    capsys.readouterr()
    damaged = tmp_path / "damaged"
    shutil.copytree(tmp_path / "step-000003", damaged)
    content = bytearray((damaged / file).read_bytes())
    if fault == "missing":
        (damaged / file).unlink()
    elif fault == "one bit flipped":
        place = (
            content.index(b'"loss": ') + 12 if file == "state.json" else len(content) // 2
        )  # digit to digit
        content[place] ^= 1
        (damaged / file).write_bytes(content)
    else:
        (damaged / file).write_bytes(content[: 0 if fault == "empty" else len(content) // 2])
    assert train(tmp_path / "out", "--resume-from", str(damaged)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"tiny_lm: cannot resume from {damaged}: ")
    assert err.count("\n") == 1


def test_a_flipped_bit_in_the_type_of_an_array_is_noticed(tmp_path: Path, train: Train) -> None:
    train(tmp_path, stop_at=3)
    file = newest(tmp_path) / "model.npz"
    file.write_bytes(
        file.read_bytes().replace(b"'<f4'", b"'<f2'", 1)
    )  # half the bytes, so never read to the end
    with pytest.raises(folders.Unreadable, match=r"does not match its crc"):
        folders.load(newest(tmp_path))


def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "out", stop_at=6)
    checkpoint = str(newest(tmp_path / "out"))
    (tmp_path / "other.txt").write_text("The quick brown fox jumps over the lazy dog.\n" * 20)
    assert train(tmp_path / "out", "--resume-from", checkpoint, "--seed", "5") == 2
    assert train(tmp_path / "out", "--resume-from", checkpoint, "--data", str(tmp_path / "other.txt")) == 2
    assert train(tmp_path / "out", "--resume-from", checkpoint, steps=5) == 2
    reasons = [line.partition(f"{checkpoint}: ")[2] for line in capsys.readouterr().err.splitlines()]
    assert reasons == [
        "it was trained with --seed 0, not 5",
        "it was trained on another text",
        "it stands at step 6, beyond --steps 5",
    ]


def test_a_checkpoint_that_lacks_an_array_is_refused(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "out", stop_at=3)
    checkpoint = newest(tmp_path / "out")
    with np.load(checkpoint / "model.npz") as archive:
        fewer = {name: archive[name] for name in archive.files[1:]}
    np.savez(checkpoint / "model.npz", allow_pickle=False, **fewer)
    assert train(tmp_path / "out", "--resume-from", str(checkpoint)) == 2
    assert capsys.readouterr().err.endswith("its arrays are not those of this model\n")


def test_a_text_of_ones_own_can_be_trained_on(tmp_path: Path, train: Train) -> None:
    (tmp_path / "own.txt").write_text("Grüße, one and all.\n" * 30, encoding="utf-8")
    assert train(tmp_path / "out", "--data", str(tmp_path / "own.txt")) == 0


@pytest.mark.parametrize("content", [b"", b"too short", b"\xff\xfe" * 500])
def test_a_text_that_cannot_be_used_is_one_line_and_exit_2(
    tmp_path: Path, train: Train, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    assert train(tmp_path / "out", "--data", str(tmp_path / "bad.txt")) == 2
    assert train(tmp_path / "out", "--data", str(tmp_path / "none.txt")) == 2
    err = capsys.readouterr().err.splitlines()
    assert [str(tmp_path / "bad.txt") in err[0], str(tmp_path / "none.txt") in err[1], len(err)] == [
        True,
        True,
        2,
    ]


def test_it_meets_its_bug_once_where_it_was_told_and_waits_there_for_itself(tmp_path: Path) -> None:
    words = ["--steps", "8", "--save-every", str(SAVE_EVERY)]
    run_to_the_end(tmp_path / "undisturbed", *words)
    output = tmp_path / "hung"
    with process(output, *words, "--hang-once-at", "5") as running:
        wait_for((output / tiny_lm.HUNG).exists, "the bug")
        wait_for(lambda: waits_in(running.pid, "futex"), "the lock")
        assert newest(output).name == "step-000003"
        running.kill()
    resume = ["--hang-once-at", "5", "--resume-from", str(newest(output))]
    assert run_to_the_end(output, *words, *resume)[0] == 0
    assert final(output) == final(tmp_path / "undisturbed")
