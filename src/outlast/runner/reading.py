"""What a person declared as the sign of completion (`--done-when`), looked for when the training has ended.

Knows the output log as bytes, files by what they were before the start, steps. Refuses to know whether the run is
complete: that is judged above.
"""

from __future__ import annotations

import os
import re

from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK, OVERLAP = 1 << 20, 64 << 10
SCANNED_MAX = 256 << 20  # of the log, from its end: the sign of completion stands there


def signature(path: str) -> list[int] | None:
    """Which file that is now, without any clock; None: none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_ino, found.st_mtime_ns, found.st_size]


def declared_file(done_when: str, cwd: str) -> str | None:
    """The path that `file:PATH` means."""
    kind, _, what = done_when.partition(":")
    return os.path.join(cwd, what) if kind == "file" else None


def holds(
    done_when: str, *, log: str, cwd: str, file_before: list[int] | None, last_step: int | None
) -> bool | None:
    """Whether the declared sign is there; None: nothing was declared. A file counts if it is not the one that lay
    there before the start. Raises WorldError: it cannot be told."""
    kind, _, what = done_when.partition(":")
    if kind == "log":
        return in_log(log, what)
    if kind == "step":
        return last_step is not None and last_step >= int(what)
    path = declared_file(done_when, cwd)
    if path is None:
        return None
    now = signature(path)
    return now is not None and now != file_before


def in_log(path: str, pattern: str) -> bool:
    try:
        sign = re.compile(pattern.encode(), re.MULTILINE)
        with open(path, "rb", buffering=0) as file:
            return any(sign.search(chunk) for chunk in _from_the_end(file.fileno()))
    except re.error as error:
        raise WorldError(f"--done-when log:{pattern}: {error}") from error
    except FileNotFoundError:
        return False
    except OSError as error:
        raise WorldError(f"cannot read {path}: {error.strerror}") from error


def _from_the_end(fd: int) -> Iterator[bytes]:
    """The last chunk first; each with the beginning of the one after it, so that no sign is cut in two."""
    end = os.fstat(fd).st_size
    first = max(0, end - SCANNED_MAX)
    after = b""
    while end > first:
        start = max(first, end - CHUNK)
        body = os.pread(fd, end - start, start)
        yield body + after[:OVERLAP]
        after, end = body, start
