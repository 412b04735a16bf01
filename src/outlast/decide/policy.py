"""What an attempt's end means: its verdict and cause, whether it is charged, how long to wait, whether the run is over.

`RULES` is read top down, and the first that knows the ending speaks (`decide/endings` says what a row's conditions
mean). Then the budget. Not knowing is never success.
"""

from outlast.decide import rollback
from outlast.decide.case import DISK_FULL, NONFINITE_LOSS
from outlast.decide.endings import CALLED_OFF as CALLED_OFF
from outlast.decide.endings import FILES_MISSING, NEVER_BEGAN, RULES, Case, Reading
from outlast.facts import (
    Book,
    Candidate,
    Cause,
    Ended,
    Ending,
    Fact,
    NeverBegan,
    Outcome,
    Proof,
    Spec,
)
from outlast.facts.entries import AttemptVerdict

EARLY_DEATHS, EARLY_DEATH_S = 3, 60.0
BACKOFF_MAX_S, DOUBLINGS_MAX = 600.0, 16
JITTER = 0.2
MISSING_WAIT_S = 60.0  # until what a start needs is looked for again


class Judgement(Fact):
    """Of one ended attempt. `closing`: what the run ends as; None: it goes on after `wait_s`."""

    verdict: AttemptVerdict
    cause: Cause
    charged: bool
    wait_s: float
    progressed: bool
    checkpoint_step: int | None
    closing: Outcome | None
    proof: Proof | None
    why: str
    closing_cause: Cause | None = None
    closing_why: str = ""


class End(Fact):
    """How a run ends."""

    outcome: Outcome
    why: str
    cause: Cause | None = None
    proof: Proof | None = None


def judge(spec: Spec, book: Book, n: int, ending: Ending, newest: Candidate | None) -> Judgement:
    """`newest` is the newest usable checkpoint after the attempt's end."""
    reading = _with_reason(read(spec, book, ending), book)
    checkpoint = good_step(ending, newest)
    progressed = has_progressed(book, ending, checkpoint)
    charged = not reading.free and not progressed
    end = end_of_run(spec, book, ending, reading, charged)
    return Judgement(
        verdict=reading.verdict,
        cause=reading.cause,
        charged=charged,
        wait_s=0.0 if end is not None else _wait_s(spec, book, n, reading, charged=charged),
        progressed=progressed,
        checkpoint_step=checkpoint,
        closing=end.outcome if end is not None else None,
        proof=end.proof if end is not None else None,
        why=reading.why,
        closing_cause=end.cause if end is not None else None,
        closing_why=end.why if end is not None else "",
    )


def good_step(ending: Ending, newest: Candidate | None) -> int | None:
    """The step of the newest checkpoint, if it is none of those that this attempt is known to have spoilt: they are no
    progress, and nothing is resumed from them. A loss is bad a step later than the weights."""
    if newest is None or newest.step is None:
        return None
    spoilt = None if ending.nonfinite_step is None else ending.nonfinite_step - 1
    if (
        ending.final is not None
        and ending.final.worth in ("torn", "nonfinite")
        and ending.final.step is not None
    ):
        spoilt = ending.final.step if spoilt is None else min(spoilt, ending.final.step)
    return newest.step if spoilt is None or newest.step < spoilt else None


def read(spec: Spec, book: Book, ending: Ending) -> Reading:
    """The ending's own meaning, whatever the budget."""
    case = Case(
        spec,
        ending,
        had_progress=any(ended.progressed for ended in book.endings),
        never_began_yet=_in_a_row(book, NEVER_BEGAN),
        full_yet=_in_a_row(book, DISK_FULL),
    )
    for rule in RULES:
        if rule.when(case):
            return rule.reading(case)
    raise AssertionError("the last rule speaks of everything")


def _with_reason(reading: Reading, book: Book) -> Reading:
    """What the person said who asked for this end: it stood in the book until now, and the end takes its place."""
    if book.want == "run" or reading.closing is not None:
        return reading
    return reading._replace(why=f"{reading.why}; asked for: {book.why}")


def end_of_run(spec: Spec, book: Book, ending: Ending, reading: Reading, charged: bool) -> End | None:
    """None: the run goes on. What is completed stays so; what was decided earlier, or by a person, comes next."""
    if reading.closing == "completed":
        return End("completed", reading.why, None, reading.proof)
    if book.closing is not None:  # an attempt found begun behind it was ended; that changes nothing
        return End(book.closing.outcome, book.closing.why, book.closing.cause, book.closing.proof)
    if book.want in ("stop", "stop-now"):
        return End("cancelled", f"stopped on request {book.asked}; {reading.why}", reading.cause)
    if reading.closing is not None:
        return End(reading.closing, reading.why, reading.cause)
    if reading.cause.name == NONFINITE_LOSS and (cause := rollback.in_vain(since_reopened(book), ending)):
        return End("failed", f"{cause.why}; {reading.why}", cause)
    return out_of_budget(spec, book, ending, reading) if charged else None


# --- the budget -------------------------------------------------------------------------------------------------------


def has_progressed(book: Book, ending: Ending, checkpoint: int | None) -> bool:
    """A checkpoint newer than any before and than where this attempt began. In a run that never had one, steps that
    were reached at all, and that once: they are lost with the attempt."""
    if checkpoint is not None:
        best = book.best_step if book.had_checkpoint else None
        return all(checkpoint > step for step in (best, ending.resumed_step) if step is not None)
    return not book.had_checkpoint and not book.best_step and bool(ending.seen_step)


def out_of_budget(spec: Spec, book: Book, ending: Ending, reading: Reading) -> End | None:
    """The end of the run after this charged end of an attempt, if its budget is used up."""
    loop = charged_in_a_row(book)
    early = [each.ending for each in loop[1 - EARLY_DEATHS :]] + [ending]
    if len(early) == EARLY_DEATHS and all(map(is_early, early)):
        why = f"{EARLY_DEATHS} deaths before the first step, each within {EARLY_DEATH_S:.0f} s"
    elif len(loop) + 1 >= spec.attempts_max:
        why = f"{len(loop) + 1} attempts without progress (--max-attempts {spec.attempts_max})"
    else:
        return None
    first = loop[0].why if loop else reading.why  # the first death of a loop says more than the last
    why = f"{why}; the first: {first}"
    return End("failed", why, Cause("crash_loop", why=why))


def charged_in_a_row(book: Book) -> tuple[Ended, ...]:
    """The charged ends since the last progress (or a person's retry), oldest first."""
    charged: list[Ended] = []
    left = sum(count for _, count in book.charges)
    for ended in reversed(book.endings):
        if left <= len(charged):
            break
        if ended.charged:
            charged.append(ended)
    return tuple(reversed(charged))


def _in_a_row(book: Book, cause: str) -> int:
    """The last ends of that cause; one with progress ends the row."""
    count = 0
    for ended in reversed(since_reopened(book)):
        if ended.cause.name != cause or ended.progressed:
            break
        count += 1
    return count


def since_reopened(book: Book) -> tuple[Ended, ...]:
    """The ends since a person's last retry. The chain of attempts has a gap only at a final door, which was shut."""
    n, recent = book.next, []
    for ended in reversed(book.endings):
        if ended.n != n - 1:
            break
        recent.append(ended)
        n = ended.n
    return tuple(reversed(recent))


def is_early(ending: Ending) -> bool:
    """No step of its own was seen, and it is known not to have lasted a minute. Of one that its backend declared over
    (a reboot) only a part of its time was seen."""
    stepped = ending.seen_step is not None and ending.seen_step > (ending.resumed_step or 0)
    lasted_s = 0.0 if isinstance(ending.exit, NeverBegan) else ending.lasted_s
    is_known = lasted_s is not None and ending.word is None
    return not stepped and is_known and (lasted_s or 0.0) < EARLY_DEATH_S


def _wait_s(spec: Spec, book: Book, n: int, reading: Reading, *, charged: bool) -> float:
    if reading.cause.name == FILES_MISSING:
        return MISSING_WAIT_S
    return backoff_s(spec, book, n) if charged else 0.0


def backoff_s(spec: Spec, book: Book, n: int) -> float:
    """Doubling from the run's first wait up to ten minutes, with a jitter that is the same for the same attempt."""
    if spec.inline or spec.backoff_s <= 0:
        return 0.0
    doublings = min(DOUBLINGS_MAX, sum(count for _, count in book.charges))
    wait_s = min(BACKOFF_MAX_S, spec.backoff_s * 2.0**doublings)
    return round(wait_s * (1 + JITTER * (2 * _chance(f"{spec.run}/{n}") - 1)), 3)


def _chance(key: str) -> float:
    """A number in [0, 1) that depends on `key` alone (FNV-1a, 32 bits, its bits mixed once more)."""
    number = 2166136261
    for byte in key.encode():
        number = (number ^ byte) * 16777619 % 2**32
    number = (number ^ number >> 15) * 2246822519 % 2**32
    return (number ^ number >> 13) / 2**32
