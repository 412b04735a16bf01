"""A killed child's replacement is running: how long that takes, against what people use today.

The child writes its pid and time.monotonic_ns() into a file as its first deed; it is killed with SIGKILL and the time
until the next one's entry is taken. The child is `sh`, so that what is measured is the restarting, not Python.
outlast runs with --backoff 0; its time includes every durable record of the restart, and how much of it is fsync is
printed (measured apart, on the same file system). With checkpoints it also includes that what the child saved last is
verified, remembered and copied, and looked at again before the next begins.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.table import show

REPEATS = 14
SAVED_MB = (1, 500)
KILLS_PER_RUN = 2  # a third death before the first step would end a run of outlast
CHILD = 'read up rest < /proc/uptime; echo "$$ $(date +%s%N)" >> "$1"; exec sleep 1000'
FSYNCS_PER_RESTART = (
    12  # reserve, claim (2), started (2), exit (2), order (2), journal (2), child's lease room
)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as folder:
        root = Path(folder)
        rows = [("bash loop", _measure(root / "bash", _bash))]
        if shutil.which("supervisord", path=_path()):
            rows.append(("supervisord", _measure(root / "supervisord", _supervisord)))
        if shutil.which("torchrun", path=_path()):
            rows.append(("torchrun --max-restarts", _measure(root / "torchrun", _torchrun, repeats=4)))
        rows.append(("outlast run --backoff 0", _measure(root / "outlast", _outlast)))
        for megabytes in SAVED_MB:
            name = f"the same, a save of {megabytes} MB just before"
            rows.append((name, _measure(root / f"saved-{megabytes}", partial(_saving, megabytes), repeats=4)))
        show("child killed -> replacement running", rows)
        fsync_ms = _fsync_ms(root)
        print(
            f"  one fsync of a small new file here: {fsync_ms:.2f} ms; a restart of outlast makes about "
            f"{FSYNCS_PER_RESTART}: {FSYNCS_PER_RESTART * fsync_ms:.1f} ms"
        )


def _measure(
    folder: Path, start: Callable[[Path, Path], Callable[[], None]], repeats: int = REPEATS
) -> list[float]:
    folder.mkdir(mode=0o700)
    taken: list[float] = []
    for number in range(0, repeats, KILLS_PER_RUN):
        births = folder / f"births-{number}"
        stop = start(folder, births)
        try:
            taken += [_kill_and_wait(births, count) for count in range(1, KILLS_PER_RUN + 1)]
        finally:
            stop()
    return taken


def _kill_and_wait(births: Path, count: int) -> float:
    """Milliseconds from the kill of birth `count` to the next birth."""
    pid = int(_wait_for(births, count)[count - 1].split()[0])
    time.sleep(1.2)  # supervisord takes a child that lives for less as not started
    killed_ns = time.time_ns()
    os.kill(pid, signal.SIGKILL)
    return (int(_wait_for(births, count + 1)[count].split()[1]) - killed_ns) / 1e6


def _bash(folder: Path, births: Path) -> Callable[[], None]:
    loop = f"while :; do sh -c '{CHILD}' child {births}; done"
    process = subprocess.Popen(["bash", "-c", loop], start_new_session=True, stderr=subprocess.DEVNULL)
    return lambda: _end(process)


def _supervisord(folder: Path, births: Path) -> Callable[[], None]:
    script = folder / "child.sh"
    script.write_text(CHILD + "\n")
    config = folder / "supervisord.conf"
    config.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\n"
        f"[program:child]\ncommand=sh {script} {births}\nautorestart=true\nstartsecs=0\n"
    )
    command = [shutil.which("supervisord", path=_path()) or "", "-c", str(config)]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    return lambda: _end(process)


def _torchrun(folder: Path, births: Path) -> Callable[[], None]:
    script = folder / "child.sh"
    script.write_text("#!/bin/sh\n" + CHILD + "\n")
    script.chmod(0o700)
    command = [
        shutil.which("torchrun", path=_path()) or "",
        "--standalone",
        "--no-python",
        "--max-restarts=100",
    ]
    command += ["--monitor-interval=0.1", str(script), str(births)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    return lambda: _end(process)


def _outlast(folder: Path, births: Path) -> Callable[[], None]:
    return _run_outlast(folder, ["sh", "-c", CHILD, "child", str(births)])


def _saving(megabytes: int, folder: Path, births: Path) -> Callable[[], None]:
    """With --checkpoints: what a child saved is verified, remembered and copied when it has died, and verified again
    before the next begins."""
    saves, whole = folder / f"saves-{births.name}", folder / f"whole-{megabytes}.pt"
    saves.mkdir(exist_ok=True)
    torch.save({"weight": torch.randn(megabytes << 18)}, whole)
    child = f"cp {whole} {saves}/step-$$.pt; {CHILD}"
    return _run_outlast(folder, ["sh", "-c", child, "child", str(births)], "--checkpoints", str(saves))


def _run_outlast(folder: Path, command: list[str], *more: str) -> Callable[[], None]:
    outlast = [sys.executable, "-m", "outlast", "--workspace", str(folder)]
    options = ["--detach", "--name", "bench", "--backoff", "0", "--max-attempts", "1000"]
    run = subprocess.run(
        [*outlast, "run", *options, *more, "--", *command],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()

    def stop() -> None:
        subprocess.run([*outlast, "stop", run, "--now"], check=False, capture_output=True)

    return stop


def _wait_for(births: Path, count: int) -> list[str]:
    """The lines of all births, once there are so many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if births.exists() and (written := births.read_text()).count("\n") >= count:
            return written.split("\n")
        time.sleep(0.0005)
    raise TimeoutError(f"{births}: no birth number {count} within a minute")


def _end(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _fsync_ms(folder: Path) -> float:
    taken = []
    for number in range(50):
        began = time.perf_counter()
        fd = os.open(folder / f"fsync-{number}", os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"x" * 500)
        os.fsync(fd)
        os.close(fd)
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)


def _path() -> str:
    return f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
