"""R26: the real supervisor, SIGKILLed at its n-th call of each kind that changes the world, then started again.

Whatever n is, the run ends as it would have: completed, every attempt once, nothing trained twice, every request
answered. `strace` delivers the kill at the very call.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.disk import files, journal, requests
from outlast.disk.clock import moment
from outlast.disk.layout import RunFolder
from outlast.facts import Chosen, Ended, Finished, Moment, RunId, Spec
from outlast.facts.codec import from_lines, from_record, to_record
from outlast.supervise.floor import ground_floor
from outlast.supervise.start import unguarded_command
from tests.live.workspace import Bench, bench

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

CALLS = "write,pwrite64,link,linkat,rename,renameat,renameat2,fsync,fdatasync,unlink,unlinkat,mkdir,mkdirat"
LAST = 70  # more calls than one whole life of this run makes; beyond the end nothing is killed
SAMPLED = list(range(1, LAST, 3))
ALL = [n for n in range(1, LAST) if n not in SAMPLED]

# Fails in its first attempt, ends well in its second; each birth leaves a line, and two at a time a file.
TRAINING = """
exec 9>>"$1/alone"; flock -n 9 || touch "$1/TWO"
echo born >> "$1/births"
test -e "$1/again" || { touch "$1/again"; exit 5; }
"""


@pytest.fixture
def outlast(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


def accept(outlast: Bench) -> RunFolder:
    """An accepted run and its request, as `outlast run` leaves them, with no supervisor started."""
    ground_floor(outlast.workspace)  # so that all the calls are the protocol's
    run = outlast.workspace.run("crash-20260101-000000")
    files.make_directory(run.path)
    files.replace(run.env, {"schema": 1, "env": {"PATH": os.environ["PATH"]}})
    spec = Spec(
        run=RunId(run.id),
        place="local",
        backend="local",
        argv=("sh", "-c", TRAINING, "sh", str(outlast.root)),
        cwd=str(outlast.root),
        made=from_record(moment(), Moment),
        origin="test",
        key="crash",
        name="crash",
        backoff_s=0.0,
    )
    files.make_once(run.record, {"schema": 1, **to_record(spec)})
    requests.post(outlast.place, "accept", run.id, [], "test")
    return run


def supervise_until_killed(outlast: Bench, n: int) -> int:
    words = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}"]
    words += ["-e", f"inject={CALLS}:signal=SIGKILL:when={n}"]
    done = subprocess.run(
        [*words, *unguarded_command(outlast.workspace, "local")],
        env=outlast.env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )
    return done.returncode


def check_the_end(outlast: Bench, run: RunFolder) -> None:
    entries = from_lines(journal.read(outlast.place.journal).bodies)
    chosen = [entry.n for entry in entries if isinstance(entry, Chosen)]
    ended = [entry.n for entry in entries if isinstance(entry, Ended)]
    assert chosen == ended == [1, 2]
    finished = [entry.outcome for entry in entries if isinstance(entry, Finished)]
    assert finished == ["completed"]
    assert (outlast.root / "births").read_text().count("born") == 2
    assert not (outlast.root / "TWO").exists()
    answer = requests.answer(outlast.place, 1)
    assert answer is not None
    assert answer["type"] == "Asked"
    assert outlast.snapshot(run)["outcome"] == "completed"


def life(outlast: Bench, n: int) -> None:
    if shutil.which("strace") is None:
        pytest.fail("strace is not installed: scripts/system-packages.sh installs it where it may")
    run = accept(outlast)
    supervise_until_killed(outlast, n)
    with outlast.popen("up", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as second:
        outlast.ended(run)  # what every screen shows is repaired, too, if the end itself was journaled before
        second.send_signal(signal.SIGTERM)
    check_the_end(outlast, run)


@pytest.mark.parametrize("n", [1, 20, 45, 70])
def test_r26_killed_while_it_copies_the_ground_floor_the_next_supervisor_makes_it_whole(
    outlast: Bench, n: int
) -> None:
    run = accept(outlast)
    shutil.rmtree(outlast.workspace.bin)
    assert supervise_until_killed(outlast, n) == -signal.SIGKILL
    outlast.outlast("up", "--detach")
    outlast.ended(run)
    check_the_end(outlast, run)


@pytest.mark.parametrize("n", SAMPLED)
def test_r26_killed_at_its_nth_write_the_supervisor_goes_on_to_the_same_end(outlast: Bench, n: int) -> None:
    life(outlast, n)


@pytest.mark.soak
@pytest.mark.parametrize("n", ALL)
def test_r26_killed_at_every_write_the_supervisor_goes_on_to_the_same_end(outlast: Bench, n: int) -> None:
    life(outlast, n)
