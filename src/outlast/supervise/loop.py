"""The ring: turn after turn, observe - decide - journal - act, until there is nothing to do or we are told to go.

Kill it anywhere and start it again: it carries on from the journal and the doors. Two of them at once are a waste
and never a danger, because only doors permit.
"""

import logging
import signal
import time

from outlast.disk import journal
from outlast.disk.clock import moment
from outlast.disk.layout import Place, Workspace
from outlast.errors import OK, TRY_AGAIN, Damaged, TryAgain, WorldError
from outlast.supervise import notify
from outlast.supervise.books import Books, entries_of
from outlast.supervise.hold import Hold
from outlast.supervise.tools import Manner, Tools
from outlast.supervise.turn import Turns
from outlast.supervise.wake import Wake

log = logging.getLogger(__name__)
BEAT_S = 10.0  # the longest sleep: a look at everything, whatever events say
NO_TERM_S = 5.0  # between tries to open a term (a full disk)
AGAIN_S = 2.0  # after a look that failed
LINGER_S = 1.0  # with nothing to do, before leaving
ROLL_BYTES, ROLL_S = 16 << 20, 86_400.0


def supervise(workspace: Workspace, place_name: str, tools: Tools, manner: Manner) -> int:
    """Hold the place until idle or told to leave; the exit code. Raises TryAgain naming another holder, Damaged."""
    place = workspace.place(place_name)
    with Hold(place, tools.command, manner.inline) as hold:
        wake = Wake((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        notify.ready()
        try:
            return _terms(workspace, place, tools, manner, hold, wake)
        except (Damaged, TryAgain) as error:
            hold.say(wanted=True, error=str(error))
            raise
        finally:
            notify.stopping()
            wake.close()


def _terms(workspace: Workspace, place: Place, tools: Tools, manner: Manner, hold: Hold, wake: Wake) -> int:
    first = True
    while True:
        try:
            term, books = _take_over(place, hold)
        except journal.Lost:
            log.info("place %s: another supervisor opened the next term", place.name)
            return TRY_AGAIN
        except Damaged:
            raise
        except WorldError as error:
            log.warning("held: no term can be opened: %s", error)
            hold.say(wanted=True, error=str(error))
            if _told_to_leave(wake, NO_TERM_S):
                return OK
            continue
        hold.say(wanted=True)
        log.info("place %s: term %d, %d runs", place.name, term.number, len(books.runs))
        turns = Turns(workspace, place, tools, manner, term, books, hold, wake)
        try:
            turns.begin(up=manner.up and first)
            first = False
            code = _until_over(turns, hold, wake, manner)
        except journal.TermOver as error:
            log.warning("term %d ends: %s", term.number, error)
            code = None
        except Damaged:
            raise
        except WorldError as error:  # unseen for now: look again in a new term
            log.warning("term %d saw too little: %s", term.number, error)
            code = OK if _told_to_leave(wake, AGAIN_S) else None
        finally:
            term.close()
        if code is not None:
            return code


def _until_over(turns: Turns, hold: Hold, wake: Wake, manner: Manner) -> int | None:
    """Turn after turn; an exit code, or None when the next term is to be opened."""
    idle_since: float | None = None
    while True:
        if turns.term.superseded() or not hold.still_ours():
            log.warning("place %s: another supervisor took over", turns.place.name)
            return TRY_AGAIN
        code = turns.hear(wake.take_signals())
        if code is not None:
            return code
        wait_s = turns.turn()
        notify.alive()
        if turns.wants_new_term() or turns.term.bytes > ROLL_BYTES or turns.age_s() > ROLL_S:
            return None
        if not turns.idle():
            idle_since = None
        elif idle_since is None:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= LINGER_S and (turns.is_down() or not manner.stay):
            return turns.leave()
        limit = BEAT_S if idle_since is None or (manner.stay and not turns.is_down()) else LINGER_S
        wake.wait(min(wait_s, limit, notify.pause_s()))


def _take_over(place: Place, hold: Hold) -> tuple[journal.Term, Books]:
    def carry(history: journal.History) -> object:
        size = sum(map(len, history.bodies))
        return entries_of(history).record() if size > ROLL_BYTES else None

    term, history = journal.take_over(place.journal, hold.identity, moment(), carry)
    if history.torn:
        log.warning(
            "term %d ended in %d torn bytes; they count for nothing", history.seal.term, len(history.torn)
        )
    return term, entries_of(history)


def _told_to_leave(wake: Wake, seconds: float) -> bool:
    wake.wait(seconds)
    return bool({signal.SIGTERM, signal.SIGINT} & set(wake.take_signals()))
