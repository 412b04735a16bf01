"""What the foreground view says about a run: a line when something happened, and the line of how it stands. Pure.

Knows snapshots, progress and doors as plain records. Refuses to read or to print.
"""

from __future__ import annotations

from outlast.cli import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

QUIET_S = 30.0  # without a step for so long, that is what is said


class Announcer:
    """Says each beginning, end and wait once."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._waiting = ""

    def news(self, snapshot: Record, n: int, started: Record | None) -> list[str]:
        """`started`: of attempt `n`, whose output is shown; None: it has not begun. A door may be seen
        before the snapshot that tells how the attempt before it ended: then its beginning waits."""
        lines = self._ends(snapshot, n - 1)
        before = [attempt for attempt in snapshot.get("attempts") or () if attempt["n"] < n]
        caught_up = len(before) == n - 1 and all(attempt.get("verdict") for attempt in before)
        if started is not None and n not in self._begun and caught_up:
            self._begun.add(n)
            lines.append(_beginning(n, started))
        lines += self._ends(snapshot, n)
        waits = snapshot.get("phase") == "paused" or bool(snapshot.get("waiting_for"))
        waiting = f"{words.phase(snapshot)}{_because(snapshot)}" if waits else ""
        if waiting and waiting != self._waiting:
            lines.append(waiting)
        self._waiting = waiting
        return lines

    def _ends(self, snapshot: Record, upto: int) -> list[str]:
        """Of attempts whose output has been shown."""
        lines = []
        for attempt in snapshot.get("attempts") or ():
            if attempt.get("verdict") and attempt["n"] not in self._ended and attempt["n"] <= upto:
                self._ended.add(attempt["n"])
                if attempt["n"] not in self._begun and attempt.get(
                    "pid"
                ):  # over before its beginning was looked for
                    self._begun.add(attempt["n"])
                    lines.append(_beginning(attempt["n"], {**attempt, "child": {"pid": attempt["pid"]}}))
                lines.append(_end(attempt))
        return lines


def standing(snapshot: Record, n: int, progress: Record | None, *, silent_s: float, stopping: int = 0) -> str:
    """One line: phase, attempt, step, loss, rate, ETA; or for how long there was no step."""
    parts = [words.phase(snapshot)]
    if stopping:
        parts = ["stopping at once" if stopping > 1 else "stopping safely (Ctrl-C again: at once)"]
    if snapshot.get("phase") in ("launching", "running"):
        parts.append(f"attempt {n}")
        parts += _progress(progress or {}, silent_s)
    elif why := _why(snapshot):
        parts.append(why)
    return " · ".join(parts)


def conclusion(snapshot: Record) -> list[str]:
    """How the run ended, for whoever was watching."""
    run, outcome = str(snapshot.get("id")), str(snapshot.get("outcome"))
    attempts = snapshot.get("attempts") or []
    count = f"{len(attempts)} attempt{'s' * (len(attempts) != 1)}"
    proof = f", proof {snapshot['proof']}" if snapshot.get("proof") else ""
    lines = [f"{run}: {outcome} ({count}{proof}){_because(snapshot) if outcome != 'completed' else ''}"]
    if outcome not in ("completed", "cancelled"):
        lines.append(f"`outlast why {run}` tells its story; `outlast retry {run}` lets it go on")
    return lines


def _beginning(n: int, started: Record) -> str:
    child = started.get("child") or {}
    step = started.get("resumed_step")
    resumed = started.get("resumed_from")
    at = f" at step {step}" if step is not None else ""
    whence = f"resumes from {resumed}{at}" if resumed else "from scratch"
    return f"attempt {n} began (pid {child.get('pid', '?')}, {whence})"


def _end(attempt: Record) -> str:
    named = words.cause(attempt.get("cause"))
    cause = f", {named}" if named not in ("", "exit") and attempt.get("verdict") != "finished" else ""
    last = attempt.get("last_step")
    step = f" at step {last}" if last is not None else ""
    return (
        f"attempt {attempt['n']} ended{step}: {attempt['verdict']} ({words.end(attempt.get('exit'))}{cause})"
    )


def _progress(progress: Record, silent_s: float) -> list[str]:
    parts = []
    if progress.get("step") is not None:
        parts.append(f"step {words.steps(progress['step'], progress.get('total'))}")
    if progress.get("loss") is not None:
        parts.append(f"loss {words.number(progress['loss'])}")
    if progress.get("step") is not None and silent_s >= QUIET_S:
        section = progress.get("section")
        inside = f" (in {section})" if section and section != "train" else ""
        return [*parts, f"no step for {words.span(silent_s)}{inside}"]
    if progress.get("rate"):
        parts.append(f"{words.number(progress['rate'])} steps/s")
    if progress.get("eta_s") is not None:
        parts.append(f"ETA {words.span(progress['eta_s'])}")
    return parts


def _because(snapshot: Record) -> str:
    why = _why(snapshot)
    return f": {why}" if why else ""


def _why(snapshot: Record) -> str:
    """Without what it waits for, which stands before it already."""
    return str(snapshot.get("why") or "").removeprefix(f"{snapshot.get('waiting_for')}: ")
