"""A run's lock: when it is made, from whose identity, and which starts it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.catalog import FORMATS
from outlast.decide.lock import known
from outlast.disk import files
from outlast.disk.clock import moment
from outlast.disk.layout import RunFolder
from outlast.errors import Damaged
from outlast.facts import AttemptId, Lock, Locking, Moment, Order, Resume, RunId, Spec
from outlast.facts.codec import to_record
from outlast.work import locked
from outlast.work.settle import settle
from tests.contract import models

RUN = RunId("r-20260101-000000")


class Bench:
    """A run's folder and the files around it, as a runner leaves them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = RunFolder(str(root / "runs" / RUN))
        self.spec = Spec(
            run=RUN, place="local", backend="local", argv=("python", "train.py"), cwd=str(root),
            made=Moment("b", 0.0, 0.0), origin="test", key="k", resume=Resume(root=str(root / "out")),
        )  # fmt: skip
        (root / "train.py").write_text("train()\n")

    def accept(self, *words: str, **more: Any) -> None:
        self.spec = replace(self.spec, argv=(*self.spec.argv, *words), **more)
        files.make_directory(self.run.path)
        files.replace(self.run.record, {"schema": 1, **to_record(self.spec)})
        files.replace(self.run.env, {"schema": 1, "env": {"PATH": "/nowhere", "HOME": str(self.root)}})

    def start(
        self, n: int, *, checkpoint: Path | None = None, begins: bool = True, by_itself: bool = True
    ) -> locked.Looked:
        """Look as `work/ready` does; `begins`: the training then ran."""
        folder = self.run.attempt(n)
        files.make_directory(folder.path)
        found = locked.look(
            folder, self.order(n, by_itself=by_itself and n > 1), str(checkpoint) if checkpoint else None
        )
        if begins and found.refuse is None:
            at = (
                moment()
            )  # files are dated by a coarser clock: what is saved at once may look older than its start
            files.make_once(folder.started, {"schema": 1, "at": {**at, "wall_s": at["wall_s"] - 1}})
        return found

    def order(self, n: int, *, by_itself: bool = False) -> Order:
        return Order(
            attempt=AttemptId(RUN, n), term=1, argv=self.spec.argv, cwd=self.spec.cwd, env=(), resume=self.spec.resume,
            target_step=None, stall_limits_s=(), stop_grace_s=1.0, log_bytes_max=1, by_itself=by_itself,
        )  # fmt: skip

    def tell(self, n: int, **values: object) -> None:
        record = {"schema": 1, "cwd": str(self.root), "told": values}
        files.replace(self.run.attempt(n).locked, record)

    def saved(self, step: int) -> Path:
        path = self.root / "out" / f"step-{step}"
        path.mkdir(parents=True)
        (path / "weights").write_text("1")
        return path

    def locked(self, key: str) -> str:
        lock = locked.newest(self.run)
        assert lock is not None
        found = known(lock.identity, key)
        return found[0].value if found else ""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_lock_is_what_the_attempt_was_that_made_the_first_checkpoint(bench: Bench) -> None:
    bench.accept("--max_length", "2048", "--seed", "3")
    assert bench.start(1) == locked.Looked()
    assert locked.newest(bench.run) is None, "nothing was saved yet"
    assert bench.start(2, checkpoint=bench.saved(10)).refuse is None
    lock = locked.newest(bench.run)
    assert lock is not None
    assert (lock.version, lock.attempt) == (1, 1)
    assert (bench.locked("max_length"), bench.locked("seed")) == ("2048", "3")


def test_the_first_save_locks_the_run_while_it_trains_on_and_says_under_which_lock_it_was_made(
    bench: Bench,
) -> None:
    models.base(bench.root / "base")
    bench.accept("--model_name_or_path", "base")
    bench.start(1)
    bench.saved(10)
    order = bench.order(1)
    files.replace(bench.run.attempt(1).order(1), {"schema": 1, **to_record(order)})
    answer = settle(FORMATS, Path(bench.run.attempt(1).path), "order.1.json")
    assert (answer["verified"], answer["notes"]) == ([10], [])
    lock = locked.newest(bench.run)
    assert lock is not None
    (made,) = manifests.at(bench.run, 10)
    assert (made.lock, made.base) == (locked.digest(lock), bench.locked("base_model"))
    models.change_one_weight(bench.root / "base")
    bench.saved(20)
    settle(FORMATS, Path(bench.run.attempt(1).path), "order.1.json")
    assert locked.newest(bench.run) == lock, "made once"


def test_r16_a_base_model_with_one_changed_weight_is_refused_and_shown_by_both_fingerprints(
    bench: Bench,
) -> None:
    base = models.base(bench.root / "base")
    bench.accept("--model_name_or_path", "base")
    bench.start(1)
    models.change_one_weight(base)
    refuse = str(bench.start(2, checkpoint=bench.saved(10)).refuse)
    assert refuse.startswith("lock_changed: not what this run was locked to: base_model: ")
    assert f"base_model: {bench.locked('base_model')} -> " in refuse
    assert "(values: " in refuse
    assert "header" not in refuse
    assert "lock accept" in refuse
    assert str(bench.start(3, checkpoint=bench.root / "out/step-10").refuse) == refuse, (
        "a refused start teaches nothing"
    )


def test_r16_an_adapter_names_its_base_model_and_a_changed_one_is_caught_though_the_name_is_the_same(
    bench: Bench,
) -> None:
    base = models.base(bench.root / "base")
    bench.accept()  # nothing in the command tells of a base model
    bench.start(1)
    checkpoint = models.adapter(bench.root / "out" / "checkpoint-10", base)
    made = locked.made(
        bench.run, bench.spec, str(checkpoint), 2
    )  # by whoever hashes the save, while it trains on
    assert made is not None
    assert bench.locked("base_model")
    assert bench.locked("lora").startswith("r 4, alpha 8")
    assert bench.start(2, checkpoint=checkpoint).refuse is None
    models.change_one_weight(base)
    assert str(bench.start(3, checkpoint=checkpoint).refuse).startswith("lock_changed")
    adapter = models.adapter(bench.root / "out" / "checkpoint-20", base, rank=8)
    assert "r: 4 -> 8" in str(bench.start(4, checkpoint=adapter).refuse)


def test_a_base_model_that_was_moved_and_is_named_anew_is_the_same(bench: Bench) -> None:
    models.base(bench.root / "base")
    bench.accept(locking=Locking(given=(("base_model", "link"),)))
    (bench.root / "link").symlink_to(bench.root / "base")
    bench.start(1)
    shutil.move(bench.root / "base", bench.root / "elsewhere")
    (bench.root / "link").unlink()
    (bench.root / "link").symlink_to(bench.root / "elsewhere")
    assert bench.start(2, checkpoint=bench.saved(10)) == locked.Looked()


def test_r17_l49_a_configuration_that_was_edited_is_refused_or_listed_by_its_class(bench: Bench) -> None:
    config = bench.root / "config.yaml"
    config.write_text("max_length: 2048\nlr: 0.1\n")
    bench.accept("--config", "config.yaml")
    bench.start(1)
    config.write_text("max_length: 2048\nlr: 0.2\n")
    listed = bench.start(2, checkpoint=bench.saved(10))
    assert listed.refuse is None
    assert len(listed.reasons) == 1
    assert listed.reasons[0].startswith("changed since the lock: arguments: ")
    assert "config.yaml: " in listed.reasons[0]
    config.write_text("max_length: 4096\nlr: 0.1\n")
    assert "max_length: 2048 -> 4096" in str(bench.start(3, checkpoint=bench.root / "out/step-10").refuse)


def test_r17_changed_data_is_listed(bench: Bench) -> None:
    data = bench.root / "data"
    data.mkdir()
    (data / "a.jsonl").write_text("{}\n")
    bench.accept("--data", "data")
    bench.start(1)
    (data / "a.jsonl").write_text("[]\n")
    reasons = bench.start(2, checkpoint=bench.saved(10)).reasons
    assert [reason.split(":")[1] for reason in reasons] == [" data"]


def test_p9_a_restart_by_itself_with_changed_code_is_held_and_a_retry_takes_it_over(bench: Bench) -> None:
    bench.accept()
    bench.start(1)
    (bench.root / "train.py").write_text("train(faster=True)\n")
    checkpoint = bench.saved(10)
    held = bench.start(2, checkpoint=checkpoint)
    assert str(held.refuse).startswith("code-changed: code: ")
    assert "train.py" in str(held.refuse)
    retried = bench.start(3, checkpoint=checkpoint, by_itself=False)
    assert retried.refuse is None
    assert retried.reasons[0].endswith("accepted by a person's word")
    lock = locked.newest(bench.run)
    assert lock is not None
    assert (lock.version, lock.why) == (2, "attempt 3 began with it at a person's word: code")
    assert bench.start(4, checkpoint=checkpoint) == locked.Looked(), "and no later one waits for it again"


def test_code_that_changes_before_the_first_checkpoint_holds_nobody(bench: Bench) -> None:
    bench.accept()
    bench.start(1)
    (bench.root / "train.py").write_text("mended()\n")
    assert bench.start(2).refuse is None


def test_what_the_training_itself_tells_is_locked_and_its_path_is_read_anew(bench: Bench) -> None:
    base = models.base(bench.root / "base")
    bench.accept()
    bench.start(1)
    bench.tell(1, base_model="base", max_length=2048, lora={"r": 8, "targets": ["v", "q"]}, dialect="nord")
    checkpoint = bench.saved(10)
    locked.made(bench.run, bench.spec, str(checkpoint), 2)
    assert (bench.locked("max_length"), bench.locked("dialect")) == ("2048", "nord")
    assert bench.start(2, checkpoint=checkpoint).refuse is None
    bench.tell(2, base_model="base", max_length=4096)
    assert "max_length: 2048 -> 4096" in str(bench.start(3, checkpoint=checkpoint).refuse)
    bench.tell(2, base_model="base", max_length=2048)
    models.change_one_weight(base)
    assert "base_model: " in str(bench.start(4, checkpoint=checkpoint).refuse)


def test_a_person_who_put_a_told_value_back_is_not_refused_for_what_the_script_said_last(
    bench: Bench,
) -> None:
    base = models.base(bench.root / "base")
    bench.accept("--max_length", "4096")  # of its evaluation
    bench.start(1)
    bench.tell(1, base_model="base", max_length=2048)
    checkpoint = bench.saved(10)
    assert bench.start(2, checkpoint=checkpoint).refuse is None
    bench.tell(2, base_model="base", max_length=1024)
    assert "max_length: 2048 -> 1024" in str(bench.start(3, checkpoint=checkpoint).refuse)
    retried = bench.start(4, checkpoint=checkpoint, by_itself=False)
    assert retried.refuse is None
    assert retried.reasons == (f"{locked.PUT_OFF}max_length: 2048 -> 1024",)
    assert bench.start(5, checkpoint=checkpoint).refuse is None, "it died before it spoke"
    bench.tell(5, base_model="base", max_length=512)
    assert "max_length: 2048 -> 512" in str(bench.start(6, checkpoint=checkpoint).refuse), "it has spoken"
    bench.tell(5, base_model="base", max_length=2048)
    assert bench.start(7, checkpoint=checkpoint) == locked.Looked()
    models.change_one_weight(base)
    by_a_person = bench.start(8, checkpoint=checkpoint, by_itself=False)
    assert "base_model: " in str(by_a_person.refuse), "a path is read anew, whoever asks"


@pytest.mark.parametrize(
    "body", ["", "[]", '{"told": 7}', '{"told": {"base_model": null, "max_length": [[]]}}']
)
def test_nonsense_that_a_training_left_tells_nothing_and_stops_nobody(bench: Bench, body: str) -> None:
    bench.accept()
    bench.start(1)
    Path(bench.run.attempt(1).locked).write_text(body)
    assert bench.start(2, checkpoint=bench.saved(10)).refuse is None


def test_an_attempt_that_died_before_it_spoke_takes_back_nothing_that_was_told(bench: Bench) -> None:
    bench.accept("--max_length", "4096")  # of its evaluation, say: the training knows better
    bench.start(1)
    bench.tell(1, max_length=2048)
    checkpoint = bench.saved(10)
    assert bench.start(2, checkpoint=checkpoint).refuse is None
    assert bench.locked("max_length") == "2048"
    assert bench.start(3, checkpoint=checkpoint).refuse is None, "the second died at its first import"


def test_what_the_training_writes_itself_is_no_part_of_what_it_is(bench: Bench) -> None:
    """A command that names its own output as its model, or a configuration that it keeps beside its checkpoints."""
    (bench.root / "out").mkdir()
    config = bench.root / "out" / "config.json"
    config.write_text('{"max_length": 1}')
    bench.accept("--model_name_or_path", "out", "--config", "out/config.json")
    bench.start(1)
    checkpoint = bench.saved(10)
    (bench.root / "out" / "model.safetensors").write_bytes(b"saved since")
    config.write_text('{"max_length": 2}')
    assert bench.start(2, checkpoint=checkpoint) == locked.Looked()
    assert (bench.locked("base_model"), bench.locked("max_length")) == ("", "")


def test_what_could_be_read_only_later_is_locked_then(bench: Bench) -> None:
    """A model that the first attempt itself downloads is in no cache before it."""
    bench.accept("--model_name_or_path", "tiny/llama")
    bench.start(1)
    checkpoint = bench.saved(10)
    bench.start(2, checkpoint=checkpoint)
    assert bench.locked("base_model") == ""
    model = bench.root / ".cache/huggingface/hub/models--tiny--llama"
    snapshot = models.base(model / "snapshots" / "0123456789")
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("0123456789")
    bench.start(3, checkpoint=checkpoint)
    assert bench.start(4, checkpoint=checkpoint).refuse is None
    lock = locked.newest(bench.run)
    assert lock is not None
    assert lock.why == "could be read for the first time: base_model, tokenizer, architecture"
    models.change_one_weight(snapshot)
    assert "base_model" in str(bench.start(5, checkpoint=checkpoint).refuse)


def test_an_output_folder_with_checkpoints_of_before_is_no_lock(bench: Bench) -> None:
    bench.accept()
    assert bench.start(1, checkpoint=bench.saved(1000)) == locked.Looked()
    assert locked.newest(bench.run) is None


def test_a_declared_path_that_is_not_there_is_refused_and_may_come_back(bench: Bench) -> None:
    base = models.base(bench.root / "models" / "base")
    bench.accept(locking=Locking(given=(("base_model", "models/base"),)))
    bench.start(1)
    base.rename(bench.root / "away")
    refused = bench.start(2, checkpoint=bench.saved(10))
    assert str(refused.refuse) == f"missing: base_model: {base}, which is locked (--lock), is not there"
    (bench.root / "away").rename(base)
    assert bench.start(3, checkpoint=bench.root / "out/step-10").refuse is None
    lock = locked.newest(bench.run)
    assert lock is not None
    assert lock.attempt == 1, "the second never began: it made no checkpoint"
    assert bench.locked("base_model")


def test_a_base_model_that_is_locked_and_gone_is_refused_though_nobody_declared_it(bench: Bench) -> None:
    base = models.base(bench.root / "base")
    bench.accept("--model_name_or_path", str(base))
    bench.start(1)
    checkpoint = bench.saved(10)
    bench.start(2, checkpoint=checkpoint)
    shutil.rmtree(base)
    assert str(bench.start(3, checkpoint=checkpoint).refuse).startswith(
        f"missing: base_model: {base}, which is locked"
    )


def test_a_base_model_that_the_script_stages_anew_or_a_cache_that_was_emptied_is_said_and_refuses_nobody(
    bench: Bench,
) -> None:
    stage = models.base(bench.root / "scratch" / "stage")
    bench.accept("--tokenizer_name", "tiny/llama")
    snapshot = bench.root / ".cache/huggingface/hub/models--tiny--llama/snapshots/main"
    models.base(snapshot)
    bench.start(1)
    bench.tell(1, base_model=str(stage))
    checkpoint = bench.saved(10)
    assert bench.start(2, checkpoint=checkpoint).refuse is None
    assert bench.locked("base_model")
    assert bench.locked("tokenizer")
    shutil.rmtree(stage)
    shutil.rmtree(snapshot)
    found = bench.start(3, checkpoint=checkpoint)
    assert found.refuse is None
    assert [reason.partition(":")[2].split(":")[0] for reason in found.reasons] == [
        " base_model",
        " tokenizer",
    ], found.reasons
    assert all(reason.startswith(locked.UNREAD) for reason in found.reasons)


@pytest.mark.parametrize("class_", ["warn", "free"])
def test_a_path_that_need_not_match_refuses_nobody_by_not_being_there(bench: Bench, class_: str) -> None:
    base = models.base(bench.root / "base")
    given = (("base_model", str(base)),)
    locking = Locking(given=given, must_match=("lora",), warn=("base_model",), free=())
    if class_ == "free":
        locking = replace(locking, warn=(), free=("base_model",))
    bench.accept("--model_name_or_path", str(base), locking=locking)
    bench.start(1)
    shutil.rmtree(base)
    assert bench.start(2, checkpoint=bench.saved(10)).refuse is None


def test_a_model_of_the_hub_that_is_in_no_cache_yet_may_be_declared(bench: Bench) -> None:
    bench.accept(locking=Locking(given=(("base_model", "org/name"),)))
    assert bench.start(1) == locked.Looked()


def test_what_a_person_dropped_is_locked_anew_only_by_an_attempt_that_found_it_again(bench: Bench) -> None:
    base = models.base(bench.root / "base")
    bench.accept(locking=Locking(given=(("base_model", str(base)),)))
    bench.start(1)
    checkpoint = bench.saved(10)
    shutil.rmtree(base)
    refused = bench.start(2, checkpoint=checkpoint)
    assert str(refused.refuse).startswith(f"missing: base_model: {base}, which is locked")
    lock = locked.newest(bench.run)
    assert lock is not None
    gone = locked.vanished(lock, locked.present_of(bench.run, bench.spec, str(checkpoint), 3))
    assert gone == ("base_model", "tokenizer", "architecture")
    locked.add(bench.run, lock, locked.without(lock, gone), 1, "dropped", "me")
    assert bench.start(3, checkpoint=checkpoint, by_itself=False).refuse is None
    assert bench.locked("base_model") == "", "what the first attempt found is not put back"
    models.base(base)
    bench.start(4, checkpoint=checkpoint)
    assert bench.start(5, checkpoint=checkpoint).refuse is None
    assert bench.locked("base_model")
    shutil.rmtree(base)
    assert str(bench.start(6, checkpoint=checkpoint).refuse).startswith("missing: base_model")


def test_a_locked_model_that_cannot_be_read_is_said(bench: Bench) -> None:
    base = models.base(bench.root / "base")
    bench.accept("--model_name_or_path", str(base))
    bench.start(1)
    (base / "model.safetensors").write_bytes(b"cut")
    found = bench.start(2, checkpoint=bench.saved(10))
    assert found.refuse is None
    assert [reason.split(" is")[0] for reason in found.reasons] == [
        "locked, and could not be read now: base_model: its weights: it has 3 bytes: its header"
    ]


def test_a_lock_that_was_damaged_is_never_passed_over(bench: Bench) -> None:
    bench.accept()
    bench.start(1)
    bench.start(2, checkpoint=bench.saved(10))
    Path(bench.run.lock(1)).write_text("{")
    with pytest.raises(Damaged):
        bench.start(3, checkpoint=bench.root / "out/step-10")


def test_two_who_make_the_lock_at_once_have_the_same(bench: Bench) -> None:
    bench.accept("--seed", "1")
    bench.start(1)
    checkpoint = str(bench.saved(10))
    first = locked.made(bench.run, bench.spec, checkpoint, 2)
    assert first is not None
    again = locked._make(bench.run, replace(first, attempt=7))
    assert again == (first, False)
    assert locked.digest(first) == locked.digest(again[0])


def test_code_is_taken_over_though_somebody_else_makes_a_version_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.accept("--seed", "1")
    bench.start(1)
    checkpoint = bench.saved(10)
    bench.start(2, checkpoint=checkpoint)
    (bench.root / "train.py").write_text("train(faster=True)\n")
    add, others = locked.add, iter([1])

    def beaten(run: RunFolder, lock: Lock, *more: Any) -> tuple[Lock, bool]:
        for _ in others:
            add(run, lock, lock.identity, 1, "somebody else's")
        return add(run, lock, *more)

    monkeypatch.setattr(locked, "add", beaten)
    bench.start(3, checkpoint=checkpoint, by_itself=False)
    lock = locked.newest(bench.run)
    assert lock is not None
    assert (lock.version, lock.why) == (3, "attempt 3 began with it at a person's word: code")
    assert bench.start(4, checkpoint=checkpoint) == locked.Looked()


def test_the_records_can_be_read_by_a_person(bench: Bench) -> None:
    bench.accept("--seed", "1")
    bench.start(1)
    bench.start(2, checkpoint=bench.saved(10))
    record = json.loads(Path(bench.run.lock(1)).read_text())
    (seed,) = (trait for key, trait in record["identity"]["traits"] if key == "seed")
    assert (seed["value"], seed["source"]) == ("1", "--seed")
    assert json.loads(Path(bench.run.attempt(2).identity).read_text())["traits"]
