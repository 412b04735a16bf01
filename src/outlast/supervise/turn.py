"""One turn: look at all runs, decide, one write for all entries, act, show.

Knows the order of these and nothing of the reasons, which `decide` gives. One bad run never stops the turn.
"""

import logging
import signal
import time
from collections.abc import Mapping, Sequence

from outlast.decide import asking, queue
from outlast.decide.core import DOWN, answers, decide, ends_with_this, needs_next_term
from outlast.decide.history import CODE_CHANGED, PAUSED
from outlast.disk import files, journal, requests
from outlast.disk.clock import moment
from outlast.disk.layout import Place, Workspace
from outlast.errors import OK, TRY_AGAIN, OutlastError, WorldError
from outlast.facts import (
    Action,
    AnyEntry,
    Book,
    Candidate,
    Closed,
    Declined,
    Done,
    Finished,
    Held,
    Moment,
    Outcome,
    Released,
    Request,
    RunId,
    Sight,
    Spec,
    Trying,
    Unseen,
    Waiting,
)
from outlast.facts.codec import from_record, to_line
from outlast.supervise import intake, observe, saved, show
from outlast.supervise.act import Hands
from outlast.supervise.books import Books
from outlast.supervise.hold import Hold
from outlast.supervise.screens import Screens
from outlast.supervise.tools import Manner, Tools
from outlast.supervise.wake import Wake

log = logging.getLogger(__name__)
AGAIN_S = 2.0  # after a look or an act that failed
LOST_EVERY_S = 60.0  # between looks for runs that were accepted and never announced


class Turns:
    """The turns of one term."""

    def __init__(
        self,
        workspace: Workspace,
        place: Place,
        tools: Tools,
        manner: Manner,
        term: journal.Term,
        books: Books,
        hold: Hold,
        wake: Wake,
    ) -> None:
        self.workspace, self.place, self.term = workspace, place, term
        self._tools, self._manner, self._books, self._hold, self._wake = tools, manner, books, hold, wake
        self._hands = Hands(workspace, tools.backend, term.number, tools.complete)
        self._settled = books.asked  # all that this term read was sealed by it
        self._removable = {
            run: book.removing for run, book in books.runs.items() if book.removing is not None
        }
        self._specs: dict[RunId, Spec] = {}
        self._unsettled: set[RunId] = set()
        self._ordinals: dict[RunId, int] = {}
        self._live = {run for run, book in books.runs.items() if not isinstance(book.phase, Done)}
        self._slots = tools.slots()
        self._screens = Screens(workspace, place, hold.identity, term.number, books, self._spec)
        self._began = time.monotonic()
        self._looked_for_lost_s = self._began

    # --- what the ring asks ----------------------------------------------------------------------------------

    def begin(self, *, up: bool) -> None:
        """The first deeds of a term: accept what an earlier term accepted in vain, take back a `down`."""
        now = _now()
        files.make_directory(self.place.requests)
        entries = self._found_accepted(now)
        if up and self.is_down():
            entries.append(Released(at=now, run=None, why="a supervisor was started to go on", what=DOWN))
        self._write(entries)
        requests.remove_settled(self.place, self._settled)

    def _found_accepted(self, now: Moment) -> list[AnyEntry]:
        """Runs whose acceptance stands on disk and in no history: its record was voided, or its announcer died."""
        found: list[AnyEntry] = []
        for run in intake.unaccepted(self.workspace, self.place, set(self._books.runs)):
            spec = self._spec(run)
            if spec is not None:
                found.append(intake.accepted(spec, now, "found accepted on disk"))
        return found

    def hear(self, signals: Sequence[int]) -> int | None:
        """An exit code if we are to leave. Inline, a person's signals become requests for the one run."""
        for number in signals:
            if self._manner.inline is not None:
                self._hear_inline(number, self._manner.inline)
            elif number == signal.SIGHUP:
                self._reload()
            else:
                log.info("signal %d: leaving; runs go on", number)
                self._hold.say(wanted=False)
                return OK
        return None

    def turn(self) -> float:
        """Seconds until the next turn is due."""
        now = _now()
        wait_s = AGAIN_S
        try:
            taken = intake.new_requests(self.place, self._books.asked, now)
            entries, for_runs = self._sort_requests(taken, now)
            decided, acts, wait_s = self._decide_all(now, for_runs)
            if time.monotonic() - self._looked_for_lost_s > LOST_EVERY_S:
                self._looked_for_lost_s = time.monotonic()
                taken_now = {entry.run for entry in entries}
                decided += [entry for entry in self._found_accepted(now) if entry.run not in taken_now]
            self._write([*entries, *decided])
            failed = self._act_all(acts)
            if entries or decided:
                wait_s = 0.0
            elif failed:
                wait_s = AGAIN_S  # at once would be a busy loop on a full disk
            wait_s = min(wait_s, self._remove_settled_runs(now))
        except journal.TermOver:
            raise
        except WorldError as error:
            log.warning("this turn saw too little: %s", error)
        shown_in_s = self._screens.show(in_a_hurry=wait_s == 0)
        self._watch()
        return min(wait_s, shown_in_s)

    def idle(self) -> bool:
        """Nothing lives and nothing is to begin: all runs are ended, paused, held by a `down`, or wait for a person."""
        held = self.is_down()
        return not self._tools.removals.is_busy(self._removable) and all(
            isinstance(book.phase, Waiting) and (held or PAUSED in book.holds or CODE_CHANGED in book.holds)
            for book in map(self._books.runs.__getitem__, self._live)
        )

    def is_down(self) -> bool:
        """Whether `outlast down` holds the whole place, until a person goes on."""
        return DOWN in self._books.holds

    def leave(self) -> int:
        """The last deed: nothing was to do. The exit code of an inline run's supervisor is its run's affair."""
        held = self.is_down()
        log.info("nothing to do: leaving")
        self._hold.say(wanted=not held)
        self._screens.show_all()
        return TRY_AGAIN if held and self._manner.inline is not None else OK

    def wants_new_term(self) -> bool:
        """Whether something waits for its record to be settled by the next opening."""
        return bool(self._unsettled)

    def age_s(self) -> float:
        return time.monotonic() - self._began

    # --- requests --------------------------------------------------------------------------------------------

    def _sort_requests(
        self, taken: intake.Intake, now: Moment
    ) -> tuple[list[AnyEntry], dict[RunId, tuple[Request, ...]]]:
        entries: list[AnyEntry] = list(taken.declined)
        for_runs: dict[RunId, tuple[Request, ...]] = {}
        for request in taken.taken:
            if request.run is None:
                entries += self._of_the_place(request, now)
            elif request.verb == "accept":
                entries += self._accept(request, request.run, now)
            elif request.run in self._books.runs:
                for_runs[request.run] = (*for_runs.get(request.run, ()), request)
            else:
                entries.append(_declined(request, now, f"there is no run {request.run} here"))
        return entries, for_runs

    def _of_the_place(self, request: Request, now: Moment) -> list[AnyEntry]:
        if request.verb != "down":
            return [_declined(request, now, f"nobody can be asked to {request.verb} without a run")]
        asked = asking.asked(request, now)
        if ("leave_runs", "1") in request.args:
            if self._hold.is_younger_than(request.at):
                return [
                    _declined(request, now, "the supervisor that was to leave has left; this one came later")
                ]
            self._wake.caught.append(signal.SIGTERM)
            return [asked]
        return [asked, Held(at=now, run=None, why=request.why or "down", what=DOWN)]

    def _accept(self, request: Request, run: RunId, now: Moment) -> list[AnyEntry]:
        asked = asking.asked(request, now)
        if run in self._books.runs:
            return [asked]
        spec = self._spec(run)
        if spec is None:
            return [_declined(request, now, self._screens.noted(run))]
        return [intake.accepted(spec, now, request.why or "asked for"), asked]

    def _reload(self) -> None:
        try:
            self._slots = self._tools.slots()
            log.info("configuration read anew: %d slots", self._slots)
        except OutlastError as error:
            log.warning("the configuration stays as it was: %s", error)

    def _hear_inline(self, number: int, run: RunId) -> None:
        """1st INT: safe stop, 2nd: stop now. TERM: stop safely and leave the run resumable. HUP: nothing."""
        if number == signal.SIGHUP:
            return
        again = [("now", "1")] if self._wake.obeyed else []
        try:
            if number == signal.SIGTERM and not again:
                requests.post(self.place, "down", None, [], f"signal {number}")
            else:
                requests.post(self.place, "stop", run, again, f"signal {number}")
        except WorldError as error:  # a full disk: it is heard again at the next turn
            log.warning("signal %d cannot be noted yet: %s", number, error)
            self._wake.caught.append(number)
            return
        self._wake.obeyed += 1

    # --- deciding and doing ----------------------------------------------------------------------------------

    def _decide_all(
        self, now: Moment, for_runs: Mapping[RunId, tuple[Request, ...]]
    ) -> tuple[list[AnyEntry], list[tuple[Spec, Action]], float]:
        books = {run: self._books.runs[run] for run in sorted(self._live | for_runs.keys())}
        seen = observe.look(self.workspace, books, self._tools.backend)
        grants = self._grants(now, seen)
        entries: list[AnyEntry] = []
        acts: list[tuple[Spec, Action]] = []
        wait_s = float("inf")
        for run, book in books.items():
            asked = for_runs.get(run, ())
            if asked:  # settled in the history before anything follows from it, whatever can be seen
                entries += answers(run, book, asked, now, self.term.number)
                continue
            spec = self._spec(run)
            if spec is None:
                continue
            try:
                decision = decide(
                    spec, book, self._sight(spec, seen[run], book, now, grants), self.term.number
                )
            except WorldError as error:
                self._screens.note(run, str(error))
                continue
            except Exception as error:  # one bad run never stops the others; it is shown and tried again
                log.exception("run %s: cannot be decided", run)
                self._screens.note(run, f"internal error: {error}")
                continue
            entries += decision.entries
            acts += [(spec, action) for action in decision.actions]
            if decision.wake_in_s is not None:
                wait_s = min(wait_s, decision.wake_in_s)
        return entries, acts, wait_s

    def _sight(self, spec: Spec, seen: observe.Seen, book: Book, now: Moment, grants: queue.Grants) -> Sight:
        self._screens.saw(spec.run, seen.n, seen.doors)
        why = seen.presence.why if isinstance(seen.presence, Unseen) else ""
        self._screens.note(spec.run, why or grants.reasons.get(spec.run, ""))
        newest = self._newest(spec, book) if isinstance(seen.presence, Closed) else None
        return Sight(
            now=now,
            presence=seen.presence,
            newest=newest,
            holds=self._books.holds,
            granted=spec.run in grants.granted,
            asked=self._books.asked,
        )

    def _newest(self, spec: Spec, book: Book) -> Candidate | None:
        """Raises WorldError: but a run that is to end anyway does not wait for a folder that cannot be listed."""
        try:
            folder = self.workspace.run(spec.run)
            named = observe.newest_checkpoint(spec, self._tools.formats, saved.proven_bad(folder))
            return max(
                (each for each in (named, saved.newest(folder)) if each is not None),
                key=lambda each: each.step or 0,
                default=None,
            )
        except WorldError as error:
            if not ends_with_this(book):
                raise
            log.warning("run %s: ended without knowing its checkpoints: %s", spec.run, error)
            return None

    def _grants(self, now: Moment, seen: Mapping[RunId, observe.Seen]) -> queue.Grants:
        """Who cannot be seen cannot begin now, and takes no place from those who can."""
        waiting: list[queue.Waiter] = []
        used: dict[RunId, int] = {}
        outcomes: dict[RunId, Outcome | None] = {}
        for run in self._live:
            book, spec = self._books.runs[run], self._spec(run)
            if spec is None:
                continue
            if isinstance(book.phase, Trying):
                used[run] = spec.slots
            elif isinstance(book.phase, Waiting) and not isinstance(seen[run].presence, Unseen):
                waiting.append(queue.queued(spec, book, now, self._ordinal(run), observe.shortage(book)))
            for other in spec.after:
                if other in self._books.runs:  # one that was removed is not waited for: the reason says so
                    phase = self._books.runs[other].phase
                    outcomes[other] = phase.outcome if isinstance(phase, Done) else None
        return queue.grant(waiting, used=used, slots=self._slots, outcomes=outcomes)

    def _ordinal(self, run: RunId) -> int:
        """Its place in the order of acceptance, which the history keeps and no clock can change."""
        if run not in self._ordinals:
            self._ordinals = {each: place for place, each in enumerate(self._books.runs)}
        return self._ordinals[run]

    def _write(self, entries: Sequence[AnyEntry]) -> None:
        if not entries:
            return
        lines = [to_line(entry) for entry in entries]
        self.term.append(lines)
        self._books.add(entries, lines)
        for entry in entries:
            log.info("%s %s: %s", entry.run or self.place.name, type(entry).__name__.lower(), entry.why)
            self._screens.touch(entry.run)
            if entry.run is not None:
                self._follow(entry.run)
        for entry in entries:
            if isinstance(entry, Finished) and entry.run is not None:
                show.write_history(self.workspace.run(entry.run), self._books.lines.pop(entry.run, []))

    def _follow(self, run: RunId) -> None:
        """Keep track of who lives, and of what waits for its record to be sealed."""
        book = self._books.runs.get(run)
        if book is None or isinstance(book.phase, Done):
            self._live.discard(run)
        else:
            self._live.add(run)
        if book is not None and (self._is_to_go(run, book) or needs_next_term(book, self.term.number)):
            self._unsettled.add(run)

    def _is_to_go(self, run: RunId, book: Book) -> bool:
        return book.removing is not None and book.removing != self._removable.get(run)

    def _act_all(self, acts: Sequence[tuple[Spec, Action]]) -> bool:
        """Whether any act failed."""
        failed = False
        for spec, action in acts:
            try:
                self._hands.act(spec, action)
            except OutlastError as error:
                failed = True
                log.warning("run %s: %s", spec.run, error)
                self._screens.note(spec.run, str(error))
            except Exception as error:  # one bad run never stops the others; it is shown and tried again
                failed = True
                log.exception("run %s: %s failed", spec.run, type(action).__name__)
                self._screens.note(spec.run, f"internal error: {error}")
        return failed

    def _remove_settled_runs(self, now: Moment) -> float:
        """Seconds until the next turn is due for it."""
        books, removals = self._books.runs, self._tools.removals
        for run in list(self._removable):
            if run not in books or books[run].removing is None:  # somebody wants it after all
                del self._removable[run]
        removed = removals.turn(self._removable, now)
        self._write(removed)
        for entry in removed:
            if entry.run is not None:
                del self._removable[entry.run]
                self._screens.drop(entry.run)
        self._screens.hinder(removals.troubles())
        return removals.wake_in_s()

    # --- looking again -----------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Be woken by requests, and by doors of attempts that may open or close."""
        folders = {self.place.requests}
        for run in self._live:
            phase = self._books.runs[run].phase
            if isinstance(phase, Trying):
                folders.add(self.workspace.run(run).attempt(phase.n).path)
        self._wake.watch_only(folders)

    def _spec(self, run: RunId) -> Spec | None:
        """The run's specification; None, with the reason noted, where it cannot be read."""
        if run not in self._specs:
            try:
                self._specs[run] = intake.load_spec(self.workspace, run)
            except WorldError as error:
                self._screens.note(run, str(error))
                return None
        return self._specs[run]


def _now() -> Moment:
    return from_record(moment(), Moment)


def _declined(request: Request, now: Moment, why: str) -> Declined:
    return Declined(at=now, run=None, why=why, request=request.number)
