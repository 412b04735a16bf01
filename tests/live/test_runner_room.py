"""Disks that are full, logs that never end, and places that nobody holds."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.disk import files
from outlast.facts import Ending, Exited
from outlast.facts.codec import from_record
from tests.runner_driver import PYTHON, Driver, driver, is_living, python, record, wait_for

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Driver]:
    with driver(tmp_path) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Driver]:
    """A workspace on a file system of half a megabyte."""
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(root)], check=True)
    try:
        with driver(root) as made:
            yield made
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


FILLS = "dd if=/dev/zero of=fill bs=4k; dd if=/dev/zero of=fill2 bs=1; exit 5"


@ROOT_ONLY
def test_the_end_is_recorded_though_the_disk_is_full(small_disk: Driver) -> None:
    small_disk.live(["sh", "-c", f"({FILLS}) 2>/dev/null"])
    assert from_record(small_disk.exit(), Ending).exit == Exited(5)
    assert os.statvfs(small_disk.root).f_bavail == 0


@ROOT_ONLY
def test_a_stop_is_obeyed_though_the_disk_is_full(small_disk: Driver) -> None:
    small_disk.order(
        [
            "sh",
            "-c",
            f"({FILLS}) 2>/dev/null; touch /dev/shm/full.$$; echo $$ > {small_disk.root}/../pid; sleep 300",
        ]
    )
    runner = small_disk.start()
    wait_for((small_disk.root.parent / "pid").exists, "a full disk")
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(20) == 0
    assert small_disk.exit()["told_by"] == "signal 15 to the runner"
    Path("/dev/shm/full." + (small_disk.root.parent / "pid").read_text().strip()).unlink()


@ROOT_ONLY
def test_without_room_for_its_last_words_nothing_begins(small_disk: Driver) -> None:
    small_disk.order(["touch", str(small_disk.root.parent / "ran")])
    subprocess.run(["sh", "-c", f"cd {small_disk.root}; ({FILLS}) 2>/dev/null"], check=False)
    assert small_disk.start().wait(20) == 75
    assert not os.path.exists(small_disk.folder.claim)
    assert not (small_disk.root.parent / "ran").exists()
    os.unlink(small_disk.root / "fill")
    assert small_disk.start().wait(20) == 0


LIMIT = 1 << 20
FLOOD = f"""
import os, time
print("the first line", flush=True)
worst = 0.0
for n in range(40):
    t = time.monotonic(); os.write(1, b"x" * {LIMIT // 4}); worst = max(worst, time.monotonic() - t)
    time.sleep(0.07)
os.write(1, b"the last word")
open("worst", "w").write(str(worst))
"""


def test_l28_one_endless_line_is_bounded_and_the_training_never_waits(attempt: Driver) -> None:
    attempt.live(python(FLOOD), log_bytes_max=LIMIT)
    size = os.stat(attempt.folder.output).st_size
    assert size >= 40 * LIMIT // 4
    assert (
        os.stat(attempt.folder.output).st_blocks * 512 < 8 * LIMIT
    )  # what was written since the last tick besides
    body = Path(attempt.folder.output).read_bytes()
    assert body.startswith(b"the first line\n" + b"x" * 1000)
    assert body.endswith(b"the last word")
    assert b"bytes are left out here; the limit of this log is 1048576 bytes]\n" in body
    assert "were given back" in attempt.log()
    assert float((attempt.root / "worst").read_text()) < 0.5


def test_l28_a_file_system_without_holes_says_so_once(attempt: Driver) -> None:
    """Linux knows no holes in ext2, NFS 4.1 and others; here the call itself is taken away."""
    attempt.order(python(FLOOD), log_bytes_max=LIMIT)
    inject = [
        "strace",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fallocate",
        "-e",
        "inject=fallocate:error=EOPNOTSUPP",
    ]
    runner = attempt.start(before=inject)
    assert runner.wait(30) == 0
    assert attempt.log().count("knows no holes") == 1
    assert attempt.exit()["exit"] == {"type": "Exited", "code": 0}


def with_setting(attempt: Driver, setting: str) -> list[str]:
    """The runner's command with a number of its own set otherwise."""
    words = attempt.words()
    code = words.index("-c") + 1
    before = "import sys; sys.path.insert(0, sys.argv.pop(1)); from outlast.runner import ring, tree; "
    words[code] = f"{before}{setting}; from outlast.runner.life import main; sys.exit(main())"
    return words


def test_what_cannot_be_ended_keeps_the_attempt_open_and_everybody_can_see_why(attempt: Driver) -> None:
    """As a process in the kernel's hands (state D): here the runner's signals are taken away."""
    attempt.order(["sh", "-c", "echo up; exec sleep 300"])
    deaf = "trace=pidfd_send_signal,kill"
    inject = "inject=pidfd_send_signal,kill:error=EPERM"
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", deaf, "-e", inject]
    runner = attempt.start(words=[*strace, *with_setting(attempt, "tree.KILL_S = 0.2")])
    attempt.says("up")
    attempt.wish("stop-now")
    pid = attempt.started()["child"]["pid"]
    note = wait_for(lambda: attempt.progress().get("note"), "a note")
    assert f"cannot be ended: process {pid} (sleep, state S)" in note
    assert f"cannot be ended: process {pid} (sleep, state S)" in attempt.log()
    assert runner.poll() is None
    assert not os.path.exists(attempt.folder.exit)
    os.kill(pid, signal.SIGKILL)
    assert runner.wait(20) == 0
    assert attempt.exit()["exit"]["signal"] == 9


# --- the place ------------------------------------------------------------------------------------------------------

SUPERVISOR = """
import json, os, sys
from pathlib import Path
there = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
fds = {path.rpartition("/")[2]: os.readlink(path) for path in there if os.path.lexists(path)}
seen = {"sid": os.getsid(0), "pid": os.getpid(), "ppid": os.getppid(), "cwd": os.getcwd(), "fds": fds,
        "ours": [name for name in os.environ if name.startswith("OUTLAST_")]}
temporary = sys.argv[1] + ".tmp"
Path(temporary).write_text(json.dumps(seen)); os.rename(temporary, sys.argv[1])
"""


def supervisor(attempt: Driver) -> tuple[list[str], Path]:
    said = attempt.root / "supervisor-was-here"
    return [PYTHON, "-I", "-c", SUPERVISOR, str(said)], said


def test_p18_the_last_act_starts_a_supervisor_where_none_is(attempt: Driver) -> None:
    command, said = supervisor(attempt)
    attempt.live(["sh", "-c", "exit 1"], supervisor=command)
    wait_for(said.exists, "a supervisor")
    seen = record(str(said))
    assert seen["sid"] not in (os.getsid(0), attempt.runners[0].pid)
    assert seen["ppid"] != attempt.runners[0].pid
    assert (seen["cwd"], seen["ours"]) == ("/", [])
    assert {path for fd, path in seen["fds"].items() if int(fd) <= 2} == {"/dev/null", attempt.place.log}
    assert not [path for path in seen["fds"].values() if attempt.folder.path in path]


def test_one_that_was_told_to_leave_is_not_replaced(attempt: Driver) -> None:
    command, said = supervisor(attempt)
    files.replace(attempt.place.supervisor, {"wanted": False})
    attempt.live(["true"], supervisor=command)
    assert not said.exists()
    assert not os.path.exists(attempt.place.log)


def test_beside_a_living_one_none_is_started(attempt: Driver) -> None:
    command, _ = supervisor(attempt)
    holder = subprocess.Popen(["flock", "--no-fork", attempt.place.lock, "sleep", "60"])
    try:
        wait_for(lambda: files.is_locked(attempt.place.lock), "the holder")
        attempt.live(["true"], supervisor=command)
        assert not os.path.exists(attempt.place.log)
    finally:
        holder.kill()
        holder.wait()


def test_a_supervisor_that_is_missing_in_mid_life_is_no_part_of_the_training(attempt: Driver) -> None:
    """Started by the runner, but not its descendant: the sweep leaves it alone."""
    said = attempt.root / "pid"
    stays = ["/bin/sh", "-c", f"echo $$ > {said}.tmp; mv {said}.tmp {said}; exec sleep 60"]
    attempt.order(["sh", "-c", "echo up; sleep 300"], supervisor=stays)
    runner = attempt.start(words=with_setting(attempt, "ring.EVERY_S = -10.0"))
    wait_for(said.exists, "a supervisor in mid-life")
    pid = int(said.read_text())
    try:
        runner.terminate()
        assert runner.wait(20) == 0
        assert attempt.exit()["swept"] == 0
        assert is_living(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
