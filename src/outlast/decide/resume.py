"""Which checkpoint an attempt resumes from: the newest step that is whole, with the reason for every candidate."""

from collections.abc import Sequence

from outlast.facts import Candidate, Fact, Foreign, Torn, Unsure, Verdict, Whole
from outlast.facts.closed import assert_never

NO_VALID_CHECKPOINT = "no_valid_checkpoint"


class Choice(Fact):
    """`candidate` None and `refuse` None: there is nothing to resume from, the attempt begins at step 0."""

    candidate: Candidate | None
    reasons: tuple[str, ...]
    refuse: str | None = None


def choose(found: Sequence[tuple[Candidate, Verdict]], ever_had_checkpoint: bool = False) -> Choice:
    """Newest step first, numerically. Candidates that all fail refuse the start: never silently from scratch, and never
    beside those of another run: a framework picks and rotates by number."""
    ordered = sorted(found, key=lambda pair: _age(pair[0]), reverse=True)
    chosen: Candidate | None = None
    reasons = []
    for candidate, verdict in ordered:
        usable, why = _usable(candidate, verdict)
        if usable and chosen is None:
            chosen, why = candidate, f"chosen: {why}"
        elif usable:
            why = f"older than the chosen one ({why})"
        reasons.append(f"{candidate.path}: {why}")
    if chosen is not None:
        return Choice(chosen, tuple(reasons))
    if ordered:
        is_ours = not all(isinstance(verdict, Foreign) for _, verdict in ordered)
        way_out = " (`outlast checkpoint accept PATH` resumes from one all the same)" if is_ours else ""
        return Choice(None, tuple(reasons), f"{NO_VALID_CHECKPOINT}: {'; '.join(reasons)}{way_out}")
    if ever_had_checkpoint:
        why = "this run had checkpoints, and none is there now"
        return Choice(None, (why,), f"{NO_VALID_CHECKPOINT}: {why}")
    return Choice(None, ("no checkpoint yet: from scratch",))


def is_usable(candidate: Candidate, verdict: Verdict) -> bool:
    return _usable(candidate, verdict)[0]


def is_in_the_way(verdict: Verdict) -> bool:
    """Whether it is proven to be no good, so that a framework which picks by name must not find it."""
    return isinstance(verdict, Torn) or (isinstance(verdict, Whole) and verdict.finite is False)


def _age(candidate: Candidate) -> tuple[int, int, int, str]:
    step = -1 if candidate.step is None else candidate.step
    return step, candidate.preference, candidate.newest_mtime_ns, candidate.path


def _usable(candidate: Candidate, verdict: Verdict) -> tuple[bool, str]:
    match verdict:
        case Whole(level=level):
            if candidate.step is None:
                return False, "its step is not known"
            if verdict.finite is False:
                which = "".join(f" ({note})" for note in verdict.notes[-1:])
                return False, f"step {candidate.step}, whole, but its weights are not finite{which}"
            notes = "".join(f", {note}" for note in verdict.notes)
            finite = ", finite" if verdict.finite else ""
            return True, f"step {candidate.step}, whole at level L{level}{finite}{notes}"
        case Torn(reasons=reasons):
            return False, f"torn: {', '.join(reasons)}"
        case Unsure(reasons=reasons):
            return False, f"unsure: {', '.join(reasons)}"
        case Foreign(reasons=reasons):
            return False, f"of another run: {', '.join(reasons)}"
        case _:
            assert_never(verdict)
