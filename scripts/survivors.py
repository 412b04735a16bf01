"""Writes docs/survivors.md: the mutants of decide/ that no unit test notices. Run it after `mutmut run`.

Knows what `mutmut results` and `mutmut show` print. Refuses to judge a mutant: a person reads the page.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "survivors.md"
HEAD = """# Mutants of decide/ that live

Written by `scripts/survivors.py` after `mutmut run`, which changes every operator, constant and call of
`src/outlast/decide`, one at a time, and runs `tests/unit/decide` against each. {killed} of {total} mutants were
noticed; {alive} ({share:.1f} %) live and stand below. Most drop an `assert_never` that mypy guards, a word of a
sentence, or a field that the caller sets again.

    mutmut run                        about seven minutes
    python scripts/survivors.py       this page

| where | what was changed | to |
|---|---|---|
"""


def main() -> int:
    mutmut = shutil.which("mutmut", path=str(Path(sys.executable).parent))
    if mutmut is None:
        print("survivors: mutmut is not installed: make setup", file=sys.stderr)
        return 1
    states = dict(_states(_said(mutmut, "results", "--all", "true")))
    alive = [name for name, state in states.items() if state == "survived"]
    rows = [_row(name, _said(mutmut, "show", name)) for name in alive]
    killed, total = len(states) - len(alive), len(states)
    head = HEAD.format(killed=killed, total=total, alive=len(alive), share=100 * len(alive) / total)
    PAGE.write_text(head + "".join(sorted(rows)))
    print(f"survivors: {len(alive)} of {total}, written to {PAGE}", file=sys.stderr)
    return 0


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _states(said: str) -> Iterator[tuple[str, str]]:
    for line in said.splitlines():
        name, separator, state = line.strip().partition(": ")
        if separator:
            yield name, state


def _row(name: str, diff: str) -> str:
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "#"))]
    was = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    now = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    module, _, function = name.partition(".x")
    where = f"{module.removeprefix('outlast.')} {function.rpartition('__mutmut_')[0].replace('ǁ', '.').lstrip('_.')}"
    return f"| {where} | {_cell(was)} | {_cell(now) if now else '(nothing)'} |\n"


def _cell(text: str) -> str:
    text = text if len(text) <= 120 else text[:117] + "..."
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`"


if __name__ == "__main__":
    sys.exit(main())
