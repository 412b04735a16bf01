"""The tree of a real process, ended for real. `ours` is tried by the live tests: it needs a runner of its own."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from outlast.disk import identity
from outlast.disk.layout import AttemptFolder
from outlast.errors import WorldError
from outlast.runner import census, tree
from outlast.runner.tree import Tree
from tests.runner_driver import is_living, wait_for

pytestmark = pytest.mark.alone
NULL = subprocess.DEVNULL


def wait(pidfds: list[int], seconds: float) -> bool:
    select.select(pidfds, [], [], seconds)
    return False


def orphan(argv: Sequence[str], env: dict[str, str] | None = None) -> int:
    """Start a process in a session of its own that is nobody's child by the time we know its pid."""
    middle = (
        "import subprocess, sys; p = subprocess.Popen(sys.argv[1:], start_new_session=True, stdout=sys.stderr);"
        "print(p.pid, flush=True)"
    )
    words = [sys.executable, "-I", "-S", "-c", middle, *argv]
    printed = subprocess.run(words, env=env, stdin=NULL, stdout=subprocess.PIPE, stderr=NULL, check=True)
    return int(printed.stdout)


class Planted:
    """A training that nobody's child is any more, as one whose runner died, with the mark of `folder`."""

    def __init__(self, folder: Path, code: str) -> None:
        self.folder = AttemptFolder(str(folder / "0001"))
        os.mkdir(self.folder.path)
        env = {**os.environ, "OUTLAST_ATTEMPT_DIR": self.folder.path}
        self.pid = orphan([sys.executable, "-I", "-S", "-c", code], env)
        self.tree = Tree(self.folder, self.folder.path, identity.identity(self.pid), ours=False)

    def clean_up(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        while members := self.tree.members():
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


Plant = Callable[[str], Planted]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    planted: list[Planted] = []

    def one(code: str) -> Planted:
        planted.append(
            Planted(tmp_path, f"{code}\nopen(os.environ['OUTLAST_ATTEMPT_DIR'] + '/up', 'w')\n{LIVE}")
        )
        wait_for(lambda: os.path.exists(planted[-1].folder.path + "/up"), "the training")
        return planted[-1]

    yield one
    for each in planted:
        each.clean_up()


PLAIN = "import os, time, subprocess, signal\n"
# For a minute, in short naps: a signal that comes after Python's last look at its handlers, and before it is in the
# kernel, is not heard before the nap is over.
LIVE = "for _ in range(6000): time.sleep(0.01)"
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
    wait_for(lambda: len(planted.tree.members()) == 2, "both")  # the second may be in the middle of its exec


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


def test_a_training_that_forks_faster_than_we_count_is_ended(plant: Plant) -> None:
    planted = plant(FORKS)
    chain = os.getpgid(planted.pid)
    assert planted.tree.end(0.0, wait)
    wait_for(lambda: not living_in(chain), "the chain's end")


def living_in(group: int) -> list[int]:
    """Found while it stands still: who forks all the time is missed by every look but a signal's."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGSTOP)
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if census.group(pid) == group and is_living(pid)]


def test_a_stopped_training_is_ended_too(plant: Plant) -> None:
    planted = plant(POLITE)
    os.kill(planted.pid, signal.SIGSTOP)
    wait_for(lambda: census.state(planted.pid) == "T", "the stop")
    assert planted.tree.end(20.0, wait)
    assert os.path.exists(planted.folder.path + "/saved")


def test_a_look_that_fails_cuts_no_grace_short(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant(POLITE)
    real, looks = census.pids, iter([False, False, False, False])  # the freeze, the grace and its two counts

    def blind_at_first() -> list[int]:
        if next(looks, True):
            return real()
        raise WorldError("/proc: Input/output error")

    monkeypatch.setattr(census, "pids", blind_at_first)
    assert planted.tree.end(20.0, wait)
    assert os.path.exists(planted.folder.path + "/saved")


def test_what_a_training_starts_to_save_itself_is_not_told_to_end(plant: Plant) -> None:
    """Its handler leaves the saving to a child that would die of TERM."""
    planted = plant(
        PLAIN + "def leave(*_):\n"
        "    subprocess.run(['/bin/sh', '-c', 'sleep 1; touch \"$OUTLAST_ATTEMPT_DIR/saved\"'])\n"
        "    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, leave)\n"
    )
    assert planted.tree.end(20.0, wait)
    assert os.path.exists(planted.folder.path + "/saved")


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[tuple[Tree, int]]:
    """A tree of which only one is left, and nothing tells but the lock that it holds."""
    folder = AttemptFolder(str(tmp_path / "0001"))
    os.mkdir(folder.path)
    Path(folder.lease).touch()
    holder = orphan(["flock", "--no-fork", folder.lease, "sleep", "60"])
    tree_ = Tree(folder, folder.path, None, ours=False)
    wait_for(tree_.is_leased, "the lock")
    yield tree_, holder
    with suppress(ProcessLookupError):
        os.kill(holder, signal.SIGKILL)


def test_who_holds_the_lease_and_lost_all_else_belongs_to_it(leased: tuple[Tree, int]) -> None:
    tree_, holder = leased
    assert not tree_.is_empty()
    wait_for(lambda: list(tree_.members()) == [holder], "the holder")
    assert tree_.end(0.0, wait)
    assert not is_living(holder)
    assert tree_.is_empty()


def test_a_lease_that_an_unseen_holds_keeps_the_attempt_open(
    leased: tuple[Tree, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree_, holder = leased
    monkeypatch.setattr(census, "lock_holders", lambda paths: set())  # it lives in another pid namespace
    monkeypatch.setattr(tree, "KILL_S", 0.2)
    assert not tree_.is_empty()
    assert any("lease" in text for text in tree_.unseen)
    assert not tree_.end(0.0, wait)
    assert is_living(holder)


def test_p1_an_unreadable_process_of_this_user_keeps_it_open_unless_it_is_older(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = orphan(["sleep", "60"])
    planted = plant(PLAIN)
    younger = orphan(["sleep", "60"])
    real, hidden = census.mark_in, (younger, older)
    monkeypatch.setattr(
        census, "mark_in", lambda pid, mark: census.UNREADABLE if pid in hidden else real(pid, mark)
    )
    monkeypatch.setattr(tree, "KILL_S", 0.2)
    try:
        assert planted.tree.end(0.0, wait) is False
        assert not planted.tree.is_empty()
        unseen = planted.tree.unseen  # any process of another test may just be beginning, too
        assert any(f"process {younger} (sleep)" in text for text in unseen)
        assert not any(f"process {older} " in text for text in unseen)
        assert is_living(younger)
        os.kill(younger, signal.SIGKILL)
        wait_for(planted.tree.is_empty, "the attempt's end")
    finally:
        for pid in hidden:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_process_in_the_middle_of_an_exec_keeps_it_open_and_not_for_ever(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = plant(PLAIN)
    real, pid = census.mark_in, planted.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_living(pid), "its death")
    other = orphan(["sleep", "60"])
    try:
        monkeypatch.setattr(
            census, "mark_in", lambda pid, mark: census.EMPTY if pid == other else real(pid, mark)
        )
        assert not planted.tree.is_empty()
        assert "exec" in planted.tree.unseen[0]
        monkeypatch.setattr(tree, "EXEC_S", 0.0)
        assert planted.tree.is_empty()
    finally:
        os.kill(other, signal.SIGKILL)


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
