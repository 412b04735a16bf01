"""The one page of this process: in the heartbeat folder when outlast runs us, else a page that nobody reads.

Knows when a page must be another's: after a fork the child gets a private one, so that no data-loading process ever
beats for its parent. Refuses to know what is written on it.
"""

from __future__ import annotations

import atexit
import mmap
import os
import sys

from outlast.disk import page
from outlast.sdk.surroundings import rank_and_world, supervised

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Callable


class OwnPage:
    """`memory` is written by whichever training beat last; `path` is None if nobody reads it."""

    def __init__(self, memory: mmap.mmap, path: str | None = None) -> None:
        self.memory, self.path = memory, path
        self.left = False
        self.inherited = False  # the private page of a forked child that has not called training() itself
        self.let_go: Callable[[], None] = _nothing  # takes the page from the training that writes on it now
        self._jumps = 0

    def jump(self, shift: int, loss: float | None = None) -> None:
        """From now on the step is `shift` + beats. `loss` None: as it is."""
        self._jumps += 1
        if loss is None:
            (loss,) = page.BEATS.unpack_from(self.memory, page.LOSS_AT)
        page.BEAT.pack_into(self.memory, page.BEAT_AT, self._jumps, shift, loss, self._jumps)
        page.END_MARK.pack_into(self.memory, page.END_MARK_AT, self._jumps)

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
_said = False


def own_page() -> OwnPage:
    """This process's page, made when first asked for."""
    global _own
    if _own is None or _own.inherited:
        _own = _make()
        atexit.register(_own.leave)
    return _own


def current_page() -> OwnPage | None:
    """What to beat on now: a forked child that only inherited a training finds its private page here."""
    return _own


def _make() -> OwnPage:
    try:
        if not supervised():
            return _private()
        rank, world = rank_and_world()
        folder = os.environ.get("OUTLAST_HEARTBEAT")
        if not folder:
            raise FileNotFoundError("no heartbeat folder was given (OUTLAST_HEARTBEAT)")
        path = os.path.join(folder, f"rank-{rank}.{os.getpid()}")
        memory = page.create(path)
        page.sign(memory, rank, world)
        return OwnPage(memory, path)
    except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
        _say_once(f"outlast: no exact progress: {error}")
        return _private()


def _private() -> OwnPage:
    memory = mmap.mmap(-1, page.BYTES)
    page.WANT.pack_into(memory, page.WANT_AT, 0, page.NO_STOP)
    return OwnPage(memory)


def _say_once(line: str) -> None:
    global _said
    if not _said:
        _said = True
        try:
            print(line, file=sys.stderr, flush=True)
        except (OSError, ValueError, AttributeError):
            return  # stderr is closed


def _after_fork() -> None:
    global _own
    if _own is None:
        return
    parents, _own = _own, _private()
    parents.let_go()
    _own.inherited = True
    atexit.unregister(parents.leave)
    if isinstance(parents.memory, page.Mapped):
        try:
            os.close(parents.memory.fd)
        except OSError:
            return


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
