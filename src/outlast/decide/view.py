"""What every screen shows of a run, as plain dicts: a fold, never a second truth. Field names are those of
docs/json.md (`show --json`) and fixed.

Knows the words of the table of ends. Refuses to know a clock: what is shown as of now comes in.
"""

from typing import Any

from outlast.decide.endings import NO_CAUSE
from outlast.decide.history import PAUSED
from outlast.facts import (
    Book,
    Candidate,
    Cause,
    Chosen,
    Done,
    Ended,
    Exit,
    Exited,
    Lost,
    Moment,
    NeverBegan,
    Shutting,
    Signalled,
    Spec,
    Trying,
    Waiting,
)
from outlast.facts.closed import assert_never

Live = dict[str, Any] | None
_PROGRESS = (
    "step", "total", "epoch", "total_epochs", "loss", "val_loss", "section", "rate", "eta_s", "elapsed_s",
    "updated_at", "source", "confidence", "unit",
)  # fmt: skip
_ROW = (
    "id", "name", "phase", "waiting_for", "outcome", "created_at", "updated_at", "ended_at", "tags", "why", "place",
)  # fmt: skip
# What a run may wait for. "slot: it needs 2, 1 of 4 are free" waits for a slot.
WAITS_FOR = ("disk", "slot", "backoff", "dependency", "credentials", "person", "scheduler", "code-changed")


def snapshot(spec: Spec, book: Book, live: Live, note: str = "") -> dict[str, Any]:
    """`live` is the current attempt's progress.json, None if there is none; `note` why the run waits now, beginning
    with what for ("slot: ...", "disk: ...")."""
    phase, waiting_for = phase_of(book, live, note)
    done = book.phase if isinstance(book.phase, Done) else None
    last = book.endings[-1] if book.endings else None
    return {
        "id": spec.run,
        "name": spec.name,
        "tags": list(spec.tags),
        "note": spec.note,
        "command": list(spec.argv),
        "cwd": spec.cwd,
        "place": spec.place,
        "backend": spec.backend,
        "priority": book.priority or spec.priority,
        "phase": phase,
        "waiting_for": waiting_for,
        "outcome": done.outcome if done is not None else None,
        "proof": done.proof if done is not None else None,
        "cause": _cause_of_run(done, last),
        "why": note or book.why,
        "created_at": time_of(book.accepted),
        "updated_at": time_of(book.updated or book.accepted),
        "ended_at": time_of(done.at) if done is not None else None,
        "resume_from": last.ending.resumed_from if last is not None else None,
        "target_step": spec.target_step,
        "progress": _progress(book, live),
        "goodput": goodput(book, done),
        "attempts": _attempts(spec, book),
        "checkpoints": [_checkpoint(candidate) for candidate in book.verified],
        "incidents": [],
        "actions": [],
    }


def row(spec: Spec, book: Book, live: Live, note: str = "") -> dict[str, Any]:
    """The run's line on the board, which `ls` and `status` read."""
    whole = snapshot(spec, book, live, note)
    progress = whole["progress"] or {}
    return {
        **{name: whole[name] for name in _ROW},
        "verdict": book.endings[-1].verdict if book.endings else None,
        "attempt": book.chosen[-1].n if book.chosen else 0,
        **{name: progress.get(name) for name in ("step", "total", "loss", "rate", "eta_s")},
    }


def words(shown: dict[str, Any]) -> str:
    """PROGRESS.txt: the same for a person with `cat`."""
    progress = shown["progress"] or {}
    lines = [f"{shown['id']}: {shown['outcome'] or shown['phase']}"]
    if shown["waiting_for"]:
        lines[0] += f", waiting for {shown['waiting_for']}"
    if progress.get("step") is not None:
        total = f"/{progress['total']}" if progress.get("total") else ""
        loss = f", loss {progress['loss']:.6g}" if progress.get("loss") is not None else ""
        lines.append(f"step {progress['step']}{total}{loss}")
    lines.append(f"why: {shown['why']}")
    for attempt in shown["attempts"]:
        end = attempt["verdict"] or "running"
        begin = f"resumed from {attempt['resumed_from']}" if attempt["resumed_from"] else "from scratch"
        lines.append(f"attempt {attempt['n']}: {end} ({begin}), {attempt['why'] or 'no end yet'}")
    lines.append(f"updated {shown['updated_at']}")
    return "\n".join(lines) + "\n"


def phase_of(book: Book, live: Live, note: str = "") -> tuple[str, str | None]:
    """(phase, waiting_for): queued launching running waiting paused ended."""
    match book.phase:
        case Done():
            return "ended", None
        case Trying():
            return ("running" if live is not None else "launching"), None
        case Shutting():
            return "waiting", None
        case Waiting(wait_s=wait_s):
            if PAUSED in book.holds or book.want in ("pause", "pause-now"):
                return "paused", None
            for word in (*book.holds, note, "backoff" if wait_s > 0 and not note else ""):
                if (waiting_for := word.partition(":")[0]) in WAITS_FOR:
                    return "waiting", waiting_for
            return ("waiting", "person") if book.holds else ("queued", None)
        case _:
            assert_never(book.phase)


def goodput(book: Book, done: Done | None) -> dict[str, float | None]:
    """Useful: time whose work was kept; lost: time whose work was not; down: time in which nothing ran."""
    lasted = sum(ended.ending.lasted_s or 0.0 for ended in book.endings)
    useful = sum((ended.ending.lasted_s or 0.0) * _share_kept(ended) for ended in book.endings)
    until = done.at if done is not None else book.updated or book.accepted
    total = max(0.0, until.wall_s - book.accepted.wall_s)
    return {
        "useful_s": round(useful, 3),
        "lost_s": round(lasted - useful, 3),
        "down_s": round(max(0.0, total - lasted), 3) if done is not None else None,
        "total_s": round(total, 3),
        "ratio": round(min(1.0, useful / total), 4) if total > 0 and done is not None else None,
    }


def _share_kept(ended: Ended) -> float:
    """All of an attempt that finished; of another one, the steps up to its checkpoint."""
    if ended.verdict == "finished":
        return 1.0
    begin, last, kept = ended.ending.resumed_step or 0, ended.ending.seen_step, ended.checkpoint_step
    if kept is None or not ended.progressed:
        return 0.0
    if last is None or last <= begin:
        return 1.0  # a checkpoint came, and nobody saw the steps: what was lost after it is not known
    return max(0.0, min(1.0, (kept - begin) / (last - begin)))


def time_of(moment: Moment) -> str:
    """RFC 3339 in UTC, whole seconds (days to civil date: Howard Hinnant's algorithm)."""
    seconds = int(moment.wall_s)
    days, rest = divmod(seconds, 86_400)
    shifted = days + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    hour, minute, second = rest // 3600, rest // 60 % 60, rest % 60
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}Z"


def _attempts(spec: Spec, book: Book) -> list[dict[str, Any]]:
    """One that has no end, and is not being tried, found its own door shut for good."""
    ends = {ended.n: ended for ended in book.endings}
    shown = []
    for chosen in book.chosen:
        attempt = _attempt(spec, chosen, ends.get(chosen.n))
        if chosen.n not in ends and not (isinstance(book.phase, Trying) and book.phase.n == chosen.n):
            attempt |= {"verdict": "never-began", "why": "its door was shut before it began"}
        shown.append(attempt)
    return shown


def _attempt(spec: Spec, chosen: Chosen, ended: Ended | None) -> dict[str, Any]:
    ending = ended.ending if ended is not None else None
    by = ending.by if ending is not None else None
    return {
        "n": chosen.n,
        "backend": spec.backend,
        "backend_id": None,
        "host": by.host if by is not None else None,
        "pid": None,
        "runner_pid": by.pid if by is not None else None,
        "started_at": time_of(chosen.at),
        "ended_at": time_of(ending.at) if ending is not None else None,
        "verdict": ended.verdict if ended is not None else None,
        "cause": _named(ended.cause) if ended is not None else None,
        "why": ended.why if ended is not None else None,
        "exit": exit_of(ending.exit) if ending is not None else None,
        "told": ending.told if ending is not None and ending.told != "run" else None,
        "charged": ended.charged if ended is not None else None,
        "resumed_from": ending.resumed_from if ending is not None else None,
        "first_step": ending.first_step if ending is not None else None,
        "last_step": ending.seen_step if ending is not None else None,
        "lasted_s": ending.lasted_s if ending is not None else None,
        "log_path": None,
        "scheduler_state": ending.word.state if ending is not None and ending.word is not None else None,
        "scheduler_seen_at": None,
    }


def exit_of(end: Exit) -> dict[str, Any]:
    match end:
        case Exited(code=code):
            return {"kind": "exited", "code": code, "signal": None}
        case Signalled(signal=signal):
            return {"kind": "signalled", "code": None, "signal": signal}
        case NeverBegan(why=why):
            return {"kind": "never-began", "code": None, "signal": None, "why": why}
        case Lost(why=why):
            return {"kind": "lost", "code": None, "signal": None, "why": why}
        case _:
            assert_never(end)


def _progress(book: Book, live: Live) -> dict[str, Any] | None:
    """The live record, else what the last attempt reached."""
    if live is not None:
        shown = {name: live.get(name) for name in _PROGRESS}
        at = live.get("at")
        if at is not None and shown["updated_at"] is None:
            shown["updated_at"] = time_of(Moment(at["boot"], at["mono_s"], at["wall_s"]))
        return shown
    for ended in reversed(book.endings):
        ending = ended.ending
        if ending.seen_step is not None:
            source = "sdk" if ending.last_step is not None else ending.read_source
            known = {"step": ending.seen_step, "total": ending.total, "loss": ending.loss, "source": source}
            return {**dict.fromkeys(_PROGRESS), **known, "updated_at": time_of(ending.at)}
    return None


def _checkpoint(candidate: Candidate) -> dict[str, Any]:
    return {
        "path": candidate.path,
        "step": candidate.step,
        "format": candidate.format,
        "verdict": "whole",
        "level": None,
        "reasons": [],
        "pinned": None,
    }


def _cause_of_run(done: Done | None, last: Ended | None) -> str | None:
    if done is not None:
        return _named(done.cause)
    return _named(last.cause) if last is not None else None


def _named(cause: Cause | None) -> str | None:
    return cause.name if cause is not None and cause.name != NO_CAUSE else None
