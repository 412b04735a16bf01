"""What may go wrong for us, and whom it concerns. What happens to a run is a value, never one of these.

    UserError   a person must change something: usage, configuration, a name. One line: what, where, what to do.
    WorldError  a look or an act failed. This turn it is unseen; the same act follows next turn.
    Broken      an invariant of ours does not hold. Stop, loudly.

Knows the exit codes of the command. Refuses to know how a message is shown.
"""

OK = 0
FAILED = 1  # the run failed or did nothing (no-op)
USAGE = 2  # usage or configuration
NOT_FOUND = 3  # not running, not found
REFUSED = 4  # refused, with the reason
UNKNOWN = 5  # the outcome is unknown
BUG = 70  # our own bug
TRY_AGAIN = 75  # another holder, no answer yet, stopped and resumable
CANCELLED = 130

# What a training may say with its exit code.
RESUME_ME = 75  # stopped on request, resume me
DO_NOT_RESTART = 93


class OutlastError(Exception):
    """Whatever outlast raises on purpose. `exit_code` is what the command leaves with."""

    exit_code = BUG


class UserError(OutlastError):
    """Something that a person must put right."""

    exit_code = USAGE


class NotFound(UserError):
    exit_code = NOT_FOUND


class RefusedError(UserError):
    """We will not do that, and the message says why."""

    exit_code = REFUSED


class TryAgain(OutlastError):
    """Not now: another holder, or no answer yet."""

    exit_code = TRY_AGAIN


class WorldError(OutlastError):
    """The world did not do as it was told, or could not be seen. Nothing may be concluded from it."""

    exit_code = TRY_AGAIN


class Damaged(WorldError):
    """A record of ours is there and does not say what it should: its place stops starting things, and says so."""


class Broken(OutlastError):
    """An invariant of ours does not hold."""

    exit_code = BUG
