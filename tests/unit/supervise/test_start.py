"""How a supervisor is started in the background, and how often."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.supervise import start


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """Supervisors there never come up; those who were started are ended at last."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(start, "STARTED_WITHIN_S", 0.2)
    monkeypatch.setattr(start, "_started", {})
    yield Workspace(str(tmp_path))
    for process in start._started.values():
        process.kill()
        process.wait()


def test_while_the_guard_of_a_supervisor_that_dies_at_every_start_lives_no_second_one_is_started(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = (sys.executable, "-c", "import time; time.sleep(600)")
    monkeypatch.setattr(start, "command", lambda *_: guard)
    with pytest.raises(WorldError, match="no supervisor could be started"):
        start.ensure(workspace, "local")
    (first,) = start._started.values()
    start.ensure(workspace, "local")
    assert list(start._started.values()) == [first]
    first.kill()
    first.wait()
    with pytest.raises(WorldError, match="no supervisor could be started"):
        start.ensure(workspace, "local")
    assert list(start._started.values()) != [first]
