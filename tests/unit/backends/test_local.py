"""What only the local backend can do: runners as processes of this host, found again by the lock of their claim."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outlast.backends import local
from outlast.backends.local import LocalBackend, runners
from outlast.disk import files, identity
from outlast.disk.attempt import shut
from outlast.disk.clock import moment
from outlast.disk.layout import AttemptFolder, Workspace
from outlast.errors import WorldError
from outlast.facts import (
    AttemptId,
    Begun,
    Gone,
    NoDoor,
    Nowhere,
    Order,
    Process,
    Queued,
    RunId,
    Running,
    Unseen,
    Where,
)
from outlast.facts.codec import from_record
from tests.contract.grounds import end_all_of, end_runners
from tests.unit.disk.faults import Child, open_descriptors

ID = AttemptId(RunId("demo-20260102-030405"), 1)
ORDER = Order(
    attempt=ID,
    term=3,
    argv=("true",),
    cwd="/",
    env=(),
    resume=None,
    target_step=None,
    stall_limits_s=(),
    stop_grace_s=1.0,
    log_bytes_max=1 << 20,
)
# A runner that says how it was started, and then waits to be killed.
SAYS_HOW_IT_STANDS = """
import json, os, signal, sys
def main():
    told = os.read(0, 65536) if len(sys.argv) == 1 else None
    if told == b"":
        return 0
    if told is not None:
        folder, name, _ = told.split(b"\\0")
        os.dup2(os.open(folder + b"/runner.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 1)
        sys.argv += [os.fsdecode(folder), os.fsdecode(name)]
    facts = {"argv": sys.argv, "flags": [sys.flags.isolated, sys.flags.no_site], "env": dict(os.environ),
             "cwd": os.getcwd(), "leads_its_session": os.getsid(0) == os.getpid(),
             "stdin": os.readlink("/proc/self/fd/0"), "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))}
    print(json.dumps(facts), flush=True)
    signal.pause()
"""


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    made = Workspace(str(tmp_path)).run(ID.run).attempt(1)
    files.make_directory(made.path)
    return made


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LocalBackend]:
    """Its runners are SAYS_HOW_IT_STANDS."""
    life = tmp_path / "floor/outlast/runner/life.py"
    life.parent.mkdir(parents=True)
    (life.parent.parent / "__init__.py").touch()
    life.write_text(SAYS_HOW_IT_STANDS)
    made = LocalBackend(Workspace(str(tmp_path)), str(tmp_path / "floor"))
    yield made
    end_runners(made)
    end_all_of(tmp_path)


@pytest.fixture
def claimed(folder: AttemptFolder) -> Iterator[Child]:
    """Another process that made the claim and holds its lock until it is killed."""

    def claim_and_wait() -> None:
        files.make_once(folder.claim, claim_by(identity.identity()), lock=True)
        while True:
            signal.pause()

    runner = Child(claim_and_wait)
    runner.go()
    until(lambda: files.is_locked(folder.claim))
    yield runner
    os.kill(runner.pid, signal.SIGKILL)
    runner.killed()


def claim_by(by: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "begun", "by": by, "where": {"backend": "local"}, "order": "order.3.json", "at": moment()}


def begun(by: dict[str, Any]) -> Begun:
    return Begun(from_record(by, Process), Where("local"), "order.3.json", started=True)


def look(backend: LocalBackend, by: dict[str, Any]) -> object:
    return backend.look({ID: begun(by)})[ID]


def until(condition: Any, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came about"


class Processes:
    """Counts what is started, and starts it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started = 0
        start = subprocess.Popen

        def count(*words: Any, **more: Any) -> Any:
            self.started += 1
            return start(*words, **more)

        monkeypatch.setattr(subprocess, "Popen", count)


# --- how a runner is started -----------------------------------------------------------------------------------------


def test_a_runner_starts_clean_whatever_its_supervisor_was_started_with(
    backend: LocalBackend, folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("OUTLAST_RUN_ID", "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD_X", "HARMLESS"):
        monkeypatch.setenv(name, "junk")
    lock = files.open_lock(str(tmp_path / "lock"))
    os.set_inheritable(lock, True)
    backend.launch([ORDER])
    until(lambda: Path(folder.runner_log).read_text().endswith("\n"))
    os.close(lock)
    told = json.loads(Path(folder.runner_log).read_text())
    assert told["argv"][1:] == [folder.path, "order.3.json"]
    assert told["flags"] == [1, 1]
    assert told["env"]["HARMLESS"] == "junk"
    assert [name for name in told["env"] if name.startswith(("OUTLAST_", "PYTHON", "LD_"))] == []
    assert (told["cwd"], told["leads_its_session"], told["stdin"]) == ("/", True, "/dev/null")
    assert told["descriptors"][:3] == [0, 1, 2]
    assert len(told["descriptors"]) == 4  # the last is that of the listing


def test_many_launches_start_one_process(
    backend: LocalBackend, folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(monkeypatch)
    for _ in range(5):
        backend.launch([ORDER])
    assert processes.started == 1
    assert isinstance(backend.look({ID: NoDoor()})[ID], Queued)


@pytest.mark.usefixtures("claimed")
def test_a_launch_of_what_another_supervisor_launched_starts_nothing_while_its_runner_lives(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(monkeypatch)
    backend.launch([ORDER])
    assert processes.started == 0


def test_a_runner_that_left_is_forgotten_and_the_same_launch_starts_another(
    backend: LocalBackend, folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(monkeypatch)
    backend.launch([ORDER])
    backend._children[ID].kill()
    until(lambda: backend.look({ID: NoDoor()})[ID] == Nowhere())
    backend.launch([ORDER])
    assert processes.started == 2


# --- a runner in waiting ---------------------------------------------------------------------------------------------


def spare_of(backend: LocalBackend) -> runners.Runner | None:
    return backend._runners._spare


@pytest.mark.usefixtures("claimed")
def test_while_something_lives_one_runner_waits_and_becomes_the_next_attempt_s(
    backend: LocalBackend, tmp_path: Path
) -> None:
    assert backend.look({ID: NoDoor()}) == {ID: Nowhere()}
    assert spare_of(backend) is None
    look(backend, identity.identity())
    waiting = spare_of(backend)
    assert waiting is not None
    second = msgspec.structs.replace(ORDER, attempt=AttemptId(ID.run, 2))
    folder = Workspace(str(tmp_path)).run(ID.run).attempt(2)
    files.make_directory(folder.path)
    backend.launch([second])
    until(lambda: Path(folder.runner_log).exists() and Path(folder.runner_log).read_text().endswith("\n"))
    told = json.loads(Path(folder.runner_log).read_text())
    assert told["argv"][1:] == [folder.path, "order.3.json"]
    assert (told["cwd"], told["leads_its_session"]) == ("/", True)
    assert backend._children[second.attempt].pid == waiting.pid
    assert spare_of(backend) is None


@pytest.mark.usefixtures("claimed")
def test_a_runner_in_waiting_that_has_died_costs_nobody_a_launch(
    backend: LocalBackend, tmp_path: Path
) -> None:
    look(backend, identity.identity())
    waiting = spare_of(backend)
    assert waiting is not None
    os.kill(waiting.pid, signal.SIGKILL)
    until(lambda: state(waiting.pid) == "Z")
    second = msgspec.structs.replace(ORDER, attempt=AttemptId(ID.run, 2))
    files.make_directory(Workspace(str(tmp_path)).run(ID.run).attempt(2).path)
    backend.launch([second])
    assert backend._children[second.attempt].pid != waiting.pid
    assert backend._children[second.attempt].poll() is None


@pytest.mark.usefixtures("claimed")
def test_a_runner_in_waiting_leaves_with_its_supervisor_though_others_were_started_since(
    backend: LocalBackend, tmp_path: Path
) -> None:
    look(backend, identity.identity())
    first = spare_of(backend)
    assert first is not None
    assert first.stdin is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as other:
        first.stdin.close()  # as the kernel does when a supervisor dies
        until(lambda: first.poll() is not None)
        other.kill()


@pytest.mark.usefixtures("claimed")
def test_a_runner_in_waiting_is_dismissed_when_nothing_has_lived_for_a_while(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(backend, identity.identity())
    backend.look({ID: NoDoor()})
    waiting = spare_of(backend)
    assert waiting is not None
    later(monkeypatch, runners.SPARE_IDLE_S + 1)
    backend.look({ID: NoDoor()})
    assert spare_of(backend) is None
    assert waiting.returncode is not None


@pytest.mark.usefixtures("claimed")
def test_a_machine_that_can_fork_no_more_can_still_be_looked_at(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object, **more: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fail)
    assert look(backend, identity.identity()) == Running(Where("local"), watched=True)


def test_an_interpreter_that_is_missing_is_a_failed_act(folder: AttemptFolder, tmp_path: Path) -> None:
    gone = LocalBackend(Workspace(str(tmp_path)), "/floor", python=str(tmp_path / "deleted/python"))
    with pytest.raises(WorldError, match="cannot start a runner: No such file"):
        gone.launch([ORDER])
    assert gone.look({ID: NoDoor()}) == {ID: Nowhere()}


def test_a_machine_that_can_fork_no_more_is_a_failed_act_and_leaves_no_descriptor_open(
    backend: LocalBackend, folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object, **more: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = open_descriptors()
    with monkeypatch.context() as full:
        full.setattr(subprocess, "Popen", fail)
        with pytest.raises(WorldError, match="Resource temporarily unavailable"):
            backend.launch([ORDER])
    assert open_descriptors() == before
    backend.launch([ORDER])
    assert isinstance(backend.look({ID: NoDoor()})[ID], Queued)


def test_an_attempt_without_a_folder_is_a_failed_act(backend: LocalBackend) -> None:
    with pytest.raises(WorldError, match=r"runner\.log"):
        backend.launch([ORDER])


# --- what the lock, the boot and the namespace say -------------------------------------------------------------------


def test_the_lock_of_the_claim_says_whether_its_runner_lives(
    backend: LocalBackend, folder: AttemptFolder, claimed: Child
) -> None:
    by = identity.identity(claimed.pid)
    assert look(backend, by) == Running(Where("local"), watched=True)
    os.kill(claimed.pid, signal.SIGKILL)
    until(lambda: not files.is_locked(folder.claim))
    assert look(backend, by) == Running(Where("local"), watched=False)


def test_a_pid_in_a_claim_is_never_believed(backend: LocalBackend, folder: AttemptFolder) -> None:
    """The runner is gone, and its pid is ours now."""
    files.make_once(folder.claim, claim_by(identity.identity()))
    assert look(backend, identity.identity()) == Running(Where("local"), watched=False)


@pytest.mark.usefixtures("claimed")
def test_a_container_by_another_name_on_our_kernel_can_be_judged(backend: LocalBackend) -> None:
    by = {**identity.identity(), "host": "4f2a9c1b"}
    assert look(backend, by) == Running(Where("local"), watched=True)


def test_what_began_in_another_pid_namespace_is_over_once_nothing_holds_its_locks(
    backend: LocalBackend, folder: AttemptFolder
) -> None:
    by = {**identity.identity(), "pid_ns": 1}
    files.make_once(folder.claim, claim_by(by))
    for path in (folder.lease, folder.output):
        held = files.open_lock(path)
        assert files.try_lock(held)
        assert isinstance(look(backend, by), Unseen)
        os.close(held)
    gone = look(backend, by)
    assert isinstance(gone, Gone)
    assert gone.word.state == "NAMESPACE-ENDED"


def test_a_claim_that_cannot_be_seen_any_more_is_unseen(backend: LocalBackend, folder: AttemptFolder) -> None:
    assert isinstance(look(backend, identity.identity()), Unseen)


def test_a_lock_that_cannot_be_looked_at_spoils_no_other_answer(
    backend: LocalBackend, folder: AttemptFolder
) -> None:
    Path(folder.claim).symlink_to("claim")
    other = AttemptId(ID.run, 2)
    seen = backend.look({ID: begun(identity.identity()), other: NoDoor()})
    assert isinstance(seen[ID], Unseen)
    assert seen[other] == Nowhere()


# --- nudges ----------------------------------------------------------------------------------------------------------


def test_a_nudge_reaches_the_runner_that_the_claim_names(
    backend: LocalBackend, folder: AttemptFolder
) -> None:
    child = Child(signal.pause)
    files.make_once(folder.claim, claim_by(identity.identity(child.pid)))
    backend.end({ID: Where("local")}, now=False)  # it waits for the stopped process
    child.go()
    until(lambda: state(child.pid) == "Z")
    assert child.ended_by() == -signal.SIGUSR2  # this one does not know what it means


def test_a_nudge_never_reaches_who_has_got_the_pid_of_a_runner_that_is_gone(
    backend: LocalBackend, folder: AttemptFolder
) -> None:
    child = Child(lambda: "alive")
    gone = identity.identity(child.pid)
    files.make_once(folder.claim, claim_by({**gone, "start_ticks": gone["start_ticks"] - 1}))
    backend.end({ID: Where("local")}, now=True)
    child.go()
    assert child.answer() == "alive"


def test_a_nudge_behind_a_shut_door_is_nobody_s(backend: LocalBackend, folder: AttemptFolder) -> None:
    shut(folder, final=True, why="called off", term=1)
    backend.end({ID: Where("local")}, now=True)


# --- a runner that was stopped ---------------------------------------------------------------------------------------


def test_a_runner_that_is_stopped_for_a_minute_is_helped_on(
    backend: LocalBackend, folder: AttemptFolder, claimed: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = identity.identity(claimed.pid)
    os.kill(claimed.pid, signal.SIGSTOP)
    until(lambda: state(claimed.pid) == "T")
    assert look(backend, by) == Running(Where("local"), watched=True)
    later(monkeypatch, local.STOPPED_CONTINUE_S - 1)
    assert look(backend, by) == Running(Where("local"), watched=True)
    later(monkeypatch, 2)
    assert look(backend, by) == Running(Where("local"), watched=False)
    backend.launch([ORDER])
    until(lambda: state(claimed.pid) == "S")
    assert look(backend, by) == Running(Where("local"), watched=True)
    assert ID not in backend._children


def test_a_runner_that_stays_stopped_is_killed_and_replaced(
    backend: LocalBackend, folder: AttemptFolder, claimed: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    by = identity.identity(claimed.pid)
    os.kill(claimed.pid, signal.SIGSTOP)
    until(lambda: state(claimed.pid) == "T")
    look(backend, by)
    later(monkeypatch, local.STOPPED_KILL_S + 1)
    assert look(backend, by) == Running(Where("local"), watched=False)
    backend.launch([ORDER])
    until(lambda: not files.is_locked(folder.claim))
    assert ID not in backend._children  # first it has to be gone
    assert look(backend, by) == Running(Where("local"), watched=False)
    backend.launch([ORDER])
    assert ID in backend._children


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + seconds)


def state(pid: int) -> str:
    fields = identity.stat_fields(pid)
    return fields[0] if fields else "gone"


def test_the_words_that_start_a_runner_find_the_package_under_isolation(tmp_path: Path) -> None:
    (tmp_path / "outlast/runner").mkdir(parents=True)
    for name in ("__init__.py", "runner/__init__.py"):
        (tmp_path / "outlast" / name).touch()
    (tmp_path / "outlast/runner/life.py").write_text("import sys\ndef main():\n    return len(sys.argv)\n")
    words = [sys.executable, "-I", "-S", "-c", runners.BOOT, str(tmp_path), "ATTEMPT_DIR", "order.1.json"]
    assert subprocess.run(words, cwd="/").returncode == 3
