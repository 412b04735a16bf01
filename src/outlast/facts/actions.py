"""What may be done: each safe to repeat, and safe if a takeover voided its record."""

from typing import Literal, TypeAlias

from outlast.facts.entries import AnyEntry
from outlast.facts.fact import Fact
from outlast.facts.values import AttemptId, Ending, Order, Pairs, RunId, Want


class Launch(Fact):
    """Get a runner going on each attempt. An order that stands already is used as it stands."""

    orders: tuple[Order, ...]


class Tell(Fact):
    """Write the wish for the runner and nudge it."""

    attempt: AttemptId
    want: Want
    request: int


class ShutDoor(Fact):
    attempt: AttemptId
    final: bool
    why: str


class RecordEnd(Fact):
    attempt: AttemptId
    ending: Ending


class Work(Fact):
    kind: Literal["verify", "scan", "keep", "publish", "prepare", "consolidate"]
    run: RunId
    args: Pairs = ()


Action: TypeAlias = Launch | Tell | ShutDoor | RecordEnd | Work


class Decision(Fact):
    entries: tuple[AnyEntry, ...] = ()
    actions: tuple[Action, ...] = ()
    wake_in_s: float | None = None
