"""R26 for the runner: SIGKILLed at its n-th call of each kind that changes the world, then replaced.

Whatever n is: the training ran once or never, not before started.json stood, nobody of it lives at the end, and the
record says nothing that is not so. The runner kills itself right before or right after the call; that this is the same
as a kill from outside is tried with `strace`, which delivers it at the very system call.
"""

import os
import random
import signal
import time
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from outlast.disk import files
from outlast.facts import Ending, Exited, Lost, NeverBegan, Signalled
from outlast.facts.codec import from_record
from tests.runner_driver import Driver, Runner, driver, wait_for

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

CALLS = (
    "os.write", "os.pwrite", "os.link", "os.fsync", "os.unlink", "os.mkdir", "os.rmdir", "os.fork",
    "os.pidfd_open", "os.wait4", "fcntl.flock", "os.ftruncate",
)  # fmt: skip
STOPPING_CALLS = ("os.rename", "os.fsync", "signal.pidfd_send_signal")
RUNNERS_MAX = 12  # one launch and its repetitions
TRIED_MAX = {
    "fcntl.flock": 6,
    "signal.pidfd_send_signal": 9,
}  # the rest repeats: looks at locks, rounds of the freeze

# In front of the runner's own program: FOLDER CALL N before|after. Every call of that kind leaves a byte in a file.
SUICIDAL = """
import fcntl, os, signal, sys
folder, call, n, when = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)
module, name = {"os": os, "fcntl": fcntl, "signal": signal}[call.split(".")[0]], call.split(".")[1]
real, me, calls = getattr(module, name), os.getpid(), 0
note = os.open(folder + "/calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def counted(*words, **more):
    global calls
    if os.getpid() != me: return real(*words, **more)
    calls += 1
    os.truncate(folder + "/calls", calls)
    if calls == n and when == "before": os.kill(me, 9)
    answer = real(*words, **more)
    if calls == n and when == "after" and os.getpid() == me: os.kill(me, 9)
    return answer
setattr(module, name, counted)
"""


# Leaves a rank in a session of its own, without the lease. Notes that it ran, and whether it may have.
LEAVES = """
test -e "$OUTLAST_ATTEMPT_DIR/started.json" || touch unstarted
echo ran >> ran
setsid sleep 300 < /dev/null > /dev/null 2>&1 &
exit 3
"""
STAYS = """
test -e "$OUTLAST_ATTEMPT_DIR/started.json" || touch unstarted
echo ran >> ran
setsid sleep 300 < /dev/null > /dev/null 2>&1 &
trap '' TERM
echo up
while :; do sleep 300; done
"""


def suicidal(attempt: Driver, call: str, n: int, when: str) -> list[str]:
    """The runner's command, with a death at its n-th call of a kind (0: none)."""
    words = attempt.words()
    code = words.index("-c") + 1
    return [*words[:code], SUICIDAL + words[code], str(attempt.root), call, str(n), when, *words[code + 1 :]]


@cache
def calls_of_a_whole_life(call: str, stopped: bool) -> int:
    """How many calls of that kind an undisturbed runner makes."""
    with TemporaryDirectory(prefix="outlast-count-") as folder, driver(Path(folder)) as attempt:
        live(attempt, suicidal(attempt, call, 0, "before"), stopped)
        return min(os.stat(f"{folder}/calls").st_size, TRIED_MAX.get(call, 40))


def live(attempt: Driver, words: list[str], stopped: bool) -> Runner:
    """One runner, killed at its call or not. `stopped`: as soon as the training is up, a stop is wished."""
    attempt.order(["sh", "-c", STAYS if stopped else LEAVES], stop_grace_s=0.1)
    runner = attempt.start(words=words)
    if stopped:
        wait_for(
            lambda: "up" in attempt_output(attempt) or runner.poll() is not None, "the training, or a death"
        )
        attempt.wish("stop", request=4)
    runner.wait(30)
    return runner


def attempt_output(attempt: Driver) -> str:
    return attempt.output() if os.path.exists(attempt.folder.output) else ""


def replaced(attempt: Driver) -> Ending:
    """The same launch again until the end is recorded; two at once, as two supervisors would."""
    for _ in range(RUNNERS_MAX):
        if files.read(attempt.folder.exit) is not None:
            break
        for runner in [attempt.start(), attempt.start()]:
            runner.wait(30)
    return from_record(attempt.exit(), Ending)


def check(attempt: Driver, end: Ending) -> None:
    ran = (attempt.root / "ran").read_text().count("ran") if (attempt.root / "ran").exists() else 0
    assert ran <= 1, "it was trained twice"
    assert not (attempt.root / "unstarted").exists(), "it ran before started.json stood"
    assert attempt.members() == [], "somebody of it lives"
    assert files.is_locked(attempt.folder.claim) is False
    match end.exit:
        case NeverBegan():
            assert ran == 0
        case Exited(code=code):
            assert (code, ran) == (3, 1)
        case Signalled(signal=number):
            assert (number in (9, 15), ran) == (True, 1)
        case Lost():
            assert os.path.exists(attempt.folder.started)
    again = attempt.start()
    assert again.wait(20) == 75, "what is over was lived again"


def ended_the_same(tmp_path: Path, call: str, when: str, stopped: bool) -> None:
    number = calls_of_a_whole_life(call, stopped)
    assert number, "the runner makes no such call: nothing would be tried"
    for n in range(1, number + 1):
        root = tmp_path / str(n)
        root.mkdir()
        with driver(root) as attempt:
            live(attempt, suicidal(attempt, call, n, when), stopped)
            end = replaced(attempt)
            check(attempt, end)
            if stopped and (root / "ran").exists():
                assert (end.told, end.told_by) == ("stop", "request 4"), attempt.log()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_call_of_a_kind_the_end_is_the_same(tmp_path: Path, call: str, when: str) -> None:
    ended_the_same(tmp_path, call, when, stopped=False)


@pytest.mark.parametrize("call", STOPPING_CALLS)
def test_killed_at_any_call_while_it_stops_the_training_the_stop_is_not_forgotten(
    tmp_path: Path, call: str
) -> None:
    ended_the_same(tmp_path, call, "before", stopped=True)


@pytest.mark.parametrize(("n", "claim", "started"), [(1, False, False), (2, True, False), (3, True, True)])
def test_a_kill_from_outside_at_the_very_link_of_a_door(
    tmp_path: Path, n: int, claim: bool, started: bool
) -> None:
    """Before the claim, before started.json, before exit.json."""
    with driver(tmp_path) as attempt:
        strace = [
            "strace",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "trace=link",
            "-e",
            f"inject=link:signal=SIGKILL:when={n}",
        ]
        runner = live(attempt, [*strace, *attempt.words()], stopped=False)
        assert runner.returncode == -signal.SIGKILL
        doors = [
            os.path.exists(path)
            for path in (attempt.folder.claim, attempt.folder.started, attempt.folder.exit)
        ]
        assert doors == [claim, started, False]
        end = replaced(attempt)
        check(attempt, end)
        assert isinstance(end.exit, NeverBegan) is (claim and not started)


def at_random(tmp_path: Path, lives: int, seed: int) -> None:
    """Two runners at a time, all killed at random moments, three times; then two more."""
    chance = random.Random(seed)
    for number in range(lives):
        root = tmp_path / str(number)
        root.mkdir()
        with driver(root) as attempt:
            attempt.order(["sh", "-c", f"sleep {chance.choice([0, 0.02, 0.1])}\n{LEAVES}"], stop_grace_s=0.1)
            for _ in range(3):
                runners = [attempt.start() for _ in range(2)]
                time.sleep(chance.uniform(0, 0.16))  # the moment is the experiment
                for runner in runners:
                    runner.kill()
                    runner.wait()
            check(attempt, replaced(attempt))


def test_killed_at_random_moments_two_at_a_time(tmp_path: Path) -> None:
    at_random(tmp_path, lives=8, seed=7)


@pytest.mark.soak
@pytest.mark.timeout(1800)  # about half a second a life, more on a busy machine
def test_killed_at_random_moments_three_hundred_times(tmp_path: Path) -> None:
    at_random(tmp_path, lives=300, seed=11)
