"""Doors x whereabouts -> presence: one total table. A fact made once outranks every look."""

from outlast.facts import (
    Absent,
    Alive,
    Begun,
    Closed,
    Coming,
    Doors,
    Gone,
    NoDoor,
    Nowhere,
    Presence,
    Queued,
    Running,
    Shut,
    Unrecorded,
    Unseen,
    Where,
    Whereabouts,
)
from outlast.facts.closed import assert_never

SILENT_S = 600.0  # begun, and nobody knows of it: over only after so long a silence


def presence(doors: Doors, seen: Whereabouts) -> Presence:
    match doors:
        case Shut() | Closed():
            return doors
        case NoDoor():
            return _before_the_door(seen)
        case Begun():
            return _behind_the_door(doors, seen)
        case _:
            assert_never(doors)


def _before_the_door(seen: Whereabouts) -> Presence:
    match seen:
        case Unseen():
            return seen
        case Nowhere():
            return Absent(None)
        case Gone(word=word):
            return Absent(word)
        case Queued(where=where, reason=reason):
            return Coming(where, reason)
        case Running(where=where):
            return Coming(where, "starting")
        case _:
            assert_never(seen)


def _behind_the_door(begun: Begun, seen: Whereabouts) -> Presence:
    match seen:
        case Unseen():
            return seen
        case Nowhere():
            if begun.silent_s >= SILENT_S:
                return Unrecorded(None)
            return Unseen("begun, not known to its backend, and not yet silent for long")
        case Queued(where=where) | Gone(where=where) if _older(where, begun.where):
            return Unseen("the backend's answer is older than the claim")
        case Queued(where=where):
            if where.restarts > begun.where.restarts:
                return Unrecorded(None)
            return Unseen("the backend's answer is older than the claim")
        case Running(where=where, watched=watched):
            return Alive(where, watched)
        case Gone(word=word):
            return Unrecorded(word)
        case _:
            assert_never(seen)


def _older(seen: Where, was: Where) -> bool:
    """Whether a sight is about another job than the one that began, or an earlier incarnation of it."""
    if (seen.cluster, seen.job, seen.submitted) != (was.cluster, was.job, was.submitted):
        return True
    return seen.restarts < was.restarts
