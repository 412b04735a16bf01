"""Trains a small character-level language model, to demonstrate a training that is killed and still finishes.

    python -m outlast.trainers.tiny_lm --output DIR [--steps 300] [--save-every 25] [--step-seconds 0]
                                       [--resume-from CHECKPOINT] [--seed 0] [--data FILE] [--hang-once-at STEP]

Knows: its text, its schedule of saving, and that a run which was interrupted anywhere and resumed from its
newest checkpoint must end with the same weights, bit for bit, as one that was left alone (on one kind of
machine: another processor or NumPy may round differently).

Refuses to know: which checkpoint to resume from (it is told, and never takes "the newest one there"), and who
asks it to stop.

Exit codes: 0 trained to the last step, 2 usage or a checkpoint or text that cannot be used, 75 stopped on
request, resume me.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

# One thread, decided before NumPy is loaded: several would add in an order that differs from run to run.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

import outlast
from outlast.trainers import character_model as model
from outlast.trainers.checkpoint_folder import (
    Learning,
    Unreadable,
    checkpoint_name,
    load,
    replace_json,
    save,
    tidy,
)
from outlast.trainers.minibatches import Minibatches

BATCH = 1024  # places of the text per step
REPORT_EVERY = 10  # steps per line of output
HELD_OUT = 0.1  # the end of the text, for validation
MEMORY_OF_LOSS = 0.9  # weight of the past in the running loss
SAMPLE_LENGTH = 120  # characters
SAMPLE_SEED = 0
STOPPED_RESUME_ME = 75
HUNG = "hung-once"  # in the output: that a bug was met, and is not met again


class Refused(Exception):
    """Something that the person who started this must put right; the message is one line for them."""


@dataclass(frozen=True)
class Text:
    characters: str  # the vocabulary, sorted; a character's place is its number
    train: model.Integers
    held_out: model.Integers
    sha256: str


class Run(Protocol):
    """What this program uses of the SDK's run."""

    @property
    def resume_from(self) -> Path | None: ...
    @property
    def should_stop(self) -> bool: ...
    def step(self, *, step: int | None = None, loss: float | None = None) -> None: ...
    def section(self, name: str) -> AbstractContextManager[Any]: ...
    def saved(self, path: Path) -> None: ...


def main(words: Sequence[str] | None = None) -> int:
    arguments = _parse(words)
    try:
        text = _read_text(arguments.data)
        with outlast.training(total_steps=arguments.steps) as run:
            tidy(arguments.output)
            learning = _begin(arguments.resume_from or run.resume_from, arguments, text)
            arguments.output.mkdir(parents=True, exist_ok=True)
            if not _train(run, learning, arguments, text):
                return STOPPED_RESUME_ME
            _finish(learning, arguments.output, text)
    except Refused as refused:
        print(f"tiny_lm: {refused}", file=sys.stderr)
        return 2
    return 0


def _train(run: Run, learning: Learning, arguments: argparse.Namespace, text: Text) -> bool:
    """Learn up to the last step, or until a stop was asked for: then save and say False."""
    minibatches = Minibatches(text.train, BATCH)
    report_began, reported, saved = time.monotonic(), learning.step, None
    while learning.step < arguments.steps:
        if run.should_stop:
            if saved is None or saved.name != checkpoint_name(learning.step):
                saved = _save(run, arguments.output, learning)
            print(f"stopped on request at step {learning.step}; saved {saved}", flush=True)
            return False
        hangs = learning.step + 1 == arguments.hang_once_at and _is_first_time(arguments.output)
        _one_step(learning, *minibatches.draw(learning.generator, meet_the_bug=hangs))
        time.sleep(arguments.step_seconds)
        run.step(step=learning.step, loss=learning.loss)
        if learning.step % REPORT_EVERY == 0 or learning.step == arguments.steps:
            pace_ms = 1000 * (time.monotonic() - report_began) / (learning.step - reported)
            progress = f"step {learning.step}/{arguments.steps} loss {learning.loss:.4f}"
            print(f"{progress} ({pace_ms:.1f} ms/step)", flush=True)
            report_began, reported = time.monotonic(), learning.step
        if learning.step % arguments.save_every == 0 or learning.step == arguments.steps:
            saved = _save(run, arguments.output, learning)
    return True


def _save(run: Run, output: Path, learning: Learning) -> Path:
    with run.section("save"):
        saved = save(output, learning)
    run.saved(saved)
    return saved


def _is_first_time(output: Path) -> bool:
    try:
        (output / HUNG).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _one_step(learning: Learning, contexts: model.Integers, targets: model.Integers) -> None:
    loss, gradients = model.loss_and_gradients(learning.weights, contexts, targets)
    learning.step += 1
    model.adam(learning.weights, gradients, learning.first_moment, learning.second_moment, learning.step)
    past = loss if learning.loss is None else learning.loss
    learning.loss = MEMORY_OF_LOSS * past + (1 - MEMORY_OF_LOSS) * loss


def _begin(checkpoint: Path | None, arguments: argparse.Namespace, text: Text) -> Learning:
    if checkpoint is None:
        generator = np.random.default_rng(arguments.seed)
        weights = model.first_weights(len(text.characters), generator)
        moments = model.zeros_like(weights), model.zeros_like(weights)
        return Learning(0, None, weights, *moments, generator, arguments.seed, text.sha256)
    try:
        learning = load(checkpoint)
    except Unreadable as unreadable:
        raise Refused(f"cannot resume from {checkpoint}: {unreadable}") from unreadable
    if (why := _why_not(learning, arguments, text)) is not None:
        raise Refused(f"cannot resume from {checkpoint}: {why}")
    print(f"resumed from {checkpoint} at step {learning.step}", flush=True)
    return learning


def _why_not(learning: Learning, arguments: argparse.Namespace, text: Text) -> str | None:
    """Why this run would not be the continuation of that one."""
    if learning.text_sha256 != text.sha256:
        return "it was trained on another text"
    if learning.seed != arguments.seed:
        return f"it was trained with --seed {learning.seed}, not {arguments.seed}"
    if learning.step > arguments.steps:
        return f"it stands at step {learning.step}, beyond --steps {arguments.steps}"
    expected = model.shapes(len(text.characters))
    for arrays in (learning.weights, learning.first_moment, learning.second_moment):
        if {name: array.shape for name, array in arrays.items()} != expected:
            return "its arrays are not those of this model"
    return None


def _finish(learning: Learning, output: Path, text: Text) -> None:
    digest = hashlib.sha256()
    for name in sorted(learning.weights):
        digest.update(name.encode() + learning.weights[name].tobytes())
    record = {
        "step": learning.step,
        "loss": learning.loss,
        "loss_repr": repr(learning.loss),
        "weights_sha256": digest.hexdigest(),
        "validation_loss": model.mean_loss(learning.weights, *model.windows(text.held_out)),
    }
    generator = np.random.default_rng(SAMPLE_SEED)
    numbers = model.continue_text(learning.weights, text.held_out[: model.CONTEXT], SAMPLE_LENGTH, generator)
    print("sample: " + "".join(text.characters[number] for number in numbers))
    print(f"validation loss {record['validation_loss']:.4f}")
    print(f"final loss {learning.loss!r} sha256 of weights {digest.hexdigest()}", flush=True)
    replace_json(output / "final.json", record)


def _read_text(data: Path | None) -> Text:
    source = files("outlast.trainers") / "text" / "sherlock_holmes.txt" if data is None else data
    try:
        raw = source.read_bytes()
        written = raw.decode("utf-8")
    except OSError as error:
        raise Refused(f"cannot read the text {source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Refused(f"cannot read the text {source}: not UTF-8 at byte {error.start}") from error
    characters = "".join(sorted(set(written)))
    numbers = np.searchsorted([ord(one) for one in characters], [ord(one) for one in written]).astype(
        np.int64
    )
    train, held_out = np.split(numbers, [int(len(numbers) * (1 - HELD_OUT))])
    if len(held_out) <= model.CONTEXT:
        fewest = int((model.CONTEXT + 1) / HELD_OUT)
        raise Refused(f"the text {source} has {len(written)} characters; about {fewest} are the fewest")
    return Text(characters, train, held_out, hashlib.sha256(raw).hexdigest())


def _parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m outlast.trainers.tiny_lm", description="Train a small character-level language model."
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="checkpoints and final.json"
    )
    parser.add_argument("--steps", type=_at_least_one, default=300, help="steps in all (default: 300)")
    parser.add_argument("--save-every", type=_at_least_one, default=25, metavar="STEPS", help="default: 25")
    parser.add_argument(
        "--step-seconds", type=_seconds, default=0.0, help="sleep after each step (default: 0)"
    )
    parser.add_argument(
        "--resume-from", type=Path, metavar="CHECKPOINT", help="a folder step-N of the same training"
    )
    parser.add_argument(
        "--seed", type=_whole, default=0, help="of the weights and the minibatches (default: 0)"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="text in UTF-8 (default: three detective stories)"
    )
    parser.add_argument(
        "--hang-once-at",
        type=_at_least_one,
        metavar="STEP",
        help="meet a bug in the loading of data when this step is reached for the first time: a lock is taken twice",
    )
    return parser.parse_args(words)


def _at_least_one(word: str) -> int:
    if (number := int(word)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _whole(word: str) -> int:
    if (number := int(word)) < 0:
        raise argparse.ArgumentTypeError(f"{number} is negative")
    return number


def _seconds(word: str) -> float:
    if not 0 <= (number := float(word)) < float("inf"):
        raise argparse.ArgumentTypeError(f"{word} is not a length of time in seconds")
    return number


if __name__ == "__main__":
    sys.exit(main())
