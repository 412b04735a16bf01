"""The page in real processes: it survives what is done to it, forks and spawns, and costs a training nothing else.

Knows the SDK only by its public names, in a Python of its own; looks at the page as the runner does.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import outlast
from outlast.disk import heartbeat
from outlast.runner.ranks import Ranks

pytestmark = pytest.mark.live

SOURCE = str(Path(outlast.__file__).parents[1])
DEADLINE_S = 20
STEPPING = """
import sys, outlast
with outlast.training() as run:
    while not run.should_stop:
        run.step(loss=0.5)
print("left safely")
"""


def environ(folder: Path | None, **more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "SLURM_"))}
    clean |= {"PYTHONPATH": SOURCE, "PYTHONFAULTHANDLER": "1"} | more
    return clean if folder is None else clean | {"OUTLAST_RUN_ID": "r", "OUTLAST_HEARTBEAT": str(folder)}


def run_python(code: str, env: dict[str, str], *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=DEADLINE_S)


@contextmanager
def python(code: str, env: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as training:
        try:
            yield training
        finally:
            training.kill()


def until(what: Callable[[], object], why: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.002)


def the_page(folder: Path, name: str = "rank-0.*") -> heartbeat.Page:
    until(lambda: list(folder.glob(name)), f"no {name} appeared")
    (path,) = folder.glob(name)
    page = heartbeat.Page(str(path))
    until(page.read, f"nobody signed {path}")
    return page


def steps_on(page: heartbeat.Page) -> bool:
    """Whether the training makes a thousand further steps."""
    before = page.read()
    assert before is not None
    until(lambda: (now := page.read()) is not None and now.seq > before.seq + 1000, "it steps no more")
    return True


def stop(training: "subprocess.Popen[str]", page: heartbeat.Page) -> tuple[int, str, str]:
    page.tell(0)
    out, err = training.communicate(timeout=DEADLINE_S)
    return training.returncode, out, err


def test_deleted_under_the_training_the_page_is_read_on_and_the_training_lives(tmp_path: Path) -> None:
    folder = tmp_path / "beats"
    folder.mkdir()
    with python(STEPPING, environ(folder)) as training:
        page = the_page(folder)
        shutil.rmtree(folder)
        assert steps_on(page)
        assert stop(training, page) == (0, "left safely\n", "")


@pytest.mark.parametrize("way", ["by name", "opened for writing", "through /proc"])
def test_nobody_can_truncate_the_page_under_the_training(tmp_path: Path, way: str) -> None:
    with python(STEPPING, environ(tmp_path)) as training:
        page = the_page(tmp_path)
        path = page.path if way != "through /proc" else str(Path(page.path).readlink())
        with pytest.raises(PermissionError):
            os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)) if way == "opened for writing" else os.truncate(
                path, 0
            )
        assert steps_on(page)
        assert stop(training, page) == (0, "left safely\n", "")


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a tmpfs with these options."""
    folder = tmp_path / "tmpfs"
    folder.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("needs the right to mount a tmpfs")
        return folder

    yield mount
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def test_a_full_tmpfs_takes_nothing_from_the_page(tmpfs: Callable[[str], Path]) -> None:
    folder = tmpfs("size=64k")
    with pytest.raises(OSError, match="No space left"):
        (folder / "filler").write_bytes(bytes(1 << 20))
    with python(STEPPING, environ(folder)) as training:
        page = the_page(folder)
        assert steps_on(page)
        assert stop(training, page) == (0, "left safely\n", "")
        last = page.read()
    assert last is not None
    assert last.word == "stopped"


def test_a_tmpfs_without_room_for_a_name_is_said_once_and_the_training_lives(
    tmpfs: Callable[[str], Path],
) -> None:
    folder = tmpfs("nr_inodes=1")
    code = """
import outlast
for _ in range(2):
    with outlast.training() as run:
        for _ in range(1000): run.step(loss=0.5)
"""
    done = run_python(code, environ(folder))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("outlast: no exact progress: ")
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_killed_trainings_page_is_still_read_by_who_had_it_open(tmp_path: Path) -> None:
    with python(STEPPING, environ(tmp_path)) as training:
        page = the_page(tmp_path)
        assert steps_on(page)
        training.send_signal(signal.SIGKILL)
        training.wait(DEADLINE_S)
        last = page.read()
        assert last is not None
        assert last.step > 1000
        with pytest.raises(FileNotFoundError):
            heartbeat.Page(page.path)


def test_a_reader_sees_every_jump_whole_or_one_step_short(tmp_path: Path) -> None:
    code = """
import outlast
run = outlast.training()
while not run.should_stop:
    run.step(step=1); run.step(step=10**9)
"""
    with python(code, environ(tmp_path)) as training:
        page = the_page(tmp_path)
        looks = [beat for _ in range(20_000) if (beat := page.read()) is not None and beat.seq > 2]
        assert {beat.step for beat in looks} <= {0, 1, 10**9 - 1, 10**9}
        assert [beat.seq for beat in looks] == sorted(beat.seq for beat in looks)
        assert stop(training, page)[0] == 0


def test_a_forked_child_beats_for_nobody_but_a_rank_of_its_own_has_a_page(tmp_path: Path) -> None:
    code = """
import os, outlast
run = outlast.training()
run.step(loss=1.0)
child = os.fork()
if child == 0:
    for _ in range(500): run.step(loss=9.0)
    assert not run.should_stop
    run.done()
    run.__exit__(None, None, None)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
rank = os.fork()
if rank == 0:
    os.environ["RANK"] = "1"
    with outlast.training() as own: own.step(loss=3.0)
    os._exit(0)
assert os.waitpid(rank, 0)[1] == 0
run.step(loss=2.0)
print(rank)
"""
    done = run_python(code, environ(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    ours, theirs = the_page(tmp_path).read(), the_page(tmp_path, "rank-1.*").read()
    assert ours is not None
    assert theirs is not None
    assert (ours.step, ours.loss, ours.word) == (2, 2.0, "running")
    assert (theirs.pid, theirs.step, theirs.loss) == (int(done.stdout), 1, 3.0)
    assert len(list(tmp_path.iterdir())) == 2


def test_each_spawned_rank_makes_its_own_page(tmp_path: Path) -> None:
    script = tmp_path / "spawns.py"
    script.write_text("""
import multiprocessing, os, outlast
def rank(number):
    os.environ |= {"RANK": str(number), "WORLD_SIZE": "2"}
    with outlast.training(total_steps=number + 1) as run:
        list(run.track(range(number + 1)))
if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    ranks = [spawn.Process(target=rank, args=(number,)) for number in range(2)]
    for one in ranks: one.start()
    for one in ranks: one.join()
""")
    folder = tmp_path / "beats"
    folder.mkdir()
    subprocess.run([sys.executable, str(script)], env=environ(folder), check=True, timeout=DEADLINE_S)
    pages = [the_page(folder, f"rank-{number}.*").read() for number in range(2)]
    assert [(beat.rank, beat.world, beat.step, beat.word) for beat in pages if beat is not None] == [
        (0, 2, 1, "done"),
        (1, 2, 2, "done"),
    ]


def test_a_program_that_replaces_itself_gets_the_page_of_its_pid(tmp_path: Path) -> None:
    again = "import outlast; r = outlast.training(); r.step(step=7)"
    code = f"""
import os, sys, outlast
outlast.training().step(step=3)
os.execv(sys.executable, [sys.executable, "-c", {again!r}])
"""
    done = run_python(code, environ(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    beat = the_page(tmp_path).read()
    assert beat is not None
    assert beat.step == 7


def test_a_rank_that_becomes_a_program_without_the_sdk_is_no_living_rank(tmp_path: Path) -> None:
    """The same pid and the same start; whoever looks has its page open. To close all descriptors is not to become
    one."""
    code = """
import os, outlast
run = outlast.training()
run.step()
for _ in range(2):
    print("steps", flush=True)
    os.read(0, 1)
    os.closerange(3, 5000)
os.execvp("cat", ["cat"])
"""
    command = [sys.executable, "-c", code]
    env = environ(tmp_path)
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as training:
        assert training.stdin is not None
        assert training.stdout is not None
        seen = Ranks(str(tmp_path))
        for _ in range(2):
            assert training.stdout.readline() == "steps\n"
            seen.look()
            assert [beat.step for beat in seen.living] == [1]
            training.stdin.write("\n")
            training.stdin.flush()
        training.stdin.write("is cat\n")
        training.stdin.flush()
        assert training.stdout.readline() == "is cat\n"
        seen.look()
        assert seen.living == []
        training.stdin.close()
        assert training.wait(DEADLINE_S) == 0


def test_a_forked_child_closes_no_descriptor_but_its_own(tmp_path: Path) -> None:
    """A daemon closed all it had, and the numbers are others' by now."""
    code = """
import os, outlast
run = outlast.training()
os.closerange(3, 5000)
mine = [os.open("/dev/null", os.O_RDONLY) for _ in range(250)]
child = os.fork()
if child == 0:
    for fd in mine: os.fstat(fd)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    done = run_python(code, environ(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_low_descriptors_are_left_to_the_training(tmp_path: Path) -> None:
    """Some programs close or take the numbers behind the first three without asking."""
    code = """
import os, outlast
run = outlast.training()
(name,) = os.listdir(os.environ["OUTLAST_HEARTBEAT"])
print(os.path.basename(os.readlink(os.path.join(os.environ["OUTLAST_HEARTBEAT"], name))))
"""
    done = run_python(code, environ(tmp_path))
    assert (int(done.stdout) >= 200, done.stderr) == (True, "")


def test_leaving_by_sys_exit_without_the_context_leaves_the_page(tmp_path: Path) -> None:
    done = run_python("import outlast; r = outlast.training(); r.step(step=7); r.done()", environ(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    beat = the_page(tmp_path).read()
    assert beat is not None
    assert (beat.step, beat.word) == (7, "done")


WITHOUT_LINUX = """
import os, sys
for name in ("memfd_create", "posix_fallocate", "register_at_fork", "symlink", "O_CLOEXEC", "O_NOFOLLOW"):
    delattr(os, name)
sys.modules["fcntl"] = sys.modules["ctypes"] = None
"""
TRAINS = """
import outlast
with outlast.training(total_steps=3) as run:
    for _ in run.track(range(3)): assert not run.should_stop
    run.step(step=9, loss=0.5)
print(outlast.resume_from(), run.resume_from, run.total_steps)
"""


def test_on_a_system_without_linux_calls_it_imports_and_does_nothing(tmp_path: Path) -> None:
    done = run_python(WITHOUT_LINUX + TRAINS, environ(None))
    assert (done.returncode, done.stdout, done.stderr) == (0, "None None 3\n", "")
    done = run_python(WITHOUT_LINUX + TRAINS, environ(tmp_path))
    assert (done.returncode, done.stdout) == (0, "None None 3\n")
    assert done.stderr.startswith("outlast: no exact progress: ")
    assert list(tmp_path.iterdir()) == []


def test_a_python_built_on_an_old_c_library_still_has_a_page(tmp_path: Path) -> None:
    done = run_python("import os; del os.memfd_create" + TRAINS, environ(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    beat = the_page(tmp_path).read()
    assert beat is not None
    assert beat.step == 9


LOADS = f"""
import sys
before = set(sys.modules)
sys.path.insert(0, {SOURCE!r})
import outlast; outlast.training
print(*sorted(set(sys.modules) - before))
"""


def test_importing_loads_nothing_heavy() -> None:
    done = run_python(LOADS, environ(None), "-I")
    loaded = {word for word in done.stdout.split() if not word.startswith("outlast")}
    assert loaded <= {"__future__", "_struct", "struct", "mmap", "errno", "math", "atexit"}


def test_it_trains_without_site_packages_on_the_standard_library_alone(tmp_path: Path) -> None:
    trains = LOADS.replace("outlast.training", "outlast.training().step(loss=1.0)")
    done = run_python(trains, environ(tmp_path), "-I", "-S")
    assert (done.returncode, done.stderr) == (0, "")
    loaded = {word.partition(".")[0] for word in done.stdout.split()}
    assert loaded - sys.stdlib_module_names == {"outlast"}
    assert the_page(tmp_path).read() is not None
