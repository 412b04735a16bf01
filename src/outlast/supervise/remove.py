"""Takes ended runs out of the workspace, on settled records only, and never in the way of anything else.

What is quick is done within the turn: a rename into the trash, and the record that the run is gone. What may take
minutes, packing and deleting, is done by one child (`work/clear`), whose `cleared.json` later turns observe:

    rm:       -> trash -> Removed -> (child) deleted
    archive:  (child) packed -> trash -> Removed -> (child) deleted

Killed anywhere, either of them is started again. What fails is shown with the reason and tried again, ever more
seldom; it keeps neither another removal nor, after a few tries, the supervisor.
"""

import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from outlast.disk import clearing, files
from outlast.disk.layout import Place, Workspace
from outlast.errors import TRY_AGAIN, WorldError
from outlast.facts import Moment, Removed, RunId

log = logging.getLogger(__name__)
Removing = tuple[str, int]  # "rm" or "archive", the request for it
PER_TURN = 64  # each makes two folders durable, and a turn has to be short
PACKS_PER_CHILD = 100
LOOK_S = 1.0  # at a child that is at work
AGAIN_FIRST_S, AGAIN_LONGEST_S = 2.0, 300.0
STAY_TRIES = 3  # so often is it tried before an idle supervisor leaves it to the next one
TRASH = "the trash"
SHOWN_MAX = 20


class Child(Protocol):
    """A process that was started."""

    def poll(self) -> int | None: ...


Start = Callable[[Sequence[str]], Child]  # raises WorldError


class Trouble(NamedTuple):
    """What cannot be done yet, and why; `due_s`: when it is tried again."""

    what: str
    request: int
    why: str
    tries: int
    due_s: float


class Removals:
    """Those of one place, from term to term. `start` starts the child with its name and the packs that it is to make.
    `leaves_trash`: what others left in the trash is no affair of ours (a supervisor of one run)."""

    def __init__(
        self, workspace: Workspace, place: Place, start: Start, *, leaves_trash: bool = False
    ) -> None:
        self._workspace, self._place, self._start = workspace, place, start
        self._child: Child | None = None
        self._name = ""  # the child's, by which its word is known
        self._packing: dict[RunId, int] = {}  # told to the child, and not heard of yet
        self._troubles: dict[str, Trouble] = {}
        self._trash_is_due = not leaves_trash and _holds_anything(workspace.trash)
        self._due: Mapping[RunId, Removing] = {}
        self._is_cut_short = False

    def turn(self, due: Mapping[RunId, Removing], now: Moment) -> list[Removed]:
        """Those of `due` that are gone now. All of `due` are settled, and ended for good."""
        self._due = dict(due)
        for run in self._troubles.keys() - due.keys() - {TRASH}:
            del self._troubles[run]
        said = self._hear()
        removed: list[Removed] = []
        to_pack: dict[RunId, int] = {}
        self._is_cut_short = False
        for run, how, request in self._to_try():
            if len(removed) == PER_TURN:
                self._is_cut_short = True
                break
            try:
                if how == "archive" and not self._is_packed(run, request, said):
                    to_pack[run] = request
                    continue
                removed.append(self._take_away(run, how, request, now))
            except WorldError as error:
                self._met(run, request, f"{how} {run}", str(error))
            except Exception as error:  # one bad run never stops the others; it is shown and tried again
                log.exception("%s %s failed", how, run)
                self._met(run, request, f"{how} {run}", f"internal error: {error}")
        self._send(to_pack)
        return removed

    def is_busy(self, due: Collection[RunId]) -> bool:
        """Whether a supervisor that is idle otherwise is still needed for it."""
        return self._child is not None or any(
            run not in self._troubles or self._troubles[run].tries < STAY_TRIES for run in due
        )

    def wake_in_s(self) -> float:
        """When the next turn is due for it. The end of a child wakes by itself, that of another's does not."""
        if self._is_cut_short:
            return 0.0
        if self._child is not None:
            return LOOK_S
        now_s = time.monotonic()
        waits = [self._troubles[run].due_s - now_s if run in self._troubles else LOOK_S for run in self._due]
        if self._trash_is_due:
            waits.append(self._troubles[TRASH].due_s - now_s if TRASH in self._troubles else LOOK_S)
        return max(0.0, min(waits, default=float("inf")))

    def troubles(self) -> dict[str, str]:
        """What cannot be done yet, by run (or TRASH), in words for people."""
        shown = {key: f"{each.what}: {each.why}" for key, each in self._troubles.items()}
        return dict(list(shown.items())[:SHOWN_MAX])

    # --- within the turn ---------------------------------------------------------------------------------------

    def _to_try(self) -> list[tuple[RunId, str, int]]:
        """In the order of their requests."""
        now_s = time.monotonic()
        found = []
        for run, (how, request) in sorted(self._due.items(), key=lambda item: item[1][1]):
            trouble = self._troubles.get(run)
            if trouble is not None and trouble.request != request:  # it was asked for anew
                del self._troubles[run]
                trouble = None
            if trouble is None or trouble.due_s <= now_s:
                found.append((run, how, request))
        return found

    def _take_away(self, run: RunId, how: str, request: int, now: Moment) -> Removed:
        """Raises WorldError; nothing is lost then. Every step may happen twice; what is gone already is fine."""
        trashed = files.move_to_trash(self._workspace.run(run).path, self._workspace.trash)
        if trashed is None and _stands(self._workspace.runs):
            files.fsync_directory(self._workspace.runs)  # whoever moved it may have died before that
        self._trash_is_due = self._trash_is_due or trashed is not None
        self._troubles.pop(run, None)
        if how != "archive":
            return Removed(at=now, run=run, why="deleted on request", request=request, how="rm")
        pack = self._workspace.pack(run)
        why = f"packed into {pack}" if _stands(pack) else "its folder was gone"
        return Removed(at=now, run=run, why=why, request=request, how="archive")

    def _is_packed(self, run: RunId, request: int, said: clearing.Cleared) -> bool:
        """Whether the pack that this request asked for stands, durably; also if the folder went after it. A pack by
        itself says nothing: it may be of an earlier life of the run. Raises WorldError."""
        if not _stands(self._workspace.run(run).path):
            return True
        if said.packed.get(run) != request or not _stands(self._workspace.pack(run)):
            return False
        self._packing.pop(run, None)
        return True

    # --- the child ---------------------------------------------------------------------------------------------

    def _hear(self) -> clearing.Cleared:
        """What has become of what the child was told."""
        if self._child is None and not self._due:
            return clearing.Cleared()
        code = self._child.poll() if self._child is not None else None
        try:
            said = clearing.read(self._place)
        except WorldError:
            said = clearing.Cleared()  # unseen for now: nothing is packed for sure
        if self._child is None:
            return said
        his = said if said.by == self._name else clearing.Cleared()
        for run in [run for run in self._packing if run in his.failed]:
            self._met(run, self._packing.pop(run), f"archive {run}", his.failed[run])
        if code is not None:
            self._child = None
            if code != TRY_AGAIN:  # another's child was there first
                self._hear_the_end(his)
            self._packing.clear()
        return said

    def _hear_the_end(self, said: clearing.Cleared) -> None:
        no_word = f"the process that clears ended without a word (see {self._place.log})"
        for run, request in self._packing.items():
            if said.packed.get(run) != request:
                self._met(run, request, f"archive {run}", no_word)
        if said.emptied and not said.left:
            self._troubles.pop(TRASH, None)
            self._trash_is_due = self._trash_is_due and _holds_anything(self._workspace.trash)
        else:
            first = next(iter(said.left.values()), no_word)
            more = f" (and {len(said.left) - 1} more)" if len(said.left) > 1 else ""
            self._met(TRASH, 0, TRASH, first + more)

    def _send(self, packs: Mapping[RunId, int]) -> None:
        """Start a child if there is work for one and none is at it, here or left by a supervisor before us."""
        trash = self._troubles.get(TRASH)
        empties = self._trash_is_due and (trash is None or trash.due_s <= time.monotonic())
        if self._child is not None or not (packs or empties):
            return
        chosen = dict(list(packs.items())[:PACKS_PER_CHILD])
        try:
            if files.is_locked(self._place.clearing):
                return
            self._name = os.urandom(8).hex()
            self._child = self._start([self._name, *(f"{run}={request}" for run, request in chosen.items())])
            self._packing.update(chosen)
        except WorldError as error:
            for run, request in chosen.items():
                self._met(run, request, f"archive {run}", str(error))
            if empties:
                self._met(TRASH, 0, TRASH, str(error))

    def _met(self, key: str, request: int, what: str, why: str) -> None:
        before = self._troubles.get(key)
        tries = before.tries + 1 if before is not None else 1
        wait_s = min(AGAIN_FIRST_S * 2 ** min(tries - 1, 10), AGAIN_LONGEST_S)
        if before is None or before.why != why:
            log.warning("%s: %s", what, why)
        self._troubles[key] = Trouble(what, request, why, tries, time.monotonic() + wait_s)


def _stands(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise WorldError(f"cannot look at {path}: {error.strerror}") from error
    return True


def _holds_anything(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False
