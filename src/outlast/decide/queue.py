"""Who may begin now: slots, priority with ageing, dependencies. Each run that waits learns why.

A run that needs more slots than are free holds back those behind it of the same class (no starvation of wide runs).
"""

from collections.abc import Iterable, Mapping

from outlast.facts import Book, Fact, Moment, Outcome, Priority, RunId, Spec

AGEING_S = 1800.0  # a waiting run rises one class in so long
CLASSES: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}


class Waiter(Fact):
    """A run that waits. `waited_s`: how long it has been accepted (on this boot)."""

    run: RunId
    priority: Priority
    slots: int
    after: tuple[RunId, ...]
    waited_s: float
    accepted_at: float
    held: bool


class Grants(Fact):
    granted: frozenset[RunId]
    reasons: dict[RunId, str]


def queued(spec: Spec, book: Book, now: Moment) -> Waiter:
    same_boot = book.accepted.boot == now.boot
    return Waiter(
        run=spec.run,
        priority=priority_of(spec, book),
        slots=spec.slots,
        after=spec.after,
        waited_s=max(0.0, now.mono_s - book.accepted.mono_s) if same_boot else 0.0,
        accepted_at=book.accepted.wall_s,
        held=bool(book.holds) or book.want != "run",
    )


def priority_of(spec: Spec, book: Book) -> Priority:
    return book.priority or spec.priority


def grant(
    waiting: Iterable[Waiter], *, used: int, slots: int, outcomes: Mapping[RunId, Outcome | None]
) -> Grants:
    """`outcomes` of the runs that others come after: None while one has not ended or is not known."""
    free = slots - used
    granted: set[RunId] = set()
    reasons: dict[RunId, str] = {}
    blocked = False
    for waiter in sorted(waiting, key=_order):
        if waiter.held:
            continue
        if (why := _dependency(waiter, outcomes)) is not None:
            reasons[waiter.run] = why
        elif waiter.slots > slots:
            reasons[waiter.run] = f"slot: it needs {waiter.slots} slots, and there are {slots}"
        elif blocked or waiter.slots > free:
            blocked = True
            reasons[waiter.run] = f"slot: it needs {waiter.slots}, {max(free, 0)} of {slots} are free"
        else:
            granted.add(waiter.run)
            free -= waiter.slots
    return Grants(frozenset(granted), reasons)


def _order(waiter: Waiter) -> tuple[int, float, str]:
    risen = int(waiter.waited_s // AGEING_S)
    return max(0, CLASSES[waiter.priority] - risen), waiter.accepted_at, waiter.run


def _dependency(waiter: Waiter, outcomes: Mapping[RunId, Outcome | None]) -> str | None:
    for other in waiter.after:
        outcome = outcomes.get(other)
        if outcome is None:
            return f"dependency: it waits for {other}"
        if outcome != "completed":
            return f"dependency: {other} ended {outcome}; retry that one, or stop this one"
    return None
