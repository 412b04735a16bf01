"""What every screen shows: names that are fixed, from the fold alone."""

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.decide import view
from outlast.decide.history import fold
from outlast.facts import (
    Book,
    Candidate,
    Cause,
    Closing,
    Done,
    Ending,
    Exited,
    Finished,
    Lost,
    Moment,
    NeverBegan,
    Shutting,
    Signalled,
    Waiting,
    Word,
)
from tests.unit.decide.values import BOOK, RUN, RUNNER, SPEC, START, at, chosen, ended

FIELDS = {
    "id", "name", "tags", "note", "command", "cwd", "place", "backend", "priority", "phase", "waiting_for", "outcome",
    "proof", "cause", "why", "created_at", "updated_at", "ended_at", "resume_from", "target_step", "progress",
    "goodput", "attempts", "checkpoints", "incidents", "actions",
}  # fmt: skip
PROGRESS = {
    "step", "total", "epoch", "total_epochs", "loss", "val_loss", "section", "rate", "eta_s", "elapsed_s",
    "updated_at", "source", "confidence", "unit",
}  # fmt: skip
ATTEMPT = {
    "n", "backend", "backend_id", "host", "pid", "runner_pid", "started_at", "ended_at", "verdict", "cause", "why",
    "exit", "told", "charged", "resumed_from", "first_step", "last_step", "lasted_s", "log_path", "scheduler_state",
    "scheduler_seen_at",
}  # fmt: skip
LIVE = {
    "at": {"boot": "b", "mono_s": 1.0, "wall_s": 86_400.0},
    "step": 5,
    "total": 10,
    "loss": 0.5,
    "rate": 2.0,
    "eta_s": 2.5,
    "elapsed_s": 3.0,
    "section": "train",
    "source": "sdk",
    "other": "ignored",
}
TRYING = fold(BOOK, chosen(1, 3.0))
CLOSING = Closing(at=at(9.0), run=RUN, why="exit 0", n=2, outcome="completed", proof="exit")
FINISHED = Finished(at=at(10.0), run=RUN, why="exit 0", outcome="completed", proof="exit")


def folded(*entries: object) -> Book:
    book = BOOK
    for entry in entries:
        book = fold(book, entry)  # type: ignore[arg-type]  # every entry in turn
    return book


def finished(*ends: object, outcome: str = "completed", cause: Cause | None = None) -> Book:
    return folded(*ends, CLOSING, replace(FINISHED, outcome=outcome, cause=cause))


# --- the snapshot -----------------------------------------------------------------------------------------------------


def test_a_snapshot_has_the_fields_of_the_interface_at_every_phase() -> None:
    for book in (BOOK, TRYING, folded(chosen(1), ended(1)), folded(CLOSING), finished(chosen(1), ended(1))):
        shown = view.snapshot(SPEC, book, None)
        assert set(shown) == FIELDS
        for attempt in shown["attempts"]:
            assert set(attempt) == ATTEMPT


def test_a_fresh_run_is_queued_and_says_what_it_is() -> None:
    spec = replace(SPEC, name="n", tags=("a", "b"), note="hm", target_step=9, priority="low")
    shown = view.snapshot(spec, BOOK, None)
    assert shown == {
        "id": RUN,
        "name": "n",
        "tags": ["a", "b"],
        "note": "hm",
        "command": ["python", "train.py"],
        "cwd": "/work",
        "place": "local",
        "backend": "local",
        "priority": "low",
        "phase": "queued",
        "waiting_for": None,
        "outcome": None,
        "proof": None,
        "cause": None,
        "why": "asked for",
        "created_at": "1970-01-12T13:46:40Z",
        "updated_at": "1970-01-12T13:46:40Z",
        "ended_at": None,
        "resume_from": None,
        "target_step": 9,
        "progress": None,
        "goodput": {"useful_s": 0.0, "lost_s": 0.0, "down_s": None, "total_s": 0.0, "ratio": None},
        "attempts": [],
        "checkpoints": [],
        "incidents": [],
        "actions": [],
    }
    assert view.snapshot(spec, replace(BOOK, priority="high"), None)["priority"] == "high"


def test_an_ended_run_shows_its_outcome_proof_and_time() -> None:
    shown = view.snapshot(SPEC, finished(chosen(1), ended(1, verdict="finished", cause="none")), None)
    assert (shown["phase"], shown["outcome"], shown["proof"], shown["cause"]) == (
        "ended", "completed", "exit", None,
    )  # fmt: skip
    assert (shown["created_at"], shown["ended_at"], shown["updated_at"]) == (
        "1970-01-12T13:46:40Z", "1970-01-12T13:46:50Z", "1970-01-12T13:46:50Z",
    )  # fmt: skip


def test_the_cause_is_the_runs_once_it_ended_and_the_last_attempts_before() -> None:
    assert view.snapshot(SPEC, folded(ended(1, cause="a"), ended(2, cause="b")), None)["cause"] == "b"
    book = finished(ended(1, cause="b"), outcome="failed", cause=Cause("crash_loop"))
    assert view.snapshot(SPEC, book, None)["cause"] == "crash_loop"
    assert view.snapshot(SPEC, folded(ended(1, cause="none", verdict="finished")), None)["cause"] is None


def test_a_note_says_why_it_waits_now() -> None:
    shown = view.snapshot(SPEC, BOOK, None, "slot: it needs 2, 1 of 4 are free")
    assert (shown["phase"], shown["waiting_for"]) == ("waiting", "slot")
    assert shown["why"] == "slot: it needs 2, 1 of 4 are free"


def test_a_book_that_was_never_dated_was_updated_when_it_was_accepted() -> None:
    shown = view.snapshot(SPEC, replace(BOOK, updated=None), None)
    assert shown["updated_at"] == shown["created_at"]


def test_the_resume_point_is_the_one_of_the_last_attempt() -> None:
    book = folded(ended(1, resumed_from="a"), ended(2, resumed_from="b"))
    assert view.snapshot(SPEC, book, None)["resume_from"] == "b"


def test_verified_checkpoints_are_listed() -> None:
    book = replace(BOOK, verified=(Candidate("p", "folder", 7),))
    assert view.snapshot(SPEC, book, None)["checkpoints"] == [
        {
            "path": "p", "step": 7, "format": "folder", "verdict": "whole", "level": None, "reasons": [],
            "pinned": None,
        }
    ]  # fmt: skip


# --- phases -----------------------------------------------------------------------------------------------------------

WAITED = replace(BOOK, phase=Waiting(START, 30.0), endings=(ended(1),))


@pytest.mark.parametrize(
    ("book", "live", "note", "expected"),
    [
        (BOOK, None, "", ("queued", None)),
        (TRYING, None, "", ("launching", None)),
        (TRYING, LIVE, "", ("running", None)),
        (TRYING, {}, "", ("running", None)),
        (WAITED, None, "", ("waiting", "backoff")),
        (WAITED, None, "backoff: exit 1", ("waiting", "backoff")),
        (WAITED, None, "slot: it needs 1, 0 of 1 are free", ("waiting", "slot")),
        (replace(WAITED, phase=Waiting(START, 0.0)), None, "", ("queued", None)),
        (BOOK, None, "dependency: it waits for a", ("waiting", "dependency")),
        (BOOK, None, "cannot read the door: EIO", ("queued", None)),
        (replace(BOOK, holds=("disk",)), None, "slot: no", ("waiting", "disk")),
        (replace(BOOK, holds=("credentials: token",)), None, "", ("waiting", "credentials")),
        (replace(BOOK, holds=("mount",)), None, "", ("waiting", "person")),
        (replace(BOOK, holds=("mount", "disk")), None, "", ("waiting", "disk")),
        (replace(BOOK, holds=("paused",)), None, "", ("paused", None)),
        (replace(BOOK, want="pause"), None, "slot: no", ("paused", None)),
        (replace(BOOK, holds=("disk", "paused")), None, "", ("paused", None)),
        (replace(BOOK, phase=Shutting(2, "failed")), None, "", ("waiting", None)),
        (replace(BOOK, phase=Done("failed", None, START)), LIVE, "slot: no", ("ended", None)),
    ],
)
def test_the_phase_is_one_of_the_table(book: Book, live: Any, note: str, expected: tuple[str, str]) -> None:
    assert view.phase_of(book, live, note) == expected


def test_what_a_run_may_wait_for_is_what_the_interface_says() -> None:
    assert view.WAITS_FOR == (
        "disk", "slot", "backoff", "dependency", "credentials", "person", "scheduler", "code-changed",
    )  # fmt: skip


# --- progress ---------------------------------------------------------------------------------------------------------


def test_live_progress_is_shown_as_the_runner_wrote_it() -> None:
    shown = view.snapshot(SPEC, TRYING, LIVE)["progress"]
    assert set(shown) == PROGRESS
    assert (shown["step"], shown["total"], shown["loss"], shown["rate"]) == (5, 10, 0.5, 2.0)
    assert (shown["updated_at"], shown["epoch"]) == ("1970-01-02T00:00:00Z", None)
    assert view.snapshot(SPEC, TRYING, {"updated_at": "x", **LIVE})["progress"]["updated_at"] == "x"
    assert view.snapshot(SPEC, TRYING, {"step": 3})["progress"]["updated_at"] is None


def test_without_a_living_attempt_it_is_what_the_last_one_reached() -> None:
    book = folded(ended(1, last_step=40, total=90, loss=0.25), ended(2))
    shown = view.snapshot(SPEC, book, None)["progress"]
    assert set(shown) == PROGRESS
    assert (shown["step"], shown["total"], shown["loss"], shown["source"], shown["rate"]) == (
        40, 90, 0.25, "sdk", None,
    )  # fmt: skip
    assert shown["updated_at"] == "1970-01-12T13:46:40Z"
    assert view.snapshot(SPEC, folded(ended(1)), None)["progress"] is None


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_an_attempt_shows_how_it_began_and_ended() -> None:
    end = Ending(
        exit=Signalled(9, core=True),
        at=at(8.0),
        by=RUNNER,
        told="stop",
        resumed_from="c",
        first_step=2,
        last_step=6,
        lasted_s=4.5,
        word=Word("TIMEOUT"),
    )
    entry = replace(ended(1, cause="hang_train", charged=True, why="stall"), ending=end)
    (shown,) = view.snapshot(SPEC, folded(chosen(1, 3.0), entry), None)["attempts"]
    assert shown == {
        "n": 1,
        "backend": "local",
        "backend_id": None,
        "host": "here",
        "pid": None,
        "runner_pid": 100,
        "started_at": "1970-01-12T13:46:43Z",
        "ended_at": "1970-01-12T13:46:48Z",
        "verdict": "failed",
        "cause": "hang_train",
        "why": "stall",
        "exit": {"kind": "signalled", "code": None, "signal": 9},
        "told": "stop",
        "charged": True,
        "resumed_from": "c",
        "first_step": 2,
        "last_step": 6,
        "lasted_s": 4.5,
        "log_path": None,
        "scheduler_state": "TIMEOUT",
        "scheduler_seen_at": None,
    }


def test_an_attempt_that_goes_on_has_no_end() -> None:
    (shown,) = view.snapshot(SPEC, TRYING, LIVE)["attempts"]
    nothing = (
        "host",
        "runner_pid",
        "ended_at",
        "verdict",
        "cause",
        "why",
        "exit",
        "told",
        "charged",
        "lasted_s",
    )
    assert [shown[name] for name in nothing] == [None] * len(nothing)


def test_an_attempt_that_nobody_stopped_was_told_nothing() -> None:
    (shown,) = view.snapshot(SPEC, folded(chosen(1), ended(1, charged=False)), None)["attempts"]
    assert (shown["told"], shown["charged"], shown["scheduler_state"]) == (None, False, None)


def test_attempts_are_shown_in_order_each_with_its_own_end() -> None:
    book = folded(chosen(1), ended(1, Exited(1)), chosen(2), ended(2, Exited(2)), chosen(3))
    shown = view.snapshot(SPEC, book, None)["attempts"]
    assert [(each["n"], each["exit"] and each["exit"]["code"]) for each in shown] == [
        (1, 1),
        (2, 2),
        (3, None),
    ]
    assert [each["verdict"] for each in shown] == ["failed", "failed", None]


def test_an_attempt_whose_own_door_was_shut_for_good_never_began() -> None:
    (shown,) = view.snapshot(SPEC, folded(chosen(1), CLOSING), None)["attempts"]
    assert (shown["verdict"], shown["why"]) == ("never-began", "its door was shut before it began")


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        (Exited(3), {"kind": "exited", "code": 3, "signal": None}),
        (Signalled(9), {"kind": "signalled", "code": None, "signal": 9}),
        (NeverBegan("x"), {"kind": "never-began", "code": None, "signal": None, "why": "x"}),
        (Lost("y"), {"kind": "lost", "code": None, "signal": None, "why": "y"}),
    ],
)
def test_an_exit_is_shown_as_what_it_was(end: Any, shown: dict[str, Any]) -> None:
    assert view.exit_of(end) == shown


# --- goodput ----------------------------------------------------------------------------------------------------------


def test_goodput_counts_what_was_kept_what_was_lost_and_when_nothing_ran() -> None:
    book = finished(
        ended(1, lasted_s=2.0, last_step=100, checkpoint_step=75, progressed=True),
        ended(2, lasted_s=1.0, last_step=90, resumed_step=75),
        ended(3, lasted_s=3.0, verdict="finished", last_step=200, resumed_step=75),
    )
    assert view.snapshot(SPEC, book, None)["goodput"] == {
        "useful_s": 4.5, "lost_s": 1.5, "down_s": 4.0, "total_s": 10.0, "ratio": 0.45,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("end", "share"),
    [
        (ended(1, verdict="finished"), 1.0),
        (ended(1, checkpoint_step=50, last_step=100), 0.0),
        (ended(1, progressed=True, last_step=100), 0.0),
        (ended(1, progressed=True, checkpoint_step=50), 1.0),
        (ended(1, progressed=True, checkpoint_step=50, last_step=50, resumed_step=50), 1.0),
        (ended(1, progressed=True, checkpoint_step=60, last_step=90, resumed_step=50), 0.25),
        (ended(1, progressed=True, checkpoint_step=60, last_step=55, resumed_step=50), 1.0),
        (ended(1, progressed=True, checkpoint_step=40, last_step=55, resumed_step=50), 0.0),
    ],
)
def test_of_an_attempt_the_steps_up_to_its_checkpoint_were_kept(end: Any, share: float) -> None:
    book = finished(replace(end, ending=replace(end.ending, lasted_s=8.0)))
    shown = view.snapshot(SPEC, book, None)["goodput"]
    assert (shown["useful_s"], shown["lost_s"]) == (8.0 * share, 8.0 * (1 - share))


def test_while_it_goes_on_nobody_says_a_ratio() -> None:
    shown = view.snapshot(SPEC, folded(ended(1, lasted_s=2.0, mono_s=5.0)), None)["goodput"]
    assert shown == {"useful_s": 0.0, "lost_s": 2.0, "down_s": None, "total_s": 5.0, "ratio": None}


def test_a_clock_that_went_back_shows_no_negative_time_and_never_more_than_all() -> None:
    book = replace(finished(ended(1, lasted_s=50.0, verdict="finished")), accepted=at(20.0))
    shown = view.goodput(book, book.phase)  # type: ignore[arg-type]  # this book's run is over
    assert (shown["total_s"], shown["down_s"], shown["ratio"]) == (0.0, 0.0, None)
    book = finished(ended(1, lasted_s=50.0, verdict="finished"))
    assert view.goodput(book, book.phase)["ratio"] == 1.0  # type: ignore[arg-type]  # this book's run is over


# --- the board and the words ------------------------------------------------------------------------------------------


def test_a_row_is_the_run_on_one_line() -> None:
    book = folded(chosen(1), ended(1, last_step=3, total=9), chosen(2, 4.0))
    spec = replace(SPEC, tags=("t",), name="n")
    assert view.row(spec, book, LIVE) == {
        "id": RUN, "name": "n", "phase": "running", "waiting_for": None, "outcome": None,
        "created_at": "1970-01-12T13:46:40Z", "updated_at": "1970-01-12T13:46:44Z", "ended_at": None,
        "tags": ["t"], "why": "chosen", "place": "local", "verdict": "failed", "attempt": 2, "step": 5, "total": 10,
        "loss": 0.5, "rate": 2.0, "eta_s": 2.5,
    }  # fmt: skip


def test_a_row_of_a_fresh_run_has_nothing_to_say_of_steps() -> None:
    shown = view.row(SPEC, BOOK, None, "slot: no room")
    book = folded(chosen(1), ended(1), chosen(2), ended(2), chosen(3))
    assert view.row(SPEC, book, None)["attempt"] == 3
    assert [shown[name] for name in ("verdict", "attempt", "step", "total", "loss")] == [
        None,
        0,
        None,
        None,
        None,
    ]
    assert (shown["why"], shown["waiting_for"]) == ("slot: no room", "slot")


def test_progress_in_words_is_what_a_person_reads_with_cat() -> None:
    book = folded(
        chosen(1),
        ended(1, last_step=40, total=90, loss=0.123456789, why="exit 1", wait_s=30.0, mono_s=5.0),
        chosen(2, 6.0),
        ended(2, why="exit 2", resumed_from="c/40", wait_s=30.0, mono_s=8.0),
    )
    assert view.words(view.snapshot(SPEC, book, None)) == (
        f"{RUN}: waiting, waiting for backoff\n"
        "step 40/90, loss 0.123457\n"
        "why: exit 2\n"
        "attempt 1: failed (from scratch), exit 1\n"
        "attempt 2: failed (resumed from c/40), exit 2\n"
        "updated 1970-01-12T13:46:48Z\n"
    )


def test_words_of_a_run_without_steps_say_only_what_is_known() -> None:
    assert view.words(view.snapshot(SPEC, TRYING, {})) == (
        f"{RUN}: running\nwhy: chosen\nattempt 1: running (from scratch), no end yet\n"
        "updated 1970-01-12T13:46:43Z\n"
    )
    assert view.words(view.snapshot(SPEC, TRYING, {"step": 0})).splitlines()[1] == "step 0"
    ended_well = finished(chosen(1), ended(1, verdict="finished", why="exit 0"))
    assert view.words(view.snapshot(SPEC, ended_well, None)).splitlines()[0] == f"{RUN}: completed"


# --- dates ------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 32_503_679_999), st.floats(0, 0.999))
def test_dates_are_those_of_the_calendar(seconds: int, fraction: float) -> None:
    expected = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert view.time_of(Moment("b", 0.0, seconds + fraction)) == expected


@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (951_782_399.0, "2000-02-28T23:59:59Z"),
        (951_782_400.0, "2000-02-29T00:00:00Z"),
        (4_107_542_400.0, "2100-03-01T00:00:00Z"),
        (1_735_689_599.9, "2024-12-31T23:59:59Z"),
    ],
)
def test_leap_days_and_year_ends_are_where_they_belong(seconds: float, date: str) -> None:
    assert view.time_of(Moment("b", 0.0, seconds)) == date
