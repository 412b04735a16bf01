"""One runner and one training, begun and ended: what each finds, and what is on disk at each moment."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import attempt as doors
from outlast.disk import files, identity
from outlast.facts import Ending, Exited, NeverBegan, Signalled
from outlast.facts.codec import from_record
from outlast.runner import ranks
from tests.runner_driver import PYTHON, RUN, Driver, driver, is_living, kill, python, said_by, wait_for


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Driver]:
    with driver(tmp_path) as made:
        yield made


def ending(record: dict[str, Any]) -> Ending:
    return from_record(record, Ending)


# --- the beginning ------------------------------------------------------------------------------------------------


def test_a_launch_that_comes_after_its_run_was_removed_begins_nothing(attempt: Driver) -> None:
    attempt.order(["touch", str(attempt.root / "ran")])
    os.unlink(attempt.run.record)
    runner = attempt.start()
    assert runner.wait(20) == 75
    assert "the run was removed" in said_by(runner)
    assert not os.path.exists(attempt.folder.claim)
    assert not (attempt.root / "ran").exists()


def test_what_has_begun_is_watched_to_its_end_whatever_is_missing(attempt: Driver) -> None:
    attempt.order(["sh", "-c", "echo up; sleep 1"])
    runner = attempt.start()
    attempt.says("up")
    kill(runner)
    os.unlink(attempt.run.record)
    assert attempt.start().wait(20) == 0
    assert attempt.exit()["type"] == "Ending"


# --- the end ------------------------------------------------------------------------------------------------------


def test_the_exit_code_and_the_output_are_kept(attempt: Driver) -> None:
    end = ending(attempt.live(["sh", "-c", "echo out; echo err >&2; exit 7"]))
    assert end.exit == Exited(7)
    assert (end.told, end.swept, end.by is not None) == ("run", 0, True)
    assert attempt.output() == "out\nerr\n"
    assert end.lasted_s is not None
    assert 0 < end.lasted_s < 20
    assert end.cpu_s is not None
    assert end.max_rss_bytes is not None
    assert end.max_rss_bytes > 1 << 20


def test_a_signal_is_no_exit_code(attempt: Driver) -> None:
    assert ending(attempt.live(["sh", "-c", "kill -9 $$"])).exit == Signalled(9)


def test_nothing_is_left_beside_the_record(attempt: Driver) -> None:
    attempt.live(["true"])
    assert attempt.leftovers() == []
    started = attempt.started()
    assert not os.path.exists(started["heartbeat"])
    assert not os.path.exists(started["cgroup"] or "/none")
    assert len(os.listdir(attempt.folder.path)) <= 8


def test_doors_say_closed(attempt: Driver) -> None:
    attempt.live(["true"])
    found = doors.doors(attempt.folder)
    assert found["door"] == "closed"
    assert found["claim"]["order"] == "order.1.json"
    assert found["claim"]["where"]["backend"] == "local"
    assert not files.is_locked(attempt.folder.claim)


@pytest.mark.parametrize(
    ("argv", "order", "says"),
    [
        (["/no/such/program"], {}, "/no/such/program"),
        (["no-such-program"], {}, "no-such-program"),
        (["{root}/script"], {}, "interpreter is missing"),
        (["{root}/plain"], {}, "Permission denied"),
        (["true"], {"cwd": "/no/such/folder"}, "/no/such/folder: cannot enter the working directory"),
        (["a\0b"], {}, "null"),
        ([], {}, "spawn failed"),
    ],
)
def test_l54_what_cannot_be_started_never_began(
    attempt: Driver, argv: list[str], order: dict[str, Any], says: str
) -> None:
    script = attempt.root / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    (attempt.root / "plain").write_text("echo hello")
    end = ending(attempt.live([word.replace("{root}", str(attempt.root)) for word in argv], **order)).exit
    assert isinstance(end, NeverBegan)
    assert end.why.startswith("spawn failed: ")
    assert says in end.why


def test_a_script_without_an_interpreter_line_is_run_by_the_shell(attempt: Driver) -> None:
    script = attempt.root / "train"
    script.write_text("echo from the shell $1\n")
    script.chmod(0o700)
    attempt.live([str(script), "it is"])
    assert attempt.output() == "from the shell it is\n"


def test_the_run_without_an_environment_never_begins(attempt: Driver) -> None:
    os.unlink(attempt.run.env)
    end = ending(attempt.live(["true"])).exit
    assert isinstance(end, NeverBegan)
    assert "environment" in end.why


# --- what the training finds ----------------------------------------------------------------------------------------

LOOK = """
import json, os, signal, stat, sys
fds = {}
for fd in os.listdir("/proc/self/fd"):
    try: fds[fd] = os.readlink(f"/proc/self/fd/{fd}")
    except OSError: pass
ignored = [n for n in range(1, 65) if n not in (9, 19, 32, 33) and signal.getsignal(n) == signal.SIG_IGN]
mask = os.umask(0)
print(json.dumps({
    "fds": fds, "ignored": ignored, "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
    "umask": mask, "cwd": os.getcwd(), "sid": os.getsid(0), "pid": os.getpid(), "stdin": sys.stdin.read(),
    "env": dict(os.environ), "argv": sys.argv[1:], "tty": [os.isatty(n) for n in (0, 1, 2)],
}))
"""


def look(attempt: Driver, *words: str, **order: Any) -> dict[str, Any]:
    attempt.live([*python(LOOK), *words], **order)
    found: dict[str, Any] = json.loads(attempt.output())
    return found


def test_it_leads_a_session_of_its_own_with_plain_signals_and_an_empty_input(attempt: Driver) -> None:
    found = look(attempt)
    assert found["sid"] == found["pid"] == attempt.started()["child"]["pid"]
    assert set(found["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}  # Python's own
    assert found["blocked"] == []
    assert found["stdin"] == ""
    assert found["cwd"] == str(attempt.root)
    assert found["tty"] == [False, False, False]


def test_it_inherits_the_lease_twice_the_log_and_nothing_else(attempt: Driver) -> None:
    fds = look(attempt)["fds"]
    assert isinstance(fds, dict)
    lease, log = attempt.folder.lease, attempt.folder.output
    high = [fd for fd, path in fds.items() if path == lease and int(fd) > 2]
    assert fds["0"] == lease
    assert (fds["1"], fds["2"]) == (log, log)
    assert len(high) == 1
    assert int(high[0]) >= 200
    others = {path for fd, path in fds.items() if int(fd) > 2 and fd != high[0]}
    assert not {path for path in others if not path.startswith(("/proc/", "/memfd:outlast-stacks"))}


def test_its_environment_is_the_callers_then_the_orders_then_ours(attempt: Driver) -> None:
    attempt.caller_is(
        {"A": "caller", "B": "caller", "MASTER_PORT": "1234", "PYTHONUNBUFFERED": "x", "ODD": "\udcff"}
    )
    found = look(attempt, env=[["B", "order"], ["C", "order"]], target_step=1000)["env"]
    assert isinstance(found, dict)
    folder = attempt.folder.path
    for name, value in {
        "A": "caller",
        "B": "order",
        "C": "order",
        "ODD": "\udcff",
        "MASTER_PORT": "1234",
        "PYTHONUNBUFFERED": "x",
        "PYTHONFAULTHANDLER": "1",
        "OUTLAST_RUN_ID": RUN,
        "OUTLAST_ATTEMPT": "1",
        "OUTLAST_ATTEMPT_DIR": folder,
        "OUTLAST_RUN_DIR": attempt.run.path,
        "OUTLAST_RESUME_FROM": "",
        "OUTLAST_TARGET_STEP": "1000",
        "OUTLAST_ATTEMPT_TOKEN": f"{RUN}/1",
        "OUTLAST_HEARTBEAT": ranks.folder_of(folder),
        "TORCHELASTIC_ERROR_FILE": f"{folder}/error.json",
        "WANDB_RUN_ID": RUN,
        "WANDB_RESUME": "allow",
    }.items():
        assert found[name] == value, name
    assert "PWD" not in found or found["PWD"] != "/"


def test_a_free_port_is_given_where_none_was(attempt: Driver) -> None:
    found = look(attempt)["env"]
    assert isinstance(found, dict)
    assert 1024 <= int(found["MASTER_PORT"]) < 65536


@pytest.mark.parametrize(("options", "umask"), [([["umask", "0022"]], 0o022), ([["umask", "0002"]], 0o002)])
def test_its_umask_is_the_callers_and_our_files_are_private(
    attempt: Driver, options: list[list[str]], umask: int
) -> None:
    assert look(attempt, options=options)["umask"] == umask
    for name in os.listdir(attempt.folder.path):
        assert os.stat(os.path.join(attempt.folder.path, name)).st_mode & 0o077 == 0, name


def test_the_runner_may_open_more_than_it_was_given_and_the_training_finds_what_was(attempt: Driver) -> None:
    """A page of each rank is kept open."""
    attempt.order(["sh", "-c", "ulimit -S -n; grep 'open files' /proc/$PPID/limits"])
    runner = attempt.start(before=["sh", "-c", 'ulimit -S -n 64; exec "$@"', "sh"])
    assert runner.wait(20) == 0
    theirs, ours = attempt.output().splitlines()
    assert int(theirs) == 64
    assert int(ours.split()[3]) > 64


def careless(foreign: Path) -> list[str]:
    """In front of a runner's command: standard descriptors closed, a foreign lock inherited, umask 000, every signal
    ignored and blocked."""
    code = (
        "import fcntl, os, signal, sys\n"
        f"lock = os.open({str(foreign)!r}, os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX); os.set_inheritable(lock, True)\n"
        "for n in range(1, 65):\n"
        "    if n not in (9, 19, 32, 33): signal.signal(n, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "os.umask(0)\n"
        "for fd in (0, 1, 2): os.close(fd)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    return [PYTHON, "-I", "-S", "-c", code]


def test_l58_whatever_the_runner_was_started_with_the_training_finds_a_tidy_world(attempt: Driver) -> None:
    foreign = attempt.root / "foreign"
    attempt.order([*python(LOOK)])
    assert attempt.start(before=careless(foreign)).wait(20) == 0
    found = json.loads(attempt.output())
    assert set(found["ignored"]) <= {signal.SIGPIPE, signal.SIGXFSZ}
    assert found["blocked"] == []
    assert str(foreign) not in found["fds"].values()
    assert ending(attempt.exit()).exit == Exited(0)
    for name in ("claim", "exit.json", "started.json", "output.log", "lease", "runner.log"):
        assert os.stat(os.path.join(attempt.folder.path, name)).st_mode & 0o777 == 0o600, name


def test_l58_and_so_does_the_runner(attempt: Driver) -> None:
    foreign = attempt.root / "foreign"
    attempt.order(["sleep", "300"])
    runner = attempt.start(before=careless(foreign))
    attempt.started()
    assert files.is_locked(str(foreign)) is False
    assert {os.readlink(f"/proc/{runner.pid}/fd/{fd}") for fd in (0, 1, 2)} == {"/dev/null"}
    runner.terminate()
    assert runner.wait(20) == 0
    assert ending(attempt.exit()).told_by == "signal 15 to the runner"


def test_a_terminal_is_given_where_it_is_asked_for(attempt: Driver) -> None:
    attempt.live(["sh", "-c", "test -t 0 && test -t 1 && stty size; seq 20000; exit 4"], tty=True)
    assert ending(attempt.exit()).exit == Exited(4)
    lines = attempt.output().split()
    assert lines[:2] == ["24", "80"]
    assert lines[2:] == [str(number) for number in range(1, 20001)]


# --- before the first instruction -----------------------------------------------------------------------------------


def test_started_stands_before_the_first_instruction(attempt: Driver) -> None:
    attempt.live(["sh", "-c", 'cat "$OUTLAST_ATTEMPT_DIR/started.json"'])
    seen = json.loads(attempt.output())
    assert seen == attempt.started()
    assert seen["session"] == seen["child"]["pid"]
    assert seen["argv"][0] == "sh"


READY = """
import json, os, sys, time
if os.environ.get("HOW"): sys.exit(3)
print("noise"); print("more noise", file=sys.stderr)
print(json.dumps(json.loads(sys.argv[1])))
"""


def resuming(answer: Any) -> dict[str, Any]:
    return {
        "resume": {"root": "/ckpt", "format": "auto", "args": ["--from", "{checkpoint}"]},
        "ready": [PYTHON, "-I", "-c", READY, json.dumps(answer)],
    }


def test_it_resumes_from_what_the_check_chose(attempt: Driver) -> None:
    answer: dict[str, Any] = {
        "checkpoint": "/ckpt/step-5",
        "step": 5,
        "reasons": ["step-6: torn", "step-5: whole"],
        "refuse": None,
    }
    found = look(attempt, "at={checkpoint}", **resuming(answer))
    env = found["env"]
    assert isinstance(env, dict)
    assert found["argv"] == ["at=/ckpt/step-5", "--from", "/ckpt/step-5"]
    assert (env["OUTLAST_RESUME_FROM"], env["OUTLAST_RESUME_STEP"]) == ("/ckpt/step-5", "5")
    assert attempt.started()["resume_reasons"] == answer["reasons"]
    end = ending(attempt.exit())
    assert (end.resumed_from, end.resumed_step) == ("/ckpt/step-5", 5)


def test_from_scratch_nothing_is_appended(attempt: Driver) -> None:
    answer: dict[str, Any] = {"checkpoint": None, "step": None, "reasons": [], "refuse": None}
    assert look(attempt, "at={checkpoint}", **resuming(answer))["argv"] == ["at="]


def test_a_refusal_is_the_end_in_its_own_words(attempt: Driver) -> None:
    answer: dict[str, Any] = {
        "checkpoint": None,
        "step": None,
        "reasons": [],
        "refuse": "no_valid_checkpoint: all 3 are torn",
    }
    end = ending(attempt.live(["touch", str(attempt.root / "ran")], **resuming(answer)))
    assert end.exit == NeverBegan("no_valid_checkpoint: all 3 are torn")
    assert not (attempt.root / "ran").exists()
    assert not os.path.exists(attempt.folder.started)


@pytest.mark.parametrize(
    "command",
    [["/no/such/python"], ["/bin/sh", "-c", "exit 3"], ["/bin/echo", "no json"], ["/bin/echo", "{torn"], []],
)
def test_a_check_that_gives_no_answer_lets_nothing_begin(attempt: Driver, command: list[str]) -> None:
    order = {**resuming({}), "ready": command}
    end = ending(attempt.live(["touch", str(attempt.root / "ran")], **order)).exit
    assert isinstance(end, NeverBegan)
    assert "resume check failed" in end.why
    assert not (attempt.root / "ran").exists()


# --- who may begin ------------------------------------------------------------------------------------------------


def test_of_many_runners_at_once_one_begins(attempt: Driver) -> None:
    attempt.order(["sh", "-c", "echo ran; sleep 0.5"])
    runners = [attempt.start() for _ in range(8)]
    codes = sorted(runner.wait(20) for runner in runners)
    assert codes == [0] + [75] * 7
    assert attempt.output() == "ran\n"


def test_a_runner_beside_a_living_one_leaves_with_75_and_says_so(attempt: Driver) -> None:
    attempt.order(["sleep", "60"])
    first = attempt.start()
    attempt.started()
    second = attempt.start()
    assert second.wait(20) == 75
    assert f"its runner lives (pid {first.pid}" in said_by(second)
    assert first.poll() is None


def test_an_attempt_begins_only_after_the_one_before(tmp_path: Path) -> None:
    with driver(tmp_path, 2) as second:
        before = second.run.attempt(1)
        files.make_directory(before.path)
        second.order(["true"])
        early = second.start()
        assert early.wait(20) == 75
        assert "attempt 1 is not over" in said_by(early)
        assert not os.path.exists(second.folder.claim)
        doors.shut(before, final=False, why="called off", term=1)
        assert second.start().wait(20) == 0
        assert ending(second.exit()).exit == Exited(0)


def test_a_shut_door_stays_shut(attempt: Driver) -> None:
    doors.shut(attempt.folder, final=True, why="the run was stopped", term=3)
    attempt.order(["touch", str(attempt.root / "ran")])
    late = attempt.start()
    assert late.wait(20) == 75
    assert "the run was stopped" in said_by(late)
    assert not (attempt.root / "ran").exists()
    assert attempt.leftovers() == []


def test_an_attempt_that_is_over_is_not_lived_again(attempt: Driver) -> None:
    attempt.live(["sh", "-c", "echo ran"])
    again = attempt.start()
    assert again.wait(20) == 75
    assert "is over" in said_by(again)
    assert attempt.output() == "ran\n"


def test_without_an_order_nothing_happens(attempt: Driver) -> None:
    lost = attempt.start("order.9.json")
    assert lost.wait(20) == 75
    assert "order.9.json" in said_by(lost)
    assert not os.path.exists(attempt.folder.claim)


def test_l10_the_claim_is_not_inherited(attempt: Driver) -> None:
    attempt.order(["sh", "-c", "echo up; exec sleep 60"])
    runner = attempt.start()
    attempt.says("up")
    child = attempt.started()["child"]
    assert files.is_locked(attempt.folder.claim)
    kill(runner)
    assert files.is_locked(attempt.folder.claim) is False
    assert identity.alive(child)


def test_a_stop_before_the_start_lets_nothing_begin(attempt: Driver) -> None:
    attempt.wish("stop", request=7)
    end = ending(attempt.live(["touch", str(attempt.root / "ran")]))
    assert (end.told, end.told_by) == ("stop", "request 7")
    assert isinstance(end.exit, NeverBegan)
    assert end.exit.why.startswith("shut")
    assert not (attempt.root / "ran").exists()


@pytest.mark.parametrize("how", ["signal", "wish"])
def test_a_stop_during_the_resume_check_lets_nothing_begin(attempt: Driver, how: str) -> None:
    marker = attempt.root / "checking"
    slow = ["/bin/sh", "-c", f"touch {marker}; exec sleep 60"]
    attempt.order(["touch", str(attempt.root / "ran")], **{**resuming({}), "ready": slow})
    runner = attempt.start()
    wait_for(marker.exists, "the check")
    if how == "wish":
        attempt.wish("pause", request=8)
    else:
        runner.terminate()
    assert runner.wait(20) == 0
    end = ending(attempt.exit())
    assert (
        f"{end.told}, {end.told_by}"
        == {"wish": "pause, request 8", "signal": "stop, signal 15 to the runner"}[how]
    )
    assert isinstance(end.exit, NeverBegan)
    assert end.exit.why.startswith("shut")


# --- what is left behind ------------------------------------------------------------------------------------------

LEAVES_A_RANK = """
import subprocess, sys
D = subprocess.DEVNULL
p = subprocess.Popen(["sleep", "300"], start_new_session=True, stdin=D, stdout=D, stderr=D, env={})
print(p.pid, flush=True)
sys.exit(1)
"""


def test_l9_r34_what_outlives_its_training_is_ended_before_the_record(attempt: Driver) -> None:
    """In a session of its own, without descriptors and without the mark: only descent tells."""
    end = ending(attempt.live(python(LEAVES_A_RANK)))
    assert end.exit == Exited(1)
    assert end.swept == 1
    assert not is_living(int(attempt.output()))


LEAVES_A_CHAIN = """
import subprocess, sys
words = [sys.executable, "-I", "-S", "-c", "import os\\nwhile True:\\n    if os.fork(): os._exit(0)"]
D = subprocess.DEVNULL
p = subprocess.Popen(words, start_new_session=True, stdin=D, stdout=D, stderr=D, env={})
print(p.pid, flush=True)
"""


def test_who_forks_faster_than_anybody_counts_is_ended_too(attempt: Driver) -> None:
    """No pid of it lives long enough to be looked at; it has no mark, no lease, and a session of its own."""
    attempt.order(python(LEAVES_A_CHAIN))
    runner = attempt.start()
    group = int(wait_for(attempt.output, "the chain"))
    try:
        assert runner.wait(30) == 0
        wait_for(lambda: is_gone(group), "the chain's end", 5.0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_who_leaves_by_himself_a_moment_later_is_not_swept(attempt: Driver) -> None:
    assert ending(attempt.live(["sh", "-c", "(sleep 0.05; echo late) & exit 0"])).swept == 0
    assert attempt.output() == "late\n"


def test_orphans_do_not_stay_zombies(attempt: Driver) -> None:
    attempt.order(["sh", "-c", "for i in 1 2 3; do (true & ); done; echo up; sleep 60"])
    runner = attempt.start()
    attempt.says("up")

    def zombies() -> int:
        children = Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()
        return sum(
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z" for pid in children
        )

    wait_for(lambda: zombies() == 0, "the orphans to be reaped")


def test_the_environment_may_be_deleted_while_it_runs(attempt: Driver, tmp_path: Path) -> None:
    """The package that the runner came from, and all of its compiled files."""
    floor = tmp_path / "floor"
    shutil.copytree(
        Path(files.__file__).parents[1], floor / "outlast", ignore=shutil.ignore_patterns("__pycache__")
    )
    attempt.order(
        ["sh", "-c", "echo up; read wait < $FIFO; (sleep 300 &) ; exit 3"],
        env=[["FIFO", str(tmp_path / "fifo")]],
        done_when="log:^up$",
        stop_grace_s=0.1,
    )
    os.mkfifo(tmp_path / "fifo")
    words = attempt.words()
    words[words.index(str(Path(files.__file__).parents[2]))] = str(floor)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OUTLAST_", "PYTHON"))}
    runner = subprocess.Popen(
        words, cwd="/", env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    attempt.runners.append(runner)
    attempt.says("up")
    shutil.rmtree(floor)
    (tmp_path / "fifo").write_text("go\n")
    assert runner.wait(20) == 0, said_by(runner)
    end = ending(attempt.exit())
    assert (end.exit, end.done, end.swept) == (Exited(3), True, 1)


def test_a_runner_whose_folder_was_deleted_does_not_stay_for_ever(attempt: Driver) -> None:
    """What it watched is over, and nobody waits for a door in a folder that is gone."""
    attempt.order(["sh", "-c", "echo up; sleep 60"])
    runner = attempt.start()
    attempt.says("up")
    started = attempt.started()
    shutil.rmtree(attempt.folder.path)
    identity.send(started["child"], signal.SIGKILL)
    assert runner.wait(20) == 75
