"""Work in a child that may never come back."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from outlast.runner import beside, census
from tests.runner_driver import PYTHON, wait_for

# What forks here has one thread when it is the runner; under pytest there are others.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


def gone(pid: int) -> bool:
    return census.living(pid) is None


def say_up_and_stay(say: beside.Say) -> None:
    say(b"up")
    signal.pause()


def test_all_that_a_child_says_is_heard_line_by_line() -> None:
    child = beside.Child(lambda say: [say(b"x" * n) for n in range(0, 200_000, 50_000)])
    said = beside.until(child, time.monotonic() + 20)
    assert [len(line) for line in said] == [0, 50_000, 100_000, 150_000]
    assert gone(child.pid)


def test_what_was_said_before_a_child_blocked_is_kept_and_it_is_ended() -> None:
    def work(say: beside.Say) -> None:
        say(b"before")
        signal.pause()

    begun_s = time.monotonic()
    child = beside.Child(work)
    assert beside.until(child, begun_s + 0.3) == [b"before"]
    assert time.monotonic() - begun_s < 5
    assert gone(child.pid)


def test_child_that_fails_is_done_and_takes_nobody_along(capfd: pytest.CaptureFixture[str]) -> None:
    def work(say: beside.Say) -> None:
        raise RuntimeError("planted")

    assert beside.until(beside.Child(work), time.monotonic() + 20) == []
    assert "RuntimeError: planted" in capfd.readouterr().err


def test_child_holds_no_lock_and_hears_no_signal_of_its_parents(tmp_path: Path) -> None:
    """One that blocks for ever would otherwise keep an attempt's claim locked after its runner."""
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = beside.Child(say_up_and_stay)
        assert child.lines(time.monotonic() + 20) == [b"up"]
        assert os.listdir(f"/proc/{child.pid}/fd") != []
        held = {
            os.readlink(f"/proc/{child.pid}/fd/{number}") for number in os.listdir(f"/proc/{child.pid}/fd")
        }
        assert str(tmp_path / "lock") not in held
        os.kill(child.pid, signal.SIGTERM)
        wait_for(lambda: gone(child.pid), "its end")
        child.end()
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(lock)


def test_child_dies_with_its_parent() -> None:
    def parent(say: beside.Say) -> None:
        child = beside.Child(lambda say: signal.pause())
        say(str(child.pid).encode())
        signal.pause()

    outer = beside.Child(parent)
    (pid,) = outer.lines(time.monotonic() + 20)
    outer.end()
    wait_for(lambda: gone(int(pid)), "the end of the inner one")


def test_number_that_another_reaped_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    child = beside.Child(lambda say: None)
    os.waitpid(child.pid, 0)  # as whoever watches does with orphans
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
    child.end()
    assert killed == []


def test_who_says_too_much_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "SAID_BYTES_MAX", 1 << 20)
    child = beside.Child(lambda say: [say(b"x" * 1000) for _ in iter(int, 1)])
    said = beside.until(child, time.monotonic() + 20)
    assert 0 < sum(map(len, said)) < 2 << 20
    assert gone(child.pid)


def test_program_is_heard_and_ended() -> None:
    program = beside.Program([PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr)"])
    while not program.is_done:
        assert beside.wait_any([program.pipe], time.monotonic() + 20)
        program.read()
    program.end()
    assert sorted(program.output.split()) == [b"err", b"out"]


def test_program_that_is_not_there_says_nothing() -> None:
    program = beside.Program(["/nowhere/at-all"])
    assert beside.wait_any([program.pipe], time.monotonic() + 20)
    program.read()
    program.end()
    assert (program.output, program.is_done) == (b"", True)
