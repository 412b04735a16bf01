"""What options and outlast.yaml make of a command, and how it is accepted."""

import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.checkpoints import catalog
from outlast.cli.backends import TABLE
from outlast.cli.run import FORMATS
from outlast.disk import files, requests
from outlast.errors import OK, REFUSED, TRY_AGAIN, USAGE, WorldError
from outlast.facts import Resume, Spec
from outlast.facts.codec import from_record
from tests.unit.cli.conftest import Desk

Touch = Callable[..., Path]


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """No supervisor is started; who would have been is noted."""
    asked: list[tuple[str, bool]] = []

    def ensure(workspace: object, place: str, *, up: bool = False) -> None:
        asked.append((place, up))

    monkeypatch.setattr("outlast.supervise.start.ensure", ensure)
    monkeypatch.setattr("outlast.cli.ask.await_answer", lambda *_, **__: None)
    return asked


def spec_of(desk: Desk, *options: str, command: tuple[str, ...] = ("sh", "-c", "true")) -> Spec:
    code, out, err = desk.run("run", "-d", *options, "--", *command)
    assert code == OK, err
    path = desk.workspace.run(out.strip()).record
    return from_record(files.read(path), Spec, path)


def test_a_run_is_accepted_for_a_backend_of_the_table_and_for_no_other(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spec_of(desk).backend == "local"
    monkeypatch.setitem(TABLE, "toy", TABLE["local"])
    assert spec_of(desk, "--backend", "toy").backend == "toy"
    before = os.listdir(desk.workspace.runs)
    code, out, err = desk.run("run", "-d", "--backend", "slurm", "--", "true")
    assert (code, out) == (USAGE, "")
    assert "--backend slurm: there is no such backend; known are: local, toy" in err
    assert os.listdir(desk.workspace.runs) == before


def test_l49_a_run_keeps_the_lock_that_was_configured_when_it_was_accepted(
    desk: Desk, nobody: list[Any]
) -> None:
    config = desk.root / "outlast.yaml"
    config.write_text("lock: {must_match: [seed], code: warn}\n")
    locking = spec_of(desk, "--lock", "base-model=gpt2", "--lock", "max_length=2048").locking
    assert locking.given == (("base_model", "gpt2"), ("max_length", "2048"))
    assert (locking.must_match, locking.code) == (("seed",), "warn")
    assert "seed" not in locking.warn
    config.write_text("lock: {free: [seed]}\n")
    again = spec_of(desk).locking
    assert ("seed" in again.must_match, "seed" in again.free) == (False, True), (
        "a new run gets what stands there now"
    )


def test_a_run_is_not_run_again_by_a_backend_that_is_not_there(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as then:
        then.setitem(TABLE, "toy", TABLE["local"])
        old = spec_of(desk, "--backend", "toy")
    code, _, err = desk.run("rerun", old.run, "-d")
    assert code == USAGE
    assert "--backend toy: there is no such backend; known are: local" in err


def test_detached_prints_only_the_id(desk: Desk, nobody: list[Any]) -> None:
    code, out, err = desk.run("run", "-d", "--", "sh", "-c", "true")
    assert code == OK
    assert out.count("\n") == 1
    run = out.strip()
    assert run.startswith("sh-20")
    assert os.listdir(desk.workspace.runs) == [run]
    assert "survives: terminal yes" in err
    assert Path(desk.workspace.last).read_text().strip() == run


def test_detached_json_says_where(desk: Desk, nobody: list[Any]) -> None:
    code, out, _ = desk.run("run", "-d", "--json", "--", "true")
    said = json.loads(out)
    assert code == OK
    assert said["run_dir"] == desk.workspace.run(said["id"]).path
    assert (said["workspace"], said["place"]) == (str(desk.root), "local")


def test_acceptance_is_asked_of_the_place_and_a_supervisor_is_made_sure_of(
    desk: Desk, nobody: list[Any]
) -> None:
    spec = spec_of(desk)
    place = desk.workspace.place("local")
    record, why = requests.load(place, 1)
    assert why == ""
    assert record is not None
    assert (record["verb"], record["run"]) == ("accept", spec.run)
    assert nobody == [("local", True)]


def test_the_program_is_resolved_and_the_rest_left_alone(desk: Desk, nobody: list[Any]) -> None:
    spec = spec_of(desk, command=("sh", "-c", "echo {run_id}", "--", "--json"))
    assert spec.argv[1:] == ("-c", "echo {run_id}", "--", "--json")
    assert os.path.isabs(spec.argv[0])
    assert (spec.cwd, spec.place, spec.backend, spec.inline) == (str(desk.root), "local", "local", False)
    assert spec.made.wall_s > 0
    assert spec.key


def test_defaults_are_those_of_the_law(desk: Desk, nobody: list[Any]) -> None:
    spec = spec_of(desk)
    assert (spec.attempts_max, spec.backoff_s, spec.slots, spec.priority) == (3, 10.0, 1, "normal")
    assert (spec.resume, spec.target_step, spec.timeout_s, spec.done_when) == (None, None, None, "")
    assert (spec.require_proof, spec.tty, spec.after, spec.stall_limits_s) == ("exit", False, (), ())


def test_every_option_reaches_the_record(desk: Desk, nobody: list[Any]) -> None:
    desk.add("before-20260101-000000")
    (desk.root / "sub").mkdir()
    options = [
        "--name", "My run!", "--tag", "a", "--tag", "b", "--tag", "a", "--note", "hello", "--cwd", "sub", "--tty",
        "--after", "before", "--priority", "high", "--max-attempts", "7", "--backoff", "0", "--timeout", "1h30m",
        "--target-step", "100", "--done-when", "log:^done$", "--require-proof", "step", "--stop-grace", "1m",
        "--stall-limit", "10m", "--stall-limit", "eval=1h", "--checkpoints", "out,folder", "--resume-args",
        "--from '{checkpoint}' --x",
    ]  # fmt: skip
    spec = spec_of(desk, *options)
    assert spec.run.startswith("My-run-20")
    assert (spec.name, spec.tags, spec.note) == ("My-run", ("a", "b"), "hello")
    assert (spec.cwd, spec.tty, spec.after) == (str(desk.root / "sub"), True, ("before-20260101-000000",))
    assert (spec.priority, spec.attempts_max, spec.backoff_s, spec.timeout_s) == ("high", 7, 0.0, 5400.0)
    assert (spec.target_step, spec.done_when, spec.require_proof) == (100, "log:^done$", "step")
    assert spec.stop_grace_s == 60.0
    assert spec.stall_limits_s == (("", 600.0), ("eval", 3600.0))  # "": any other section
    root = str(desk.root / "sub" / "out")
    assert spec.resume == Resume(root=root, format="folder", args=("--from", "{checkpoint}", "--x"))


def test_outlast_yaml_gives_what_no_option_gave(desk: Desk, nobody: list[Any], touch: Touch) -> None:
    touch(
        "outlast.yaml",
        "slots: {count: 2}\nlog: {max: 1MiB}\nlimits:\n  {attempts: 5, backoff: 1s, stop_grace: 2s, stop_limit: 3s, "
        "stall: {train: 9m, eval: 8m}}\n",
    )
    spec = spec_of(desk, "--slots", "2", "--stall-limit", "eval=1m")
    assert (spec.attempts_max, spec.backoff_s, spec.stop_grace_s, spec.stop_limit_s) == (5, 1.0, 2.0, 3.0)
    assert (spec.slots, spec.log_bytes_max) == (2, 1 << 20)
    assert spec.stall_limits_s == (("train", 540.0), ("eval", 60.0))
    assert spec_of(desk, "--max-attempts", "1", "--backoff", "0").attempts_max == 1


def test_places_in_words_are_left_for_the_supervisor(desk: Desk, nobody: list[Any]) -> None:
    spec = spec_of(desk, "--checkpoints", "{run_dir}/out")
    assert spec.resume == Resume(root="{run_dir}/out")


def test_the_environment_is_kept_apart_and_never_shown(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush-1")
    monkeypatch.setenv("TMUX", "x")
    code, out, err = desk.run("run", "-d", "--env", "KEY=hush-2", "--", "true")
    assert code == OK
    folder = desk.workspace.run(out.strip())
    kept = json.loads(Path(folder.env).read_text())["env"]
    assert (kept["HF_TOKEN"], kept["KEY"], "TMUX" in kept) == ("hush-1", "hush-2", False)
    assert stat.S_IMODE(os.stat(folder.env).st_mode) == 0o600
    everywhere = out + err + desk.run("run", "--dry-run", "--env", "KEY=hush-2", "--", "true")[1]
    for path in Path(desk.workspace.hidden).rglob("*"):
        if path.is_file() and str(path) != folder.env:
            everywhere += path.read_text(errors="replace")
    assert "hush" not in everywhere


def test_run_json_is_made_last_so_that_it_is_the_acceptance(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.make_once

    def failing(path: str, record: dict[str, Any], **more: Any) -> Any:
        if path.endswith("run.json"):
            assert os.path.exists(os.path.join(os.path.dirname(path), "env"))
            raise WorldError("No space left on device")
        return real(path, record, **more)

    monkeypatch.setattr(files, "make_once", failing)
    code, out, err = desk.run("run", "-d", "--", "true")
    assert (code, out) == (TRY_AGAIN, "")
    assert "No space left" in err
    assert nobody == []


def test_a_run_that_nobody_can_serve_yet_is_accepted_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ensure(*_: object, **__: object) -> None:
        raise WorldError("no supervisor could be started")

    monkeypatch.setattr("outlast.supervise.start.ensure", ensure)
    code, out, err = desk.run("run", "-d", "--", "true")
    assert code == TRY_AGAIN
    assert os.path.exists(desk.workspace.run(out.strip()).record)
    assert "is accepted, but nobody serves it yet: no supervisor could be started" in err


def test_a_detached_run_is_left_once_a_supervisor_has_it_and_no_wait_at_once(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited: list[tuple[int, bool]] = []

    def await_answer(_: object, place: Any, number: int, what: str, *, goes_on: bool) -> None:
        assert requests.load(place, number)[0], what
        awaited.append((number, goes_on))

    monkeypatch.setattr("outlast.cli.ask.await_answer", await_answer)
    spec_of(desk)
    assert awaited == [(1, True)]
    spec_of(desk, "--no-wait")
    assert awaited == [(1, True)]
    assert requests.numbers(desk.workspace.place("local")) == [1, 2]


def test_a_run_that_no_supervisor_takes_in_time_is_try_again_and_its_id_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.supervise.start.ensure", lambda *_, **__: None)
    monkeypatch.setattr("outlast.cli.ask.ANSWER_S", 0.05)
    code, out, err = desk.run("run", "-d", "--", "true")
    assert code == TRY_AGAIN
    assert f"run {out.strip()}: asked for (request 1 of place local)" in err


def test_a_reader_of_the_id_that_is_gone_leaves_no_run_unannounced(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("outlast.cli.run._print_id", gone)
    assert desk.run("run", "-d", "--", "true")[0] == OK
    assert requests.numbers(desk.workspace.place("local")) == [1]


def test_runs_of_one_second_have_different_ids(desk: Desk, nobody: list[Any]) -> None:
    ids = {spec_of(desk).run for _ in range(4)}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--resume-args", "x"], "--checkpoints"),
        (["--require-proof", "step+artefact"], "needs --checkpoints DIR"),
        (["--checkpoints", "out,zip"], "no format 'zip'"),
        (["--checkpoints", ",folder"], "the folder is missing"),
        (["--checkpoints", "o", "--resume-args", "'x"], "close the quotes"),
        (["--lock", "base_model"], "write KEY=PATH or KEY=VALUE"),
        (["--lock", "base model=x"], "is no key of a lock"),
        (["--lock", "seed=1", "--lock", "seed=2"], "seed was given before"),
        (["--lock", "base_model=./none"], "none is not there"),
        (["--done-when", "log:("], "no regular expression"),
        (["--done-when", "step:many"], "whole number"),
        (["--done-when", "sometime"], "log:REGEX, file:PATH or step:N"),
        (["--done-when", "file:"], "log:REGEX, file:PATH or step:N"),
        (["--stall-limit", "=5m"], "SECTION=DURATION"),
        (["--stall-limit", "eval=soon"], "'soon' is not a duration"),
        (["--stall-limit", "0"], "--stall-limit '0': '0' is no limit: write a duration above zero"),
        (["--stall-limit", "eval=0s"], "--stall-limit 'eval=0s': '0s' is no limit"),
        (["--stall-limit", "-5s"], "--stall-limit '-5s': '-5s' is not a duration"),
        (["--stall-limit", "9" * 400], "is not a duration"),
        (["--env", "1=secret"], "--env '1=': no name of a variable"),
        (["--env", "=secret"], "--env '=': the name is missing"),
        (["--env", "A B=secret"], "--env 'A B=': no name of a variable"),
        (["--no-wait"], "--no-wait goes with --detach"),
        (["--no-wait", "--detach", "--wait"], "--no-wait goes with --detach"),
        (["--cwd", "nowhere"], "no such folder"),
        (["--env", "UNSET_HERE"], "UNSET_HERE"),
        (["--after", "nobody"], "no run 'nobody'"),
        (["--slots", "2"], "slots.count"),
        (["--json"], "--json goes with"),
        (["--inline", "--detach"], "--inline"),
        (["--inline", "--wait"], "--inline"),
    ],
)
def test_wrong_options_are_told_before_anything_is_made(desk: Desk, options: list[str], said: str) -> None:
    code, out, err = desk.run("run", *options, "--", "true")
    assert code in (USAGE, 3)
    assert out == ""
    assert said in err
    assert "secret" not in err
    assert err.count("\n") == 1
    assert os.listdir(desk.workspace.runs) == []


@pytest.mark.parametrize("words", [["run"], ["run", "-d"], ["run", "--"], ["run", "python", "x.py"]])
def test_a_missing_command_is_told_with_the_form(desk: Desk, words: list[str]) -> None:
    code, _, err = desk.run(*words)
    assert code == USAGE
    assert err.count("\n") == 1


def test_an_unresolvable_program_is_named(desk: Desk) -> None:
    code, _, err = desk.run("run", "--", "no-such-program")
    assert code == USAGE
    assert "no-such-program" in err


def test_a_folder_whose_name_is_no_text_is_refused_before_anything_is_accepted(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = os.fsdecode(os.fsencode(desk.root) + b"/caf\xe9")
    os.mkdir(odd, 0o700)
    monkeypatch.chdir(odd)
    for root in (str(desk.root), odd):
        monkeypatch.setenv("OUTLAST_WORKSPACE", root)
        code, out, err = desk.run("run", "-d", "--", "true")
        assert (code, out) == (USAGE, "")
        assert "caf\\xe9': the name of this folder is not UTF-8 text" in err
    assert nobody == []
    assert os.listdir(desk.workspace.runs) == []


def test_a_wrong_configuration_starts_nothing(desk: Desk, touch: Touch) -> None:
    touch("outlast.yaml", "limits: {atempts: 3}\n")
    code, _, err = desk.run("run", "--", "true")
    assert code == USAGE
    assert "outlast.yaml:1" in err
    assert os.listdir(desk.workspace.runs) == []


def test_a_workspace_that_others_can_write_starts_nothing(desk: Desk) -> None:
    os.chmod(desk.root, 0o777)
    code, _, err = desk.run("run", "--", "true")
    assert code == REFUSED
    assert "chmod go-w" in err
    assert os.listdir(desk.workspace.runs) == []


def test_dry_run_changes_nothing_and_shows_all(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "fresh").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path / "fresh")
    monkeypatch.setenv("OUTLAST_WORKSPACE", str(tmp_path / "fresh"))
    code, out, err = desk.run(
        "run", "--dry-run", "--name", "x", "--checkpoints", "c", "--", "sh", "-c", "a b"
    )
    assert code == OK
    assert os.listdir(tmp_path / "fresh") == []
    assert "sh -c 'a b'" in out
    assert str(tmp_path / "fresh" / "c") in out
    assert "survives:" in err
    record = json.loads(desk.run("run", "--dry-run", "--json", "--", "true")[1])
    assert record["attempts_max"] == 3
    assert record["workspace"] == str(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("options", "variables", "inline"),
    [
        ([], {}, False),
        (["--inline"], {}, True),
        ([], {"SLURM_JOB_ID": "7"}, True),
        (["--detach"], {"SLURM_JOB_ID": "7"}, False),
        (["--wait"], {"SLURM_JOB_ID": "7"}, False),
    ],
)
def test_inline_is_the_default_inside_a_job(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, options: list[str], variables: dict[str, str], inline: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, _ = desk.run("run", "--dry-run", "--json", *options, "--", "true")
    assert code == OK
    assert json.loads(out)["inline"] is inline


def test_inline_is_the_default_for_the_first_process_of_a_container(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert json.loads(desk.run("run", "--dry-run", "--json", "--", "true")[1])["inline"] is True


@pytest.mark.parametrize(
    ("options", "script", "said"),
    [
        ([], "import torch", "no: restarts begin at step 0"),
        ([], "import outlast", "yes, by the script itself"),
        (
            ["--checkpoints", "c", "--resume-args", "--from {checkpoint}"],
            "import torch",
            "resume from checkpoint yes",
        ),
        (["--checkpoints", "c"], "import torch", "no: restarts begin at step 0"),
    ],
)
def test_what_a_run_survives_is_said(
    desk: Desk, touch: Touch, options: list[str], script: str, said: str
) -> None:
    touch("train.py", script)
    _, _, err = desk.run("run", "--dry-run", *options, "--", sys.executable, "train.py")
    assert said in err


def test_the_callers_umask_goes_with_the_run(desk: Desk, nobody: list[Any]) -> None:
    old = os.umask(0o027)
    try:
        spec = spec_of(desk)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert ("umask", "0027") in spec.options


def test_rerun_is_the_same_run_again_in_its_own_environment(
    desk: Desk, nobody: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "first")
    options = ["--tag", "a", "--max-attempts", "9", "--checkpoints", "c", "--name", "big"]
    old = spec_of(desk, *options, command=("sh", "-c", "true", "--lr", "1"))
    monkeypatch.setenv("WHO", "second")
    code, out, err = desk.run("rerun", "big", "-d", "--env", "NEW=1", "--", "--lr", "2")
    assert code == OK, err
    folder = desk.workspace.run(out.strip())
    new = from_record(files.read(folder.record), Spec, folder.record)
    assert new.run != old.run
    assert new.argv == (*old.argv[:-1], "2")
    assert (new.tags, new.attempts_max, new.resume, new.name) == (old.tags, 9, old.resume, "big")
    kept = json.loads(Path(folder.env).read_text())["env"]
    assert (kept["WHO"], kept["NEW"]) == ("first", "1")


def test_rerun_of_nothing_is_not_found(desk: Desk) -> None:
    assert desk.run("rerun", "nobody")[0] == 3


def test_every_format_that_is_known_can_be_asked_for() -> None:
    assert ("auto", *(each.name for each in catalog.FORMATS)) == FORMATS
