"""What a person may ask of a run, by where it stands, and in which words it is declined (L41)."""

import pytest
from msgspec.structs import replace

from outlast.decide.asking import answer, reopened
from outlast.facts import Asked, Book, Closing, Declined, Done, Request, Shutting, Trying, Waiting
from tests.unit.decide.values import BOOK, OUTCOMES, RUN, START, at, request

WAITING = BOOK
TRYING = replace(BOOK, phase=Trying(1, 1, START))
STOPPING = replace(TRYING, want="stop")
STOPPING_NOW = replace(TRYING, want="stop-now")
PAUSED = replace(BOOK, want="pause", holds=("paused",))
HELD = replace(BOOK, holds=("disk",))
CHANGED = replace(BOOK, holds=("code-changed",))
ENDING = replace(BOOK, phase=Shutting(2, "failed"))
CANCELLING = replace(BOOK, phase=Shutting(2, "cancelled"))
FAILED = replace(BOOK, phase=Done("failed", None, START))
COMPLETED = replace(BOOK, phase=Done("completed", None, START))
REMOVING = replace(FAILED, removing=("rm", 5))

ENDING_WORDS = "it is just ending (failed): ask again in a moment"
OUTRANKED = "it is being stopped, and a stop outranks that"
# verb, where the run stands -> why it is declined (None: granted)
TABLE: list[tuple[str, Book, str | None]] = [
    ("stop", WAITING, None),
    ("stop", TRYING, None),
    ("stop", STOPPING, None),
    ("stop", PAUSED, None),
    ("stop", CANCELLING, None),
    ("stop", ENDING, ENDING_WORDS),
    ("stop", FAILED, "it has ended (failed): there is nothing to stop"),
    ("pause", WAITING, None),
    ("pause", TRYING, None),
    ("pause", STOPPING, OUTRANKED),
    ("pause", STOPPING_NOW, OUTRANKED),
    ("pause", CANCELLING, "it is just ending (cancelled): ask again in a moment"),
    ("pause", COMPLETED, "it has ended (completed): there is nothing to pause"),
    ("resume", PAUSED, None),
    ("resume", HELD, None),
    ("resume", CHANGED, "it waits because its code was changed; `retry` goes on with the changed code"),
    ("retry", CHANGED, None),
    ("stop", CHANGED, None),
    ("resume", replace(BOOK, want="pause"), None),
    ("resume", WAITING, "it is not paused"),
    ("resume", TRYING, "it is not paused"),
    ("resume", STOPPING, OUTRANKED),
    ("resume", ENDING, ENDING_WORDS),
    ("resume", FAILED, "it has ended (failed); `retry` starts it again"),
    ("retry", WAITING, None),
    ("retry", PAUSED, None),
    ("retry", FAILED, None),
    ("retry", TRYING, "it is running"),
    ("retry", STOPPING, "it is running"),
    ("retry", ENDING, ENDING_WORDS),
    ("retry", COMPLETED, "it is completed; `rerun` starts a new run of the same command"),
    ("retry", REMOVING, "it is being removed (rm, request 5)"),
    ("rm", FAILED, None),
    ("archive", COMPLETED, None),
    ("rm", REMOVING, None),
    ("rm", WAITING, "it has not ended: stop it before you rm it"),
    ("archive", TRYING, "it has not ended: stop it before you archive it"),
    ("rm", ENDING, ENDING_WORDS),
    ("accept", WAITING, None),
    ("accept", ENDING, None),
    ("accept", FAILED, None),
    ("dance", WAITING, "nobody knows how to dance a run"),
    ("dance", FAILED, "nobody knows how to dance a run"),
    ("down", WAITING, "nobody knows how to down a run"),
]


@pytest.mark.parametrize(("verb", "book", "why"), TABLE)
def test_what_may_be_asked_where(verb: str, book: Book, why: str | None) -> None:
    answered = answer(book, request(verb, 7), at(3.0))
    if why is None:
        assert isinstance(answered, Asked)
    else:
        assert answered == Declined(at=at(3.0), run=RUN, why=why, request=7)


def test_what_is_granted_is_journaled_as_it_was_asked() -> None:
    asked = Request(9, "id", "stop", RUN, (("now", "1"),), "enough", "uid 7", START)
    assert answer(WAITING, asked, at(2.0)) == Asked(
        at=at(2.0), run=RUN, why="enough", request=9, verb="stop", by="uid 7", args=(("now", "1"),)
    )


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_a_priority_is_granted_while_the_run_lives(priority: str) -> None:
    assert isinstance(answer(TRYING, request("priority", priority=priority), START), Asked)
    declined = answer(FAILED, request("priority", priority=priority), START)
    assert declined.why == "it has ended (failed): there is nothing to hurry"


@pytest.mark.parametrize("book", [WAITING, FAILED])
def test_a_priority_that_nobody_knows_is_declined(book: Book) -> None:
    for asked in (request("priority", priority="urgent"), request("priority")):
        declined = answer(book, asked, START)
        assert isinstance(declined, Declined)
        assert declined.why == "a priority is one of high, normal, low"


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_ended_run_but_a_completed_one_may_be_retried(outcome: str) -> None:
    book = replace(BOOK, phase=Done(outcome, None, START))  # type: ignore[arg-type]  # drawn from a table of values of that type
    assert isinstance(answer(book, request("retry"), START), Declined) == (outcome == "completed")


def test_a_reopened_run_goes_on_behind_its_final_door() -> None:
    closing = Closing(at=START, run=RUN, why="", n=4, outcome="failed")
    book = replace(FAILED, next=4, closing=closing)
    entry = reopened(RUN, book, at(5.0), 6)
    assert (entry.n, entry.at, entry.run, entry.why) == (5, at(5.0), RUN, "retry was asked for")
    assert entry.term == 6


def test_a_run_whose_closing_nobody_recorded_is_reopened_behind_the_next_door() -> None:
    assert reopened(RUN, replace(FAILED, next=3, closing=None), START, 1).n == 4


def test_a_waiting_run_is_retried_at_once() -> None:
    book = replace(BOOK, phase=Waiting(START, 600.0))
    assert isinstance(answer(book, request("retry"), START), Asked)
