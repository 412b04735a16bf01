"""What the kernel says of every thread of a hung training: state, where it waits, what it did in the last half second.

Knows proc(5). Needs nobody's cooperation and stops nobody. Reading of a process in D state may block: so the reading is
done in a child, and a process on which that stays is given up, by name. Refuses to conclude anything.
"""

from __future__ import annotations

import json
import os
import time

from outlast.runner import beside, census

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    Read = Callable[[str], bytes | None]
    Seen = dict[int, dict[str, Any]]

TASKS_MAX = 256  # of one process
KERNEL_STACKS_MAX = 8  # of one process
TEXT_BYTES_MAX = 64 << 10  # of one process
FILES_MAX, FDS_MAX = 16, 4096
WORDS_MAX = 300  # characters of a command line
WINDOW_S = 0.5  # in which the use of the processor is measured
STALL_S, STALL_S_MIN = 2.0, 0.1  # a look that takes longer than this blocks
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STATUS = (
    b"VmRSS", b"VmSwap", b"Threads", b"SigPnd", b"ShdPnd", b"SigBlk", b"SigCgt",
    b"Cpus_allowed_list", b"voluntary_ctxt_switches", b"nonvoluntary_ctxt_switches",
)  # fmt: skip
RANK_NAMES = (b"RANK", b"SLURM_PROCID", b"OMPI_COMM_WORLD_RANK", b"PMI_RANK", b"LOCAL_RANK")
CGROUPS = "/sys/fs/cgroup"


def collect(
    pids: Sequence[int], until_s: float, read: Read = census.read, window_s: float = WINDOW_S
) -> tuple[Seen, list[str]]:
    """Of each process {name, state, wchan, parent, threads, cpu_s, text, words, rank}, and what could not be had.

    `words` (the command line) and `rank` (by the environment) are asked for last, and may be missing: they are what
    blocks most easily.
    """
    seen: Seen = {}
    missing: list[str] = []
    _run(_Look(read, window_s), list(pids), until_s, seen, missing)
    _run(_Ask(read), list(seen), until_s, seen, missing)
    return seen, missing


def _run(phase: Any, left: list[int], until_s: float, seen: Seen, missing: list[str]) -> None:
    """In one child after the other, until all are read: what blocks one costs that process, and `STALL_S`; where many
    do, less and less."""
    stall_s = STALL_S
    while left and time.monotonic() < until_s:
        at = None
        try:
            child = beside.Child(lambda say, pids=tuple(left): phase.read(pids, say))  # type: ignore[misc]  # mypy infers no lambda with a default
        except OSError as error:
            missing.append(f"/proc of {len(left)} processes: {error.strerror}")
            return
        while not child.is_done:
            lines = child.lines(min(until_s, time.monotonic() + stall_s + phase.pause_s))
            if not lines and not child.is_done:
                break
            for line in lines:
                said = json.loads(line)
                at = said["pid"]
                if "at" not in said:
                    seen.setdefault(at, {}).update(said)
                    left.remove(at)
        blocked = not child.is_done
        child.end()
        stall_s = max(stall_s / 2, STALL_S_MIN)
        if not blocked:
            if left:
                missing.append(f"{phase.what} of {len(left)} processes: whoever read it failed")
            return
        if at in left:
            left.remove(at)
            missing.append(f"{phase.what} of process {at}: reading it blocks")
    if left:
        missing.append(f"{phase.what} of {len(left)} processes: no time left")


class _Look:
    what = "/proc"

    def __init__(self, read: Read, window_s: float) -> None:
        self._read, self.pause_s = read, window_s

    def read(self, pids: Iterable[int], say: beside.Say) -> None:
        before = {}
        for pid in pids:
            say(_line({"pid": pid, "at": "times"}))
            before[pid] = _times(pid, self._read)
        since_s = time.monotonic()
        time.sleep(self.pause_s)
        for pid in pids:
            say(_line({"pid": pid, "at": "tasks"}))
            say(_line(_process(pid, before[pid], time.monotonic() - since_s, self._read)))


class _Ask:
    """The command line and the environment lie in the process's own memory."""

    what = "words and rank"
    pause_s = 0.0

    def __init__(self, read: Read) -> None:
        self._read = read

    def read(self, pids: Iterable[int], say: beside.Say) -> None:
        for pid in pids:
            say(_line({"pid": pid, "at": "words"}))
            words = " ".join(masked(_text(self._read(f"/proc/{pid}/cmdline")).split("\0")))
            say(_line({"pid": pid, "words": words[:WORDS_MAX], "rank": _rank(pid, self._read)}))


SECRETS, HIDDEN = ("token", "key", "secret", "passw", "credential", "auth"), "***"


def masked(words: Iterable[str]) -> list[str]:
    """A command line without the values of what is called a token, key, secret, password or credential."""
    shown, hide = [], False
    for word in words:
        name, equals, _ = word.partition("=")
        is_secret = any(part in name.lower() for part in SECRETS)
        if hide and not word.startswith("-"):
            shown.append(HIDDEN)
        elif is_secret and equals:
            shown.append(f"{name}={HIDDEN}")
        else:
            shown.append(word)
        hide = is_secret and not equals and word.startswith("-")
    return [" ".join(word.split()) for word in shown if word]


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode()


def _rank(pid: int, read: Read) -> int | None:
    variables = dict(
        pair.partition(b"=")[::2] for pair in (read(f"/proc/{pid}/environ") or b"").split(b"\0") if pair
    )
    for name in RANK_NAMES:
        value = variables.get(name, b"")
        if value.isdigit():
            return int(value)
    return None


def _tids(pid: int) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))[:TASKS_MAX]
    except OSError:
        return []


def _times(pid: int, read: Read) -> dict[int, int]:
    """Ticks of the processor that each thread had."""
    found = {}
    for tid in _tids(pid):
        fields = _fields(read(f"/proc/{pid}/task/{tid}/stat"))
        if fields:
            found[tid] = int(fields[11]) + int(fields[12])
    return found


def _fields(stat: bytes | None) -> list[str]:
    return stat.rpartition(b")")[2].decode("ascii").split() if stat else []


def _text(body: bytes | None) -> str:
    return (body or b"").decode("utf-8", "replace").strip()


def _process(pid: int, before: dict[int, int], window_s: float, read: Read) -> dict[str, Any]:
    fields = _fields(read(f"/proc/{pid}/stat"))
    if not fields:
        return {"pid": pid, "name": "", "state": "", "wchan": "", "text": f"process {pid}: gone\n"}
    name, state, wchan = _text(read(f"/proc/{pid}/comm")), fields[0], _wchan(f"/proc/{pid}", read)
    tasks, cpu_s = _tasks(pid, before, read)
    lines = [
        f"process {pid} ({name}) state {state} wchan {wchan or '-'} parent {fields[1]} threads {fields[17]}",
        f"  cpu +{cpu_s:.2f} s in {window_s:.2f} s",
        *_status(pid, read),
        *(f"  io {line}" for line in (_text(read(f"/proc/{pid}/io")).replace("\n", " "),) if line),
        *_descriptors(pid),
        *_memory_events(pid, read),
        "  thread name state wchan cpu syscall",
        *tasks,
    ]
    text = "\n".join(lines)
    if len(text) > TEXT_BYTES_MAX:
        text = text[:TEXT_BYTES_MAX] + "\n  ... cut"
    return {
        "pid": pid,
        "name": name,
        "state": state,
        "wchan": wchan,
        "parent": int(fields[1]),
        "threads": int(fields[17]),
        "cpu_s": round(cpu_s, 2),
        "text": text + "\n",
    }


def _wchan(folder: str, read: Read) -> str:
    found = _text(read(f"{folder}/wchan"))
    return "" if found == "0" else found


def _tasks(pid: int, before: dict[int, int], read: Read) -> tuple[list[str], float]:
    """A line for each thread, the kernel's stack of the first ones and of those in D, and what all of them used."""
    lines, cpu_s, stacks = [], 0.0, 0
    for tid in _tids(pid):
        folder = f"/proc/{pid}/task/{tid}"
        fields = _fields(read(f"{folder}/stat"))
        if not fields:
            continue
        used_s = (int(fields[11]) + int(fields[12]) - before.get(tid, 0)) / TICKS_PER_S
        cpu_s += used_s
        name, wchan = _text(read(f"{folder}/comm")), _wchan(folder, read)
        syscall = _text(read(f"{folder}/syscall"))
        lines.append(f"  {tid} {name} {fields[0]} {wchan or '-'} +{used_s:.2f} {syscall or '-'}")
        if fields[0] == "D" or stacks < KERNEL_STACKS_MAX:
            stacks += 1
            lines += [f"      {line}" for line in _text(read(f"{folder}/stack")).splitlines()]
    return lines, cpu_s


def _status(pid: int, read: Read) -> list[str]:
    wanted = [
        line.decode("ascii", "replace").replace("\t", " ")
        for line in (read(f"/proc/{pid}/status") or b"").splitlines()
        if line.partition(b":")[0] in STATUS
    ]
    return [f"  {'; '.join(wanted)}"] if wanted else []


def _descriptors(pid: int) -> list[str]:
    """How many of which kind, and the plain files by name. Only the links are read, never what they lead to."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        return []
    kinds: dict[str, int] = {}
    names: list[str] = []
    for number in numbers[:FDS_MAX]:
        try:
            target = os.readlink(f"{folder}/{number}")
        except OSError:
            continue
        kind = target.partition(":")[0] if not target.startswith("/") else "file"
        if target.startswith(("/dev/", "/memfd:")):
            kind = target.partition(":")[0]
        elif kind == "file" and target not in names and len(names) < FILES_MAX:
            names.append(target)
        kinds[kind] = kinds.get(kind, 0) + 1
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [f"  descriptors {len(numbers)}: {counts}", *(f"    {name}" for name in names)]


def _memory_events(pid: int, read: Read) -> list[str]:
    for line in _text(read(f"/proc/{pid}/cgroup")).splitlines():
        number, _, path = line.split(":", 2)
        if number == "0":
            events = _text(read(f"{CGROUPS}{path.rstrip('/')}/memory.events")).replace("\n", ", ")
            return [f"  cgroup {path}: {events}"] if events else []
    return []
