"""How a training is stopped: asked, timed out, hung, or told by a signal to its runner."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.facts import Ending, Exited, Signalled
from outlast.facts.codec import from_record
from tests.runner_driver import SOURCE, Driver, driver, python, wait_for


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Driver]:
    with driver(tmp_path) as made:
        yield made


def ending(attempt: Driver) -> Ending:
    return from_record(attempt.exit(), Ending)


def begun(attempt: Driver, argv: list[str], **order: Any) -> None:
    attempt.order(argv, **order)
    attempt.start()
    attempt.says("up")


def left(attempt: Driver) -> Ending:
    """The end, once the runner has left by itself."""
    assert attempt.runners[-1].wait(30) == 0
    assert attempt.members() == []
    return ending(attempt)


POLITE = "trap 'echo saved; exit 75' TERM; echo up; while :; do sleep 0.02; done"
DEAF = "trap '' TERM; echo up; while :; do sleep 0.02; done"
SDK = f"import sys; sys.path.insert(0, {SOURCE!r})\nimport os, outlast, time\n"
OBEDIENT = (
    SDK
    + """
with outlast.training(total_steps=100000) as run:
    for step in run.track(range(100000)):
        time.sleep(0.005)
        if step == 3: print("up", flush=True)
        if run.should_stop: break
    time.sleep(float(sys.argv[1]))
    print("saved", flush=True)
sys.exit(75)
"""
)
COUNTS_ONLY = (
    SDK
    + """
with outlast.training(total_steps=100000) as run:
    for step in run.track(range(100000)):
        time.sleep(0.005)
        if step == 3: print("up", flush=True)
"""
)
HANGS = (
    SDK
    + """
with outlast.training(total_steps=100000) as run:
    for step in run.track(range(20)): time.sleep(0.005)
    print("up", flush=True)
    while True:
        print("still chatting", flush=True)
        time.sleep(0.05)
"""
)
TWO_RANKS = (
    SDK
    + """
import subprocess
if "RANK" not in os.environ:
    words = [sys.executable, *sys.orig_argv[1:]]
    env = {**os.environ, "WORLD_SIZE": "2"}
    ranks = [subprocess.Popen(words, env={**env, "RANK": str(n)}, start_new_session=True) for n in range(2)]
    codes = [rank.wait() for rank in ranks]
    sys.exit(1 if any(codes) else 0)  # as torchrun does
with outlast.training(total_steps=100000) as run:
    for step in run.track(range(100000)):
        time.sleep(0.004 if os.environ["RANK"] == "0" else 0.005)
        if step == 3: print("up", flush=True)
        if run.should_stop: break
    print("stopped at", step, flush=True)
sys.exit(75)
"""
)


@pytest.mark.parametrize("want", ["stop", "pause"])
def test_l39_a_training_with_a_page_saves_and_leaves_without_any_signal(attempt: Driver, want: str) -> None:
    begun(attempt, [*python(OBEDIENT), "0.5"], stop_grace_s=0.0)
    attempt.wish(want, request=5)
    end = left(attempt)
    assert attempt.output() == "up\nsaved\n"
    assert (end.exit, end.told, end.told_by) == (Exited(75), want, "request 5")
    assert end.last_words == (f"rank 0: stopped at step {end.last_step}",)


def test_p4_two_ranks_leave_at_one_step_though_their_launcher_says_1(attempt: Driver) -> None:
    begun(attempt, python(TWO_RANKS))
    attempt.wish("stop")
    end = left(attempt)
    steps = {line.split()[2] for line in attempt.output().splitlines() if line.startswith("stopped at")}
    assert len(steps) == 1, attempt.output()
    assert end.exit == Exited(1)
    assert [words.split()[2] for words in end.last_words] == ["stopped", "stopped"]


def test_one_without_a_page_gets_term_and_its_grace(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", POLITE], stop_grace_s=20.0)
    attempt.wish("stop")
    end = left(attempt)
    assert attempt.output().endswith("saved\n")
    assert (end.exit, end.told) == (Exited(75), "stop")


def test_one_that_never_reads_its_flag_gets_term(attempt: Driver) -> None:
    begun(attempt, python(COUNTS_ONLY), stop_limit_s=0.5)
    attempt.wish("stop")
    end = left(attempt)
    assert end.exit == Signalled(15)
    assert end.last_step is not None
    assert end.last_step > 3


def test_a_save_that_takes_longer_than_the_limit_is_ended(attempt: Driver) -> None:
    begun(attempt, [*python(OBEDIENT), "300"], stop_limit_s=0.5, stop_grace_s=0.1)
    attempt.wish("stop")
    assert left(attempt).exit == Signalled(15)
    assert "saved" not in attempt.output()


def test_l44_a_save_that_grows_is_waited_for_beyond_the_limit(attempt: Driver) -> None:
    saves = OBEDIENT.replace(
        "time.sleep(float(sys.argv[1]))",
        "for n in range(40):\n        open(sys.argv[1], 'ab').write(b'x' * 100); time.sleep(0.05)",
    )
    root = attempt.root / "ckpt"
    root.mkdir()
    resume = {"root": str(root), "format": "auto", "args": []}
    ready = ["/bin/echo", '{"checkpoint": null, "step": null, "reasons": [], "refuse": null}']
    begun(attempt, [*python(saves), str(root / "part")], stop_limit_s=0.5, resume=resume, ready=ready)
    attempt.wish("stop")
    assert left(attempt).exit == Exited(75)
    assert "saved" in attempt.output()


def test_stop_now_kills_a_deaf_training_after_its_grace(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", DEAF], stop_grace_s=0.3)
    attempt.wish("stop-now", request=9)
    end = left(attempt)
    assert (end.exit, end.told, end.told_by) == (Signalled(9), "stop-now", "request 9")


def test_the_wish_is_found_without_any_nudge(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", POLITE], stop_grace_s=20.0)
    files.replace(attempt.folder.wish, {"schema": 1, "term": 1, "request": 1, "want": "stop"})
    assert left(attempt).told == "stop"


def test_a_wish_that_cannot_be_read_stops_nothing(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", POLITE], stop_grace_s=20.0)
    Path(attempt.folder.wish).write_text("{torn")
    wait_for(lambda: "wish cannot be read" in attempt.log(), "its words")
    assert attempt.runners[-1].poll() is None
    attempt.wish("stop")
    assert left(attempt).told == "stop"


def test_l43_term_to_the_runner_is_a_safe_stop(attempt: Driver) -> None:
    begun(attempt, [*python(OBEDIENT), "0.2"])
    attempt.runners[-1].terminate()
    end = left(attempt)
    assert (end.exit, end.told, end.told_by) == (Exited(75), "stop", "signal 15 to the runner")
    assert "saved" in attempt.output()


def test_l43_a_second_term_stops_now(attempt: Driver) -> None:
    begun(attempt, [*python(OBEDIENT), "300"], stop_limit_s=300.0, stop_grace_s=0.1)
    runner = attempt.runners[-1]
    runner.terminate()
    wait_for(lambda: "told to stop (" in attempt.log(), "the first")
    runner.terminate()
    end = left(attempt)
    assert (end.told, end.told_by) == ("stop-now", "signal 15 to the runner")


def test_l43_one_more_signal_leaves_no_grace(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", DEAF], stop_grace_s=300.0)
    runner = attempt.runners[-1]
    runner.terminate()
    wait_for(lambda: "ending the training" in attempt.log(), "the grace to begin")
    runner.send_signal(signal.SIGINT)
    assert left(attempt).exit == Signalled(9)


def test_l43_a_lost_terminal_is_no_reason(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", POLITE], stop_grace_s=20.0)
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE):
        attempt.runners[-1].send_signal(number)
    before = wait_for(attempt.progress, "progress")["elapsed_s"]
    with Path(attempt.folder.output).open("a") as log:
        log.write("so that something changes\n")
    wait_for(lambda: attempt.progress()["elapsed_s"] > before, "a tick")
    assert attempt.runners[-1].poll() is None
    attempt.wish("stop")
    assert left(attempt).told_by == "request 1"


def test_a_timeout_is_a_safe_stop(attempt: Driver) -> None:
    begun(attempt, [*python(OBEDIENT), "0"], timeout_s=1.0)
    end = left(attempt)
    assert (end.exit, end.told, end.told_by) == (Exited(75), "stop", "timeout: 1 s were left")
    assert "saved" in attempt.output()


def test_silence_without_a_page_is_a_stall_and_its_evidence_is_kept(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; exec sleep 300"], stall_limits_s=[["", 1.0]])
    end = left(attempt)
    assert end.told == "stop-now"
    assert end.told_by.startswith("stall: no progress for ")
    assert end.told_by.endswith("(limit 1 s by --stall-limit)")
    assert end.incident is not None
    with open(f"{end.incident}/proc.txt") as file:
        assert "sleep" in file.read()


def test_s32_output_is_a_sign_of_life_where_there_is_no_page(attempt: Driver) -> None:
    talks = "echo up; for i in $(seq 25); do sleep 0.1; echo $i; done; exit 3"
    begun(attempt, ["sh", "-c", talks], stall_limits_s=[["", 1.5]])
    assert left(attempt).exit == Exited(3)


def test_s33_with_a_page_only_steps_are(attempt: Driver) -> None:
    begun(attempt, python(HANGS), stall_limits_s=[["", 1.0]])
    end = left(attempt)
    assert end.told_by.startswith("stall")
    assert end.last_step == 20


def test_r25_a_runner_that_was_stopped_declares_no_hang_when_it_is_back(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; sleep 3.2; exit 3"], stall_limits_s=[["", 2.0]])
    runner = attempt.runners[-1]
    runner.send_signal(signal.SIGSTOP)
    begun_at = time.monotonic()
    wait_for(lambda: time.monotonic() - begun_at > 2.4, "more than the limit")
    runner.send_signal(signal.SIGCONT)
    assert left(attempt).exit == Exited(3)


def test_a_stopped_training_does_not_hang_and_is_never_continued(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; sleep 300"], stall_limits_s=[["", 1.0]])
    pid = attempt.started()["child"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    stopped_at = time.monotonic()
    wait_for(lambda: time.monotonic() - stopped_at > 1.7, "more than the limit")
    assert attempt.runners[-1].poll() is None
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    os.kill(pid, signal.SIGCONT)
    assert left(attempt).told_by.startswith("stall")


def test_progress_is_published(attempt: Driver) -> None:
    begun(attempt, [*python(OBEDIENT), "0"])
    seen = wait_for(lambda: (p := attempt.progress()).get("rate") and p, "a rate")
    assert seen["source"] == "sdk"
    assert (seen["first_step"], seen["total"], seen["ranks"]) == (1, 100000, 1)
    assert 0 < seen["step"] < 100000
    assert seen["eta_s"] > 0
    attempt.wish("stop")
    left(attempt)


def test_done_when_is_looked_for_at_the_end(attempt: Driver) -> None:
    (attempt.root / "old").write_text("of an earlier attempt")
    attempt.live(["sh", "-c", "echo new > old; echo all done"], done_when="file:old")
    assert ending(attempt).done is True
