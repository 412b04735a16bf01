"""A workspace on a real disk, and one run in it."""

from pathlib import Path

import pytest

from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.facts import Moment, RunId, Spec
from outlast.facts.codec import to_record
from tests.unit.disk.conftest import common_ground

__all__ = ["common_ground"]

NOW = Moment("boot", 1.5, 2.5)
RUN = RunId("demo-20260102-030405")


def spec(run: str = RUN, place: str = "local") -> Spec:
    return Spec(RunId(run), place, "local", ("true",), "/", NOW, "cli", "key")


def accept(workspace: Workspace, made: Spec) -> None:
    """As a command does: run.json, made once."""
    folder = workspace.run(made.run)
    files.make_directory(folder.path)
    files.make_once(folder.record, {"schema": 1, **to_record(made)})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))
