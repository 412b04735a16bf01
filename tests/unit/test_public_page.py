"""The table of public programs: who counts as resumed rightly, and that the page says what was found."""

from typing import Any

import pytest

from tests.corpus import public
from tests.corpus.table import PROGRAMS
from tests.corpus.trial import ANEW, BROKEN, CONTINUED, SAME, Curve, Program, Trial
from tests.corpus.trial import PROGRAMS as FOLDER

KEPT = public.results()
RESUMED_LEAST, LEAST = 16, 20
ALONE: Curve = {(float(step),): f"{1 / step:.3f}" for step in range(10, 101, 10)}
ENDED = {"outcome": "completed", "attempts": [{}, {}]}
PLAIN = Program("x", "x", "x.py", (), r"step (?P<a>\d+) loss (?P<loss>\S+)", "x")


Cases = dict[str, tuple[Curve, Curve, str]]


def part(first: int, last: int, off: str = "") -> Curve:
    return {at: loss + off for at, loss in ALONE.items() if first <= at[0] <= last}


CASES: Cases = {
    "goes on behind the checkpoint with the same numbers": (part(10, 50), part(40, 100), SAME),
    "goes on at the very next line": (part(10, 50), part(60, 100), SAME),
    "goes on with other data": (part(10, 50), part(40, 100, "1"), CONTINUED),
    "begins anew": (part(10, 50), part(10, 100), ANEW),
    "leaves a line out": (part(10, 50), part(70, 100), BROKEN),
    "ends early": (part(10, 50), part(40, 90), BROKEN),
    "says nothing": (part(10, 50), {}, BROKEN),
}


@pytest.mark.parametrize("name", CASES)
def test_a_restart_is_judged_by_the_lines_that_the_program_printed(tmp_path: Any, name: str) -> None:
    first, second, verdict = CASES[name]
    assert Trial(PLAIN, tmp_path).judged(ALONE, first, second, ENDED)[0] == verdict


@pytest.mark.parametrize("shown", [{**ENDED, "outcome": "failed"}, {**ENDED, "attempts": [{}, {}, {}]}])
def test_a_run_that_did_not_complete_at_its_second_attempt_did_not_resume_rightly(
    tmp_path: Any, shown: dict[str, Any]
) -> None:
    assert Trial(PLAIN, tmp_path).judged(ALONE, part(10, 50), part(40, 100), shown)[0] == BROKEN


def test_a_program_that_counts_from_zero_again_is_judged_by_its_fewer_rounds_and_its_end(
    tmp_path: Any,
) -> None:
    trial = Trial(PLAIN._replace(counts_on=False), tmp_path)
    fewer: Curve = {(at[0] - 30,): loss for at, loss in part(40, 100).items()}
    assert trial.judged(ALONE, part(10, 50), fewer, ENDED)[0] == SAME
    assert trial.judged(ALONE, part(10, 50), ALONE, ENDED)[0] == ANEW


def test_lines_become_positions_and_losses(tmp_path: Any) -> None:
    assert Trial(PLAIN, tmp_path).curve("step 1 loss 0.5\nstep 2 loss 0.25\n") == {
        (1.0,): "0.5",
        (2.0,): "0.25",
    }


def test_every_program_is_there_once_and_was_run() -> None:
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS) >= LEAST
    assert [program.name for program in PROGRAMS if not (FOLDER / program.script).exists()] == []
    assert [program.name for program in PROGRAMS if program.name not in KEPT] == []


def test_what_was_found_is_what_the_table_promises_and_most_resume_rightly() -> None:
    assert [each.name for each in PROGRAMS if not public.is_as_told(each, KEPT[each.name])] == []
    assert sum(found["verdict"] in public.RESUMED for found in KEPT.values()) >= RESUMED_LEAST


def test_the_page_says_what_was_found() -> None:
    assert public.PAGE.read_text() == public.page(KEPT)
