"""The journal's entries, and what they add up to: where a run stands."""

from typing import Literal, TypeAlias

from outlast.facts.fact import Fact
from outlast.facts.sights import (
    Candidate,
    Cause,
    Verdict,
)
from outlast.facts.values import (
    Ending,
    Moment,
    Outcome,
    Pairs,
    Priority,
    Proof,
    RunId,
    Want,
)

AttemptVerdict = Literal["finished", "early_exit", "interrupted", "failed", "lost", "never-began", "no-op"]


class Entry(Fact):
    at: Moment
    run: RunId | None
    why: str


class Accepted(Entry):
    spec_sha256: str


class Asked(Entry):
    request: int
    verb: str
    by: str
    args: Pairs = ()


class Declined(Entry):
    request: int


class Chosen(Entry):
    """Attempt n is to begin. order "": found begun (a requeue, an earlier term's launch)."""

    n: int
    order: str


class Repeated(Entry):
    """The same launch again; bounded."""

    n: int
    times: int


class Ended(Entry):
    """`won`: steps that no attempt had reached before; `progressed`: whether the retry budget starts anew."""

    n: int
    ending: Ending
    cause: Cause
    verdict: AttemptVerdict
    charged: bool
    wait_s: float
    progressed: bool = False
    checkpoint_step: int | None = None


class Closing(Entry):
    """Door n is to be shut for good; only then Finished."""

    n: int
    outcome: Outcome
    cause: Cause | None = None
    proof: Proof | None = None


class Finished(Entry):
    outcome: Outcome
    cause: Cause | None = None
    proof: Proof | None = None


class Reopened(Entry):
    """A person's retry: the chain goes on behind the final door; attempt n is the next, once a later term than `term`
    has sealed this record."""

    n: int
    term: int = 0


class Held(Entry):
    """`what`: disk, quota, paused, mount, down, ...; run None: the whole place."""

    what: str


class Released(Entry):
    what: str


class Verified(Entry):
    candidate: Candidate
    verdict: Verdict


class Removed(Entry):
    """The folder of an ended run was packed (archive) or deleted (rm) because request `request` said so."""

    request: int
    how: Literal["rm", "archive"]


AnyEntry: TypeAlias = (
    Accepted
    | Asked
    | Declined
    | Chosen
    | Repeated
    | Ended
    | Closing
    | Finished
    | Reopened
    | Held
    | Released
    | Verified
    | Removed
)

# --- where a run stands: decide/history.fold(book, entry) -> Book ---------------------------------------------------


class Waiting(Fact):
    """Nothing of it lives; the next attempt may be chosen `wait_s` after `since`."""

    since: Moment
    wait_s: float


class Trying(Fact):
    """Attempt n was chosen `since`, and launched `launches` times (0: found begun)."""

    n: int
    launches: int
    since: Moment


class Shutting(Fact):
    n: int
    outcome: Outcome


class Done(Fact):
    outcome: Outcome
    cause: Cause | None
    at: Moment
    proof: Proof | None = None


Phase: TypeAlias = Waiting | Trying | Shutting | Done


class Book(Fact):
    """The fold of a run's entries.

    `next` is the number of the next attempt; `want` what a person asked last, by request `asked`; `charges` counts
    charged deaths by cause since the last progress; `best_step` the highest checkpoint step (or, while there has
    been no checkpoint, the highest step) at the end of any attempt; `had_checkpoint` whether there ever was one;
    `closing` the outcome that was decided, until Finished or Reopened; `removing` a request to remove; `reopened` the
    term that opened it again; `by_itself` whether the next attempt is a restart that nobody asked for.
    """

    phase: Phase
    accepted: Moment
    next: int = 1
    want: Want = "run"
    asked: int = 0
    charges: tuple[tuple[str, int], ...] = ()
    best_step: int | None = None
    had_checkpoint: bool = False
    endings: tuple[Ended, ...] = ()
    chosen: tuple[Chosen, ...] = ()
    verified: tuple[Candidate, ...] = ()
    holds: tuple[str, ...] = ()
    closing: Closing | None = None
    removing: tuple[str, int] | None = None
    reopened: int = 0
    priority: Priority | None = None
    by_itself: bool = False
    why: str = ""
    updated: Moment | None = None
