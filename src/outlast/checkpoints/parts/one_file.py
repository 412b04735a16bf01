"""Checks one file of a checkpoint by what it is: a torch zip, safetensors, JSON, or bytes that nothing proves.

Levels: 0 its structure is whole, 1 its content agrees with checksums. Whether numbers are finite is told beside.

Knows kinds of files. Refuses to know which of them a checkpoint needs.
"""

import json
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from outlast.checkpoints.parts import pickles, safetensors, torch_zip
from outlast.checkpoints.parts.faults import Broken, OtherZip, Unknown
from outlast.checkpoints.parts.reading import Deadline, Opened, opened

STRUCTURE, CONTENT, FINITE = 0, 1, 2
JSON_MAX = 1 << 30
HEAD, ENDS = 16, 64 << 10
PICKLE_HEAD_MAX = 64 << 20
TORCH = re.compile(
    r".*\.(?:pt|pth|ckpt)|(?:pytorch_model|adapter_model|optimizer|scheduler|sampler|dl_state_dict).*\.bin"
    r"|(?:random_states|custom_checkpoint)_\d+\.pkl"  # of Accelerate
)
OF_WEIGHTS = re.compile(r".*\.(?:pt|pth|ckpt|safetensors|npz|h5|keras|ubj|tar)|" + TORCH.pattern)
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch before 1.6: its magic number, pickled
NEEDED, KNOWN, BESIDE = (
    "needed",
    "known",
    "beside",
)  # whole and readable; as far as its kind is known; only not hostile


class Checked(NamedTuple):
    """`level` that is proven; `seen`: so many tensors were looked at; `ill`: those that hold a NaN; `notes` for
    people; `is_all`: a look at its content would bring no more."""

    level: int
    seen: int = 0
    ill: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_all: bool = False


def check(
    path: str, level: int, deadline: Deadline, weighs: Callable[[str], bool], role: str = NEEDED
) -> Checked:
    """`weighs`: whether a tensor of that name is one whose numbers must be finite. What is not known for a file of
    weights, and not needed, is never torn. Raises Broken, Unknown, OSError."""
    try:
        return _check(path, level, deadline, weighs, role)
    except Broken as error:
        if role == BESIDE:
            return Checked(STRUCTURE, notes=(str(error),))
        raise


def _check(path: str, level: int, deadline: Deadline, weighs: Callable[[str], bool], role: str) -> Checked:
    name = os.path.basename(path)
    with opened(path, deadline) as file:
        if file.size == 0 and (role == NEEDED or OF_WEIGHTS.fullmatch(name)):
            raise Broken("it is empty")
        head = file.at(0, min(HEAD, file.size))
        finite = weighs if level >= FINITE else None
        if name.endswith(".safetensors"):
            looked = safetensors.Safetensors(file).check_content(finite=finite)
            return Checked(STRUCTURE, *looked)
        if name.endswith(".npz") and torch_zip.is_one(head):
            torch_zip.check_plain(file, level)
            return Checked(min(level, CONTENT))
        if torch_zip.is_one(head) and (TORCH.fullmatch(name) or name.endswith((".bin", ".tar"))):
            return _torch(file, level, finite)
        if OF_WEIGHTS.fullmatch(name):
            return _unknown(file, head, is_torch=TORCH.fullmatch(name) is not None)
        if name.endswith(".json") and role == NEEDED:
            read_json(file)
        _refuse_programs(file, head)
        return Checked(STRUCTURE, is_all=True)


def _unknown(file: Opened, head: bytes, *, is_torch: bool) -> Checked:
    """Called like a file of weights, and no zip."""
    if is_torch and torch_zip.SIGNATURE.startswith(head[:4]):
        raise Broken(f"it has {file.size} bytes: cut off")
    if not any(head) and not any(file.at(0, min(ENDS, file.size))):
        raise Broken("it begins with nothing but zeros")
    _refuse_programs(file, head)
    if head.startswith(LEGACY_TORCH):
        return Checked(STRUCTURE, notes=("written by torch before 1.6: nothing in it proves its content",))
    return Checked(STRUCTURE, notes=("of a kind that is not known here: nothing in it proves its content",))


def _refuse_programs(file: Opened, head: bytes) -> None:
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and file.size > 1:
        refuse_programs(pickles.names_in(file.at(0, min(file.size, PICKLE_HEAD_MAX))))


def refuse_programs(names: frozenset[str]) -> None:
    """Raises Unknown."""
    found = pickles.would_run(names)
    if found:
        raise Unknown(f"whoever loads it runs {', '.join(found)[:200]}: no training saves that")


def json_of(path: str, deadline: Deadline) -> Any:
    """Raises Broken, Unknown, OSError."""
    with opened(path, deadline) as file:
        return read_json(file)


def read_json(file: Opened) -> Any:
    """Raises Broken, Unknown, OSError."""
    if file.size > JSON_MAX:
        raise Unknown(f"it should be JSON, and has {file.size} bytes")
    try:
        return json.loads(file.at(0, file.size))
    except (ValueError, RecursionError) as error:
        raise Broken(f"it is no whole JSON: {str(error)[:99]}") from error


def _torch(file: Opened, level: int, finite: Callable[[str], bool] | None) -> Checked:
    try:
        found = torch_zip.whole(file)
    except OtherZip:
        torch_zip.check_plain(file, level)
        return Checked(
            min(level, CONTENT), notes=("a zip that torch.save did not write: TorchScript, perhaps",)
        )
    refuse_programs(found.names)
    if level < CONTENT:
        return Checked(STRUCTURE)
    looked = found.check_content(finite=finite)
    if not found.has_checksums:
        return Checked(STRUCTURE, *looked, ("saved without checksums (set_crc32_options)",))
    return Checked(CONTENT, *looked)
