"""Where an attempt resumes: the newest checkpoint there is, and never silently from scratch once there was one."""

from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints.formats.folder import FolderFormat
from outlast.cli import words
from outlast.disk import files
from outlast.errors import WorldError
from outlast.facts import AttemptId, Order, Resume, RunId
from outlast.facts.codec import to_record
from outlast.work.ready import NOT_RESUMED, ready

FORMATS = (FolderFormat(),)


def answer(tmp_path: Path, n: int = 1, *, had: bool = False, format_: str = "auto") -> dict[str, Any]:
    order = Order(
        attempt=AttemptId(RunId("r-20260101-000000"), n),
        term=1,
        argv=("true",),
        cwd="/",
        env=(),
        resume=Resume(root=str(tmp_path / "saved"), format=format_),
        target_step=None,
        stall_limits_s=(),
        stop_grace_s=1.0,
        log_bytes_max=1 << 20,
        had_checkpoint=had,
    )
    path = tmp_path / "order.1.json"
    files.replace(str(path), {"schema": 1, **to_record(order)})
    return ready(FORMATS, path)


def save(tmp_path: Path, name: str) -> None:
    (tmp_path / "saved" / name / "full").mkdir(parents=True)


def test_the_newest_step_is_chosen_by_number(tmp_path: Path) -> None:
    save(tmp_path, "step-9")
    save(tmp_path, "step-10")
    chosen = answer(tmp_path)
    assert (chosen["step"], chosen["refuse"]) == (10, None)
    assert chosen["checkpoint"].endswith("step-10")


def test_a_second_attempt_of_a_run_that_never_saved_begins_at_step_0(tmp_path: Path) -> None:
    chosen = answer(tmp_path, 2)
    assert (chosen["checkpoint"], chosen["refuse"]) == (None, None)


def test_a_run_whose_checkpoints_are_gone_is_refused(tmp_path: Path) -> None:
    assert answer(tmp_path, 2, had=True)["refuse"].startswith("no_valid_checkpoint")


def test_candidates_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    (tmp_path / "saved" / "step-5").mkdir(parents=True)
    assert answer(tmp_path)["refuse"].startswith("no_valid_checkpoint")


def test_a_format_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="no format named tarball"):
        answer(tmp_path, format_="tarball")


def test_what_lies_there_and_tells_no_step_is_named_before_the_steps_are_lost(tmp_path: Path) -> None:
    for name in ("epoch-1.pt", "epoch-2.pt", "epoch-3.pt", "last.ckpt", ".hidden"):
        (tmp_path / "saved").mkdir(exist_ok=True)
        (tmp_path / "saved" / name).write_bytes(b"x")
    chosen = answer(tmp_path, 2)
    assert (chosen["checkpoint"], chosen["refuse"]) == (None, None)
    assert chosen["reasons"][-1].startswith("not resumed: ")
    assert chosen["reasons"][-1].endswith(": epoch-1.pt, epoch-2.pt, epoch-3.pt, ...")
    save(tmp_path, "step-5")
    assert not any(reason.startswith("not resumed: ") for reason in answer(tmp_path)["reasons"])


def test_an_empty_folder_is_nothing_to_warn_of(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    assert not any(reason.startswith("not resumed: ") for reason in answer(tmp_path)["reasons"])


def test_screens_know_the_warning_by_the_same_words() -> None:
    assert words.NOT_RESUMED == NOT_RESUMED
