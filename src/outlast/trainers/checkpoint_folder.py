"""Checkpoints as folders: `step-000125/` with `model.npz`, `optimizer.npz` and, written last, `state.json`.

Knows how a folder comes to its name only when it is whole: written as `.step-000125.tmp`, every file fsynced,
renamed, the parent fsynced. A crash may leave hidden folders; the ending of each says what it is worth:

    .tmp    never finished: worthless
    .old    gave its name to a newer folder of the same step: precious while that name is free
    .gone   was too old to keep, on its way out: worthless

Refuses to know: what the arrays mean, which checkpoint is the right one to resume from, and any folder in the
output that is not named like one of its own.
"""

import json
import os
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from outlast.trainers.character_model import Arrays

KEPT = 3
_FINISHED = re.compile(r"step-(\d{6,})")
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)
_CLAIMS = (
    NotImplementedError,
    RuntimeError,
)  # zipfile of one flipped bit: "strong encryption", "password required"
_DEBRIS = re.compile(r"\.(step-\d{6,})\.(tmp|old|gone)")


@dataclass
class Learning:
    """Everything that the next step depends on; nothing else may influence it."""

    step: int  # steps done
    loss: float | None  # running mean, nats per character; None before the first step
    weights: Arrays
    first_moment: Arrays
    second_moment: Arrays
    generator: np.random.Generator  # draws the minibatches
    seed: int
    text_sha256: str


class Unreadable(Exception):
    """No checkpoint can be read there; the message says why, the caller knows where."""


def checkpoint_name(step: int) -> str:
    return f"step-{step:06d}"


def save(output: Path, learning: Learning) -> Path:
    """Write `output/step-N`, replacing one of the same step; keep the newest KEPT."""
    name = checkpoint_name(learning.step)
    staging, final = output / f".{name}.tmp", output / name
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    _write_arrays(staging / "model.npz", learning.weights)
    moments = {f"first.{key}": value for key, value in learning.first_moment.items()}
    moments |= {f"second.{key}": value for key, value in learning.second_moment.items()}
    _write_arrays(staging / "optimizer.npz", moments)
    record = _to_record(learning)
    write_json(staging / "state.json", record | {"crc": _crc(record)})
    _fsync(staging)
    _take_name(staging, final)
    _let_go_of_older(output, learning.step)
    return final


def load(folder: Path) -> Learning:
    """Read a checkpoint back, bit for bit. Raises Unreadable."""
    try:
        record = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if record.pop("crc") != _crc(record):
            raise ValueError("state.json does not match its own crc")
        moments = _read_arrays(folder / "optimizer.npz")
        return Learning(
            step=int(record["step"]),
            loss=None if record["loss"] is None else float(record["loss"]),
            weights=_read_arrays(folder / "model.npz"),
            first_moment=_named(moments, "first."),
            second_moment=_named(moments, "second."),
            generator=_to_generator(record["rng"]),
            seed=int(record["seed"]),
            text_sha256=str(record["text_sha256"]),
        )
    except OSError as error:
        where = Path(error.filename).name if error.filename else "a file"
        raise Unreadable(f"{where}: {error.strerror or error}") from error
    except (*_DAMAGED, *_CLAIMS) as error:
        message = " ".join(str(error).split())
        raise Unreadable(f"damaged: {type(error).__name__}: {message}") from error


def tidy(output: Path) -> None:
    """Clear what a crash left behind: put back an unreplaced `.old`, remove the other hidden folders."""
    for path in sorted(output.glob(".step-*")):
        debris = _DEBRIS.fullmatch(path.name)
        if debris is None:
            continue
        if debris[2] == "old" and not (output / debris[1]).exists():
            path.rename(output / debris[1])
        else:
            shutil.rmtree(path)
    if output.is_dir():
        _fsync(output)


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write and fsync a new file in UTF-8. Not atomic by itself."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def replace_json(path: Path, record: dict[str, Any]) -> None:
    """Write a file that is seen either as it was or whole."""
    staging = path.with_name(f".{path.name}.tmp")
    write_json(staging, record)
    staging.replace(path)
    _fsync(path.parent)


def _take_name(staging: Path, final: Path) -> None:
    old = final.with_name(f".{final.name}.old")
    if final.exists():
        shutil.rmtree(old, ignore_errors=True)
        final.rename(old)  # a crash between these two renames is what tidy() puts right
    staging.rename(final)
    _fsync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _let_go_of_older(output: Path, newest: int) -> None:
    """Steps beyond `newest` are of an earlier attempt that came further: replaced when reached."""
    steps = {int(found[1]): path for path in output.iterdir() if (found := _FINISHED.fullmatch(path.name))}
    for step in sorted(step for step in steps if step <= newest)[:-KEPT]:
        gone = output / f".{steps[step].name}.gone"
        steps[step].rename(gone)  # half removed, it must not look like a checkpoint
        shutil.rmtree(gone)


def _to_record(learning: Learning) -> dict[str, Any]:
    return {
        "format": 1,
        "step": learning.step,
        "loss": learning.loss,
        "seed": learning.seed,
        "text_sha256": learning.text_sha256,
        "rng": _from_generator(learning.generator),
    }


def _crc(record: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(record, sort_keys=True).encode()):08x}"


def _from_generator(generator: np.random.Generator) -> dict[str, Any]:
    state: dict[str, Any] = dict(generator.bit_generator.state)
    return state | {
        "state": {key: str(value) for key, value in state["state"].items()}
    }  # 128 bits: no JSON number


def _to_generator(record: dict[str, Any]) -> np.random.Generator:
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = record | {
        "state": {key: int(value) for key, value in record["state"].items()}
    }
    return generator


def _write_arrays(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())


def _read_arrays(path: Path) -> Arrays:
    with zipfile.ZipFile(path) as members:
        member = members.testzip()  # NumPy alone checks no sum of a member that it reads in part
        if member is not None:
            raise ValueError(f"{path.name}: {member} does not match its crc")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _named(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
