"""What this run taught about how long things take: runs/ID/limits.json, so that the next attempt need not be generous
again. Derived: whoever deletes it makes the limits wide, and nothing else.

Knows the file, and how far earlier attempts came. Refuses to know what a lesson says (`patience`).
"""

from __future__ import annotations

from outlast.disk import files
from outlast.errors import WorldError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from outlast.disk.layout import AttemptFolder

EVERY_S = 60.0
EARLIER_MAX = 100


class Lessons:
    def __init__(self, folder: AttemptFolder) -> None:
        self._path = folder.run().limits
        self._due_s = 0.0
        self._written: Mapping[str, Any] | None = self.read()

    def read(self) -> Mapping[str, Any] | None:
        """What is damaged teaches nothing."""
        try:
            return files.read(self._path)
        except WorldError:
            return None

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._due_s

    def keep(self, learned: Mapping[str, Any], now_s: float) -> None:
        self._due_s = now_s + EVERY_S
        if learned == self._written:
            return
        try:
            files.replace(self._path, dict(learned), durable=False)
            self._written = learned
        except WorldError:
            return  # a full disk: the limits are wider next time


def reached_step(folder: AttemptFolder) -> int | None:
    """The highest step that an earlier attempt of this run made, as far as anybody saw."""
    highest: int | None = None
    before = folder.before()
    for _ in range(EARLIER_MAX):
        if before is None:
            break
        try:
            end = files.read(before.exit) or {}
        except WorldError:
            end = {}
        for step in (end.get("last_step"), end.get("read_step")):
            if isinstance(step, int) and (highest is None or step > highest):
                highest = step
        before = before.before()
    return highest
