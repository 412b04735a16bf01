"""Writes docs/commands.md from the command's own parsers; `--check` only says whether it is up to date.

Knows the page's fixed parts (signals, ends, exit codes). Refuses to describe an option by hand: what a page says and
what `--help` says are one text.
"""

import os
import sys
from pathlib import Path

os.environ["COLUMNS"] = "100"  # argparse wraps to the terminal: a page must not depend on one

from outlast.cli.verbs import GROUPS, VERBS, parser_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
HEAD = """# Commands

Written by `scripts/reference.py` from the command's own parsers: change those, then run it (`make fmt` does).

RUN is an id, a unique prefix of one, a name (its newest run) or `@last`. Data goes to standard output, talk to standard
error; every reading verb has `--json`. A verb that acts returns when the act has happened (`--no-wait`: when it
is asked for).

## Signals

| signal | foreground view of `run` | `run --inline` | `up`, service |
|---|---|---|---|
| INT (Ctrl-C) | 1st: safe stop, 2nd: stop now | the same | the supervisor leaves, runs go on |
| TERM | detach (75) | safe stop, the run stays resumable | the supervisor leaves, runs go on |
| HUP (terminal lost) | detach (75) | ignored | reads the configuration anew |

Only a request (`stop`, Ctrl-C in the view) cancels a run. A signal to the training or its runner from outside is an
interruption, and the run resumes.

## Ends

| what | values |
|---|---|
| `phase` of a run | queued launching running waiting paused ended |
| `waiting_for` | slot backoff dependency down ... |
| `verdict` of an attempt | finished early_exit interrupted failed lost never-began no-op |
| `outcome` of a run | completed failed cancelled no-op unknown |
| `proof` of completed | exit (the code was 0), step (the target step was seen) |

## Exit codes

| code | meaning |
|---|---|
| 0 | ok; for `run` and `wait`: completed |
| 1 | the run failed or did nothing (no-op) |
| 2 | usage or configuration |
| 3 | not running, not found |
| 4 | refused, with the reason |
| 5 | the outcome is unknown |
| 70 | a bug of outlast |
| 75 | try again: another holder, no answer yet, stopped and resumable; of `run`, that only its view has ended |
| 130 | cancelled |

A training says 75 for "stopped on request, resume me" and 93 for "do not restart me".
"""


def page() -> str:
    parts = [HEAD]
    for group, title in GROUPS.items():
        parts.append(f"\n## To {title}\n")
        for verb, (where, _, line) in VERBS.items():
            if where == group:
                help_text = parser_of(verb).format_help().rstrip()
                parts.append(f"\n### {verb}: {line}\n\n```\n{help_text}\n```\n")
    return "".join(parts)


def main() -> int:
    written = page()
    if "--check" not in sys.argv:
        PAGE.write_text(written)
        return 0
    if not PAGE.exists() or PAGE.read_text() != written:
        print(f"{PAGE.name} is out of date: python scripts/reference.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
