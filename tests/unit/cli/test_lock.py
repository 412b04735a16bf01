"""`outlast lock`: what is locked is shown with its source, what differs by its class, and `accept` keeps why."""

import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from outlast.cli import lock as cli_lock
from outlast.disk import files
from outlast.errors import NOT_FOUND, OK, REFUSED, USAGE
from outlast.facts.codec import to_record
from outlast.work import locked as work_locked
from tests.contract import models
from tests.unit.cli.conftest import Desk
from tests.unit.work.test_locked import RUN, Bench


@pytest.fixture
def bench(desk: Desk) -> Bench:
    """A run on a base model that made its first checkpoint."""
    desk.add(RUN)
    made = Bench(desk.root)
    made.run = desk.workspace.run(RUN)
    models.base(desk.root / "base")
    made.accept("--model_name_or_path", "base", "--max_length", "2048")
    made.start(1)
    return made


@pytest.fixture
def locked(bench: Bench) -> Bench:
    bench.start(2, checkpoint=bench.saved(10))
    return bench


def test_every_key_is_shown_with_its_class_and_source_or_why_it_is_not_locked(
    desk: Desk, locked: Bench
) -> None:
    code, out, _ = desk.run("lock", "show", RUN)
    assert code == OK
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert lines["KEY"].split() == ["KEY", "CLASS", "VALUE", "SOURCE"]
    assert lines["max_length"].split() == ["max_length", "must_match", "2048", "--max_length"]
    assert "--model_name_or_path" in lines["base_model"]
    assert "not locked" in lines["seed"]
    assert "nothing tells it" in lines["seed"]
    assert "version 1," in out
    assert "the first checkpoint was made by attempt 1" in out
    record = desk.json("lock", "show", RUN)
    rows = {row["key"]: row for row in record["keys"]}
    assert (rows["code"]["class"], rows["code"]["locked"]) == ("warn", True)
    assert (rows["seed"]["locked"], rows["seed"]["why"]) == (False, "nothing tells it")
    assert record["lock"]["version"] == 1


def test_before_the_first_checkpoint_what_would_be_locked_is_shown_as_such(desk: Desk, bench: Bench) -> None:
    code, out, err = desk.run("lock", "show", RUN)
    assert code == OK
    assert "not locked yet" in err
    assert "2048" in out
    for what in ("diff", "check"):
        assert desk.run("lock", what, RUN)[0] == NOT_FOUND


def test_nothing_changed_is_exit_0_and_a_changed_model_4(desk: Desk, locked: Bench) -> None:
    assert desk.run("lock", "check", RUN)[0] == OK
    assert desk.run("lock", "diff", RUN)[1].count("must_match") == 0
    models.change_one_weight(desk.root / "base")
    code, out, err = desk.run("lock", "check", RUN)
    assert code == REFUSED
    assert out.startswith("must_match  base_model: ")
    assert "lock accept" in err
    assert desk.run("lock", "diff", RUN)[0] == OK, "to look is no failure"


def test_another_command_is_measured_before_it_is_started(desk: Desk, locked: Bench) -> None:
    words = (
        "--",
        *program(desk, "python"),
        "train.py",
        "--model_name_or_path",
        "base",
        "--max_length",
        "4096",
        "--seed",
        "1",
    )
    code, out, _ = desk.run("lock", "check", RUN, *words)
    assert code == REFUSED
    assert "max_length: 2048 -> 4096" in out
    assert "warn        arguments: " in out
    assert desk.run("lock", "accept", RUN, "--reason", "x", *words)[0] == USAGE


def program(desk: Desk, name: str) -> tuple[str]:
    """By its path: the run's own PATH leads nowhere."""
    (desk.root / "bin").mkdir(exist_ok=True)
    path = desk.root / "bin" / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return (str(path),)


def test_the_same_command_as_a_person_writes_it_does_not_differ(desk: Desk) -> None:
    """Acceptance resolved its program by the run's PATH: so does `check`, and finds the same versions beside it."""
    run = "own-20260101-000000"
    desk.add(run)
    made = Bench(desk.root)
    made.run = desk.workspace.run(run)
    (python,) = program(desk, "python")
    (desk.root / "lib/python3.11/site-packages/torch-2.0.dist-info").mkdir(parents=True)
    made.accept()
    made.spec = replace(made.spec, argv=(python, "train.py"))
    files.replace(made.run.record, {"schema": 1, **to_record(made.spec)})
    env = {"PATH": str(desk.root / "bin"), "HOME": str(desk.root)}
    files.replace(made.run.env, {"schema": 1, "env": env})
    made.start(1)
    made.start(2, checkpoint=made.saved(10))
    code, out, err = desk.run("lock", "check", run, "--", "python", "train.py")
    assert (code, out) == (OK, "")
    assert "versions" in err
    assert "arguments" in err
    assert desk.run("lock", "check", run, "--", "pithon", "train.py")[0] == USAGE


def test_a_locked_model_that_is_gone_can_be_dropped(desk: Desk) -> None:
    run = "own-20260101-000000"
    desk.add(run)
    made = Bench(desk.root)
    made.run = desk.workspace.run(run)
    base = models.base(desk.root / "base")
    made.accept("--model_name_or_path", str(base))
    made.start(1)
    made.start(2, checkpoint=made.saved(10))
    shutil.rmtree(base)
    code, _, err = desk.run("lock", "check", run)
    assert code == REFUSED
    assert f"base_model: {base}, which is locked, is not there" in err
    code, _, err = desk.run("lock", "accept", run, "--reason", "the disk is lost")
    assert code == OK
    assert "base_model dropped" in err
    assert desk.run("lock", "check", run)[0] == OK
    assert "dropped from the lock by a person" in desk.run("lock", "show", run)[1]
    assert made.start(3, checkpoint=desk.root / "out/step-10", by_itself=False).refuse is None


def test_a_told_value_is_shown_and_refuses_no_start_that_a_person_asks_for(desk: Desk, locked: Bench) -> None:
    locked.tell(2, max_length=4096)
    code, out, err = desk.run("lock", "check", RUN)
    assert code == OK
    assert "max_length: 2048 -> 4096" in out
    assert "not held against a start that a person asked for: max_length" in err
    assert desk.run("lock", "accept", RUN, "--reason", "longer")[0] == OK


def test_a_version_that_somebody_else_made_meanwhile_is_not_called_ours(
    desk: Desk, locked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.change_one_weight(desk.root / "base")
    others = iter([1])

    def slow() -> str:
        for _ in others:
            first = work_locked.newest(locked.run)
            assert first is not None
            work_locked.add(locked.run, first, first.identity, 1, "theirs", "another")
        return "me"

    monkeypatch.setattr(cli_lock, "_user", slow)
    code, _, err = desk.run("lock", "accept", RUN, "--reason", "mine")
    assert code == OK
    assert "version 2 was made by another meanwhile (theirs)" in err
    assert "locked anew (version 3): base_model" in err
    assert desk.run("lock", "check", RUN)[0] == OK
    newest = work_locked.newest(locked.run)
    assert newest is not None
    assert (newest.by, newest.why) == ("me", "base_model: mine")


def test_what_only_warns_is_exit_0(desk: Desk, locked: Bench) -> None:
    (desk.root / "train.py").write_text("another()")
    code, out, _ = desk.run("lock", "check", RUN)
    assert (code, out.split()[:2]) == (OK, ["warn", "code:"])


def test_a_change_is_accepted_with_a_reason_and_the_old_lock_stays(desk: Desk, locked: Bench) -> None:
    models.change_one_weight(desk.root / "base")
    assert desk.run("lock", "accept", RUN)[0] == USAGE
    code, _, err = desk.run("lock", "accept", RUN, "--reason", "downloaded anew")
    assert code == OK
    assert f"outlast retry {RUN}" in err
    assert desk.run("lock", "check", RUN)[0] == OK
    second = json.loads(Path(locked.run.lock(2)).read_text())
    assert (second["version"], second["why"]) == (2, "base_model: downloaded anew")
    assert second["by"]
    assert Path(locked.run.lock(1)).exists()
    assert "nothing differs" in desk.run("lock", "accept", RUN, "--reason", "again")[2]
    assert not Path(locked.run.lock(3)).exists()


def test_diff_tells_machines_all_of_it(desk: Desk, locked: Bench) -> None:
    models.change_one_weight(desk.root / "base")
    record = desk.json("lock", "diff", RUN)
    (found,) = record["differences"]
    assert (record["matches"], found["key"], found["class"]) == (False, "base_model", "must_match")
    assert [field["name"] for field in found["fields"]] == ["values"]
    assert "max_length" in record["same"]
    assert {"key": "seed", "why": "nothing tells it"} in record["not_compared"]


def test_a_reason_without_accept_is_a_mistake(desk: Desk, locked: Bench) -> None:
    assert desk.run("lock", "show", RUN, "--reason", "x")[0] == USAGE


def test_l49_the_classes_are_those_of_the_run_and_not_of_the_file_now_and_that_is_said(
    desk: Desk, locked: Bench
) -> None:
    files.replace(locked.run.record, {"schema": 1, **to_record(locked.spec)})
    assert "outlast.yaml" not in desk.run("lock", "show", RUN)[2]
    (desk.root / "outlast.yaml").write_text("lock: {free: [base_model]}\n")
    assert "outlast.yaml says another lock.must_match by now" in desk.run("lock", "show", RUN)[2]
    models.change_one_weight(desk.root / "base")
    assert desk.run("lock", "check", RUN)[0] == REFUSED
