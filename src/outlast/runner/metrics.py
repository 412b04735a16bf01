"""metrics.jsonl: what a training said of its steps, a row for each, in the folder of its attempt.

    {"schema":1,"every":1}                                  the first line; of the rows with a loss alone one in `every`
    {"step":120,"t":1700000000.123,"loss":0.25,"lr":0.01}   t: the wall clock's second in which we saw it

A step may have several rows (a value that came late): of one name the last counts. What is no finite number is a word:
"nan", "inf", "-inf". Numbers have nine digits, as many as a float32.

Knows how a file stays small: when it has BYTES_MAX, every second row with a loss alone goes, and from then on only
half as many of them are written; where that is not enough, every second row of any kind. Refuses to know where rows
come from, to wait and to insist: what a full disk does not take is dropped, and the note says so.
"""

from __future__ import annotations

import json
import math
import os

from outlast.disk import files
from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

    Row = dict[str, float | str]

SCHEMA = 1
BYTES_MAX = 4 << 20
BLOCK_ROWS = 512  # written at once
BLOCK_S = 5.0  # or after so long
HEADER_BYTES_MAX = 64
LOSS_ALONE = 3  # keys: step, t, loss


class Metrics:
    def __init__(self, path: str) -> None:
        self._path = path
        self._rows: dict[int, Row] = {}  # not written yet, by step
        self._since_s: float | None = None
        self._every = 0  # 0: not looked yet
        self._alone = 0  # rows with a loss alone, written or not
        self._is_torn = False  # the last block was written in part
        self._missed = 0
        self._trouble = ""

    @property
    def note(self) -> str:
        missed = f"{self._missed} values came too fast to be kept" if self._missed else ""
        return "; ".join(text for text in (self._trouble, missed) if text)

    def add(self, values: Iterable[tuple[int, str, float]], wall_s: float, missed: int = 0) -> None:
        """(step, name, value) as a page gives them (`Page.take`), and how many it missed."""
        self._missed += missed
        for step, name, value in values:
            row = self._rows.get(step)
            if row is None:
                if len(self._rows) >= BLOCK_ROWS:
                    self.write()
                row = self._rows[step] = {"t": round(wall_s, 3)}
            if name not in ("step", "t"):
                row[name] = _short(value)

    def add_records(self, records: Iterable[tuple[int, Mapping[str, float]]], wall_s: float) -> None:
        """(step, {name: value}) as they are read from the training's output."""
        self.add(((step, name, value) for step, values in records for name, value in values.items()), wall_s)

    def tick(self, now_s: float) -> None:
        """Write what has been kept for long enough; `now_s` of the monotonic clock."""
        if not self._rows:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s >= BLOCK_S:
            self.write()
            self._since_s = None

    def write(self) -> None:
        """Append all that is kept. At the end, too."""
        rows, self._rows = self._rows, {}
        lines = self._lines(rows)
        if lines:
            try:
                self._append(b"".join(lines))
            except (OSError, WorldError) as error:
                why = getattr(error, "strerror", None) or error
                self._trouble = f"some metrics could not be written: {why}"

    def _lines(self, rows: dict[int, Row]) -> list[bytes]:
        if not self._every:
            self._every = _header_of(self._path)
        lines = []
        for step, row in rows.items():
            if len(row) < LOSS_ALONE and "loss" in row:
                self._alone += 1
                if self._alone % self._every:
                    continue
            if len(row) > 1:
                lines.append(_line({"step": step, **row}))
        return lines

    def _append(self, block: bytes) -> None:
        fd = files.open_append(self._path)
        try:
            size = os.fstat(fd).st_size
            if size == 0:
                block = _line({"schema": SCHEMA, "every": self._every}) + block
            elif self._is_torn or not _ends_a_line(self._path, size):
                block = b"\n" + block
            self._is_torn = True
            self._is_torn = os.write(fd, block) != len(block)
        finally:
            os.close(fd)
        if self._is_torn:
            self._trouble = "some metrics could not be written: the disk is full"
        if size + len(block) > BYTES_MAX:
            self._thin()

    def _thin(self) -> None:
        self._every *= 2
        try:
            self._rewrite(of_all=False)
            if os.stat(self._path).st_size > BYTES_MAX * 3 // 4:
                self._rewrite(of_all=True)
        except (OSError, WorldError):
            self._every //= 2
            raise

    def _rewrite(self, *, of_all: bool) -> None:
        files.replace_with(self._path, lambda file: file.writelines(self._half(of_all)), durable=False)

    def _half(self, of_all: bool) -> Iterator[bytes]:
        yield _line({"schema": SCHEMA, "every": self._every})
        keep = False
        with open(self._path, "rb") as file:
            file.readline(HEADER_BYTES_MAX)
            for line in _whole_lines(file):
                if of_all or (line.count(b'":') == LOSS_ALONE and b'"loss":' in line):
                    keep = not keep
                    if not keep:
                        continue
                yield line


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    return (line for line in file if line.endswith(b"\n") and line.startswith(b'{"step":'))


def _header_of(path: str) -> int:
    """Its `every`; 1 where there is none."""
    try:
        with open(path, "rb") as file:
            header = json.loads(file.readline(HEADER_BYTES_MAX))
        return max(1, int(header["every"]))
    except (OSError, ValueError, KeyError, TypeError):
        return 1


def _ends_a_line(path: str, size: int) -> bool:
    with open(path, "rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"


def _line(row: Mapping[str, float | str]) -> bytes:
    return json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _short(value: float) -> float | str:
    if math.isfinite(value):
        return float(f"{value:.9g}")
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
