"""Verifying a checkpoint of half a gigabyte, beside what people use to find out whether one is good.

Warm: everything is in the page cache. Cold: its pages are dropped before each (posix_fadvise), as after a reboot; what
a virtual disk's host keeps is out of our reach. `torch.load` is there for comparison: it sees no flipped bit.
"""

import hashlib
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.table import show, times_ms
from outlast.checkpoints.formats.torch_file import TorchFileFormat
from outlast.checkpoints.isolated import Isolated
from outlast.facts import Candidate, Whole
from outlast.seams import CheckpointFormat

SIZE_MB, REPEATS = 512, 7
HERE, APART = TorchFileFormat(), Isolated(TorchFileFormat())
PIECE = 1 << 20


def main() -> None:
    import torch

    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as folder:
        path = Path(folder) / "step-1.pt"
        layers = {f"layer.{n}.weight": torch.randn(SIZE_MB // 32, 1 << 18) for n in range(32)}
        torch.save({"model": layers, "step": 1}, path)
        del layers
        rows = _rows(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        for heat, before in (("warm", lambda: None), ("cold", lambda: _forget(path))):
            measured = [(name, [_once(work, before) for _ in range(REPEATS)]) for name, work in rows]
            show(f"a checkpoint of {path.stat().st_size / 1e6:.0f} MB, {heat}", measured)


def _rows(path: Path) -> list[tuple[str, Callable[[], object]]]:
    import torch

    return [
        ("zipfile.testzip", lambda: _testzip(path)),
        ("torch.load", lambda: torch.load(path)),
        ("sha256sum", lambda: subprocess.run(["sha256sum", path], check=True, stdout=subprocess.DEVNULL)),
        ("hashlib.sha256", lambda: _sha256(path)),
        ("cat > /dev/null", lambda: subprocess.run(["cat", path], check=True, stdout=subprocess.DEVNULL)),
        ("outlast, L0 (structure)", lambda: _verify(path, 0)),
        ("outlast, L1 (checksums)", lambda: _verify(path, 1)),
        ("outlast, L2 (checksums, finite weights)", lambda: _verify(path, 2)),
        ("outlast, L0, in a child (as it is done)", lambda: _verify(path, 0, APART)),
        ("outlast, L2, in a child (as it is done)", lambda: _verify(path, 2, APART)),
    ]


def _once(work: Callable[[], object], before: Callable[[], None]) -> float:
    before()
    (taken,) = times_ms(work, 1, warm_up=0)
    return taken


def _verify(path: Path, level: int, format_: CheckpointFormat = HERE) -> None:
    verdict = format_.inspect(Candidate(str(path), "torch", 1), level, 600.0)
    assert isinstance(verdict, Whole)
    assert verdict.level == min(level, 1)


def _testzip(path: Path) -> None:
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None


def _sha256(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(PIECE):
            digest.update(piece)


def _forget(path: Path) -> None:
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
