"""Numbers and records in words: ages, durations, steps, ends. Pure.

Refuses to know where a record comes from.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Record = dict[str, Any]

_SPANS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "m"))
_DAYS: dict[str, int] = {}  # date -> seconds since 1970
BAR_WIDTH = 8
NOT_RESUMED = "not resumed: "  # so begins the warning of `work/ready`
CHANGED = (  # and so those of the lock
    "changed since the lock: ",
    "locked, and could not be read now: ",
    "not held against a start that a person asked for: ",
)
OUTCOME_CODES = {"completed": 0, "failed": 1, "no-op": 1, "unknown": 5, "cancelled": 130}
RANKS_SHOWN = 8
UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def span(seconds: float | None) -> str:
    """ "12s", "4m10s", "2h05m", "3d04h"; "-" if nobody knows."""
    if seconds is None or seconds != seconds or seconds in (float("inf"), float("-inf")):
        return "-"
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.1f}s" if 0 < seconds < 10 and seconds % 1 else f"{seconds:.0f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def epoch_s(stamp: str | None) -> float | None:
    """RFC 3339 -> seconds since 1970; None for nothing or nonsense."""
    if not stamp:
        return None
    if len(stamp) == 20 and stamp.endswith("Z"):
        return _utc_s(stamp)
    from datetime import datetime

    try:
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def stamp(epoch: float) -> str:
    """RFC 3339 in UTC, whole seconds: these compare as text."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(epoch))


def _utc_s(stamp: str) -> float | None:
    """ "2026-01-31T12:00:00Z": the form of our own records, a thousand times in one `ls`. (Days since 1970 after Howard
    Hinnant; years begin in March.)"""
    date = stamp[:10]
    try:
        if date not in _DAYS:
            _DAYS[date] = _days(int(date[:4]), int(date[5:7]), int(date[8:])) * 86_400
        return float(_DAYS[date] + int(stamp[11:13]) * 3600 + int(stamp[14:16]) * 60 + int(stamp[17:19]))
    except ValueError:
        return None


def _days(year: int, month: int, day: int) -> int:
    year -= month <= 2
    leaps = year // 4 - year // 100 + year // 400
    return 365 * year + leaps + (153 * ((month + 9) % 12) + 2) // 5 + day - 719_469


def age(stamp: str | None, now_s: float) -> str:
    """How long ago, in one unit: "12s", "4m", "2h", "3d"."""
    at = epoch_s(stamp)
    if at is None:
        return "-"
    seconds = max(0.0, now_s - at)
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{int(seconds)}s"


def number(value: float | None) -> str:
    """A loss or a rate, short."""
    if value is None:
        return "-"
    return f"{value:.4g}"


def steps(step: int | None, total: int | None) -> str:
    if step is None:
        return "-"
    return f"{step}/{total}" if total else str(step)


def phase(row: dict[str, Any]) -> str:
    """The phase in one word or two: "waiting: backoff", "completed"."""
    if row.get("phase") == "ended":
        return str(row.get("outcome") or "ended")
    waiting_for = row.get("waiting_for")
    return f"{row.get('phase')}: {waiting_for}" if waiting_for else str(row.get("phase"))


def waits_for_a_person(row: dict[str, Any]) -> bool:
    """Nothing goes on before somebody said so: no supervisor is needed for it."""
    return row.get("phase") == "paused" or row.get("waiting_for") == "code-changed"


def end(exit_: dict[str, Any] | None) -> str:
    """How a process ended: "exit 1", "signal 9 (SIGKILL)", "never began: no such file"."""
    if not exit_:
        return "end unknown"
    kind, code, signal = str(exit_.get("kind")), exit_.get("code"), exit_.get("signal")
    if signal is not None:
        return f"signal {signal} ({signal_name(int(signal))})"
    if code is not None:
        return f"exit {code}"
    why = exit_.get("why")
    return f"{kind.replace('-', ' ')}: {why}" if why else kind.replace("-", " ")


def signal_name(value: int) -> str:
    from signal import Signals

    try:
        return Signals(value).name
    except ValueError:
        return "unknown"


def cause(cause_: Any) -> str:
    """A cause is a name, or a record with `name` and `why`."""
    if not cause_:
        return ""
    if isinstance(cause_, str):
        return cause_
    name, why = str(cause_.get("name", "")), str(cause_.get("why", ""))
    return f"{name}: {why}" if name and why else name or why


def size(count: int) -> str:
    """In powers of ten, as disks are sold: 512 B, 1.5 KB, 14 GB."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 or value >= 9.95 else f"{value:.1f} {UNITS[unit]}"


def table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def nearest(word: str, known: list[str]) -> str:
    """The known word that was probably meant, as the end of a sentence; "" if none is near."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def culprit(found: Record) -> str:
    """ "Culprit: rank 1 (process 4711): it waits in no collective, the others do" """
    who = "unknown" if found.get("pid") is None else f"process {found['pid']}"
    if found.get("rank") is not None:
        who = f"rank {found['rank']} ({who})"
    why = f": {found['why']}" if found.get("why") else ""
    return f"Culprit: {who}{why}"


def evidence(incident: Record) -> list[str]:
    """What an incident found: of a hang who stood where, of a divergence the last losses."""
    if incident.get("kind") == "nonfinite":
        said = [_loss(row) for row in incident.get("losses") or ()]
        return [f"Its last losses: {', '.join(said)}"]
    ranks = [f"  {standing(rank)}" for rank in (incident.get("ranks") or ())[:RANKS_SHOWN]]
    return [culprit(incident.get("culprit") or {}), *ranks]


def _loss(row: list[Any]) -> str:
    step, loss, gradient = row
    at = "" if step is None else f"step {step} "
    return f"{at}{loss}" + (f" (gradient norm {gradient})" if gradient is not None else "")


def standing(rank: Record) -> str:
    """Where a rank of an incident stood."""
    who = f"rank {rank['rank']}" if rank.get("rank") is not None else "process"
    step = f", step {rank['step']}" if rank.get("step") is not None else ""
    where = rank.get("own") or rank.get("top") or f"no Python stacks: {rank.get('why_none') or 'unknown'}"
    return f"{who} (pid {rank.get('pid')}, state {rank.get('state') or '?'}{step}): {where}"


def bar(step: int, total: int | None) -> str:
    """ "███▋     46% ", in eight characters and the percentage; "" without a total."""
    if not total or total < 0:
        return ""
    share = min(1.0, max(0.0, step / total))
    eighths = int(share * BAR_WIDTH * 8)
    drawn = "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
    return f"{drawn.ljust(BAR_WIDTH)} {share:.0%} "


def place(path: Any, base: Any) -> str:
    """A path as short as a person in folder `base` would write it."""
    text, inside = str(path), f"{str(base or '').rstrip('/')}/"
    return text[len(inside) :] if len(inside) > 1 and text.startswith(inside) else text


def read_from(progress: Record) -> str:
    """How it is known, where the training did not say so itself: "read from its output (tqdm, identified)"."""
    source = progress.get("source")
    if source in (None, "", "none", "sdk"):
        return ""
    sure = f", {progress['confidence']}" if progress.get("confidence") else ""
    return f"read from its output ({source}{sure})"


def lock_warnings(reasons: list[str] | None) -> list[str]:
    """What differs from what the run was locked to, and let the start be."""
    return [reason for reason in reasons or () if reason.startswith(CHANGED)]


def not_resumed(reasons: list[str] | None) -> str:
    """The warning that something lies where checkpoints should, and none of it could be resumed from; "": none."""
    return next((reason for reason in reasons or () if reason.startswith(NOT_RESUMED)), "")
