"""Of whom evidence is gathered, how long that may take, and what came of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WITHIN_S = 20.0


class Rank:
    """As its page has it (`step` None: it never said one), or its environment."""

    __slots__ = ("number", "pid", "section", "step")

    def __init__(self, number: int | None, pid: int, step: int | None = None, section: str = "") -> None:
        self.number, self.pid, self.step, self.section = number, pid, step, section


class Found:
    """What came of it. `path` "": no folder could be made, `reason` says why, or what else is missing. `hints` are a
    few lines for exit.json, which has room of its own."""

    __slots__ = ("culprit", "hints", "path", "reason")

    def __init__(self, path: str, reason: str, culprit: dict[str, Any], hints: list[str]) -> None:
        self.path, self.reason, self.culprit, self.hints = path, reason, culprit, hints
