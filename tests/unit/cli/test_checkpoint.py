"""`outlast checkpoint`: on any path, without a workspace; what it says, what scripts get, how it exits."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from outlast.checkpoints import guard
from outlast.errors import FAILED, NOT_FOUND, OK, REFUSED, UNKNOWN, USAGE
from tests.unit.cli.conftest import Desk

RUN = "big-20260101-000000"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "out"
    found.mkdir()
    for step in (9, 100, 10):
        np.savez(found / f"step-{step}.npz", weight=np.arange(1000.0) + step)
    return found


def tear(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def test_ls_shows_each_with_its_verdict_newest_step_first(desk: Desk, root: Path) -> None:
    tear(root / "step-10.npz")
    code, out, _ = desk.run("checkpoint", "ls", str(root))
    lines = [line.split()[:2] for line in out.splitlines()[1:4]]
    assert (code, lines) == (OK, [["100", "whole"], ["10", "torn"], ["9", "whole"]])
    assert "step-10.npz: it is no whole zip" in out


def test_scripts_get_one_record_for_each(desk: Desk, root: Path) -> None:
    rows = desk.json("checkpoint", "verify", str(root))
    assert [(row["step"], row["verdict"], row["level"], row["format"]) for row in rows] == [
        (step, "whole", 1, "folder") for step in (100, 10, 9)
    ]
    assert rows[0]["path"] == str(root / "step-100.npz")
    assert rows[0]["bytes"] == (root / "step-100.npz").stat().st_size


def test_a_quick_look_sees_the_structure_and_verify_reads_all_of_it(desk: Desk, root: Path) -> None:
    flip(root / "step-100.npz")
    assert desk.run("checkpoint", "ls", str(root))[1].split()[10] == "whole"
    code, out, _ = desk.run("checkpoint", "verify", str(root / "step-100.npz"))
    assert (code, "member weight.npy: its CRC-32 does not match" in out) == (FAILED, True)
    assert desk.run("checkpoint", "verify", str(root / "step-10.npz"))[0] == OK


def test_next_says_what_a_start_would_take_and_why(desk: Desk, root: Path) -> None:
    flip(root / "step-100.npz")
    code, out, err = desk.run("checkpoint", "next", str(root))
    assert (code, out) == (OK, f"{root}/step-10.npz\n")
    assert "step-100.npz: torn" in err
    assert "1 older ones were not looked at" in err
    assert sorted(os.listdir(root)) == ["step-10.npz", "step-100.npz", "step-9.npz"], "it only looks"
    for name in os.listdir(root):
        tear(root / name)
    code, out, err = desk.run("checkpoint", "next", str(root))
    assert (code, out) == (REFUSED, "nothing\n")


def test_a_run_stands_for_its_checkpoints(desk: Desk, root: Path) -> None:
    desk.add(RUN)
    record = {"schema": 1, "run": RUN, "place": "local", "resume": {"root": str(root), "format": "auto"}}
    desk.write(desk.workspace.run(RUN).record, record)
    assert len(desk.json("checkpoint", "ls", "big")) == 3
    desk.write(desk.workspace.run(RUN).record, {**record, "resume": None})
    code, _, err = desk.run("checkpoint", "ls", "big")
    assert (code, "has no --checkpoints" in err) == (NOT_FOUND, True)


def test_what_was_quarantined_is_shown_and_comes_back(desk: Desk, root: Path) -> None:
    guard.quarantine(root / "step-100.npz")
    assert "step-100.npz" in desk.run("checkpoint", "ls", str(root))[1].splitlines()[-1]
    assert desk.run("checkpoint", "restore", str(root), "step-100.npz")[0] == OK
    assert (root / "step-100.npz").exists()
    assert desk.run("checkpoint", "restore", str(root), "step-100.npz")[0] == NOT_FOUND


def test_one_that_a_person_accepts_is_what_next_names(desk: Desk, root: Path) -> None:
    tear(root / "step-100.npz")
    assert desk.run("checkpoint", "next", str(root))[1] == f"{root}/step-10.npz\n"
    assert desk.run("checkpoint", "accept", str(root / "step-100.npz"))[0] == OK
    assert desk.run("checkpoint", "next", str(root))[1] == f"{root}/step-100.npz\n"
    assert desk.run("checkpoint", "accept", str(root / "step-9000.npz"))[0] == NOT_FOUND


def test_a_link_to_nothing_is_unsure_and_no_bug(desk: Desk, root: Path) -> None:
    (root / "notes.pt").symlink_to("nothing")
    assert desk.run("checkpoint", "verify", str(root / "notes.pt"))[0] in (FAILED, UNKNOWN)


def test_a_wrong_word_is_one_clear_line(desk: Desk, root: Path) -> None:
    assert desk.run("checkpoint", "restore", str(root))[0] == USAGE
    assert desk.run("checkpoint", "ls", str(root), "step-9.npz")[0] == USAGE
    assert desk.run("checkpoint", "ls", str(root / "nothing"))[0] == NOT_FOUND
    assert desk.run("checkpoint", "ls", str(root), "--level", "7")[0] == USAGE


def test_a_folder_that_holds_none_says_so(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = desk.run("checkpoint", "ls", str(tmp_path / "empty"))
    assert (code, "holds nothing that is known for a checkpoint" in err) == (OK, True)
    assert json.loads(desk.run("checkpoint", "ls", str(tmp_path / "empty"), "--json")[1]) == []


def test_what_cannot_be_judged_is_neither_good_nor_bad(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "step-3.pt"
    path.symlink_to("step-3.pt")
    (tmp_path / "step-4").mkdir()
    (tmp_path / "step-4" / "loop").symlink_to("loop")
    code, out, _ = desk.run("checkpoint", "verify", str(tmp_path / "step-4"))
    assert (code, out.split()[10]) == (UNKNOWN, "unsure")
