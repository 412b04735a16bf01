"""After a save has settled: what was whole is remembered and pinned, and nothing is moved away."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outlast.checkpoints import guard, owner, pins, users
from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.catalog import FORMATS
from outlast.disk import files
from outlast.disk.layout import RunFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import AttemptId, Manifest, Moment, Order, Pins, Resume, Retention, RunId, Spec
from outlast.facts.codec import to_record
from outlast.work import quiet
from outlast.work.settle import main, settle

RUN = "r-20260101-000000"


class Training:
    """A run that saves into `out`."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "out"
        self.folder: RunFolder = Workspace(str(tmp_path)).run(RUN)
        spec = Spec(
            run=RunId(RUN), place="local", backend="local", argv=("true",), cwd="/", made=Moment("b", 0.0, 0.0),
            origin="test", key="k", resume=Resume(str(self.root)),
        )  # fmt: skip
        files.make_directory(self.folder.path)
        files.replace(self.folder.record, {"schema": 1, **to_record(spec)})

    def save(self, step: int, value: float = 1.0) -> Path:
        made = self.root / f"step-{step}"
        made.mkdir(parents=True)
        np.savez(made / "weights.npz", w=np.full(100, value, np.float32))
        (made / "model.safetensors").write_bytes(safetensors(value))
        return made

    def settle(self, n: int = 1, **order: Any) -> dict[str, Any]:
        given = Order(
            attempt=AttemptId(RunId(RUN), n),
            term=1,
            argv=("true",),
            cwd="/",
            env=(),
            resume=Resume(str(self.root)),
            target_step=None,
            stall_limits_s=(),
            stop_grace_s=1.0,
            log_bytes_max=1 << 20,
            **order,
        )
        attempt = Path(self.folder.attempt(n).path)
        attempt.mkdir(parents=True, exist_ok=True)
        files.replace(str(attempt / "order.1.json"), {"schema": 1, **to_record(given)})
        return settle(FORMATS, attempt, "order.1.json")

    def manifest(self, step: int) -> Manifest | None:
        return manifests.of(self.folder, step, str(self.root / f"step-{step}"))

    def shown(self) -> list[dict[str, Any]]:
        record = files.read(self.folder.verified)
        assert record is not None
        rows: list[dict[str, Any]] = record["checkpoints"]
        return rows


def safetensors(value: float) -> bytes:
    head = json.dumps({"w": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}).encode()
    return len(head).to_bytes(8, "little") + head + np.full(100, value, "<f4").tobytes()


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


def test_what_is_whole_gets_a_manifest_and_the_newest_of_them_a_second_copy(training: Training) -> None:
    training.save(9)
    training.save(10)
    assert training.settle()["verified"] == [10, 9]
    found = training.manifest(10)
    assert found is not None
    assert (found.run, found.attempt, found.step, found.level, found.finite) == (RUN, 1, 10, 1, True)
    assert sorted(each.name for each in found.files) == ["model.safetensors", "weights.npz"]
    assert [pin.manifest.step for pin in pins.held(training.root)] == [10]


def test_a_newer_one_takes_the_place_of_the_last_pin_once_it_has_its_own(training: Training) -> None:
    training.save(10)
    training.settle()
    training.save(20)
    training.settle()
    assert [pin.manifest.step for pin in pins.held(training.root)] == [20]


def test_one_that_a_person_pinned_stays_pinned(training: Training) -> None:
    training.save(10)
    training.settle()
    found = training.manifest(10)
    assert found is not None
    pins.pin(training.root, found, 1 << 20, by="kim")
    training.save(20)
    training.settle()
    assert [pin.manifest.step for pin in pins.held(training.root)] == [20, 10]


def test_what_is_torn_gets_no_manifest_and_stays_where_it_is(training: Training) -> None:
    torn = training.save(10) / "model.safetensors"
    torn.write_bytes(torn.read_bytes()[:-7])
    assert training.settle()["verified"] == []
    assert training.manifest(10) is None
    assert torn.exists()
    (row,) = training.shown()
    assert (row["verdict"], row["pinned"]) == ("torn", "")


def test_weights_that_are_not_finite_are_remembered_and_never_pinned(training: Training) -> None:
    training.save(10)
    training.settle()
    training.save(20, float("nan"))
    assert training.settle()["verified"] == [10]
    found = training.manifest(20)
    assert found is not None
    assert found.finite is False
    assert [pin.manifest.step for pin in pins.held(training.root)] == [10]


def test_one_that_somebody_still_writes_is_left_for_later(training: Training) -> None:
    with (training.save(10) / "weights.npz").open("ab"):
        assert training.settle()["verified"] == []
    assert training.settle()["verified"] == [10]


def test_what_has_not_changed_is_not_read_again(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    training.save(10)
    training.settle()

    def refuse(*_: object) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(manifests, "hashed", refuse)
    assert training.settle()["verified"] == [10]


def test_one_that_was_saved_anew_gets_a_new_manifest(training: Training) -> None:
    made = training.save(10)
    training.settle()
    before = training.manifest(10)
    shutil.rmtree(made)
    training.save(10, 2.0)
    training.settle(2)
    after = training.manifest(10)
    assert before is not None
    assert after is not None
    assert after.attempt == 2
    assert after.files != before.files


def test_what_lay_there_before_is_not_read_beside_the_training_but_for_the_newest(training: Training) -> None:
    for step in (10, 20):
        os.utime(training.save(step), (1, 1))
    attempt = Path(training.folder.attempt(1).path)
    attempt.mkdir(parents=True)
    files.replace(str(attempt / "started.json"), {"at": {"boot": "b", "mono_s": 0.0, "wall_s": 1000.0}})
    assert training.settle()["verified"] == [20]
    assert training.manifest(10) is None


def test_the_manifest_of_a_checkpoint_that_is_no_more_goes_but_not_while_we_have_a_copy(
    training: Training,
) -> None:
    for step in (10, 20):
        training.save(step)
    training.settle()
    for step in (10, 20):
        shutil.rmtree(training.root / f"step-{step}")
    (training.root / "step-1").mkdir()  # there is something to look at, and nothing good
    training.settle()
    assert not os.path.exists(training.folder.manifest(10))
    assert training.manifest(20) is not None


def test_the_folder_belongs_to_the_run_from_the_first_verified_checkpoint_on(training: Training) -> None:
    training.root.mkdir()
    training.settle()
    assert not (training.root / guard.OWN).exists(), "a framework may refuse a folder that is not empty"
    training.save(10)
    training.settle()
    whose = owner.of(training.root)
    assert whose is not None
    assert whose.run == RUN


def test_without_pins_there_is_no_second_copy(training: Training) -> None:
    training.save(10)
    training.settle(pins=Pins(wanted=False))
    assert pins.held(training.root) == []


def test_a_copy_that_cannot_be_had_is_said(training: Training) -> None:
    training.root.mkdir()
    (training.root / "step-10.safetensors").write_bytes(safetensors(1.0))
    notes = training.settle(pins=Pins(copy_max=10))["notes"]
    assert "unprotected: step 10 has no second copy" in notes[0]


def test_two_at_once_do_not_meet(training: Training) -> None:
    training.save(10)
    training.settle()
    lock = files.open_lock(str(training.root / guard.OWN / "lock"))
    try:
        assert files.try_lock(lock)
        assert "another" in training.settle()["notes"][0]
    finally:
        os.close(lock)


def test_retention_removes_what_no_rule_keeps_and_leaves_a_record(training: Training) -> None:
    for step in (10, 20, 30, 40):
        training.save(step)
    answer = training.settle(retention=Retention(last=1))
    assert [os.path.basename(path) for path in answer["removed"]] == ["step-20", "step-10"]
    assert sorted(os.listdir(training.root)) == [guard.OWN, "step-30", "step-40"]
    lines = (training.root / guard.OWN / "removed.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [20, 10]
    assert [row["step"] for row in training.shown()] == [40, 30]


def test_without_retention_nothing_is_ever_removed(training: Training) -> None:
    for step in range(1, 9):
        training.save(step)
    assert training.settle()["removed"] == []
    assert len(list(training.root.glob("step-*"))) == 8


def test_the_best_by_a_metric_of_the_run_is_kept(training: Training) -> None:
    for step in (10, 20, 30, 40, 50):
        training.save(step)
    attempt = Path(training.folder.attempt(1).path)
    attempt.mkdir(parents=True)
    rows = [
        {"schema": 1, "every": 1},
        *({"step": s, "eval_loss": v} for s, v in ((9, 0.9), (18, 0.1), (40, 0.5))),
    ]
    (attempt / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    training.settle(retention=Retention(last=1, best="eval_loss", least=1))
    assert sorted(each.name for each in training.root.glob("step-*")) == ["step-20", "step-50"]


def test_the_one_that_a_living_attempt_resumed_from_is_not_removed(training: Training) -> None:
    for step in (10, 20, 30, 40):
        training.save(step)
    attempt = training.folder.attempt(1)
    os.makedirs(attempt.path)
    users.note(training.root, attempt, str(training.root / "step-10"))
    training.settle(retention=Retention(last=1, least=1))
    assert sorted(each.name for each in training.root.glob("step-*")) == ["step-10", "step-40"]


def test_r8_the_copy_of_a_newer_one_that_is_gone_is_the_last_good_one_and_stays(training: Training) -> None:
    for step in (10, 30):
        training.save(step)
    training.settle()
    shutil.rmtree(training.root / "step-30")
    (training.save(40) / "model.safetensors").write_bytes(b"half")
    training.settle()
    assert [pin.manifest.step for pin in pins.held(training.root)] == [30]


def test_what_proves_damage_is_not_forgotten_by_an_attempt_that_does_not_look(training: Training) -> None:
    for step in (10, 20):
        os.utime(training.save(step), (1, 1))
    training.settle()
    before = training.manifest(10)
    body = bytearray((training.root / "step-10" / "model.safetensors").read_bytes())
    body[-3] ^= 1
    (training.root / "step-10" / "model.safetensors").write_bytes(body)
    os.utime(training.root / "step-10", (1, 1))
    attempt = Path(training.folder.attempt(2).path)
    attempt.mkdir(parents=True)
    files.replace(str(attempt / "started.json"), {"at": {"boot": "b", "mono_s": 0.0, "wall_s": 1000.0}})
    training.settle(2)
    assert training.manifest(10) == before


def test_what_somebody_writes_beside_the_weights_makes_it_nobody_s_new_save(training: Training) -> None:
    made = training.save(10)
    training.settle()
    (made / "eval_results.json").write_text("{}")
    assert training.settle(2)["made"] == []
    found = training.manifest(10)
    assert found is not None
    assert found.attempt == 1


def test_a_folder_of_another_run_that_is_at_work_is_not_touched(training: Training, tmp_path: Path) -> None:
    other = RunFolder(str(tmp_path / "other"))
    os.makedirs(other.path)
    training.save(10)
    owner.take(training.root, other)
    answer = training.settle(retention=Retention(last=1, least=1))
    assert "belongs to run other" in answer["notes"][0]
    assert training.manifest(10) is None
    whose = owner.of(training.root)
    assert whose is not None
    assert whose.run == "other"


def test_files_of_one_step_are_pinned_together(training: Training) -> None:
    training.root.mkdir()
    for name in ("model-step-5.safetensors", "optim-step-5.safetensors"):
        (training.root / name).write_bytes(safetensors(1.0))
    training.settle()
    assert [os.path.basename(pin.manifest.path) for pin in pins.held(training.root)] == [
        "optim-step-5.safetensors",
        "model-step-5.safetensors",
    ]


def test_who_is_told_to_come_again_says_so(training: Training) -> None:
    with (training.save(10) / "weights.npz").open("ab"):
        assert training.settle()["again"] is True
    assert training.settle()["again"] is False


def test_a_manifest_that_cannot_be_read_now_is_kept_for_later(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.save(10)
    training.settle()
    before = Path(training.folder.manifest(10)).read_bytes()
    monkeypatch.setattr(manifests, "at", lambda folder, step: [])
    (training.root / "step-10").rename(training.root / "elsewhere")
    (training.root / "step-1").mkdir()
    training.settle()
    assert Path(training.folder.manifest(10)).read_bytes() == before


def test_whoever_could_not_do_it_comes_again(
    training: Training, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quiet, "be_last", lambda: None)  # this process is the tests'
    training.save(10)
    monkeypatch.setattr(manifests, "write", full)
    attempt = training.folder.attempt(1)
    with pytest.raises(WorldError):
        training.settle()
    main(FORMATS, attempt.path, "order.1.json")
    said = json.loads(capsys.readouterr().out)
    assert (said["again"], said["notes"]) == (True, ["cannot write: No space left on device"])


def full(*_: object) -> None:
    raise WorldError("cannot write: No space left on device")
