"""Starts one process that waits at a gate and becomes the training when the gate is opened.

Knows fork, exec, sessions, descriptors, terminals: what a training finds when it wakes up. Refuses to know what must
be on disk before the gate is opened.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal

from outlast.runner import attire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

GO = b"g"
NOT_STARTED, NOT_EXECUTED = 126, 127
HIGH_FD = 200  # where the lease is inherited besides standard input: out of the way of what programs count on
TIOCSCTTY, TIOCSWINSZ = 0x540E, 0x5414  # asm-generic/ioctls.h
WINDOW = b"\x18\0\x50\0\0\0\0\0"  # 24 rows, 80 columns
MESSAGE_BYTES_MAX = 2000
SHELL = "/bin/sh"


class Plan:
    """All that the child needs to know; nothing is looked up after the fork. `lease` and `log` are descriptors that
    it inherits; `terminal` that of its end of a pty, if it is to have one."""

    def __init__(
        self,
        argv: list[str],
        env: dict[str, str],
        cwd: str,
        *,
        lease: int,
        log: int,
        umask: int,
        terminal: int | None = None,
    ) -> None:
        self.argv, self.env, self.cwd, self.umask = argv, env, cwd, umask
        self.lease, self.log, self.terminal = lease, log, terminal


class Gate:
    """The child's pid, and the two pipes: `open` lets it go, `complaint` is what it says if it cannot."""

    def __init__(self, pid: int, go: int, complaints: int) -> None:
        self.pid, self._go, self._complaints = pid, go, complaints

    def open(self) -> None:
        try:
            os.write(self._go, GO)
        except BrokenPipeError:
            return  # it died at the gate: its end says so
        finally:
            self.close()

    def close(self) -> None:
        """Not opened before: the child sees the end of the pipe and leaves."""
        if self._go >= 0:
            os.close(self._go)
            self._go = -1

    def complaint(self) -> str:
        """Why nothing was executed, "" if it was. Only once the child has ended."""
        parts = []
        try:
            while part := os.read(self._complaints, 65536):
                parts.append(part)
        except OSError:
            pass  # nothing (more) to read
        return b"".join(parts)[:MESSAGE_BYTES_MAX].decode("utf-8", "replace")


def fork(plan: Plan) -> Gate:
    """Raises OSError: there is no child."""
    wait, go = os.pipe()
    try:
        complaints, complain = os.pipe()
    except OSError:
        os.close(wait)
        os.close(go)
        raise
    os.set_blocking(complaints, False)
    try:
        pid = os.fork()
    except OSError:
        for fd in (wait, go, complaints, complain):
            os.close(fd)
        raise
    if pid == 0:
        _be_the_child(plan, wait, complain)
    os.close(wait)
    os.close(complain)
    return Gate(pid, go, complaints)


def open_terminal() -> tuple[int, int]:
    """(our end, the training's end) of a new pty of 80 columns. Raises OSError."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, TIOCSWINSZ, WINDOW)
    os.set_blocking(ours, False)
    return ours, theirs


def close_all_but(keep: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd not in keep:
            try:
                os.close(fd)
            except OSError:
                continue  # that of the listing itself


def default_signals() -> None:
    """As a program started from a shell finds them: whatever we, or who started us, ignored or blocked."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # KILL, STOP, and those of the C library
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _be_the_child(plan: Plan, wait: int, complain: int) -> NoReturn:
    try:
        keep = {wait, complain, plan.lease, plan.log}
        close_all_but(keep | ({plan.terminal} if plan.terminal is not None else set()))
        os.setsid()
        default_signals()
        if os.read(wait, 1) != GO:
            os._exit(NOT_STARTED)
        os.close(wait)
        _put_on(plan)
        _execute(plan)
    except BaseException as error:  # noqa: BLE001 - nothing may escape into the runner's own code
        os.write(complain, _words(error).encode("utf-8", "replace"))
    finally:
        os._exit(NOT_EXECUTED)


def _put_on(plan: Plan) -> None:
    attire.give_back_descriptors()
    fcntl.fcntl(plan.lease, fcntl.F_DUPFD, _high_fd())
    if plan.terminal is None:
        standard = (plan.lease, plan.log, plan.log)
    else:
        fcntl.ioctl(plan.terminal, TIOCSCTTY, 0)
        standard = (plan.terminal,) * 3
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
    os.umask(plan.umask)
    try:
        os.chdir(plan.cwd)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot enter the working directory: {error.strerror}", plan.cwd
        ) from error


def _high_fd() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return HIGH_FD if soft == resource.RLIM_INFINITY or soft > HIGH_FD else 3


def _execute(plan: Plan) -> NoReturn:
    """execvp(3), with the words for a person where it fails."""
    program, missing = plan.argv[0], None
    folders = [""] if "/" in program else plan.env.get("PATH", os.defpath).split(":")
    for folder in folders:
        path = os.path.join(folder, program)
        try:
            os.execve(path, plan.argv, plan.env)
        except (FileNotFoundError, NotADirectoryError) as error:
            if os.path.lexists(path):
                raise OSError(error.errno, f"its interpreter is missing: {error.strerror}", path) from error
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                os.execve(SHELL, [SHELL, path, *plan.argv[1:]], plan.env)
            if error.errno != errno.EACCES or "/" in program:
                raise OSError(error.errno, error.strerror, path) from error
            missing = error
    raise missing or OSError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__
