"""`outlast checkpoint`: what lies in a folder of checkpoints, whether it is whole, and what a start would resume from.

Works on any path, also without a workspace. Knows screens and words. Refuses to judge by itself (`checkpoints`), and to
change anything but by `restore`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

from outlast.checkpoints import guard
from outlast.checkpoints.catalog import FORMATS
from outlast.checkpoints.formats.dcp import DcpFormat
from outlast.checkpoints.formats.folder import FolderFormat
from outlast.checkpoints.parts import dcp_folder, listing
from outlast.cli import quick, words
from outlast.cli.parse import Parser, add_json
from outlast.decide.resume import choose
from outlast.disk import workspace as workspaces
from outlast.errors import FAILED, OK, REFUSED, UNKNOWN, NotFound, UserError
from outlast.facts import Candidate, Torn, Unsure, Verdict, Whole
from outlast.work.survey import limit_memory, survey

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from outlast.seams import CheckpointFormat

HEAD = ["STEP", "VERDICT", "LEVEL", "FINITE", "FORMAT", "SIZE", "AGE", "NAME"]
CANDIDATES_MAX = 10_000
FOREVER_S = 1e9
MEMORY_MAX = 8 << 30
DRAW_EVERY_S = 0.2
VERDICTS = {Whole: "whole", Torn: "torn", Unsure: "unsure"}
Found = tuple[Candidate, "CheckpointFormat"]


def add_checkpoint(parser: Parser) -> None:
    parser.add_argument(
        "what",
        choices=("ls", "verify", "next", "accept", "restore"),
        help="list with a quick look; read all of it; what a start would resume from; resume from this one whatever "
        "is said of it; the same for one in quarantine",
    )
    parser.add_argument("target", metavar="PATH|RUN", help="a checkpoint, a folder of them, or a run")
    parser.add_argument("name", metavar="NAME", nargs="?", help="of what lies in quarantine (restore)")
    parser.add_argument(
        "--level",
        type=int,
        choices=(0, 1, 2),
        help="0 structure (ls), 1 also content by its checksums, 2 also finite weights (verify, next)",
    )
    add_json(parser)
    parser.examples(
        "outlast checkpoint ls out/",
        "outlast checkpoint verify out/checkpoint-500",
        "outlast checkpoint verify @last --json | jq '.[] | select(.verdict != \"whole\")'",
        "outlast checkpoint next big",
        "outlast checkpoint accept out/checkpoint-700",
        "outlast checkpoint restore out/ checkpoint-700",
    )


def checkpoint(arguments: Namespace) -> int:
    limit_memory(MEMORY_MAX)
    if (arguments.what == "restore") != (arguments.name is not None):
        raise UserError(
            "checkpoint: NAME belongs to `restore`, which needs one: outlast checkpoint restore PATH NAME"
        )
    path = _path(arguments)
    if arguments.what == "restore":
        print(f"outlast: moved back to {guard.restore(path, arguments.name)}", file=sys.stderr)
        return OK
    if arguments.what == "accept":
        guard.accept(path)
        print(f"outlast: {path} will be resumed from as it is, until it changes", file=sys.stderr)
        return OK
    level = arguments.level if arguments.level is not None else 0 if arguments.what == "ls" else 2
    if arguments.what == "next":
        return _next(path, _formats(arguments), level, as_json=arguments.json)
    judged = _judge(_found(path), level)
    rows = [_row(candidate, verdict) for candidate, verdict in judged]
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        _show(path, rows)
    return _code([verdict for _, verdict in judged]) if arguments.what == "verify" else OK


def _path(arguments: Namespace) -> Path:
    """What exists is a path; else it names a run, whose checkpoints are meant. Raises NotFound."""
    if os.path.lexists(arguments.target):
        return Path(os.path.abspath(arguments.target))
    if os.path.sep in arguments.target:
        raise NotFound(f"{arguments.target}: there is no such file or folder")
    workspace = workspaces.existing(arguments.workspace)
    run = quick.resolve(workspace, arguments.target)
    spec = quick.record(workspace.run(run).record) or {}
    root = (spec.get("resume") or {}).get("root")
    if not root:
        raise NotFound(f"{run} has no --checkpoints: name the folder itself")
    return Path(str(root))


def _found(path: Path) -> list[Found]:
    """The checkpoint that `path` is, or those that lie in it."""
    beside = {found[0].path: found for found in survey(FORMATS, path.parent, CANDIDATES_MAX)}
    itself = beside.get(str(path))
    inside = survey(FORMATS, path, CANDIDATES_MAX) if path.is_dir() else []
    plain = FolderFormat()
    if itself is not None and (not inside or itself[1].name != plain.name):
        return [itself]
    if inside:
        return inside
    if path.is_dir() and not any(path.iterdir()):
        return []
    status = path.lstat()
    is_dcp = dcp_folder.is_one(listing.names_in(str(path)))
    format_: CheckpointFormat = DcpFormat() if is_dcp else plain
    return [(Candidate(str(path), format_.name, None, status.st_size, 1, status.st_mtime_ns), format_)]


def _judge(found: Sequence[Found], level: int) -> list[tuple[Candidate, Verdict]]:
    with Progress(found, level) as progress:
        return [
            (candidate, progress.of(each.inspect, candidate, level, FOREVER_S)) for candidate, each in found
        ]


def _formats(arguments: Namespace) -> Sequence[CheckpointFormat]:
    """Those that the run allows; all for a path."""
    if os.path.lexists(arguments.target):
        return FORMATS
    workspace = workspaces.existing(arguments.workspace)
    spec = quick.record(workspace.run(quick.resolve(workspace, arguments.target)).record) or {}
    wanted = (spec.get("resume") or {}).get("format", "auto")
    return [each for each in FORMATS if wanted in ("auto", each.name)]


def _next(path: Path, formats: Sequence[CheckpointFormat], level: int, *, as_json: bool) -> int:
    from outlast.work import ready

    found = survey(formats, path, CANDIDATES_MAX)
    looked = ready.look(found, time.monotonic() + FOREVER_S, level)
    choice = choose(looked)
    older = len(found) - len(looked)
    if as_json:
        record = {
            "checkpoint": choice.candidate.path if choice.candidate else None,
            "step": choice.candidate.step if choice.candidate else None,
            "reasons": list(choice.reasons),
            "refuse": choice.refuse,
            "not_looked_at": older,
        }
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
    else:
        sys.stdout.write(f"{choice.candidate.path if choice.candidate else 'nothing'}\n")
        for reason in choice.reasons:
            print(f"  {reason}", file=sys.stderr)
        if older:
            print(f"  {older} older ones were not looked at", file=sys.stderr)
        if choice.refuse:
            print("outlast: a start would be refused: no checkpoint can be resumed from", file=sys.stderr)
    return REFUSED if choice.refuse else OK


def _row(candidate: Candidate, verdict: Verdict) -> dict[str, Any]:
    reasons: tuple[str, ...] = verdict.notes if isinstance(verdict, Whole) else verdict.reasons
    return {
        "path": candidate.path,
        "step": candidate.step,
        "format": candidate.format,
        "verdict": VERDICTS.get(type(verdict), "foreign"),
        "level": verdict.level if isinstance(verdict, Whole) else None,
        "finite": verdict.finite if isinstance(verdict, Whole) else None,
        "reasons": list(reasons),
        "bytes": _bytes(candidate.path),
        "mtime": candidate.newest_mtime_ns / 1e9,
    }


def _code(verdicts: Sequence[Verdict]) -> int:
    if any(isinstance(each, Torn) or (isinstance(each, Whole) and each.finite is False) for each in verdicts):
        return FAILED
    return OK if all(isinstance(each, Whole) for each in verdicts) else UNKNOWN


def _show(path: Path, rows: list[dict[str, Any]]) -> None:
    if not rows:
        print(f"outlast: {path} holds nothing that is known for a checkpoint", file=sys.stderr)
    else:
        sys.stdout.write(words.table([HEAD, *map(_cells, rows)]))
    for row in rows:
        for reason in row["reasons"]:
            sys.stdout.write(f"\n{os.path.basename(row['path'])}: {reason}")
    sys.stdout.write("\n" if any(row["reasons"] for row in rows) else "")
    hidden = guard.quarantined(path)
    if hidden:
        sys.stdout.write(f"\nin quarantine (outlast checkpoint restore {path} NAME): {', '.join(hidden)}\n")


def _cells(row: dict[str, Any]) -> list[str]:
    finite = {None: "-", True: "yes", False: "NO"}[row["finite"]]
    return [
        "-" if row["step"] is None else str(row["step"]),
        row["verdict"],
        "-" if row["level"] is None else f"L{row['level']}",
        finite,
        row["format"],
        words.size(row["bytes"]),
        words.span(max(0.0, time.time() - row["mtime"])),
        os.path.basename(row["path"]),
    ]


def _bytes(path: str) -> int:
    if not os.path.isdir(path):
        return os.stat(path).st_size if os.path.exists(path) else 0
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # deleted meanwhile
    return total


class Progress:
    """A line on a terminal while much is read: how far by the bytes that this process has read."""

    def __init__(self, found: Sequence[Found], level: int) -> None:
        self._is_on = level > 0 and sys.stderr.isatty()
        self._total = sum(_bytes(candidate.path) for candidate, _ in found) if self._is_on else 0
        self._count, self._of = 0, len(found)
        self._read_before, self._began_s = _read_bytes(), time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_on:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def of(self, inspect: Any, candidate: Candidate, level: int, within_s: float) -> Verdict:
        self._count += 1
        if not self._is_on:
            return cast("Verdict", inspect(candidate, level, within_s))
        answer: list[Verdict] = []
        worker = Thread(target=lambda: answer.append(inspect(candidate, level, within_s)), daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(DRAW_EVERY_S)
            self._draw(os.path.basename(candidate.path))
        return answer[0]

    def _draw(self, name: str) -> None:
        read = _read_bytes() - self._read_before
        share = min(1.0, read / self._total) if self._total else 0.0
        rate = read / max(1e-3, time.monotonic() - self._began_s)
        line = f"verifying {name} ({self._count} of {self._of})  {share:4.0%}  {words.size(int(rate))}/s"
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def _read_bytes() -> int:
    """By this process, from files and pipes."""
    return int(Path("/proc/self/io").read_text().split()[1])
