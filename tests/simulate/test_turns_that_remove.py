"""A real turn on a real disk that takes a run away: on a settled record only, and whatever fails is shown."""

import os
import shutil
from collections.abc import Sequence

import pytest

from outlast.cli import status
from outlast.decide.orders import order
from outlast.disk import clearing, files, requests
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import Done, Launch
from outlast.supervise.act import Hands
from outlast.supervise.intake import load_spec
from outlast.supervise.remove import Child, Removals, Start
from outlast.supervise.turn import Turns
from tests.simulate.test_order_of_a_turn import RUN, Scribe, term
from tests.simulate.test_order_of_a_turn import workspace as workspace


class AtWork:
    """A child that never ends."""

    def poll(self) -> int | None:
        return None


def never_ends(words: Sequence[str]) -> Child:
    return AtWork()


def cannot_start(words: Sequence[str]) -> Child:
    raise WorldError("cannot start it: Resource temporarily unavailable")


def removals(workspace: Workspace, start: Start = never_ends) -> Removals:
    return Removals(workspace, workspace.place("local"), start)


def ask(workspace: Workspace, verb: str) -> None:
    requests.post(workspace.place("local"), verb, RUN, [], "")


def stands(workspace: Workspace) -> bool:
    return os.path.exists(workspace.run(RUN).record)


def ended(workspace: Workspace) -> None:
    with term(workspace, Scribe(workspace)) as (turns, _, books):
        ask(workspace, "stop")
        turned(turns, 5)
        assert isinstance(books.runs[RUN].phase, Done)


def turned(turns: Turns, times: int = 3) -> None:
    for _ in range(times):
        turns.turn()


def asked(workspace: Workspace, verb: str) -> None:
    """In a term of its own, which the next one seals."""
    with term(workspace, Scribe(workspace)) as (turns, _, _books):
        ask(workspace, verb)
        turned(turns)
        assert stands(workspace)
        assert turns.wants_new_term()


def test_a_run_is_taken_away_only_once_the_record_that_says_so_is_sealed(workspace: Workspace) -> None:
    ended(workspace)
    asked(workspace, "rm")
    with term(workspace, Scribe(workspace), removals(workspace)) as (turns, _, books):
        turned(turns)
        assert not stands(workspace)
        assert RUN not in books.runs
        assert not turns.wants_new_term()


def test_a_newer_wish_that_is_not_sealed_yet_deletes_nothing(workspace: Workspace) -> None:
    """It was to be archived, which takes its time, and then to be deleted."""
    ended(workspace)
    asked(workspace, "archive")
    ring = removals(workspace)
    with term(workspace, Scribe(workspace), ring) as (turns, _, _books):
        turned(turns)
        assert not turns.wants_new_term()
        ask(workspace, "rm")
        turned(turns)
        assert stands(workspace)
        assert turns.wants_new_term()
    with term(workspace, Scribe(workspace), ring) as (turns, _, _books):
        turned(turns)
        assert not stands(workspace)


def test_while_a_run_is_being_packed_the_turns_go_on_and_nobody_leaves(workspace: Workspace) -> None:
    ended(workspace)
    asked(workspace, "archive")
    with term(workspace, Scribe(workspace), removals(workspace)) as (turns, _, books):
        turned(turns)
        assert not turns.idle()
        assert 0.0 < turns.turn() <= 1.0
        place = workspace.place("local")
        files.make_directory(workspace.archive)
        files.replace(workspace.pack(RUN), {"a": "pack"})
        request = books.runs[RUN].removing
        assert request is not None
        clearing.Cleared("another", packed={RUN: request[1]}).write(place)
        turned(turns)
        assert not stands(workspace)


def test_a_packing_goes_on_into_the_next_term(workspace: Workspace) -> None:
    ended(workspace)
    asked(workspace, "archive")
    started: list[Sequence[str]] = []

    def start(words: Sequence[str]) -> Child:
        started.append(words)
        return AtWork()

    ring = removals(workspace, start)
    for _ in range(3):
        with term(workspace, Scribe(workspace), ring) as (turns, _, _books):
            turned(turns)
    assert len(started) == 1


def test_what_cannot_be_removed_is_shown_by_status_and_with_the_run(workspace: Workspace) -> None:
    ended(workspace)
    asked(workspace, "archive")
    with term(workspace, Scribe(workspace), removals(workspace, cannot_start)) as (turns, _, _books):
        turned(turns, 2)
        turns.leave()
    why = f"archive {RUN}: cannot start it: Resource temporarily unavailable"
    found = status.summary(workspace)
    assert (found["holds"], found["health"]) == ([why], "held")
    assert why in found["why"]
    snapshot = files.read(workspace.run(RUN).snapshot) or {}
    assert (snapshot["phase"], snapshot["why"]) == ("ended", why)


def test_a_late_launch_makes_no_folder_of_a_removed_run_again(workspace: Workspace) -> None:
    """From a supervisor that does not know that it was superseded: it decided before the run went."""
    spec = load_spec(workspace, RUN)
    shutil.rmtree(workspace.run(RUN).path)
    backend = Scribe(workspace)
    hands = Hands(workspace, backend, 1, lambda spec, order, folder: order)
    with pytest.raises(WorldError, match="the run was removed"):
        hands.act(spec, Launch((order(spec, 1, 1, None),)))
    assert not os.path.exists(workspace.run(RUN).path)
    assert backend.launched == []


@pytest.mark.parametrize("verb", ["rm", "archive"])
def test_a_bug_in_one_removal_ends_no_turn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    ended(workspace)
    asked(workspace, verb)

    def mad(*words: str) -> None:
        raise ZeroDivisionError("beyond us")

    ring = removals(workspace)
    monkeypatch.setattr(files, "move_to_trash", mad)
    monkeypatch.setattr("outlast.supervise.remove._stands", mad)
    with term(workspace, Scribe(workspace), ring) as (turns, _, _books):
        turned(turns)
    assert "internal error" in ring.troubles()[RUN]
