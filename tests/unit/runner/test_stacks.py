"""Asking real processes for their stacks: those that answer, those that cannot, and those that must not be asked."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from outlast.runner import census, frames, stacks
from outlast.runner.stacks import Answer
from tests import hangs
from tests.hangs import Hung, code, hung, line_of
from tests.runner_driver import PYTHON, wait_for

# What forks here has one thread when it is the runner; under pytest there are others.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


def ask(who: Hung | dict[int, int]) -> dict[int, Answer]:
    return stacks.ask(who.members if isinstance(who, Hung) else who, time.monotonic() + 10)


def main_frames(answer: Answer) -> list[str]:
    main = frames.main_thread(frames.threads(answer.text))
    assert main is not None, answer.reason
    return [str(frame) for frame in main.frames]


def test_endless_loop_shows_the_line_at_which_it_goes_round(tmp_path: Path) -> None:
    words = code(tmp_path / "loop.py", hangs.LOOP)
    lines = [line_of(hangs.LOOP, "while True"), line_of(hangs.LOOP, "never ends")]
    tops = [f"{tmp_path}/loop.py:{line} spin" for line in lines]
    with hung(words, where="") as looping:
        wait_for(lambda: main_frames(ask(looping)[looping.pid])[0] in tops, "the loop")


def test_c_call_that_deadlocks_with_the_gil_held_shows_who_called_it(tmp_path: Path) -> None:
    words = code(tmp_path / "held.py", hangs.GIL_HELD)
    with hung(words, where="futex") as held:
        answer = ask(held)[held.pid]
        assert hangs.waits_in(held.pid, "futex"), "asking has ended the deadlock"
    line = line_of(hangs.GIL_HELD, "with the GIL")
    assert main_frames(answer)[0] == f"{tmp_path}/held.py:{line} deadlock"


def test_deadlock_without_the_gil_is_told_from_the_thread_that_lives_on(tmp_path: Path) -> None:
    words = code(tmp_path / "released.py", hangs.GIL_RELEASED)
    with hung(words, where="futex") as released:
        answer = ask(released)[released.pid]
    line = line_of(hangs.GIL_RELEASED, "without the GIL")
    assert main_frames(answer)[0] == f"{tmp_path}/released.py:{line} deadlock"
    assert len(frames.threads(answer.text)) == 2


def test_loop_inside_of_one_c_call_answers_though_no_bytecode_is_run() -> None:
    with hung(hangs.IN_C, where="") as inside:
        wait_for(lambda: main_frames(ask(inside)[inside.pid]) == ["<string>:4 <module>"], "the call")


def test_shell_around_the_training_is_not_asked_and_lives_on(tmp_path: Path) -> None:
    """The signal would end it, and with it the training."""
    words = " ".join(code(tmp_path / "nap.py", hangs.NAP))
    with hung(["bash", "-c", f"{words}; echo never"], where="wait") as wrapped:
        (training,) = census.descendants(wrapped.pid)
        wait_for(lambda: hangs.waits_in(training, "nanosleep"), "the hang")
        answers = ask(wrapped)
        assert "does not know the stack signal" in answers[wrapped.pid].reason
        assert "nap" in answers[training].text
        assert census.living(wrapped.pid)
        assert census.living(training)


def test_python_without_our_sitecustomize_is_not_asked_and_lives_on() -> None:
    with hung(hangs.NAP, env=hangs.CLEAN) as bare:
        answer = ask(bare)[bare.pid]
        assert (answer.text, "--no-inject" in answer.reason) == ("", True)
        assert census.living(bare.pid)


def test_who_catches_the_signal_for_reasons_of_its_own_is_not_asked() -> None:
    theirs = "import signal\nsignal.signal(41, lambda number, frame: print('hit', flush=True))\n"
    with hung(theirs + hangs.NAP, env=hangs.CLEAN) as other:
        assert "no memory" in ask(other)[other.pid].reason
        assert census.living(other.pid)


def test_stopped_process_is_said_to_be_stopped_and_is_not_asked() -> None:
    with hung(hangs.NAP) as stopped:
        os.kill(stopped.pid, signal.SIGSTOP)
        wait_for(lambda: census.state(stopped.pid) == "T", "the stop")
        begun_s = time.monotonic()
        answer = ask(stopped)[stopped.pid]
        assert time.monotonic() - begun_s < stacks.ANSWER_S
        assert (answer.text, "stopped (state T)" in answer.reason) == ("", True)
        os.kill(stopped.pid, signal.SIGCONT)
        wait_for(lambda: census.state(stopped.pid) == "S", "its going on")
        assert ask(stopped)[stopped.pid].text.count("Current thread") == 1, "it was asked while stopped"


@pytest.mark.slow
def test_who_blocks_the_signal_is_waited_for_for_two_seconds_and_no_longer() -> None:
    deaf = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
    with hung(deaf + hangs.NAP) as blocking:
        begun_s = time.monotonic()
        answer = ask(blocking)[blocking.pid]
        assert stacks.ANSWER_S <= time.monotonic() - begun_s < stacks.ANSWER_S + 2
    assert (answer.text, answer.reason) == ("", "all its threads block the signal")


def test_threads_that_block_the_signal_for_good_do_not_make_an_answer_wait() -> None:
    deaf = """
import signal, threading
def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    ready.set()
    threading.Event().wait()
ready = threading.Event()
threading.Thread(target=deaf, daemon=True).start()
ready.wait()
"""
    with hung(deaf + hangs.NAP) as process:
        begun_s = time.monotonic()
        answer = ask(process)[process.pid]
        assert time.monotonic() - begun_s < stacks.ANSWER_S
    assert (answer.reason, len(frames.threads(answer.text))) == ("", 2)


def test_second_answer_holds_nothing_of_the_first() -> None:
    with hung(hangs.NAP) as asked_twice:
        first, second = (ask(asked_twice)[asked_twice.pid].text for _ in range(2))
    assert first.count("Current thread") == second.count("Current thread") == 1


def test_large_answer_is_whole() -> None:
    many = """
import threading
def deep(n):
    return deep(n - 1) if n else threading.Event().wait()
for _ in range(90):
    threading.Thread(target=deep, args=(60,), daemon=True).start()
"""
    with hung(many + hangs.NAP) as large:
        answer = ask(large)[large.pid]
    found = frames.threads(answer.text)
    assert (answer.reason, len(found)) == ("", 91)
    assert main_frames(answer)[0] == "<string>:10 nap"


def test_more_than_a_hundred_threads_hide_the_main_one_and_the_answer_says_so() -> None:
    many = """
import threading
for _ in range(120):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
    with hung(many + hangs.NAP) as crowd:
        answer = ask(crowd)[crowd.pid]
    assert "without the main one" in answer.reason
    assert frames.main_thread(frames.threads(answer.text)) is None


def test_another_process_under_a_used_number_is_never_signalled() -> None:
    with hung(hangs.NAP) as newer:
        answer = ask({newer.pid: newer.members[newer.pid] - 1})[newer.pid]
        assert (answer.text, answer.reason) == ("", "it has ended")


def test_who_has_ended_is_said_to_have_ended() -> None:
    with hung(hangs.NAP) as gone:
        members = gone.members
        os.kill(gone.pid, signal.SIGKILL)
        wait_for(lambda: census.state(gone.pid) == "Z", "its end")
        assert ask(members)[gone.pid].reason == "it has ended"


def test_two_that_share_one_memory_are_told_apart_by_asking_one() -> None:
    """A library that forks without Python's knowledge leaves its child the parent's page."""
    forking = "import ctypes\nctypes.CDLL(None).fork()\n"
    with hung(forking + hangs.NAP) as pair:
        wait_for(lambda: len(pair.members) == 2, "the fork")
        answers = ask(pair)
        reasons = sorted(answer.reason for answer in answers.values())
    assert reasons[0] == ""
    assert reasons[1].startswith("it shares its memory for stacks")


# --- py-spy -------------------------------------------------------------------------------------------------------


def spy(pids: list[int], within_s: float = 20.0) -> dict[int, Answer]:
    program = stacks.find_spy(os.environ["PATH"])
    assert program is not None, "py-spy is not installed: it is part of the extra `dev`"
    return stacks.spy(pids, program, time.monotonic() + within_s)


def test_py_spy_sees_who_cannot_answer(tmp_path: Path) -> None:
    words = code(tmp_path / "nap.py", hangs.NAP)
    with hung(words, env=hangs.CLEAN) as stopped:
        os.kill(stopped.pid, signal.SIGSTOP)
        wait_for(lambda: census.state(stopped.pid) == "T", "the stop")
        answer = spy([stopped.pid])[stopped.pid]
        assert census.state(stopped.pid) == "T", "it was continued"
    assert answer.by == "py-spy"
    assert main_frames(answer)[0] == f"{tmp_path}/nap.py:{line_of(hangs.NAP, 'sleep')} nap"


def test_what_py_spy_cannot_see_is_said_in_its_own_words() -> None:
    with hung(["sh", "-c", "echo ready; sleep 3600"], where="") as shell:
        answer = spy([shell.pid])[shell.pid]
    assert (answer.text, answer.reason.startswith("py-spy: ")) == ("", True)


def stand_in(path: Path, script: str) -> str:
    program = path / "py-spy"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return str(program)


def test_py_spy_that_does_not_end_is_ended_in_time(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "echo $$ >> " + str(tmp_path / "pids") + "; exec sleep 3600")
    begun_s = time.monotonic()
    answers = stacks.spy(range(1, 30), program, begun_s + 0.5)
    assert time.monotonic() - begun_s < 5
    assert {answer.reason for answer in answers.values()} == {
        "py-spy: it did not end in time",
        "py-spy: no time left",
    }
    pids = (tmp_path / "pids").read_text().split()
    assert 0 < len(pids) <= stacks.SPIES_MAX
    assert not any(census.living(int(pid)) for pid in pids)


def test_all_are_spied_at_a_few_at_a_time(tmp_path: Path) -> None:
    program = stand_in(
        tmp_path, "printf 'Process %s\\n\\nThread 1 (idle): \"MainThread\"\\n    f (x.py:1)\\n' $5"
    )
    answers = stacks.spy(range(1, 30), program, time.monotonic() + 20)
    assert [answers[pid].text.splitlines()[0] for pid in range(1, 30)] == [
        f"Process {n}" for n in range(1, 30)
    ]


def test_py_spy_is_looked_for_beside_our_python_and_on_the_path_of_the_training(tmp_path: Path) -> None:
    (tmp_path / "py-spy").mkdir()
    assert stacks.find_spy(f"{tmp_path}:/nowhere") in (None, str(Path(PYTHON).with_name("py-spy")))
    shutil.rmtree(tmp_path / "py-spy")
    program = stand_in(tmp_path, "true")
    assert stacks.find_spy(f"/nowhere::{tmp_path}") in (program, str(Path(PYTHON).with_name("py-spy")))


def test_nobody_is_left_behind_by_asking() -> None:
    with hung(hangs.NAP) as asked:
        before = len(os.listdir("/proc/self/fd"))
        ask(asked)
        assert len(os.listdir("/proc/self/fd")) == before
        listed = subprocess.run(["ls", f"/proc/{asked.pid}/fd"], capture_output=True, text=True, check=True)
        assert len(listed.stdout.split()) == 4  # three standard ones, and the memory for stacks
