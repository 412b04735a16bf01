"""A removal that cannot be done is said, is tried again, and keeps nobody: no other removal, and no supervisor."""

import logging
from pathlib import Path

import pytest

from outlast.disk.layout import Workspace
from outlast.facts import RunId
from outlast.supervise import remove
from outlast.supervise.remove import TRASH, Removing
from outlast.work.clear import clear
from tests.unit.disk.faults import as_nobody, small_disk
from tests.unit.supervise.clerk import (
    ARCHIVE,
    FILES,
    RM,
    TWIN,
    Clerk,
    content,
    fill,
    gone,
    removals,
    trash,
)
from tests.unit.supervise.clerk import at_once as at_once
from tests.unit.supervise.clerk import clerk as clerk
from tests.unit.supervise.conftest import NOW, RUN


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
