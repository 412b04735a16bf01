"""How words on the command line become values, and how a wrong word becomes one clear line.

Knows argparse. Refuses to know any verb's options.
"""

from __future__ import annotations

import argparse
import os
import re

from outlast.errors import UserError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

WIDTH = 120
WITH_COMMAND = ("run", "rerun", "lock")  # verbs whose words after `--` are somebody else's


def _formatter(prog: str) -> argparse.HelpFormatter:
    """As wide as the terminal. argparse would ask shutil, whose import costs a third of `outlast ls`."""
    try:
        width = os.get_terminal_size().columns
    except OSError:
        width = WIDTH
    return argparse.RawDescriptionHelpFormatter(prog, width=min(max(width, 40), WIDTH) - 2)


class Parser(argparse.ArgumentParser):
    """Errors are UserErrors with the nearest known option; abbreviations are refused, so that new options may come."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_formatter, **options)
        # "-5s" is a wrong value of the option before it, and no option: what is said about it is then its own
        self._negative_number_matcher = re.compile(r"-\.?\d")
        self.absent: dict[str, str] = {}  # options that somebody might expect, and what is to be said of them

    def examples(self, *lines: str) -> None:
        self.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]  # it answers with our Namespace only
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._about(unknown[0]))
        return arguments

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog.removeprefix('outlast ')}: {message} ({self.prog} --help)")

    def _about(self, word: str) -> str:
        from outlast.cli.words import nearest

        if not word.startswith("-"):
            return f"unexpected word {word!r}"
        option = word.partition("=")[0]
        if option in self.absent:
            return f"no option {option}: {self.absent[option]}"
        known = [name for name in self._option_string_actions if name.startswith("--")]
        return f"unknown option {option}{nearest(option, known)}"


def split_command(verb: str, words: list[str]) -> tuple[list[str], list[str] | None]:
    """The words before and after the first `--`; None: there was none."""
    if verb not in WITH_COMMAND or "--" not in words:
        return words, None
    cut = words.index("--")
    return words[:cut], words[cut + 1 :]


def add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_run(parser: Parser, nargs: str | None = None, more: str = "") -> None:
    text = "an id, a unique prefix, a name (its newest run) or @last" + more
    parser.add_argument("runs" if nargs else "run", metavar="RUN", nargs=nargs, help=text)


def positive(text: str) -> int:
    """A whole number above zero."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return number


def duration(text: str) -> float:
    """Seconds: "30", "90s", "30m", "1h30m", "2d"."""
    from outlast.settings import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
