"""The verbs against the real ring: they return when what was asked has happened."""

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from outlast.disk import files, identity
from tests.live.workspace import PYTHON, Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

SLEEP = ["sleep", "300"]
COUNT = "import sys, time\nfor i in range(int(sys.argv[1])): print('line', i, flush=True); time.sleep(0.02)\n"


def rows(outlast: Bench, *options: str) -> dict[str, str]:
    return {row["id"]: row["phase"] for row in json.loads(outlast.outlast("ls", "--json", *options).stdout)}


def test_stop_pause_resume_retry_return_when_it_has_happened(outlast: Bench) -> None:
    run = outlast.start(command=SLEEP)
    outlast.started(run)
    outlast.outlast("pause", run.id, "--reason", "the GPU is needed")
    assert rows(outlast)[run.id] == "paused"
    told = outlast.outlast("why", run.id).stdout
    assert "asked for: the GPU is needed" in next(
        line for line in told.splitlines() if line.startswith("Now:")
    )
    outlast.outlast("resume", run.id)
    outlast.started(run, 2)
    wait_for(lambda: rows(outlast)[run.id] == "running", "running again")
    outlast.outlast("stop", run.id)
    assert rows(outlast)[run.id] == "ended"
    assert outlast.show(run)["outcome"] == "cancelled"
    outlast.outlast("retry", run.id)
    assert rows(outlast)[run.id] in ("queued", "launching", "running")
    outlast.outlast("stop", "--all", "--now")
    assert rows(outlast)[run.id] == "ended"
    outlast.outlast("stop", run.id, expect=3)
    outlast.outlast("retry", run.id, "--no-wait")
    outlast.outlast("stop", run.id, "--now")


def test_a_stop_is_heard_where_no_supervisor_was(outlast: Bench) -> None:
    run = outlast.start(command=SLEEP)
    outlast.started(run)
    outlast.kill_supervisor()
    outlast.outlast("stop", run.id)
    assert outlast.snapshot(run)["outcome"] == "cancelled"


def test_rm_and_archive_take_ended_runs_away_and_refuse_live_ones(outlast: Bench) -> None:
    live = outlast.start(command=SLEEP)
    outlast.started(live)
    outlast.outlast("rm", live.id, expect=4)
    outlast.outlast("stop", live.id)
    outlast.outlast("archive", live.id)
    assert not os.path.exists(live.path)
    pack = Path(outlast.workspace.archive) / f"{live.id}.tar.gz"
    names = subprocess.run(["tar", "tzf", pack], capture_output=True, text=True, check=True).stdout
    assert f"{live.id}/run.json" in names
    assert "was archived" in outlast.outlast("show", live.id, expect=3).stderr
    other = outlast.start(command=["true"])
    outlast.ended(other)
    outlast.outlast("rm", "@last")
    assert not os.path.exists(other.path)
    assert rows(outlast, "--all") == {}


def test_wait_leaves_with_the_outcome_and_replaces_a_dead_supervisor(outlast: Bench) -> None:
    run = outlast.start(command=[PYTHON, "-c", COUNT, "100"])
    outlast.says(run, "line 3")
    waiting = outlast.popen("wait", run.id)
    outlast.kill_supervisor()
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    bad = outlast.start("--max-attempts", "1", command=["false"])
    outlast.outlast("wait", bad.id, expect=1)
    outlast.outlast("wait", run.id, bad.id, expect=1)


def test_logs_follow_across_attempts_to_the_end(outlast: Bench) -> None:
    program = (
        "import os, sys, time\nn = int(os.environ['OUTLAST_ATTEMPT'])\n"
        "for i in range(20): print(n, i, flush=True); time.sleep(0.02)\nsys.exit(n == 1)\n"
    )
    run = outlast.start("--backoff", "0", command=[PYTHON, "-c", program])
    done = outlast.outlast("logs", "-f", run.id)
    assert done.stdout.split("\n")[:-1] == [f"{n} {i}" for n in (1, 2) for i in range(20)]
    assert "--- attempt 2 ---" in done.stderr
    assert outlast.outlast("logs", run.id, "--attempt", "1", "-n", "1").stdout == "1 19\n"


def test_show_and_why_tell_of_a_live_run_and_of_its_end(outlast: Bench) -> None:
    run = outlast.start("--max-attempts", "1", command=["sh", "-c", "echo last words; exec sleep 300"])
    started = outlast.started(run)
    shown = outlast.show(run)
    assert shown["phase"] == "running"
    assert shown["attempts"][0]["pid"] == started["child"]["pid"]
    assert shown["attempts"][0]["runner_pid"] == started["runner"]["pid"]
    outlast.says(run, "last words")
    outlast.kill_training(run)
    outlast.ended(run)
    text = outlast.outlast("why", run.id).stdout
    assert "signal 9 (SIGKILL)" in text
    assert "| last words" in text
    assert f"outlast retry {run.id}" in text


def test_up_refuses_a_second_holder_and_down_ends_it(outlast: Bench) -> None:
    outlast.outlast("up", "--detach")
    pid = str(outlast.supervisor()["pid"])
    assert pid in outlast.outlast("up", expect=75).stderr
    assert pid in outlast.outlast("up", "--guard", expect=75).stderr
    assert pid in outlast.outlast("up", "--detach").stderr
    assert outlast.supervisor()["pid"] == int(pid)
    outlast.outlast("down")
    assert not files.is_locked(outlast.place.lock)
    outlast.outlast("down", expect=3)


def test_down_can_leave_runs_alone(outlast: Bench) -> None:
    run = outlast.start(command=SLEEP)
    started = outlast.started(run)
    outlast.outlast("down", "--leave-runs")
    assert identity.alive(started["child"])
    assert not files.is_locked(outlast.place.lock)
    outlast.outlast("stop", run.id)
    assert identity.alive(started["child"]) is False


def test_up_in_the_foreground_leaves_on_ctrl_c_and_runs_go_on(outlast: Bench) -> None:
    up = outlast.popen("up")
    outlast.supervisor()
    run = outlast.start(command=SLEEP)
    started = outlast.started(run)
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=20)
    assert up.returncode == 0
    assert identity.alive(started["child"])


def test_c4_the_guard_mends_a_dead_supervisor_within_seconds(outlast: Bench) -> None:
    guard = outlast.popen("up", "--guard")
    first = outlast.supervisor()
    outlast.kill_supervisor()
    second = wait_for(
        lambda: outlast.supervisor()["pid"] != first["pid"] and outlast.supervisor(), "a new supervisor", 10
    )
    guard.terminate()
    guard.communicate(timeout=20)
    assert guard.returncode == 0
    wait_for(lambda: identity.alive(second["identity"]) is False, "its end")
    assert files.is_locked(outlast.place.lock) is False


def test_a_new_run_takes_back_an_earlier_down(outlast: Bench) -> None:
    old = outlast.start(command=SLEEP)
    outlast.started(old)
    outlast.outlast("down")
    assert outlast.outlast("status", expect=3).stdout.count("outlast up --detach") == 1
    new = outlast.start(command=["true"])
    outlast.outlast("stop", old.id)
    assert outlast.ended(new)["outcome"] == "completed"


def test_a_run_that_an_inline_supervisor_left_is_resumed(outlast: Bench) -> None:
    inline = outlast.popen("run", "--inline", "--", *SLEEP)
    run = wait_for(lambda: next(iter(rows(outlast)), None), "a run") if _accepted(outlast) else ""
    folder = outlast.workspace.run(run)
    outlast.started(folder)
    inline.send_signal(signal.SIGTERM)
    _, err = inline.communicate(timeout=60)
    assert inline.returncode == 75
    assert f"outlast resume {run}" in err
    outlast.outlast("resume", run)
    outlast.started(folder, 2)
    outlast.outlast("stop", run)


def _accepted(outlast: Bench) -> bool:
    return wait_for(
        lambda: os.path.isdir(outlast.workspace.runs) and bool(os.listdir(outlast.workspace.runs)), "a folder"
    )


def test_rerun_is_a_new_run_of_the_same(outlast: Bench) -> None:
    first = outlast.start(
        "--name", "again", command=[PYTHON, "-c", "import sys; print(sys.argv[1:])", "--lr", "1"]
    )
    outlast.ended(first)
    done = outlast.outlast("rerun", "again", "-d", "--", "--lr", "2")
    second = outlast.workspace.run(done.stdout.strip())
    outlast.ended(second)
    assert outlast.output(second) == "['--lr', '2']\n"


def test_after_waits_for_the_other_run(outlast: Bench) -> None:
    first = outlast.start(command=[PYTHON, "-c", COUNT, "50"])
    second = outlast.start("--after", first.id, command=["true"])
    assert outlast.ended(second)["outcome"] == "completed"
    assert outlast.snapshot(first)["outcome"] == "completed"


def test_l58_junk_at_the_start_changes_nothing(outlast: Bench) -> None:
    junk = outlast.root / "junk"
    junk.mkdir()
    (junk / "json.py").write_text("raise SystemExit('junk was imported')")
    outlast.env["PYTHONPATH"] = str(junk)
    quoted = " ".join(f"'{word}'" for word in outlast.words("run", "-d", "--", "true")[1:])
    shell = f"umask 000; unset PYTHONPATH; exec {PYTHON} {quoted} <&- 2>&-"
    done = subprocess.run(
        ["bash", "-c", shell], env=outlast.env, cwd=outlast.root, stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 0
    run = outlast.workspace.run(done.stdout.strip())
    assert outlast.ended(run)["outcome"] == "completed"
    for path in Path(outlast.workspace.hidden).rglob("*"):
        if path.is_symlink() or "bin" in path.relative_to(outlast.workspace.hidden).parts:
            continue
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_p12_a_workspace_that_others_can_write_is_refused_and_nothing_is_executed(
    outlast: Bench, mode: int
) -> None:
    outlast.root.chmod(mode)
    done = outlast.outlast("run", "--", "touch", "executed", expect=4)
    assert done.stderr.count("\n") == 1
    assert not (outlast.root / "executed").exists()
    assert not os.path.exists(outlast.workspace.hidden)
    outlast.root.chmod(0o700)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_p12_a_workspace_of_another_user_is_refused(outlast: Bench) -> None:
    os.chown(outlast.root, 12345, 12345)
    outlast.outlast("run", "--", "touch", "executed", expect=4)
    assert not (outlast.root / "executed").exists()
    os.chown(outlast.root, 0, 0)


def test_p15_no_secret_is_in_any_record_but_the_environments(outlast: Bench) -> None:
    outlast.env["API_TOKEN"] = "hush-token"
    run = outlast.start(
        "--env", "OTHER=hush-other", command=["sh", "-c", "test ${#API_TOKEN} -eq 10 -a ${#OTHER} -eq 10"]
    )
    assert outlast.ended(run)["outcome"] == "completed"
    said = [outlast.outlast(verb, run.id).stdout for verb in ("show", "why")]
    assert "hush" not in "".join(said)
    for path in Path(outlast.workspace.hidden).rglob("*"):
        if path.is_file() and str(path) != run.env:
            assert b"hush" not in path.read_bytes(), path
