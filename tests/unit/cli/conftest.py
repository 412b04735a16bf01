"""A workspace whose supervisor, boards and snapshots are written by hand: what reading verbs read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.cli import main
from outlast.disk import files
from outlast.disk.layout import Workspace


class Desk:
    """`run` one verb as the command line does; (exit code, stdout, stderr)."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self._capsys = root, capsys
        self.workspace = Workspace(str(root))
        files.make_directory(self.workspace.runs)
        files.make_directory(self.workspace.place("local").path)

    def run(self, *words: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = main([*words])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str) -> Any:
        code, out, err = self.run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def write(self, path: str, record: dict[str, Any]) -> None:
        files.make_directory(str(Path(path).parent))
        files.replace(path, record)

    def add(self, run: str, **more: Any) -> dict[str, Any]:
        """A run that was accepted and has a snapshot; on the board once `board` is written."""
        snapshot = snapshot_of(run, **more)
        folder = self.workspace.run(run)
        self.write(
            folder.record, {"schema": 1, "run": run, "name": snapshot["name"], "place": snapshot["place"]}
        )
        self.write(folder.snapshot, {"schema": 1, "term": 1, "record": 9, **snapshot})
        return snapshot

    def board(self, *snapshots: dict[str, Any], place: str = "local", **more: Any) -> None:
        rows = [row_of(self.workspace, snapshot) for snapshot in snapshots]
        record = {"schema": 1, "term": 1, "place": place, "requests": 0, "older": 0, "runs": rows}
        self.write(self.workspace.place(place).board, {**record, **more})


def snapshot_of(run: str, **more: Any) -> dict[str, Any]:
    return {
        "id": run,
        "name": run[:-16],
        "tags": [],
        "phase": "ended",
        "waiting_for": None,
        "outcome": "completed",
        "proof": "exit",
        "cause": None,
        "why": "exit 0",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T01:00:00Z",
        "ended_at": "2026-01-01T01:00:00Z",
        "place": "local",
        "progress": None,
        "attempts": [],
        "checkpoints": [],
        **more,
    }


def row_of(workspace: Workspace, snapshot: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "id",
        "name",
        "phase",
        "waiting_for",
        "outcome",
        "why",
        "tags",
        "created_at",
        "updated_at",
        "ended_at",
    )
    progress = snapshot["progress"] or {}
    n = snapshot["attempts"][-1]["n"] if snapshot["attempts"] else 0
    row = {key: snapshot[key] for key in kept} | {"place": snapshot["place"], "verdict": None, "attempt": n}
    row["attempt_dir"] = workspace.run(snapshot["id"]).attempt(n).path if n else ""
    return row | {key: progress.get(key) for key in ("step", "total", "loss", "rate", "eta_s")}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OUTLAST_WORKSPACE", "SLURM_JOB_ID", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, capsys)


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., Path]:
    """A file in the workspace, executable if so wished."""

    def make(name: str, text: str = "", mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return make
