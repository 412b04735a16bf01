"""What a command and its configuration files tell of a training, in the words that people use."""

import sys
from pathlib import Path

import pytest

from outlast.checkpoints.lock import declared, versions
from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Known, NotLocked


def said(tmp_path: Path, *words: str) -> dict[str, str]:
    found = declared.read(["python", "train.py", *words], str(tmp_path), Deadline(5.0))
    return {key: each.value for key, each in found.said.items()}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--model_name_or_path", "models/base"), {"base_model": "models/base"}),
        (("--base-model=models/base",), {"base_model": "models/base"}),
        (("model.base_model=models/base", "seed=3"), {"base_model": "models/base", "seed": "3"}),
        (("--max-seq-length", "2048", "--seed", "7"), {"max_length": "2048", "seed": "7"}),
        (("--model", "llama"), {}),
        (("--seed", "--verbose"), {}),
        (("--seed",), {}),
        (("--lora_r", "8", "--lora_alpha=16"), {"lora.r": "8", "lora.alpha": "16"}),
        (("--max_length", "1024", "--max_length", "1024"), {"max_length": "1024"}),
    ],
)
def test_options_are_understood_in_every_spelling(
    tmp_path: Path, words: tuple[str, ...], found: dict[str, str]
) -> None:
    assert said(tmp_path, *words) == found


def test_what_is_told_in_two_ways_tells_nothing_and_says_so(tmp_path: Path) -> None:
    argv = ["python", "train.py", "--max_length", "1024", "--cutoff_len", "2048"]
    found = declared.read(argv, str(tmp_path), Deadline(5.0))
    assert (dict(found.said), list(found.unclear)) == ({}, ["max_length"])
    assert "1024" in found.unclear["max_length"]
    assert "2048" in found.unclear["max_length"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("c.yaml", "model:\n  base_model: m\nmax_length: 2048\nlora_target_modules: [q, v]\n"),
        ("c.json", '{"model": {"base_model": "m"}, "max-length": 2048, "lora_target_modules": ["q", "v"]}'),
    ],
)
def test_configuration_files_tell_what_no_option_does(tmp_path: Path, name: str, body: str) -> None:
    (tmp_path / name).write_text(body)
    assert said(tmp_path, "--config", name) == {
        "base_model": "m",
        "max_length": "2048",
        "lora.targets": "q,v",
    }
    assert said(tmp_path, f"--config={name}", "--max_length", "9")["max_length"] == "9", "an option rules"


@pytest.mark.parametrize(
    "body", ["", "[1, 2]", "a: [", "a: !!python/object/apply:os.system ['touch canary']", "\x00"]
)
def test_a_file_that_is_no_configuration_tells_nothing_and_runs_nothing(tmp_path: Path, body: str) -> None:
    (tmp_path / "c.yaml").write_text(body)
    assert said(tmp_path, "--config", "c.yaml") == {}
    assert not Path("canary").exists()


def test_r17_a_changed_configuration_file_changes_the_arguments(tmp_path: Path) -> None:
    argv = ["python", "train.py", "c.toml"]
    found = []
    for body in ("lr = 1", "lr = 2"):
        (tmp_path / "c.toml").write_text(body)
        found.append(declared.arguments(argv, declared.read(argv, str(tmp_path), Deadline(5.0)).configs))
    assert found[0].value != found[1].value
    assert [name for name, _ in found[0].fields] == ["command", "c.toml"]


@pytest.mark.parametrize(
    ("argv", "environment", "world"),
    [
        (("torchrun", "--nproc-per-node", "8", "t.py"), {}, "8"),
        (("torchrun", "--nnodes=2", "--nproc_per_node=4", "t.py"), {"WORLD_SIZE": "3"}, "8"),
        (("accelerate", "launch", "--num_processes", "2", "t.py"), {}, "2"),
        (("python", "t.py"), {"WORLD_SIZE": "3"}, "3"),
        (("python", "t.py"), {"SLURM_NTASKS": "16"}, "16"),
    ],
)
def test_the_world_size_is_what_the_launcher_is_told(
    argv: tuple[str, ...], environment: dict[str, str], world: str
) -> None:
    found = declared.world_size(argv, environment)
    assert isinstance(found, Known)
    assert found.value == world


@pytest.mark.parametrize("argv", [("torchrun", "--nproc-per-node", "gpu", "t.py"), ("python", "t.py")])
def test_a_world_size_that_only_the_launcher_knows_is_not_locked(argv: tuple[str, ...]) -> None:
    assert isinstance(declared.world_size(argv, {}), NotLocked)


def test_what_is_trained_on_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('{"max_length": 9}')
    assert said(tmp_path, "--train_file", "rows.json") == {"data": "rows.json"}


# --- versions ---------------------------------------------------------------------------------------------------------


def test_versions_are_those_of_the_trainings_own_interpreter_and_nothing_is_imported() -> None:
    found = versions.read([sys.executable, "train.py"], {})
    assert isinstance(found, Known)
    assert dict(found.fields)["transformers"].count(".") == 2
    assert {"torch", "peft"} <= set(dict(found.fields))


def test_another_interpreter_has_other_versions(tmp_path: Path) -> None:
    library = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    (library / "torch-9.9.0+cu1.dist-info").mkdir(parents=True)
    (library / "numpy-1.0.dist-info").mkdir()
    (tmp_path / "env" / "bin").mkdir()
    (tmp_path / "env" / "bin" / "python").touch()
    wanted = (("torch", "9.9.0+cu1"),)
    for argv, environment in (
        ([str(tmp_path / "env/bin/python"), "t.py"], {}),
        ([str(tmp_path / "env/bin/torchrun"), "t.py"], {}),
        (["/bin/sh", "train.sh"], {"VIRTUAL_ENV": str(tmp_path / "env")}),
    ):
        found = versions.read(argv, environment)
        assert isinstance(found, Known)
        assert found.fields == wanted, argv
    nowhere = versions.read([str(tmp_path / "none/python")], {})
    assert isinstance(nowhere, NotLocked)
