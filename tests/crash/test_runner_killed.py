"""R26 for the runner: SIGKILLed at its n-th call of each kind that changes the world, then replaced.

Whatever n is: the training ran once or never, not before started.json stood, nobody of it lives at the end, and the
record says nothing that is not so. `strace` delivers the kill at the very call, which is then not carried out.
"""

import os
import random
import re
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
    "write",
    "pwrite64",
    "link",
    "rename",
    "fsync",
    "unlink",
    "mkdir",
    "rmdir",
    "clone",
    "pidfd_open",
    "wait4",
)
STOPPING_CALLS = ("rename", "fsync", "pidfd_send_signal")
RUNNERS_MAX = 12  # one launch and its repetitions

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


def inject(call: str, n: int) -> list[str]:
    return [
        "strace",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=SIGKILL:when={n}",
    ]


@cache
def calls_of_a_whole_life(call: str, stopped: bool) -> int:
    """How many calls of that kind an undisturbed runner makes, by strace's own count."""
    with TemporaryDirectory(prefix="outlast-count-") as folder, driver(Path(folder)) as attempt:
        log = Path(folder) / "trace"
        live(attempt, ["strace", "-qq", "-o", str(log), "-e", f"trace={call}"], stopped)
        return len(re.findall(rf"^{call}\(", log.read_text(), re.MULTILINE))


def live(attempt: Driver, before: list[str], stopped: bool) -> Runner:
    """One runner, killed at its call or not. `stopped`: as soon as the training is up, a stop is wished."""
    attempt.order(["sh", "-c", STAYS if stopped else LEAVES], stop_grace_s=0.1)
    runner = attempt.start(before=before)
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


def ended_the_same(tmp_path: Path, call: str, stopped: bool) -> None:
    for n in range(1, calls_of_a_whole_life(call, stopped) + 1):
        root = tmp_path / str(n)
        root.mkdir()
        with driver(root) as attempt:
            runner = live(attempt, inject(call, n), stopped)
            end = replaced(attempt)
            check(attempt, end)
            if stopped and not isinstance(end.exit, NeverBegan):
                assert (end.told, end.told_by) == ("stop", "request 4"), (n, runner.returncode, attempt.log())


@pytest.mark.parametrize("call", CALLS)
def test_killed_at_any_call_of_a_kind_the_end_is_the_same(tmp_path: Path, call: str) -> None:
    ended_the_same(tmp_path, call, stopped=False)


@pytest.mark.parametrize("call", STOPPING_CALLS)
def test_killed_at_any_call_while_it_stops_the_training_the_stop_is_not_forgotten(
    tmp_path: Path, call: str
) -> None:
    ended_the_same(tmp_path, call, stopped=True)


def test_the_kill_really_comes(tmp_path: Path) -> None:
    """Else all of the above would show nothing."""
    with driver(tmp_path) as attempt:
        runner = live(attempt, inject("link", 2), stopped=False)
        assert runner.returncode == -signal.SIGKILL
        assert os.path.exists(attempt.folder.claim)
        assert not os.path.exists(attempt.folder.started)
        assert isinstance(replaced(attempt).exit, NeverBegan)


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
def test_killed_at_random_moments_three_hundred_times(tmp_path: Path) -> None:
    at_random(tmp_path, lives=300, seed=11)
