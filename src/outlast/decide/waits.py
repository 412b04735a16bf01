"""How much of a wait is left, on clocks that end with their boot. `now` is an argument."""

from outlast.facts import Moment, Waiting


def since_s(since: Moment, now: Moment) -> float | None:
    """None: it was on another boot, whose clock says nothing here."""
    return now.mono_s - since.mono_s if since.boot == now.boot else None


def left_s(phase: Waiting, now: Moment) -> float:
    """Begun on another boot, a wait starts anew with this one: none is skipped, and none lasts for ever, because of
    another boot's clock."""
    passed_s = since_s(phase.since, now)
    return phase.wait_s - (now.mono_s if passed_s is None else passed_s)
