"""The ring as a whole: the command, the supervisor, the runner and a training, killed in every combination.

Each test is a scenario of the list that outlast must survive; its number stands in the name.
"""

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

from outlast.disk import files, identity
from tests.live.workspace import PYTHON, Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

# A training that counts steps, saves each as a folder, resumes where it is told, and proves it is alone.
TRAINING = """
import fcntl, os, sys, time
root, last, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
alone = open(os.path.join(root, "alone"), "a")
try: fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError: open(os.path.join(root, "TWO"), "w"); sys.exit(9)
resume = os.environ["OUTLAST_RESUME_FROM"]
step = int(resume.rpartition("-")[2]) if resume else 0
print("from", step, flush=True)
while step < last:
    time.sleep(pause)
    step += 1
    saved = os.path.join(root, "ckpt", f"step-{step}")
    os.makedirs(saved)
    open(os.path.join(saved, "state"), "w").write(str(step))
    print("step", step, flush=True)
print("done", flush=True)
"""


def training(outlast: Bench, last: int, pause: float = 0.05) -> list[str]:
    script = outlast.root / "train.py"
    script.write_text(TRAINING)
    return [PYTHON, str(script), str(outlast.root), str(last), str(pause)]


def checkpoints(outlast: Bench) -> list[str]:
    return ["--checkpoints", str(outlast.root / "ckpt")]


def only_one_trained(outlast: Bench) -> bool:
    return not (outlast.root / "TWO").exists()


def test_a_command_that_ends_well_is_completed(outlast: Bench) -> None:
    run = outlast.start(command=["sh", "-c", "echo hello; exit 0"])
    snapshot = outlast.ended(run)
    assert (snapshot["outcome"], snapshot["proof"]) == ("completed", "exit")
    assert "hello" in outlast.output(run)
    assert outlast.outlast("wait", run.id).returncode == 0


def test_l1_the_supervisor_killed_in_mid_training_is_replaced_and_adopts_it(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 40))
    outlast.says(run, "step 3")
    outlast.kill_supervisor()
    outlast.outlast("up", "--detach")
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "completed"
    assert [attempt["n"] for attempt in snapshot["attempts"]] == [1]
    assert snapshot["attempts"][0]["exit"] == {"kind": "exited", "code": 0, "signal": None}
    assert outlast.output(run).count("from 0") == 1
    assert "done" in outlast.output(run)


def test_c4_a_supervisor_that_is_killed_while_a_run_waits_is_started_again_by_its_guard(
    outlast: Bench,
) -> None:
    run = outlast.start("--backoff", "3s", command=["sh", "-c", "exit 3"])
    outlast.exit(run)
    old = outlast.supervisor()
    identity.send(old["identity"], signal.SIGKILL)
    assert outlast.ended(run)["outcome"] == "failed"
    assert outlast.supervisor()["pid"] != old["pid"]


def test_l2_supervisor_and_runner_killed_the_training_is_adopted(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 60))
    outlast.says(run, "step 3")
    outlast.kill_supervisor()
    outlast.kill_runner(run)
    outlast.outlast("up", "--detach")
    wait_for(lambda: files.is_locked(run.attempt(1).claim), "a runner that watches")
    assert identity.alive(outlast.started(run)["child"])
    outlast.ended(run)
    assert outlast.output(run).count("from 0") == 1
    assert outlast.output(run).count("done") == 1
    assert only_one_trained(outlast)


def test_l2_an_adopted_training_can_still_be_stopped(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 10_000))
    outlast.says(run, "step 2")
    outlast.kill_supervisor()
    outlast.kill_runner(run)
    outlast.outlast("stop", run.id, "--now")
    assert outlast.ended(run)["outcome"] == "cancelled"
    assert identity.alive(outlast.started(run)["child"]) is False


def test_l3_a_killed_training_resumes_from_its_newest_checkpoint(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 12, 0.1))
    outlast.says(run, "step 4")
    outlast.kill_training(run)
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "completed"
    first, second = snapshot["attempts"]
    assert first["exit"] == {"kind": "signalled", "code": None, "signal": 9}
    assert first["verdict"] == "failed"
    assert second["resumed_from"].endswith(outlast.output(run, 2).split()[1])
    assert "from 0" not in outlast.output(run, 2)
    assert only_one_trained(outlast)


def test_l3_a_death_before_the_first_save_begins_again_at_step_0(outlast: Bench) -> None:
    dies_once = f"test -e {outlast.root}/again && exit 0; touch {outlast.root}/again; exit 1"
    run = outlast.start("--backoff", "0", *checkpoints(outlast), command=["sh", "-c", dies_once])
    snapshot = outlast.ended(run)
    assert (snapshot["outcome"], len(snapshot["attempts"])) == ("completed", 2)


def test_l5_of_many_supervisors_started_at_once_one_holds_the_place(outlast: Bench) -> None:
    outlast.start(command=["sh", "-c", "exit 0"])  # makes the workspace
    wait_for(lambda: not files.is_locked(outlast.place.lock), "the idle supervisor to leave")
    rivals = [outlast.popen("up") for _ in range(6)]
    holder = outlast.supervisor()

    def five() -> list["subprocess.Popen[str]"] | None:
        ended = [rival for rival in rivals if rival.poll() is not None]
        return ended if len(ended) == 5 else None

    losers = wait_for(five, "five losers")
    for loser in losers:
        assert loser.returncode == 75
        assert str(holder["pid"]) in (loser.stderr.read() if loser.stderr else "")
    (winner,) = [rival for rival in rivals if rival.poll() is None]
    winner.send_signal(signal.SIGTERM)
    assert winner.wait(20) == 0


def test_l6_a_lock_file_deleted_under_a_supervisor_never_makes_two(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 60))
    outlast.says(run, "step 2")
    old = outlast.supervisor()
    os.unlink(outlast.place.lock)
    second = outlast.popen("up")
    wait_for(lambda: identity.alive(old["identity"]) is False, "the old supervisor to leave")
    outlast.ended(run)
    assert only_one_trained(outlast)
    second.send_signal(signal.SIGTERM)
    second.wait(20)


def test_l9_r34_what_a_training_left_behind_is_ended_before_the_next_attempt(outlast: Bench) -> None:
    left = (
        "import subprocess, sys, os; "
        "subprocess.Popen(['sleep', '300'], start_new_session=True, stdin=subprocess.DEVNULL, "
        "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); sys.exit(1)"
    )
    run = outlast.start("--backoff", "0", "--max-attempts", "2", command=[PYTHON, "-c", left])
    outlast.ended(run)
    assert outlast.exit(run, 1)["swept"] >= 1
    wait_for(lambda: not outlast.members(), "the end of everything that carried the run's mark")


def test_r36_three_deaths_before_the_first_step_end_the_run_at_once(outlast: Bench) -> None:
    run = outlast.start("--backoff", "0", "--max-attempts", "10", command=["sh", "-c", "exit 3"])
    snapshot = outlast.ended(run)
    assert (snapshot["outcome"], len(snapshot["attempts"])) == ("failed", 3)
    assert outlast.outlast("wait", run.id, expect=1).returncode == 1


def test_a_retry_of_a_failed_run_goes_on_behind_the_final_door(outlast: Bench) -> None:
    flag = outlast.root / "good"
    run = outlast.start("--backoff", "0", command=["sh", "-c", f"test -e {flag}"])
    assert outlast.ended(run)["outcome"] == "failed"
    flag.touch()
    outlast.outlast("retry", run.id)
    snapshot = wait_for(lambda: (s := outlast.snapshot(run))["outcome"] == "completed" and s, "success")
    assert snapshot["phase"] == "ended"


def test_l39_stopped_with_down_a_run_is_left_queued_and_goes_on_with_up(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 30, 0.1))
    outlast.says(run, "step 3")
    outlast.outlast("down")
    wait_for(lambda: not files.is_locked(outlast.place.lock), "the supervisor to leave")
    snapshot = outlast.snapshot(run)
    assert snapshot["phase"] == "queued"
    assert snapshot["attempts"][0]["verdict"] == "interrupted"
    assert snapshot["attempts"][0]["charged"] is False
    outlast.outlast("up", "--detach")
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "completed"
    assert only_one_trained(outlast)


def test_l40_a_pause_survives_the_supervisor_and_resume_ends_it(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 30, 0.1))
    outlast.says(run, "step 2")
    outlast.outlast("pause", run.id)
    wait_for(lambda: outlast.snapshot(run)["phase"] == "paused", "the pause")
    wait_for(lambda: not files.is_locked(outlast.place.lock), "the idle supervisor to leave")
    outlast.outlast("up", "--detach")
    assert outlast.snapshot(run)["phase"] == "paused"
    outlast.outlast("resume", run.id)
    assert outlast.ended(run)["outcome"] == "completed"
    assert len(outlast.snapshot(run)["attempts"]) == 2


def test_l43_ctrl_c_stops_and_a_lost_terminal_only_detaches(outlast: Bench) -> None:
    view = outlast.popen("run", "--name", "first", "--", *training(outlast, 10_000))
    run = wait_for(outlast.newest_run, "the run")
    outlast.says(run, "step 2")
    view.send_signal(signal.SIGHUP)
    view.wait(20)
    outlast.says(run, "step 6")
    assert identity.alive(outlast.started(run)["child"])
    outlast.outlast("stop", run.id, "--now")
    outlast.ended(run)


def test_l43_sigint_in_the_view_cancels_the_run_with_130(outlast: Bench) -> None:
    view = outlast.popen("run", "--name", "second", "--stop-grace", "1s", "--", *training(outlast, 10_000))
    run = wait_for(outlast.newest_run, "the run")
    outlast.says(run, "step 2")
    view.send_signal(signal.SIGINT)
    assert view.wait(40) == 130
    assert outlast.ended(run)["outcome"] == "cancelled"


def test_l43_the_terminal_signal_never_reaches_the_training(outlast: Bench) -> None:
    run = outlast.start(command=training(outlast, 10_000))
    child = outlast.started(run)["child"]["pid"]
    assert os.getsid(child) == child
    assert os.getsid(child) != os.getsid(0)


def test_p15_each_run_has_its_callers_environment_at_every_attempt(outlast: Bench) -> None:
    outlast.env["SECRET_TOKEN"] = "first-caller"
    first = outlast.start(command=["sh", "-c", "sleep 3; echo token=$SECRET_TOKEN"])
    outlast.supervisor()
    outlast.env["SECRET_TOKEN"] = "second-caller"
    second = outlast.start("--backoff", "0", command=["sh", "-c", "echo token=$SECRET_TOKEN; exit 1"])
    outlast.ended(second)
    outlast.ended(first)
    assert "token=first-caller" in outlast.output(first)
    assert all("token=second-caller" in outlast.output(second, n) for n in (1, 2, 3))
    for folder, _, names in os.walk(outlast.workspace.hidden):
        for name in names:
            body = Path(folder, name).read_bytes()
            assert name in ("env", "output.log") or b"-caller" not in body, f"{folder}/{name}"


def test_p18_the_runners_last_act_starts_a_supervisor(outlast: Bench) -> None:
    run = outlast.start("--backoff", "0", *checkpoints(outlast), command=training(outlast, 30))
    outlast.says(run, "step 2")
    outlast.kill_supervisor()
    outlast.kill_training(run)
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "completed"
    assert len(snapshot["attempts"]) == 2


def test_a_stall_with_an_explicit_limit_ends_the_attempt_and_restarts_it(outlast: Bench) -> None:
    flag = outlast.root / "second"
    hangs_once = f"if test -e {flag}; then echo fine; else touch {flag}; exec sleep 1000; fi"
    run = outlast.start("--stall-limit", "2s", "--backoff", "0", command=["sh", "-c", hangs_once])
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "completed"
    assert snapshot["attempts"][0]["cause"].startswith("hang")


def test_l54_a_command_that_cannot_be_started_fails_by_the_rules_and_the_supervisor_lives(
    outlast: Bench,
) -> None:
    script = outlast.root / "bad"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    other = outlast.start(command=["sleep", "2"])
    run = outlast.start("--backoff", "0", command=[str(script)])
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "failed"
    assert {attempt["verdict"] for attempt in snapshot["attempts"]} == {"never-began"}
    assert "interpreter" in json.dumps(snapshot) or "No such file" in json.dumps(snapshot)
    assert outlast.ended(other)["outcome"] == "completed"


def test_p13_inside_a_slurm_job_run_is_inline_and_its_exit_code_is_the_runs(outlast: Bench) -> None:
    outlast.env["SLURM_JOB_ID"] = "77"
    fails_once = f"test -e {outlast.root}/again || {{ touch {outlast.root}/again; exit 5; }}"
    done = outlast.outlast("run", "--", "sh", "-c", fails_once, timeout=60)
    assert done.returncode == 0
    done = outlast.outlast("run", "--max-attempts", "1", "--", "sh", "-c", "echo out; exit 5", expect=1)
    assert "out" in done.stdout
    assert not files.is_locked(outlast.place.lock)


def test_a_view_in_a_terminal_shows_the_output_and_a_live_line(outlast: Bench) -> None:
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(outlast.root)
        os.execvpe(PYTHON, outlast.words("run", "--", *training(outlast, 20)), outlast.env)
    seen = b""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"step 20" in seen
    assert b"completed" in seen
