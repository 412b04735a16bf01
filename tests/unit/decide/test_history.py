"""Memory is the fold of the valid history, and nothing else (I7)."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.decide.history import fold, fold_all, fresh, place_holds
from outlast.facts import (
    Accepted,
    AnyEntry,
    Asked,
    Book,
    Candidate,
    Cause,
    Chosen,
    Closing,
    Declined,
    Done,
    Finished,
    Held,
    Released,
    Removed,
    Reopened,
    Repeated,
    RunId,
    Shutting,
    Torn,
    Trying,
    Verified,
    Waiting,
    Whole,
)
from outlast.facts.codec import from_line, to_line
from tests.unit.decide.values import ACCEPTED, BOOK, RUN, START, at, chosen, ended

CLOSING = Closing(at=at(9.0), run=RUN, why="exit 0", n=2, outcome="completed", proof="exit")
FINISHED = Finished(
    at=at(10.0), run=RUN, why="exit 0", outcome="failed", cause=Cause("crash_loop"), proof="step"
)


def asked(verb: str, request: int = 4, why: str = "", mono_s: float = 1.0, **args: str) -> Asked:
    return Asked(
        at=at(mono_s), run=RUN, why=why, request=request, verb=verb, by="me", args=tuple(args.items())
    )


def test_a_fresh_book_waits_for_nothing_since_it_was_accepted() -> None:
    assert fresh(ACCEPTED) == BOOK
    assert BOOK.phase == Waiting(START, 0.0)
    assert (BOOK.next, BOOK.want, BOOK.why, BOOK.updated) == (1, "run", "asked for", START)


def test_every_entry_dates_the_book() -> None:
    for entry in EVERY:
        assert fold(BOOK, entry).updated == entry.at, type(entry).__name__


# --- what was asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "want", "holds", "why"),
    [
        (asked("stop"), "stop", (), "stop was asked for"),
        (asked("stop", why="enough"), "stop", (), "enough"),
        (asked("stop", now="1"), "stop-now", (), "stop was asked for"),
        (asked("stop", now="0"), "stop", (), "stop was asked for"),
        (asked("pause"), "pause", ("paused",), "pause was asked for"),
        (asked("pause", why="lunch"), "pause", ("paused",), "lunch"),
        (asked("resume"), "run", (), "resumed"),
        (asked("resume", why="back"), "run", (), "back"),
        (asked("retry"), "run", (), "retry was asked for"),
        (asked("retry", why="again"), "run", (), "again"),
        (asked("rm"), "run", (), "asked for"),
    ],
)
def test_what_a_verb_wants(entry: Asked, want: str, holds: tuple[str, ...], why: str) -> None:
    book = fold(BOOK, entry)
    assert (book.want, book.holds, book.why, book.asked) == (want, holds, why, 4)


def test_the_highest_request_is_remembered() -> None:
    assert fold(replace(BOOK, asked=9), asked("stop", 4)).asked == 9
    assert fold(replace(BOOK, asked=3), asked("stop", 4)).asked == 4


def test_l41_a_stop_outranks_a_pause_and_a_resume_that_come_after_it() -> None:
    for verb in ("pause", "resume"):
        assert fold(fold(BOOK, asked("stop")), asked(verb, 5)).want == "stop"
        assert fold(fold(BOOK, asked("stop", now="1")), asked(verb, 5)).want == "stop-now"


def test_a_stop_now_is_not_taken_back_by_a_gentler_stop() -> None:
    assert fold(fold(BOOK, asked("stop", now="1")), asked("stop", 5)).want == "stop-now"
    assert fold(fold(BOOK, asked("stop")), asked("stop", 5, now="1")).want == "stop-now"


def test_a_pause_lasts_until_it_is_resumed() -> None:
    paused = fold(BOOK, asked("pause"))
    assert fold(paused, asked("pause", 5)).holds == ("paused",)
    resumed = fold(paused, asked("resume", 6))
    assert (resumed.want, resumed.holds) == ("run", ())


def test_a_retry_ends_a_backoff_and_a_pause() -> None:
    waiting = replace(BOOK, phase=Waiting(START, 600.0), want="pause", holds=("paused", "disk"))
    book = fold(waiting, asked("retry", mono_s=5.0))
    assert (book.phase, book.want, book.holds) == (Waiting(at(5.0), 0.0), "run", ("disk",))
    trying = replace(BOOK, phase=Trying(2, 1, START))
    assert fold(trying, asked("retry")).phase == Trying(2, 1, START)


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_a_priority_is_taken_as_it_was_asked_for(priority: str) -> None:
    assert fold(BOOK, asked("priority", priority=priority)).priority == priority


def test_a_priority_that_nobody_knows_is_none() -> None:
    assert fold(BOOK, asked("priority", priority="urgent")).priority is None


@pytest.mark.parametrize("verb", ["rm", "archive"])
def test_a_request_to_remove_is_remembered_with_its_number(verb: str) -> None:
    assert fold(BOOK, asked(verb, 12)).removing == (verb, 12)


def test_a_verb_of_a_newer_version_changes_only_the_number() -> None:
    assert fold(BOOK, asked("dance")) == replace(BOOK, asked=4, updated=at(1.0))


# --- attempts --------------------------------------------------------------------------------------------------------


def test_an_attempt_is_tried_with_one_launch_or_found_begun_with_none() -> None:
    launched = fold(BOOK, chosen(1, 3.0))
    assert launched.phase == Trying(1, 1, at(3.0))
    assert launched.why == "chosen"
    assert launched.chosen == (chosen(1, 3.0),)
    assert fold(BOOK, chosen(1, 3.0, order="")).phase == Trying(1, 0, at(3.0))


def test_a_repeated_launch_counts_from_the_first() -> None:
    book = fold(BOOK, chosen(1, 3.0))
    again = fold(book, Repeated(at=at(9.0), run=RUN, why="again", n=1, times=2))
    assert again.phase == Trying(1, 2, at(3.0))
    assert again.why == "again"


def test_after_a_reboot_launches_are_counted_anew() -> None:
    book = fold(BOOK, chosen(1, 3.0))
    again = fold(book, Repeated(at=at(9.0, "boot-2"), run=RUN, why="again", n=1, times=1))
    assert again.phase == Trying(1, 1, at(9.0, "boot-2"))


def test_an_end_makes_room_for_the_next_attempt() -> None:
    end = ended(1, wait_s=10.0, mono_s=4.0)
    book = fold(fold(BOOK, chosen(1)), end)
    assert book.phase == Waiting(at(4.0), 10.0)
    assert (book.next, book.endings, book.why) == (2, (end,), "it failed")


def test_charges_are_counted_by_cause_since_the_last_progress() -> None:
    book = BOOK
    for end in (ended(1, cause="exit"), ended(2, cause="hang_train"), ended(3, cause="exit")):
        book = fold(book, end)
    assert dict(book.charges) == {"exit": 2, "hang_train": 1}
    assert fold(book, ended(4, charged=False)).charges == book.charges
    assert fold(book, ended(4, charged=False, progressed=True)).charges == ()
    assert fold(book, ended(4, charged=True, progressed=True)).charges == (("exit", 1),)


def test_the_best_step_is_the_highest_checkpoint_at_the_end_of_any_attempt() -> None:
    book = fold(BOOK, ended(1, checkpoint_step=100, last_step=150))
    assert (book.best_step, book.had_checkpoint) == (100, True)
    book = fold(book, ended(2, checkpoint_step=90, last_step=400))
    assert book.best_step == 100
    book = fold(book, ended(3, last_step=900))
    assert (book.best_step, book.had_checkpoint) == (100, True)
    assert fold(book, ended(4, checkpoint_step=101)).best_step == 101


def test_while_there_was_no_checkpoint_the_best_step_is_the_highest_that_was_reached() -> None:
    book = fold(BOOK, ended(1, last_step=50))
    assert (book.best_step, book.had_checkpoint) == (50, False)
    assert fold(book, ended(2, last_step=40)).best_step == 50
    assert fold(book, ended(2)).best_step == 50
    assert fold(BOOK, ended(1)).best_step is None
    assert fold(book, ended(2, last_step=60)).best_step == 60


def test_the_first_checkpoint_outdates_steps_that_were_only_reached() -> None:
    book = fold(BOOK, ended(1, last_step=500))
    assert fold(book, ended(2, checkpoint_step=100, last_step=120)).best_step == 100


# --- the end ---------------------------------------------------------------------------------------------------------


def test_closing_is_remembered_until_the_run_is_opened_again() -> None:
    book = fold(BOOK, CLOSING)
    assert (book.phase, book.closing, book.why) == (Shutting(2, "completed"), CLOSING, "exit 0")
    found = fold(book, chosen(2, 11.0, order=""))
    assert (found.phase, found.closing) == (Trying(2, 0, at(11.0)), CLOSING)
    assert fold(found, FINISHED).closing == CLOSING


def test_a_finished_run_is_done_with_all_that_was_said_of_it() -> None:
    book = fold(fold(BOOK, CLOSING), FINISHED)
    assert book.phase == Done("failed", Cause("crash_loop"), at(10.0), "step")
    assert book.why == "exit 0"


def test_p10_a_reopened_run_forgets_its_charges_and_its_end_and_keeps_its_history() -> None:
    book = fold(fold(BOOK, ended(1, checkpoint_step=7)), CLOSING)
    book = replace(book, holds=("paused",), want="stop", removing=("rm", 3))
    book = fold(book, Reopened(at=at(20.0), run=RUN, why="retry was asked for", n=3, term=6))
    assert book.phase == Waiting(at(20.0), 0.0)
    assert (book.next, book.want, book.closing, book.charges, book.holds) == (3, "run", None, (), ())
    assert (book.removing, book.why, book.reopened) == (None, "retry was asked for", 6)
    assert (book.best_step, book.had_checkpoint, len(book.endings)) == (7, True, 1)


# --- holds, verdicts --------------------------------------------------------------------------------------------------


def test_a_hold_stays_until_it_is_released() -> None:
    held = fold(BOOK, Held(at=at(1.0), run=RUN, why="no room", what="disk"))
    assert (held.holds, held.why) == (("disk",), "no room")
    assert fold(held, Held(at=at(2.0), run=RUN, why="no room", what="disk")).holds == ("disk",)
    two = fold(held, Held(at=at(2.0), run=RUN, why="", what="quota"))
    assert fold(two, Released(at=at(3.0), run=RUN, why="room", what="disk")).holds == ("quota",)


def test_only_what_was_found_whole_last_counts_as_verified() -> None:
    first, second = Candidate("a", "folder", 1), Candidate("b", "folder", 2)
    book = fold(BOOK, Verified(at=START, run=RUN, why="", candidate=first, verdict=Whole(1)))
    book = fold(book, Verified(at=START, run=RUN, why="", candidate=second, verdict=Whole(1)))
    assert book.verified == (first, second)
    book = fold(book, Verified(at=START, run=RUN, why="", candidate=second, verdict=Torn(("cut",))))
    assert book.verified == (first,)
    book = fold(book, Verified(at=START, run=RUN, why="", candidate=first, verdict=Whole(2)))
    assert book.verified == (first,)


# --- the whole place --------------------------------------------------------------------------------------------------


def test_books_are_folded_by_run_and_a_removed_run_is_dropped() -> None:
    other = RunId("other")
    entries: list[AnyEntry] = [
        ACCEPTED,
        replace(ACCEPTED, run=other),
        chosen(1),
        replace(chosen(1), run=other),
        Held(at=START, run=None, why="", what="down"),
        Removed(at=START, run=other, why="deleted", request=3, how="rm"),
    ]
    assert fold_all(entries, None) == {RUN: fold(BOOK, chosen(1))}


def test_books_go_on_from_where_they_stood_and_the_old_ones_are_not_changed() -> None:
    books = fold_all([ACCEPTED], None)
    later = fold_all([chosen(1)], books)
    assert books == {RUN: BOOK}
    assert later == {RUN: fold(BOOK, chosen(1))}


def test_a_second_acceptance_of_the_same_run_changes_nothing_but_the_date() -> None:
    books = fold_all([ACCEPTED, chosen(1), replace(ACCEPTED, at=at(7.0))], None)
    assert books[RUN] == replace(fold(BOOK, chosen(1)), updated=at(7.0))


def test_an_entry_of_a_run_that_was_never_accepted_is_nobodys() -> None:
    assert fold_all([chosen(1)], None) == {}


def test_what_holds_the_whole_place_is_apart_from_what_holds_a_run() -> None:
    down = Held(at=START, run=None, why="", what="down")
    disk = Held(at=START, run=None, why="", what="disk")
    mine = Held(at=START, run=RUN, why="", what="paused")
    assert place_holds([down, mine, disk]) == ("down", "disk")
    assert place_holds([Released(at=START, run=None, why="", what="down")], ("down", "disk")) == ("disk",)
    assert place_holds([Released(at=START, run=RUN, why="", what="down")], ("down",)) == ("down",)
    assert place_holds([ACCEPTED, down, down]) == ("down",)


EVERY: list[AnyEntry] = [
    replace(ACCEPTED, at=at(30.0)),
    *(asked(verb) for verb in ("stop", "pause", "resume", "retry", "priority", "rm", "archive", "dance")),
    asked("stop", now="1"),
    Declined(at=at(31.0), run=RUN, why="no", request=3),
    chosen(1, 32.0),
    chosen(2, 33.0, order=""),
    Repeated(at=at(34.0), run=RUN, why="again", n=1, times=2),
    ended(1, mono_s=35.0),
    ended(2, mono_s=36.0, checkpoint_step=8, progressed=True, charged=False),
    CLOSING,
    FINISHED,
    Reopened(at=at(37.0), run=RUN, why="retry", n=3),
    Held(at=at(38.0), run=RUN, why="", what="disk"),
    Released(at=at(39.0), run=RUN, why="", what="disk"),
    Verified(at=at(40.0), run=RUN, why="", candidate=Candidate("a", "f", 1), verdict=Whole(1)),
    Removed(at=at(41.0), run=RUN, why="", request=3, how="rm"),
]


def test_the_fold_knows_every_kind_of_entry() -> None:
    assert {type(entry) for entry in EVERY} == set(get_args(AnyEntry))
    assert Accepted in get_args(AnyEntry)
    assert Chosen in get_args(AnyEntry)


@given(st.lists(st.sampled_from(EVERY), max_size=12))
def test_i7_the_fold_is_total_and_memory_equals_replay_in_any_pieces(entries: list[AnyEntry]) -> None:
    whole = fold_all([ACCEPTED, *entries], None)
    for cut in range(len(entries) + 1):
        assert fold_all(entries[cut:], fold_all([ACCEPTED, *entries[:cut]], None)) == whole
    lines = [to_line(entry) for entry in [ACCEPTED, *entries]]
    assert fold_all((from_line(line) for line in lines), None) == whole


@given(st.lists(st.sampled_from([each for each in EVERY if not isinstance(each, Removed)]), max_size=12))
def test_one_entry_at_a_time_comes_to_the_same_as_all_at_once(entries: list[AnyEntry]) -> None:
    book: Book = BOOK
    for entry in entries:
        book = fold(book, entry)
    assert fold_all([ACCEPTED, *entries], None) == {RUN: book}
