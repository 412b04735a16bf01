"""Checks one file of a checkpoint by what it is: a torch zip, safetensors, JSON, or bytes that nothing proves.

Levels: 0 its structure is whole, 1 its content agrees with checksums. Whether numbers are finite is told beside.

Knows kinds of files. Refuses to know which of them a checkpoint needs.
"""

import json
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from outlast.checkpoints.parts import safetensors, torch_zip
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.reading import Deadline, Opened, opened

STRUCTURE, CONTENT, FINITE = 0, 1, 2
JSON_MAX = 64 << 20
HEAD, ENDS = 16, 64 << 10
TORCH = re.compile(
    r".*\.(?:pt|pth|ckpt)|(?:pytorch_model|adapter_model|optimizer|scheduler|custom_checkpoint).*\.bin"
)
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch before 1.6: its magic number, pickled
WEIGHTS = ("model", "state_dict", "module", "weights", "params", "adapter")


HOSTILE = frozenset(
    "os posix nt subprocess sys runpy importlib ctypes socket shutil pty webbrowser code commands "
    "builtins.eval builtins.exec builtins.compile builtins.__import__ builtins.open "
    "__builtin__.eval __builtin__.exec".split()
)  # modules and names


class Checked(NamedTuple):
    """`level` that is proven; `ill`: tensors with numbers that are not finite; `notes` for people."""

    level: int
    ill: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check(
    path: str, level: int, deadline: Deadline, weighs: Callable[[str], bool] = lambda name: True
) -> Checked:
    """`weighs`: whether a tensor of that name is one whose numbers must be finite. Raises Broken, Unknown, OSError."""
    with opened(path, deadline) as file:
        if file.size == 0:
            raise Broken("it is empty")
        head = file.at(0, min(HEAD, file.size))
        finite = weighs if level >= FINITE else None
        if path.endswith(".safetensors"):
            return _safetensors(file, finite)
        if path.endswith(".npz"):
            torch_zip.check_plain(file, level)
            return Checked(min(level, CONTENT))
        if torch_zip.is_one(head) or TORCH.fullmatch(os.path.basename(path)):
            return _torch(file, head, level, finite)
        if path.endswith(".json"):
            read_json(file)
        end = max(0, file.size - ENDS)
        if not any(file.at(0, min(ENDS, file.size))) and not any(file.at(end, file.size - end)):
            raise Broken("it is nothing but zeros")
        return Checked(STRUCTURE)


def json_of(path: str, deadline: Deadline) -> Any:
    """Raises Broken, Unknown, OSError."""
    with opened(path, deadline) as file:
        return read_json(file)


def read_json(file: Opened) -> Any:
    """Raises Broken, Unknown, OSError."""
    if file.size > JSON_MAX:
        raise Broken(f"it should be JSON, and has {file.size} bytes")
    try:
        return json.loads(file.at(0, file.size))
    except (ValueError, RecursionError) as error:
        raise Broken(f"it is no whole JSON: {str(error)[:99]}") from error


def _safetensors(file: Opened, finite: Callable[[str], bool] | None) -> Checked:
    found = safetensors.Safetensors(file)
    return Checked(STRUCTURE, tuple(found.check_content(finite=finite)))


def _torch(file: Opened, head: bytes, level: int, finite: Callable[[str], bool] | None) -> Checked:
    if head.startswith(LEGACY_TORCH):
        return Checked(STRUCTURE, notes=("written by torch before 1.6: nothing in it proves its content",))
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return Checked(STRUCTURE, notes=("a bare pickle: nothing in it proves its content",))
    found = torch_zip.whole(file)
    would_run = sorted(name for name in found.names if name.partition(".")[0] in HOSTILE or name in HOSTILE)
    if would_run:
        raise Unknown(f"whoever loads it runs {', '.join(would_run)[:200]}: no training saves that")
    if level < CONTENT:
        return Checked(STRUCTURE)
    ill = tuple(found.check_content(finite=finite))
    if not found.has_checksums:
        return Checked(STRUCTURE, ill, ("saved without checksums (set_crc32_options)",))
    return Checked(CONTENT, ill)
