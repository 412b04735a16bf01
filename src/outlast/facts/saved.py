"""What is remembered of a checkpoint that was verified."""

from outlast.facts.fact import Fact
from outlast.facts.values import Moment, RunId


class FileMark(Fact):
    """One file of a checkpoint as it was when it was read. `name`: below the checkpoint, "" if that is the file itself;
    `blake3`: of all its bytes, in hex."""

    name: str
    bytes: int
    mtime_ns: int
    blake3: str


class Manifest(Fact):
    """RUN/checkpoints/STEP.json: a checkpoint that was whole, file by file. `level` and `finite` as its verdict told;
    `lock` and `base`: which identity of the run it belongs to, where one is known."""

    run: RunId
    attempt: int
    path: str
    format: str
    step: int
    level: int
    finite: bool | None
    at: Moment
    files: tuple[FileMark, ...]
    notes: tuple[str, ...] = ()
    world_size: int | None = None
    lock: str = ""
    base: str = ""
    ill: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.files)


class Pin(Fact):
    """CHECKPOINTS/.outlast/pins/STEP.json: a second copy of it lies beside. `how` it was made (disk/copies); `by` whom:
    "" is outlast itself, which replaces it by a newer one."""

    manifest: Manifest
    how: str
    by: str = ""
