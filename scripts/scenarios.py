"""Writes docs/scenarios.md from tests/scenarios.py; `--check` only says whether it is up to date.

`--prove [ID...]` plants the fault of each row and runs the row's first test: it has to be red. Knows how a row is
printed. Refuses to know what the scenarios are.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.mutants.plant import plant  # noqa: E402 - the root has to be on the path first
from tests.mutants.registry import MUTANTS  # noqa: E402 - the root has to be on the path first
from tests.scenarios import GROUPS, SCENARIOS, Scenario  # noqa: E402 - the root has to be on the path first

PAGE = ROOT / "docs" / "scenarios.md"
HEAD = """# Scenarios

Written by `scripts/scenarios.py` from `tests/scenarios.py`: change that, then run it (`make fmt` does).

What outlast must survive, the tests that live through it, and a bug that is planted to see that they would notice: with
that fault in the code the first test of the row is red. Numbers are those of the project's list; gaps are intended.

    make mutants                            every planted bug, and all tests that have to see it
    python -m tests.mutants NAME            one of them, by the name in the last column
    python scripts/scenarios.py --prove ID  the first test of a row, under its fault
    python -m pytest TEST                   one test, as it stands

Tests under `tests/live` and `tests/crash` start and kill real processes; `make test` runs them, but for what is marked
`soak`, which `make soak` runs.
"""


def page() -> str:
    parts = [HEAD]
    for title, rows in GROUPS.items():
        parts.append(f"\n## {title}\n\n| | set-up → outcome | tests | fault |\n|---|---|---|---|\n")
        parts += [_line(row) for row in rows]
    return "".join(parts)


def _line(row: Scenario) -> str:
    says = row.says.replace("->", "→").replace("|", "\\|")
    tests = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in row.tests)
    return f"| {row.id} | {says} | {tests} | `{row.fault}` |\n"


def prove(ids: list[str]) -> int:
    """How many rows are not proven."""
    faults = {mutant.name: mutant for mutant in MUTANTS}
    alive = 0
    for row in SCENARIOS:
        if ids and row.id not in ids:
            continue
        (result,) = plant(faults[row.fault]._replace(tests=row.tests[:1]))
        alive += result.answer != "caught"
        print(f"{result.answer:12} {row.id}: {row.fault}\n             {result.words}", flush=True)
    return alive


def main(words: list[str]) -> int:
    if words[:1] == ["--prove"]:
        return 1 if prove(words[1:]) else 0
    written = page()
    if "--check" not in words:
        PAGE.write_text(written)
        return 0
    if not PAGE.exists() or PAGE.read_text() != written:
        print(f"{PAGE.name} is out of date: python scripts/scenarios.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
