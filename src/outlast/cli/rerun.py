"""`outlast rerun`: the same run once more, as a new run, with changes to its command.

Knows the old run's record and environment. Refuses to touch the old run.
"""

import os
from argparse import Namespace

import msgspec

from outlast.cli import environment, program, quick
from outlast.cli.parse import Parser, add_json
from outlast.cli.parse import add_run as add_run_argument
from outlast.cli.run import DETACH, NO_WAIT, begin, wants_inline
from outlast.disk import files
from outlast.disk import workspace as workspaces
from outlast.errors import NotFound, UserError
from outlast.facts import Moment, Pairs, RunId, Spec
from outlast.facts.codec import from_record


def add_rerun(parser: Parser) -> None:
    parser.usage = "outlast rerun RUN [options] [-- CHANGES...]"
    add_run_argument(parser)
    parser.add_argument("-d", "--detach", action="store_true", help=DETACH)
    parser.add_argument("--inline", action="store_true", help="supervise in this process")
    parser.add_argument("--wait", action="store_true", help="no output; wait for the end")
    parser.add_argument("--no-wait", action="store_true", help=NO_WAIT)
    parser.add_argument("--dry-run", action="store_true", help="show what would be accepted; change nothing")
    parser.add_argument("--name", metavar="N", help="another name")
    parser.add_argument("--env", metavar="K[=V]", action="append", default=[], help="change the environment")
    parser.add_argument("--take-over", action="store_true", help="go on from the checkpoints of the old one")
    parser.add_argument("--no-resume-check", action="store_true", help="let it begin anew all the same")
    add_json(parser)
    parser.examples(
        "outlast rerun @last",
        "outlast rerun @last --take-over -- --epochs 30",
        "outlast rerun big -d -- --lr 1e-4",
        "outlast rerun big -- lr=1e-4 --seed=2",
    )


def rerun(arguments: Namespace) -> int:
    workspace = workspaces.existing(arguments.workspace)
    old = quick.resolve(workspace, arguments.run)
    folder = workspace.run(old)
    record = files.read(folder.record)
    if record is None:
        raise NotFound(f"run {old}: its run.json is gone; start it anew with `outlast run`")
    spec = from_record(record, Spec, folder.record)
    kept = environment.read(folder.env)
    added = environment.captured({**os.environ}, arguments.env, inline=True) if arguments.env else {}
    kept |= {word.partition("=")[0]: added[word.partition("=")[0]] for word in arguments.env}
    if arguments.take_over and spec.resume is None:
        raise UserError(f"rerun: --take-over: {old} has no --checkpoints")
    argv = changed(spec.argv, tuple(arguments.command or ()))
    again = msgspec.structs.replace(
        spec,
        run=RunId(""),
        place=workspaces.place_name(workspace),
        made=Moment("", 0.0, 0.0),
        key="",
        origin=f"rerun of {old}",
        argv=program.resolved(argv, spec.cwd, kept.get("PATH", os.defpath)),
        name=program.sanitized(arguments.name) if arguments.name else spec.name,
        inline=wants_inline(arguments),
        after=(),
        resume=spec.resume and msgspec.structs.replace(spec.resume, take_over=arguments.take_over),
        options=_options(spec.options, is_checked=not arguments.no_resume_check),
    )
    return begin(arguments, workspace, again, kept)


def _options(old: Pairs, *, is_checked: bool) -> Pairs:
    return old if is_checked else tuple(dict([*old, ("resume-check", "no")]).items())


def changed(argv: tuple[str, ...], changes: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` with each change in the place of the same option, or at the end. A change is `--opt=value`, `key=value`,
    `--opt value...` or `--flag`. Raises UserError for a word that is none of these."""
    words = list(argv)
    for change in _grouped(changes):
        name = _name(change[0])
        at = next((i for i, word in enumerate(words) if i and _name(word) == name), None)
        if at is None:
            words += change
            continue
        end = at + 1
        if "=" not in words[at]:
            while end < len(words) and _is_value(words[end]):
                end += 1
        words[at:end] = change
    return tuple(words)


def _grouped(changes: tuple[str, ...]) -> list[list[str]]:
    groups: list[list[str]] = []
    for word in changes:
        if not _is_value(word):
            groups.append([word])
        elif groups and groups[-1][0].startswith("-") and "=" not in groups[-1][0]:
            groups[-1].append(word)
        else:
            raise UserError(f"rerun: {word!r}: a change is --option, --option value or key=value")
    return groups


def _is_value(word: str) -> bool:
    """Not the beginning of an option or of key=value; a negative number is a value."""
    if word.startswith("-"):
        return word[1:].replace(".", "", 1).replace("e-", "", 1).isdigit()
    return "=" not in word


def _name(word: str) -> str:
    return word.partition("=")[0] if not _is_value(word) else ""
