"""Plain checkpoints: folders or single files named with their step, as most training loops write them.

    step-000125/   checkpoint-500/   global_step1000/   step_7.pt   epoch=3-step=1200.ckpt   iter-42.safetensors

Knows a step when it sees one in a name: the number behind `step`, `checkpoint`, `ckpt`, `iter`, `ba` (the last of
them). Hidden names, names that begin with `tmp` (Hugging Face's staging) or end in `.tmp`, `.incomplete` and the
like are not candidates.

Refuses to know whether the content is whole beyond "not empty": verifying comes with the checkpoint guard.
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from outlast.errors import WorldError
from outlast.facts import Candidate, Torn, Unsure, Verdict, Whole

_STEP = re.compile(
    r"(?:global_?step|step|checkpoint|ckpt|iter(?:ation)?|(?<![a-z])ba)[=_-]?([0-9]{1,15})(?![0-9])",
    re.IGNORECASE,  # not the ba of mamba-130m; more digits are a date or a hash, no step
)
_FILE = re.compile(r"\.(pt|pth|ckpt|bin|safetensors|npz|tar|keras|h5|ubj)$")
_STAGING, _UNFINISHED = (".", "tmp", "_tmp"), (".tmp", ".incomplete", ".partial", ".part", "-tmp")


class FolderFormat:
    name = "folder"

    def find(self, root: Path, limit: int) -> Sequence[Candidate]:
        try:
            with os.scandir(root) as entries:
                found = [candidate for entry in entries if (candidate := _candidate(entry)) is not None]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise WorldError(f"cannot list the checkpoints in {root}: {error.strerror}") from error
        found.sort(key=lambda candidate: (candidate.step or 0, candidate.newest_mtime_ns), reverse=True)
        return found[:limit]

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        """Level 0 only: something is there. An empty folder or file is torn."""
        path = Path(candidate.path)
        try:
            if path.is_dir():
                empty = not any(path.iterdir())
            else:
                empty = path.stat().st_size == 0
        except OSError as error:
            return Unsure((f"cannot be read: {error.strerror}",))
        return Torn(("it is empty",)) if empty else Whole(level=0)


def step_of(name: str) -> int | None:
    """The step that a checkpoint's name tells, None if it tells none."""
    numbers: list[str] = _STEP.findall(name)
    return int(numbers[-1]) if numbers else None


def _candidate(entry: "os.DirEntry[str]") -> Candidate | None:
    name = entry.name
    if name.startswith(_STAGING) or name.endswith(_UNFINISHED):
        return None
    step = step_of(name)
    if step is None:
        return None
    try:
        status = entry.stat()
    except FileNotFoundError:
        return None  # deleted since it was listed, or a link to nothing
    is_folder = stat.S_ISDIR(status.st_mode)
    if not (is_folder or (stat.S_ISREG(status.st_mode) and _FILE.search(name))):
        return None
    return Candidate(
        path=entry.path,
        format=FolderFormat.name,
        step=step,
        bytes=0 if is_folder else status.st_size,
        parts=1,
        newest_mtime_ns=status.st_mtime_ns,
    )
