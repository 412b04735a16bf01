"""The processes of one attempt: who belongs to it, whether any lives, and how all of them are ended.

A process belongs to it if it descends from us, is in the training's session or cgroup, or carries the attempt's mark
in its environment: torchrun puts every rank into a session of its own, and a shell may redirect every descriptor, but
hardly anything does all of it and loses the mark. Unseen is not gone: what cannot be read keeps the attempt open.

Knows /proc, the mark, the lease, signals through pidfds. Refuses to know why the tree should end.
"""

from __future__ import annotations

import os
import signal
import time

from outlast.disk import files
from outlast.errors import WorldError
from outlast.runner import beside, census, cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outlast.disk.identity import Identity
    from outlast.disk.layout import AttemptFolder

    Wait = Callable[[list[int], float], bool]  # pidfds, seconds -> must we hurry

Members = dict[int, int]  # pid -> start ticks

INIT = 1  # it was there before everybody
FREEZE_S = 2.0  # until two counts agree
KILL_S = 60.0  # from the first KILL on; what still lives then is in the kernel's hands (D state)
EXEC_S = 5.0  # longer than any exec; what has neither words nor environment for good is another's
LOOK_S = 0.5  # between two counts while we wait for deaths
PIDFDS_MAX = 64


class Count:
    """`found` live; `looked_at` stood there; `descendants` of ours, dead ones too."""

    def __init__(self, found: Members, looked_at: frozenset[int], descendants: frozenset[int]) -> None:
        self.found, self.looked_at, self.descendants = found, looked_at, descendants


class Tree:
    """`child` is the training's first process (None: it never came to be). Our own child is kept as a zombie until the
    tree is empty, so that neither its pid nor its session becomes anybody else's. `ours`: we are its subreaper."""

    def __init__(
        self,
        folder: AttemptFolder,
        mark: str,
        child: Identity | None,
        *,
        ours: bool,
        head_count: str | None = None,
    ) -> None:
        self._folder, self._child, self._ours, self._cgroup = folder, child, ours, head_count
        self._mark = b"\0OUTLAST_ATTEMPT_DIR=" + os.fsencode(mark) + b"\0"
        self.unseen: list[str] = []  # of the last count
        self.ended: set[tuple[int, int]] = set()  # (pid, start ticks) of all that we signalled to end
        self._in_exec: dict[int, float] = {}  # since when
        self._groups: set[int] = set()  # process groups of members: a signal to a group misses nobody in it
        self._is_gathered = not ours  # who takes over finds it as it is

    # --- looking -------------------------------------------------------------------------------------------------

    def members(self) -> Members:
        """All that live, but us. Raises WorldError: /proc cannot be read."""
        return self._count(frozenset()).found

    def is_empty(self) -> bool:
        """Nothing alive: two counts agree that there is nobody, and nobody holds the lease or the log. What stood
        there at the first count and was not of us cannot have become so: the second reads only who is new. Whoever
        forks faster than we read leaves our children behind as zombies, and these differ."""
        first = self._count(frozenset())
        if first.found or self.unseen:
            return False
        second = self._count(first.looked_at)
        return not second.found and not self.unseen and first.descendants == second.descendants

    def is_leased(self) -> bool:
        """Whether anybody still holds the lease or the log's lock: alive for sure, wherever it is."""
        return bool(files.is_locked(self._folder.lease)) or bool(files.is_locked(self._folder.output))

    def _count(self, known: frozenset[int]) -> Count:
        self.unseen = []
        ours = set(beside.at_work).union(*map(census.descendants, beside.at_work))
        pids = [pid for pid in census.pids() if pid not in ours]
        descendants = census.descendants(os.getpid()) - ours
        inner = descendants | census.cgroup_members(self._cgroup)
        session = self._session()
        found: Members = {}
        for pid in pids:
            if pid in inner or (session is not None and census.session(pid) == session):
                belongs = True
            elif pid in known:
                continue
            else:
                belongs = self._carries_mark(pid)
            ticks = census.living(pid) if belongs else None
            if ticks is not None:
                found[pid] = ticks
        if not found and self.is_leased():
            found = self._holders()
        self._note_groups([*found, *inner])
        return Count(found, frozenset(pids), frozenset(descendants))

    def _note_groups(self, pids: Iterable[int]) -> None:
        """A group never spans sessions, and every session of a member was made by a member: all in it are ours."""
        for pid in pids:
            group = census.group(pid)
            if group is not None and group != os.getpgid(0):
                self._groups.add(group)

    def _session(self) -> int | None:
        """The number of the training's session, None where it may be another's by now."""
        if self._child is None:
            return None
        leader = int(self._child["pid"])
        ticks = census.start_ticks(leader)
        return leader if ticks is None or ticks == self._child["start_ticks"] else None

    def _carries_mark(self, pid: int) -> bool:
        found = census.mark_in(pid, self._mark)
        if found == census.UNREADABLE and not self._ours and self._may_be_of_us(pid):
            self.unseen.append(f"process {pid} ({census.name(pid)}) is this user's and cannot be read")
        if found == census.EMPTY and not self._ours and self._may_be_of_us(pid):
            since_s = self._in_exec.setdefault(pid, time.monotonic())
            if time.monotonic() - since_s < EXEC_S:
                self.unseen.append(f"process {pid} ({census.name(pid)}) is in the middle of an exec")
        return found == census.PRESENT

    def _may_be_of_us(self, pid: int) -> bool:
        """Of an unreadable process: whether it is this user's and began after the training. As a subreaper we need
        not ask: whatever left the training became our child."""
        if pid == INIT or census.owner(pid) not in (os.getuid(), None):
            return False
        ticks = census.living(pid)
        return self._child is not None and ticks is not None and ticks >= self._child["start_ticks"]

    def _holders(self) -> Members:
        """Who holds the lease or the log, found by their descriptors; it lost session and environment."""
        found = {}
        for pid in census.lock_holders((self._folder.lease, self._folder.output)):
            ticks = census.living(pid)
            if ticks is not None:
                found[pid] = ticks
        if not found and self.is_leased():
            self.unseen.append("somebody whom we cannot see holds the lease or the log")
        return found

    def gather(self) -> None:
        """Once, when the training has lived for a moment: into a cgroup of its own, where that can be had."""
        if self._cgroup is not None and not self._is_gathered:
            self._is_gathered = True
            cgroup.gather(self._cgroup, self.seen)

    # --- ending --------------------------------------------------------------------------------------------------

    def end(self, grace_s: float, wait: Wait) -> bool:
        """TERM to all, `grace_s`, KILL to all, until nobody is left; at most a minute after the first KILL. False:
        somebody lives even then. `wait` waits for pidfds, and says whether there is no time for grace any more."""
        return (grace_s > 0 and self._terminate(grace_s, wait)) or self._kill(wait)

    def _terminate(self, grace_s: float, wait: Wait) -> bool:
        """Whether all have gone within the grace. A look that failed shows nobody: it ends no grace."""
        told = self._tell()
        deadline = time.monotonic() + grace_s
        hurry = False
        while True:
            members = self.seen()
            if members and not told:  # the first look was blind: nobody has heard of it
                told = self._tell()
            self.ended.update(members.items())
            left_s = deadline - time.monotonic()
            if not members and self._is_empty():
                return True
            if left_s <= 0 or hurry:
                return False
            hurry = wait_for(members, min(left_s, LOOK_S), wait)

    def _tell(self) -> Members:
        """TERM to all that are frozen, then CONT, which also wakes whoever was stopped before we came: they find TERM
        pending when they go on. Nobody is told twice: what a training starts to save itself is not to be ended."""
        frozen = self._freeze()
        for number in (signal.SIGTERM, signal.SIGCONT):
            for pid, ticks in frozen.items():
                send(pid, ticks, number)
        self._signal_groups(signal.SIGCONT)
        return frozen

    def _kill(self, wait: Wait) -> bool:
        deadline = time.monotonic() + KILL_S
        while True:
            members = self._freeze()
            census.kill_cgroup(self._cgroup)
            for pid, ticks in members.items():
                send(pid, ticks, signal.SIGKILL)
            self._signal_groups(signal.SIGKILL)
            if not members and self._is_empty():
                return True
            if time.monotonic() > deadline:
                return False
            wait_for(members, LOOK_S, wait)

    def _freeze(self) -> Members:
        """Stop all, so that none can fork behind our back: a process with a signal pending completes no fork."""
        frozen: Members = {}
        deadline = time.monotonic() + FREEZE_S
        counts = 0
        while time.monotonic() < deadline:
            new = {pid: ticks for pid, ticks in self.seen().items() if frozen.get(pid) != ticks}
            counts += 1
            if not new and counts > 1:
                break
            self._signal_groups(signal.SIGSTOP)
            for pid, ticks in new.items():
                send(pid, ticks, signal.SIGSTOP)
            frozen.update(new)
        self.ended.update(frozen.items())
        return frozen

    def _signal_groups(self, number: int) -> None:
        """At one blow, also to those who fork faster than we count."""
        for group in list(self._groups):
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                self._groups.discard(group)  # from now on the number may be anybody's
            except OSError:
                continue

    def seen(self) -> Members:
        """As `members`; a /proc that cannot be read shows nobody, and `unseen` says so."""
        try:
            return self.members()
        except WorldError as error:
            self.unseen.append(str(error))
            return {}

    def _is_empty(self) -> bool:
        try:
            return self.is_empty()
        except WorldError as error:
            self.unseen.append(str(error))
            return False


def wait_for(members: Members, seconds: float, wait: Wait) -> bool:
    """Wait until these have died (the first few of many: who waits counts again)."""
    pidfds = []
    try:
        for pid, ticks in list(members.items())[:PIDFDS_MAX]:
            pidfd = open_pidfd(pid, ticks)
            if pidfd is not None:
                pidfds.append(pidfd)
        return wait(pidfds, seconds)
    finally:
        for pidfd in pidfds:
            os.close(pidfd)


def open_pidfd(pid: int, ticks: int) -> int | None:
    """A pidfd of exactly that process, None if it is gone (or there is no descriptor left for it)."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    if census.start_ticks(pid) == ticks:
        return pidfd
    os.close(pidfd)
    return None


def send(pid: int, ticks: int, number: int) -> bool:
    """Signal exactly that process; False if it is gone or not ours to signal."""
    pidfd = open_pidfd(pid, ticks)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True
