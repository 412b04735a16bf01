"""What is taken in: requests in number order, each taken or declined and none lost; runs that wait to be accepted."""

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outlast.disk import files, requests
from outlast.disk.layout import Place, Workspace
from outlast.errors import Damaged, WorldError
from outlast.facts import Accepted, RunId
from outlast.supervise import intake
from tests.unit.disk.faults import as_nobody
from tests.unit.supervise.conftest import NOW, RUN, accept, spec

GARBAGE = {
    "no JSON": b"stop it\n",
    "no request": b'{"verb":"stop"}',
    "wrong type": b'{"id":"x","verb":["stop"],"run":null,"args":[],"why":"","by":"","at":{}}',
    "text that no journal can hold": b'{"id":"x","verb":"stop","run":null,"args":[],"why":"\\ud800","by":"",'
    b'"at":{"boot":"b","mono_s":1,"wall_s":1}}',
    "too large": b" " * 65_537,
    "nested": b"[" * 60_000,
}


@pytest.fixture
def place(workspace: Workspace) -> Place:
    return workspace.place("local")


def post(place: Place, verb: str = "stop", run: str | None = RUN) -> int:
    return requests.post(place, verb, run, [("now", "1")], "enough")


# --- requests --------------------------------------------------------------------------------------------------------


def test_requests_are_taken_in_the_order_of_their_numbers(place: Place) -> None:
    for verb in ("accept", "stop", "retry"):
        post(place, verb)
    taken = intake.new_requests(place, 0, NOW)
    assert [(each.number, each.verb) for each in taken.taken] == [(1, "accept"), (2, "stop"), (3, "retry")]
    assert (taken.declined, taken.highest) == ((), 3)
    assert taken.taken[1].args == (("now", "1"),)


def test_what_was_taken_before_is_not_taken_again(place: Place) -> None:
    for _ in range(3):
        post(place)
    assert [each.number for each in intake.new_requests(place, 2, NOW).taken] == [3]
    again = intake.new_requests(place, 3, NOW)
    assert (again.taken, again.declined, again.highest) == ((), (), 3)


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_declined_with_a_reason_and_holds_up_nobody(place: Place, kind: str) -> None:
    post(place)
    Path(place.request(2)).write_bytes(GARBAGE[kind])
    post(place)
    taken = intake.new_requests(place, 0, NOW)
    assert [each.number for each in taken.taken] == [1, 3]
    (declined,) = taken.declined
    assert (declined.request, declined.run, declined.at) == (2, None, NOW)
    assert declined.why
    assert taken.highest == 3


def test_a_request_has_the_number_of_its_file_whatever_it_says(place: Place) -> None:
    post(place)
    record = files.read(place.request(1)) or {}
    files.replace(place.request(2), {**record, "number": 77})
    assert [each.number for each in intake.new_requests(place, 0, NOW).taken] == [1, 2]


def test_of_too_many_at_once_the_first_are_taken_now_and_the_others_next(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "REQUESTS_PER_TURN", 2)
    for _ in range(5):
        post(place)
    after, turns = 0, []
    while (taken := intake.new_requests(place, after, NOW)).taken:
        turns.append([each.number for each in taken.taken])
        after = taken.highest
    assert turns == [[1, 2], [3, 4], [5]]


def test_a_request_that_cannot_be_seen_now_is_neither_declined_nor_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        post(place)
    read = os.open

    def fail(path: str, *more: Any) -> int:
        if path == place.request(2):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path, *more)

    with monkeypatch.context() as disk:
        disk.setattr(os, "open", fail)
        with pytest.raises(WorldError, match="Input/output error"):
            intake.new_requests(place, 0, NOW)
    assert len(intake.new_requests(place, 0, NOW).taken) == 3


def test_the_later_of_two_seen_first_does_not_push_the_earlier_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        post(place)
    listings = [["00000002.json"], ["00000001.json", "00000002.json"]]
    with monkeypatch.context() as race:
        race.setattr(os, "listdir", lambda folder: listings.pop(0))
        taken = intake.new_requests(place, 0, NOW)
    assert [each.number for each in taken.taken] == [1, 2]


# --- runs ------------------------------------------------------------------------------------------------------------


def test_runs_of_this_place_that_nobody_accepted_are_found(workspace: Workspace, place: Place) -> None:
    for run, where in (
        ("b-20260102-030405", "local"),
        ("a-20260102-030405", "local"),
        ("c-20260102-030405", "other"),
    ):
        accept(workspace, spec(run, where))
    accept(workspace, spec(RUN))
    files.make_directory(workspace.run(RunId("half-20260102-030405")).path)
    (Path(workspace.runs) / ".junk").touch()
    found = intake.unaccepted(workspace, place, {RUN})
    assert found == ["a-20260102-030405", "b-20260102-030405"]


def test_a_workspace_without_runs_has_none_to_accept(workspace: Workspace, place: Place) -> None:
    assert intake.unaccepted(workspace, place, set()) == []


def test_one_damaged_record_is_named_and_keeps_no_other_run_from_its_acceptance(
    workspace: Workspace, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    accept(workspace, spec(RUN))
    accept(workspace, spec("torn-20260102-030405"))
    Path(workspace.run(RunId("torn-20260102-030405")).record).write_text('{"half')
    assert intake.unaccepted(workspace, place, set()) == [RUN]
    assert "torn-20260102-030405/run.json" in caplog.text


def test_a_run_that_may_not_be_seen_stops_no_other_and_runs_that_may_not_are_not_taken_for_none(
    common_ground: Path,
) -> None:
    workspace = Workspace(str(common_ground))
    accept(workspace, spec())
    Path(workspace.hidden).chmod(0o755)
    for path, mode in ((Path(workspace.runs), 0o755), (Path(workspace.run(RUN).path), 0)):
        path.chmod(mode)
    as_nobody(
        lambda: intake.unaccepted(workspace, workspace.place("local"), set())
    )  # the next term looks again
    Path(workspace.runs).chmod(0)
    with pytest.raises(WorldError, match="cannot list"):
        as_nobody(lambda: intake.unaccepted(workspace, workspace.place("local"), set()))
    Path(workspace.runs).chmod(0o700)
    Path(workspace.run(RUN).path).chmod(0o700)


def test_a_specification_comes_back_as_it_was_accepted(workspace: Workspace) -> None:
    accept(workspace, spec())
    assert intake.load_spec(workspace, RUN) == spec()


def test_a_run_that_is_not_there_cannot_be_loaded(workspace: Workspace) -> None:
    with pytest.raises(WorldError, match="no such run"):
        intake.load_spec(workspace, RUN)


def test_a_copied_folder_is_not_a_run_of_its_own(workspace: Workspace) -> None:
    accept(workspace, spec())
    Path(workspace.run(RUN).path).rename(Path(workspace.runs) / "copy-20260102-030405")
    with pytest.raises(Damaged, match=f"record of run {RUN}"):
        intake.load_spec(workspace, RunId("copy-20260102-030405"))


def test_no_name_of_a_run_leads_out_of_its_folder(workspace: Workspace) -> None:
    accept(workspace, spec())
    with pytest.raises(Damaged, match=f"record of run {RUN}"):
        intake.load_spec(workspace, RunId(f"{RUN}/../{RUN}"))


def test_a_specification_with_a_wrong_value_is_damaged_and_names_it(workspace: Workspace) -> None:
    accept(workspace, spec())
    record = files.read(workspace.run(RUN).record) or {}
    files.replace(workspace.run(RUN).record, {**record, "attempts_max": "three"})
    with pytest.raises(Damaged, match=r"run\.json: .*attempts_max"):
        intake.load_spec(workspace, RUN)


def test_what_was_accepted_is_known_by_its_hash(workspace: Workspace) -> None:
    accept(workspace, spec())
    once, again = (intake.accepted(intake.load_spec(workspace, RUN), NOW, "asked for") for _ in range(2))
    other = intake.accepted(msgspec.structs.replace(spec(), attempts_max=4), NOW, "asked for")
    assert isinstance(once, Accepted)
    assert isinstance(other, Accepted)
    assert once == again
    assert once.spec_sha256 != other.spec_sha256
    assert (once.run, once.why) == (RUN, "asked for")
