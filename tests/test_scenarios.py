"""The table of scenarios is true: every test that it names is there, every fault is planted, nothing is missing."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.plant import OURS_FIRST, Mutant
from tests.mutants.registry import MUTANTS
from tests.scenarios import SCENARIOS, Scenario

ROOT = Path(__file__).parent.parent
TESTS_MAX = 3
# What the ring was built to survive.
LISTED = (
    "L1 L2 L3 L5 L6 L7 L8 L9 L10 L19 L21 L22 L23 L24 L28 L29 L30 L33 L39 L40 L43 L54 L58 R25 R26 R34 R36 "
    "R9 R16 R17 L49 P9 R18 R19 R20 R22 R23 R27 R28 R30 R32 R33 R42 L32 L34 P3 P5 P14 "
    "L37 L38 R12 R13 R14 P7 "
    "P1 P4 P11 P12 P13 P15 P16 P18 I1 I2 I3 I4 I5 I6 I7 I8 stall"
).split()
BUGS = 17
BY_ID = pytest.mark.parametrize("row", SCENARIOS, ids=lambda row: str(row.id))


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def file_of(test: str) -> str:
    return test.split()[0].partition("::")[0]


def test_every_scenario_has_one_row() -> None:
    ids = [row.id for row in SCENARIOS]
    assert len(set(ids)) == len(ids)
    assert set(LISTED) <= set(ids)
    assert {"early deaths"} | {
        f"bad input: {what}" for what in ("options", "configuration", "workspace")
    } <= set(ids)
    assert sum(name.startswith("bug: ") for name in ids) == BUGS


@BY_ID
def test_every_test_that_is_named_is_there(row: Scenario) -> None:
    assert 1 <= len(row.tests) <= TESTS_MAX
    for test in row.tests:
        path, _, name = test.partition("::")
        assert name in functions(path), test


@BY_ID
def test_every_fault_is_planted_where_the_first_test_sees_it(row: Scenario) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == row.fault]
    assert file_of(row.tests[0]) in map(file_of, mutant.tests)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.name))
def test_every_planted_bug_still_fits(mutant: Mutant) -> None:
    """A text to patch that is gone would be found by `make mutants` only, which nobody runs every day."""
    for patch in (OURS_FIRST, *mutant.patches):
        text = (ROOT / "src" / "outlast" / patch.file).read_text(encoding="utf-8")
        assert text.count(patch.old) == 1, f"{patch.file}: {patch.old!r}"


def test_no_two_planted_bugs_have_one_name() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names)


def test_the_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/scenarios.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
