"""Whole runs that hang, each in its own way: the limit, the evidence, the culprit, the next attempt."""

import json
import os
import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.runner import census
from tests.hangs import line_of
from tests.live.workspace import PYTHON, Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

# The first attempt hangs in `stand` after ten steps; the next one goes through.
ONCE = """
import os, sys, time

def stand():
    {stand}

for step in range(1, 21):
    time.sleep(0.01)
    print(f"step {{step}}/20 loss {{1 / step:.4f}}", flush=True)
    if step == 10 and os.environ["OUTLAST_ATTEMPT"] == "1":
        stand()
"""
WITH_SDK = """
import os, sys, time
import outlast

with outlast.training(total_steps=20) as run:
    for step in range(1, 21):
        time.sleep(0.01)
        run.step(step, loss=1 / step)
        if step == 10 and os.environ["OUTLAST_ATTEMPT"] == "1":
{body}
"""


def script(bench: Bench, text: str) -> list[str]:
    path = bench.root / "train.py"
    path.write_text(text)
    return [PYTHON, str(path)]


def incident(run: RunFolder, n: int = 1) -> dict[str, Any]:
    path = os.path.join(run.incidents, f"{n:04d}", "incident.json")
    found = files.read(path)
    assert found is not None, path
    return found


def stacks(run: RunFolder, n: int = 1) -> str:
    return Path(run.incidents, f"{n:04d}", "stacks.txt").read_text()


def sdk(body: str) -> str:
    return WITH_SDK.format(body=textwrap.indent(textwrap.dedent(body).strip(), " " * 12))


STANDS = {
    "R18: a deadlock in C with the GIL held": (
        "import ctypes; libc = ctypes.PyDLL(None); lock = ctypes.create_string_buffer(64); "
        "libc.pthread_mutex_lock(lock); libc.pthread_mutex_lock(lock)"
    ),
    "R19: a deadlock without the GIL, beside a thread that beats": (
        "import threading; threading.Thread(target=lambda: [time.sleep(0.05) for _ in iter(int, 1)], daemon=True)"
        ".start(); lock = threading.Lock(); lock.acquire(); lock.acquire()"
    ),
    "R20: a loop that never ends": "n = 0\n    while True: n += 1",
}


@pytest.mark.parametrize("how", STANDS)
def test_r18_to_r20_an_unmodified_training_that_stands_is_ended_with_its_stack_and_goes_on(
    outlast: Bench, how: str
) -> None:
    text = ONCE.format(stand=STANDS[how])
    run = outlast.start("--stall-limit", "3s", "--backoff", "0", command=script(outlast, text))
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 2)
    first = shown["attempts"][0]
    assert (first["verdict"], first["cause"], first["last_step"]) == ("failed", "hang_train", 10)
    found = incident(run)
    assert found["culprit"]["pid"] == first["pid"]
    line = line_of(text, STANDS[how].splitlines()[-1].strip())
    assert f"train.py:{line} stand" in found["ranks"][0]["own"]
    assert "stand" in stacks(run)
    assert f"train.py:{line} stand" in outlast.outlast("why", run.id).stdout


def test_a_training_with_pages_is_judged_by_its_steps_and_named_with_its_section(outlast: Bench) -> None:
    text = sdk(
        """
        with run.section("eval"):
            time.sleep(3600)
        """
    )
    run = outlast.start("--stall-limit", "eval=2s", "--backoff", "0", command=script(outlast, text))
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], shown["attempts"][0]["cause"]) == ("completed", "hang_eval")
    found = incident(run)
    assert (found["section"], found["limit_s"]) == ("eval", 2.0)
    assert (found["ranks"][0]["rank"], found["ranks"][0]["step"]) == (0, 10)
    assert shown["incidents"][0]["culprit"] == found["culprit"]


def test_r23_a_declared_section_may_take_as_long_as_it_says_although_steps_have_a_shorter_limit(
    outlast: Bench,
) -> None:
    text = sdk(
        """
        with run.section("eval", limit="5m"):
            time.sleep(6)
        """
    )
    run = outlast.start("--stall-limit", "train=2s", command=script(outlast, text))
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], len(shown["attempts"]), shown["incidents"]) == ("completed", 1, [])


def test_l34_a_thread_that_beats_and_an_output_that_grows_prove_nothing_once_steps_are_known(
    outlast: Bench,
) -> None:
    stand = (
        "import threading\n"
        "    def chat():\n"
        "        while True: print('heartbeat: all is well', flush=True); time.sleep(0.2)\n"
        "    threading.Thread(target=chat, daemon=True).start()\n"
        "    time.sleep(3600)"
    )
    run = outlast.start(
        "--stall-limit", "3s", "--backoff", "0", command=script(outlast, ONCE.format(stand=stand))
    )
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], shown["attempts"][0]["cause"]) == ("completed", "hang_train")


def test_p5_a_shell_around_the_training_does_not_die_of_the_question(outlast: Bench) -> None:
    """Of the stack signal, that is: it traps TERM and says so."""
    words = script(outlast, ONCE.format(stand=STANDS["R20: a loop that never ends"]))
    wrapper = outlast.root / "wrap.sh"
    wrapper.write_text(f"trap 'echo told to end' TERM\n{' '.join(words)}\necho after: $?\n")
    run = outlast.start("--stall-limit", "3s", "--max-attempts", "1", command=["bash", str(wrapper)])
    outlast.ended(run, 120)
    assert "told to end" in outlast.output(run)
    assert "stand" in stacks(run)


def test_the_wall_limit_ends_with_evidence_too(outlast: Bench) -> None:
    text = ONCE.format(stand="time.sleep(3600)")
    run = outlast.start("--timeout", "3s", command=script(outlast, text))
    shown = outlast.ended(run, 120)
    assert (shown["outcome"], shown["cause"]) == ("failed", "time_limit")
    assert incident(run)["kind"] == "timeout"
    assert "stand" in stacks(run)


def test_without_injection_the_kernel_tells_and_nobody_is_asked_by_the_signal(outlast: Bench) -> None:
    text = ONCE.format(stand="time.sleep(3600)")
    run = outlast.start("--no-inject", "--stall-limit", "2s", "--backoff", "0", command=script(outlast, text))
    assert outlast.ended(run, 120)["outcome"] == "completed"
    assert "by signal" not in stacks(run)
    assert "nanosleep" in Path(run.incidents, "0001", "proc.txt").read_text()


def test_a_stopped_training_is_reported_and_neither_hung_nor_continued(outlast: Bench) -> None:
    text = ONCE.format(stand="print('up', flush=True)\n    time.sleep(1)")
    run = outlast.start("--stall-limit", "2s", command=script(outlast, text))
    outlast.says(run, "up")
    pid = outlast.started(run)["child"]["pid"]
    os.kill(pid, signal.SIGSTOP)

    def note() -> str | None:
        progress = files.read(run.attempt(1).progress) or {}
        said = str(progress.get("note", ""))
        return said if "stopped (state T) for 5 s" in said else None

    wait_for(note, "five seconds in state T")
    os.kill(pid, signal.SIGCONT)
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], shown["incidents"]) == ("completed", [])


def test_what_was_read_is_shown_with_how_sure_it_is_and_becomes_a_curve(outlast: Bench) -> None:
    run = outlast.start(command=script(outlast, ONCE.format(stand="time.sleep(2)")))
    shown = wait_for(
        lambda: p if (p := files.read(run.attempt(1).progress)) and p.get("confidence") else None, "progress"
    )
    assert (shown["source"], shown["confidence"], shown["total"]) == ("plain", "identified", 20)
    assert outlast.ended(run)["attempts"][0]["last_step"] == 20
    rows = json.loads(outlast.outlast("metrics", run.id, "--json").stdout)
    assert rows[-1]["step"] == 20
    assert rows[-1]["loss"] == 0.05


def test_limits_that_a_run_has_learned_outlive_its_runner_and_its_attempt(outlast: Bench) -> None:
    slowly = "time.sleep(2); print('step 11/20 loss 0.1', flush=True); time.sleep(2)"
    text = ONCE.format(stand=f"{slowly}; os.kill(os.getpid(), 9)")
    run = outlast.start("--backoff", "0", command=script(outlast, text))
    outlast.ended(run)
    learned = files.read(run.limits)
    assert learned is not None
    assert learned["sections"]
    assert outlast.outlast("limits", "show", run.id).stdout


def test_a_training_that_is_stopped_behind_a_shell_is_not_hung_either(outlast: Bench) -> None:
    words = script(outlast, ONCE.format(stand="print('up', flush=True)\n    time.sleep(1)"))
    wrapper = outlast.root / "wrap.sh"
    wrapper.write_text(f"{' '.join(words)}\nexit $?\n")
    run = outlast.start("--stall-limit", "3s", command=["bash", str(wrapper)])
    outlast.says(run, "up")
    (pid,) = census.descendants(outlast.started(run)["child"]["pid"])
    os.kill(pid, signal.SIGSTOP)
    wait_for(
        lambda: "stopped (state T) for 6 s" in str((files.read(run.attempt(1).progress) or {}).get("note")),
        "six seconds",
    )
    os.kill(pid, signal.SIGCONT)
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], shown["incidents"]) == ("completed", [])


def test_a_training_that_ends_well_while_the_evidence_is_gathered_has_ended_well(outlast: Bench) -> None:
    """The question itself wakes a system call that does not restart."""
    stand = "import ctypes; ctypes.CDLL(None).pause(); os._exit(0)"
    run = outlast.start("--stall-limit", "2s", command=script(outlast, ONCE.format(stand=stand)))
    shown = outlast.ended(run, 60)
    assert (shown["outcome"], len(shown["attempts"])) == ("completed", 1)
    assert shown["attempts"][0]["verdict"] == "finished"
    assert incident(run)["reason"].startswith("stall: ")
