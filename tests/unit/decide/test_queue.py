"""Who may begin: L35, L41 (a paused run takes no place), L56 (no starvation)."""

from msgspec.structs import replace

from outlast.decide import queue
from outlast.decide.queue import AGEING_S, Waiter, grant, queued
from outlast.facts import Book, Priority, RunId, Trying, Waiting
from tests.unit.decide.values import BOOK, SPEC, START, at


def waiter(
    name: str,
    ordinal: int,
    *,
    priority: Priority = "normal",
    slots: int = 1,
    after: tuple[str, ...] = (),
    waited_s: float = 0.0,
    held: str = "",
) -> Waiter:
    others = tuple(RunId(other) for other in after)
    return Waiter(RunId(name), priority, slots, others, waited_s, float(ordinal), held, ordinal)


def taken(slots: int) -> dict[RunId, int]:
    return {RunId("big"): slots} if slots else {}


def granted(*waiting: Waiter, used: int = 0, slots: int = 1) -> list[str]:
    return sorted(grant(waiting, used=taken(used), slots=slots, outcomes={}).granted)


def test_first_accepted_first_served() -> None:
    assert granted(waiter("b", 2), waiter("a", 1), waiter("c", 3), slots=2) == ["a", "b"]


def test_the_wall_clock_does_not_change_the_order_of_acceptance() -> None:
    early = replace(waiter("early", 1), accepted_at=9e9)
    assert granted(waiter("late", 2), early) == ["early"]


def test_high_goes_before_normal_before_low() -> None:
    low, normal, high = (
        waiter("l", 1, priority="low"),
        waiter("n", 2),
        waiter("h", 3, priority="high"),
    )
    assert granted(low, normal, high) == ["h"]
    assert granted(low, normal) == ["n"]


def test_a_waiting_run_rises_a_class_every_half_hour_so_nobody_is_starved() -> None:
    assert AGEING_S == 1800.0
    fresh = waiter("fresh", 2, priority="high")
    assert granted(waiter("old", 1, priority="low", waited_s=2 * AGEING_S - 1), fresh) == ["fresh"]
    assert granted(waiter("old", 1, priority="low", waited_s=2 * AGEING_S), fresh) == ["old"]
    assert granted(waiter("old", 1, priority="high", waited_s=9 * AGEING_S), waiter("older", 0)) == ["old"]


def test_the_time_to_rise_a_class_can_be_set() -> None:
    waiting = [waiter("old", 1, priority="low", waited_s=20.0), waiter("fresh", 2, priority="high")]
    assert grant(waiting, used={}, slots=1, outcomes={}, ageing_s=10.0).granted == {"old"}


def test_a_run_that_needs_more_slots_than_are_free_holds_back_those_behind_it() -> None:
    grants = grant([waiter("wide", 1, slots=2), waiter("narrow", 2)], used=taken(3), slots=4, outcomes={})
    assert grants.granted == frozenset()
    assert grants.reasons == {
        "wide": "slot: it needs 2, 1 of 4 are free (held by big)",
        "narrow": "slot: wide comes first",
    }


def test_a_run_that_fits_exactly_begins_and_the_next_one_waits() -> None:
    grants = grant([waiter("a", 1, slots=2), waiter("b", 2)], used=taken(2), slots=4, outcomes={})
    assert grants.granted == {"a"}
    assert grants.reasons == {"b": "slot: it needs 1, 0 of 4 are free (held by big, a)"}


def test_of_many_who_hold_slots_the_first_are_named() -> None:
    used = {RunId(name): 1 for name in "pqrs"}
    assert grant([waiter("a", 1)], used=used, slots=4, outcomes={}).reasons == {
        "a": "slot: it needs 1, 0 of 4 are free (held by p, q and 2 more)"
    }


def test_more_in_use_than_there_are_slots_is_shown_as_none_free() -> None:
    grants = grant([waiter("a", 1)], used=taken(5), slots=4, outcomes={})
    assert grants.reasons == {"a": "slot: it needs 1, 0 of 4 are free (held by big)"}


def test_a_run_wider_than_the_place_says_so_and_holds_nobody_back() -> None:
    grants = grant([waiter("huge", 1, slots=8), waiter("a", 2)], used={}, slots=4, outcomes={})
    assert grants.granted == {"a"}
    assert grants.reasons == {"huge": "slot: it needs 8 slots, and there are 4"}


def test_a_run_of_just_the_places_width_can_begin() -> None:
    assert granted(waiter("all", 1, slots=4), slots=4) == ["all"]


def test_a_run_after_another_waits_for_its_completion_and_says_for_which() -> None:
    b = waiter("b", 1, after=("a",))
    a = RunId("a")
    assert grant([b], used={}, slots=4, outcomes={a: None}).reasons == {"b": "dependency: it waits for a"}
    assert grant([b], used={}, slots=4, outcomes={a: "completed"}).granted == {"b"}


def test_s36_a_run_after_one_that_did_not_complete_says_so_and_never_begins() -> None:
    b, a = waiter("b", 1, after=("a",)), RunId("a")
    for outcome in ("failed", "cancelled", "no-op", "unknown"):
        grants = grant([b, waiter("c", 2)], used={}, slots=1, outcomes={a: outcome})
        assert grants.granted == {"c"}
        assert grants.reasons == {"b": f"dependency: a ended {outcome}; retry that one, or stop this one"}


def test_all_that_a_run_comes_after_must_be_completed() -> None:
    c = waiter("c", 1, after=("a", "b"))
    outcomes = {RunId("a"): None, RunId("b"): None}
    assert grant([c], used={}, slots=4, outcomes={**outcomes, RunId("a"): "completed"}).reasons == {
        "c": "dependency: it waits for b"
    }


def test_a_run_after_one_that_was_removed_says_so() -> None:
    grants = grant([waiter("b", 1, after=("a",))], used={}, slots=4, outcomes={})
    assert grants.reasons == {"b": "dependency: there is no run a any more; stop this one"}


def test_what_is_held_takes_no_place_and_keeps_its_reason() -> None:
    grants = grant([waiter("p", 1, held="paused: lunch"), waiter("a", 2)], used={}, slots=1, outcomes={})
    assert grants.granted == {"a"}
    assert grants.reasons == {"p": "paused: lunch"}


# --- what a book says about waiting -----------------------------------------------------------------------------


def test_a_fresh_run_waits_since_it_was_accepted() -> None:
    made = queued(replace(SPEC, slots=2, after=(RunId("a"),)), BOOK, at(60.0), 5)
    assert made == Waiter(SPEC.run, "normal", 2, (RunId("a"),), 60.0, START.wall_s, "", 5)


def test_waiting_is_counted_since_the_last_attempt_and_not_over_a_reboot() -> None:
    book = replace(BOOK, phase=Waiting(at(1000.0), 0.0))
    assert queued(SPEC, book, at(1010.0)).waited_s == 10.0
    assert queued(SPEC, book, at(5000.0, "boot-2")).waited_s == 0.0
    assert queued(SPEC, book, at(10.0)).waited_s == 0.0


def test_a_priority_that_was_asked_for_outranks_the_one_it_was_accepted_with() -> None:
    assert queued(replace(SPEC, priority="low"), BOOK, START).priority == "low"
    assert queue.priority_of(SPEC, replace(BOOK, priority="high")) == "high"


def test_a_run_in_its_backoff_is_held_until_it_is_over_so_that_others_go_on() -> None:
    book = replace(BOOK, phase=Waiting(at(0.0), 30.0), why="exit 1")
    assert queued(SPEC, book, at(29.0)).held == "backoff: exit 1"
    assert queued(SPEC, book, at(30.0)).held == ""


def test_a_paused_and_a_held_run_say_by_what_they_are_held() -> None:
    def held(book: Book) -> str:
        return queued(SPEC, replace(book, why="because"), START).held

    assert held(replace(BOOK, holds=("paused",), want="pause")) == "paused: because"
    assert held(replace(BOOK, holds=("disk",))) == "disk: because"
    assert held(replace(BOOK, want="pause")) == "pause: because"
    assert held(BOOK) == ""


def test_a_run_that_is_not_waiting_is_measured_from_its_acceptance() -> None:
    book = replace(BOOK, phase=Trying(1, 1, at(50.0)))
    made = queued(SPEC, book, at(60.0))
    assert (made.waited_s, made.held) == (60.0, "")


def test_l25_a_run_whose_disk_lacks_room_waits_for_it() -> None:
    waiter = queued(SPEC, BOOK, START, short="1.0 MB are free at out")
    assert waiter.held == "disk: 1.0 MB are free at out"
