"""`outlast completion`: a completion script, made from the very parsers of the verbs.

Refuses to complete run ids: a shell waits for nothing.
"""

import argparse
import sys
from argparse import Namespace

from outlast.cli.parse import Parser
from outlast.cli.verbs import VERBS, parser_of
from outlast.errors import OK

SHELLS = ("bash", "zsh", "tcsh")


def add_completion(parser: Parser) -> None:
    parser.add_argument("shell", choices=SHELLS)
    parser.examples(
        "outlast completion bash > ~/.local/share/bash-completion/completions/outlast",
        "outlast completion zsh > ~/.zfunc/_outlast",
    )


def completion(arguments: Namespace) -> int:
    import shtab

    sys.stdout.write(shtab.complete(whole_parser(), shell=arguments.shell) + "\n")
    return OK


def whole_parser() -> argparse.ArgumentParser:
    """All verbs under one parser: only completion and documentation need it."""
    whole = argparse.ArgumentParser(prog="outlast")
    whole.add_argument("--version", action="store_true", help="print the version")
    whole.add_argument("--workspace", metavar="DIR", help="the workspace")
    verbs = whole.add_subparsers()
    for verb, (_, _, line) in VERBS.items():
        single = parser_of(verb)
        verbs.add_parser(verb, help=line, parents=[single], add_help=False)
    return whole
