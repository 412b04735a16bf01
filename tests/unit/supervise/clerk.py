"""A run that is to go, and the child that packs and deletes.

It is the real `work/clear`, told when to do its work, or one that dies or never ends.
"""

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from outlast.disk import clearing, files
from outlast.disk.layout import Workspace
from outlast.errors import WorldError
from outlast.facts import Removed, RunId
from outlast.supervise import remove
from outlast.supervise.remove import Removals
from outlast.work.clear import clear
from tests.unit.supervise.conftest import RUN

FILES = {
    "run.json": "{}\n",
    "attempts/0001/output.log": "step 1\n" * 50,
    "checkpoints/step-1/model.pt": "weights",
}
TWIN = RunId("demo-20260102-030405-2")
RM, ARCHIVE = ("rm", 7), ("archive", 8)


def fill(workspace: Workspace, run: RunId = RUN) -> Path:
    folder = Path(workspace.run(run).path)
    for name, body in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body)
    return folder


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def packed(workspace: Workspace, run: RunId = RUN) -> dict[str, str]:
    found: dict[str, str] = {}
    with tarfile.open(workspace.pack(run)) as pack:
        for member in pack.getmembers():
            file = pack.extractfile(member)
            if file is not None:
                found[member.name.removeprefix(f"{run}/")] = file.read().decode()
    return found


def trash(workspace: Workspace) -> list[str]:
    try:
        return sorted(os.listdir(workspace.trash))
    except FileNotFoundError:
        return []


class Clerk:
    """Who starts children, and each of them. `told`: the runs that each was to pack."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.place = workspace, workspace.place("local")
        files.make_directory(self.place.path)
        self.told: list[list[str]] = []
        self.code: int | None = None
        self.refuses = False

    def __call__(self, words: Sequence[str]) -> "Clerk":
        if self.refuses:
            raise WorldError("cannot start a process: Resource temporarily unavailable")
        self.name, packs = words[0], [word.split("=") for word in words[1:]]
        self.packs = [(run, int(request)) for run, request in packs]
        self.told.append([run for run, _ in packs])
        self.code = None
        return self

    def poll(self) -> int | None:
        return self.code

    def does_it(self) -> None:
        clear(self.workspace, self.place, self.name, self.packs)
        self.code = 0

    def says(self, **what: object) -> None:
        clearing.Cleared(self.name, **what).write(self.place)  # type: ignore[arg-type]  # keywords of the test's own, checked when it runs

    def dies(self) -> None:
        self.code = -9


def removals(clerk: Clerk, *, leaves_trash: bool = False) -> Removals:
    return Removals(clerk.workspace, clerk.place, clerk, leaves_trash=leaves_trash)


def gone(removed: Sequence[Removed]) -> list[tuple[RunId | None, int, str]]:
    return [(each.run, each.request, each.how) for each in removed]


@pytest.fixture
def clerk(workspace: Workspace) -> Clerk:
    return Clerk(workspace)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again in the next turn."""
    monkeypatch.setattr(remove, "AGAIN_FIRST_S", 0.0)
