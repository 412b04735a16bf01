"""Which verbs there are and where each lives. Only the module of the verb that was asked for is imported.

A module of verbs has, for a verb `ls`, two functions: `add_ls(parser)` declares its options and `ls(arguments)`
does it and returns the exit code.

Refuses to know what a verb does.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from outlast.cli.words import nearest
from outlast.errors import OK, UserError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.cli.parse import Parser

GROUPS = {
    "run": "start and end",
    "look": "look",
    "act": "act",
    "set": "set up",
}
# What prompts and scripts ask a thousand times: without options they need no parser (a fifth of their time), and their
# modules have `plain(workspace, as_json=)` for it.
QUICK = ("ls", "status")
# verb: (group, module under outlast.cli, one line)
VERBS = {
    "run": ("run", "run", "supervise a command; foreground view by default"),
    "rerun": ("run", "rerun", "the same run once more, with changes"),
    "up": ("run", "up", "be the supervisor of this workspace on this host"),
    "down": ("run", "up", "stop runs safely, leave them queued, end the supervisor"),
    "ls": ("look", "listing", "list runs"),
    "show": ("look", "show", "all that is known of a run"),
    "why": ("look", "why", "the story of a run: attempts, ends, causes, what to do"),
    "logs": ("look", "logs", "the training's own output"),
    "metrics": ("look", "metrics", "losses and other values of all attempts, as one curve"),
    "limits": ("look", "limits", "how long each section may be quiet, and a replay of what is declared"),
    "checkpoint": (
        "look",
        "checkpoint",
        "what was saved, whether it is whole, what a start would resume from",
    ),
    "lock": ("look", "lock", "what a run may not change across restarts, and whether it did"),
    "wait": ("look", "wait", "wait for runs to end"),
    "status": ("look", "status", "who supervises, what runs, why nothing runs"),
    "stop": ("act", "act", "end a run safely: it saves, then leaves"),
    "pause": ("act", "act", "stop a run safely and keep it until `resume`"),
    "resume": ("act", "act", "let a paused run go on"),
    "retry": ("act", "act", "let an ended run go on"),
    "priority": ("act", "act", "change what runs first"),
    "rm": ("act", "remove", "delete ended runs"),
    "archive": ("act", "remove", "pack ended runs to one file each"),
    "config": ("set", "config", "show or check outlast.yaml"),
    "service": ("set", "service", "a systemd unit, so that runs survive a reboot"),
    "completion": ("set", "completion", "completions for bash, zsh, tcsh"),
    "demo": ("set", "tour", "the one-minute tour: a training that is killed and finishes"),
}


def dispatch(words: list[str]) -> int:
    """Find the verb, parse its words, do it."""
    refuse_bytes(words)
    workspace, rest = _leading_options(words)
    if not rest:
        sys.stdout.write(help_text())
        return OK
    verb, *rest = rest
    if verb == "--version":
        import outlast

        sys.stdout.write(f"outlast {outlast.__version__}\n")
        return OK
    if verb in ("-h", "--help", "help"):
        return _help(rest)
    if verb not in VERBS:
        raise UserError(_unknown(verb))
    module = import_module(f"outlast.cli.{VERBS[verb][1]}")
    if verb in QUICK:
        gc.disable()  # a short life: to look for garbage among a thousand rows takes a tenth of it
        if not set(rest) - {"--json"}:
            return int(module.plain(workspace, as_json=bool(rest)))
    from outlast.cli.parse import split_command

    own, command = split_command(verb, rest)
    arguments = parser_of(verb, module).parse_args(own)
    arguments.verb, arguments.command = verb, command
    arguments.workspace = arguments.workspace or workspace
    return int(getattr(module, verb)(arguments))


def parser_of(verb: str, module: object | None = None) -> Parser:
    from outlast.cli.parse import Parser

    module = module or import_module(f"outlast.cli.{VERBS[verb][1]}")
    parser = Parser(prog=f"outlast {verb}", description=f"{VERBS[verb][2]}.")
    getattr(module, f"add_{verb}")(parser)
    parser.add_argument("--workspace", metavar="DIR", help="the workspace (default: found from here upwards)")
    return parser


def refuse_bytes(words: list[str]) -> None:
    """Words become records, and those are UTF-8 text. A value of --env may be a secret: it is not repeated."""
    for position, word in enumerate(words):
        if word.isascii():
            continue
        try:
            word.encode()
        except UnicodeEncodeError:
            of_env = word.startswith("--env=") or (position > 0 and words[position - 1] == "--env")
            shown = "a word of --env" if of_env else ascii(os.fsencode(word))[1:]
            raise UserError(
                f"word {position + 1} of the command line is not UTF-8 text: {shown}; write it in UTF-8"
            ) from None


def help_text() -> str:
    lines = [
        "usage: outlast [--workspace DIR] VERB [options]",
        "",
        "Keeps long machine-learning training runs alive, honest and finished.",
    ]
    for group, title in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {verb:<11} {line}" for verb, (where, _, line) in VERBS.items() if where == group]
    lines += [
        "",
        "RUN is an id, a unique prefix, a name (its newest run) or @last. `outlast VERB --help` has examples.",
        "",
        "  outlast run -- python train.py",
        "  outlast run -d --name big --checkpoints out --resume-args '--resume {checkpoint}' -- python train.py",
        "",
    ]
    return "\n".join(lines)


def _leading_options(words: list[str]) -> tuple[str | None, list[str]]:
    """`--workspace DIR` may stand before the verb, too."""
    workspace = None
    while words and (words[0] == "--workspace" or words[0].startswith("--workspace=")):
        name, equals, value = words[0].partition("=")
        if not equals and len(words) < 2:
            raise UserError(f"{name} needs a folder")
        workspace, words = (value, words[1:]) if equals else (words[1], words[2:])
    return workspace, words


def _help(words: list[str]) -> int:
    if not words:
        sys.stdout.write(help_text())
        return OK
    if words[0] not in VERBS:
        raise UserError(_unknown(words[0]))
    parser_of(words[0]).print_help()
    return OK


def _unknown(word: str) -> str:
    kind = "option" if word.startswith("-") else "verb"
    known = ["--help", "--version", "--workspace"] if kind == "option" else list(VERBS)
    return f"unknown {kind} {word}{nearest(word, known)} (outlast --help lists them)"
