import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from outlast.runner import census
from tests.runner_driver import wait_for

MARK = b"\0OUTLAST_ATTEMPT_DIR=/some/attempt\0"
MARKED = {"OUTLAST_ATTEMPT_DIR": "/some/attempt"}
Started = subprocess.Popen[bytes]
Start = Callable[..., Started]


@pytest.fixture
def start() -> Iterator[Start]:
    begun: list[Started] = []

    def one(*words: str, **more: object) -> Started:
        process: Started = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)  # type: ignore[call-overload]  # keywords of the test's own, checked when it runs
        begun.append(process)
        return process

    yield one
    for process in begun:
        for pid in census.descendants(process.pid) | {process.pid}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def ready(process: Started) -> None:
    """It has printed its first line."""
    assert process.stdout is not None
    assert process.stdout.readline()


def test_the_mark_is_found_wherever_it_stands_in_the_environment(start: Start) -> None:
    for env in (MARKED, {"A": "1", **MARKED}, {**MARKED, "Z": "x" * 100_000}, {"B": "x" * 100_000, **MARKED}):
        process = start("cat", env=env)
        assert wait_for(lambda pid=process.pid: census.mark_in(pid, MARK) == census.PRESENT, "the mark")  # type: ignore[misc]  # mypy infers no lambda with a default


def test_half_a_mark_is_none(start: Start) -> None:
    for env in ({"OUTLAST_ATTEMPT_DIR": "/some/attempt2"}, {"X_OUTLAST_ATTEMPT_DIR": "/some/attempt"}, {}):
        process = start("sh", "-c", "echo up; cat", env={"PATH": os.environ["PATH"], **env})
        ready(process)
        assert census.mark_in(process.pid, MARK) == census.ABSENT


def test_a_process_without_any_environment_is_not_looked_at_for_ever(start: Start) -> None:
    process = start("/bin/sh", "-c", "echo up; exec /usr/bin/env -i /bin/cat", env={})
    ready(process)
    wait_for(lambda: census.name(process.pid) == "cat", "the exec")
    assert census.mark_in(process.pid, MARK) == census.ABSENT


def test_who_is_gone_carries_nothing_and_does_not_live(start: Start) -> None:
    process = start("true", env=MARKED)
    process.wait()
    assert (census.mark_in(process.pid, MARK), census.living(process.pid)) == (census.ABSENT, None)
    assert (census.state(process.pid), census.name(process.pid)) == ("", "?")


def test_a_zombie_does_not_live(start: Start) -> None:
    process = start("true", env=MARKED)
    wait_for(lambda: census.state(process.pid) == "Z", "the zombie")
    assert census.living(process.pid) is None
    assert process.pid in census.dead_children(os.getpid())


HIDDEN = """
import ctypes, os, time
os.setgid(65534)
os.setuid(65534)
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
print("up", flush=True)
time.sleep(60)
"""
ZOMBIE_LEADER = """
import ctypes, threading, time, sys
threading.Thread(target=time.sleep, args=(60,)).start()
print("up", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_zombie_leader_of_living_threads_lives_and_keeps_its_mark(start: Start) -> None:
    process = start(sys.executable, "-c", ZOMBIE_LEADER, env={**os.environ, **MARKED})
    ready(process)
    wait_for(lambda: census.state(process.pid) == "Z", "the leader's end")
    assert process.poll() is None
    assert census.living(process.pid) is not None
    assert census.mark_in(process.pid, MARK) == census.PRESENT


def test_descendants_are_found_over_sessions_and_generations(start: Start) -> None:
    process = start("sh", "-c", "setsid sh -c 'sleep 60 & echo up; wait' & wait")
    ready(process)
    wait_for(lambda: "sleep" in map(census.name, census.descendants(process.pid)), "the grandchild")
    assert process.pid in census.descendants(os.getpid())


def test_descendants_are_found_without_the_kernels_list_of_children(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start("sh", "-c", "sh -c 'sleep 60 & echo up; wait' & wait")
    ready(process)
    with_list = census.descendants(process.pid)
    monkeypatch.setattr(census, "_children", lambda pid: None)
    assert census.descendants(process.pid) == with_list
    assert len(with_list) == 2


def test_more_children_than_fit_on_a_page_are_all_seen(start: Start) -> None:
    process = start("sh", "-c", "for i in $(seq 900); do sleep 60 & done; echo up; wait")
    ready(process)
    found = census.descendants(process.pid)
    try:
        assert len(found) == 900
    finally:
        for pid in found:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_entry_that_we_may_not_read_is_said_to_be_so(start: Start) -> None:
    """As nobody, look at a process of nobody that is not dumpable."""
    hidden = start(
        sys.executable,
        "-c",
        HIDDEN,
        env={**os.environ, **MARKED},
    )
    ready(hidden)
    looking = os.fork()
    if looking == 0:
        os.setgid(65534)
        os.setuid(65534)
        seen = (census.mark_in(hidden.pid, MARK), census.owner(hidden.pid))
        os._exit(0 if seen == (census.UNREADABLE, 65534) else 1)
    assert os.waitpid(looking, 0)[1] == 0


def test_the_holder_of_a_lock_is_found_and_not_who_only_reads(tmp_path: Path, start: Start) -> None:
    path = tmp_path / "lease"
    path.touch()
    holder = start("flock", str(path), "sh", "-c", "echo up; sleep 60")
    ready(holder)
    reader = start("tail", "-f", str(path))
    wait_for(
        lambda: any(os.path.realpath(f) == str(path) for f in Path(f"/proc/{reader.pid}/fd").iterdir()),
        "the reader",
    )
    found = census.lock_holders([str(path), str(tmp_path / "missing")])
    assert holder.pid in found
    assert reader.pid not in found


def test_ticks_tell_one_process_from_another_of_the_same_pid(start: Start) -> None:
    process = start("cat")
    assert census.start_ticks(process.pid) == census.living(process.pid)
    assert census.start_ticks(2**22 + 1) is None
