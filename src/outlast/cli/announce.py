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


NEVER_BEGAN = "never-began"


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
            lines.append(_beginning(n, started, snapshot.get("cwd")))
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
                has_begun = attempt.get("pid") and attempt["verdict"] != NEVER_BEGAN
                if attempt["n"] not in self._begun and has_begun:  # over before its beginning was looked for
                    self._begun.add(attempt["n"])
                    begun = {**attempt, "child": {"pid": attempt["pid"]}}
                    lines.append(_beginning(attempt["n"], begun, snapshot.get("cwd")))
                lines.append(_end(attempt))
        return lines


def standing(
    snapshot: Record,
    n: int,
    progress: Record | None,
    *,
    silent_s: float,
    stopping: int = 0,
    bar: bool = False,
) -> str:
    """One line: phase, attempt, step, loss, section, ETA, rate; or for how long there was no step, and its limit.
    `bar`: with one, for a terminal, where what matters least stands last: a narrow one cuts it off."""
    parts = [words.phase(snapshot)]
    if bar and snapshot.get("phase") == "running" and _reached(progress or {}):
        parts = []  # as everybody sees
    if stopping:
        parts = ["stopping at once" if stopping > 1 else "stopping safely (Ctrl-C again: at once)"]
    if snapshot.get("phase") in ("launching", "running"):
        parts.append(f"attempt {n}")
        parts += _progress(progress or {}, silent_s, bar=bar)
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


def _beginning(n: int, started: Record, cwd: str | None) -> str:
    child = started.get("child") or {}
    step = started.get("resumed_step")
    resumed = started.get("resumed_from")
    at = f" at step {step}" if step is not None else ""
    whence = f"resumes from {words.place(resumed, cwd)}{at}" if resumed else "from scratch"
    warning = words.not_resumed(started.get("resume_reasons"))
    return f"attempt {n} began (pid {child.get('pid', '?')}, {whence})" + (f"; {warning}" if warning else "")


def _end(attempt: Record) -> str:
    named = words.cause(attempt.get("cause"))
    cause = f", {named}" if named not in ("", "exit") and attempt.get("verdict") != "finished" else ""
    last = attempt.get("last_step")
    step = f" at step {last}" if last is not None else ""
    return (
        f"attempt {attempt['n']} ended{step}: {attempt['verdict']} ({words.end(attempt.get('exit'))}{cause})"
    )


def _progress(progress: Record, silent_s: float, *, bar: bool) -> list[str]:
    parts = []
    if reached := _reached(progress):
        drawn = (
            words.bar(progress["step"], progress.get("total"))
            if bar and progress.get("step") is not None
            else ""
        )
        parts.append(f"{drawn}{reached.removeprefix('step ') if drawn else reached}")
    if progress.get("loss") is not None:
        parts.append(f"loss {words.number(progress['loss'])}")
    if progress.get("step") is not None and silent_s >= QUIET_S:
        return [*parts, _silence(progress, silent_s)]
    if not parts and (progress.get("elapsed_s") or 0.0) >= QUIET_S:
        parts.append(f"no step known yet after {words.span(progress['elapsed_s'])}")
    if progress.get("section") not in (None, "", "train"):
        parts.append(f"in {progress['section']}")
    if progress.get("eta_s") is not None:
        parts.append(f"ETA {words.span(progress['eta_s'])}")
    if progress.get("rate"):
        parts.append(f"{words.number(progress['rate'])} {progress.get('unit') or 'step'}s/s")
    if read := words.read_from(progress):
        parts.append(read)
    return parts


def _reached(progress: Record) -> str:
    """ "step 120/1000", "epoch 3" where no step is known; "": neither."""
    if progress.get("step") is not None:
        return f"{progress.get('unit') or 'step'} {words.steps(progress['step'], progress.get('total'))}"
    if progress.get("epoch") is None:
        return ""
    total = f"/{progress['total_epochs']:g}" if progress.get("total_epochs") else ""
    return f"epoch {progress['epoch']:g}{total}"


def _silence(progress: Record, silent_s: float) -> str:
    """ "no step for 4m10s (limit 7m00s), rank 3, section eval": of the rank that is nearest to its limit."""
    limit = f" (limit {words.span(progress['limit_s'])})" if progress.get("limit_s") is not None else ""
    section = progress.get("limit_section") or progress.get("section")
    inside = f", section {section}" if section and section != "train" else ""
    rank = f", rank {progress['limit_rank']}" if progress.get("limit_rank") is not None else ""
    return f"no step for {words.span(silent_s)}{limit}{rank}{inside}"


def _because(snapshot: Record) -> str:
    why = _why(snapshot)
    return f": {why}" if why else ""


def _why(snapshot: Record) -> str:
    """Without what it waits for, which stands before it already."""
    return str(snapshot.get("why") or "").removeprefix(f"{snapshot.get('waiting_for')}: ")
