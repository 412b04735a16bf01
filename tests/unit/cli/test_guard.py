"""The guard: a supervisor that dies is started again; one that leaves is let go."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.cli import guard as guards

# Counts its own starts in a file, then does what a test says.
COUNTING = (
    "import os, sys; p = sys.argv[1]; n = len(open(p).read()) if os.path.exists(p) else 0; "
    "open(p, 'a').write('x'); "
)


@pytest.fixture(autouse=True)
def handlers() -> object:
    old = {number: signal.getsignal(number) for number in guards.PASSED_ON}
    yield
    for number, handler in old.items():
        signal.signal(number, handler)


def child(tmp_path: Path, what: str) -> list[str]:
    return [sys.executable, "-c", COUNTING + what, str(tmp_path / "count")]


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "count").read_text())


@pytest.mark.parametrize("death", ["os.kill(os.getpid(), 9)", "sys.exit(1)", "sys.exit(70)"])
def test_one_that_dies_is_started_again(tmp_path: Path, death: str) -> None:
    waits: list[float] = []
    assert guards.guard(child(tmp_path, f"n < 3 and {death}"), sleep=waits.append) == 0
    assert starts(tmp_path) == 4
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("code", [0, 2, 4, 75])
def test_one_that_leaves_on_purpose_is_let_go(tmp_path: Path, code: int) -> None:
    assert guards.guard(child(tmp_path, f"sys.exit({code})")) == code
    assert starts(tmp_path) == 1


def test_waits_are_bounded(tmp_path: Path) -> None:
    waits: list[float] = []
    guards.guard(child(tmp_path, "n < 9 and sys.exit(1)"), sleep=waits.append)
    assert max(waits) == guards.LAST_WAIT_S


def test_after_a_long_life_waits_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "HEALTHY_S", 0.0)
    waits: list[float] = []
    guards.guard(child(tmp_path, "n < 3 and sys.exit(1)"), sleep=waits.append)
    assert waits == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_once_and_ends_both(number: signal.Signals) -> None:
    heard = "import signal, sys\n" + (
        f"signal.signal({int(number)}, lambda *_: (print('heard', flush=True), sys.exit(3)))\n"
        "print('ready', flush=True); signal.pause()"
    )
    program = "import sys; from outlast.cli.guard import guard; sys.exit(guard([sys.executable, '-c', sys.argv[1]]))"
    words = [sys.executable, "-c", program, heard]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, number)  # as a terminal does; the child has a session of its own
        assert process.stdout.read() == "heard\n"
        assert process.wait(timeout=20) == 3


def test_the_guard_needs_the_standard_library_only() -> None:
    source = Path(guards.__file__).parent.parent.parent
    program = "import sys; sys.path[:0] = [sys.argv[1]]; import outlast.cli.guard"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, str(source)], check=True)
