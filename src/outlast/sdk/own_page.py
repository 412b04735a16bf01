"""The one page of this process: in the heartbeat folder when outlast runs us, else a page that nobody reads.

Knows when a page must be another's: after a fork the child gets a private one, so that no data-loading process ever
beats for its parent. Refuses to know what is said on it: that is `sdk/writing`.
"""

from __future__ import annotations

import atexit
import mmap
import os
import sys

from outlast.disk import page
from outlast.sdk.surroundings import counted_by_torch, rank_and_world, supervised
from outlast.sdk.writing import Writing

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Callable


class OwnPage(Writing):
    """Written on by whichever training beat last; `path` is None if nobody reads it."""

    def __init__(self, memory: mmap.mmap, path: str | None = None) -> None:
        super().__init__(memory)
        self.path = path
        self.left = False
        self.signed: tuple[int, int] | None = None  # rank and world size
        self.inherited = False  # the private page of a forked child that has not called training() itself
        self.let_go: Callable[[], None] = _nothing  # takes the page from the training that writes on it now

    def leave(self) -> None:
        """Leave a copy for whoever looks when we are gone; beating on comes back to the page."""
        self.let_go()
        if isinstance(self.memory, page.Mapped) and self.path is not None and not self.left:
            self.left = True
            try:
                page.leave(self.memory, self.path)
            except OSError:
                return  # deleted, or full: who has the page open reads it still

    def come_back(self) -> None:
        if self.left and isinstance(self.memory, page.Mapped) and self.path is not None:
            self.left = False
            try:
                page.publish(self.memory, self.path)
            except OSError:
                return


def _nothing() -> None:
    return None


_own: OwnPage | None = None
_rank: tuple[int, int] | None = None
_said: set[str] = set()
_kept: list[OwnPage] = []  # of the parents: an mmap that goes closes a number, which may be another's by now


def own_page() -> OwnPage:
    """This process's page, made when first asked for."""
    global _own
    if _own is None or _own.inherited:
        if _own is not None:
            _own.let_go()
        _own = _make()
        atexit.register(_own.leave)
    return _own


def current_page() -> OwnPage | None:
    """What to beat on now: a forked child that only inherited a training finds its private page here."""
    return _own


def rank_is(rank: int, world: int) -> None:
    """A framework that has counted its processes knows better than the environment; before the page is made."""
    global _rank
    _rank = (rank, max(world, rank + 1))


def sign_anew(own: OwnPage) -> None:
    """The ranks may have come to know each other only after the page was made."""
    who = _who()
    if own.signed is not None and own.signed != who:
        own.write_rank(*who)
        own.signed = who


def _who() -> tuple[int, int]:
    """Who has counted most of the ranks knows best: a program of one may run as one of many tasks, and many ranks be
    started by a program that sets no variable."""
    if _rank is not None:
        return _rank
    by_torch, by_launcher = counted_by_torch(), rank_and_world()
    return by_torch if by_torch is not None and by_torch[1] >= by_launcher[1] else by_launcher


def say_once(line: str) -> None:
    """One line on standard error, in the life of this process."""
    if line in _said:
        return
    _said.add(line)
    try:
        print(f"outlast: {line}", file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        return  # stderr is closed


def private() -> OwnPage:
    """A page that nobody reads: the same path for the training, and no other."""
    memory = mmap.mmap(-1, page.BYTES)
    page.clear(memory)
    return OwnPage(memory)


def _make() -> OwnPage:
    try:
        if not supervised() or _loads_data():
            return private()
        rank, world = _who()
        folder = os.environ.get("OUTLAST_HEARTBEAT")
        if not folder:
            raise FileNotFoundError("no heartbeat folder was given (OUTLAST_HEARTBEAT)")
        path = os.path.join(folder, f"rank-{rank}.{os.getpid()}")
        memory = page.create(path)
        page.sign(memory, rank, world)
        own = OwnPage(memory, path)
        own.signed = (rank, world)
        return own
    except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
        say_once(f"no exact progress: {error}")
        return private()


def _loads_data() -> bool:
    """Whether this process only loads data for a rank, whose environment it has: it never speaks for it."""
    torch_data = sys.modules.get("torch.utils.data")
    return torch_data is not None and torch_data.get_worker_info() is not None


def _after_fork() -> None:
    global _own
    if _own is None:
        return
    parents, _own = _own, private()
    parents.let_go()
    _own.inherited = True
    atexit.unregister(parents.leave)
    if isinstance(parents.memory, page.Mapped):
        page.let_go(parents.memory)
        _kept.append(parents)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
