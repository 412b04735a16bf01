"""The foreground view of a run: the training's own output, and how the run stands.

It only looks: at output.log, the snapshot and progress, by stat, many times a second. It holds no lock, and losing it
(a terminal that closes, a reader that leaves) never touches the run. What a person's signals ask becomes requests.

Refuses to decide anything.
"""

import contextlib
import errno
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from outlast.cli import quick
from outlast.cli.announce import Announcer, conclusion, standing
from outlast.cli.bottom import BottomLine
from outlast.cli.keep import Keeper
from outlast.cli.tail import Tail
from outlast.cli.wait import exit_code
from outlast.disk import requests
from outlast.disk.layout import Workspace
from outlast.errors import CANCELLED, TRY_AGAIN, NotFound, OutlastError, TryAgain

POLL_S = 0.05
LINE_EVERY_S = 0.25
WORD_EVERY_S = 30.0  # on a pipe or file, where there is no live line
GONE = (errno.EPIPE, errno.EIO, errno.EBADF)


def watch(workspace: Workspace, run: str, announce: Callable[[], None], *, quiet: bool = False) -> int:
    """`announce` the run, then view it until it ends, with signals as the table says; the exit code, 75 if only the
    view has ended. `quiet`: without its output. Raises what `announce` raises, but no TryAgain: who watches, waits."""
    signals = Signals(workspace, run)
    with signals:
        view = View(workspace, run, stopping=lambda: signals.interrupts, quiet=quiet)
        signals.before_suspend = view.clear
        try:
            try:
                announce()
            except TryAgain as error:
                view.say(str(error))
            finally:
                signals.may_post.set()
            signals.leave_if_asked_early()
            return view.until_ended(Keeper(workspace, run, quick.place_of(workspace, run), begins=True))
        except Leave as leave:
            view.close()
            return _left(view, run, leave.number)
        finally:
            view.close()


def _left(view: "View", run: str, number: int) -> int:
    if number == signal.SIGINT:
        view.say(f"left; the stop goes on (outlast show {run})")
        return CANCELLED
    if number != signal.SIGHUP:
        view.say(f"detached; the run goes on: outlast logs -f {run}")
    return TRY_AGAIN  # whoever reads the code must not take a run that goes on for one that is completed


class Leave(BaseException):
    """Out of whatever blocks: only the view ends."""

    def __init__(self, number: int) -> None:
        self.number = number


class Signals:
    """INT: 1st a safe stop, 2nd stop now, 3rd leave. TERM, HUP: leave. TSTP (Ctrl-Z): only the view is suspended.
    `may_post` once the run has been announced, so that nobody is asked to stop a run that he does not know yet, and
    nobody leaves one that nobody knows: until then only the second wish to leave is obeyed at once."""

    def __init__(self, workspace: Workspace, run: str) -> None:
        self._workspace, self._run = workspace, run
        self.interrupts = 0
        self.may_post = threading.Event()
        self._asked_early: int | None = None
        self.before_suspend: Callable[[], None] = lambda: None
        self._old: dict[int, Any] = {}

    def __enter__(self) -> None:
        self._old[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup stays in force
                self._old[number] = signal.signal(number, self._leave)

        if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            self._old[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        self.interrupts += 1
        if self.interrupts > 2:
            self._leave(number, _frame)
            return
        # in a thread: the main one may be blocked, writing to somebody who does not read
        threading.Thread(target=self._post, args=(self.interrupts > 1,)).start()

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        """Leave the terminal as it was, stop as anybody would, and go on when continued."""
        self.before_suspend()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._suspend)

    def _leave(self, number: int, _frame: FrameType | None) -> None:
        if self.may_post.is_set() or self._asked_early is not None:
            raise Leave(number)
        self._asked_early = number

    def leave_if_asked_early(self) -> None:
        if self._asked_early is not None:
            raise Leave(self._asked_early)

    def _post(self, now: bool) -> None:
        from outlast.supervise import start

        self.may_post.wait(timeout=60.0)
        try:
            place = quick.place_of(self._workspace, self._run)
            args = [("now", "1")] if now else []
            requests.post(
                place, "stop", self._run, args, f"interrupt {2 if now else 1} in the foreground view"
            )
            start.ensure(self._workspace, place.name)
        except OutlastError as error:
            say(f"the stop could not be asked for: {error}")


class View:
    """Shows output as it comes; `until_ended` in the foreground, `step` from a thread of an inline supervisor."""

    def __init__(
        self, workspace: Workspace, run: str, *, stopping: Callable[[], int] = lambda: 0, quiet: bool = False
    ) -> None:
        self._workspace, self._folder, self._run = workspace, workspace.run(run), run
        self._tail = Tail(self._folder)
        self._announcer = Announcer()
        self._stopping, self._interrupts = stopping, 0
        self._snapshot = _Watched(self._folder.snapshot)
        self._progress = _Watched(self._tail.folder.progress)
        self._started: dict[str, Any] | None = None
        self._quiet = quiet
        self._bottom = BottomLine(2) if BottomLine.fits(2) and not quiet else None
        self._line_due = 0.0
        self._word_due = time.monotonic() + WORD_EVERY_S
        self._muted = quiet
        self._at_line_start = True

    def until_ended(self, keeper: Keeper) -> int:
        while True:
            drained = self.step()
            snapshot = self.snapshot()
            if drained and snapshot.get("phase") == "ended":
                self._tail.n = max(
                    [self._tail.n, *[attempt["n"] for attempt in snapshot.get("attempts") or ()]]
                )
                self._tell_news()
                self.close()
                for line in conclusion(snapshot):
                    self.say(line)
                return exit_code(snapshot)
            if drained:
                keeper.look(str(snapshot.get("phase")))
                if keeper.told_to_leave and not self._is_alive():
                    self.close()
                    self.say(f"stopped and resumable: `outlast up --detach` goes on with {self._run}")
                    return TRY_AGAIN
                if not os.path.exists(self._folder.record):
                    raise NotFound(f"run {self._run} was removed while it was watched")
                time.sleep(POLL_S)

    def step(self) -> bool:
        """Show what is new; whether nothing more stands there now. Raises Leave when nobody can see it any more."""
        over = self._tail.is_over()
        part = self._tail.read()
        if part:
            self._show(part)
            return False
        if over and self._tail.advance():
            self._progress = _Watched(self._tail.folder.progress)
            self._started = None
            self._tell_news()
            return False
        self._say_stopping()
        self._tell_news()
        self._tell_standing()
        return True

    def snapshot(self) -> dict[str, Any]:
        found = self._snapshot.record() or {"id": self._run, "phase": "queued"}
        return {**found, "phase": quick.phase_of_live(self._tail.folder.path, str(found.get("phase")))}

    def clear(self) -> None:
        """Give the terminal's last row back; the next look takes it again."""
        if self._bottom is not None:
            self._bottom.remove()

    def close(self) -> None:
        self.clear()
        self._bottom = None
        self._tail.close()

    def say(self, line: str) -> None:
        if not self._at_line_start and os.isatty(2):
            with contextlib.suppress(OSError):
                write(2, b"\n")
        self._at_line_start = True
        say(line)

    def _say_stopping(self) -> None:
        if self._stopping() != self._interrupts:
            self._interrupts = self._stopping()
            self._at_line_start = False  # the terminal has echoed ^C
            safely = self._interrupts == 1
            self.say("stopping safely; Ctrl-C again stops at once" if safely else "stopping at once")

    def _show(self, part: bytes) -> None:
        if self._muted:
            return
        self._at_line_start = part.endswith(b"\n")
        try:
            write(1, part)
        except OSError as error:
            if error.errno in GONE:
                raise Leave(signal.SIGTERM) from error
            self._muted = True
            self.say(
                f"the output cannot be shown here ({error.strerror}); all of it is in {self._tail.folder.output}"
            )

    def _tell_news(self) -> None:
        if self._started is None:
            self._started = quick.record(self._tail.folder.started)
        for line in self._announcer.news(self.snapshot(), self._tail.n, self._started):
            self.say(line)

    def _tell_standing(self) -> None:
        now = time.monotonic()
        if self._bottom is not None and now >= self._line_due:
            self._line_due = now + LINE_EVERY_S
            try:
                name = self.snapshot().get("name") or self._run  # its id was said when it began
                self._bottom.show(f"{name} · {self._standing(now, bar=True)}")
            except OSError as error:
                raise Leave(signal.SIGHUP) from error
        elif self._bottom is None and not self._quiet and now >= self._word_due:
            self._word_due = now + WORD_EVERY_S
            self.say(self._standing(now))

    def _standing(self, now: float, *, bar: bool = False) -> str:
        progress = self._progress.record()
        silent_s = 0.0
        if progress is not None:
            at = progress.get("at") or {}
            quiet_s = max(float(progress.get(name) or 0.0) for name in ("last_progress_s", "quiet_s"))
            silent_s = quiet_s + max(0.0, now - at.get("mono_s", now))
        return standing(
            self.snapshot(), self._tail.n, progress, silent_s=silent_s, stopping=self._stopping(), bar=bar
        )

    def _is_alive(self) -> bool:
        """Whether a runner still watches the attempt that is shown."""
        folder = self._tail.folder
        return not os.path.exists(folder.exit) and bool(quick.is_held(folder.claim))


class _Watched:
    """A derived record, read again only when it was replaced."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._record: dict[str, Any] | None = None

    def record(self) -> dict[str, Any] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return self._record
        seen = (found.st_ino, found.st_mtime_ns)
        if seen != self._seen:
            record = quick.record(self._path)
            if record is not None:
                self._seen, self._record = seen, record
        return self._record


def write(fd: int, body: bytes) -> None:
    """All of it, also to a descriptor that somebody left non-blocking. Raises OSError."""
    view = memoryview(body)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [], 1.0)


def say(line: str) -> None:
    try:
        print(f"outlast: {line}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return  # nobody listens
