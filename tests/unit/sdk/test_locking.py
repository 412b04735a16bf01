"""`run.lock(...)`: what may not change is left for the next start, by the first rank alone; nothing is touched."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import outlast
from outlast.sdk import locking, own_page
from tests.unit.sdk.test_training import Untouchable


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "0001"
    folder.mkdir()
    monkeypatch.setenv("OUTLAST_ATTEMPT_DIR", str(folder))
    monkeypatch.setattr(locking, "_told", {})
    return folder


def told(folder: Path) -> Any:
    return json.loads((folder / "locked.json").read_text())


@pytest.mark.usefixtures("folder")
def test_what_is_locked_is_left_beside_the_attempt_with_the_folder_that_paths_are_relative_to(
    attempt: Path,
) -> None:
    with outlast.training() as run:
        run.lock(base_model=Path("models/base"), max_length=2048)
        run.lock(max_length=4096, lora={"r": 8, "targets": ["q", "v"]})
    assert told(attempt) == {
        "schema": 1,
        "cwd": os.getcwd(),
        "told": {"base_model": "models/base", "max_length": 4096, "lora": {"r": 8, "targets": ["q", "v"]}},
    }


@pytest.mark.usefixtures("folder")
def test_what_may_live_on_a_device_is_not_touched_and_not_locked(
    attempt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with outlast.training() as run:
        run.lock(seed=1, weights=Untouchable(), deep={"a": [Untouchable(), 2]}, nothing=None)
    assert told(attempt)["told"] == {"seed": 1, "deep": {"a": [2]}}
    assert "lock(weights=...)" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_numbers_that_json_has_no_word_for_are_told_as_text(attempt: Path) -> None:
    with outlast.training() as run:
        run.lock(clip=float("inf"), low=float("-inf"), none=float("nan"), deep={"a": [float("inf"), 0.5]})
    assert told(attempt)["told"] == {"clip": "inf", "low": "-inf", "none": "nan", "deep": {"a": ["inf", 0.5]}}


@pytest.mark.usefixtures("folder")
def test_more_items_than_are_kept_are_not_locked_and_that_is_said(
    attempt: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = list(range(65))
    with outlast.training() as run:
        run.lock(
            modules=many, options=dict.fromkeys(map(str, many)), deep={"targets": many}, few=many[:64], seed=1
        )
    assert [*told(attempt)["told"]] == ["few", "seed"]
    said = capsys.readouterr().err
    for key in ("modules", "options", "deep"):
        assert f"lock({key}=...): more than 64 items: it is not locked" in said


@pytest.mark.usefixtures("folder")
def test_long_text_is_told_by_its_hash_so_that_its_end_counts(attempt: Path) -> None:
    long = "x" * 5000
    with outlast.training() as run:
        run.lock(one=long, other=f"{long}!", path=Path(long), short="x" * 4096)
    found = told(attempt)["told"]
    assert found["one"].startswith("sha256:")
    assert found["one"] == found["path"] != found["other"]
    assert found["short"] == "x" * 4096


@pytest.mark.usefixtures("folder")
def test_a_working_folder_that_was_removed_hinders_nobody(
    attempt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with outlast.training() as run:
        run.lock(seed=1)
    os.chdir(tmp_path)
    assert told(attempt) == {"schema": 1, "told": {"seed": 1}}


@pytest.mark.usefixtures("folder")
def test_of_all_ranks_only_the_first_speaks(attempt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with outlast.training() as run:
        run.lock(seed=1)
    assert os.listdir(attempt) == []


@pytest.mark.usefixtures("folder")
def test_a_folder_that_cannot_be_written_is_none_of_the_trainings_business(
    attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTLAST_ATTEMPT_DIR", str(attempt / "gone"))
    with outlast.training() as run:
        run.lock(seed=1)
    monkeypatch.delenv("OUTLAST_ATTEMPT_DIR")
    with outlast.training() as run:
        run.lock(seed=1)


def test_outside_outlast_nothing_is_written(attempt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_page, "_own", None)
    for name in ("OUTLAST_RUN_ID", "OUTLAST_HEARTBEAT"):
        monkeypatch.delenv(name, raising=False)
    with outlast.training() as run:
        run.lock(seed=1)
    assert os.listdir(attempt) == []
