"""An ended run goes away whole: packed or deleted, at no moment neither there nor packed, and nobody waits for it."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from outlast.disk import clearing, files
from outlast.disk.layout import Workspace
from outlast.errors import TRY_AGAIN
from outlast.facts import Removed, RunId
from outlast.supervise import remove
from outlast.supervise.remove import TRASH, Removing
from outlast.work.clear import clear
from tests.unit.disk.faults import Child, deaths, system_calls
from tests.unit.supervise.clerk import (
    ARCHIVE,
    FILES,
    RM,
    TWIN,
    Clerk,
    content,
    fill,
    gone,
    packed,
    removals,
    trash,
)
from tests.unit.supervise.clerk import at_once as at_once
from tests.unit.supervise.clerk import clerk as clerk
from tests.unit.supervise.conftest import NOW, RUN

CHANGES = ("link", "rename", "fsync", "unlink", "unlinkat", "rmdir", "mkdir", "write")


# --- in the turn, and beside it --------------------------------------------------------------------------------------


def test_a_run_that_is_deleted_is_gone_at_once_and_its_neighbour_is_not(
    workspace: Workspace, clerk: Clerk
) -> None:
    folder, neighbour = fill(workspace), fill(workspace, TWIN)
    ring = removals(clerk)
    assert gone(ring.turn({RUN: RM}, NOW)) == [(RUN, 7, "rm")]
    assert not folder.exists()
    assert content(neighbour) == FILES
    assert clerk.told == [[]]


def test_its_bytes_are_deleted_by_the_child(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: RM}, NOW)
    (in_the_trash,) = trash(workspace)
    assert content(Path(workspace.trash, in_the_trash)) == FILES
    assert ring.is_busy(())
    clerk.does_it()
    ring.turn({}, NOW)
    assert trash(workspace) == []
    assert not ring.is_busy(())
    assert (ring.troubles(), clerk.told) == ({}, [[]])
    assert ring.wake_in_s() == float("inf")


def test_a_run_that_is_archived_stays_until_the_child_has_packed_it_whole(
    workspace: Workspace, clerk: Clerk
) -> None:
    folder = fill(workspace)
    ring = removals(clerk)
    for _ in range(3):
        assert ring.turn({RUN: ARCHIVE}, NOW) == []
    assert content(folder) == FILES
    assert clerk.told == [[RUN]]
    clerk.does_it()
    (told,) = ring.turn({RUN: ARCHIVE}, NOW)
    assert gone([told]) == [(RUN, 8, "archive")]
    assert workspace.pack(RUN) in told.why
    assert not folder.exists()
    assert packed(workspace) == FILES


def test_a_child_that_never_ends_keeps_no_other_removal(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    fill(workspace, TWIN)
    assert gone(ring.turn({RUN: ARCHIVE, TWIN: RM}, NOW)) == [(TWIN, 7, "rm")]
    assert ring.turn({RUN: ARCHIVE}, NOW) == []
    assert clerk.told == [[RUN]]
    assert ring.is_busy({RUN})


def test_what_is_packed_goes_while_the_child_packs_the_next(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace), fill(workspace, TWIN)
    ring = removals(clerk)
    due = {RUN: ARCHIVE, TWIN: ("archive", 9)}
    ring.turn(due, NOW)
    assert clerk.told == [[RUN, TWIN]]
    clear(workspace, clerk.place, clerk.name, [(RUN, 8)])
    assert gone(ring.turn(due, NOW)) == [(RUN, 8, "archive")]
    assert ring.troubles() == {}


def test_one_child_at_a_time(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace), fill(workspace, TWIN)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    due: Mapping[RunId, Removing] = {RUN: ARCHIVE, TWIN: ("archive", 9)}
    ring.turn(due, NOW)
    clerk.does_it()
    assert gone(ring.turn(due, NOW)) == [(RUN, 8, "archive")]
    assert clerk.told == [[RUN], [TWIN]]


def test_a_turn_takes_a_few_at_a_time_and_the_next_comes_at_once(
    workspace: Workspace, clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remove, "PER_TURN", 1)
    fill(workspace), fill(workspace, TWIN)
    ring = removals(clerk)
    due: dict[RunId, Removing] = {TWIN: ("rm", 9), RUN: RM}
    assert gone(ring.turn(due, NOW)) == [(RUN, 7, "rm")]  # in the order of their requests
    assert ring.wake_in_s() == 0.0
    del due[RUN]
    assert gone(ring.turn(due, NOW)) == [(TWIN, 9, "rm")]
    assert ring.wake_in_s() > 0.0


def test_a_removal_that_follows_itself_changes_nothing(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    clerk.does_it()
    first = ring.turn({RUN: ARCHIVE}, NOW)
    assert ring.turn({RUN: ARCHIVE}, NOW) == first
    assert packed(workspace) == FILES
    assert gone(removals(clerk).turn({RUN: RM}, NOW)) == [(RUN, 7, "rm")]
    assert packed(workspace) == FILES


def test_a_folder_that_a_person_took_away_was_not_packed(workspace: Workspace, clerk: Clerk) -> None:
    shutil.rmtree(fill(workspace))
    (told,) = removals(clerk).turn({RUN: ARCHIVE}, NOW)
    assert told.why == "its folder was gone"


def test_the_pack_of_an_earlier_life_says_nothing_about_this_one(workspace: Workspace, clerk: Clerk) -> None:
    """A person unpacked it, and it was tried once more."""
    folder = fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    clerk.does_it()
    ring.turn({RUN: ARCHIVE}, NOW)
    fill(workspace)
    (folder / "attempts/0001/output.log").write_text("step 2\n")
    again: dict[RunId, Removing] = {RUN: ("archive", 11)}
    ring = removals(clerk)
    assert ring.turn(again, NOW) == []
    assert folder.exists()
    clerk.does_it()
    assert gone(ring.turn(again, NOW)) == [(RUN, 11, "archive")]
    assert packed(workspace)["attempts/0001/output.log"] == "step 2\n"


def test_what_was_packed_and_is_gone_from_the_archive_is_packed_again(
    workspace: Workspace, clerk: Clerk
) -> None:
    folder = fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    clerk.does_it()
    os.unlink(workspace.pack(RUN))
    assert removals(clerk).turn({RUN: ARCHIVE}, NOW) == []
    assert content(folder) == FILES
    assert clerk.told == [[RUN], [RUN]]


# --- deaths ----------------------------------------------------------------------------------------------------------


def life(workspace: Workspace, clerk: Clerk) -> list[Removed]:
    """A whole archive, by a supervisor and its child."""
    ring = removals(clerk)
    removed = ring.turn({RUN: ARCHIVE}, NOW)
    if not removed:
        clerk.does_it()
        removed = ring.turn({RUN: ARCHIVE}, NOW)
    clerk.does_it()
    ring.turn({}, NOW)
    return removed


def test_killed_before_any_change_a_run_is_whole_in_its_place_or_in_the_archive(
    workspace: Workspace, clerk: Clerk
) -> None:
    seen = set()

    def afresh() -> None:
        shutil.rmtree(workspace.hidden, ignore_errors=True)
        files.make_directory(clerk.place.path)
        fill(workspace)

    for death in deaths(lambda: len(life(workspace, clerk)), afresh, CHANGES):
        folder = Path(workspace.run(RUN).path)
        in_place = folder.exists() and content(folder) == FILES
        in_archive = Path(workspace.pack(RUN)).exists() and packed(workspace) == FILES
        assert in_place or in_archive, death
        seen.add((in_place, in_archive))
        assert gone(life(workspace, clerk)) == [(RUN, 8, "archive")], death
        assert packed(workspace) == FILES, death
        assert trash(workspace) == [], death
        assert os.listdir(workspace.archive) == [os.path.basename(workspace.pack(RUN))], death
    assert {(True, False), (True, True), (False, True)} <= seen


def test_the_pack_and_its_name_are_on_disk_before_the_run_is_touched(
    workspace: Workspace, clerk: Clerk
) -> None:
    fill(workspace)
    for folder in (workspace.archive, workspace.trash):
        files.make_directory(folder)
    calls = system_calls(lambda: len(life(workspace, clerk)))
    changes = [call for call in calls if call in ("rename", "fsync", "unlinkat", "rmdir")]
    pack, said, emptied, trashed = [n for n, change in enumerate(changes) if change == "rename"][:4]
    assert changes[pack - 1] == "fsync"  # its content
    assert "fsync" in changes[pack + 1 : said - 1]  # its name, before its word about it
    assert changes[trashed + 1 : trashed + 3] == ["fsync", "fsync"]
    assert not {"unlinkat", "rmdir"} & set(changes[:trashed])
    assert said < emptied < trashed


def test_a_child_that_was_killed_is_started_again(workspace: Workspace, clerk: Clerk, at_once: None) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    clerk.dies()
    assert ring.turn({RUN: ARCHIVE}, NOW) == []
    assert "ended without a word" in ring.troubles()[RUN]
    assert clerk.told == [[RUN], [RUN]]
    clerk.does_it()
    assert gone(ring.turn({RUN: ARCHIVE}, NOW)) == [(RUN, 8, "archive")]
    clerk.does_it()
    ring.turn({}, NOW)
    assert (ring.troubles(), trash(workspace)) == ({}, [])


def test_a_child_that_was_killed_over_the_trash_is_started_again(
    workspace: Workspace, clerk: Clerk, at_once: None
) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: RM}, NOW)
    clerk.dies()
    ring.turn({}, NOW)
    assert TRASH in ring.troubles()
    clerk.does_it()
    ring.turn({}, NOW)
    assert (ring.troubles(), trash(workspace)) == ({}, [])


def test_what_a_supervisor_left_in_the_trash_its_successor_has_emptied(
    workspace: Workspace, clerk: Clerk
) -> None:
    for name in (f"{RUN}.0a1b2c3d", f"{TWIN}.0a1b2c3d"):
        (Path(workspace.trash) / name / "attempts").mkdir(parents=True)
    ring = removals(clerk)
    ring.turn({}, NOW)
    clerk.does_it()
    assert trash(workspace) == []


def test_the_supervisor_of_one_run_leaves_the_trash_of_others_alone(
    workspace: Workspace, clerk: Clerk
) -> None:
    (Path(workspace.trash) / f"{TWIN}.0a1b2c3d").mkdir(parents=True)
    ring = removals(clerk, leaves_trash=True)
    ring.turn({}, NOW)
    assert clerk.told == []
    assert not ring.is_busy(())


@pytest.fixture
def another_clears(clerk: Clerk) -> Iterator[None]:
    """The child of a supervisor before us."""

    wait, end = os.pipe()

    def hold_until_told() -> None:
        os.close(end)
        files.try_lock(files.open_lock(clerk.place.clearing))
        Path(clerk.place.path, "holds").touch()
        os.read(wait, 1)

    child = Child(hold_until_told)
    os.close(wait)
    child.go()
    while not Path(clerk.place.path, "holds").exists():
        pass
    yield
    os.close(end)
    child.ended_by()


def test_the_child_of_a_supervisor_before_us_is_waited_for_and_its_word_counts(
    workspace: Workspace, clerk: Clerk, another_clears: None
) -> None:
    fill(workspace)
    ring = removals(clerk)
    assert ring.turn({RUN: ARCHIVE}, NOW) == []
    assert clerk.told == []
    assert ring.is_busy({RUN})
    assert 0.0 < ring.wake_in_s() <= remove.LOOK_S
    clear(workspace, clerk.place, "the one before", [(RUN, 8)])
    assert gone(ring.turn({RUN: ARCHIVE}, NOW)) == [(RUN, 8, "archive")]


def test_a_child_that_found_another_at_work_is_no_trouble(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    clerk.code = TRY_AGAIN
    ring.turn({RUN: ARCHIVE}, NOW)
    assert ring.troubles() == {}
    assert clerk.told == [[RUN], [RUN]]


def test_the_word_of_an_earlier_child_is_not_taken_for_this_ones(
    workspace: Workspace, clerk: Clerk, at_once: None
) -> None:
    fill(workspace)
    clearing.Cleared("an earlier one", failed={RUN: "cannot pack it"}, emptied=True).write(clerk.place)
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    ring.turn({RUN: ARCHIVE}, NOW)
    assert ring.troubles() == {}
    clerk.dies()
    ring.turn({RUN: ARCHIVE}, NOW)
    assert "without a word" in ring.troubles()[RUN]


@pytest.mark.parametrize("body", [b"[]\n", b"{", b'{"packed": [1], "failed": 7, "left": {"a": 1}}\n'])
def test_a_word_that_cannot_be_understood_says_nothing(
    workspace: Workspace, clerk: Clerk, body: bytes
) -> None:
    folder = fill(workspace)
    Path(clerk.place.cleared).write_bytes(body)
    ring = removals(clerk)
    assert ring.turn({RUN: ARCHIVE}, NOW) == []
    assert content(folder) == FILES
    clerk.does_it()
    assert gone(ring.turn({RUN: ARCHIVE}, NOW)) == [(RUN, 8, "archive")]
