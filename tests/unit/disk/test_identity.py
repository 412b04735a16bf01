"""A process is a boot, a namespace, a pid and the tick at which it began; a bare pid is never believed."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import outlast
from outlast.disk import identity
from outlast.errors import WorldError
from tests.unit.disk.faults import Child, as_nobody, become_nobody, in_child, open_descriptors

PR_SET_NAME = 15


@contextmanager
def living(name: str = "") -> Iterator[int]:
    """The pid of a child that lives until we are done, under the name that it gives itself."""

    def wait() -> None:
        if name:
            ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
        while True:
            signal.pause()

    child = Child(wait)
    child.go()
    try:
        until(lambda: state(child.pid) == "S")
        yield child.pid
    finally:
        os.kill(child.pid, signal.SIGKILL)
        assert child.killed()


def until(condition: Any, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came about"


def state(pid: int) -> str:
    fields = identity.stat_fields(pid)
    return fields[0] if fields else "gone"


def test_a_living_process_is_alive_and_we_are_one() -> None:
    assert identity.alive(identity.identity()) is True
    with living() as pid:
        who = identity.identity(pid)
        assert identity.alive(who) is True
        assert identity.here(who)
    assert identity.alive(who) is False


def test_nobody_can_be_named_who_is_gone() -> None:
    with living() as pid:
        pass
    with pytest.raises(WorldError, match="gone"):
        identity.identity(pid)


def test_the_same_pid_with_another_beginning_is_another_process() -> None:
    with living() as pid:
        who = identity.identity(pid)
        earlier = {**who, "start_ticks": who["start_ticks"] - 1}
        assert identity.alive(earlier) is False
        assert identity.open_pidfd(earlier) is None
        assert identity.send(earlier, signal.SIGKILL) is False
        assert identity.alive(who) is True


def test_a_pid_that_the_kernel_gave_to_another_is_neither_alive_nor_signalled() -> None:
    last_pid = Path("/proc/sys/kernel/ns_last_pid")
    if os.getuid() != 0 or not os.access(last_pid, os.W_OK):
        pytest.skip("only root can ask the kernel for a pid")
    with living() as pid:
        old = identity.identity(pid)
    ticks_s = os.sysconf("SC_CLK_TCK")
    until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * ticks_s > old["start_ticks"] + 1)
    for _ in range(200):  # others on this machine fork, too
        last_pid.write_text(str(pid - 1))
        with living() as again:
            if again != pid:
                continue
            assert identity.alive(old) is False
            assert identity.send(old, signal.SIGKILL) is False
            assert identity.alive(identity.identity(again)) is True
            return
    pytest.skip("the kernel gave the pid to nobody")


def test_a_zombie_is_not_alive_though_its_pid_is_taken() -> None:
    child = Child(lambda: os._exit(7))
    who = identity.identity(child.pid)
    assert identity.alive(who) is True
    child.go()
    until(lambda: state(child.pid) == "Z")
    assert identity.alive(who) is False
    with pytest.raises(AssertionError, match="ended with 7"):
        child.answer()


@pytest.mark.parametrize("name", ["x) Z 1 1 (", "a b c d e", "))))", "(", "two\nlines"])
def test_whatever_name_a_process_gives_itself_its_beginning_is_read_rightly(name: str) -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    with living(name) as pid:
        who = identity.identity(pid)
        assert identity.alive(who) is True
        began_s = who["start_ticks"] / os.sysconf("SC_CLK_TCK")
        assert before - 1 < began_s < time.clock_gettime(time.CLOCK_BOOTTIME) + 1


def test_a_process_of_an_earlier_boot_of_this_host_is_dead() -> None:
    assert identity.alive({**identity.identity(), "boot": "another"}) is False


def test_a_process_of_another_host_cannot_be_judged_from_here() -> None:
    assert identity.alive({**identity.identity(), "boot": "another", "host": "elsewhere"}) is None


def test_a_host_by_any_other_name_that_runs_our_kernel_is_this_host() -> None:
    assert identity.alive({**identity.identity(), "host": "a-container"}) is True


def test_a_process_of_another_pid_namespace_cannot_be_judged_and_is_not_signalled() -> None:
    with living() as pid:
        who = {**identity.identity(pid), "pid_ns": 1}
        assert identity.alive(who) is None
        assert identity.send(who, signal.SIGKILL) is False
        assert state(pid) == "S"


def test_a_process_of_another_user_counts_as_alive_and_a_refused_signal_is_no_death() -> None:
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    who = identity.identity()
    assert as_nobody(lambda: identity.alive(who)) is True
    with pytest.raises(WorldError, match="Operation not permitted"):
        as_nobody(lambda: identity.send(who, 0))


def test_a_process_that_proc_hides_from_us_counts_as_alive() -> None:
    """As on machines where /proc is mounted with hidepid=2."""
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    who = identity.identity()

    def look_without_seeing() -> tuple[bool, object]:
        if ctypes.CDLL(None, use_errno=True).unshare(0x00020000) != 0:  # CLONE_NEWNS
            return False, None
        words = ["mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc"]
        quietly = subprocess.DEVNULL
        subprocess.run(["mount", "--make-rprivate", "/"], stderr=quietly)
        if subprocess.run(words, stderr=quietly).returncode != 0:
            return False, None
        become_nobody()
        return not Path(f"/proc/{who['pid']}").exists(), identity.alive(who)

    hidden, alive = in_child(look_without_seeing)
    if not hidden:
        pytest.skip("nothing can be hidden here")
    assert alive is True


def test_a_signal_reaches_exactly_that_process() -> None:
    child = Child(lambda: signal.pause())
    who = identity.identity(child.pid)
    child.go()
    assert identity.send(who, signal.SIGKILL) is True
    assert child.killed()
    assert identity.send(who, signal.SIGKILL) is False


def test_no_signal_is_sent_to_a_bare_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> None:
        raise AssertionError("a bare pid was signalled")

    with living() as pid:
        with monkeypatch.context() as bare:
            bare.setattr(os, "kill", refuse)
            bare.setattr(os, "killpg", refuse)
            assert identity.send(identity.identity(pid), signal.SIGCONT) is True


def test_the_beginning_is_compared_after_the_process_was_pinned_and_nothing_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    who, pinned = identity.identity(), []
    open_pidfd = os.pidfd_open

    def open_what_is_another_by_then(pid: int) -> int:
        pinned.append(pid)
        return open_pidfd(pid)

    monkeypatch.setattr(os, "pidfd_open", open_what_is_another_by_then)
    monkeypatch.setattr(identity, "start_ticks", lambda pid: who["start_ticks"] + len(pinned))
    before = open_descriptors()
    assert identity.open_pidfd(who) is None
    assert pinned == [who["pid"]]
    assert open_descriptors() == before


def test_numbers_that_no_process_ever_has_are_nobody() -> None:
    who = identity.identity()
    for pid in (0, -1, 1 << 40):
        assert identity.alive({**who, "pid": pid}) is False
    assert identity.send({**who, "pid": 1 << 40}, signal.SIGKILL) is False


def test_the_ground_floor_knows_who_it_is_with_nothing_but_the_standard_library() -> None:
    source = str(Path(outlast.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {source!r}); from outlast.disk import identity as who; print(who.host())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == os.uname().nodename
