"""`run --inline`: one process is supervisor and view; signals as the table says."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from outlast.disk.layout import RunFolder
from tests.live.workspace import PYTHON, Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

COUNT = "import sys, time\nfor i in range(int(sys.argv[1])): print('line', i, flush=True); time.sleep(0.02)\n"
TWICE = "import os, sys\nn = int(os.environ['OUTLAST_ATTEMPT'])\nprint('this is', n)\nsys.exit(1 if n == 1 else 0)\n"
STUBBORN = (
    "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(300)\n"
)


def python(program: str, *words: str) -> list[str]:
    return [PYTHON, "-c", program, *words]


def started(outlast: Bench, *words: str) -> "tuple[subprocess.Popen[str], RunFolder]":
    process = outlast.popen("run", "--inline", *words)

    def look() -> RunFolder | None:
        names = os.listdir(outlast.workspace.runs) if os.path.isdir(outlast.workspace.runs) else []
        folders = [outlast.workspace.run(name) for name in names]
        return next((folder for folder in folders if os.path.exists(folder.record)), None)

    return process, wait_for(look, "a run")


@pytest.mark.parametrize(
    ("script", "options", "code"),
    [("exit 0", [], 0), ("exit 3", ["--max-attempts", "1"], 1), ("exit 93", [], 1)],
)
def test_p13_exit_code_is_the_outcomes(outlast: Bench, script: str, options: list[str], code: int) -> None:
    outlast.outlast("run", "--inline", *options, "--", "sh", "-c", script, expect=code)


def test_p13_restarts_happen_at_once_and_all_output_is_shown(outlast: Bench) -> None:
    done = outlast.outlast("run", "--inline", "--backoff", "0", "--", *python(TWICE))
    assert done.stdout == "this is 1\nthis is 2\n"
    assert "attempt 1 ended: failed (exit 1)" in done.stderr


def test_p13_each_job_has_its_own_supervisor(outlast: Bench) -> None:
    first, one = started(outlast, "--", *python(COUNT, "100"))
    outlast.outlast("run", "--inline", "--", "true")
    out, _ = first.communicate(timeout=60)
    assert "line 99" in out
    assert sorted(os.listdir(outlast.workspace.places))[0].startswith("inline-")
    assert len(os.listdir(outlast.workspace.places)) == 2
    assert outlast.snapshot(one)["outcome"] == "completed"


def test_a_first_interrupt_stops_safely_and_cancels(outlast: Bench) -> None:
    process, run = started(outlast, "--", *python(COUNT, "3000"))
    outlast.says(run, "line 3")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert outlast.snapshot(run)["outcome"] == "cancelled"


def test_a_second_interrupt_stops_at_once(outlast: Bench) -> None:
    process, run = started(outlast, "--stop-grace", "100s", "--", *python(STUBBORN))
    outlast.says(run, "deaf")
    process.send_signal(signal.SIGINT)
    wait_for(lambda: os.path.exists(run.attempt(1).wish), "the first to be heard")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


def test_term_stops_safely_and_leaves_the_run_resumable(outlast: Bench) -> None:
    process, run = started(outlast, "--", *python(COUNT, "3000"))
    outlast.says(run, "line 3")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "resumable" in err
    assert outlast.snapshot(run)["phase"] != "ended"


def test_a_hang_up_is_ignored(outlast: Bench) -> None:
    process, run = started(outlast, "--", *python(COUNT, "60"))
    outlast.says(run, "line 3")
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "line 59" in out


def test_a_reader_that_leaves_is_not_noticed_by_the_run(outlast: Bench) -> None:
    process, run = started(outlast, "--", *python(COUNT, "100"))
    outlast.says(run, "line 3")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert "line 99" in outlast.output(run)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs a pid namespace")
def test_p13_the_first_process_of_a_container_is_inline_and_collects_orphans(outlast: Bench) -> None:
    program = "import os, time\nif os.fork() == 0:\n    time.sleep(0.5); os._exit(0)\nos._exit(0)\n"
    watch = (
        "import json, os, sys, time\ntime.sleep(1.5)\n"
        "dead = [p for p in os.listdir('/proc') if p.isdigit() and "
        "open(f'/proc/{p}/stat').read().rpartition(')')[2].split()[0] == 'Z']\nprint(json.dumps(dead))\n"
    )
    # An orphan of something beside the training falls to process 1.
    shell = f'{PYTHON} -c "{program}" & exec {" ".join(_quoted(w) for w in outlast.words("run", "--", *python(watch)))}'
    words = ["unshare", "--pid", "--fork", "--mount-proc", "bash", "-c", shell]
    done = subprocess.run(
        words, env=outlast.env, cwd=outlast.root, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "(inline)" in done.stderr
    assert json.loads(done.stdout) == []


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
