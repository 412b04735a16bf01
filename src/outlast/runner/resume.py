"""Asks the full package, in a child, what this attempt resumes from. It may be gone, slow or wrong: we are not.

Knows the command, its one line of JSON, and a bound. Refuses to know checkpoints.
"""

from __future__ import annotations

import os
import signal
import time

from outlast.disk import files
from outlast.errors import Damaged
from outlast.runner import kernel
from outlast.runner.spawn import close_all_but, default_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from outlast.runner.ears import Ears
    from outlast.runner.words import Words

WITHIN_S, LOOK_S = 120.0, 1.0
ANSWER_BYTES_MAX = 1 << 20
WHAT, CALLED_OFF = "the resume check", "stopped before the start"


class Refusal(Exception):
    """This attempt must not begin, and why."""


class Choice:
    def __init__(
        self, checkpoint: str | None = None, step: int | None = None, reasons: list[str] | None = None
    ) -> None:
        self.checkpoint, self.step, self.reasons = checkpoint, step, reasons or []


def choose(
    order: dict[str, Any],
    ears: Ears,
    words: Words,
    is_called_off: Callable[[], bool],
    within_s: float = WITHIN_S,
) -> Choice:
    """Raises Refusal."""
    if not order.get("resume"):
        return Choice()
    command = list(order.get("ready") or ())
    if not command:
        raise Refusal("the resume check failed: the order names no command for it")
    answer, status = ask(command, ears, words, is_called_off, within_s, WHAT)
    lines = [line for line in answer.splitlines() if line.startswith(b"{")]
    if status != 0 or not lines:
        how = f"signal {-status}" if status < 0 else f"exit {status}"
        raise Refusal(f"the resume check failed ({how}): see runner.log")
    return _choice(lines[-1])


def _choice(line: bytes) -> Choice:
    try:
        said = files.decode(line, "the resume check")
    except Damaged as error:
        raise Refusal(f"the resume check failed: {error}") from error
    if said.get("refuse"):
        raise Refusal(str(said["refuse"]))
    checkpoint, step = said.get("checkpoint"), said.get("step")
    if checkpoint is not None and not isinstance(checkpoint, str):
        raise Refusal("the resume check failed: its checkpoint is no path")
    reasons = [str(reason) for reason in said.get("reasons") or ()]
    return Choice(checkpoint, step if isinstance(step, int) else None, reasons)


def ask(
    command: list[str],
    ears: Ears,
    words: Words,
    is_called_off: Callable[[], bool],
    within_s: float,
    what: str,
    called_off: str = CALLED_OFF,
) -> tuple[bytes, int]:
    """(what it printed, exit code or minus the signal). Raises Refusal: no time left, or told to stop."""
    ours, theirs = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(ours)
        os.close(theirs)
        raise Refusal(f"{what} failed: fork: {error.strerror}") from error
    if pid == 0:
        _be_the_check(command, theirs, words.fd)
    os.close(theirs)
    try:
        body, refusal = _listen(ours, ears, is_called_off, within_s, what, called_off)
        if refusal:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(ours)
    if refusal:
        raise Refusal(refusal)
    return body, os.waitstatus_to_exitcode(status)


def _listen(
    fd: int, ears: Ears, is_called_off: Callable[[], bool], within_s: float, what: str, called_off: str
) -> tuple[bytes, str]:
    """(what came, why it is not listened to any longer)."""
    deadline = time.monotonic() + within_s
    parts: list[bytes] = []
    left = ANSWER_BYTES_MAX
    while left > 0:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return b"", f"{what} failed: no answer within {within_s:.0f} s"
        if is_called_off():
            return b"", called_off
        if fd not in ears.wait([fd], min(left_s, LOOK_S)):
            continue
        part = os.read(fd, min(left, 65536))
        if not part:
            return b"".join(parts), ""
        parts.append(part)
        left -= len(part)
    return b"", f"{what} failed: its answer is longer than {ANSWER_BYTES_MAX} bytes"


def _be_the_check(command: list[str], out: int, log: int) -> None:
    try:
        os.setsid()
        kernel.die_with_parent(signal.SIGKILL)
        default_signals()
        os.dup2(out, 1)
        os.dup2(log, 2)
        close_all_but({0, 1, 2})
        os.execve(command[0], command, dict(os.environ))
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode("utf-8", "backslashreplace"))
    finally:
        os._exit(127)
