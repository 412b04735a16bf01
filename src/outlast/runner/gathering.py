"""The gathering of a hang's evidence as the runner sees it: whom to look at, a child that does it, what came of it.

Knows the child and its deadline. Refuses to know how stacks are had (`incident`), which only that child loads.
"""

from __future__ import annotations

import time

from outlast.disk import files
from outlast.runner import beside, census
from outlast.runner.findings import WITHIN_S, Found, Rank

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from outlast.disk.layout import AttemptFolder

UNFINISHED = "gathering the evidence did not end in time"
FAILED = "gathering the evidence failed: see runner.log"
MARGIN_S = 2.0  # for the last word of a gatherer whose time is over


class Gathering:
    """It goes on in a child, so that the runner goes on watching."""

    def __init__(self, child: beside.Child | None, until_s: float, why: str) -> None:
        self._child, self._why = child, why
        self._said: list[bytes] = []
        self.until_s = until_s

    @property
    def fds(self) -> list[int]:
        """To wait for: one can be read when there is news, and from when it is done until the result is taken."""
        self._hear(0.0)
        return [] if self._child is None else [self._child.pipe]

    @property
    def is_done(self) -> bool:
        """Whether the result is there without waiting."""
        self._hear(0.0)
        return self._child is None or self._child.is_done

    def result(self, until_s: float | None = None) -> Found:
        """What it found; waits for it until then on the monotonic clock (its own deadline), and ends it."""
        self._hear(self.until_s if until_s is None else until_s)
        is_over = self._child is not None and self._child.is_done
        if self._child is not None:
            self._child.end()
            self._child = None
        if self._said:
            said = files.decode(self._said[-1], "gathering")
            if is_over and said.get("reason") == UNFINISHED:
                said["reason"] = FAILED
            return _found(said)
        return _found({"reason": self._why, "hints": [f"no evidence: {self._why}"]})

    def _hear(self, until_s: float) -> None:
        while self._child is not None and not self._child.is_done:
            said = self._child.lines(until_s)
            self._said += said
            if not said and time.monotonic() >= until_s:
                return


def begin(
    folder: AttemptFolder,
    decision: Mapping[str, Any],
    ranks: Sequence[Rank],
    members: Mapping[int, int],
    *,
    path: str = "",
    within_s: float = WITHIN_S,
) -> Gathering:
    """`incident.write`, in a child. It loads what it needs by itself: a runner that only waits need not have it."""
    until_s = time.monotonic() + within_s

    def work(say: beside.Say) -> None:
        from outlast.runner import incident
        from outlast.runner.incident_folder import IncidentFolder

        here = IncidentFolder(folder, decision)
        here.note()
        say(files.encode({"path": here.path, "reason": UNFINISHED}).rstrip(b"\n"))
        found = incident.gather(here, ranks, members, path, until_s, census.read)
        record = {"path": found.path, "reason": found.reason, "culprit": found.culprit, "hints": found.hints}
        say(files.encode(record).rstrip(b"\n"))

    try:
        return Gathering(beside.Child(work), until_s + MARGIN_S, UNFINISHED)
    except OSError as error:
        return Gathering(None, until_s, f"no process for gathering it: {error.strerror}")


def _found(record: dict[str, Any]) -> Found:
    nobody = {"rank": None, "pid": None, "why": record["reason"]}
    return Found(
        record.get("path", ""), record["reason"], record.get("culprit", nobody), record.get("hints", [])
    )
