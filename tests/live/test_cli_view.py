"""The foreground view of `run`: output, lines, signals, and that losing it never touches the run."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from outlast.disk import files, identity, requests
from outlast.disk.layout import RunFolder
from tests.live.workspace import PYTHON, Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

COUNT = "import sys, time\nfor i in range(int(sys.argv[1])): print('line', i, flush=True); time.sleep(0.02)\n"
STUBBORN = (
    "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf', flush=True)\ntime.sleep(300)\n"
)
TWICE = "import os, sys\nn = int(os.environ['OUTLAST_ATTEMPT'])\nprint('this is', n)\nsys.exit(1 if n == 1 else 0)\n"


def python(program: str, *words: str) -> list[str]:
    return [PYTHON, "-c", program, *words]


def the_run(outlast: Bench) -> RunFolder:
    def look() -> RunFolder | None:
        names = os.listdir(outlast.workspace.runs) if os.path.isdir(outlast.workspace.runs) else []
        folders = [outlast.workspace.run(name) for name in names]
        return next((folder for folder in folders if os.path.exists(folder.record)), None)

    return wait_for(look, "a run")


class Terminal:
    """`outlast ...` in a pseudo-terminal of its own."""

    def __init__(self, outlast: Bench, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(outlast.root)
            env = {**outlast.env, "TERM": "xterm"}
            os.execvpe(PYTHON, outlast.words(*words), env)
        self.resize(24, 100)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> bool:
        """Whether the other side is still there."""
        if not select.select([self.fd], [], [], 0.02)[0]:
            return True
        try:
            part = os.read(self.fd, 65536)
        except OSError:
            return False
        self.seen += part
        return bool(part)

    def until(self, text: bytes) -> None:
        def look() -> bool:
            self.read()
            return text in self.seen

        wait_for(look, f"{text!r} on the terminal")

    def press(self, key: bytes) -> None:
        os.write(self.fd, key)

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal() -> type[Terminal]:
    return Terminal


def test_output_comes_through_byte_for_byte_and_talk_goes_elsewhere(outlast: Bench) -> None:
    program = "import os\nos.write(1, b'\\xff\\x00\\r50%\\r100%\\n' + b'x' * 300_000)\nos.write(2, b'err')\n"
    done = subprocess.run(
        outlast.words("run", "--", *python(program)),
        env=outlast.env,
        cwd=outlast.root,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stdout == b"\xff\x00\r50%\r100%\n" + b"x" * 300_000 + b"err"
    assert b"attempt 1 began" in done.stderr
    assert b"completed" in done.stderr


def test_output_of_every_attempt_is_shown_in_order(outlast: Bench) -> None:
    done = outlast.outlast("run", "--backoff", "0", "--", *python(TWICE))
    assert done.stdout == "this is 1\nthis is 2\n"
    lines = [line for line in done.stderr.splitlines() if "attempt" in line]
    assert [" ".join(line.split()[1:4]) for line in lines[:4]] == [
        "attempt 1 began",
        "attempt 1 ended:",
        "attempt 2 began",
        "attempt 2 ended:",
    ]


@pytest.mark.parametrize(("code", "outcome", "expected"), [(0, "completed", 0), (93, "failed", 1)])
def test_exit_code_of_the_view_is_the_outcomes(
    outlast: Bench, code: int, outcome: str, expected: int
) -> None:
    done = outlast.outlast("run", "--", "sh", "-c", f"exit {code}", expect=expected)
    assert outcome in done.stderr


def test_wait_shows_no_output_and_json_the_run(outlast: Bench) -> None:
    done = outlast.outlast("run", "--wait", "--", "echo", "hello")
    assert done.stdout == ""
    done = outlast.outlast("run", "--wait", "--json", "--", "echo", "hello")
    assert '"outcome": "completed"' in done.stdout


def test_a_reader_that_leaves_detaches(outlast: Bench) -> None:
    shell = " ".join(map(_quoted, outlast.words("run", "--", *python(COUNT, "200")))) + " | head -1"
    done = subprocess.run(
        ["bash", "-c", f"{shell}; echo ${{PIPESTATUS[0]}}"],
        env=outlast.env,
        cwd=outlast.root,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["line 0", "75"]
    assert "detached" in done.stderr
    assert outlast.ended(the_run(outlast))["outcome"] == "completed"


def test_a_full_disk_under_the_shown_output_only_mutes_it(outlast: Bench) -> None:
    with open("/dev/full", "wb") as full:
        view = outlast.popen("run", "--", *python(COUNT, "20"), stdout=full)
        _, err = view.communicate(timeout=60)
    assert view.returncode == 0
    assert "cannot be shown here (No space left on device)" in err
    assert outlast.ended(the_run(outlast))["outcome"] == "completed"


def test_a_killed_view_is_not_noticed_by_the_run(outlast: Bench) -> None:
    view = outlast.popen("run", "--", *python(COUNT, "100"), start_new_session=True)
    run = the_run(outlast)
    outlast.says(run, "line 5")
    os.killpg(view.pid, signal.SIGKILL)
    view.communicate()
    assert outlast.ended(run)["outcome"] == "completed"


def test_term_detaches_and_says_how_to_look_again(outlast: Bench) -> None:
    view = outlast.popen("run", "--", *python(COUNT, "100"))
    run = the_run(outlast)
    outlast.says(run, "line 5")
    view.send_signal(signal.SIGTERM)
    _, err = view.communicate(timeout=20)
    assert view.returncode == 75
    assert f"outlast logs -f {run.id}" in err
    assert outlast.ended(run)["outcome"] == "completed"


def test_a_lost_terminal_is_told_from_a_completed_run(outlast: Bench, terminal: type[Terminal]) -> None:
    screen = terminal(outlast, "run", "--", *python(COUNT, "100"))
    screen.until(b"line 5")
    os.close(screen.fd)
    assert os.waitstatus_to_exitcode(os.waitpid(screen.pid, 0)[1]) == 75
    assert outlast.ended(the_run(outlast))["outcome"] == "completed"


@pytest.mark.parametrize("way", [["--detach"], [], ["--wait"]])
def test_a_run_that_begins_as_an_idle_supervisor_leaves_is_served(outlast: Bench, way: list[str]) -> None:
    """We are the holder of the place, hear nothing any more, and were told to leave."""
    files.make_directory(outlast.place.path)
    holding = files.open_lock(outlast.place.lock)
    fcntl.flock(holding, fcntl.LOCK_EX)
    files.replace(outlast.place.supervisor, {"wanted": False, "host": os.uname().nodename})
    asking = outlast.popen("run", *way, "--", *python(COUNT, "3"))
    wait_for(lambda: requests.numbers(outlast.place), "the request")
    os.close(holding)
    asking.communicate(timeout=60)
    assert asking.returncode == 0
    assert outlast.ended(the_run(outlast))["outcome"] == "completed"


def test_who_leaves_while_a_run_is_announced_leaves_a_run_that_is_served(outlast: Bench) -> None:
    files.make_directory(outlast.place.path)
    holding = files.open_lock(outlast.place.lock)
    fcntl.flock(holding, fcntl.LOCK_EX)
    view = outlast.popen("run", "--", *python(COUNT, "3"))
    wait_for(lambda: requests.numbers(outlast.place), "the request")
    view.send_signal(signal.SIGTERM)
    os.close(holding)
    view.communicate(timeout=60)
    assert view.returncode == 75
    assert outlast.ended(the_run(outlast))["outcome"] == "completed"


def test_nohup_stays_in_force(outlast: Bench) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        view = outlast.popen("run", "--", *python(COUNT, "60"))
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    outlast.says(the_run(outlast), "line 5")
    view.send_signal(signal.SIGHUP)
    out, _ = view.communicate(timeout=60)
    assert view.returncode == 0
    assert "line 59" in out


def test_a_view_that_nobody_reads_still_hears_ctrl_c(outlast: Bench) -> None:
    flood = (
        "import sys, time\nprint('x' * 2_000_000, flush=True)\ntime.sleep(300)\n"  # more than a pipe holds
    )
    view = outlast.popen("run", "--stop-grace", "1s", "--", *python(flood))
    run = the_run(outlast)
    wait_for(lambda: len(outlast.output(run)) > 2_000_000, "all of its output")
    view.send_signal(signal.SIGINT)
    snapshot = outlast.ended(run)
    assert snapshot["outcome"] == "cancelled"
    view.send_signal(signal.SIGTERM)
    view.communicate(timeout=60)


def test_ctrl_c_stops_safely_and_a_second_one_at_once(outlast: Bench, terminal: type[Terminal]) -> None:
    screen = terminal(outlast, "run", "--stop-grace", "100s", "--", *python(STUBBORN))
    screen.until(b"deaf")
    began = time.monotonic()
    screen.press(b"\x03")
    screen.until(b"Ctrl-C again stops at once")
    screen.press(b"\x03")
    assert screen.end() == 130
    assert time.monotonic() - began < 60
    assert outlast.snapshot(the_run(outlast))["outcome"] == "cancelled"


def test_a_third_ctrl_c_leaves_the_view(outlast: Bench, terminal: type[Terminal]) -> None:
    screen = terminal(outlast, "run", "--stop-grace", "1s", "--", *python(STUBBORN))
    screen.until(b"deaf")
    record = outlast.supervisor()
    identity.send(record["identity"], signal.SIGSTOP)  # so that no stop is heard
    try:
        for said in (b"Ctrl-C again stops at once", b"stopping at once", b"the stop goes on"):
            screen.press(b"\x03")
            screen.until(said)
        assert screen.end() == 130
    finally:
        identity.send(record["identity"], signal.SIGCONT)
    assert outlast.ended(the_run(outlast))["outcome"] == "cancelled"


def test_the_live_line_stays_below_the_output_and_is_taken_away(
    outlast: Bench, terminal: type[Terminal]
) -> None:
    screen = terminal(outlast, "run", "--name", "show", "--", *python(COUNT, "60"))
    screen.until(b"running")
    screen.resize(30, 80)
    screen.until(b"\x1b[1;29r")
    assert screen.end() == 0
    text = screen.seen
    assert text.index(b"\x1b[1;23r") < text.index(b"line 0")
    assert text.rindex(b"\x1b[r") > text.rindex(b"\x1b[1;29r")
    for n in range(60):
        assert f"line {n}\r\n".encode() in text


def test_ctrl_z_gives_the_terminal_back_before_the_view_is_suspended(
    outlast: Bench, terminal: type[Terminal]
) -> None:
    screen = terminal(outlast, "run", "--", *python(COUNT, "100"))
    screen.until(b"running")
    screen.press(
        b"\x1a"
    )  # nobody could continue a process group without a shell, so the kernel does not stop this one
    screen.until(b"\x1b[r")
    assert b"line 99" not in screen.seen
    assert screen.end() == 0
    assert screen.seen.count(b"\x1b[1;23r") == 2
    assert b"line 99" in screen.seen


def test_without_a_capable_terminal_there_are_plain_lines(outlast: Bench) -> None:
    outlast.env["TERM"] = "dumb"
    screen = Terminal.__new__(Terminal)
    screen.pid, screen.fd = pty.fork()
    if screen.pid == 0:
        os.chdir(outlast.root)
        os.execvpe(PYTHON, outlast.words("run", "--", "echo", "hello"), outlast.env)
    screen.seen = b""
    assert screen.end() == 0
    assert b"\x1b" not in screen.seen
    assert b"hello" in screen.seen


def test_a_supervisor_that_dies_under_the_view_is_replaced_by_it(outlast: Bench) -> None:
    view = outlast.popen("run", "--", *python(COUNT, "500"))
    run = the_run(outlast)
    outlast.says(run, "line 5")
    outlast.kill_supervisor()
    outlast.supervisor()
    assert "line 499" not in outlast.output(run)  # so it was not the runner's last act
    out, _ = view.communicate(timeout=60)
    assert view.returncode == 0
    assert "line 499" in out


def test_down_under_the_view_leaves_with_75(outlast: Bench) -> None:
    view = outlast.popen("run", "--", *python(COUNT, "3000"))
    run = the_run(outlast)
    outlast.says(run, "line 5")
    outlast.outlast("down")
    _, err = view.communicate(timeout=60)
    assert view.returncode == 75
    assert "resumable" in err
    assert outlast.snapshot(run)["phase"] in ("queued", "waiting")


def test_detached_survives_its_callers_session(outlast: Bench, tmp_path: Path) -> None:
    run = outlast.start(command=python(COUNT, "50"))
    started = outlast.started(run)
    assert os.getsid(started["child"]["pid"]) != os.getsid(0)
    assert outlast.ended(run)["outcome"] == "completed"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
