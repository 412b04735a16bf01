"""The folder of one incident: incidents/NNNN with what could be kept in it, be the disk full or not.

Knows names, room, what is missing. Refuses to know how evidence is had.
"""

from __future__ import annotations

import os

from outlast.disk import clock, files
from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from outlast.disk.layout import AttemptFolder

SCHEMA = 1
RECORD, STACKS, PROC, EXCERPT = "incident.json", "stacks.txt", "proc.txt", "log-excerpt.txt"
NUMBERS_MAX = 10_000
EXCERPT_BYTES = 64 << 10
SCANT_BYTES = 8 << 10  # of a text, where there is no room for all of it
MISSING_MAX, SAID_MAX = 64, 4


class IncidentFolder:
    """incidents/NNNN with what could be kept in it."""

    def __init__(self, folder: AttemptFolder, decision: Mapping[str, Any]) -> None:
        self.missing: list[str] = []
        self.output = folder.output
        self._kept: list[str] = []
        self.record: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": "hang",
            "section": "",
            "limit_s": None,
            "quiet_s": None,
            "reason": "",
            **decision,
            "at": clock.moment(),
            "attempt": folder.n,
            "culprit": {"rank": None, "pid": None, "why": "nobody was asked yet"},
            "ranks": [],
        }
        self.path, self._why = _make(folder.run().incidents)

    def note(self, **more: Any) -> None:
        self.record |= more
        record = {**self.record, "files": self._kept, "missing": self.missing[:MISSING_MAX]}
        if self.path:
            why = _written(lambda: files.replace(os.path.join(self.path, RECORD), record))
            self._why = why or self._why

    def keep(self, name: str, body: bytes) -> None:
        """All of it, or as much of it as the disk takes."""
        if not self.path:
            return
        where = os.path.join(self.path, name)
        why = _written(lambda: files.replace_bytes(where, body))
        if why:
            self.missing.append(f"{name}: {why}")
            scant = body[:SCANT_BYTES] + b"\n(the disk took no more)\n"
            if len(body) <= SCANT_BYTES or _written(lambda: files.replace_bytes(where, scant)):
                return
        self._kept.append(name)

    def why(self) -> str:
        """What is in the way, or missing."""
        return "; ".join(text for text in (self._why, *self.missing[:SAID_MAX]) if text)


def _make(incidents: str) -> tuple[str, str]:
    """A folder of the next number, made by us alone; or "" and why not."""
    try:
        files.make_directory(incidents)
        taken = [int(name) for name in os.listdir(incidents) if name.isdigit()]
        for number in range(max(taken, default=0) + 1, NUMBERS_MAX):
            path = os.path.join(incidents, f"{number:04d}")
            try:
                os.mkdir(path, files.DIRECTORY_MODE)
            except FileExistsError:
                continue
            files.fsync_directory(incidents)
            return path, ""
    except WorldError as error:
        return "", str(error)
    except OSError as error:
        return "", f"cannot make a folder in {incidents}: {error.strerror}"
    return "", f"{incidents}: no number is left"


def _written(write: Callable[[], None]) -> str:
    """Why it was not, "" if it was."""
    try:
        write()
    except WorldError as error:
        return str(error)
    return ""


def excerpt(path: str) -> bytes:
    """The end of the training's output."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return f"({path}: {error.strerror})\n".encode()
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, EXCERPT_BYTES, max(0, size - EXCERPT_BYTES))
    except OSError as error:
        return f"({path}: {error.strerror})\n".encode()
    finally:
        os.close(fd)
