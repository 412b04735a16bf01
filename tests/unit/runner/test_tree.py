"""The tree of a real process, ended for real. `ours` is tried by the live tests: it needs a runner of its own."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outlast.disk import identity
from outlast.disk.layout import AttemptFolder
from outlast.runner import census, tree
from outlast.runner.tree import Tree
from tests.runner_driver import is_living, wait_for

NULL = subprocess.DEVNULL


def wait(pidfds: list[int], seconds: float) -> bool:
    select.select(pidfds, [], [], seconds)
    return False


class Planted:
    """A training that nobody's child is any more, as one whose runner died, with the mark of `folder`."""

    def __init__(self, folder: Path, code: str) -> None:
        self.folder = AttemptFolder(str(folder / "0001"))
        os.mkdir(self.folder.path)
        out = folder / "said"
        middle = (
            "import os,subprocess,sys; p=subprocess.Popen([sys.executable,'-c',sys.argv[1]],start_new_session=True);"
            "print(p.pid,flush=True)"
        )
        with out.open("w") as said:
            env = {**os.environ, "OUTLAST_ATTEMPT_DIR": self.folder.path}
            printed = subprocess.run(
                [sys.executable, "-c", middle, code],
                env=env,
                stdin=NULL,
                stdout=subprocess.PIPE,
                stderr=said,
                check=True,
            )
        self.pid = int(printed.stdout.split()[0])
        self.said = out
        self.tree = Tree(self.folder, self.folder.path, identity.identity(self.pid), ours=False)

    def clean_up(self) -> None:
        while members := self.tree.members():
            for pid in members:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


Plant = Callable[[str], Planted]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    planted: list[Planted] = []

    def one(code: str) -> Planted:
        planted.append(
            Planted(tmp_path, code + "\nopen(os.environ['OUTLAST_ATTEMPT_DIR'] + '/up', 'w')\ntime.sleep(60)")
        )
        wait_for(lambda: os.path.exists(planted[-1].folder.path + "/up"), "the training")
        return planted[-1]

    yield one
    for each in planted:
        each.clean_up()


PLAIN = "import os, time, subprocess, signal\n"
OWN_SESSION = PLAIN + (
    "D = subprocess.DEVNULL\n"
    "subprocess.Popen(['sleep', '60'], start_new_session=True, stdin=D, stdout=D, stderr=D)\n"
)
SAME_SESSION_WITHOUT_MARK = PLAIN + "subprocess.Popen(['sleep', '60'], env={})\n"
DEAF = PLAIN + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
FORKS = PLAIN + ("def go():\n    while True:\n        if os.fork(): os._exit(0)\nif os.fork() == 0: go()\n")
POLITE = PLAIN + (
    "def leave(*_):\n"
    "    open(os.environ['OUTLAST_ATTEMPT_DIR'] + '/saved', 'w')\n"
    "    os._exit(0)\n"
    "signal.signal(signal.SIGTERM, leave)\n"
)


def test_ranks_in_sessions_of_their_own_belong_to_it(plant: Plant) -> None:
    planted = plant(OWN_SESSION)
    assert len(planted.tree.members()) == 2


def test_who_lost_the_mark_but_not_the_session_belongs_to_it(plant: Plant) -> None:
    planted = plant(SAME_SESSION_WITHOUT_MARK)
    assert len(planted.tree.members()) == 2
    assert not planted.tree.is_empty()


def test_the_session_still_tells_when_its_leader_is_gone(plant: Plant) -> None:
    planted = plant(SAME_SESSION_WITHOUT_MARK)
    os.kill(planted.pid, signal.SIGKILL)
    wait_for(lambda: not is_living(planted.pid), "the leader's death")
    assert [census.name(pid) for pid in planted.tree.members()] == ["sleep"]


def test_l7_a_session_whose_number_is_anothers_by_now_is_not_ours(plant: Plant) -> None:
    planted = plant(SAME_SESSION_WITHOUT_MARK)
    child = {**identity.identity(planted.pid), "start_ticks": 1}
    other = Tree(planted.folder, "/another/attempt", child, ours=False)
    assert other.members() == {}


def test_a_training_that_heeds_term_has_its_grace(plant: Plant) -> None:
    planted = plant(POLITE)
    assert planted.tree.end(20.0, wait)
    assert os.path.exists(planted.folder.path + "/saved")
    assert planted.tree.is_empty()


def test_one_that_does_not_is_killed_after_it(plant: Plant) -> None:
    planted = plant(DEAF)
    begun = time.monotonic()
    assert planted.tree.end(0.3, wait)
    assert 0.3 <= time.monotonic() - begun < 5
    assert not is_living(planted.pid)


def test_without_grace_it_is_killed_at_once(plant: Plant) -> None:
    planted = plant(POLITE + OWN_SESSION)
    assert planted.tree.end(0.0, wait)
    assert not os.path.exists(planted.folder.path + "/saved")
    assert len(planted.tree.ended) == 2


def test_who_must_hurry_gives_no_more_grace(plant: Plant) -> None:
    planted = plant(DEAF)
    begun = time.monotonic()
    assert planted.tree.end(60.0, lambda pidfds, seconds: wait(pidfds, min(seconds, 0.1)) or True)
    assert time.monotonic() - begun < 5


def test_a_training_that_forks_without_end_is_ended(plant: Plant) -> None:
    planted = plant(FORKS)
    assert planted.tree.end(0.0, wait)
    assert planted.tree.is_empty()


def test_a_stopped_training_is_ended_too(plant: Plant) -> None:
    planted = plant(POLITE)
    os.kill(planted.pid, signal.SIGSTOP)
    assert planted.tree.end(20.0, wait)
    assert os.path.exists(planted.folder.path + "/saved")


def test_who_holds_the_lease_and_lost_all_else_belongs_to_it(tmp_path: Path) -> None:
    folder = AttemptFolder(str(tmp_path / "0001"))
    os.mkdir(folder.path)
    Path(folder.lease).touch()
    holder = subprocess.Popen(["flock", folder.lease, "sleep", "60"], start_new_session=True)
    try:
        lost = Tree(folder, folder.path, None, ours=False)
        wait_for(lost.is_leased, "the lock")
        wait_for(lambda: lost.members(), "the holder")
        assert not lost.is_empty()
        assert lost.end(0.0, wait)
        assert not lost.is_leased()
    finally:
        holder.kill()
        holder.wait()


def test_a_lease_that_an_unseen_holds_keeps_the_attempt_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = AttemptFolder(str(tmp_path / "0001"))
    os.mkdir(folder.path)
    Path(folder.lease).touch()
    monkeypatch.setattr(census, "lock_holders", lambda paths: set())  # it lives in another pid namespace
    monkeypatch.setattr(tree, "KILL_S", 0.2)
    holder = subprocess.Popen(["flock", folder.lease, "sleep", "60"], start_new_session=True)
    try:
        lost = Tree(folder, folder.path, None, ours=False)
        wait_for(lost.is_leased, "the lock")
        assert not lost.is_empty()
        assert any("lease" in text for text in lost.unseen)
        assert not lost.end(0.0, wait)
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()


def test_p1_an_unreadable_process_of_this_user_keeps_it_open_unless_it_is_older(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = plant(PLAIN)
    stranger = subprocess.Popen(["sleep", "60"], stdin=NULL)
    older = os.getppid()
    try:
        real = census.carries
        hidden = (stranger.pid, older)
        monkeypatch.setattr(census, "carries", lambda pid, mark: None if pid in hidden else real(pid, mark))
        assert planted.tree.end(0.0, wait) is False or planted.tree.unseen
        assert not planted.tree.is_empty()
        assert [text for text in planted.tree.unseen if f"process {stranger.pid} " in text]
        assert not [text for text in planted.tree.unseen if f"process {older} " in text]
    finally:
        stranger.kill()
        stranger.wait()


def test_a_proc_that_cannot_be_read_is_not_an_empty_tree(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = plant(PLAIN)
    with monkeypatch.context() as blind:
        blind.setattr(tree, "KILL_S", 0.1)
        blind.setattr(os, "listdir", lambda path: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert planted.tree.end(0.0, wait) is False
    assert is_living(planted.pid)


def test_signals_go_to_exactly_that_process(plant: Plant) -> None:
    planted = plant(PLAIN)
    ticks = census.start_ticks(planted.pid)
    assert ticks is not None
    assert tree.send(planted.pid, ticks + 1, signal.SIGKILL) is False
    assert is_living(planted.pid)
    assert tree.send(planted.pid, ticks, signal.SIGKILL) is True
    wait_for(lambda: not is_living(planted.pid), "its death")
