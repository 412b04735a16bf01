import os
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.runner import census, kernel
from tests.runner_driver import is_living, wait_for

TELLS = tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 15)


def stranger(code: int, folder: Path) -> tuple[int, int, int]:
    """(pid, start ticks, pidfd) of a process whose parent is another, and reaps it."""
    fifo = folder / "go"
    os.mkfifo(fifo)
    script = f"(read word < {fifo}; exit {code}) & echo $!; wait"
    middle = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert middle.stdout is not None
    pid = int(middle.stdout.readline())
    ticks = census.start_ticks(pid)
    assert ticks is not None
    pidfd = os.pidfd_open(pid)
    fifo.write_text("go\n")
    middle.communicate()
    return pid, ticks, pidfd


@pytest.mark.skipif(not TELLS, reason="the kernel tells since 6.15")
@pytest.mark.parametrize("code", [0, 7])
def test_the_kernel_tells_how_a_stranger_ended(tmp_path: Path, code: int) -> None:
    pid, ticks, pidfd = stranger(code, tmp_path)
    status = kernel.status_of(pidfd, pid, ticks, 5.0)
    os.close(pidfd)
    assert status is not None
    assert os.waitstatus_to_exitcode(status) == code


def test_where_the_kernel_does_not_tell_there_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "PIDFD_GET_INFO", 0)
    pid, ticks, pidfd = stranger(0, tmp_path)
    assert kernel.status_of(pidfd, pid, ticks, 5.0) is None
    os.close(pidfd)


def test_a_zombie_tells_by_its_last_field_but_never_a_success() -> None:
    for code, expected in ((7, 7), (0, None)):
        process = subprocess.Popen(["sh", "-c", f"exit {code}"])
        wait_for(lambda pid=process.pid: census.state(pid) == "Z", "the zombie")  # type: ignore[misc]  # mypy infers no lambda with a default
        ticks = census.start_ticks(process.pid)
        assert ticks is not None
        status = kernel._zombie_status(process.pid, ticks)
        assert (None if status is None else os.waitstatus_to_exitcode(status)) == expected
        assert kernel._zombie_status(process.pid, ticks + 1) is None
        process.wait()


def test_nobody_is_told_of_one_that_is_not_reaped_yet() -> None:
    process = subprocess.Popen(["true"])
    pidfd = os.pidfd_open(process.pid)
    wait_for(lambda: census.state(process.pid) == "Z", "the zombie")
    assert kernel.status_of(pidfd, process.pid, census.start_ticks(process.pid) or 0, 0.01) is None
    os.close(pidfd)
    process.wait()


def in_a_child(code: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "PYTHONPATH": str(Path(kernel.__file__).parents[2])}
    words = [sys.executable, "-c", "import os, signal, time\nfrom outlast.runner import kernel\n" + code]
    return subprocess.run(words, env=env, capture_output=True, text=True, check=True)


ORPHAN = """
r, w = os.pipe()
kernel.be_subreaper()
if os.fork() == 0:
    if os.fork() == 0:
        os.read(r, 1)
        os.write(1, b"%d " % os.getppid())
    os._exit(0)
os.wait()
os.write(w, b"g")
os.wait()
print(os.getpid(), kernel.be_subreaper(False), flush=True)
"""
BEREFT = """
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    kernel.die_with_parent(signal.SIGKILL)
    os.write(w, b"x")
    time.sleep(60)
os.read(r, 1)
print(pid)
"""


def test_a_subreaper_gets_the_orphans() -> None:
    parent, me, gave_back = in_a_child(ORPHAN).stdout.split()
    assert (parent, gave_back) == (me, "True")


def test_die_with_parent() -> None:
    pid = int(in_a_child(BEREFT).stdout)
    wait_for(lambda: not is_living(pid), "its death")


def test_a_hole_reads_as_zeros_and_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 65536)
    fd = os.open(path, os.O_RDWR)
    assert kernel.punch_hole(fd, 4096, 57344)
    os.close(fd)
    assert path.read_bytes() == b"x" * 4096 + b"\0" * 57344 + b"x" * 4096
    assert path.stat().st_blocks * 512 <= 8192


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    assert not kernel.punch_hole(fd, 0, 4096)
    os.close(fd)
