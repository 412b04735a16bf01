"""One run, one turn: where it stands x what was seen -> what is written and what is done."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from outlast.decide import core
from outlast.decide.core import decide, timeout_left_s, wanted
from outlast.decide.history import fold
from outlast.decide.orders import order
from outlast.decide.policy import backoff_s
from outlast.facts import (
    Absent,
    Alive,
    Asked,
    AttemptId,
    Book,
    Candidate,
    Cause,
    Chosen,
    Closed,
    Closing,
    Coming,
    Decision,
    Declined,
    Done,
    Ended,
    Ending,
    Exited,
    Finished,
    Held,
    Launch,
    Lost,
    NeverBegan,
    Presence,
    RecordEnd,
    Reopened,
    Repeated,
    Shut,
    ShutDoor,
    Shutting,
    Signalled,
    Tell,
    Trying,
    Unrecorded,
    Unseen,
    Waiting,
    Word,
)
from tests.unit.decide.values import (
    BOOK,
    HERE,
    RUN,
    SPEC,
    START,
    at,
    chosen,
    ended,
    ending,
    kinds,
    request,
    sight,
)

TERM = 4
A1, A2 = AttemptId(RUN, 1), AttemptId(RUN, 2)
UNSEEN = Unseen("no answer")
COMING = Coming(HERE, "starting")
ALIVE, ORPHAN = Alive(HERE, True), Alive(HERE, False)
OVER = Closed(ending(Exited(1)), HERE)
DONE_WELL = Closed(ending(Exited(0)), HERE)
CALLED_OFF, FINAL = Shut(False, "called off: pause was asked for", 2), Shut(True, "the run is failed", 2)
BEGUN: tuple[Presence, ...] = (ALIVE, ORPHAN, OVER, Unrecorded(None), CALLED_OFF, FINAL)
EVERY: tuple[Presence, ...] = (UNSEEN, Absent(), COMING, *BEGUN)

TRYING = replace(BOOK, phase=Trying(1, 1, START), chosen=(chosen(1),))
SECOND = replace(BOOK, phase=Trying(2, 1, START), next=2, endings=(ended(1),), chosen=(chosen(1), chosen(2)))
STOP: dict[str, object] = {"want": "stop", "asked": 5, "why": "enough"}
CLOSING = Closing(at=START, run=RUN, why="exit 0 at step 9", n=2, outcome="completed", proof="step")
SHUTTING = replace(BOOK, phase=Shutting(2, "completed"), closing=CLOSING, next=2)


def launch(n: int, timeout_left: float | None = None) -> Launch:
    return Launch((order(SPEC, n, TERM, timeout_left),))


def decided(book: Book, presence: Presence, mono_s: float = 0.0, **more: object) -> Decision:
    return decide(SPEC, book, sight(presence, mono_s, **more), TERM)


NOTHING = Decision()


def test_the_walk_below_knows_every_presence() -> None:
    assert {type(presence) for presence in EVERY} == set(get_args(Presence))


# --- waiting ----------------------------------------------------------------------------------------------------------


def test_a_run_that_may_begin_is_journaled_first_and_then_launched() -> None:
    decision = decided(BOOK, Absent(), 3.0)
    assert decision.entries == (
        Chosen(at=at(3.0), run=RUN, why="the first attempt", n=1, order="order.4.json"),
    )
    assert decision.actions == (launch(1),)


def test_the_next_attempt_says_after_what() -> None:
    book = fold(fold(BOOK, chosen(1)), ended(1, why="exit 1"))
    decision = decided(book, Absent())
    assert decision.entries[0].why == "the next attempt, after: exit 1"
    (act,) = decision.actions
    assert isinstance(act, Launch)
    assert act.orders[0] == replace(launch(2).orders[0], by_itself=True)


def test_only_what_nobody_asked_for_is_a_restart_by_itself() -> None:
    assert not BOOK.by_itself, "the first start is a person's word"
    restarted = fold(fold(BOOK, chosen(1)), ended(1))
    assert restarted.by_itself
    retried = fold(restarted, Asked(at=START, run=RUN, why="", request=4, verb="retry", by="me"))
    assert not retried.by_itself
    assert fold(fold(retried, chosen(2)), ended(2)).by_itself
    pause = Asked(at=START, run=RUN, why="", request=4, verb="pause", by="me")
    paused = fold(restarted, pause)
    assert paused.by_itself, "whoever pauses asks for no start"
    resumed = fold(paused, Asked(at=START, run=RUN, why="", request=5, verb="resume", by="me"))
    assert not resumed.by_itself
    assert fold(fold(resumed, chosen(2)), ended(2)).by_itself
    assert not fold(restarted, Reopened(at=START, run=RUN, why="retry was asked for", n=3)).by_itself


def test_p9_a_restart_by_itself_with_changed_code_is_held_until_a_retry() -> None:
    changed = Ending(exit=NeverBegan("code-changed: code: a -> b"), at=START)
    trying = replace(BOOK, phase=Trying(2, 1, START), next=2)
    decision = decided(trying, Closed(changed, HERE))
    kinds = [type(entry) for entry in decision.entries]
    assert kinds == [Ended, Held], kinds
    held = fold(fold(trying, decision.entries[0]), decision.entries[1])
    assert (held.holds, held.why) == (("code-changed",), "code: a -> b")
    assert not held.charges, "nothing of it was its fault"
    assert decided(held, Absent()).actions == ()
    retried = fold(held, Asked(at=START, run=RUN, why="", request=4, verb="retry", by="me"))
    (act,) = decided(retried, Absent()).actions
    assert isinstance(act, Launch)
    assert not act.orders[0].by_itself


def test_a_start_that_the_lock_refuses_ends_the_run_at_once() -> None:
    refused = Ending(
        exit=NeverBegan("lock_changed: not what this run was locked to: base_model: a -> b"), at=START
    )
    trying = replace(BOOK, phase=Trying(2, 1, START), next=2)
    ended_, closing = decided(trying, Closed(refused, HERE)).entries
    assert isinstance(ended_, Ended)
    assert isinstance(closing, Closing)
    assert (closing.outcome, ended_.charged) == ("failed", False)
    assert "base_model: a -> b" in closing.why


@pytest.mark.parametrize("presence", [UNSEEN, COMING])
def test_a_waiting_run_whose_door_cannot_be_judged_waits(presence: Presence) -> None:
    assert decided(BOOK, presence) == NOTHING


@pytest.mark.parametrize("presence", BEGUN)
def test_a_door_that_somebody_opened_first_is_found_begun_and_never_launched(presence: Presence) -> None:
    decision = decided(BOOK, presence, 2.0)
    assert decision.entries == (Chosen(at=at(2.0), run=RUN, why="found begun", n=1, order=""),)
    assert (decision.actions, decision.wake_in_s) == ((), 0.0)


@pytest.mark.parametrize("presence", EVERY)
@pytest.mark.parametrize("want", ["stop", "stop-now"])
def test_a_waiting_run_that_is_to_stop_closes_at_once_whatever_is_seen(presence: Presence, want: str) -> None:
    decision = decided(replace(BOOK, **{**STOP, "want": want}), presence, 6.0, holds=("down",))
    assert decision.entries == (Closing(at=at(6.0), run=RUN, why="enough", n=1, outcome="cancelled"),)
    assert (decision.actions, decision.wake_in_s) == ((), 0.0)


def test_a_held_paused_or_not_granted_run_does_not_begin() -> None:
    assert decided(BOOK, Absent(), holds=("down",)) == NOTHING
    assert decided(replace(BOOK, holds=("disk",)), Absent()) == NOTHING
    assert decided(replace(BOOK, want="pause"), Absent()) == NOTHING
    assert decided(BOOK, Absent(), granted=False) == NOTHING


def test_a_backoff_is_waited_out_to_the_second_even_by_a_run_without_a_slot() -> None:
    book = replace(BOOK, phase=Waiting(at(10.0), 30.0))
    for granted in (True, False):
        assert decided(book, Absent(), 25.0, granted=granted) == Decision(wake_in_s=15.0)
    assert decided(book, Absent(), 39.5) == Decision(wake_in_s=0.5)
    assert kinds(decided(book, Absent(), 40.0).entries) == ["Chosen"]


def test_a_wait_on_another_boot_starts_anew_with_this_one() -> None:
    book = replace(BOOK, phase=Waiting(at(10_000.0, "boot-0"), 30.0))
    assert decided(book, Absent(), 10.0) == Decision(wake_in_s=20.0)
    assert kinds(decided(book, Absent(), 31.0).entries) == ["Chosen"]


# --- trying: nothing seen of it ---------------------------------------------------------------------------------------


def test_what_could_not_be_seen_leads_to_nothing_whatever_is_wanted() -> None:
    for book in (TRYING, replace(TRYING, **STOP), SHUTTING):
        assert decided(book, UNSEEN, 1e6, holds=("down",)) == NOTHING


def test_one_that_is_coming_is_waited_for() -> None:
    assert decided(TRYING, COMING, 1e6) == NOTHING


def test_an_absent_attempt_is_launched_again_ever_more_slowly_and_never_gets_a_new_number() -> None:
    book, now = TRYING, 0.0
    due = [2.0, 4.0, 8.0, 16.0] + [30.0] * 7
    for times, wait in enumerate(due, 2):
        early = decided(book, Absent(), now + wait - 0.5)
        assert early == Decision(wake_in_s=0.5)
        now += wait
        decision = decided(book, Absent(), now)
        assert decision.entries == (
            Repeated(
                at=at(now),
                run=RUN,
                why=f"launch {times} of the same attempt: nothing was seen of the one before",
                n=1,
                times=times,
            ),
        )
        assert decision.actions == (launch(1),)
        book = fold(book, decision.entries[0])
    assert book.phase == Trying(1, 12, START)
    assert decided(book, Absent(), now + 29.0) == Decision(wake_in_s=1.0)
    shut = decided(book, Absent(), now + 30.0)
    assert shut == Decision((), (ShutDoor(A1, False, "its runner never began it (12 launches)"),), 0.0)


def test_launches_that_an_older_version_counted_too_far_end_in_a_shut_door_too() -> None:
    book = replace(TRYING, phase=Trying(1, 40, START))
    assert decided(book, Absent(), 1e4).actions == (
        ShutDoor(A1, False, "its runner never began it (40 launches)"),
    )


def test_after_a_reboot_the_launch_is_repeated_at_once_and_counted_anew() -> None:
    book = replace(TRYING, phase=Trying(1, 12, at(5.0, "boot-0")))
    decision = decided(book, Absent(), 7.0)
    assert isinstance(decision.entries[0], Repeated)
    assert decision.entries[0].times == 1
    book = fold(book, decision.entries[0])
    assert decided(book, Absent(), 8.0) == Decision(wake_in_s=1.0)


def test_one_found_begun_whose_door_is_gone_again_is_launched_at_once() -> None:
    book = replace(TRYING, phase=Trying(1, 0, START))
    assert decided(book, Absent()).actions == (launch(1),)


@pytest.mark.parametrize("presence", [Absent(), COMING])
@pytest.mark.parametrize(
    ("book", "holds", "final", "why"),
    [
        (replace(TRYING, **STOP), (), True, "called off: stop was asked for"),
        (replace(TRYING, want="stop-now"), (), True, "called off: stop-now was asked for"),
        (replace(TRYING, want="pause"), (), False, "called off: pause was asked for"),
        (TRYING, ("down",), False, "called off: pause was asked for"),
        (TRYING, ("disk",), False, "called off: held: disk"),
        (replace(TRYING, holds=("quota",)), ("disk",), False, "called off: held: quota, disk"),
        (replace(TRYING, closing=CLOSING), (), True, "called off: stop-now was asked for"),
    ],
)
def test_an_attempt_that_is_not_to_begin_has_its_door_shut_before_anything_is_said(
    presence: Presence, book: Book, holds: tuple[str, ...], final: bool, why: str
) -> None:
    assert decided(book, presence, 99.0, holds=holds) == Decision((), (ShutDoor(A1, final, why),), 0.0)


# --- trying: it lives -------------------------------------------------------------------------------------------------


def test_a_living_attempt_that_is_wanted_is_left_alone() -> None:
    assert decided(TRYING, ALIVE, 1e6) == NOTHING
    assert decided(TRYING, ALIVE, holds=("disk",)) == NOTHING


def test_l2_one_whose_runner_is_gone_gets_the_same_launch_again_and_no_record() -> None:
    assert decided(TRYING, ORPHAN) == Decision((), (launch(1),), core.ADOPT_AGAIN_S)
    assert core.ADOPT_AGAIN_S == 2.0


@pytest.mark.parametrize(
    ("book", "holds", "want", "number"),
    [
        (replace(TRYING, **STOP), (), "stop", 5),
        (replace(TRYING, want="stop-now", asked=6), ("down",), "stop-now", 6),
        (replace(TRYING, want="pause", asked=7), ("down",), "pause", 7),
        (replace(TRYING, holds=("paused",), asked=7), (), "pause", 7),
        (replace(TRYING, asked=8), ("disk", "down"), "pause", 12),
        (replace(TRYING, closing=CLOSING, asked=9), (), "stop-now", 9),
        (replace(TRYING, closing=CLOSING, **STOP), (), "stop", 5),
    ],
)
def test_a_living_attempt_is_told_what_is_wanted(
    book: Book, holds: tuple[str, ...], want: str, number: int
) -> None:
    tell = Tell(A1, want, number)  # type: ignore[arg-type]  # drawn from tables of values of that type
    assert wanted(book, sight(ALIVE, holds=holds, asked=12)) == (want, number)
    assert decided(book, ALIVE, holds=holds, asked=12) == Decision((), (tell,))
    assert decided(book, ORPHAN, holds=holds, asked=12).actions == (tell, launch(1))


def asked(verb: str, number: int, *, now: bool = False) -> Asked:
    args = (("now", "1"),) if now else ()
    return Asked(at=START, run=RUN, why="", request=number, verb=verb, by="me", args=args)


def test_pause_now_stops_at_once_and_the_run_stays_paused() -> None:
    book = fold(TRYING, asked("pause", 5, now=True))
    assert decided(book, ALIVE).actions == (Tell(A1, "stop-now", 5),)
    told = ending(Signalled(9), told="stop-now", told_by="request 5")
    (ended,) = decided(book, Closed(told, HERE)).entries
    assert isinstance(ended, Ended)
    assert ended.verdict == "interrupted"
    assert not ended.charged
    assert decided(fold(book, ended), Absent()) == NOTHING
    assert kinds(decided(fold(fold(book, ended), asked("resume", 6)), Absent()).entries) == ["Chosen"]


def test_a_pause_that_is_hurried_stays_hurried_and_a_stop_outranks_both() -> None:
    book = fold(fold(TRYING, asked("pause", 5, now=True)), asked("pause", 6))
    assert wanted(book, sight(ALIVE)) == ("stop-now", 6)
    assert fold(fold(TRYING, asked("stop", 5)), asked("pause", 6, now=True)).want == "stop"


def test_what_is_called_off_by_pause_now_is_no_last_door() -> None:
    (act,) = decided(fold(TRYING, asked("pause", 5, now=True)), Absent()).actions
    assert isinstance(act, ShutDoor)
    assert not act.final


def test_a_run_that_nobody_wants_otherwise_runs() -> None:
    assert wanted(replace(BOOK, asked=3), sight(ALIVE, holds=("disk",))) == ("run", 3)


def test_a_down_outranks_what_was_told_on_an_earlier_request() -> None:
    """A runner obeys the higher number of two: the one of the run's acceptance must not silence the place's own."""
    book = replace(TRYING, asked=8)
    (first,) = decided(book, ALIVE, asked=8).actions
    (later,) = decided(book, ALIVE, asked=9, holds=("down",)).actions
    assert isinstance(first, Tell)
    assert isinstance(later, Tell)
    assert (first.want, later.want) == ("run", "pause")
    assert later.request > first.request


def test_a_resume_takes_a_pause_back_and_if_it_comes_too_late_the_run_goes_on_in_the_next_attempt() -> None:
    book = fold(TRYING, Asked(at=START, run=RUN, why="", request=5, verb="pause", by="me"))
    book = fold(book, Asked(at=START, run=RUN, why="", request=6, verb="resume", by="me"))
    assert decided(book, ALIVE) == Decision((), (Tell(A1, "run", 6),))
    told = ending(Exited(0), told="pause", told_by="request 5")
    decision = decided(book, Closed(told, HERE))
    assert kinds(decision.entries) == ["Ended"]
    assert kinds(decided(fold(book, decision.entries[0]), Absent()).entries) == ["Chosen"]


# --- trying: it is over -----------------------------------------------------------------------------------------------


def test_an_end_that_nobody_recorded_is_recorded_as_lost_with_the_schedulers_word() -> None:
    word = Word("NODE_FAIL", "it burned")
    decision = decided(TRYING, Unrecorded(word), 5.0)
    lost = Ending(exit=Lost("NODE_FAIL: it burned"), at=at(5.0), word=word)
    assert decision == Decision((), (RecordEnd(A1, lost),), 0.0)
    nameless = decided(TRYING, Unrecorded(Word("TIMEOUT")), 5.0).actions[0]
    assert isinstance(nameless, RecordEnd)
    assert nameless.ending.exit == Lost("TIMEOUT")
    silent = decided(TRYING, Unrecorded(None), 5.0).actions[0]
    assert silent == RecordEnd(A1, Ending(exit=Lost("nobody can say how it ended"), at=at(5.0)))


def test_a_closed_door_ends_its_attempt_once_and_the_next_turn_goes_on() -> None:
    decision = decided(TRYING, OVER, 5.0, newest=Candidate("c", "folder", 30))
    (entry,) = decision.entries
    assert isinstance(entry, Ended)
    assert (entry.run, entry.n, entry.ending, entry.at) == (RUN, 1, OVER.ending, at(5.0))
    assert (entry.verdict, entry.cause.name, entry.charged) == ("failed", "exit", False)
    assert (entry.progressed, entry.checkpoint_step, entry.wait_s) == (True, 30, 0.0)
    assert (decision.actions, decision.wake_in_s) == ((), 0.0)


def test_a_death_without_progress_is_charged_and_waited_after() -> None:
    (entry,) = decided(TRYING, OVER).entries
    assert isinstance(entry, Ended)
    assert entry.charged
    assert entry.wait_s == backoff_s(SPEC, TRYING, 1) > 0
    assert entry.why == "exit 1"


def test_success_is_closed_behind_the_next_door_and_not_yet_finished() -> None:
    decision = decided(TRYING, DONE_WELL, 5.0)
    assert kinds(decision.entries) == ["Ended", "Closing"]
    assert decision.entries[1] == Closing(
        at=at(5.0), run=RUN, why="exit 0", n=2, outcome="completed", cause=None, proof="exit"
    )
    assert (decision.actions, decision.wake_in_s) == ((), 0.0)


def test_the_last_death_of_the_budget_closes_the_run_with_the_cause() -> None:
    book = replace(SECOND, charges=(("exit", 2),), endings=(ended(1, lasted_s=99.0), ended(2, lasted_s=99.0)))
    book = replace(book, phase=Trying(3, 1, START), next=3)
    decision = decided(book, Closed(ending(Exited(1), lasted_s=99.0), HERE))
    closing = decision.entries[1]
    assert isinstance(closing, Closing)
    assert (closing.outcome, closing.n) == ("failed", 4)
    assert closing.why == "3 attempts without progress (--max-attempts 3); the first: it failed"
    assert closing.cause == Cause("crash_loop", why=closing.why)
    assert isinstance(decision.entries[0], Ended)
    assert decision.entries[0].cause.name == "exit"


def test_what_was_closed_stays_so_after_an_intruder_was_ended() -> None:
    book = replace(SECOND, closing=replace(CLOSING, cause=Cause("x")))
    decision = decided(book, Closed(ending(Signalled(9), told="stop-now", told_by="request 0"), HERE), 8.0)
    assert kinds(decision.entries) == ["Ended", "Closing"]
    assert decision.entries[1] == replace(CLOSING, at=at(8.0), n=3, cause=Cause("x"))


def test_a_door_that_was_shut_ends_its_attempt_as_one_that_never_began() -> None:
    decision = decided(TRYING, CALLED_OFF, 5.0)
    (entry,) = decision.entries
    assert isinstance(entry, Ended)
    assert entry.ending == Ending(exit=NeverBegan("called off: pause was asked for"), at=at(5.0))
    assert (entry.verdict, entry.charged, entry.n) == ("never-began", False, 1)


def test_a_runner_that_never_began_is_not_called_off() -> None:
    decision = decided(TRYING, Shut(False, "its runner never began it (12 launches)", 2))
    (entry,) = decision.entries
    assert isinstance(entry, Ended)
    assert entry.cause.name == "never_began"


def test_a_final_door_closes_the_run_as_cancelled_if_that_was_asked() -> None:
    decision = decided(replace(TRYING, **STOP), FINAL, 5.0)
    assert decision.entries == (Closing(at=at(5.0), run=RUN, why="enough", n=1, outcome="cancelled"),)
    assert decision.wake_in_s == 0.0


def test_a_final_door_cancels_also_a_run_that_is_to_stop_now() -> None:
    (entry,) = decided(replace(TRYING, want="stop-now", asked=5, why="enough"), FINAL).entries
    assert isinstance(entry, Closing)
    assert entry.outcome == "cancelled"


def test_a_final_door_keeps_what_was_decided_before() -> None:
    decision = decided(replace(TRYING, closing=CLOSING, **STOP), FINAL, 5.0)
    assert decision.entries == (replace(CLOSING, at=at(5.0), n=1),)


def test_a_final_door_whose_reason_is_lost_is_never_success() -> None:
    failed = decided(SECOND, FINAL, 5.0).entries[0]
    why = "an earlier term shut its last door (the run is failed), after: it failed"
    assert failed == Closing(
        at=at(5.0), run=RUN, why=why, n=2, outcome="failed", cause=SECOND.endings[0].cause
    )
    unknown = decided(TRYING, FINAL, 5.0).entries[0]
    assert isinstance(unknown, Closing)
    assert (unknown.outcome, unknown.cause) == ("unknown", None)
    assert unknown.why == "an earlier term shut its last door (the run is failed)"
    (well,) = decided(replace(SECOND, endings=(ended(1, verdict="finished"),)), FINAL).entries
    assert isinstance(well, Closing)
    assert (well.outcome, well.cause) == ("unknown", None)


# --- shutting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("presence", [Absent(), Absent(Word("CANCELLED")), COMING])
def test_a_run_ends_only_by_shutting_its_next_door_for_good(presence: Presence) -> None:
    assert decided(SHUTTING, presence) == Decision((), (ShutDoor(A2, True, "the run is completed"),), 0.0)


def test_a_run_is_finished_when_the_final_door_is_seen_shut() -> None:
    decision = decided(replace(SHUTTING, why="other"), FINAL, 9.0)
    assert decision == Decision(
        (Finished(at=at(9.0), run=RUN, why="exit 0 at step 9", outcome="completed", proof="step"),)
    )
    failed = replace(SHUTTING, closing=replace(CLOSING, cause=Cause("x"), proof=None), why="other")
    (entry,) = decided(failed, FINAL).entries
    assert isinstance(entry, Finished)
    assert (entry.cause, entry.proof) == (Cause("x"), None)


def test_a_closing_that_nobody_recorded_finishes_with_what_is_known() -> None:
    (entry,) = decided(replace(SHUTTING, closing=None, why="so it is"), FINAL).entries
    assert isinstance(entry, Finished)
    assert (entry.why, entry.outcome, entry.cause, entry.proof) == ("so it is", "completed", None, None)


@pytest.mark.parametrize("presence", [each for each in BEGUN if each is not FINAL])
def test_i2_a_run_whose_last_door_is_found_begun_has_not_ended(presence: Presence) -> None:
    decision = decided(SHUTTING, presence, 9.0)
    assert decision.entries == (Chosen(at=at(9.0), run=RUN, why="found begun", n=2, order=""),)
    assert (decision.actions, decision.wake_in_s) == ((), 0.0)


@pytest.mark.parametrize("presence", EVERY)
def test_of_a_run_that_is_done_nothing_follows(presence: Presence) -> None:
    assert decided(replace(BOOK, phase=Done("failed", None, START)), presence) == NOTHING


# --- requests ---------------------------------------------------------------------------------------------------------


def test_requests_are_answered_in_order_and_each_sees_what_the_one_before_changed() -> None:
    requests = (request("resume", 3), request("pause", 4), request("resume", 5), request("stop", 6))
    decision = decided(TRYING, ALIVE, 1.0, requests=(*requests, request("pause", 7)))
    assert kinds(decision.entries) == ["Declined", "Asked", "Asked", "Asked", "Declined"]
    assert [getattr(entry, "request", None) for entry in decision.entries] == [3, 4, 5, 6, 7]
    assert {entry.at for entry in decision.entries} == {at(1.0)}
    assert (decision.actions, decision.wake_in_s) == ((), 0.0)


def test_what_was_asked_is_written_before_anything_follows_from_it() -> None:
    decision = decided(TRYING, Absent(), 500.0, requests=(request("stop"),))
    assert kinds(decision.entries) == ["Asked"]
    assert decision.actions == ()


def test_a_retry_of_an_ended_run_opens_it_behind_its_final_door() -> None:
    book = replace(SHUTTING, phase=Done("failed", None, START))
    decision = decided(book, FINAL, 3.0, requests=(request("retry", 8), request("pause", 9)))
    assert kinds(decision.entries) == ["Asked", "Reopened", "Asked"]
    assert decision.entries[1] == Reopened(at=at(3.0), run=RUN, why="retry was asked for", n=3, term=TERM)


def test_an_attempt_behind_a_final_door_begins_only_once_its_reopening_is_sealed() -> None:
    book = replace(BOOK, next=3, reopened=TERM)
    assert core.needs_next_term(book, TERM)
    assert decided(book, Absent(), 1e6) == NOTHING
    assert not core.needs_next_term(book, TERM + 1)
    assert kinds(decide(SPEC, book, sight(Absent()), TERM + 1).entries) == ["Chosen"]
    assert not core.needs_next_term(replace(book, phase=Trying(3, 1, START)), TERM)
    assert not core.needs_next_term(BOOK, TERM)


def test_a_reopened_run_can_be_stopped_before_its_reopening_is_sealed() -> None:
    book = replace(BOOK, next=3, reopened=TERM, **STOP)
    assert kinds(decided(book, Absent()).entries) == ["Closing"]


def test_a_retry_that_is_declined_opens_nothing() -> None:
    book = replace(SHUTTING, phase=Done("completed", None, START))
    assert kinds(decided(book, FINAL, requests=(request("retry", 8),)).entries) == ["Declined"]
    assert kinds(decided(TRYING, ALIVE, requests=(request("retry", 8),)).entries) == ["Declined"]


def test_a_removal_that_is_asked_of_an_ended_run_opens_nothing() -> None:
    book = replace(SHUTTING, phase=Done("failed", None, START))
    assert kinds(decided(book, FINAL, requests=(request("rm", 8),)).entries) == ["Asked"]


def test_a_request_that_nobody_understands_is_declined_and_the_run_goes_on() -> None:
    decision = decided(TRYING, ALIVE, requests=(request("dance", 8),))
    assert isinstance(decision.entries[0], Declined)
    assert decided(fold(TRYING, decision.entries[0]), ALIVE) == NOTHING


def test_an_order_says_whether_the_run_ever_had_a_checkpoint() -> None:
    for had in (False, True):
        (act,) = decided(replace(BOOK, had_checkpoint=had), Absent()).actions
        assert isinstance(act, Launch)
        assert act.orders[0].had_checkpoint is had


def test_the_attempt_after_a_retry_is_the_one_behind_the_final_door() -> None:
    ended_run = replace(BOOK, phase=Done("failed", None, START), closing=replace(CLOSING, n=5), next=3)
    _, reopened = decided(ended_run, FINAL, requests=(request("retry", 8),)).entries
    assert isinstance(reopened, Reopened)
    assert reopened.n == 6


# --- the wall limit ---------------------------------------------------------------------------------------------------


def test_what_earlier_attempts_left_of_the_wall_limit_is_ordered() -> None:
    spec = replace(SPEC, timeout_s=100.0)
    book = replace(BOOK, next=3, endings=(ended(1, lasted_s=30.0), ended(2, lasted_s=None)))
    assert timeout_left_s(SPEC, book) is None
    assert timeout_left_s(spec, BOOK) == 100.0
    assert timeout_left_s(spec, book) == 70.0
    decision = decide(spec, book, sight(Absent()), TERM)
    assert decision.actions == (Launch((order(spec, 3, TERM, 70.0),)),)


def test_a_repeated_launch_and_an_adoption_have_what_is_left_of_the_wall_limit() -> None:
    spec = replace(SPEC, timeout_s=100.0)
    book = replace(SECOND, endings=(ended(1, lasted_s=30.0),))
    for presence in (Absent(), ORPHAN):
        decision = decide(spec, book, sight(presence, 500.0), TERM)
        assert decision.actions[-1] == Launch((order(spec, 2, TERM, 70.0),))


def test_a_limit_that_is_used_up_leaves_a_second_so_that_the_runner_says_so() -> None:
    spec = replace(SPEC, timeout_s=100.0)
    assert timeout_left_s(spec, replace(BOOK, next=2, endings=(ended(1, lasted_s=500.0),))) == 1.0


def test_a_retry_has_the_whole_wall_limit_again() -> None:
    spec = replace(SPEC, timeout_s=100.0)
    assert timeout_left_s(spec, replace(BOOK, next=3, endings=(ended(1, lasted_s=500.0),))) == 100.0


# --- laws -------------------------------------------------------------------------------------------------------------

BOOKS = [
    replace(book, want=want, holds=holds, closing=closing)
    for book in (BOOK, TRYING, SECOND, SHUTTING, replace(BOOK, phase=Done("failed", None, START)))
    for want in ("run", "pause", "stop", "stop-now")
    for holds in ((), ("paused",), ("disk",))
    for closing in (None, CLOSING)
]
LOOKS = st.builds(
    sight,
    st.sampled_from(EVERY),
    st.sampled_from([0.0, 1.0, 60.0, 1e5]),
    holds=st.sampled_from([(), ("down",), ("disk",)]),
    granted=st.booleans(),
)


@given(st.sampled_from(BOOKS), LOOKS)
def test_only_an_ended_or_shut_door_leads_to_a_higher_number(book: Book, look: object) -> None:
    decision = decide(SPEC, book, look, TERM)  # type: ignore[arg-type]  # drawn from tables of values of that type
    n = book.phase.n if isinstance(book.phase, Trying | Shutting) else book.next
    for action in decision.actions:
        if isinstance(action, Launch):
            assert [each.attempt.n for each in action.orders] == [n]
        elif isinstance(action, Tell | ShutDoor | RecordEnd):
            assert action.attempt.n == n
    for entry in decision.entries:
        if isinstance(entry, Chosen | Repeated | Ended):
            assert entry.n == n
        elif isinstance(entry, Finished):
            assert look.presence == FINAL  # type: ignore[attr-defined]  # drawn from tables of values of that type


@given(st.sampled_from(BOOKS), LOOKS)
def test_nothing_begins_that_is_not_journaled_in_the_same_turn_or_before(book: Book, look: object) -> None:
    decision = decide(SPEC, book, look, TERM)  # type: ignore[arg-type]  # drawn from tables of values of that type
    if any(isinstance(action, Launch) for action in decision.actions):
        new = any(isinstance(entry, Chosen) for entry in decision.entries)
        assert new or isinstance(book.phase, Trying)


@given(st.sampled_from(BOOKS), LOOKS)
def test_the_same_look_at_the_same_book_decides_the_same(book: Book, look: object) -> None:
    assert decide(SPEC, book, look, TERM) == decide(SPEC, book, look, TERM)  # type: ignore[arg-type]  # drawn from tables of values of that type
