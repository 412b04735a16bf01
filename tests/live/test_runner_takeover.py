"""A dead runner is replaced, not diagnosed: the next one watches what the first began."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files, identity
from outlast.facts import Ending, Exited, Lost, NeverBegan, Signalled
from outlast.facts.codec import from_record
from tests.runner_driver import SOURCE, Driver, Runner, driver, is_living, kill, python, said_by, wait_for


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Driver]:
    with driver(tmp_path) as made:
        yield made


def ending(attempt: Driver) -> Ending:
    return from_record(attempt.exit(), Ending)


def taken_over(attempt: Driver) -> Runner:
    """Kill the runner that watches, start another, and wait until it watches."""
    kill(attempt.runners[-1])
    heir = attempt.start()
    wait_for(lambda: files.is_locked(attempt.folder.claim), "the next runner")
    wait_for(lambda: "taking over" in attempt.log(), "its first words")
    return heir


def begun(attempt: Driver, argv: list[str], **order: Any) -> None:
    attempt.order(argv, **order)
    attempt.start()
    attempt.says("up")


WAITS = ["sh", "-c", "echo up; read word < fifo; echo down; exit 5"]


@pytest.fixture
def fifo(attempt: Driver) -> Path:
    os.mkfifo(attempt.root / "fifo")
    return attempt.root / "fifo"


def test_l2_the_same_attempt_goes_on_without_a_second_start(attempt: Driver, fifo: Path) -> None:
    begun(attempt, WAITS)
    started = attempt.started()
    heir = taken_over(attempt)
    assert identity.alive(started["child"])
    fifo.write_text("go\n")
    assert heir.wait(20) == 0
    assert attempt.output() == "up\ndown\n"
    assert attempt.started() == started
    assert ending(attempt).exit in (Exited(5), Lost("its runner was gone when it ended"))
    assert ending(attempt).told == "run"


def test_a_runner_that_dies_while_checkpoints_are_read_leaves_what_it_saw_of_the_end(attempt: Driver) -> None:
    """The look takes up to some minutes, and nobody else has seen the training's exit."""
    waits = f"echo looks >> {attempt.root}/looks; test -e {attempt.root}/go || sleep 60"
    choice = """echo '{"checkpoint": null, "step": null, "reasons": [], "refuse": null}'"""
    resume = {"type": "Resume", "root": str(attempt.root / "ckpt")}
    shell = ["/bin/sh", "-c"]
    begun(attempt, ["sh", "-c", "echo up"], resume=resume, ready=[*shell, choice], final=[*shell, waits])
    wait_for((attempt.root / "looks").exists, "the look at the newest checkpoint")
    (attempt.root / "go").touch()
    assert taken_over(attempt).wait(20) == 0
    assert ending(attempt).exit == Exited(0)
    assert (attempt.root / "looks").read_text() == "looks\n" * 2, "the next runner has it looked at, too"
    assert "ended.json" not in os.listdir(attempt.folder.path)


@pytest.mark.skipif(
    tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 15),
    reason="the kernel tells since 6.15",
)
def test_the_kernel_tells_how_a_stranger_ended(attempt: Driver, fifo: Path) -> None:
    begun(attempt, WAITS)
    heir = taken_over(attempt)
    fifo.write_text("go\n")
    heir.wait(20)
    assert ending(attempt).exit == Exited(5)


def test_runners_may_die_as_often_as_they_like(attempt: Driver, fifo: Path) -> None:
    begun(attempt, WAITS)
    for _ in range(4):
        heir = taken_over(attempt)
    fifo.write_text("go\n")
    assert heir.wait(20) == 0
    assert attempt.output() == "up\ndown\n"
    assert len(os.listdir(attempt.folder.path)) <= 8


def test_of_many_replacements_at_once_one_watches(attempt: Driver, fifo: Path) -> None:
    begun(attempt, WAITS)
    kill(attempt.runners[-1])
    heirs = [attempt.start() for _ in range(6)]
    wait_for(lambda: sum(heir.poll() is not None for heir in heirs) == 5, "five to leave")
    assert {heir.poll() for heir in heirs} == {75, None}
    fifo.write_text("go\n")
    assert sorted(heir.wait(20) for heir in heirs) == [0, 75, 75, 75, 75, 75]
    assert attempt.output() == "up\ndown\n"


TWO_SESSIONS = """
import subprocess, time
D = subprocess.DEVNULL
p = subprocess.Popen(["sleep", "300"], start_new_session=True, stdin=D, stdout=D, stderr=D)
print("up", p.pid, flush=True)
time.sleep(300)
"""


def test_p1_ranks_that_outlive_runner_and_launcher_are_ended_before_the_record(attempt: Driver) -> None:
    begun(attempt, python(TWO_SESSIONS))
    rank = int(attempt.output().split()[1])
    kill(attempt.runners[-1])
    os.kill(attempt.started()["child"]["pid"], signal.SIGKILL)
    wait_for(lambda: files.is_locked(attempt.folder.lease) is False, "the launcher's death")
    assert is_living(rank)
    assert attempt.start().wait(20) == 0
    assert not is_living(rank)
    assert ending(attempt).swept == 1
    assert ending(attempt).exit in (Signalled(9), Lost("its runner was gone when it ended"))


def test_an_adopted_training_can_be_stopped(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; sleep 300"])
    heir = taken_over(attempt)
    attempt.wish("stop", request=12)
    assert heir.wait(20) == 0
    end = ending(attempt)
    assert (end.told, end.told_by) == ("stop", "request 12")
    assert attempt.members() == []


def test_hang_limits_go_on(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; sleep 300"], stall_limits_s=[["", 1.0]])
    heir = taken_over(attempt)
    assert heir.wait(20) == 0
    assert ending(attempt).told_by.startswith("stall: no progress for ")


def test_a_timeout_counts_from_the_start_of_the_training(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; sleep 300"], timeout_s=1.5)
    heir = taken_over(attempt)
    assert heir.wait(20) == 0
    end = ending(attempt)
    assert end.told_by == "timeout: 2 s were left"
    assert end.lasted_s is not None
    assert end.lasted_s < 5


def test_what_was_told_is_not_forgotten_with_the_runner_that_was_told(attempt: Driver) -> None:
    """Killed between the signal and the end: the replacement ends the training, and says why."""
    begun(
        attempt,
        ["sh", "-c", "trap 'echo deaf' TERM; echo up; while :; do sleep 300 & wait; done"],
        stop_grace_s=30.0,
    )
    attempt.runners[-1].terminate()
    attempt.says("deaf")
    kill(attempt.runners[-1])
    attempt.order(["true"], term=2, stop_grace_s=30.0)
    files.replace(
        attempt.folder.order(1), {**(files.read(attempt.folder.order(1)) or {}), "stop_grace_s": 0.1}
    )
    assert attempt.start("order.2.json").wait(20) == 0
    end = ending(attempt)
    assert (end.told, end.told_by) == ("stop", "signal 15 to the runner")
    assert not os.path.exists(attempt.folder.path + "/told.json")


def test_a_training_that_a_dying_runner_left_stopped_is_still_ended(attempt: Driver) -> None:
    """SIGKILL between our SIGSTOP and our SIGKILL."""
    begun(attempt, ["sh", "-c", "echo up; sleep 300"])
    kill(attempt.runners[-1])
    files.replace(
        attempt.folder.path + "/told.json",
        {"told": "stop-now", "by": "stall: no progress for 9 s (limit 8 s)"},
    )
    for pid in attempt.members():
        os.kill(pid, signal.SIGSTOP)
    assert attempt.start().wait(20) == 0
    assert ending(attempt).told_by == "stall: no progress for 9 s (limit 8 s)"


SDK = f"""
import sys; sys.path.insert(0, {SOURCE!r})
import outlast, time, os
with outlast.training(total_steps=100000) as run:
    for step in run.track(range(100000)):
        time.sleep(0.01)
        if step == 3: print("up", flush=True)
        if run.should_stop: break
print("saved", flush=True)
sys.exit(75)
"""


def test_pages_of_the_ranks_are_found_again(attempt: Driver) -> None:
    begun(attempt, python(SDK))
    heir = taken_over(attempt)
    wait_for(lambda: attempt.progress().get("beats", 0) > 10, "progress")
    attempt.wish("pause", request=3)
    assert heir.wait(20) == 0
    end = ending(attempt)
    assert attempt.output() == "up\nsaved\n"
    assert (end.told, end.first_step, end.total) == ("pause", 1, 100000)
    assert end.last_words[0].startswith("rank 0: stopped at step ")


# --- what cannot be judged, and what is over ------------------------------------------------------------------------


def forge(attempt: Driver, *, started: bool, **by: object) -> None:
    """The doors of an attempt that began elsewhere, or in another life of this host."""
    me = {**identity.identity(), "pid": 2**22 - 1, **by}
    where = {"type": "Where", "backend": "local", "host": me["host"]}
    files.make_once(
        attempt.folder.claim,
        {"schema": 1, "kind": "begun", "by": me, "where": where, "order": "order.1.json"},
    )
    if started:
        attempt.order(["true"])
        record = {
            "child": me,
            "session": me["pid"],
            "cgroup": None,
            "resumed_from": "/c/step-5",
            "resumed_step": 5,
        }
        at = {"boot": me["boot"], "mono_s": 1.0, "wall_s": 1.0}
        extra = {"heartbeat": "", "argv": ["true"], "at": at, "attempt_dir": attempt.folder.path}
        files.make_once(attempt.folder.started, {"schema": 1, **record, **extra})


def test_a_runner_that_died_before_the_start_costs_nothing(attempt: Driver) -> None:
    forge(attempt, started=False)
    attempt.order(["touch", str(attempt.root / "ran")])
    assert attempt.start().wait(20) == 0
    assert ending(attempt).exit == NeverBegan("runner died before the start")
    assert not (attempt.root / "ran").exists()


def test_who_began_and_is_gone_without_a_trace_is_lost(attempt: Driver) -> None:
    forge(attempt, started=True)
    assert attempt.start().wait(20) == 0
    end = ending(attempt)
    assert end.exit == Lost("its runner was gone when it ended")
    assert (end.resumed_from, end.resumed_step) == ("/c/step-5", 5)


def test_l7_a_pid_that_is_anothers_by_now_is_left_alone(attempt: Driver) -> None:
    forge(attempt, started=True, pid=os.getpid(), start_ticks=1)
    assert attempt.start().wait(20) == 0
    assert isinstance(ending(attempt).exit, Lost)


def test_after_a_reboot_all_of_it_is_dead(attempt: Driver) -> None:
    forge(attempt, started=True, boot="11111111-2222-3333-4444-555555555555", pid=os.getpid())
    assert attempt.start().wait(20) == 0
    end = ending(attempt)
    assert end.exit == Lost("reboot")
    assert end.word is not None
    assert (end.word.state, end.lasted_s) == ("REBOOT", None)


def test_what_was_published_before_a_reboot_is_kept(attempt: Driver) -> None:
    """So that a wall limit counts its time, and nobody is told that no step was reached."""
    forge(attempt, started=True, boot="11111111-2222-3333-4444-555555555555", pid=os.getpid())
    shown = {"schema": 1, "step": 70, "total": 100, "first_step": 1, "loss": 0.5, "elapsed_s": 3600.5}
    files.replace(attempt.folder.progress, shown)
    assert attempt.start().wait(20) == 0
    end = ending(attempt)
    assert end.exit == Lost("reboot")
    assert (end.lasted_s, end.first_step, end.last_step, end.total, end.loss) == (3600.5, 1, 70, 100, 0.5)


def test_a_reboot_before_the_start_costs_nothing(attempt: Driver) -> None:
    attempt.order(["true"])
    forge(attempt, started=False, boot="11111111-2222-3333-4444-555555555555")
    assert attempt.start().wait(20) == 0
    assert isinstance(ending(attempt).exit, NeverBegan)


@pytest.mark.parametrize(
    "by", [{"host": "elsewhere", "boot": "11111111-2222-3333-4444-555555555555"}, {"pid_ns": 1}], ids=str
)
def test_p11_what_began_elsewhere_is_not_judged_here(attempt: Driver, by: dict[str, object]) -> None:
    attempt.order(["true"])
    forge(attempt, started=True, **by)
    runner = attempt.start()
    assert runner.wait(20) == 75
    assert "leaving: it began" in said_by(runner)
    assert not os.path.exists(attempt.folder.exit)


def test_an_end_that_somebody_else_recorded_ends_the_training_at_once(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "trap '' TERM; echo up; sleep 300"], stop_grace_s=60.0)
    files.make_once(attempt.folder.exit, {"schema": 1, "exit": {"type": "Lost", "why": "somebody's word"}})
    assert attempt.runners[-1].wait(20) == 0
    assert attempt.members() == []
    assert attempt.exit()["exit"]["why"] == "somebody's word"
    late = files.read(attempt.folder.exit_late)
    assert late is not None
    assert late["exit"] == {"type": "Signalled", "signal": 9, "core": False}


def test_the_claim_of_the_next_attempt_ends_the_training_at_once(attempt: Driver) -> None:
    begun(attempt, ["sh", "-c", "echo up; sleep 300"], stop_grace_s=60.0)
    files.make_directory(attempt.folder.next().path)
    files.make_once(attempt.folder.next().claim, {"schema": 1, "kind": "begun"})
    assert attempt.runners[-1].wait(20) == 0
    assert ending(attempt).exit == Signalled(9)
