"""`outlast checkpoint`: what lies in a folder of checkpoints, whether it is whole, what a start would resume from, and
which are kept.

Works on any path, also without a workspace. Knows words and targets. Refuses to judge by itself (`checkpoints`,
`decide`).
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from outlast.checkpoints import guard, pins
from outlast.cli import checkpoint_table as table
from outlast.cli import checkpoint_targets as targets
from outlast.cli.parse import Parser, add_json, positive
from outlast.decide.resume import choose
from outlast.errors import OK, REFUSED, UserError
from outlast.work.past import Past
from outlast.work.survey import newest_first, survey

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from outlast.facts import Candidate, Verdict


NAMED = ("restore",)
FINITE, LOADED = 2, 3


def add_checkpoint(parser: Parser) -> None:
    parser.add_argument(
        "what",
        choices=("ls", "verify", "next", "accept", "restore", "pin", "unpin", "gc"),
        help="list with a quick look; read all of it; what a start would resume from; resume from this one whatever "
        "is said of it; the same for one in quarantine; keep a second copy of this one; no longer; remove those that "
        "no rule keeps",
    )
    parser.add_argument("target", metavar="PATH|RUN", help="a checkpoint, a folder of them, or a run")
    parser.add_argument("name", metavar="NAME", nargs="?", help="of what lies in quarantine (restore)")
    parser.add_argument(
        "--level",
        type=int,
        choices=(0, 1, 2, 3),
        help="0 structure (ls), 1 also content by its checksums, 2 also finite weights (verify, next), 3 also loads, "
        "in a process with limits (verify)",
    )
    parser.add_argument(
        "--python", metavar="PROGRAM", default=sys.executable, help="verify --level 3: the training's Python"
    )
    parser.add_argument(
        "--keep", metavar="N", type=positive, help="gc: the last N (default: retention in outlast.yaml)"
    )
    parser.add_argument("--dry-run", action="store_true", help="gc: say which would go, and remove none")
    add_json(parser)
    parser.examples(
        "outlast checkpoint ls out/",
        "outlast checkpoint verify out/checkpoint-500",
        "outlast checkpoint verify @last --json | jq '.[] | select(.verdict != \"whole\")'",
        "outlast checkpoint verify out/checkpoint-500 --level 3 --python /envs/train/bin/python",
        "outlast checkpoint next big",
        "outlast checkpoint accept out/checkpoint-700",
        "outlast checkpoint restore out/ checkpoint-700",
        "outlast checkpoint pin out/checkpoint-500",
        "outlast checkpoint gc big --keep 3 --dry-run",
    )


def checkpoint(arguments: Namespace) -> int:
    what = arguments.what
    if (what in NAMED) != (arguments.name is not None):
        raise UserError(
            "checkpoint: NAME belongs to `restore`, which needs one: outlast checkpoint restore PATH NAME"
        )
    if what != "gc" and (arguments.keep or arguments.dry_run):
        raise UserError("checkpoint: --keep and --dry-run belong to `gc`")
    target = targets.of(arguments)
    if what == "restore":
        print(f"outlast: moved back to {guard.restore(target.path, arguments.name)}", file=sys.stderr)
        return OK
    if what == "accept":
        guard.accept(target.path)
        print(f"outlast: {target.path} will be resumed from as it is, until it changes", file=sys.stderr)
        return OK
    if what in ("pin", "unpin", "gc"):
        from outlast.cli import checkpoint_keep as keeping

        return keeping.act(arguments, target)
    level = arguments.level if arguments.level is not None else 0 if what == "ls" else 2
    if level == LOADED and what != "verify":
        raise UserError("checkpoint: --level 3 loads what is there, and belongs to `verify`")
    if what == "next":
        return _next(target, level, as_json=arguments.json)
    judged = targets.judge(target, targets.found_at(target.path), min(level, FINITE))
    if level == LOADED:
        from outlast.work import load

        limits = load.Limits(arguments.python)
        judged = [(candidate, load.loaded(verdict, candidate.path, limits)) for candidate, verdict in judged]
    return _list(target, judged, as_json=arguments.json, is_verdict=what == "verify")


def _list(
    target: targets.Target, judged: Sequence[tuple[Candidate, Verdict]], *, as_json: bool, is_verdict: bool
) -> int:
    root = targets.root_of(target.path)
    pinned = {pin.manifest.path: pin.by or pin.how for pin in pins.held(root)}
    rows = [table.row(candidate, verdict, pinned.get(candidate.path, "")) for candidate, verdict in judged]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        table.show(target.path, rows)
    return table.code([verdict for _, verdict in judged]) if is_verdict else OK


def _next(target: targets.Target, level: int, *, as_json: bool) -> int:
    from outlast.work import ready

    past = Past(target.path, target.run, takes_over=target.takes_over)
    found = newest_first(
        [*survey(target.formats, target.path, targets.CANDIDATES_MAX), *past.copies(target.formats)]
    )
    looked = ready.look(found, time.monotonic() + targets.FOREVER_S, level, past)
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
