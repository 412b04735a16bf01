"""Who may begin now: slots, priority with ageing, dependencies. Each run that waits learns why.

A run that needs more slots than are free holds back those behind it, so that wide runs are not starved; one that is
paused, held or in its backoff takes no place. Refuses to know what a slot is.
"""

from collections.abc import Iterable, Mapping, Sequence

from outlast.decide import waits
from outlast.facts import Book, Fact, Moment, Outcome, Priority, RunId, Spec, Waiting

AGEING_S = 1800.0  # a waiting run rises one class in so long
HOLDERS_NAMED = 2
CLASSES: dict[Priority, int] = {"high": 0, "normal": 1, "low": 2}


class Waiter(Fact):
    """A run that waits. `waited_s`: how long it has been waiting (on this boot); `ordinal` and then `accepted_at`: the
    order of acceptance; `held`: why it could not begin now even if there were room ("" if it could)."""

    run: RunId
    priority: Priority
    slots: int
    after: tuple[RunId, ...]
    waited_s: float
    accepted_at: float
    held: str = ""
    ordinal: int = 0


class Grants(Fact):
    """`reasons`: for each run that waits and is not granted."""

    granted: frozenset[RunId]
    reasons: dict[RunId, str]


def queued(spec: Spec, book: Book, now: Moment, ordinal: int = 0, short: str = "") -> Waiter:
    """`ordinal`: the run's place in the order of acceptance (of all runs of the place; it may have gaps). `short`: what
    its disk lacks."""
    since = book.phase.since if isinstance(book.phase, Waiting) else book.accepted
    return Waiter(
        run=spec.run,
        priority=priority_of(spec, book),
        slots=spec.slots,
        after=spec.after,
        waited_s=max(0.0, now.mono_s - since.mono_s) if since.boot == now.boot else 0.0,
        accepted_at=book.accepted.wall_s,
        held=_held(book, now) or (f"disk: {short}" if short else ""),
        ordinal=ordinal,
    )


def priority_of(spec: Spec, book: Book) -> Priority:
    return book.priority or spec.priority


def grant(
    waiting: Iterable[Waiter],
    *,
    used: Mapping[RunId, int],
    slots: int,
    outcomes: Mapping[RunId, Outcome | None],
    ageing_s: float = AGEING_S,
) -> Grants:
    """`used`: the slots of each run that holds some. `outcomes` of the runs that others come after: None while one has
    not ended, missing where there is none."""
    free = slots - sum(used.values())
    granted: set[RunId] = set()
    reasons: dict[RunId, str] = {}
    blocked = ""
    for waiter in sorted(waiting, key=lambda each: _order(each, ageing_s)):
        why = waiter.held or _dependency(waiter, outcomes)
        if not why and waiter.slots > slots:
            why = f"slot: it needs {waiter.slots} slots, and there are {slots}"
        if why:
            reasons[waiter.run] = why
        elif blocked:
            reasons[waiter.run] = f"slot: {blocked} comes first"
        elif waiter.slots > free:
            blocked = waiter.run
            held = _holders([*used, *sorted(granted)])
            reasons[waiter.run] = f"slot: it needs {waiter.slots}, {max(free, 0)} of {slots} are free{held}"
        else:
            granted.add(waiter.run)
            free -= waiter.slots
    return Grants(frozenset(granted), reasons)


def _holders(runs: Sequence[RunId]) -> str:
    if not runs:
        return ""
    more = f" and {len(runs) - HOLDERS_NAMED} more" if len(runs) > HOLDERS_NAMED else ""
    return f" (held by {', '.join(runs[:HOLDERS_NAMED])}{more})"


def _order(waiter: Waiter, ageing_s: float) -> tuple[int, int, float, str]:
    risen = int(waiter.waited_s // ageing_s)
    return max(0, CLASSES[waiter.priority] - risen), waiter.ordinal, waiter.accepted_at, waiter.run


def _held(book: Book, now: Moment) -> str:
    if book.holds or book.want != "run":
        return f"{book.holds[0] if book.holds else book.want}: {book.why}"
    if isinstance(book.phase, Waiting) and waits.left_s(book.phase, now) > 0:
        return f"backoff: {book.why}"
    return ""


def _dependency(waiter: Waiter, outcomes: Mapping[RunId, Outcome | None]) -> str:
    for other in waiter.after:
        if other not in outcomes:
            return f"dependency: there is no run {other} any more; stop this one"
        outcome = outcomes[other]
        if outcome is None:
            return f"dependency: it waits for {other}"
        if outcome != "completed":
            return f"dependency: {other} ended {outcome}; retry that one, or stop this one"
    return ""
