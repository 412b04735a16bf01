"""What ends a sleep, and what must not be slept through."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.supervise import wake as waking
from outlast.supervise.wake import Wake
from tests.unit.disk.faults import Child, open_descriptors

LONG_S = 30.0  # nobody waits so long: something must come first


@pytest.fixture
def wake() -> Iterator[Wake]:
    made = Wake((signal.SIGTERM, signal.SIGHUP))
    made.wait(0)  # the C library is looked for in a child, whose end is heard
    yield made
    made.close()


def woken(wake: Wake) -> bool:
    """Whether a long sleep ends early."""
    began = time.monotonic()
    wake.wait(LONG_S)
    return time.monotonic() - began < LONG_S / 2


def slept(wake: Wake, seconds: float = 0.05) -> bool:
    began = time.monotonic()
    wake.wait(seconds)
    return time.monotonic() - began >= seconds


def watch(wake: Wake, *folders: Path) -> None:
    """Watched, and looked at once more."""
    wake.watch_only({str(folder) for folder in folders})
    wake.wait(0)


def test_a_door_that_is_made_wakes(wake: Wake, tmp_path: Path) -> None:
    watch(wake, tmp_path)
    assert slept(wake)
    files.make_once(str(tmp_path / "00000001.json"), {})
    assert woken(wake)


def test_a_file_that_is_moved_in_wakes(wake: Wake, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "job.jsonl").touch()
    watch(wake, tmp_path / "inbox")
    assert slept(wake)
    (tmp_path / "job.jsonl").rename(tmp_path / "inbox/job.jsonl")
    assert woken(wake)


def test_what_came_before_a_folder_was_watched_is_not_slept_over(wake: Wake, tmp_path: Path) -> None:
    """Looked, then it came, then watched: no event tells of it."""
    wake.watch_only({str(tmp_path)})
    assert woken(wake)
    assert slept(wake)
    wake.watch_only({str(tmp_path)})  # nothing new in that
    assert slept(wake)


def test_only_what_is_asked_for_wakes(wake: Wake, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    watch(wake, first)
    watch(wake, second)
    (first / "x").touch()
    assert slept(wake)
    (second / "x").touch()
    assert woken(wake)


def test_a_folder_that_is_removed_and_made_again_is_watched_again(wake: Wake, tmp_path: Path) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    watch(wake, folder)
    folder.rmdir()
    assert woken(wake)
    folder.mkdir()
    watch(wake, folder)
    (folder / "x").touch()
    assert woken(wake)


def test_a_folder_that_is_not_there_is_left_to_the_deadline(wake: Wake, tmp_path: Path) -> None:
    wake.watch_only({str(tmp_path / "none")})
    assert slept(wake)


def test_a_signal_wakes_and_is_heard_once(wake: Wake) -> None:
    signal.raise_signal(signal.SIGTERM)
    assert woken(wake)
    assert wake.take_signals() == [signal.SIGTERM]
    assert wake.take_signals() == []
    assert slept(wake)


def test_signals_are_heard_in_the_order_in_which_they_came(wake: Wake) -> None:
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
        signal.raise_signal(number)
    assert wake.take_signals() == [signal.SIGHUP, signal.SIGTERM, signal.SIGTERM]


def test_the_end_of_a_child_wakes_and_is_no_wish_of_anybody(wake: Wake) -> None:
    child = Child(lambda: None)
    child.go()
    assert woken(wake)
    child.answer()
    assert wake.take_signals() == []


def test_a_signal_in_the_middle_of_a_sleep_wakes(wake: Wake) -> None:
    us = os.getpid()
    child = Child(lambda: os.kill(us, signal.SIGTERM))
    child.go()
    while not wake.caught:  # its own end wakes us, too
        assert woken(wake)
    child.answer()


def test_a_thousand_events_are_one_wake_up(wake: Wake, tmp_path: Path) -> None:
    watch(wake, tmp_path)
    for n in range(1000):
        (tmp_path / str(n)).touch()
    assert woken(wake)
    assert slept(wake)


def test_without_file_events_there_are_still_signals_and_a_deadline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(waking, "_inotify", lambda: None)
    wake = Wake((signal.SIGTERM,))
    wake.wait(0)
    wake.watch_only({str(tmp_path)})
    assert slept(wake)
    signal.raise_signal(signal.SIGTERM)
    assert woken(wake)
    wake.close()


def test_a_user_with_no_events_left_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(waking, "INotify", refuse)
    wake = Wake((signal.SIGTERM,))
    assert slept(wake)
    wake.close()


def test_closed_it_leaves_everything_as_it_was() -> None:
    before, descriptors = signal.getsignal(signal.SIGTERM), open_descriptors()
    wake = Wake((signal.SIGTERM,))
    assert signal.getsignal(signal.SIGTERM) != before
    wake.close()
    assert (signal.getsignal(signal.SIGTERM), open_descriptors()) == (before, descriptors)
    assert signal.set_wakeup_fd(-1) == -1


def test_no_program_that_we_start_inherits_our_ears() -> None:
    def inherited() -> str:
        code = "import os; print(len(os.listdir('/proc/self/fd')))"
        words = [sys.executable, "-I", "-S", "-c", code]
        return subprocess.run(words, capture_output=True, text=True, check=True, close_fds=False).stdout

    before = inherited()
    wake = Wake((signal.SIGTERM,))
    with_ears = inherited()
    wake.close()
    assert with_ears == before
