"""Every attempt is the affair of its run's backend, and one that fails or is unknown blinds no other."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from outlast.cli import backends
from outlast.cli.backends import TABLE, Backends
from outlast.disk import files
from outlast.disk.layout import Workspace
from outlast.errors import UserError, WorldError
from outlast.facts import (
    AttemptId,
    Doors,
    NoDoor,
    Nowhere,
    Order,
    Queued,
    RunId,
    Unseen,
    Where,
    Whereabouts,
)

A, B = AttemptId(RunId("a-20260101-000000"), 1), AttemptId(RunId("b-20260101-000000"), 2)


class Noted:
    """A backend that remembers what it was asked. `blind`: it can do nothing."""

    def __init__(self, name: str) -> None:
        self.name, self.blind = name, False
        self.looked: list[list[AttemptId]] = []
        self.launched: list[AttemptId] = []
        self.nudged: list[AttemptId] = []

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        self.looked.append(list(attempts))
        if self.blind:
            raise WorldError("squeue: timed out")
        return {attempt: Queued(Where(self.name), "here") for attempt in attempts}

    def launch(self, orders: Sequence[Order]) -> None:
        self.launched += [order.attempt for order in orders]
        if self.blind:
            raise WorldError("sbatch: timed out")

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        self.nudged += attempts


class Rig:
    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(str(root))
        self.near, self.far = Noted("near"), Noted("far")
        self.made: list[str] = []
        self.all = Backends(self.workspace, "floor", {"near": self._near, "far": self._far})

    def _near(self, workspace: Workspace, floor: str) -> Noted:
        self.made.append(f"near {floor}")
        return self.near

    def _far(self, workspace: Workspace, floor: str) -> Noted:
        self.made.append(f"far {floor}")
        return self.far

    def accept(self, attempt: AttemptId, backend: str) -> None:
        folder = self.workspace.run(attempt.run)
        files.make_directory(folder.path)
        files.replace(folder.record, {"schema": 1, "backend": backend})


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def order(attempt: AttemptId, backend: str) -> Order:
    return Order(
        attempt=attempt,
        term=1,
        argv=("true",),
        cwd="/",
        env=(),
        resume=None,
        target_step=None,
        stall_limits_s=(),
        stop_grace_s=1.0,
        log_bytes_max=1,
        backend=backend,
    )


def test_each_attempt_is_looked_for_by_the_backend_of_its_run(rig: Rig) -> None:
    rig.accept(A, "near")
    rig.accept(B, "far")
    seen = rig.all.look({A: NoDoor(), B: NoDoor()})
    assert seen == {A: Queued(Where("near"), "here"), B: Queued(Where("far"), "here")}
    assert (rig.near.looked, rig.far.looked) == ([[A]], [[B]])


def test_a_backend_is_made_once_and_when_it_is_first_needed(rig: Rig) -> None:
    assert rig.all.look({}) == {}
    assert rig.made == []
    rig.accept(A, "near")
    for _ in range(3):
        rig.all.look({A: NoDoor()})
    assert rig.made == ["near floor"]


def test_one_that_was_made_is_asked_in_every_turn(rig: Rig) -> None:
    rig.accept(A, "near")
    rig.all.look({A: NoDoor()})
    rig.all.look({})
    assert rig.near.looked == [[A], []]


def test_one_that_is_blind_blinds_no_other(rig: Rig) -> None:
    rig.accept(A, "near")
    rig.accept(B, "far")
    rig.near.blind = True
    seen = rig.all.look({A: NoDoor(), B: NoDoor()})
    assert seen == {A: Unseen("squeue: timed out"), B: Queued(Where("far"), "here")}


def test_a_backend_of_a_newer_version_is_unseen_and_never_absent(rig: Rig) -> None:
    rig.accept(A, "slurm")
    rig.accept(B, "far")
    seen = rig.all.look({A: NoDoor(), B: NoDoor()})
    assert seen[A] == Unseen("this version of outlast knows no backend slurm")
    assert seen[B] == Queued(Where("far"), "here")
    with pytest.raises(WorldError, match="knows no backend slurm"):
        rig.all.launch([order(A, "slurm")])


def test_a_run_that_cannot_be_read_is_unseen(rig: Rig) -> None:
    (seen,) = rig.all.look({A: NoDoor()}).values()
    assert isinstance(seen, Unseen)
    assert rig.all.look({A: NoDoor()}) != {A: Nowhere()}


def test_orders_go_where_they_say_and_what_fails_keeps_no_other(rig: Rig) -> None:
    rig.near.blind = True
    with pytest.raises(WorldError, match="sbatch"):
        rig.all.launch([order(A, "near"), order(B, "far")])
    assert (rig.near.launched, rig.far.launched) == ([A], [B])


def test_a_nudge_goes_to_the_backend_of_the_run(rig: Rig) -> None:
    rig.accept(A, "near")
    rig.accept(B, "far")
    rig.all.end({A: Where("")}, now=False)
    assert (rig.near.nudged, rig.far.nudged) == ([A], [])


def test_an_unknown_name_is_said_with_those_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLE, "another", TABLE["local"])
    backends.check("another")
    with pytest.raises(
        UserError, match="--backend slurm: there is no such backend; known are: another, local"
    ):
        backends.check("slurm")
