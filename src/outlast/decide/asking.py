"""Whether a request is granted, and in which words it is declined.

Knows the verbs that people and programs use on a run. Refuses to know what follows from one: that is the fold's word,
and the next turn's decision.
"""

from outlast.decide.history import CODE_CHANGED
from outlast.facts import (
    Asked,
    Book,
    Declined,
    Done,
    Moment,
    Reopened,
    Request,
    RunId,
    Shutting,
    Trying,
    Waiting,
)
from outlast.facts.closed import assert_never

VERBS = ("accept", "stop", "pause", "resume", "retry", "priority", "rm", "archive")
PRIORITIES = ("high", "normal", "low")


def answer(book: Book, request: Request, now: Moment) -> Asked | Declined:
    why = _refusal(book, request)
    if why is not None:
        return Declined(at=now, run=request.run, why=why, request=request.number)
    return asked(request, now)


def asked(request: Request, now: Moment) -> Asked:
    """The record that acknowledges a request."""
    return Asked(
        at=now,
        run=request.run,
        why=request.why,
        request=request.number,
        verb=request.verb,
        by=request.by,
        args=request.args,
    )


def reopened(run: RunId, book: Book, now: Moment, term: int) -> Reopened:
    """Behind the final door: the number of the attempt that follows it."""
    final = book.closing.n if book.closing is not None else book.next
    return Reopened(at=now, run=run, why="retry was asked for", n=final + 1, term=term)


def _refusal(book: Book, request: Request) -> str | None:
    if request.verb not in VERBS:
        return f"nobody knows how to {request.verb} a run"
    if request.verb == "priority" and dict(request.args).get("priority") not in PRIORITIES:
        return f"a priority is one of {', '.join(PRIORITIES)}"
    match book.phase:
        case Done(outcome=outcome):
            return _refusal_of_the_ended(book, request.verb, outcome)
        case Shutting(outcome=outcome):
            return _refusal_of_the_ending(request.verb, outcome)
        case Waiting() | Trying():
            return _refusal_of_the_living(book, request.verb)
        case _:
            assert_never(book.phase)


def _refusal_of_the_ended(book: Book, verb: str, outcome: str) -> str | None:
    match verb:
        case "stop" | "pause" | "priority":
            return f"it has ended ({outcome}): there is nothing to {verb if verb != 'priority' else 'hurry'}"
        case "resume":
            return f"it has ended ({outcome}); `retry` starts it again"
        case "retry" if book.removing is not None:
            return f"it is being removed ({book.removing[0]}, request {book.removing[1]})"
        case "retry" if outcome == "completed":
            return "it is completed; `rerun` starts a new run of the same command"
        case _:
            return None


def _refusal_of_the_ending(verb: str, outcome: str) -> str | None:
    """Its last door is about to be shut; if somebody began behind it, that is ended and the outcome stays."""
    if verb == "accept" or (verb == "stop" and outcome == "cancelled"):
        return None
    return f"it is just ending ({outcome}): ask again in a moment"


def _refusal_of_the_living(book: Book, verb: str) -> str | None:
    stopping = book.want in ("stop", "stop-now")
    match verb:
        case "pause" | "resume" if stopping:
            return "it is being stopped, and a stop outranks that"
        case "resume" if not book.holds and book.want == "run":
            return "it is not paused"
        case "resume" if book.holds == (CODE_CHANGED,):
            return "it waits because its code was changed; `retry` goes on with the changed code"
        case "retry" if not isinstance(book.phase, Waiting):
            return "it is running"
        case "rm" | "archive":
            return f"it has not ended: stop it before you {verb} it"
        case _:
            return None
