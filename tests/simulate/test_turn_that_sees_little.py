"""A real turn on a real disk where something cannot be seen or done: what was asked is heard all the same, and one bad
run stops nobody."""

from pathlib import Path

import msgspec
import pytest

from outlast.disk import files, identity, requests
from outlast.disk.clock import moment
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import AttemptId, Done, Ending, Exited, Moment, Order, RunId, Spec
from outlast.facts.codec import from_record, to_record
from outlast.supervise import observe, turn
from outlast.supervise.books import Books
from outlast.supervise.turn import Turns
from tests.simulate.test_order_of_a_turn import HERE, RUN, Scribe, term
from tests.simulate.test_order_of_a_turn import workspace as workspace

TURNS_MAX = 20


def turned_until_ended(turns: Turns, books: Books, run: RunId = RUN) -> Done:
    for _ in range(TURNS_MAX):
        phase = books.runs[run].phase
        if isinstance(phase, Done):
            return phase
        turns.turn()
    raise AssertionError(f"not ended after {TURNS_MAX} turns: {books.runs[run]}")


def ended_attempt(workspace: Workspace) -> None:
    """Attempt 1 has begun and is over, with a failure."""
    folder = workspace.run(RUN).attempt(1)
    files.make_directory(folder.path)
    by = identity.identity()
    claim = {"schema": 1, "kind": "begun", "by": by, "where": to_record(HERE), "order": "order.1.json"}
    files.make_once(folder.claim, claim)
    over = Ending(exit=Exited(1), at=from_record(moment(), Moment))
    files.make_once(folder.exit, {"schema": 1, **to_record(over)})


def blind(*_: object) -> None:
    raise WorldError("cannot list /checkpoints: Stale file handle")


def test_a_stop_is_heard_and_done_though_the_checkpoints_cannot_be_listed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "newest_checkpoint", blind)
    with term(workspace, Scribe(workspace)) as (turns, _, books):
        turns.turn()
        ended_attempt(workspace)
        turns.turn()
        assert books.runs[RUN].endings == ()
        requests.post(workspace.place("local"), "stop", RUN, [], "enough")
        assert turned_until_ended(turns, books).outcome == "cancelled"
        assert books.runs[RUN].asked == 1


def test_a_request_is_answered_though_the_specification_cannot_be_read(workspace: Workspace) -> None:
    with term(workspace, Scribe(workspace)) as (turns, _, books):
        pass
    Path(workspace.run(RUN).record).write_text("{torn")
    with term(workspace, Scribe(workspace)) as (turns, _, books):
        requests.post(workspace.place("local"), "pause", RUN, [], "")
        turns.turn()
        assert (books.runs[RUN].asked, books.runs[RUN].want) == (1, "pause")


def test_a_down_that_was_meant_for_an_earlier_supervisor_does_not_hit_this_one(workspace: Workspace) -> None:
    place = workspace.place("local")
    requests.post(place, "down", None, [("leave_runs", "1")], "the one before us")
    with term(workspace, Scribe(workspace)) as (turns, _, books):
        turns.turn()
        assert turns.hear(turns._wake.take_signals()) is None
        assert books.asked == 1
        requests.post(place, "down", None, [("leave_runs", "1")], "us")
        turns.turn()
        assert turns.hear(turns._wake.take_signals()) == 0


def test_an_act_that_breaks_stops_no_other_run(workspace: Workspace) -> None:
    other = RunId("other-20260101-000000")
    run = workspace.run(other)
    files.make_directory(run.path)
    spec = from_record(files.read(workspace.run(RUN).record) or {}, Spec)
    files.make_once(run.record, {"schema": 1, **to_record(msgspec.structs.replace(spec, run=other))})

    class Broken(Scribe):
        def launch(self, orders: object) -> None:
            assert isinstance(orders, list)
            order: Order = orders[0]
            if order.attempt.run == other:
                raise KeyError("a bug of ours")
            super().launch(orders)

    backend = Broken(workspace)
    with term(workspace, backend) as (turns, _, _books):
        turns._slots = 2
        turns.turn()
        assert [attempt for attempt, _ in backend.launched] == [AttemptId(RUN, 1)]


def test_a_run_that_was_accepted_and_never_announced_is_found_while_the_term_lasts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = RunId("late-20260101-000000")
    with term(workspace, Scribe(workspace)) as (turns, _, books):
        turns.turn()
        spec = from_record(files.read(workspace.run(RUN).record) or {}, Spec)
        files.make_directory(workspace.run(late).path)
        files.make_once(
            workspace.run(late).record, {"schema": 1, **to_record(msgspec.structs.replace(spec, run=late))}
        )
        turns.turn()
        assert late not in books.runs
        monkeypatch.setattr(turn, "LOST_EVERY_S", -1.0)
        turns.turn()
        assert late in books.runs
