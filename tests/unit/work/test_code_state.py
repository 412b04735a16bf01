"""The code of a training by real git: what an edit changes, and what none does."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from outlast.checkpoints.parts.reading import Deadline
from outlast.facts import Known, NotLocked
from outlast.work import code_state

ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
GIT = (
    "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main",
)  # fmt: skip


def git(folder: Path, *words: str) -> None:
    subprocess.run([*GIT, "-C", str(folder), *words], check=True, capture_output=True, env=ENV)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "lib").mkdir(parents=True)
    (root / "train.py").write_text("import lib.model\n")
    (root / "lib" / "model.py").write_text("WIDTH = 4\n")
    (root / "README.md").write_text("hello\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    return root


def known(root: Path, *argv: str, ignored: str = "", script: str = "train.py") -> Known:
    found = code_state.read(["python", script, *argv], str(root), ENV, ignored, Deadline(10.0))
    assert isinstance(found, Known), found
    return found


def test_p9_an_edit_of_tracked_code_is_seen_and_named_whether_committed_or_not(repository: Path) -> None:
    before = known(repository)
    (repository / "lib" / "model.py").write_text("WIDTH = 8\n")
    edited = known(repository)
    git(repository, "commit", "-q", "-am", "wider")
    committed = known(repository)
    assert before.value != edited.value == committed.value
    changed = {name for name, said in committed.fields if dict(before.fields)[name] != said}
    assert changed == {"commit", "lib/model.py"}


def test_prose_another_branch_and_what_nobody_tracks_are_no_change(repository: Path) -> None:
    before = known(repository)
    (repository / "README.md").write_text("edited\n")
    (repository / "notes.py").write_text("nobody tracks me\n")
    git(repository, "commit", "-q", "-am", "prose")
    git(repository, "checkout", "-q", "-b", "other")
    assert known(repository).value == before.value


def test_what_a_training_saves_is_no_code_even_where_it_is_tracked(repository: Path) -> None:
    out = repository / "out"
    out.mkdir()
    (out / "state.py").write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "saved")
    before = known(repository, ignored=str(out))
    (out / "state.py").write_text("2")
    assert known(repository, ignored=str(out)).value == before.value
    assert known(repository).value != before.value


def test_tracked_files_that_are_no_source_hold_nobody(repository: Path) -> None:
    """A training rewrites its results, and a notebook or a database changes whenever somebody looks at it."""
    names = ("results.json", "config.yaml", "look.ipynb", "runs.db", "state", "Makefile", "events.out.7")
    for name in names:
        (repository / name).write_text("1")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "results")
    before = known(repository)
    for name in names:
        (repository / name).write_text("2")
    assert known(repository).value == before.value
    assert not {*names} & {name for name, _ in before.fields}


@pytest.mark.parametrize(
    "name", ["kernel.cu", "fast.pyx", "lib.hpp", "run.sh", "model.R", "requirements-gpu.txt"]
)
def test_tracked_sources_of_any_language_count(repository: Path, name: str) -> None:
    (repository / name).write_text("1")
    git(repository, "add", ".")
    before = known(repository)
    (repository / name).write_text("2")
    assert known(repository).value != before.value


def test_a_tracked_configuration_counts_where_the_command_names_it_and_data_does_not(
    repository: Path,
) -> None:
    for name in ("config.yaml", "data.json"):
        (repository / name).write_text("1")
    git(repository, "add", ".")
    words = ("--config", "config.yaml", "--train_file", "data.json")
    before = known(repository, *words)
    (repository / "data.json").write_text("2")
    assert known(repository, *words).value == before.value
    (repository / "config.yaml").write_text("2")
    assert known(repository, *words).value != before.value
    link = repository.parent / "link"
    link.symlink_to(repository)
    assert "config.yaml" in dict(known(link, *words).fields)


def test_the_script_itself_counts_though_nobody_tracks_it(repository: Path) -> None:
    (repository / "mine.py").write_text("1")
    before = known(repository, script="mine.py")
    (repository / "mine.py").write_text("2")
    assert known(repository, script="mine.py").value != before.value


def test_a_deleted_file_is_a_change(repository: Path) -> None:
    before = known(repository)
    (repository / "lib" / "model.py").unlink()
    after = known(repository)
    assert after.value != before.value
    assert dict(after.fields)["lib/model.py"] == "deleted"


def test_a_repository_too_large_to_read_is_its_commit_and_what_differs_from_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_state, "FILES_MAX", 1)
    before = known(repository)
    assert before.kind == "commit and changes"
    (repository / "lib" / "model.py").write_text("WIDTH = 8\n")
    edited = known(repository)
    git(repository, "commit", "-q", "-am", "wider")
    assert len({before.value, edited.value, known(repository).value}) == 3


def test_nothing_in_the_repository_is_written_or_run(repository: Path) -> None:
    hook = repository / "ran"
    git(repository, "config", "core.fsmonitor", f"touch {hook};")
    os.utime(repository / "train.py", ns=(1, 1))  # git would like to write that down in its index
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}
    known(repository)
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before
    assert not hook.exists()


def test_without_git_the_code_is_the_script(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").write_text("1")
    found = known(tmp_path, script="pkg/train.py")
    assert found.kind == "scripts"
    (tmp_path / "pkg" / "train.py").write_text("2")
    assert known(tmp_path, script="pkg/train.py").value != found.value
    module = code_state.read(["python", "-m", "pkg.train"], str(tmp_path), ENV, "", Deadline(5.0))
    assert isinstance(module, Known)
    assert module.fields[0][0] == "pkg/train.py"


def test_a_machine_without_git_knows_the_script(repository: Path, tmp_path: Path) -> None:
    found = code_state.read(
        ["python", "train.py"], str(repository), {"PATH": str(tmp_path)}, "", Deadline(5.0)
    )
    assert isinstance(found, Known)
    assert found.kind == "scripts"


def test_no_repository_and_no_script_is_not_locked(tmp_path: Path) -> None:
    assert isinstance(code_state.read(["/bin/true"], str(tmp_path), ENV, "", Deadline(5.0)), NotLocked)


def test_a_worktree_and_a_copy_have_the_same_code(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    shutil.copytree(repository, tmp_path / "copy")
    assert known(tmp_path / "tree").value == known(tmp_path / "copy").value == known(repository).value
