"""An ended run goes away whole: packed or deleted, at no moment neither there nor packed, and nobody waits for it.

The child is the real `work/clear`, told when to do its work, or one that dies or never ends.
"""

import logging
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from outlast.disk import clearing, files
from outlast.disk.layout import Workspace
from outlast.errors import TRY_AGAIN, WorldError
from outlast.facts import Removed, RunId
from outlast.supervise import remove
from outlast.supervise.remove import TRASH, Removals, Removing
from outlast.work.clear import clear
from tests.unit.disk.faults import Child, as_nobody, deaths, small_disk, system_calls
from tests.unit.supervise.conftest import NOW, RUN

FILES = {
    "run.json": "{}\n",
    "attempts/0001/output.log": "step 1\n" * 50,
    "checkpoints/step-1/model.pt": "weights",
}
TWIN = RunId("demo-20260102-030405-2")
CHANGES = ("link", "rename", "fsync", "unlink", "unlinkat", "rmdir", "mkdir", "write")
RM, ARCHIVE = ("rm", 7), ("archive", 8)


def fill(workspace: Workspace, run: RunId = RUN) -> Path:
    folder = Path(workspace.run(run).path)
    for name, body in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def packed(workspace: Workspace, run: RunId = RUN) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(workspace.pack(run)) as pack:
        for member in pack.getmembers():
            file = pack.extractfile(member)
            if file is not None:
                found[member.name.removeprefix(f"{run}/")] = file.read().decode()
    return found


def trash(workspace: Workspace) -> list[str]:
    try:
        return sorted(os.listdir(workspace.trash))
    except FileNotFoundError:
        return []


class Clerk:
    """Who starts children, and each of them. `told`: the runs that each was to pack."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.place = workspace, workspace.place("local")
        files.make_directory(self.place.path)
        self.told: list[list[str]] = []
        self.code: int | None = None
        self.refuses = False

    def __call__(self, words: Sequence[str]) -> "Clerk":
        if self.refuses:
            raise WorldError("cannot start a process: Resource temporarily unavailable")
        self.name, packs = words[0], [word.split("=") for word in words[1:]]
        self.packs = [(run, int(request)) for run, request in packs]
        self.told.append([run for run, _ in packs])
        self.code = None
        return self

    def poll(self) -> int | None:
        return self.code

    def does_it(self) -> None:
        clear(self.workspace, self.place, self.name, self.packs)
        self.code = 0

    def says(self, **what: object) -> None:
        clearing.Cleared(self.name, **what).write(self.place)  # type: ignore[arg-type]

    def dies(self) -> None:
        self.code = -9


@pytest.fixture
def clerk(workspace: Workspace) -> Clerk:
    return Clerk(workspace)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again in the next turn."""
    monkeypatch.setattr(remove, "AGAIN_FIRST_S", 0.0)


def removals(clerk: Clerk, *, leaves_trash: bool = False) -> Removals:
    return Removals(clerk.workspace, clerk.place, clerk, leaves_trash=leaves_trash)


def gone(removed: Sequence[Removed]) -> list[tuple[RunId | None, int, str]]:
    return [(each.run, each.request, each.how) for each in removed]


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


# --- what cannot be done ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [RM, ARCHIVE])
def test_a_run_that_cannot_be_taken_away_is_said_and_keeps_no_other(
    workspace: Workspace, clerk: Clerk, how: Removing
) -> None:
    """Its folder is a mount point: it can be packed, and cannot be renamed."""
    fill(workspace, TWIN)
    folder = Path(workspace.run(RUN).path)
    folder.mkdir()
    with small_disk(folder, "1m"):
        fill(workspace)
        ring = removals(clerk)
        due: dict[RunId, Removing] = {RUN: how, TWIN: ("rm", 9)}
        assert gone(ring.turn(due, NOW)) == [(TWIN, 9, "rm")]
        clerk.does_it()
        assert ring.turn({RUN: how}, NOW) == []
        assert content(folder) == FILES
        said = ring.troubles()[RUN]
    assert said.startswith(f"{how[0]} {RUN}: cannot move to the trash")
    assert "busy" in said


def test_what_cannot_be_packed_is_said_in_the_childs_words_and_keeps_no_other(
    workspace: Workspace, clerk: Clerk
) -> None:
    folder, _ = fill(workspace), fill(workspace, TWIN)
    ring = removals(clerk)
    due: dict[RunId, Removing] = {RUN: ARCHIVE, TWIN: ("archive", 9)}
    ring.turn(due, NOW)
    clear(workspace, clerk.place, clerk.name, [(TWIN, 9)])
    clerk.says(packed={TWIN: 9}, failed={RUN: "cannot pack it: Input/output error"})
    assert gone(ring.turn(due, NOW)) == [(TWIN, 9, "archive")]
    assert ring.troubles() == {RUN: f"archive {RUN}: cannot pack it: Input/output error"}
    assert content(folder) == FILES


def test_the_same_trouble_is_logged_once(
    workspace: Workspace, clerk: Clerk, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    fill(workspace)
    ring = removals(clerk)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            ring.turn({RUN: ARCHIVE}, NOW)
            clerk.says(failed={RUN: "cannot pack it: Input/output error"}, emptied=True)
            clerk.dies()
        assert [record.getMessage() for record in caplog.records] == [
            f"archive {RUN}: cannot pack it: Input/output error"
        ]


def test_what_failed_is_tried_ever_more_seldom_and_at_once_when_it_is_asked_for_anew(
    workspace: Workspace, clerk: Clerk
) -> None:
    fill(workspace)
    clerk.refuses = True
    ring = removals(clerk)
    ring.turn({RUN: ARCHIVE}, NOW)
    assert "Resource temporarily unavailable" in ring.troubles()[RUN]
    first = ring.wake_in_s()
    assert remove.AGAIN_FIRST_S / 2 < first <= remove.AGAIN_FIRST_S
    clerk.refuses = False
    ring.turn({RUN: ARCHIVE}, NOW)
    assert clerk.told == []
    ring.turn({RUN: ("archive", 9)}, NOW)
    assert (clerk.told, ring.troubles()) == ([[RUN]], {})


def test_waits_grow_and_have_an_end(workspace: Workspace, clerk: Clerk) -> None:
    ring = removals(clerk)
    waits = []
    for _ in range(40):
        ring._met(TRASH, 0, TRASH, "no")
        ring._trash_is_due = True
        waits.append(ring.wake_in_s())
    assert waits[0] < waits[1] < waits[2]
    assert remove.AGAIN_LONGEST_S / 2 < waits[-1] <= remove.AGAIN_LONGEST_S


def test_a_supervisor_stays_for_a_few_tries_and_leaves_the_rest_to_the_next_one(
    workspace: Workspace, clerk: Clerk, at_once: None
) -> None:
    fill(workspace)
    clerk.refuses = True
    ring = removals(clerk)
    assert ring.is_busy({RUN})
    for _ in range(remove.STAY_TRIES):
        assert ring.is_busy({RUN})
        ring.turn({RUN: ARCHIVE}, NOW)
    assert not ring.is_busy({RUN})
    clerk.refuses = False
    successor = removals(clerk)
    successor.turn({RUN: ARCHIVE}, NOW)
    assert successor.is_busy({RUN})
    assert clerk.told == [[RUN]]


def test_what_cannot_be_deleted_is_said_and_keeps_no_supervisor(workspace: Workspace, clerk: Clerk) -> None:
    fill(workspace)
    ring = removals(clerk)
    ring.turn({RUN: RM}, NOW)
    (name,) = trash(workspace)
    clerk.says(left={name: "cannot delete model.pt: Operation not permitted"}, emptied=True)
    clerk.code = 0
    ring.turn({}, NOW)
    assert ring.troubles() == {TRASH: f"{TRASH}: cannot delete model.pt: Operation not permitted"}
    assert not ring.is_busy(())
    assert 0.0 < ring.wake_in_s() < float("inf")


@pytest.mark.parametrize("how", [RM, ARCHIVE])
def test_a_run_that_cannot_be_seen_is_not_said_to_be_removed(common_ground: Path, how: Removing) -> None:
    workspace = Workspace(str(common_ground))
    fill(workspace)
    Path(workspace.hidden).chmod(0o777)
    clerk = Clerk(workspace)
    Path(workspace.runs).chmod(0)

    def turned() -> tuple[int, dict[str, str]]:
        ring = removals(clerk)
        return len(ring.turn({RUN: how}, NOW)), ring.troubles()

    count, troubles = as_nobody(turned)
    Path(workspace.runs).chmod(0o700)
    assert count == 0
    assert "Permission denied" in troubles[RUN]
    assert content(Path(workspace.run(RUN).path)) == FILES
