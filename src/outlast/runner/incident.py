"""The evidence of one hang, gathered before the tree is ended: runs/ID/incidents/NNNN/.

In this order: the decision is frozen, /proc of every thread of every process, the stack signal to all, py-spy on those
that did not answer; then the culprit is named. `incident.json` stands from the first moment on and gets richer, so that
whatever ends us leaves what was known. All of it has one deadline, and the ending goes on anyway.

Loaded only in the child that gathers: a runner that waits does without it. Knows the folder and the order. Refuses to
know what is declared a hang, and what is done about it.
"""

from __future__ import annotations

import os
import time

from outlast.disk import files
from outlast.runner import beside, census, culprit, frames, stacks, tasks
from outlast.runner.culprit import Standing
from outlast.runner.findings import WITHIN_S, Found, Rank
from outlast.runner.incident_folder import EXCERPT, PROC, STACKS, IncidentFolder, excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from outlast.disk.layout import AttemptFolder
    from outlast.runner.stacks import Answer
    from outlast.runner.tasks import Read

PROC_PART = 0.3  # of the time, for /proc: the stacks want theirs
SOURCES_S = 1.0
RANKS_MAX, PROCESSES_MAX = 64, 256
HELPERS = ("/multiprocessing/resource_tracker.py",)
HINTS_MAX, LINE_MAX = 8, 200


def write(
    folder: AttemptFolder,
    decision: Mapping[str, Any],
    ranks: Sequence[Rank],
    members: Mapping[int, int],
    *,
    path: str = "",
    within_s: float = WITHIN_S,
    read: Read = census.read,
) -> Found:
    """`decision`: {kind, section, limit_s, quiet_s, reason}, as it was made. `members`: pid -> start ticks of all that
    live. `path`: where to look for py-spy besides. What cannot be kept, or had, is said and no error."""
    until_s = time.monotonic() + within_s
    here = IncidentFolder(folder, decision)
    here.note()
    return gather(here, ranks, members, path, until_s, read)


def gather(
    here: IncidentFolder,
    ranks: Sequence[Rank],
    members: Mapping[int, int],
    path: str,
    until_s: float,
    read: Read,
) -> Found:
    missing = here.missing
    pids, known = _chosen(ranks, members, missing)
    here.keep(EXCERPT, excerpt(here.output))
    begun_s = time.monotonic()
    seen, unread = tasks.collect(pids, begun_s + (until_s - begun_s) * PROC_PART, read)
    missing += unread
    here.keep(PROC, _proc_text(pids, seen))
    known = known or _ranks_by_environment(pids, seen)
    here.note(ranks=[_shown(rank, seen, None) for rank in known])
    answers = _answers({pid: members[pid] for pid in pids}, path, until_s)
    known = known or _peers(pids, seen, answers)
    missing += _unanswered(known, answers)
    here.keep(STACKS, _stacks_text(pids, known, seen, answers))
    standing = _standing(known, seen, answers)
    named = culprit.name(standing)
    here.note(
        ranks=[_shown(rank, seen, answers.get(rank.pid)) for rank in known],
        culprit={"rank": named.rank, "pid": named.pid, "why": named.why},
    )
    return Found(here.path, here.why(), here.record["culprit"], _hints(named, standing, missing))


# --- who, and where -----------------------------------------------------------------------------------------------


def _chosen(
    ranks: Sequence[Rank], members: Mapping[int, int], missing: list[str]
) -> tuple[list[int], list[Rank]]:
    """Whom to look at: the ranks, then all others, as many as there is room for. A rank that has ended stays one."""
    if len(ranks) > RANKS_MAX:
        missing.append(f"{len(ranks) - RANKS_MAX} ranks: more than {RANKS_MAX}")
    known = list(ranks[:RANKS_MAX])
    pids = list(dict.fromkeys([*(rank.pid for rank in known if rank.pid in members), *sorted(members)]))
    if len(pids) > PROCESSES_MAX:
        missing.append(f"{len(pids) - PROCESSES_MAX} processes: more than {PROCESSES_MAX}")
    return pids[:PROCESSES_MAX], known


def _ranks_by_environment(pids: Sequence[int], seen: tasks.Seen) -> list[Rank]:
    """With no SDK: who has a rank in its environment that its parent has not. Its own children inherit it."""
    found = []
    for pid in pids:
        number, parent = seen.get(pid, {}).get("rank"), seen.get(pid, {}).get("parent")
        if number is not None and seen.get(parent or 0, {}).get("rank") != number:
            found.append(Rank(number, pid))
    return sorted(found, key=lambda rank: rank.number or 0)[:RANKS_MAX]


def _peers(pids: Sequence[int], seen: tasks.Seen, answers: Mapping[int, Answer]) -> list[Rank]:
    """Where nobody says a rank: who showed stacks, and among these the siblings of one that is in a collective."""
    shown = [pid for pid in pids if pid in answers and answers[pid].text and not _helps(answers[pid])]
    if len(shown) <= 1:
        return [Rank(None, pid) for pid in shown]
    for each in _standing([Rank(None, pid) for pid in shown], seen, answers):
        if culprit.place(each) == culprit.WAITS:
            parent = seen.get(each.pid, {}).get("parent")
            return [Rank(None, pid) for pid in shown if seen.get(pid, {}).get("parent") == parent]
    return []


def _helps(answer: Answer) -> bool:
    """Whether it is one of the processes that multiprocessing keeps for itself, beside the ranks."""
    return any(file in answer.text for file in HELPERS)


def _unanswered(ranks: Sequence[Rank], answers: Mapping[int, Answer]) -> list[str]:
    return [
        f"no Python stacks of process {rank.pid}: "
        + (answers[rank.pid].reason if rank.pid in answers else "it has ended")
        for rank in ranks
        if rank.pid not in answers or not answers[rank.pid].text
    ]


def _answers(members: dict[int, int], path: str, until_s: float) -> dict[int, Answer]:
    """By the signal; then, of who gave none or not all, by py-spy."""
    answers = stacks.ask(members, until_s)
    unanswered = [pid for pid, answer in answers.items() if answer.reason and _may_be_python(pid, answer)]
    if not unanswered:
        return answers
    program = stacks.find_spy(path)
    if program is None:
        return answers
    for pid, spied in stacks.spy(unanswered, program, until_s).items():
        first = answers[pid]
        if spied.text:
            answers[pid] = spied
        else:
            first.reason = f"{first.reason}; {spied.reason}"
    return answers


def _may_be_python(pid: int, answer: Answer) -> bool:
    """py-spy takes seconds to find out that a shell is none."""
    try:
        return "python" in os.path.basename(os.readlink(f"/proc/{pid}/exe")) or bool(answer.text)
    except OSError:
        return False


def _standing(ranks: Sequence[Rank], seen: tasks.Seen, answers: Mapping[int, Answer]) -> list[Standing]:
    found = []
    for rank in ranks:
        answer = answers.get(rank.pid)
        main = frames.main_thread(frames.threads(answer.text)) if answer and answer.text else None
        state = seen[rank.pid].get("state", "") if rank.pid in seen else "?" if rank.pid in answers else ""
        found.append(Standing(rank.number, rank.pid, state, rank.step, main.frames if main else None))
    _read_sources(found)
    return found


def _read_sources(standing: Sequence[Standing]) -> None:
    """The line at which each stands; read in a child, for the file may lie where nobody answers any more."""
    wanted = {each.pid: each.frames[0] for each in standing if each.frames}

    def work(say: beside.Say) -> None:
        for pid, frame in wanted.items():
            say(files.encode({"pid": pid, "line": _source(frame)}).rstrip(b"\n"))

    if not wanted:
        return
    try:
        child = beside.Child(work)
    except OSError:
        return  # without it the names of the functions must do
    lines = {}
    for said in beside.until(child, time.monotonic() + SOURCES_S):
        found = files.decode(said, "sources")
        lines[found["pid"]] = found["line"]
    for each in standing:
        each.line = lines.get(each.pid, "")


def _source(frame: frames.Frame) -> str:
    try:
        with open(frame.file, "rb") as file:
            for number, line in enumerate(file, 1):
                if number == frame.line:
                    return line.decode("utf-8", "replace").strip()[:LINE_MAX]
    except OSError:
        return ""
    return ""


# --- as text ------------------------------------------------------------------------------------------------------


def _shown(rank: Rank, seen: tasks.Seen, answer: Answer | None) -> dict[str, Any]:
    found = seen.get(rank.pid, {})
    main = frames.main_thread(frames.threads(answer.text)) if answer and answer.text else None
    own = frames.own_frame(main)
    return {
        "rank": rank.number,
        "pid": rank.pid,
        "state": found.get("state", ""),
        "step": rank.step,
        "section": rank.section,
        "wchan": found.get("wchan", ""),
        "cpu_s": found.get("cpu_s"),
        "top": str(main.frames[0]) if main and main.frames else "",
        "own": "" if own is None else str(own),
        "stacks_by": answer.by if answer else "",
        "why_none": answer.reason if answer else "",
    }


def _proc_text(pids: Sequence[int], seen: tasks.Seen) -> bytes:
    parts = []
    for pid in pids:
        found = seen.get(pid)
        if found is None:
            parts.append(f"process {pid}: could not be read\n")
            continue
        words = f"  words: {found['words']}\n" if found.get("words") else ""
        parts.append(str(found.get("text", f"process {pid}\n")) + words)
    return "\n".join(parts).encode("utf-8", "replace")


def _stacks_text(
    pids: Sequence[int], ranks: Sequence[Rank], seen: tasks.Seen, answers: Mapping[int, Answer]
) -> bytes:
    numbers = {rank.pid: rank.number for rank in ranks}
    parts = []
    for pid in pids:
        answer = answers[pid]
        number = numbers.get(pid)
        title = f"process {pid} ({seen.get(pid, {}).get('name', '?')})"
        title = title if number is None else f"rank {number}, {title}"
        if answer.text:
            note = f" ({answer.reason})" if answer.reason else ""
            parts.append(f"=== {title}, by {answer.by}{note}\n{answer.text.strip()}\n")
        else:
            parts.append(f"=== {title}: no Python stacks: {answer.reason}\n")
    return "\n".join(parts).encode("utf-8", "replace")


def _hints(named: culprit.Culprit, standing: Sequence[Standing], missing: Sequence[str]) -> list[str]:
    who = "unknown" if named.pid is None else f"rank {named.rank} (process {named.pid})"
    if named.pid is not None and named.rank is None:
        who = f"process {named.pid}"
    hints = [f"culprit {who}: {named.why}"]
    for each in standing:
        if each.frames:
            own = next((frame for frame in each.frames if frame.is_own), each.frames[0])
            hints.append(f"{each.name} (state {each.state}) at {own}")
    return [*hints[:HINTS_MAX], *missing[:2]]
