"""Where an attempt resumes: the newest checkpoint there is, and never silently from scratch once there was one."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints import guard, owner
from outlast.checkpoints.catalog import FORMATS
from outlast.checkpoints.formats.folder import FolderFormat
from outlast.cli import words
from outlast.decide.lock import CHANGED
from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import (
    AttemptId,
    Candidate,
    Moment,
    Order,
    Resume,
    RunId,
    Spec,
    Torn,
    Unsure,
    Verdict,
    Whole,
)
from outlast.facts.codec import to_record
from outlast.seams import CheckpointFormat
from outlast.work.locked import PUT_OFF, UNREAD
from outlast.work.ready import NOT_RESUMED, ready

RUN = "r-20260101-000000"


def answer(
    tmp_path: Path,
    n: int = 1,
    *,
    had: bool = False,
    format_: str = "auto",
    formats: Sequence[CheckpointFormat] = FORMATS,
) -> dict[str, Any]:
    order = Order(
        attempt=AttemptId(RunId(RUN), n),
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
    run = RunFolder(str(tmp_path / "runs" / order.attempt.run))
    path = Path(run.attempt(n).order(1))
    files.make_directory(str(path.parent))
    files.replace(run.record, {"schema": 1, **to_record(spec(run.id, order.resume))})
    files.replace(str(path), {"schema": 1, **to_record(order)})
    return ready(formats, path)


def spec(run: str, resume: Resume | None) -> Spec:
    return Spec(
        run=RunId(run), place="local", backend="local", argv=("true",), cwd="/", made=Moment("b", 0.0, 0.0),
        origin="test", key=run, resume=resume,
    )  # fmt: skip


def save(tmp_path: Path, name: str) -> None:
    (tmp_path / "saved" / name).mkdir(parents=True)
    (tmp_path / "saved" / name / "notes").write_text("full")


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


class Counting(FolderFormat):
    """Torn where `torn` says so; it remembers at which it was asked to look."""

    def __init__(self, torn: Sequence[int] = (), ill: Sequence[int] = ()) -> None:
        self.torn, self.ill = torn, ill
        self.looked: list[int | None] = []

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        self.looked.append(candidate.step)
        if candidate.step in self.torn:
            return Torn(("cut off",))
        return Whole(level, finite=candidate.step not in self.ill)


def test_only_as_many_are_read_as_it_takes(tmp_path: Path) -> None:
    for step in range(1, 9):
        save(tmp_path, f"step-{step}")
    format_ = Counting(torn=(8,), ill=(7,))
    chosen = answer(tmp_path, formats=(format_,))
    assert (chosen["step"], format_.looked) == (6, [8, 7, 6])
    assert "5 older ones were not looked at" in chosen["reasons"]


def test_what_is_newer_and_torn_or_not_finite_is_moved_out_of_the_way_and_nothing_else(
    tmp_path: Path,
) -> None:
    for step in (5, 6, 7, 8):
        save(tmp_path, f"step-{step}")
    chosen = answer(tmp_path, formats=(Counting(torn=(8, 5), ill=(7,)),))
    root = tmp_path / "saved"
    assert sorted(os.listdir(root)) == [".outlast", "step-5", "step-6"]
    for name in ("step-8", "step-7"):
        assert f"{root}/{name}: moved to {root}/.outlast/quarantine/{name}" in chosen["reasons"]
    assert answer(tmp_path, formats=(Counting(),))["step"] == 6, "what lies there is no candidate any more"


def test_weights_that_are_not_finite_stay_where_no_older_ones_are_any_better(tmp_path: Path) -> None:
    """Some model may hold a NaN that nobody uses, from its first checkpoint on: a person accepts it."""
    for step in (7, 8):
        save(tmp_path, f"step-{step}")
    refused = answer(tmp_path, formats=(Counting(ill=(7, 8)),))
    assert refused["refuse"].startswith("no_valid_checkpoint")
    assert sorted(os.listdir(tmp_path / "saved")) == ["step-7", "step-8"]
    guard.accept(tmp_path / "saved" / "step-8")
    assert answer(tmp_path, formats=(Counting(ill=(7, 8)),))["step"] == 8


def test_what_a_person_accepted_or_brought_back_is_resumed_from_and_stays(tmp_path: Path) -> None:
    for step in (6, 8):
        save(tmp_path, f"step-{step}")
    root = tmp_path / "saved"
    assert answer(tmp_path, formats=(Counting(torn=(8,)),))["step"] == 6
    guard.restore(root, "step-8")
    chosen = answer(tmp_path, formats=(Counting(torn=(8,)),))
    assert chosen["step"] == 8
    assert "accepted by a person" in chosen["reasons"][0]


def test_no_more_time_is_taken_than_the_runner_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0

    class Slow(Counting):
        def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
            nonlocal now_s
            now_s += within_s
            self.looked.append(candidate.step)
            return Unsure(("it could not be read",))

    monkeypatch.setattr("outlast.work.ready.time.monotonic", lambda: now_s)
    for step in range(100):
        save(tmp_path, f"step-{step}")
    format_ = Slow()
    assert answer(tmp_path, formats=(format_,))["refuse"].startswith("no_valid_checkpoint")
    assert now_s < 110.0
    assert 1 < len(format_.looked) < 9


def test_where_none_is_whole_nothing_is_moved(tmp_path: Path) -> None:
    save(tmp_path, "step-8")
    assert answer(tmp_path, formats=(Counting(torn=(8,)),))["refuse"].startswith("no_valid_checkpoint")
    assert os.listdir(tmp_path / "saved") == ["step-8"]


def test_one_that_somebody_still_writes_stays_and_that_is_said(tmp_path: Path) -> None:
    for step in (7, 8):
        save(tmp_path, f"step-{step}")
    with (tmp_path / "saved" / "step-8" / "model.pt").open("wb"):
        chosen = answer(tmp_path, formats=(Counting(torn=(8,)),))
    assert chosen["step"] == 7
    assert any(f"process {os.getpid()} has it open for writing" in reason for reason in chosen["reasons"])
    assert (tmp_path / "saved" / "step-8").exists()


def test_a_file_without_a_step_in_its_name_that_is_cut_off_is_no_reason_to_begin_anew(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "ckpt.pt").write_bytes(b"PK\3\4 cut off")
    assert answer(tmp_path, formats=FORMATS)["refuse"].startswith("no_valid_checkpoint")


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


def test_screens_know_the_warnings_by_the_same_words() -> None:
    assert words.NOT_RESUMED == NOT_RESUMED
    assert words.CHANGED == (CHANGED, UNREAD, PUT_OFF)


def test_r9_what_a_person_accepted_for_one_run_opens_the_folder_for_no_other(tmp_path: Path) -> None:
    save(tmp_path, "step-9")
    guard.accept(tmp_path / "saved" / "step-9")
    other = RunFolder(str(tmp_path / "other"))
    owner.take(tmp_path / "saved", other)
    refuse = answer(tmp_path)["refuse"]
    assert "made by run other" in refuse
    assert "checkpoint accept" not in refuse


def test_a_run_that_cannot_be_seen_may_be_at_work(tmp_path: Path) -> None:
    other = RunFolder(str(tmp_path / "other"))
    assert not owner.Owner("other", other.path).is_at_work, "its folder is not there"
    os.makedirs(other.path)
    Path(other.snapshot).write_text("{")
    assert owner.Owner("other", other.path).is_at_work
    files.replace(other.snapshot, {"phase": "ended"})
    assert not owner.Owner("other", other.path).is_at_work
