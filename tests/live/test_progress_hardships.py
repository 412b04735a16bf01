"""Outputs of every ugly kind, pages that are taken away, clocks that jump: what is known of a training stays true, the
training goes on, and the runner stays small.
"""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files, identity
from outlast.disk.layout import RunFolder
from tests.live.test_hang_runs import incident, script, sdk, stacks
from tests.live.workspace import PYTHON, Bench, wait_for
from tests.runner_driver import BOOT, SOURCE, driver, said_by

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="mounting and namespaces need root")
RUNNER_RSS_MAX = 32 << 20
HEAD = """
import os, sys, time
is_first = os.environ["OUTLAST_ATTEMPT"] == "1"
def say(step, end="\\n"):
    sys.stdout.write(f"step {step}/20 loss {1 / step:.4f}{end}"); sys.stdout.flush()
"""


def progress(run: RunFolder, n: int = 1) -> dict[str, Any]:
    return files.read(run.attempt(n).progress) or {}


def runner(run: RunFolder, n: int = 1) -> int:
    claim = files.read(run.attempt(n).claim)
    assert claim is not None
    assert identity.alive(claim["by"])
    return int(claim["by"]["pid"])


def rss(pid: int) -> int:
    """The most memory that the process ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) << 10


def cpu_s(pid: int) -> float:
    """Of the process and of its children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def end_of(bench: Bench, run: RunFolder) -> tuple[str, int, int | None]:
    """(outcome, number of attempts, the step that the output of the last one told of)."""
    shown = bench.ended(run, 120)
    n = len(shown["attempts"])
    return shown["outcome"], n, bench.exit(run, n).get("read_step")


# --- logs ---------------------------------------------------------------------------------------------------------

ROTATED = """
for step in range(1, 11): say(step)
os.rename(LOG, LOG + ".1")
open(LOG, "w").close()
time.sleep(1.5)
"""
TRUNCATED = """
for step in range(1, 11): say(step)
print("x" * 100_000)
time.sleep(1.5)
os.truncate(LOG, 0)  # as logrotate's copytruncate does
time.sleep(1.5)
"""
BINARY = """
for step in range(1, 11):
    say(step)
    sys.stdout.buffer.write(os.urandom(100_000) + b"\\0\\x1b[2J\\xff\\n"); sys.stdout.flush()
time.sleep(1.5)
"""
FOREVER = """
time.sleep(1.5)
while is_first and not os.path.exists("go"): time.sleep(0.05)
for step in range(11, 21): say(step); time.sleep(0.05)
time.sleep(1.5)
"""


@pytest.mark.parametrize("how", ["rotated", "truncated", "binary"])
def test_a_log_that_is_rotated_truncated_or_binary_is_read_on(outlast: Bench, how: str) -> None:
    text = {"rotated": ROTATED, "truncated": TRUNCATED, "binary": BINARY}[how]
    log = "LOG = os.environ['OUTLAST_ATTEMPT_DIR'] + '/output.log'\n"
    run = outlast.start("--stall-limit", "20s", command=script(outlast, HEAD + log + text + FOREVER))
    wait_for(lambda: progress(run).get("step") == 10, "the tenth step")
    (outlast.root / "go").touch()
    assert end_of(outlast, run) == ("completed", 1, 20)


def test_a_log_of_carriage_returns_only_is_read_as_steps(outlast: Bench) -> None:
    text = HEAD + "for step in range(1, 21): say(step, '\\r'); time.sleep(0.1)\ntime.sleep(1.5)\n"
    run = outlast.start(command=script(outlast, text))
    assert end_of(outlast, run) == ("completed", 1, 20)


def test_a_log_without_any_line_end_proves_nothing_and_hangs_nobody(outlast: Bench) -> None:
    """All of it is one line, and of that one only the beginning is read: no step is invented, no limit applies."""
    text = HEAD + "for step in range(1, 2000): say(step % 20 + 1, ' '); time.sleep(0.002)\n"
    run = outlast.start(command=script(outlast, text))
    outcome, attempts, step = end_of(outlast, run)
    assert (outcome, attempts) == ("completed", 1)
    assert step is None
    assert progress(run)["limit_s"] is None


def test_a_line_of_ten_gigabytes_leaves_the_runner_small_and_what_follows_is_read(outlast: Bench) -> None:
    """As a hole, which costs no disk: for whoever reads it the line is as long. Then a gigabyte that is there."""
    text = HEAD + (
        "for step in range(1, 11): say(step)\n"
        "while not os.path.exists('begin'): time.sleep(0.05)\n"
        "sys.stdout.write('a line begins '); sys.stdout.flush()\n"
        "os.truncate(os.environ['OUTLAST_ATTEMPT_DIR'] + '/output.log', 10 << 30)\n"
        "piece = b'loss 0.5 step 3 ' * 65536\n"
        "for _ in range(1024): os.write(1, piece)\n"
        "sys.stdout.write('and ends\\n'); sys.stdout.flush()\n"
    )
    outlast_yaml(outlast, "log: {max: 64MiB}\n")
    run = outlast.start(command=script(outlast, text + FOREVER))
    wait_for(lambda: progress(run).get("step") == 10, "the tenth step")
    (outlast.root / "begin").touch()
    wait_for(lambda: (progress(run).get("log_bytes") or 0) > 11 << 30, "all of the line")
    pid = runner(run)
    assert rss(pid) < RUNNER_RSS_MAX
    assert progress(run)["step"] == 10
    used_s = cpu_s(pid)
    (outlast.root / "go").touch()
    assert end_of(outlast, run) == ("completed", 1, 20)
    assert used_s < 3.0
    assert os.stat(run.attempt(1).output).st_blocks * 512 < 96 << 20


def test_a_training_that_prints_a_hundred_megabytes_a_second_is_followed_for_little(outlast: Bench) -> None:
    """Half of what is printed looks like progress and is none. The training never waits for whoever reads."""
    text = HEAD + (
        "piece = ('debug: nothing of interest here\\n' * 2048 + 'a loss of 7 in step\\n' * 2048).encode()\n"
        "for step in range(1, 21):\n"
        "    began = time.monotonic()\n"
        "    for _ in range(250):\n"
        "        os.write(1, piece)\n"
        "    say(step)\n"
        "    time.sleep(max(0.0, began + 0.25 - time.monotonic()))\n"
        "open('printed', 'w').write('x')\n"
    )
    outlast_yaml(outlast, "log: {max: 64MiB}\n")
    run = outlast.start(command=script(outlast, text + "time.sleep(2)\n"))
    began_s, pid = time.monotonic(), 0
    outlast.started(run)
    pid = runner(run)
    wait_for((outlast.root / "printed").exists, "all of it")
    took_s, used_s = time.monotonic() - began_s, cpu_s(pid)
    assert rss(pid) < RUNNER_RSS_MAX
    assert end_of(outlast, run) == ("completed", 1, 20)
    assert used_s < max(1.0, 0.25 * took_s)
    assert os.stat(run.attempt(1).output).st_blocks * 512 < 128 << 20


def outlast_yaml(bench: Bench, text: str) -> None:
    path = bench.root / "outlast.yaml"
    path.write_text(text)
    path.chmod(0o600)


def test_p14_bars_of_evaluations_maps_and_loading_are_neither_progress_nor_the_target(outlast: Bench) -> None:
    text = HEAD + (
        "from tqdm import tqdm\n"
        "def bar(name, count):\n"
        "    for _ in tqdm(range(count), desc=name, mininterval=0): time.sleep((3 if name == 'Map' else 0.3) / count)\n"
        "bar('Map', 1000); bar('Loading checkpoint shards', 4); bar('Generating train split', 300)\n"
        "time.sleep(1.5); open('loaded', 'w').close()\n"
        "for step in range(1, 21):\n"
        "    say(step)\n"
        "    if step % 10 == 0: bar('eval', 10)\n"
        "bar('Evaluating', 100); time.sleep(1.5)\n"
    )
    proof = ["--target-step", "1000", "--require-proof", "step"]
    run = outlast.start(*proof, "--max-attempts", "1", command=script(outlast, text))
    sure: set[object] = set()

    def loaded() -> bool:
        sure.add(progress(run).get("confidence"))
        return (outlast.root / "loaded").exists()

    wait_for(loaded, "the loading")
    assert sure <= {None, "guess"}
    shown = outlast.ended(run, 120)
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"]) == ("early_exit", "no_proof")  # 1000 of 1000 was a bar
    assert outlast.exit(run)["read_step"] == 20


def test_a_training_that_closes_its_output_is_judged_by_its_steps_and_its_hang_is_explained(
    outlast: Bench,
) -> None:
    text = sdk(
        """
        for fd in (0, 1, 2): os.close(fd)
        for more in range(8):
            time.sleep(0.5)
            run.step()
        def stand():
            time.sleep(3600)
        stand()
        """
    )
    run = outlast.start("--stall-limit", "train=3s", "--backoff", "0", command=script(outlast, text))
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    first = shown["attempts"][0]
    assert (first["cause"], first["last_step"]) == ("hang_train", 18)
    (rank,) = incident(run)["ranks"]
    assert rank["own"].endswith(" stand")
    assert rank["stacks_by"] == "signal"  # asked as any other, and not only seen from outside
    assert "stand" in stacks(run)


def test_a_training_without_the_sdk_that_closes_its_output_is_left_alone(outlast: Bench) -> None:
    text = HEAD + "say(1); os.close(1); os.close(2); time.sleep(4); os._exit(0)\n"
    run = outlast.start(command=script(outlast, text))
    assert end_of(outlast, run)[:2] == ("completed", 1)


# --- pages --------------------------------------------------------------------------------------------------------

PAGES_TRAINING = """
import os, subprocess, sys, time
import outlast
for words in sys.argv[1:]: subprocess.run(words.split(), check=True)
for again in range(2):
    with outlast.training(total_steps=20, start_step=10 * again) as run:
        for step in range(10): time.sleep(0.1); run.step(loss=0.5)
print("trained to the end", flush=True)
"""


@ROOT_ONLY
@pytest.mark.parametrize(
    ("options", "first"),
    [
        ("nr_inodes=3", ""),  # itself and two folders: no page fits
        ("size=4k", "mount -o remount,ro /dev/shm"),
        ("ro", ""),
    ],
    ids=["full", "read-only under the training", "read-only from the start"],
)
def test_p3_without_room_for_a_page_the_training_goes_on_and_says_so_once(
    outlast: Bench, options: str, first: str
) -> None:
    words = script(outlast, PAGES_TRAINING) + ([first] if first else [])
    inside = outlast.words("run", "--detach", "--", *words)
    shell = f'mount -t tmpfs -o {options} outlast-test /dev/shm && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", shell, "sh", *inside],
        env=outlast.env, cwd=outlast.root, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    run = outlast.workspace.run(done.stdout.strip())
    assert outlast.ended(run, 60)["outcome"] == "completed"
    output = outlast.output(run)
    assert "trained to the end" in output
    assert output.count("outlast: no exact progress") == 1, output
    assert outlast.exit(run)["last_step"] is None


def test_p3_a_page_that_is_deleted_under_the_training_is_read_judged_and_told_as_before(
    outlast: Bench,
) -> None:
    text = (
        "import os, shutil, sys, time, outlast\n"
        "with outlast.training(total_steps=100000) as run:\n"
        "    for step in range(1, 100000):\n"
        "        time.sleep(0.01); run.step(loss=1 / step)\n"
        "        if step == 200: shutil.rmtree(os.environ['OUTLAST_HEARTBEAT'])\n"
        "        if run.should_stop: sys.exit(75)\n"
    )
    run = outlast.start("--stall-limit", "3s", command=script(outlast, text))
    wait_for(lambda: (progress(run).get("step") or 0) > 600, "steps long after it")
    outlast.outlast("stop", run.id)
    shown = outlast.snapshot(run)
    assert (shown["outcome"], len(shown["attempts"])) == ("cancelled", 1)
    end = outlast.exit(run)
    assert end["exit"] == {"type": "Exited", "code": 75}
    assert end["last_words"] == [f"rank 0: stopped at step {end['last_step']}"]


# --- limits -------------------------------------------------------------------------------------------------------


def test_r22_a_slow_first_step_has_a_limit_of_its_own_however_quick_the_others_are(outlast: Bench) -> None:
    text = (
        "import time, outlast\n"
        "with outlast.training(total_steps=50) as run:\n"
        "    time.sleep(5)\n"  # compiles
        "    for step in range(50): run.step(); time.sleep(0.02)\n"
    )
    run = outlast.start("--stall-limit", "train=2s", command=script(outlast, text))
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], len(shown["attempts"]), shown["incidents"]) == ("completed", 1, [])


def test_r23_an_evaluation_that_declares_its_limit_is_left_alone_and_one_that_does_not_is_ended(
    outlast: Bench,
) -> None:
    """Under one limit for all sections, which a person gave."""
    text = sdk(
        """
        with run.section("eval", limit="5m"):
            time.sleep(6)
        def evaluate():
            with run.section("eval"):
                time.sleep(3600)
        evaluate()
        """
    )
    run = outlast.start("--stall-limit", "4s", "--backoff", "0", command=script(outlast, text))
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    assert shown["attempts"][0]["cause"] == "hang_eval"
    assert incident(run)["ranks"][0]["own"].endswith(" evaluate")


DEAF = """
import os, signal, subprocess, sys, threading, time
import outlast
signal.signal(signal.SIGTERM, signal.SIG_IGN)
is_first = os.environ["OUTLAST_ATTEMPT"] == "1"
def compute():
    while True: sum(range(10_000))
with outlast.training(total_steps=20) as run:
    for step in range(1, 21):
        time.sleep(0.01)
        run.step(step)
        if step == 5:
            with run.section("eval"): time.sleep(4)
        if step == 10 and is_first:
            for _ in range(2):
                subprocess.Popen([sys.executable, "-c", "import signal, time; "
                    "signal.signal(15, signal.SIG_IGN); print('helper', flush=True); time.sleep(3600)"],
                    start_new_session=True)
            compute()
"""


def test_l32_a_deaf_tree_that_computes_and_makes_no_step_is_ended_in_its_order_and_tried_again(
    outlast: Bench,
) -> None:
    """An evaluation that takes longer than a step may has had its own budget before."""
    limits = ["--stall-limit", "train=2s", "--stall-limit", "eval=30s"]
    words = script(outlast, DEAF)
    run = outlast.start(*limits, "--stop-grace", "1s", "--backoff", "0", command=words)
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    first = shown["attempts"][0]
    assert (first["cause"], first["last_step"]) == ("hang_train", 10)
    assert outlast.exit(run)["exit"] == {"type": "Signalled", "signal": 9, "core": False}
    assert incident(run)["ranks"][0]["own"].endswith(" compute")
    said = Path(run.attempt(1).path, "runner.log").read_text()
    order = [said.index(words) for words in ("gathering the evidence", "/incidents/", "TERM, 1 s, KILL")]
    assert order == sorted(order), said
    ended_at, began_at = outlast.exit(run)["at"], outlast.started(run, 2)["at"]
    assert ended_at["mono_s"] <= began_at["mono_s"]


def test_l34_a_page_on_which_nobody_beats_leaves_the_word_to_the_log(outlast: Bench) -> None:
    """A callback that is registered and never called, say: no telemetry is no hang."""
    text = HEAD + (
        "import outlast\n"
        "with outlast.training(total_steps=20) as run:\n"
        "    for step in range(1, 21): say(step); time.sleep(0.4)\n"
        "    run.done()\n"
    )
    run = outlast.start("--stall-limit", "3s", command=script(outlast, text))
    wait_for(lambda: (progress(run).get("step") or 0) > 10, "steps beyond the limit")
    assert progress(run)["source"] == "plain"
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], len(shown["attempts"]), shown["incidents"]) == ("completed", 1, [])


def test_l34_a_page_that_stands_while_the_log_goes_on_is_no_telemetry_and_no_hang(outlast: Bench) -> None:
    """A callback that is called for one phase of the training only."""
    text = HEAD + (
        "import outlast\n"
        "with outlast.training(total_steps=20) as run:\n"
        "    for step in range(1, 21):\n"
        "        if step < 5: run.step(step)\n"
        "        say(step); time.sleep(0.6)\n"
    )
    run = outlast.start("--stall-limit", "3s", command=script(outlast, text))
    shown = wait_for(
        lambda: (seen := progress(run)).get("source") == "plain" and seen, "the word to go to the log"
    )
    assert shown["note"].startswith("no telemetry: ")
    assert shown["step"] > 5
    ended = outlast.ended(run, 60)
    assert (ended["outcome"], len(ended["attempts"]), ended["incidents"]) == ("completed", 1, [])
    assert (outlast.exit(run)["last_step"], outlast.exit(run)["read_step"]) == (None, 20)


def test_what_an_evaluation_prints_after_the_last_step_takes_no_proof_away(outlast: Bench) -> None:
    text = HEAD + (
        "import outlast\n"
        "with outlast.training(total_steps=4) as run:\n"
        "    for step in range(1, 5): run.step(step); say(step); time.sleep(0.3)\n"
        "    for step in range(5, 15): say(step); time.sleep(0.6)\n"
    )
    words = script(outlast, text)
    run = outlast.start("--stall-limit", "3s", "--require-proof", "step", command=words)
    ended = outlast.ended(run, 60)
    assert (ended["outcome"], ended["proof"], len(ended["attempts"])) == ("completed", "step", 1)
    assert outlast.exit(run)["last_step"] == 4


def test_a_training_that_says_done_before_its_own_total_is_completed_and_not_tried_again(
    outlast: Bench,
) -> None:
    """Early stopping. A person's target is another matter."""
    text = "import outlast\nwith outlast.training(total_steps=20) as run:\n    run.step(); run.done()\n"
    words = script(outlast, text)
    shown = outlast.ended(outlast.start(command=words))
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 1)
    shown = outlast.ended(outlast.start("--target-step", "20", "--backoff", "0", command=words))
    assert shown["outcome"] == "failed"


def test_r42_a_wall_clock_that_jumps_an_hour_to_and_fro_is_no_hang_and_hides_none(tmp_path: Path) -> None:
    """The runner is started by hand, with a wall clock that it finds an hour off: libfaketime reaches no runner (it is
    started without LD_*), and makes Python's `time.sleep` fail where the monotonic clock is left alone."""
    with driver(tmp_path) as attempt:
        (tmp_path / "clock").write_text("0")
        (tmp_path / "train.py").write_text(JUMPS)
        attempt.order([PYTHON, str(tmp_path / "train.py")], stall_limits_s=[["", 4.0]])
        isolated, boot, *rest = attempt.words()[1:3], BOOT, *attempt.words()[5:]
        jumping = CLOCK.format(path=str(tmp_path / "clock")) + boot
        runner = attempt.start(words=[PYTHON, *isolated, "-c", jumping, *rest])
        wait_for(lambda: attempt.progress().get("step") == 50, "the last step")
        begun_s, seen_s = attempt.started()["at"]["wall_s"], attempt.progress()["at"]["wall_s"]
        assert seen_s < begun_s - 3000  # it saw the jumps
        assert runner.wait(40) == 0, said_by(runner)
        end = attempt.exit()
        assert end["told_by"].startswith("stall: no progress for 4 s"), end
        assert end["last_step"] == 50
        assert 8.0 < end["lasted_s"] < 30.0


CLOCK = """
import time
_true = time.time
def _jumping():
    with open({path!r}) as file: return _true() + float(file.read() or 0)
time.time = _jumping
"""
JUMPS = f"""
import sys, time
sys.path.insert(0, {SOURCE!r})
import outlast
with outlast.training(total_steps=60) as run:
    for step in range(1, 51):
        run.step(step)
        time.sleep(0.1)
        if step in (10, 30): open("clock", "w").write("3600" if step == 10 else "-3600")
    time.sleep(3600)
"""
