"""Whether a request is granted, and in which words it is declined."""

from outlast.facts import (
    Asked,
    Book,
    Declined,
    Done,
    Moment,
    Reopened,
    Request,
    RunId,
    Waiting,
)

VERBS = ("stop", "pause", "resume", "retry", "priority", "rm", "archive")


def answer(book: Book, request: Request, now: Moment) -> Asked | Declined:
    why = _refusal(book, request)
    if why is not None:
        return Declined(at=now, run=request.run, why=why, request=request.number)
    return Asked(
        at=now,
        run=request.run,
        why=request.why,
        request=request.number,
        verb=request.verb,
        by=request.by,
        args=request.args,
    )


def reopened(run: RunId, book: Book, now: Moment) -> Reopened:
    """Behind the final door: the number of the attempt that follows it."""
    final = book.closing.n if book.closing is not None else book.next
    return Reopened(at=now, run=run, why="retry was asked for", n=final + 1)


def _refusal(book: Book, request: Request) -> str | None:
    ended = isinstance(book.phase, Done)
    match request.verb:
        case "stop" | "pause" if ended:
            return f"it has ended ({_outcome(book)}): there is nothing to {request.verb}"
        case "resume" if ended:
            return f"it has ended ({_outcome(book)}); `retry` starts it again"
        case "resume" if not book.holds and book.want == "run":
            return "it is not paused"
        case "priority" if ended:
            return f"it has ended ({_outcome(book)})"
        case "priority" if dict(request.args).get("priority") not in ("high", "normal", "low"):
            return "a priority is one of high, normal, low"
        case "retry" if not ended and not isinstance(book.phase, Waiting):
            return "it is running"
        case "retry" if ended and _outcome(book) == "completed":
            return "it is completed; `rerun` starts a new run of the same command"
        case "rm" | "archive" if not ended:
            return "it has not ended: stop it first"
        case verb if verb not in VERBS:
            return f"nobody knows how to {verb} a run"
        case _:
            return None


def _outcome(book: Book) -> str:
    return book.phase.outcome if isinstance(book.phase, Done) else ""
