"""`outlast checkpoint pin|unpin|gc`: what stays, what goes, and what refuses."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from outlast.checkpoints import guard, owner, pins
from outlast.disk import files
from outlast.errors import NOT_FOUND, OK, REFUSED, TRY_AGAIN, USAGE
from tests.unit.cli.conftest import Desk
from tests.unit.work.test_settle import safetensors

RUN = "big-20260101-000000"
OLD_S = 1_000_000_000.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Of nobody's run, and old."""
    made = tmp_path / "out"
    for step in (9, 10, 20, 100):
        save(made, step)
    return made


def save(root: Path, step: int) -> Path:
    made = root / f"step-{step}"
    made.mkdir(parents=True)
    np.savez(made / "w.npz", weight=np.full(9, step, np.float32))
    (made / "model.safetensors").write_bytes(safetensors(float(step)))
    for path in (made / "w.npz", made / "model.safetensors", made):
        os.utime(path, (OLD_S, OLD_S))
    return made


def names(root: Path) -> list[str]:
    return sorted(each.name for each in root.glob("step-*"))


def test_gc_keeps_the_last_by_number_and_says_what_went(desk: Desk, root: Path) -> None:
    code, out, err = desk.run("checkpoint", "gc", str(root), "--keep", "2")
    assert code == OK
    assert names(root) == ["step-100", "step-20"]
    assert "step-9 " in out
    assert "2 of 4 went" in err


def test_a_dry_run_says_the_same_and_removes_nothing(desk: Desk, root: Path) -> None:
    rows = desk.json("checkpoint", "gc", str(root), "--keep", "2", "--dry-run")
    assert [(row["step"], row["keep"], row["removed"]) for row in rows] == [
        (100, True, False),
        (20, True, False),
        (10, False, False),
        (9, False, False),
    ]
    assert len(names(root)) == 4


def test_one_that_is_torn_does_not_count_and_is_not_removed(desk: Desk, root: Path) -> None:
    os.truncate(root / "step-100" / "w.npz", 50)
    os.utime(root / "step-100" / "w.npz", (OLD_S, OLD_S))
    desk.run("checkpoint", "gc", str(root), "--keep", "1")
    assert names(root) == ["step-100", "step-20"]


def test_without_a_rule_nothing_goes(desk: Desk, root: Path) -> None:
    code, _, err = desk.run("checkpoint", "gc", str(root))
    assert (code, "--keep N" in err) == (USAGE, True)
    assert len(names(root)) == 4


def test_the_rules_of_the_configuration_hold_where_none_is_given(desk: Desk, root: Path) -> None:
    Path(desk.workspace.config).write_text("retention: {keep_every: 10, keep_verified: 1}\n")
    assert desk.run("checkpoint", "gc", str(root))[0] == OK
    assert names(root) == ["step-10", "step-100", "step-20"]


def test_a_folder_in_which_somebody_just_wrote_is_refused(desk: Desk, root: Path) -> None:
    os.utime(root / "step-9" / "w.npz")
    code, _, err = desk.run("checkpoint", "gc", str(root), "--keep", "1")
    assert (code, "something was written there" in err) == (REFUSED, True)
    assert len(names(root)) == 4


def test_a_folder_in_which_somebody_has_a_file_open_is_refused(desk: Desk, root: Path) -> None:
    with (root / "step-9" / "w.npz").open("rb"):
        code, _, err = desk.run("checkpoint", "gc", str(root), "--keep", "1")
    assert (code, "has a file open there" in err) == (REFUSED, True)


def test_two_at_once_do_not_meet(desk: Desk, root: Path) -> None:
    (root / guard.OWN).mkdir()
    lock = files.open_lock(str(root / guard.OWN / "lock"))
    try:
        assert files.try_lock(lock)
        assert desk.run("checkpoint", "gc", str(root), "--keep", "1")[0] == TRY_AGAIN
    finally:
        os.close(lock)
    assert len(names(root)) == 4


def test_a_single_checkpoint_is_no_folder_of_them(desk: Desk, root: Path) -> None:
    desk.run("checkpoint", "pin", str(root / "step-9"))
    code, _, err = desk.run("checkpoint", "gc", str(root / "step-9"), "--keep", "1")
    assert (code, "name the folder" in err) == (USAGE, True)


def test_what_is_pinned_stays_until_it_is_unpinned(desk: Desk, root: Path) -> None:
    assert desk.run("checkpoint", "pin", str(root / "step-9"))[0] == OK
    assert desk.json("checkpoint", "ls", str(root / "step-9"))[0]["pinned"] != ""
    desk.run("checkpoint", "gc", str(root), "--keep", "1")
    assert names(root) == ["step-100", "step-9"]
    assert desk.run("checkpoint", "unpin", str(root / "step-100"))[0] == NOT_FOUND
    shutil.rmtree(root / "step-9")
    assert [pin.manifest.step for pin in pins.held(root)] == [9]
    assert desk.run("checkpoint", "unpin", str(root / "step-9"))[0] == OK, "by the name that it had"
    assert pins.held(root) == []


def test_what_is_torn_is_not_pinned_and_of_a_folder_the_newest_that_is_good(desk: Desk, root: Path) -> None:
    os.truncate(root / "step-100" / "w.npz", 50)
    code, _, err = desk.run("checkpoint", "pin", str(root))
    assert (code, "not pinned" in err, "pinned step 20" in err) == (OK, True, True)
    assert desk.run("checkpoint", "pin", str(root / "step-100"))[0] == NOT_FOUND


def test_a_run_s_own_rules_hold_for_its_checkpoints(desk: Desk, root: Path) -> None:
    desk.add(RUN, phase="running", outcome=None)
    rules = {"type": "Retention", "last": 1, "least": 1}
    resume = {"type": "Resume", "root": str(root), "format": "auto"}
    record = {"schema": 1, "run": RUN, "place": "local", "resume": resume, "retention": rules}
    desk.write(desk.workspace.run(RUN).record, record)
    owner.take(root, desk.workspace.run(RUN))
    os.utime(root / "step-9" / "w.npz")
    assert desk.run("checkpoint", "gc", "big")[0] == OK, "its run is known: nobody is asked to wait"
    assert names(root) == ["step-100"]
    lines = (root / guard.OWN / "removed.jsonl").read_text().splitlines()
    assert {json.loads(line)["run"] for line in lines} == {RUN}


def test_the_folder_of_a_run_that_is_over_is_anybody_s(desk: Desk, root: Path) -> None:
    desk.add(RUN)
    owner.take(root, desk.workspace.run(RUN))
    os.utime(root / "step-9" / "w.npz")
    code, _, err = desk.run("checkpoint", "gc", str(root), "--keep", "1")
    assert (code, "something was written there" in err) == (REFUSED, True)


def test_a_checkpoint_that_cannot_be_looked_at_stays(desk: Desk, root: Path) -> None:
    (root / "step-9" / "loop").symlink_to("loop")
    os.utime(root / "step-9", (OLD_S, OLD_S))
    assert desk.run("checkpoint", "gc", str(root), "--keep", "1")[0] in (OK, REFUSED)
    assert "step-100" in names(root)


def test_keep_belongs_to_gc(desk: Desk, root: Path) -> None:
    assert desk.run("checkpoint", "ls", str(root), "--keep", "1")[0] == USAGE
