"""Which program a command means, and what the run is called."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.cli import program
from outlast.errors import UserError

Touch = Callable[..., Path]


def test_a_bare_word_is_looked_up_on_the_callers_path(touch: Touch, tmp_path: Path) -> None:
    touch("bin/tool", "#!/bin/sh\n", 0o700)
    path = os.pathsep.join(["/nowhere", str(tmp_path / "bin")])
    assert program.resolved(("tool", "x"), "/", path) == (str(tmp_path / "bin" / "tool"), "x")


def test_a_relative_path_entry_counts_from_the_runs_folder(touch: Touch, tmp_path: Path) -> None:
    touch("bin/tool", "", 0o700)
    assert program.resolved(("tool",), str(tmp_path), "bin")[0] == str(tmp_path / "bin" / "tool")


def test_a_path_counts_from_the_runs_folder(touch: Touch, tmp_path: Path) -> None:
    touch("train.sh", "", 0o700)
    (tmp_path / "sub").mkdir()
    assert program.resolved(("../train.sh", "a"), str(tmp_path / "sub"), "") == (
        str(tmp_path / "train.sh"),
        "a",
    )


def test_a_link_is_kept_as_it_is(touch: Touch, tmp_path: Path) -> None:
    touch("real", "", 0o700)
    (tmp_path / "python").symlink_to(tmp_path / "real")  # a virtual environment is found by its link
    assert program.resolved(("./python",), str(tmp_path), "")[0] == str(tmp_path / "python")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("nowhere", "nowhere: no such program on PATH"),
        ("script.py", "did you mean ./script.py?"),
        ("./none", "./none: there is no such program"),
        ("./script.py", "chmod +x ./script.py"),
        ("./script.py", "-- python ./script.py"),
        ("./folder", "is a folder"),
        ("", "empty"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_what_cannot_be_started_is_named(touch: Touch, tmp_path: Path, word: str, said: str) -> None:
    touch("script.py", "", 0o600)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError) as raised:
        program.resolved((word,), str(tmp_path), "/nowhere")
    assert said in str(raised.value)


def test_any_word_must_be_text(touch: Touch, tmp_path: Path) -> None:
    touch("tool", "", 0o700)
    with pytest.raises(UserError, match="word 2"):
        program.resolved(("./tool", "\udcff"), str(tmp_path), "")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python train.py --lr 3", "train"),
        ("python -u /a/b/fine_tune.py", "fine_tune"),
        ("torchrun --nproc-per-node 4 src/train.py cfg.py", "train"),
        ("python -m pkg.trainers.big --x 1", "big"),
        ("python -m pkg", "pkg"),
        ("bash run.sh", "run"),
        ("./my_train!.sh", "my_train"),
        ("/opt/bin/trainer --lr 3", "trainer"),
        ("sh -c 'exit 1'", "sh"),
    ],
)
def test_a_run_is_called_after_its_script(command: str, name: str) -> None:
    assert program.name_of(tuple(command.split(" "))) == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("a b/c", "a-b-c"),
        ("--x", "x"),
        ("äöü", "run"),
        ("", "run"),
        ("x" * 99, "x" * 40),
        ("a.b_c-1", "a.b_c-1"),
    ],
)
def test_a_name_may_stand_in_an_id(given: str, name: str) -> None:
    assert program.sanitized(given) == name


def test_a_script_that_mentions_outlast_is_believed_to_resume(touch: Touch, tmp_path: Path) -> None:
    touch("with.py", "import outlast\n")
    touch("without.py", "import torch\n")
    assert program.speaks_to_us(("python", "with.py"), str(tmp_path))
    assert not program.speaks_to_us(("python", "without.py"), str(tmp_path))
    assert not program.speaks_to_us(("python", "none.py", "with"), str(tmp_path))
