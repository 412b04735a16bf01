"""`outlast lock`: what a run was locked to, whether a start would still match it, and the way out if not.

Knows screens and words. Refuses to rule by itself (`decide/lock`), and to change anything but by `accept`, which makes
a new version of the lock and keeps the old ones.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from outlast.cli import program, quick, words
from outlast.cli.parse import Parser, add_json, add_run
from outlast.decide.lock import (
    Comparison,
    class_of,
    compare,
    keys_of,
    known,
    merged,
    told,
)
from outlast.disk import workspace as workspaces
from outlast.errors import OK, REFUSED, NotFound, TryAgain, UserError
from outlast.facts import Identity, Lock, NotLocked, Spec
from outlast.settings import load
from outlast.work import locked

if TYPE_CHECKING:
    from argparse import Namespace

    from outlast.disk.layout import RunFolder

HEAD = ["KEY", "CLASS", "VALUE", "SOURCE"]
VALUE_CHARS = 40


class Found(NamedTuple):
    run: RunFolder
    spec: Spec
    lock: Lock | None
    attempt: int  # the newest that began
    config: str


def add_lock(parser: Parser) -> None:
    parser.usage = "outlast lock show|check|diff|accept RUN [options] [-- COMMAND...]"
    parser.add_argument(
        "what",
        choices=("show", "check", "diff", "accept"),
        help="what is locked; exit 0 or 4 whether a start now would match; what differs; lock it to what is there now",
    )
    add_run(parser)
    parser.add_argument("--reason", metavar="TEXT", help="why the change is right; kept with it (accept)")
    add_json(parser)
    parser.examples(
        "outlast lock show @last",
        "outlast lock diff big",
        "outlast lock check big -- python train.py --max_length 4096",
        "outlast lock accept big --reason 'the base model was downloaded anew: same weights, other file'",
    )


def lock(arguments: Namespace) -> int:
    if arguments.reason is not None and arguments.what != "accept":
        raise UserError("lock: --reason belongs to `accept`")
    found = _found(arguments)
    if arguments.what == "show":
        return _show(found, as_json=arguments.json)
    if found.lock is None:
        raise NotFound(f"{found.run.id} has no lock: it is made with the first checkpoint")
    if arguments.what == "accept" and arguments.command:
        raise UserError(
            "lock: a run keeps its command: `outlast rerun` starts another run with a changed one"
        )
    if arguments.command:
        path = locked.environment_of(found.run).get("PATH", os.defpath)
        argv = program.resolved(tuple(arguments.command), found.spec.cwd, path)
        found = found._replace(spec=msgspec.structs.replace(found.spec, argv=argv))
    present, comparison = _measured(found)
    if arguments.what == "accept":
        return _accept(found, present, comparison, arguments)
    return _compared(found, present, comparison, arguments)


def _measured(found: Found) -> tuple[Identity, Comparison]:
    """What a start would find now, and how it differs from the lock."""
    present = locked.present_of(found.run, found.spec, _checkpoint(found), found.attempt + 1)
    was = found.lock.identity if found.lock is not None else Identity(())
    return present, compare(was, present, found.spec.locking)


def _found(arguments: Namespace) -> Found:
    workspace = workspaces.existing(arguments.workspace, reading=arguments.what != "accept")
    run = workspace.run(quick.resolve(workspace, arguments.run))
    begun = locked.newest_begun(run, locked.attempts_of(run) + 1)
    return Found(
        run, locked.spec_of(run), locked.newest(run), begun.n if begun is not None else 0, workspace.config
    )


def _checkpoint(found: Found) -> str:
    """The newest that lies there, by its name: its configuration is looked at, and nothing is verified."""
    from pathlib import Path

    from outlast.checkpoints.catalog import FORMATS
    from outlast.work.survey import survey

    if found.spec.resume is None:
        return ""
    root = found.spec.resume.root.replace("{run_dir}", found.run.path)
    there = [candidate for candidate, _ in survey(FORMATS, Path(root), 1000) if candidate.step is not None]
    return there[0].path if there else ""


def _show(found: Found, *, as_json: bool) -> int:
    identity = found.lock.identity if found.lock is not None else _first_identity(found)
    rows = [_row(key, identity, found.spec) for key in keys_of(identity)]
    if as_json:
        record = {"run": found.run.id, "lock": _about(found.lock), "keys": rows}
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
        return OK
    if found.lock is None:
        print("outlast: not locked yet: that comes with the first checkpoint", file=sys.stderr)
    if rows:
        sys.stdout.write(words.table([HEAD, *map(_cells, rows)]))
    if found.lock is not None:
        sys.stdout.write(f"\n{_said_of(found.lock)}\n")
    for name in _configured_otherwise(found):
        print(
            f"outlast: outlast.yaml says another lock.{name} by now: that is for new runs, this one keeps its own",
            file=sys.stderr,
        )
    return OK


def _configured_otherwise(found: Found) -> list[str]:
    now, own = load(found.config), found.spec.locking
    return [
        name
        for name in ("must_match", "warn", "free", "code")
        if getattr(now, f"lock_{name}") != getattr(own, name)
    ]


def _first_identity(found: Found) -> Identity:
    if not found.attempt:
        return Identity(())
    return locked.began_with(found.run.attempt(found.attempt))


def _row(key: str, identity: Identity, spec: Spec) -> dict[str, Any]:
    traits = known(identity, key)
    whys = [trait.why for name, trait in identity.traits if name == key and isinstance(trait, NotLocked)]
    first = traits[0] if traits else None
    return {
        "key": key,
        "class": class_of(key, spec.locking),
        "locked": first is not None,
        "value": first.value if first is not None else None,
        "kind": first.kind if first is not None else None,
        "source": first.source if first is not None else None,
        "path": (first.path or None) if first is not None else None,
        "fields": dict(first.fields) if first is not None else {},
        "why": None if first is not None else (whys[0] if whys else "nothing tells it"),
    }


def _cells(row: dict[str, Any]) -> list[str]:
    if not row["locked"]:
        return [row["key"], row["class"], "not locked", row["why"]]
    value = row["value"] if len(row["value"]) <= VALUE_CHARS else f"{row['value'][: VALUE_CHARS - 3]}..."
    place = f" ({row['path']})" if row["path"] else ""
    return [row["key"], row["class"], value, f"{row['source']}{place}"]


def _about(lock_: Lock | None) -> dict[str, Any] | None:
    if lock_ is None:
        return None
    return {
        "version": lock_.version,
        "attempt": lock_.attempt,
        "at": words.stamp(lock_.at.wall_s),
        "why": lock_.why,
        "by": lock_.by or None,
        "digest": locked.digest(lock_),
    }


def _said_of(lock_: Lock) -> str:
    by = f" by {lock_.by}" if lock_.by else ""
    age = words.age(words.stamp(lock_.at.wall_s), time.time())
    return f"version {lock_.version}{by}, {age} ago: {lock_.why}"


def _compared(found: Found, present: Identity, comparison: Comparison, arguments: Namespace) -> int:
    """Measured as a start that a person asks for."""
    held, put_off = locked.without_told(comparison)
    missing = locked.missing(found.spec, found.lock, present)
    gone = locked.vanished(found.lock, present) if found.lock is not None else ()
    refused = missing is not None or any(each.class_ == "must_match" for each in held.differences)
    if arguments.json:
        record = {
            "run": found.run.id,
            "lock": _about(found.lock),
            "matches": not refused,
            "differences": [
                {
                    "key": each.key,
                    "class": each.class_,
                    "locked": each.locked.value,
                    "present": each.present.value,
                    "fields": [
                        {"name": name, "locked": was, "present": now} for name, was, now in each.fields
                    ],
                }
                for each in comparison.differences
            ],
            "same": list(comparison.same),
            "put_off": list(put_off),
            "missing": missing,
            "gone": list(gone),
            "not_compared": [{"key": key, "why": why} for key, why in comparison.unknown],
        }
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
    else:
        for line in put_off:
            print(f"outlast: {line}", file=sys.stderr)
        _print_differences(found, comparison, gone, refused=refused, quiet=arguments.what == "check")
    return REFUSED if arguments.what == "check" and refused else OK


def _print_differences(
    found: Found, comparison: Comparison, gone: tuple[str, ...], *, refused: bool, quiet: bool
) -> None:
    for each in comparison.differences:
        sys.stdout.write(f"{each.class_:<11} {told(each)}\n")
    if not quiet:
        for key, why in comparison.unknown:
            sys.stdout.write(f"not locked  {key}: {why}\n")
    same = f"the same: {', '.join(comparison.same)}" if comparison.same else "nothing could be compared"
    print(f"outlast: {same}", file=sys.stderr)
    for key in gone:
        path = known(found.lock.identity, key)[0].path if found.lock is not None else ""
        print(
            f"outlast: {key}: {path}, which is locked, is not there: `outlast lock accept {found.run.id} --reason WHY` "
            "drops it",
            file=sys.stderr,
        )
    if refused:
        run = found.run.id
        print(
            f"outlast: a start would be refused. The way out: put back what was changed, or `outlast lock accept {run} "
            "--reason WHY`, or start a new run",
            file=sys.stderr,
        )


def _accept(found: Found, present: Identity, comparison: Comparison, arguments: Namespace) -> int:
    for _ in range(locked.TIMES_MAX):
        if found.lock is None:
            raise NotFound(f"{found.run.id} has no lock")
        gone = locked.vanished(found.lock, present)
        changed = [each.key for each in comparison.differences]
        if not changed and not gone:
            print("outlast: nothing differs from the lock: nothing is changed", file=sys.stderr)
            return OK
        if not arguments.reason:
            raise UserError(
                "lock accept: --reason is missing: say why the change is right; it is kept with the lock"
            )
        left = locked.without(found.lock, gone)
        taken = Identity(tuple(pair for pair in present.traits if pair[0] in changed))
        kept = Identity(tuple(pair for pair in left.traits if pair[0] not in changed))
        what = ", ".join([*changed, *(f"{key} dropped" for key in gone)])
        why = f"{what}: {arguments.reason}"
        made, ours = locked.add(found.run, found.lock, merged(kept, taken), found.attempt, why, _user())
        if ours:
            return _accepted(found, made, what, changed, gone, as_json=arguments.json)
        print(
            f"outlast: version {made.version} was made by {made.by or 'the run itself'} meanwhile ({made.why}): "
            "compared with it",
            file=sys.stderr,
        )
        found = found._replace(lock=locked.newest(found.run))
        present, comparison = _measured(found)
    raise TryAgain(f"lock accept: the lock of {found.run.id} is made anew by others again and again")


def _accepted(
    found: Found, made: Lock, what: str, changed: list[str], gone: tuple[str, ...], *, as_json: bool
) -> int:
    if as_json:
        record = {"run": found.run.id, "lock": _about(made), "changed": changed, "dropped": list(gone)}
        sys.stdout.write(json.dumps(record, indent=1) + "\n")
    else:
        print(
            f"outlast: locked anew (version {made.version}): {what}; "
            f"`outlast retry {found.run.id}` goes on with it",
            file=sys.stderr,
        )
    return OK


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
