"""The few seams of the house. Each is defined by its contract suite in tests/contract, which every implementation
and every fake passes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from outlast.facts import AttemptId, Candidate, Doors, Fact, Order, RunId, Spec, Verdict, Where, Whereabouts


class Offer(Fact):
    """spec.key: the same wish has the same key for ever."""

    spec: Spec


class Answer(Fact):
    """run: taken; None: refused, or (again) not now."""

    run: RunId | None
    why: str
    again: bool = False


class Backend(Protocol):
    """Gets a runner going somewhere, says whether it is there, and ends it."""

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        """One bounded batch, asked after the doors were read; answers for every id; Unseen rather than an
        exception."""
        ...

    def launch(self, orders: Sequence[Order]) -> None:
        """Repeatable: looks up its own token first. Orders of one batch are one submission. WorldError: not known
        whether it happened."""
        ...

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        """Repeatable nudge: runners read their wish (now: kill). Never the proof that anything ended."""
        ...


class Source(Protocol):
    """Where runs come from without being asked for one by one (an inbox, a plan)."""

    def offers(self, limit: int) -> Sequence[Offer]:
        """Repeatable, bounded, stable order; also what was taken and not yet accepted."""
        ...

    def settle(self, offer: Offer, answer: Answer) -> None:
        """Repeatable; only once run.json stands."""
        ...


class CheckpointFormat(Protocol):
    """Knows one way in which trainings save."""

    name: str

    def find(self, root: Path, limit: int) -> Sequence[Candidate]:
        """The candidates under `root`, newest step first (numeric), at most `limit`. Raises WorldError."""
        ...

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        """Never raises on a bad file, never executes one."""
        ...
