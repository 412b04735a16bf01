"""Where runs stand: the fold of the valid history, one entry at a time. Memory is this and nothing else.

Knows what each entry changes. Total over all entries and all books: what stands in the valid history is taken as it
stands. Refuses to know whether an entry should have been written.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from outlast.facts import (
    Accepted,
    AnyEntry,
    Asked,
    Book,
    Chosen,
    Closing,
    Declined,
    Done,
    Ended,
    Finished,
    Held,
    Priority,
    Released,
    Removed,
    Reopened,
    Repeated,
    RunId,
    Shutting,
    Trying,
    Verified,
    Waiting,
    Want,
    Whole,
)
from outlast.facts.closed import assert_never

PAUSED, CODE_CHANGED = "paused", "code-changed"


def fresh(entry: Accepted) -> Book:
    return Book(phase=Waiting(entry.at, 0.0), accepted=entry.at, why=entry.why, updated=entry.at)


def fold(book: Book, entry: AnyEntry) -> Book:
    folded = _folded(book, entry)
    return folded if folded.updated is entry.at else replace(folded, updated=entry.at)


def fold_all(entries: Iterable[AnyEntry], books: Mapping[RunId, Book] | None = None) -> dict[RunId, Book]:
    """Books after all entries, by run; runs that were removed are not in it."""
    folded = dict(books or {})
    fold_into(folded, entries)
    return folded


def fold_into(books: dict[RunId, Book], entries: Iterable[AnyEntry]) -> None:
    """The same in place: what has not changed costs nothing."""
    for entry in entries:
        run = entry.run
        if run is None:
            continue
        if isinstance(entry, Removed):
            books.pop(run, None)
        elif run in books:
            books[run] = fold(books[run], entry)
        elif isinstance(entry, Accepted):
            books[run] = fresh(entry)


def place_holds(entries: Iterable[AnyEntry], holds: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What holds the whole place after all entries."""
    for entry in entries:
        if entry.run is None and isinstance(entry, Held | Released):
            holds = _held(holds, entry)
    return holds


def _folded(book: Book, entry: AnyEntry) -> Book:
    match entry:
        case Accepted() | Declined() | Removed():
            return book
        case Asked():
            return _asked(book, entry)
        case Chosen(n=n, order=order, at=at):
            trying = Trying(n, 1 if order else 0, at)
            return replace(book, phase=trying, chosen=(*book.chosen, entry), why=entry.why, updated=at)
        case Repeated():
            return _repeated(book, entry)
        case Ended():
            return _ended(book, entry)
        case Closing(n=n, outcome=outcome, at=at):
            return replace(book, phase=Shutting(n, outcome), closing=entry, why=entry.why, updated=at)
        case Finished(outcome=outcome, cause=cause, proof=proof, at=at):
            return replace(book, phase=Done(outcome, cause, at, proof), why=entry.why, updated=at)
        case Reopened(n=n, at=at, term=term):
            return replace(
                book,
                phase=Waiting(at, 0.0),
                next=n,
                reopened=term,
                want="run",
                closing=None,
                removing=None,
                charges=(),
                holds=(),
                by_itself=False,
                why=entry.why,
            )
        case Held() | Released():
            return replace(book, holds=_held(book.holds, entry), why=entry.why)
        case Verified():
            return _verified(book, entry)
        case _:
            assert_never(entry)


def _asked(book: Book, entry: Asked) -> Book:
    book = replace(book, asked=max(book.asked, entry.request))
    match entry.verb:
        case "stop":
            hurry = _is_hurried(entry) or book.want == "stop-now"
            want: Want = "stop-now" if hurry else "stop"
            return replace(book, want=want, why=entry.why or "stop was asked for")
        case "pause":
            want = book.want  # a stop outranks it
            if want not in ("stop", "stop-now"):
                want = "pause-now" if _is_hurried(entry) or want == "pause-now" else "pause"
            holds = _with(book.holds, PAUSED)
            return replace(book, want=want, holds=holds, why=entry.why or "pause was asked for")
        case "resume":
            return replace(
                book,
                want="run" if book.want in ("pause", "pause-now") else book.want,
                holds=_without(book.holds, PAUSED),
                by_itself=False,
                why=entry.why or "resumed",
            )
        case "retry":
            phase = Waiting(entry.at, 0.0) if isinstance(book.phase, Waiting) else book.phase
            holds = _without(_without(book.holds, PAUSED), CODE_CHANGED)
            why = entry.why or "retry was asked for"
            return replace(book, phase=phase, want="run", holds=holds, by_itself=False, why=why)
        case "priority":
            return replace(book, priority=_priority(entry))
        case "rm" | "archive":
            return replace(book, removing=(entry.verb, entry.request))
        case _:
            return book


def _is_hurried(entry: Asked) -> bool:
    return ("now", "1") in entry.args


def _priority(entry: Asked) -> Priority | None:
    match dict(entry.args).get("priority"):
        case "high" | "normal" | "low" as priority:
            return priority
        case _:
            return None


def _repeated(book: Book, entry: Repeated) -> Book:
    """Launches are counted since the first of this boot: what was on its way at a reboot is gone."""
    since = book.phase.since if isinstance(book.phase, Trying) else entry.at
    if since.boot != entry.at.boot:
        since = entry.at
    return replace(book, phase=Trying(entry.n, entry.times, since), why=entry.why)


def _ended(book: Book, entry: Ended) -> Book:
    return replace(
        book,
        phase=Waiting(entry.at, entry.wait_s),
        next=entry.n + 1,
        charges=_charged(() if entry.progressed else book.charges, entry),
        best_step=_best_step(book, entry),
        had_checkpoint=book.had_checkpoint or entry.checkpoint_step is not None,
        endings=(*book.endings, entry),
        by_itself=True,
        why=entry.why,
        updated=entry.at,
    )


def _charged(charges: tuple[tuple[str, int], ...], entry: Ended) -> tuple[tuple[str, int], ...]:
    if not entry.charged:
        return charges
    counted = dict(charges)
    counted[entry.cause.name] = counted.get(entry.cause.name, 0) + 1
    return tuple(counted.items())


def _best_step(book: Book, entry: Ended) -> int | None:
    """The first checkpoint outdates all steps that were only reached: they are lost, it is not."""
    step = entry.checkpoint_step
    if step is None:
        return book.best_step if book.had_checkpoint else _highest(book.best_step, entry.ending.seen_step)
    return _highest(book.best_step, step) if book.had_checkpoint else step


def _highest(first: int | None, second: int | None) -> int | None:
    return max((step for step in (first, second) if step is not None), default=None)


def _verified(book: Book, entry: Verified) -> Book:
    """Only what is whole counts as verified, and only as it was found last."""
    others = tuple(each for each in book.verified if each.path != entry.candidate.path)
    whole = (entry.candidate,) if isinstance(entry.verdict, Whole) else ()
    return replace(book, verified=(*others, *whole))


def _held(holds: tuple[str, ...], entry: Held | Released) -> tuple[str, ...]:
    return _with(holds, entry.what) if isinstance(entry, Held) else _without(holds, entry.what)


def _with(holds: tuple[str, ...], what: str) -> tuple[str, ...]:
    return holds if what in holds else (*holds, what)


def _without(holds: tuple[str, ...], what: str) -> tuple[str, ...]:
    return tuple(hold for hold in holds if hold != what)
