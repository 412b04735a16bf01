"""What to do about one run now: the heart of the ring, as a function.

Requests first, in the order of their numbers; then by phase and presence. Nothing but an ended or shut door leads to a
next attempt, a run ends only behind a door that is shut for good, and what could not be seen leads to nothing.
"""

from typing import assert_never

from msgspec.structs import replace

from outlast.decide import asking
from outlast.decide.history import PAUSED, fold
from outlast.decide.orders import order
from outlast.decide.policy import judge
from outlast.facts import (
    Absent,
    Action,
    Alive,
    AnyEntry,
    Asked,
    AttemptId,
    Book,
    Chosen,
    Closed,
    Closing,
    Coming,
    Decision,
    Done,
    Ended,
    Ending,
    Finished,
    Launch,
    Lost,
    Moment,
    NeverBegan,
    RecordEnd,
    Repeated,
    Shut,
    ShutDoor,
    Shutting,
    Sight,
    Spec,
    Tell,
    Trying,
    Unrecorded,
    Unseen,
    Waiting,
    Want,
)

DOWN = "down"
REPEATS_MAX, REPEATS_WITHIN_S = 12, 600.0
REPEAT_FIRST_S, REPEAT_LONGEST_S = 2.0, 60.0
ADOPT_AGAIN_S = 2.0


def decide(spec: Spec, book: Book, sight: Sight, term: int) -> Decision:
    """Entries are journaled before any action is done; `sight.presence` is of `attempt_in_question(book)`."""
    entries: list[AnyEntry] = []
    for request in sight.requests:
        entry = asking.answer(book, request, sight.now)
        entries.append(entry)
        book = fold(book, entry)
        if request.verb == "retry" and isinstance(book.phase, Done) and isinstance(entry, Asked):
            reopened = asking.reopened(spec.run, book, sight.now)
            entries.append(reopened)
            book = fold(book, reopened)
    if sight.requests:  # what was asked is settled in the history before anything follows from it
        return Decision(tuple(entries), (), 0.0)
    match book.phase:
        case Waiting():
            return _waiting(spec, book, book.phase, sight, term)
        case Trying():
            return _trying(spec, book, book.phase, sight, term)
        case Shutting():
            return _shutting(spec, book, book.phase, sight)
        case Done():
            return Decision()
        case _:
            assert_never(book.phase)


# --- waiting: nothing of it lives ------------------------------------------------------------------------------------


def _waiting(spec: Spec, book: Book, phase: Waiting, sight: Sight, term: int) -> Decision:
    n, now = book.next, sight.now
    match sight.presence:
        case Unseen():
            return Decision()
        case Shut() | Closed() | Alive() | Coming() | Unrecorded():
            if not isinstance(sight.presence, Coming):
                return _found(spec, n, now)
            return Decision()
        case Absent():
            pass
        case _:
            assert_never(sight.presence)
    if book.want in ("stop", "stop-now"):
        return Decision((Closing(at=now, run=spec.run, why=book.why, n=n, outcome="cancelled"),), (), 0.0)
    if sight.holds or book.holds or book.want == "pause" or not sight.granted:
        return Decision()
    left_s = _left_s(phase.since, phase.wait_s, now)
    if left_s > 0:
        return Decision(wake_in_s=left_s)
    why = "the first attempt" if n == 1 else f"the next attempt, after: {book.why}"
    chosen = Chosen(at=now, run=spec.run, why=why, n=n, order=f"order.{term}.json")
    return Decision((chosen,), (Launch((order(spec, n, term, timeout_left_s(spec, book)),)),))


def _found(spec: Spec, n: int, now: Moment) -> Decision:
    """Somebody began (or shut) that door first: an earlier term's launch, or a requeue. It is ours to end."""
    return Decision((Chosen(at=now, run=spec.run, why="found begun", n=n, order=""),), (), 0.0)


# --- trying: attempt n was chosen -------------------------------------------------------------------------------------


def _trying(spec: Spec, book: Book, phase: Trying, sight: Sight, term: int) -> Decision:
    attempt, now = AttemptId(spec.run, phase.n), sight.now
    want, request = wanted(book, sight.holds)
    match sight.presence:
        case Unseen() | Coming():
            return Decision()
        case Absent():
            if want != "run":
                final = want in ("stop", "stop-now")
                return Decision((), (ShutDoor(attempt, final, f"shut: {want} was asked for"),), 0.0)
            return _again(spec, book, phase, now, term)
        case Alive(watched=watched):
            return _alive(spec, book, attempt, watched, want, request, term)
        case Unrecorded(word=word):
            why = (
                "nobody can say how it ended" if word is None else f"{word.state}: {word.reason}".rstrip(": ")
            )
            return Decision((), (RecordEnd(attempt, Ending(exit=Lost(why), at=now, word=word)),), 0.0)
        case Closed(ending=ending):
            return _ended(spec, book, phase.n, ending, sight)
        case Shut(why=why, final=final):
            ending = Ending(exit=NeverBegan(why if why.startswith("shut") else f"shut: {why}"), at=now)
            if final:
                return _ended_by_final_door(spec, book, phase.n, now)
            return _ended(spec, book, phase.n, ending, sight)
        case _:
            assert_never(sight.presence)


def _alive(
    spec: Spec, book: Book, attempt: AttemptId, watched: bool, want: Want, request: int, term: int
) -> Decision:
    actions: list[Action] = []
    wake_in_s = None
    if want != "run":
        actions.append(Tell(attempt, want, request))
    if (
        not watched
    ):  # the same launch again: a new runner finds the claim taken and its lock free, and watches
        actions.append(Launch((order(spec, attempt.n, term, timeout_left_s(spec, book)),)))
        wake_in_s = ADOPT_AGAIN_S
    return Decision((), tuple(actions), wake_in_s)


def _again(spec: Spec, book: Book, phase: Trying, now: Moment, term: int) -> Decision:
    """Chosen, and nothing of it is to be seen: the same launch again, ever more slowly, and bounded."""
    attempt = AttemptId(spec.run, phase.n)
    since_s = _since_s(phase.since, now)
    if since_s is None:  # another boot: whatever was on its way is gone
        since_s = REPEATS_WITHIN_S if phase.launches >= REPEATS_MAX else float("inf")
    if phase.launches >= REPEATS_MAX or REPEATS_WITHIN_S <= since_s < float("inf"):
        why = f"its runner never began it ({phase.launches} launches)"
        return Decision((), (ShutDoor(attempt, False, why),), 0.0)
    due_s = sum(min(REPEAT_LONGEST_S, REPEAT_FIRST_S * 2.0**i) for i in range(phase.launches))
    if since_s < due_s:
        return Decision(wake_in_s=due_s - since_s)
    why = f"launch {phase.launches + 1} of the same attempt: nothing was seen of the one before"
    repeated = Repeated(at=now, run=spec.run, why=why, n=phase.n, times=phase.launches + 1)
    return Decision((repeated,), (Launch((order(spec, phase.n, term, timeout_left_s(spec, book)),)),))


def _ended(spec: Spec, book: Book, n: int, ending: Ending, sight: Sight) -> Decision:
    judged = judge(spec, book, n, ending, sight.newest)
    ended = Ended(
        at=sight.now,
        run=spec.run,
        why=judged.why,
        n=n,
        ending=ending,
        cause=judged.cause,
        verdict=judged.verdict,
        charged=judged.charged,
        wait_s=judged.wait_s,
        progressed=judged.progressed,
        checkpoint_step=judged.checkpoint_step,
    )
    if judged.closing is None:
        return Decision((ended,), (), 0.0)
    closing = Closing(
        at=sight.now,
        run=spec.run,
        why=judged.why,
        n=n + 1,
        outcome=judged.closing,
        cause=None if judged.closing == "completed" else judged.cause,
        proof=judged.proof if judged.closing == "completed" else None,
    )
    if book.closing is not None:  # decided before an intruder was found and ended
        closing = replace(
            closing, outcome=book.closing.outcome, cause=book.closing.cause, proof=book.closing.proof
        )
    return Decision((ended, closing), (), 0.0)


def _ended_by_final_door(spec: Spec, book: Book, n: int, now: Moment) -> Decision:
    """Attempt n was chosen and its door is shut for good: the run ends here, whoever shut it."""
    outcome = book.closing.outcome if book.closing is not None else "cancelled"
    return Decision((Closing(at=now, run=spec.run, why=book.why, n=n, outcome=outcome),), (), 0.0)


# --- shutting: only behind a door that is shut for good does a run end --------------------------------------------------


def _shutting(spec: Spec, book: Book, phase: Shutting, sight: Sight) -> Decision:
    now, attempt = sight.now, AttemptId(spec.run, phase.n)
    match sight.presence:
        case Unseen() | Coming():
            return Decision()
        case Absent():
            return Decision((), (ShutDoor(attempt, True, f"the run is {phase.outcome}"),), 0.0)
        case Shut(final=True):
            return Decision((_finished(spec, book, phase, sight.now),))
        case Shut() | Alive() | Unrecorded() | Closed():
            return _found(spec, phase.n, now)
        case _:
            assert_never(sight.presence)


def _finished(spec: Spec, book: Book, phase: Shutting, now: Moment) -> Finished:
    closing = book.closing
    return Finished(
        at=now,
        run=spec.run,
        why=closing.why if closing is not None else book.why,
        outcome=phase.outcome,
        cause=closing.cause if closing is not None else None,
        proof=closing.proof if closing is not None else None,
    )


# --- what is wanted ---------------------------------------------------------------------------------------------------


def wanted(book: Book, place_holds: tuple[str, ...]) -> tuple[Want, int]:
    """What the runner is to be told, and the number of the request behind it (0: a hold of the place)."""
    if book.want in ("stop", "stop-now"):
        return book.want, book.asked
    if book.closing is not None:
        return "stop-now", book.asked
    if book.want == "pause" or PAUSED in book.holds:
        return "pause", book.asked
    if DOWN in place_holds:
        return "pause", 0
    return "run", book.asked


def timeout_left_s(spec: Spec, book: Book) -> float | None:
    """What earlier attempts left of the run's wall limit."""
    if spec.timeout_s is None:
        return None
    spent_s = sum(ended.ending.lasted_s or 0.0 for ended in book.endings)
    return max(1.0, spec.timeout_s - spent_s)


def _left_s(since: Moment, wait_s: float, now: Moment) -> float:
    """What is left of a wait; on another boot it starts anew, so that no wait is skipped by a reboot's clock."""
    passed_s = _since_s(since, now)
    if passed_s is None:
        passed_s = now.mono_s  # since this boot
    return wait_s - passed_s


def _since_s(since: Moment, now: Moment) -> float | None:
    return now.mono_s - since.mono_s if since.boot == now.boot else None
