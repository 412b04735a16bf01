"""Disks that are full, records that are damaged, hosts that are others, clocks that jump: the ring as a whole."""

import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from outlast.disk import files, identity, journal, requests
from tests.live.test_ring import checkpoints, only_one_trained, training
from tests.live.workspace import PYTHON, Bench, bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(150)]
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="mounting and namespaces need root")


@contextmanager
def small_disk(path: Path, kib: int) -> Iterator[Path]:
    """A file system of its own that can be filled."""
    path.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=700", "outlast-test", str(path)], check=True
    )
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(fd, b"x" * 4096):
            pass
    except OSError:
        return filler
    finally:
        os.close(fd)
    raise AssertionError("the disk has no end")


def newest_segment(outlast: Bench) -> Path:
    return Path(journal.segment(outlast.place.journal, journal.terms(outlast.place.journal)[-1]))


def wait_until_idle(outlast: Bench) -> None:
    wait_for(lambda: files.is_locked(outlast.place.lock) is False, "the idle supervisor to leave")


@ROOT_ONLY
def test_l24_on_a_full_disk_a_run_is_refused_in_one_line_and_a_training_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8 << 10) as disk, bench(disk) as outlast:
        script = tmp_path / "train.sh"
        script.write_text("for i in $(seq 200); do sleep 0.1; echo $i > /dev/null; done; exit 0")
        run = outlast.start(command=["sh", str(script)])
        outlast.started(run)
        filler = fill(disk)
        refused = outlast.outlast("run", "-d", "--", "true", expect=None)
        assert refused.returncode in (2, 75)
        assert refused.stdout == ""
        assert "No space left on device" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) <= 2
        assert identity.alive(outlast.started(run)["child"])
        filler.unlink()
        assert outlast.ended(run, 60)["outcome"] == "completed"


@ROOT_ONLY
def test_l24_an_end_that_comes_on_a_full_disk_is_kept_and_concluded_when_space_returns(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 8 << 10) as disk, bench(disk) as outlast:
        flag = tmp_path / "end"
        waits = f"while ! test -e {flag}; do sleep 0.1; done; exit 0"
        run = outlast.start(command=["sh", "-c", waits])
        outlast.started(run)
        filler = fill(disk)
        flag.touch()
        assert outlast.exit(run)["exit"] == {"type": "Exited", "code": 0}
        filler.unlink()
        assert outlast.ended(run, 60)["outcome"] == "completed"


def test_l22_a_journal_that_was_cut_or_zero_filled_goes_on_from_its_last_whole_record(outlast: Bench) -> None:
    run = outlast.start(*checkpoints(outlast), command=training(outlast, 40))
    outlast.says(run, "step 3")
    outlast.kill_supervisor()
    with newest_segment(outlast).open("ab") as segment:
        segment.write(
            b'{"type":"Finished","run":"' + run.id.encode() + b'","outcome":"completed"}\n' + b"\0" * 300
        )
    outlast.outlast("up", "--detach")
    snapshot = outlast.ended(run)
    assert (snapshot["outcome"], len(snapshot["attempts"])) == ("completed", 1)
    assert only_one_trained(outlast)
    assert "torn bytes" in Path(outlast.place.log).read_text()


def test_l23_a_sealed_record_that_is_damaged_stops_the_place_loudly_and_never_starts_empty(
    outlast: Bench,
) -> None:
    run = outlast.start(command=["sh", "-c", "exit 0"])
    outlast.ended(run)
    wait_until_idle(outlast)
    second = outlast.start(command=["sh", "-c", "exit 0"])  # its supervisor seals the first segment
    outlast.ended(second)
    wait_until_idle(outlast)
    first = Path(journal.segment(outlast.place.journal, 1))
    body = bytearray(first.read_bytes())
    body[len(body) // 2] ^= 1
    first.write_bytes(body)
    before = journal.terms(outlast.place.journal)
    failed = outlast.outlast("up", expect=None)
    assert failed.returncode not in (0, 70)
    assert str(first) in failed.stderr
    assert "byte" in failed.stderr
    assert journal.terms(outlast.place.journal) == before
    assert str(first) in outlast.outlast("status", expect=None).stdout


def test_l23_a_journal_that_cannot_be_seen_for_a_while_ends_nobody(outlast: Bench) -> None:
    run = outlast.start("--backoff", "6s", command=["sh", "-c", "exit 3"])
    outlast.exit(run)
    wait_for(lambda: outlast.snapshot(run)["phase"] == "waiting", "the backoff")
    hidden = outlast.place.journal + ".away"
    os.rename(outlast.place.journal, hidden)
    Path(outlast.place.journal).write_text("in the way")
    wait_for(
        lambda: "saw too little" in Path(outlast.place.log).read_text(), "the supervisor to look in vain"
    )
    os.unlink(outlast.place.journal)
    os.rename(hidden, outlast.place.journal)
    assert outlast.ended(run, 60)["outcome"] == "failed"


def test_l10_a_supervisor_that_dies_leaves_no_lock_behind_in_what_it_started(outlast: Bench) -> None:
    run = outlast.start(command=["sleep", "60"])
    outlast.started(run)
    outlast.kill_supervisor()
    assert files.is_locked(outlast.place.lock) is False
    assert identity.alive(outlast.started(run)["child"])


def test_l28_a_training_that_prints_without_end_is_bounded_and_never_blocked(outlast: Bench) -> None:
    (outlast.root / "outlast.yaml").write_text("log: {max: 24MiB}\n")
    (outlast.root / "outlast.yaml").chmod(0o600)
    prints = "import sys\nfor _ in range(60): sys.stdout.write('x' * (1 << 20))\nprint('\\nlast line')"
    run = outlast.start(command=[PYTHON, "-c", prints + "\nimport time; time.sleep(3)"])
    assert outlast.ended(run)["outcome"] == "completed"
    log = Path(run.attempt(1).output)
    assert log.stat().st_size > 60 << 20
    assert log.stat().st_blocks * 512 < 40 << 20
    assert log.read_bytes().endswith(b"last line\n")


def test_l29_a_training_that_prints_while_everybody_dies_gets_no_broken_pipe(outlast: Bench) -> None:
    script = outlast.root / "loud.py"
    script.write_text(
        "import time\nfor i in range(60):\n    print('line', i, flush=True)\n    time.sleep(0.05)\n"
    )
    run = outlast.start(command=[PYTHON, str(script)])
    outlast.says(run, "line 5")
    outlast.kill_supervisor()
    outlast.kill_runner(run)
    outlast.says(run, "line 59")
    lines = outlast.output(run).splitlines()
    assert lines == [f"line {i}" for i in range(60)]


def test_l33_an_idle_supervisor_stays_and_is_never_hung(outlast: Bench) -> None:
    outlast.outlast("up", "--detach")
    first = outlast.supervisor()
    assert json.loads(outlast.outlast("status", "--json").stdout)["health"] == "ok"
    run = outlast.start(command=["true"])
    assert outlast.ended(run)["outcome"] == "completed"
    assert outlast.supervisor()["pid"] == first["pid"]
    outlast.outlast("down")
    wait_until_idle(outlast)


def test_r25_a_watcher_that_was_stopped_costs_the_training_nothing_and_sees_no_false_hang(
    outlast: Bench,
) -> None:
    run = outlast.start("--stall-limit", "3s", *checkpoints(outlast), command=training(outlast, 100, 0.1))
    outlast.says(run, "step 3")
    claim = files.read(run.attempt(1).claim)
    assert claim is not None
    supervisor = outlast.supervisor()
    for process in (claim["by"], supervisor["identity"]):
        identity.send(process, signal.SIGSTOP)
    outlast.says(run, "step 50")  # five seconds of a training that nobody watches
    for process in (claim["by"], supervisor["identity"]):
        identity.send(process, signal.SIGCONT)
    snapshot = outlast.ended(run, 60)
    assert (snapshot["outcome"], len(snapshot["attempts"])) == ("completed", 1)


def test_p11_another_host_sees_a_run_and_never_touches_it(outlast: Bench) -> None:
    """Another host is one whose name and boot are others: the claim says where it began."""
    if os.getuid() != 0:
        pytest.skip("a host name of its own needs root")
    run = outlast.start(command=["sleep", "30"])
    outlast.started(run)
    outlast.kill_supervisor()
    outlast.kill_runner(run)
    boot = outlast.root / "boot_id"
    boot.write_text("00000000-1111-2222-3333-444444444444\n")
    as_another = 'hostname elsewhere && mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
    elsewhere = ["unshare", "--uts", "--mount", "sh", "-c", as_another, str(boot)]
    other = subprocess.Popen(
        [*elsewhere, *outlast.words("up")], env=outlast.env, cwd=outlast.root, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: "only that host" in outlast.snapshot(run).get("why", ""), "the other host to say so")
    assert identity.alive(outlast.started(run)["child"])
    assert len(os.listdir(run.attempts)) == 1
    assert not Path(run.attempt(1).exit).exists()
    other.terminate()
    other.wait(20)
    outlast.outlast("up", "--detach")
    wait_for(lambda: files.is_locked(run.attempt(1).claim), "its own host to adopt it")
    outlast.outlast("stop", run.id, "--now")


def test_p13_as_the_first_process_of_a_container_run_is_inline_and_ends_its_tree(outlast: Bench) -> None:
    if os.getuid() != 0:
        pytest.skip("a pid namespace of its own needs root")
    leaves = "import subprocess; subprocess.Popen(['sleep', '100'], start_new_session=True); print('trained')"
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run(
        [*container, *outlast.words("run", "--", PYTHON, "-c", leaves)],
        env=outlast.env, cwd=outlast.root, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "trained" in done.stdout
    assert [p for p in os.listdir(outlast.workspace.places) if p.startswith("inline-")]
    assert outlast.members() == []


def test_p13_term_to_an_inline_run_stops_it_safely_and_leaves_it_resumable(outlast: Bench) -> None:
    view = outlast.popen(
        "run", "--inline", "--name", "in", *checkpoints(outlast), "--", *training(outlast, 60)
    )
    run = wait_for(outlast.newest_run, "the run")
    outlast.says(run, "step 3")
    view.send_signal(signal.SIGTERM)
    assert view.wait(40) == 75
    assert outlast.snapshot(run)["phase"] != "ended"
    outlast.outlast("resume", run.id)
    assert outlast.ended(run)["outcome"] == "completed"
    assert only_one_trained(outlast)


def test_l58_whatever_the_caller_left_open_or_unset_the_run_is_whole_and_private(outlast: Bench) -> None:
    junk = outlast.root / "junk"
    junk.mkdir()
    (junk / "inotify_simple.py").write_text("raise SystemExit('the wrong one')")
    outlast.env["PYTHONPATH"] = str(junk)  # for the training: the supervisor must not see it
    words = outlast.words("run", "-d", "--", "sh", "-c", "umask; echo $PYTHONPATH")
    closed = 'umask 000; exec <&- >&- 2>&-; exec "$@"'
    subprocess.run(
        ["sh", "-c", closed, "sh", *words], env=outlast.env, cwd=outlast.root, timeout=60, check=False
    )
    run = wait_for(outlast.newest_run, "the run")
    assert outlast.ended(run)["outcome"] == "completed"
    umask, python_path = outlast.output(run).split()
    injected, *callers = python_path.split(":")
    assert (umask, callers) == ("0000", [str(junk)])
    assert injected.endswith("/outlast/runner/injected")
    for folder, _, names in os.walk(outlast.workspace.hidden):
        assert os.stat(folder).st_mode & 0o077 == 0, folder
        for name in names:
            if not folder.startswith(outlast.workspace.bin):
                assert os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0, f"{folder}/{name}"


def test_l30_a_wall_clock_that_jumps_ten_years_changes_nothing(outlast: Bench) -> None:
    if shutil.which("faketime") is None:
        pytest.fail("faketime is not installed: scripts/system-packages.sh installs it where it may")
    run = outlast.start("--stall-limit", "20s", *checkpoints(outlast), command=training(outlast, 40, 0.1))
    outlast.says(run, "step 3")
    outlast.kill_supervisor()
    later = ["faketime", "--exclude-monotonic", "-f", "+3650d", *outlast.words("up")]
    with subprocess.Popen(later, env=outlast.env, cwd=outlast.root, stderr=subprocess.DEVNULL) as supervisor:
        snapshot = outlast.ended(run)
        supervisor.terminate()
    assert (snapshot["outcome"], len(snapshot["attempts"])) == ("completed", 1)


def test_rm_and_archive_take_an_ended_run_away_only_when_their_record_is_settled(outlast: Bench) -> None:
    first = outlast.start(command=["true"])
    second = outlast.start(command=["true"])
    outlast.ended(first)
    outlast.ended(second)
    outlast.outlast("rm", first.id)
    wait_for(lambda: not os.path.exists(first.path), "the folder to go")
    outlast.outlast("archive", second.id)
    packed = Path(outlast.workspace.archive) / f"{second.id}.tar.gz"
    wait_for(lambda: packed.exists() and not os.path.exists(second.path), "the pack")
    assert json.loads(outlast.outlast("ls", "--all", "--json").stdout) == []


def clearing_processes(outlast: Bench) -> list[int]:
    found = []
    for pid in outlast.members():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"clear" in words:
            found.append(pid)
    return found


def test_r26_a_killed_archive_is_begun_again_and_nobody_waits_for_it(outlast: Bench) -> None:
    big, small = outlast.start(command=["true"]), outlast.start(command=["true"])
    outlast.ended(big)
    outlast.ended(small)
    weights = os.urandom(48 << 20)
    Path(big.path, "model.pt").write_bytes(weights)
    archiving = outlast.popen("archive", big.id)
    (pid,) = wait_for(lambda: clearing_processes(outlast), "the process that packs")
    os.kill(pid, signal.SIGSTOP)
    outlast.outlast("rm", small.id)
    assert not os.path.exists(small.path)
    assert archiving.poll() is None
    os.kill(pid, signal.SIGKILL)
    assert archiving.wait(60) == 0
    assert not os.path.exists(big.path)
    assert os.listdir(outlast.workspace.archive) == [f"{big.id}.tar.gz"]
    with tarfile.open(outlast.workspace.pack(big.id)) as pack:
        file = pack.extractfile(f"{big.id}/model.pt")
        assert file is not None
        assert file.read() == weights
    wait_for(lambda: not os.listdir(outlast.workspace.trash), "the trash to be emptied")


def test_i5_a_request_posted_while_nobody_lives_is_answered_by_the_next_supervisor(outlast: Bench) -> None:
    run = outlast.start(command=["sleep", "60"])
    outlast.started(run)
    outlast.kill_supervisor()
    number = requests.post(outlast.place, "stop", run.id, [("now", "1")], "nobody was there")
    outlast.outlast("up", "--detach")
    assert outlast.ended(run)["outcome"] == "cancelled"
    answer = requests.answer(outlast.place, number)
    assert answer is not None
    assert answer["type"] == "Asked"


def test_b5_a_damaged_run_never_stops_the_others(outlast: Bench) -> None:
    (outlast.root / "outlast.yaml").write_text("slots: {count: 2}\n")
    (outlast.root / "outlast.yaml").chmod(0o600)
    bad = outlast.start(command=["sleep", "60"])
    outlast.started(bad)
    Path(bad.attempt(1).claim).write_bytes(b"\0" * 100)
    good = outlast.start(command=["true"])
    assert outlast.ended(good)["outcome"] == "completed"
    assert "not a record" in wait_for(
        lambda: (why := outlast.snapshot(bad).get("why", "")) and "claim" in why and why, "the reason"
    )
    assert identity.alive(outlast.started(bad)["child"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run", "--nmae", "x", "--", "true"], 2, "--name"),
        (["run"], 2, "command"),
        (["run", "--", "no-such-program-here"], 2, "no-such-program-here"),
        (["show", "nobody"], 3, "workspace"),
        (["lss"], 2, "ls"),
        (["run", "--timeout", "soon", "--", "true"], 2, "soon"),
    ],
)
def test_bad_input_gets_one_clear_line_and_the_right_exit_code(
    outlast: Bench, words: list[str], code: int, says: str
) -> None:
    done = outlast.outlast(*words, expect=None)
    assert done.returncode == code
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("text", "says"), [("slts: {count: 2}", "slots"), ("slots:\n  count: many", ":2")])
def test_a_wrong_configuration_is_named_with_file_line_and_nearest_key(
    outlast: Bench, text: str, says: str
) -> None:
    config = outlast.root / "outlast.yaml"
    config.write_text(text)
    config.chmod(0o600)
    done = outlast.outlast("run", "-d", "--", "true", expect=2)
    assert re.search(rf"outlast\.yaml.*{re.escape(says)}", done.stderr)
    assert not os.path.isdir(outlast.workspace.runs) or not os.listdir(outlast.workspace.runs)
