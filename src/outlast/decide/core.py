"""What to do about one run now: the heart of the ring, as a function.

Requests first, in the order of their numbers; then by phase and presence. Nothing but an ended or shut door leads to a
next attempt, a run ends only behind a door that is shut for good, and what could not be seen leads to nothing.
"""

from msgspec.structs import replace

from outlast.decide import asking, waits
from outlast.decide.endings import CODE_CHANGED_CAUSE
from outlast.decide.history import CODE_CHANGED, PAUSED, fold
from outlast.decide.orders import order
from outlast.decide.policy import CALLED_OFF, judge, since_reopened
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
    Held,
    Launch,
    Lost,
    Moment,
    NeverBegan,
    RecordEnd,
    Repeated,
    Request,
    RunId,
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
    Word,
)
from outlast.facts.closed import assert_never

DOWN = "down"
HOLDING_CAUSES = {CODE_CHANGED_CAUSE: CODE_CHANGED}
REPEATS_MAX = 12  # launches of one attempt, on one boot, that nothing was seen of
REPEAT_FIRST_S, REPEAT_LONGEST_S = 2.0, 30.0  # between them: doubling
ADOPT_AGAIN_S = 2.0


def decide(spec: Spec, book: Book, sight: Sight, term: int) -> Decision:
    """Entries are journaled before any action is done; `sight.presence` is of the attempt that `book.phase` names,
    or else of `book.next`. What was asked is settled in the history before anything follows from it."""
    if sight.requests:
        return Decision(answers(spec.run, book, sight.requests, sight.now, term), (), 0.0)
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


def needs_next_term(book: Book, term: int) -> bool:
    """Whether it waits for its record to be sealed by the next term. A final door stands between an ended run and
    whoever does not know that he was superseded: he may write a Reopened, and can never seal it."""
    return isinstance(book.phase, Waiting) and book.reopened == term


def answers(
    run: RunId, book: Book, requests: tuple[Request, ...], now: Moment, term: int
) -> tuple[AnyEntry, ...]:
    """In the order of their numbers: each sees what the ones before it changed. Nothing of the world is needed for it,
    so that a stop is heard however little can be seen."""
    entries: list[AnyEntry] = []
    for request in requests:
        entry = asking.answer(book, request, now)
        entries.append(entry)
        book = fold(book, entry)
        if request.verb == "retry" and isinstance(book.phase, Done) and isinstance(entry, Asked):
            reopened = asking.reopened(run, book, now, term)
            entries.append(reopened)
            book = fold(book, reopened)
    return tuple(entries)


# --- waiting: nothing of it lives ------------------------------------------------------------------------------------


def _waiting(spec: Spec, book: Book, phase: Waiting, sight: Sight, term: int) -> Decision:
    n, now = book.next, sight.now
    if book.want in ("stop", "stop-now"):
        return Decision((Closing(at=now, run=spec.run, why=book.why, n=n, outcome="cancelled"),), (), 0.0)
    match sight.presence:
        case Unseen() | Coming():  # an earlier term's launch, perhaps: its door will tell
            return Decision()
        case Shut() | Closed() | Alive() | Unrecorded():
            return _found(spec, n, now)
        case Absent():
            return _next_attempt(spec, book, phase, sight, term)
        case _:
            assert_never(sight.presence)


def _next_attempt(spec: Spec, book: Book, phase: Waiting, sight: Sight, term: int) -> Decision:
    n, now = book.next, sight.now
    if sight.holds or book.holds or book.want != "run" or needs_next_term(book, term):
        return Decision()
    left_s = waits.left_s(phase, now)
    if left_s > 0:
        return Decision(wake_in_s=left_s)
    if not sight.granted:
        return Decision()
    why = "the first attempt" if not book.chosen else f"the next attempt, after: {book.why}"
    chosen = Chosen(at=now, run=spec.run, why=why, n=n, order=f"order.{term}.json")
    return Decision((chosen,), (_launch(spec, book, n, term),))


def _found(spec: Spec, n: int, now: Moment) -> Decision:
    """Somebody began (or shut) that door first: an earlier term's launch, or a requeue. It is ours to end."""
    return Decision((Chosen(at=now, run=spec.run, why="found begun", n=n, order=""),), (), 0.0)


# --- trying: attempt n was chosen -------------------------------------------------------------------------------------


def _trying(spec: Spec, book: Book, phase: Trying, sight: Sight, term: int) -> Decision:
    attempt, now = AttemptId(spec.run, phase.n), sight.now
    match sight.presence:
        case Unseen():
            return Decision()
        case Coming():  # calling it off is safe: if it begins first, its door says so
            return _call_off(book, attempt, sight) or Decision()
        case Absent():
            return _call_off(book, attempt, sight) or _again(spec, book, phase, now, term)
        case Alive(watched=watched):
            return _alive(spec, book, attempt, watched, sight, term)
        case Unrecorded(word=word):
            return Decision((), (RecordEnd(attempt, _lost(word, now)),), 0.0)
        case Closed(ending=ending):
            return _ended(spec, book, phase.n, ending, sight)
        case Shut(final=True, why=why):
            return _ended_by_final_door(spec, book, phase.n, why, now)
        case Shut(why=why):
            return _ended(spec, book, phase.n, Ending(exit=NeverBegan(why), at=now), sight)
        case _:
            assert_never(sight.presence)


def _call_off(book: Book, attempt: AttemptId, sight: Sight) -> Decision | None:
    """Shut the door of an attempt that is not to begin now; it costs the run nothing."""
    want, _ = wanted(book, sight)
    holds = (*book.holds, *sight.holds)
    if want == "run" and not holds:
        return None
    final = ends_with_this(book)
    why = f"{want} was asked for" if want != "run" else f"held: {', '.join(holds)}"
    return Decision((), (ShutDoor(attempt, final, f"{CALLED_OFF}: {why}"),), 0.0)


def _again(spec: Spec, book: Book, phase: Trying, now: Moment, term: int) -> Decision:
    """Chosen, and nothing of it is to be seen: the same launch again, ever more slowly, and bounded."""
    since_s = waits.since_s(phase.since, now)
    launches = 0 if since_s is None else phase.launches  # another boot: what was on its way is gone
    due_s = sum(min(REPEAT_LONGEST_S, REPEAT_FIRST_S * 2.0**i) for i in range(min(launches, REPEATS_MAX)))
    if since_s is not None and since_s < due_s:
        return Decision(wake_in_s=due_s - since_s)
    if launches >= REPEATS_MAX:
        why = f"its runner never began it ({launches} launches)"
        return Decision((), (ShutDoor(AttemptId(spec.run, phase.n), False, why),), 0.0)
    why = f"launch {launches + 1} of the same attempt: nothing was seen of the one before"
    repeated = Repeated(at=now, run=spec.run, why=why, n=phase.n, times=launches + 1)
    return Decision((repeated,), (_launch(spec, book, phase.n, term),))


def _alive(spec: Spec, book: Book, attempt: AttemptId, watched: bool, sight: Sight, term: int) -> Decision:
    actions: list[Action] = []
    want, request = wanted(book, sight)
    if want != "run" or book.asked:  # what was asked earlier may stand told, and be taken back
        actions.append(Tell(attempt, want, request))
    if watched:
        return Decision((), tuple(actions))
    # The same launch again: a new runner finds the claim taken and its lock free, and watches.
    actions.append(_launch(spec, book, attempt.n, term))
    return Decision((), tuple(actions), ADOPT_AGAIN_S)


def _lost(word: Word | None, now: Moment) -> Ending:
    why = "nobody can say how it ended" if word is None else f"{word.state}: {word.reason}".rstrip(": ")
    return Ending(exit=Lost(why), at=now, word=word)


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
        held = _held_by(spec, book, judged.cause.name, judged.why, sight.now)
        return Decision((ended, *held), (), 0.0)
    closing = Closing(
        at=sight.now,
        run=spec.run,
        why=judged.closing_why,
        n=n + 1,
        outcome=judged.closing,
        cause=judged.closing_cause,
        proof=judged.proof,
    )
    return Decision((ended, closing), (), 0.0)


def _held_by(spec: Spec, book: Book, cause: str, why: str, now: Moment) -> tuple[AnyEntry, ...]:
    """What only a person can let go on."""
    if cause not in HOLDING_CAUSES or book.want != "run":
        return ()
    what = HOLDING_CAUSES[cause]
    return (Held(at=now, run=spec.run, why=why.removeprefix(f"{what}: "), what=what),)


def _ended_by_final_door(spec: Spec, book: Book, n: int, why: str, now: Moment) -> Decision:
    """Attempt n was chosen and its door is shut for good: the run ends here, whoever shut it. Who did and lost the
    record of why had a reason that nobody knows now: that is never success."""
    if book.closing is not None:
        closing = replace(book.closing, at=now, n=n)
    elif book.want in ("stop", "stop-now"):
        closing = Closing(at=now, run=spec.run, why=book.why, n=n, outcome="cancelled")
    else:
        last = book.endings[-1] if book.endings else None
        failed = last is not None and last.verdict != "finished"
        why = f"an earlier term shut its last door ({why})" + (f", after: {last.why}" if last else "")
        closing = Closing(
            at=now,
            run=spec.run,
            why=why,
            n=n,
            outcome="failed" if failed else "unknown",
            cause=last.cause if last is not None and failed else None,
        )
    return Decision((closing,), (), 0.0)


# --- shutting: only behind a door that is shut for good does a run end -----------------------------------------------


def _shutting(spec: Spec, book: Book, phase: Shutting, sight: Sight) -> Decision:
    now, attempt = sight.now, AttemptId(spec.run, phase.n)
    match sight.presence:
        case Unseen():
            return Decision()
        case Absent() | Coming():
            return Decision((), (ShutDoor(attempt, True, f"the run is {phase.outcome}"),), 0.0)
        case Shut(final=True):
            return Decision((_finished(spec, book, phase, now),))
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


def wanted(book: Book, sight: Sight) -> tuple[Want, int]:
    """What the runner is to be told, and a number that is not below that of the request behind it: of two words of one
    term a runner obeys the one with the higher number."""
    if book.want in ("stop", "stop-now"):
        return book.want, book.asked
    if book.closing is not None:
        return "stop-now", book.asked
    if book.want == "pause-now":
        return "stop-now", book.asked
    if book.want == "pause" or PAUSED in book.holds:
        return "pause", book.asked
    if DOWN in sight.holds:
        return "pause", sight.asked
    return "run", book.asked


def ends_with_this(book: Book) -> bool:
    """Whether no attempt follows, however the one at hand ends."""
    return book.want in ("stop", "stop-now") or book.closing is not None


def timeout_left_s(spec: Spec, book: Book) -> float | None:
    """What earlier attempts (since a person's retry) left of the run's wall limit."""
    if spec.timeout_s is None:
        return None
    spent_s = sum(ended.ending.lasted_s or 0.0 for ended in since_reopened(book))
    return max(1.0, spec.timeout_s - spent_s)


def _launch(spec: Spec, book: Book, n: int, term: int) -> Launch:
    made = order(spec, n, term, timeout_left_s(spec, book))
    return Launch((replace(made, had_checkpoint=book.had_checkpoint, by_itself=book.by_itself),))
