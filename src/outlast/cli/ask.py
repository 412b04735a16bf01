"""How a verb acts: post a request, make sure that somebody hears it, wait for the record that answers, then for the
effect.

Knows requests and snapshots. Refuses to do anything to a run itself: a supervisor does, by its journal.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from outlast.cli import quick
from outlast.disk import journal, requests
from outlast.disk.layout import Place, Workspace
from outlast.errors import NotFound, RefusedError, TryAgain, WorldError

ANSWER_S = 30.0
EFFECT_S = 30.0
POLL_S = 0.02
NEEDS_LIFE = ("stop", "pause", "resume", "priority")  # nothing of these can be done to a run that has ended
START_AGAIN_S = 1.0  # between supervisors that are started because the one before died


class Wish(NamedTuple):
    """What is asked for one run, and how to see that it has happened (None: its record is all there is to see).

    `goes_on` also takes back a `down` that keeps the run from starting.
    """

    verb: str
    run: str
    args: list[tuple[str, str]]
    why: str
    happened: Callable[[Workspace, str], bool] | None
    within_s: float = EFFECT_S
    goes_on: bool = False


def fulfil(workspace: Workspace, wishes: list[Wish], *, wait: bool) -> None:
    """All requests are posted before any is waited for. Raises RefusedError (declined, with the reason), NotFound (not
    running any more), TryAgain (no answer or no effect in time), WorldError (not posted)."""
    posted = [(wish, *_post(workspace, wish)) for wish in wishes]
    refusals: list[str] = []
    only_ended = True
    for wish, place, number in posted:
        try:
            await_answer(workspace, place, number, f"{wish.verb} {wish.run}", goes_on=wish.goes_on)
        except RefusedError as refusal:
            refusals.append(str(refusal))
            ended = phase_of(workspace, wish.run) == "ended"
            only_ended = only_ended and ended and wish.verb in NEEDS_LIFE
            continue
        if wait:
            _await_effect(workspace, place, wish)
    if refusals:
        raise (NotFound if only_ended else RefusedError)("; ".join(refusals))


def _post(workspace: Workspace, wish: Wish) -> tuple[Place, int]:
    place = quick.place_of(workspace, wish.run)
    number = requests.post(place, wish.verb, wish.run, wish.args, wish.why)
    try:
        ensure(workspace, place, goes_on=wish.goes_on)
    except WorldError as error:
        raise WorldError(
            f"{wish.verb} {wish.run}: asked for (request {number} of place {place.name} stands), "
            f"but nobody hears it yet: {error}"
        ) from error
    return place, number


def ensure(workspace: Workspace, place: Place, *, goes_on: bool = False) -> None:
    """A supervisor of the place, if it is one of this host."""
    from outlast.supervise import start

    if place.name != os.uname().nodename and quick.record(place.supervisor):
        said = quick.record(place.supervisor) or {}
        if said.get("host") not in (None, os.uname().nodename):
            return  # that host's supervisor will hear it; nobody here may judge its runs
    start.ensure(workspace, place.name, up=goes_on)


def await_answer(
    workspace: Workspace, place: Place, number: int, what: str, *, goes_on: bool = False
) -> None:
    """Until the valid history holds the request's record; as long, a supervisor is started whenever nobody holds the
    place. Raises RefusedError if it was declined, TryAgain, WorldError."""
    deadline = time.monotonic() + ANSWER_S
    start_again = time.monotonic() + START_AGAIN_S
    seen: object = None
    while time.monotonic() < deadline:
        standing = _journal_size(place)
        if standing != seen:
            seen = standing
            record = _answer(place, number)
            if record is not None and record["type"] == "Declined":
                raise RefusedError(f"{what}: {record['why']}")
            if record is not None:
                return
        if time.monotonic() > start_again and quick.is_held(place.lock) is False:
            start_again = time.monotonic() + START_AGAIN_S
            ensure(workspace, place, goes_on=goes_on)
        time.sleep(POLL_S)
    raise TryAgain(
        f"{what}: asked for (request {number} of place {place.name}), but no supervisor has answered within "
        f"{ANSWER_S:.0f} s; it stands, and will be heard (outlast status says why not yet)"
    )


def _await_effect(workspace: Workspace, place: Place, wish: Wish) -> None:
    if wish.happened is None:
        return
    from outlast.cli.keep import Keeper

    keeper = Keeper(workspace, wish.run, place)  # its record may be gone by now: so a removal begins
    deadline = time.monotonic() + wish.within_s
    while not wish.happened(workspace, wish.run):
        if time.monotonic() > deadline:
            raise TryAgain(
                f"{wish.verb} {wish.run}: was accepted and has not happened within {wish.within_s:.0f} s; "
                f"it goes on (outlast show {wish.run})"
            )
        keeper.look("running")
        time.sleep(POLL_S)


def phase_of(workspace: Workspace, run: str) -> str:
    """ "" where the run cannot be seen."""
    return str((quick.record(workspace.run(run).snapshot) or {}).get("phase", ""))


def note(line: str) -> None:
    print(f"outlast: {line}", file=sys.stderr, flush=True)


def _answer(place: Place, number: int) -> dict[str, str] | None:
    try:
        return requests.answer(place, number)
    except WorldError:
        return None  # a stale or damaged view: no answer can be seen now, and the deadline bounds the waiting


def _journal_size(place: Place) -> tuple[int, int] | None:
    """Changes whenever the newest segment does."""
    try:
        term = journal.terms(place.journal)[-1]
        return term, os.stat(journal.segment(place.journal, term)).st_size
    except (IndexError, OSError, WorldError):
        return None
