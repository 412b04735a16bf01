"""Budgets: L35, L36, R36, R37, L39. Durable, because they are a fold of what was journaled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.decide.history import fold
from outlast.decide.policy import (
    Judgement,
    backoff_s,
    charged_in_a_row,
    has_progressed,
    is_early,
    judge,
    read,
    since_reopened,
)
from outlast.facts import (
    Book,
    Candidate,
    Cause,
    Closing,
    Ended,
    Ending,
    Exited,
    Lost,
    NeverBegan,
    Reopened,
    Room,
    Signalled,
    Word,
)
from tests.unit.decide.values import BOOK, RUN, SPEC, START, ended, ending

LONG = 99.0
SIX = replace(SPEC, attempts_max=6)


def checkpoint(step: int | None) -> Candidate:
    return Candidate(f"c-{step}", "folder", step)


def judged(book: Book, end: Ending, newest: int | None = None, spec: object = SPEC) -> Judgement:
    candidate = checkpoint(newest) if newest is not None else None
    return judge(spec, book, book.next, end, candidate)  # type: ignore[arg-type]  # drawn from a table of values of that type


def after(book: Book, end: Ending, newest: int | None = None, spec: object = SPEC) -> Book:
    """The book once the end of its next attempt was judged and journaled."""
    verdict = judged(book, end, newest, spec)
    return fold(
        book,
        Ended(
            at=START,
            run=RUN,
            why=verdict.why,
            n=book.next,
            ending=end,
            cause=verdict.cause,
            verdict=verdict.verdict,
            charged=verdict.charged,
            wait_s=verdict.wait_s,
            progressed=verdict.progressed,
            checkpoint_step=verdict.checkpoint_step,
        ),
    )


def death(code: int = 1, lasted_s: float = LONG, **more: object) -> Ending:
    return ending(Exited(code), lasted_s=lasted_s, **more)


# --- charges ---------------------------------------------------------------------------------------------------------


def test_a_death_without_progress_is_charged_and_waits() -> None:
    verdict = judged(BOOK, death())
    assert (verdict.verdict, verdict.charged, verdict.progressed, verdict.closing) == (
        "failed", True, False, None,
    )  # fmt: skip
    assert verdict.wait_s == backoff_s(SPEC, BOOK, 1)
    assert (verdict.closing_cause, verdict.closing_why, verdict.proof) == (None, "", None)


def test_a_death_with_progress_is_free_and_the_restart_immediate() -> None:
    verdict = judged(BOOK, death(), newest=10)
    assert (verdict.charged, verdict.progressed, verdict.wait_s, verdict.checkpoint_step) == (
        False, True, 0.0, 10,
    )  # fmt: skip


def test_r36_deaths_without_progress_use_up_the_budget_and_the_first_is_kept_as_evidence() -> None:
    book = after(after(BOOK, death(7)), death(8))
    verdict = judged(book, death(9))
    why = "3 attempts without progress (--max-attempts 3); the first: exit 7"
    assert (verdict.closing, verdict.closing_why, verdict.wait_s) == ("failed", why, 0.0)
    assert verdict.closing_cause == Cause("crash_loop", why=why)
    assert (verdict.cause.name, verdict.why) == ("exit", "exit 9")


def test_a_budget_of_one_ends_with_the_first_death_and_keeps_its_words() -> None:
    verdict = judged(BOOK, death(7), spec=replace(SPEC, attempts_max=1))
    assert verdict.closing == "failed"
    assert verdict.closing_why == "1 attempts without progress (--max-attempts 1); the first: exit 7"


def test_r37_preemptions_with_progress_each_leg_leave_the_budget_untouched() -> None:
    book = BOOK
    for leg in range(20):
        end = ending(Lost("PREEMPTED"), word=Word("PREEMPTED"), lasted_s=LONG)
        book = after(book, end, newest=10 * (leg + 1))
        assert (book.charges, book.phase.wait_s) == ((), 0.0)  # type: ignore[union-attr]  # it waits by now


@pytest.mark.parametrize(
    "end",
    [
        ending(Lost("REBOOT"), word=Word("REBOOT"), lasted_s=LONG),
        ending(Lost("gone"), lasted_s=LONG),
        ending(Signalled(15), lasted_s=LONG),
        ending(Exited(75), lasted_s=LONG),
    ],
)
def test_reboots_losses_and_signals_from_outside_are_free_only_with_progress(end: Ending) -> None:
    assert not judged(BOOK, end, newest=5).charged
    assert judged(BOOK, end).charged
    assert judged(BOOK, end).wait_s > 0


@pytest.mark.parametrize("told", ["pause", "stop", "stop-now"])
def test_l39_what_was_asked_for_consumes_no_attempt_and_waits_for_nothing(told: str) -> None:
    verdict = judged(BOOK, ending(Signalled(9), told=told, told_by="request 3"))
    assert (verdict.verdict, verdict.charged, verdict.wait_s, verdict.closing) == (
        "interrupted", False, 0.0, None,
    )  # fmt: skip


def test_l35_three_deaths_before_the_first_step_within_a_minute_each_end_the_run_at_once() -> None:
    ten = replace(SPEC, attempts_max=10)
    book = after(after(BOOK, death(5, 59.0), spec=ten), death(6, 1.0), spec=ten)
    verdict = judged(book, death(7, 2.0), spec=ten)
    assert verdict.closing == "failed"
    assert verdict.closing_why == "3 deaths before the first step, each within 60 s; the first: exit 5"
    assert judged(book, death(7, 60.0), spec=ten).closing is None
    assert judged(book, death(7, 2.0, last_step=1), spec=ten).closing is None
    late = after(after(BOOK, death(5, 60.0), spec=ten), death(6, 1.0), spec=ten)
    assert judged(late, death(7, 2.0), spec=ten).closing is None
    assert judged(after(BOOK, death(5, 1.0), spec=ten), death(6, 1.0), spec=ten).closing is None


def test_early_deaths_are_counted_since_the_last_progress() -> None:
    ten = replace(SPEC, attempts_max=10)
    book = after(after(BOOK, death(5, 1.0), spec=ten), death(6, 1.0), newest=4, spec=ten)
    assert judged(book, death(7, 1.0), spec=ten).closing is None


def test_l54_a_command_that_cannot_be_started_is_charged_like_a_death() -> None:
    end = ending(NeverBegan("spawn failed: no such file"))
    verdict = judged(BOOK, end)
    assert (verdict.verdict, verdict.charged, verdict.wait_s > 0) == ("never-began", True, True)
    assert judged(after(after(BOOK, end), end), end).closing == "failed"


def test_a_runner_that_dies_before_the_start_is_free_and_yet_has_an_end() -> None:
    book, free = BOOK, 0
    while not (verdict := judged(book, ending(NeverBegan("its runner died")))).charged:
        book = after(book, ending(NeverBegan("its runner died")))
        free += 1
        assert verdict.wait_s == 0.0
    assert free == 3
    for _ in range(5):
        verdict = judged(book, ending(NeverBegan("its runner died")))
        if verdict.closing:
            break
        book = after(book, ending(NeverBegan("its runner died")))
    assert verdict.closing == "failed"


def test_attempts_called_off_break_no_row_of_deaths_and_are_free() -> None:
    off = ending(NeverBegan("called off: pause was asked for"))
    book = after(after(after(BOOK, death(5)), off), death(6))
    assert judged(book, off).charged is False
    assert judged(book, death(7)).closing_why.endswith("the first: exit 5")


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_a_checkpoint_newer_than_any_before() -> None:
    book = replace(BOOK, had_checkpoint=True, best_step=100)
    assert has_progressed(book, death(), 101)
    assert not has_progressed(book, death(), 100)
    assert not has_progressed(book, death(last_step=900), None)


def test_a_checkpoint_that_was_there_when_the_attempt_began_is_no_progress() -> None:
    assert not has_progressed(BOOK, death(resumed_step=500), 500)
    assert has_progressed(BOOK, death(resumed_step=500), 501)
    assert has_progressed(BOOK, death(), 0)


def test_steps_without_any_checkpoint_count_once() -> None:
    assert has_progressed(BOOK, death(last_step=1), None)
    assert not has_progressed(BOOK, death(last_step=0), None)
    assert not has_progressed(BOOK, death(), None)
    book = after(BOOK, death(last_step=50))
    assert book.endings[0].progressed
    assert not has_progressed(book, death(last_step=900), None)


def test_a_checkpoint_whose_step_nobody_knows_is_no_progress() -> None:
    verdict = judge(SPEC, BOOK, 1, death(), checkpoint(None))
    assert (verdict.progressed, verdict.checkpoint_step) == (False, None)


# --- the run's end ----------------------------------------------------------------------------------------------------


def test_success_ends_the_run_with_its_proof() -> None:
    verdict = judged(BOOK, ending(Exited(0), last_step=5, total=5))
    assert (verdict.closing, verdict.proof, verdict.closing_cause) == ("completed", "step", None)
    assert verdict.closing_why == "exit 0 at step 5 of 5"
    assert verdict.charged is False


def test_a_stop_that_was_asked_for_cancels_whatever_the_end_but_a_completion() -> None:
    book = replace(BOOK, want="stop", asked=5)
    for end in (death(), ending(Exited(93)), ending(Lost("x")), ending(Signalled(9), told="stop")):
        verdict = judged(book, end)
        assert verdict.closing == "cancelled", end
        assert verdict.closing_why == f"stopped on request 5; {verdict.why}"
        assert verdict.closing_cause == verdict.cause
    assert judged(replace(book, want="stop-now"), death()).closing == "cancelled"
    assert judged(book, ending(Exited(0), last_step=5, total=5)).closing == "completed"


@pytest.mark.parametrize("want", ["pause", "pause-now", "stop", "stop-now"])
def test_the_reason_of_who_asked_outlives_the_end_that_followed(want: str) -> None:
    told = ending(Signalled(15), told="stop", told_by="request 5")
    verdict = judged(replace(BOOK, want=want, why="the GPU is needed"), told)
    assert verdict.why == "stopped (request 5); signal 15; asked for: the GPU is needed"
    assert (
        judged(replace(BOOK, want="run", why="the first attempt"), told).why
        == "stopped (request 5); signal 15"
    )


def test_only_a_journaled_request_cancels_a_run() -> None:
    told = ending(Signalled(15), told="stop", told_by="signal 15 to the runner", lasted_s=LONG)
    assert judged(BOOK, told).closing is None
    assert judged(replace(BOOK, want="pause"), told).closing is None


def test_what_was_decided_earlier_stays_unless_the_run_was_completed_after_all() -> None:
    closing = Closing(at=START, run=RUN, why="enough of it", n=2, outcome="failed", cause=Cause("crash_loop"))
    book = replace(BOOK, closing=closing, want="stop")
    verdict = judged(book, ending(Signalled(9), told="stop-now", told_by="request 0"))
    assert (verdict.closing, verdict.closing_why) == ("failed", "enough of it")
    assert (verdict.closing_cause, verdict.proof) == (Cause("crash_loop"), None)
    assert judged(book, ending(Exited(0), last_step=5, total=5)).closing == "completed"
    proven = replace(book, closing=replace(closing, outcome="completed", proof="step", cause=None))
    assert judged(proven, death()).proof == "step"


def test_what_must_not_be_restarted_ends_the_run_at_once() -> None:
    verdict = judged(BOOK, ending(Exited(93)), newest=50, spec=SIX)
    assert (verdict.closing, verdict.charged) == ("failed", False)
    assert verdict.closing_cause == verdict.cause
    assert verdict.closing_why == "exit 93: the training asked not to be restarted"


def test_l38_a_run_that_had_nothing_to_do_is_a_no_op_and_never_completed() -> None:
    verdict = judged(BOOK, ending(Exited(0), resumed_step=9, last_step=9, total=9))
    assert (verdict.closing, verdict.proof) == ("no-op", None)


def test_a_restart_that_finds_all_steps_done_by_an_earlier_attempt_is_completed() -> None:
    book = after(BOOK, ending(Signalled(9), last_step=9, total=9, lasted_s=LONG), newest=9)
    verdict = judged(book, ending(Exited(0), resumed_step=9, total=9), newest=9)
    assert (verdict.closing, verdict.proof) == ("completed", "step")


def test_a_shortfall_is_resumed_and_charged_only_without_progress() -> None:
    end = ending(Exited(0), last_step=580, total=20_000, lasted_s=LONG)
    assert judged(BOOK, end, newest=580).charged is False
    assert judged(replace(BOOK, best_step=580, had_checkpoint=True), end, newest=580).charged is True
    assert judged(BOOK, end, newest=580).closing is None


def test_how_the_end_reads_does_not_depend_on_the_budget() -> None:
    assert read(SPEC, BOOK, death()).verdict == "failed"
    full = replace(BOOK, charges=(("exit", 99),))
    assert read(SPEC, full, death()) == read(SPEC, BOOK, death())


# --- since when -------------------------------------------------------------------------------------------------------


def test_charged_ends_in_a_row_leave_out_the_free_ones_and_begin_after_the_last_progress() -> None:
    ends = (
        ended(1, why="old"),
        ended(2, charged=False, progressed=True),
        ended(3, why="first"),
        ended(4, charged=False),
        ended(5, why="second"),
    )
    book = BOOK
    for each in ends:
        book = fold(book, each)
    assert [each.why for each in charged_in_a_row(book)] == ["first", "second"]
    assert charged_in_a_row(BOOK) == ()


def test_p10_a_retried_run_starts_with_a_clean_sheet() -> None:
    ten = replace(SPEC, attempts_max=10)
    book = after(
        after(after(BOOK, death(5, 1.0), spec=ten), death(5, 1.0), spec=ten), death(5, 1.0), spec=ten
    )
    book = fold(book, Closing(at=START, run=RUN, why="", n=4, outcome="failed"))
    book = fold(book, Reopened(at=START, run=RUN, why="", n=5))
    assert since_reopened(book) == ()
    assert charged_in_a_row(book) == ()
    verdict = judged(book, death(6, 1.0), spec=ten)
    assert (verdict.closing, verdict.charged) == (None, True)
    assert verdict.wait_s == backoff_s(ten, BOOK, 5)
    book = after(book, death(6, 1.0), spec=ten)
    assert [each.n for each in since_reopened(book)] == [5]


def test_ends_since_a_retry_are_those_behind_the_gap_that_the_final_door_left() -> None:
    ends = tuple(ended(n) for n in (1, 2, 4, 5))
    assert [each.n for each in since_reopened(replace(BOOK, endings=ends, next=6))] == [4, 5]
    assert [each.n for each in since_reopened(replace(BOOK, endings=ends[:2], next=3))] == [1, 2]
    assert since_reopened(replace(BOOK, endings=ends[:2], next=4)) == ()


@pytest.mark.parametrize(
    ("end", "early"),
    [
        (death(1, 59.9), True),
        (death(1, 60.0), False),
        (ending(Exited(1)), False),  # nobody knows how long it lasted
        (ending(NeverBegan("spawn failed")), True),
        (death(1, 1.0, last_step=0), True),
        (death(1, 1.0, last_step=1), False),
        (death(1, 1.0, last_step=500, resumed_step=500), True),
        (death(1, 1.0, last_step=501, resumed_step=500), False),
    ],
)
def test_a_death_is_early_before_a_step_of_its_own_and_within_a_minute(end: Ending, early: bool) -> None:
    assert is_early(end) is early


# --- backoff ----------------------------------------------------------------------------------------------------------


def spread(book: Book, spec: object = SPEC) -> list[float]:
    return [backoff_s(spec, book, n) for n in range(1, 200)]  # type: ignore[arg-type]  # keywords of the test's own, checked when it runs


@pytest.mark.parametrize(
    ("charges", "middle"), [(0, 10.0), (1, 20.0), (2, 40.0), (5, 320.0), (6, 600.0), (500, 600.0)]
)
def test_a_backoff_doubles_to_ten_minutes_give_or_take_a_fifth(charges: int, middle: float) -> None:
    waits = spread(replace(BOOK, charges=(("exit", charges),) if charges else ()))
    assert all(middle * 0.8 <= wait <= middle * 1.2 for wait in waits)
    assert min(waits) < middle * 0.85
    assert max(waits) > middle * 1.15
    assert middle * 0.97 < sum(waits) / len(waits) < middle * 1.03


def test_the_jitter_is_the_same_for_the_same_attempt_and_differs_between_runs() -> None:
    assert backoff_s(SPEC, BOOK, 3) == backoff_s(SPEC, BOOK, 3)
    other = replace(SPEC, run="r-other")
    assert spread(BOOK) != spread(BOOK, other)
    assert backoff_s(SPEC, BOOK, 1) == round(backoff_s(SPEC, BOOK, 1), 3)


def test_the_jitter_is_the_one_that_it_has_always_been() -> None:
    """Whichever version decides, the same death is waited after for as long."""
    assert [backoff_s(replace(SPEC, run="r"), BOOK, n) for n in (1, 2, 3)] == JITTERED


def test_charges_of_all_causes_count_for_the_backoff() -> None:
    both = replace(BOOK, charges=(("exit", 1), ("hang_train", 1)))
    assert backoff_s(SPEC, both, 1) == backoff_s(SPEC, replace(BOOK, charges=(("exit", 2),)), 1)


def test_a_backoff_of_zero_and_an_inline_run_never_wait() -> None:
    assert backoff_s(replace(SPEC, backoff_s=0.0), BOOK, 1) == 0.0
    assert backoff_s(replace(SPEC, inline=True), BOOK, 1) == 0.0
    assert judged(BOOK, death(), spec=replace(SPEC, inline=True)).wait_s == 0.0
    assert backoff_s(replace(SPEC, backoff_s=1.0), BOOK, 1) <= 1.2


JITTERED = [8.703, 11.95, 10.053]


# --- laws -------------------------------------------------------------------------------------------------------------

ENDINGS = st.sampled_from(
    [
        death(),
        death(1, 1.0),
        ending(Exited(0), last_step=3, total=9),
        ending(Lost("x")),
        ending(Signalled(15)),
        ending(NeverBegan("spawn failed: x")),
        ending(NeverBegan("its runner died")),
        ending(Exited(75), last_step=4),
    ]
)


@given(st.lists(ENDINGS, min_size=40, max_size=40), st.integers(1, 6))
def test_i8_without_progress_every_run_ends(ends: list[Ending], attempts_max: int) -> None:
    spec = replace(SPEC, attempts_max=attempts_max)
    book = BOOK
    for count, end in enumerate(ends, 1):
        verdict = judged(book, end, spec=spec)
        if verdict.closing is not None:
            assert verdict.closing == "failed"
            return
        assert count <= 4 * attempts_max + 4
        book = after(book, end, spec=spec)


@given(st.lists(st.tuples(ENDINGS, st.booleans()), max_size=30))
def test_no_run_that_makes_progress_every_time_is_ever_given_up(ends: list[tuple[Ending, bool]]) -> None:
    book = BOOK
    for step, (end, _) in enumerate(ends, 1):
        assert judged(book, end, newest=step * 10).closing is None
        book = after(book, end, newest=step * 10)


def test_what_a_start_needs_and_is_not_there_is_looked_for_again_and_costs_nothing() -> None:
    """A mount that is gone for ten minutes ends no run."""
    book = BOOK
    for _ in range(20):
        verdict = judged(book, ending(NeverBegan("missing: data: /mnt/data is not there")))
        assert (verdict.charged, verdict.wait_s, verdict.closing) == (False, 60.0, None)
        book = after(book, ending(NeverBegan("missing: data: /mnt/data is not there")))


def test_r10_a_full_disk_is_waited_for_and_then_charged() -> None:
    full = Room("full", "out", needs=4000, free=100)
    book = BOOK
    for _ in range(3):
        assert not judged(book, death(room=full)).charged
        book = after(book, death(room=full))
    assert judged(book, death(room=full)).charged
