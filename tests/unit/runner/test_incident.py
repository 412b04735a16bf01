"""The evidence of real hangs: what is kept, in which order, within which time, and who is named."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.errors import WorldError
from outlast.runner import beside, census, incident, stacks, tasks
from outlast.runner.findings import Found, Rank
from outlast.runner.gathering import UNFINISHED, begin
from tests import hangs
from tests.hangs import Hung, code, hung, line_of, members
from tests.runner_driver import wait_for

pytestmark = [
    pytest.mark.slow,
    # What forks here has one thread when it is the runner; under pytest there are others.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
]

DECISION = {
    "kind": "hang",
    "section": "train",
    "limit_s": 60.0,
    "quiet_s": 61.5,
    "reason": "no step for 61 s",
}
WITHIN_S = 10.0
NEWS_MAX = 4  # the folder, the result, the end


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    made = AttemptFolder(str(tmp_path / "run" / "attempts" / "0001"))
    os.makedirs(made.path)
    Path(made.output).write_text("step 1\nstep 2\n")
    return made


def write(
    folder: AttemptFolder, who: Hung | dict[int, int], ranks: list[Rank] | None = None, **more: Any
) -> Found:
    found = who.members if isinstance(who, Hung) else who
    return incident.write(folder, DECISION, ranks or [], found, **{"within_s": WITHIN_S, **more})


def record(found: Found) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(Path(found.path, "incident.json").read_text())
    return read


def text(found: Found, name: str) -> str:
    return Path(found.path, name).read_text()


def test_incident_holds_the_decision_as_it_was_made_and_where_the_rank_stood(
    folder: AttemptFolder, tmp_path: Path
) -> None:
    words = code(tmp_path / "nap.py", hangs.NAP)
    with hung(words) as process:
        found = write(folder, process, [Rank(0, process.pid, 41, "train")])
    seen = record(found)
    assert found.path == f"{folder.run().path}/incidents/0001"
    assert {key: seen[key] for key in DECISION} == DECISION
    assert (seen["schema"], seen["attempt"], set(seen["at"])) == (1, 1, {"boot", "mono_s", "wall_s"})
    top = f"{tmp_path}/nap.py:{line_of(hangs.NAP, 'sleep')} nap"
    (rank,) = seen["ranks"]
    assert (rank["rank"], rank["pid"], rank["step"], rank["section"]) == (0, process.pid, 41, "train")
    assert (rank["state"], "nanosleep" in rank["wchan"], rank["top"], rank["own"]) == ("S", True, top, top)
    assert seen["culprit"] == {"rank": 0, "pid": process.pid, "why": f"the only rank; it stands at {top}"}
    assert (seen["missing"], found.reason) == ([], "")
    assert sorted(seen["files"]) == ["log-excerpt.txt", "proc.txt", "stacks.txt"]
    assert top.partition(":")[0] in text(found, "stacks.txt")
    assert f"process {process.pid} (python" in text(found, "proc.txt")
    assert text(found, "log-excerpt.txt") == "step 1\nstep 2\n"
    assert top in found.hints[0]


@pytest.mark.parametrize(
    ("program", "where", "line"),
    [
        (hangs.GIL_HELD, "futex", "with the GIL"),
        (hangs.GIL_RELEASED, "futex", "without the GIL"),
        (hangs.NAP, "nanosleep", "time.sleep(3600)"),
    ],
)
def test_every_kind_of_hang_is_shown_with_its_line_in_a_shell_too(
    folder: AttemptFolder, tmp_path: Path, program: str, where: str, line: str
) -> None:
    words = " ".join(code(tmp_path / "train.py", program))
    with hung(["bash", "-c", f"{words}; echo never"], where="wait") as shell:
        (training,) = census.descendants(shell.pid)
        wait_for(lambda: hangs.waits_in(training, where), "the hang")
        found = write(folder, shell)
        assert census.living(shell.pid), "the shell has died of being asked"
    (rank,) = record(found)["ranks"]
    assert (rank["pid"], rank["rank"]) == (training, None)
    assert rank["own"].startswith(f"{tmp_path}/train.py:{line_of(program, line)} ")
    assert record(found)["culprit"]["pid"] == training
    assert f"process {shell.pid} (bash): no Python stacks: it does not know" in text(found, "stacks.txt")


def test_stopped_process_is_said_to_be_so_and_py_spy_shows_it(folder: AttemptFolder) -> None:
    with hung(hangs.NAP) as process:
        os.kill(process.pid, signal.SIGSTOP)
        wait_for(lambda: census.state(process.pid) == "T", "the stop")
        found = write(folder, process, [Rank(0, process.pid, 3)], path=os.environ["PATH"])
    (rank,) = record(found)["ranks"]
    assert (rank["state"], rank["stacks_by"], rank["own"]) == ("T", "py-spy", "<string>:4 nap")
    assert record(found)["culprit"]["why"].endswith("is stopped (state T)")


def test_without_py_spy_the_reason_is_all_there_is(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacks, "find_spy", lambda path: None)
    with hung(hangs.NAP, env=hangs.CLEAN) as process:
        found = write(folder, process, [Rank(0, process.pid, 3)])
    reason = f"no Python stacks of process {process.pid}: it does not know the stack signal"
    assert record(found)["missing"][0].startswith(reason)
    assert reason in found.reason
    assert record(found)["ranks"][0]["wchan"]


def test_order_is_proc_then_the_signal_to_all_then_py_spy_on_who_is_left(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, list[int]]] = []

    def noting(name: str, real: Any) -> Any:
        def call(pids: Any, *more: Any) -> Any:
            done.append((name, list(pids)))
            return real(pids, *more)

        return call

    for room, name in ((tasks, "collect"), (stacks, "ask"), (stacks, "spy")):
        monkeypatch.setattr(room, name, noting(name, getattr(room, name)))
    with hung(hangs.NAP) as armed, hung(hangs.NAP, env=hangs.CLEAN) as bare:
        both = {**armed.members, **bare.members}
        write(folder, both, [Rank(1, bare.pid), Rank(0, armed.pid)], path=os.environ["PATH"])
    order = [bare.pid, armed.pid]
    assert done == [("collect", order), ("ask", order), ("spy", [bare.pid])]


def test_look_that_blocks_costs_no_more_than_its_share_of_the_time(folder: AttemptFolder) -> None:
    def read(path: str) -> bytes | None:
        signal.pause()
        return None

    with hung(hangs.NAP) as process:
        begun_s = time.monotonic()
        found = write(folder, process, [Rank(0, process.pid, 1)], within_s=2.0, read=read)
        assert time.monotonic() - begun_s < 2.0 + incident.SOURCES_S
    assert record(found)["ranks"][0]["own"] == "<string>:4 nap"
    assert any("/proc" in line for line in record(found)["missing"])


def test_each_incident_has_a_folder_of_its_own_also_of_two_at_one_time(folder: AttemptFolder) -> None:
    found: list[str] = []
    many = [threading.Thread(target=lambda: found.append(write(folder, {}).path)) for _ in range(8)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    assert sorted(found) == [f"{folder.run().incidents}/{n:04d}" for n in range(1, 9)]


def test_number_that_an_old_listing_does_not_show_is_not_taken_again(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(folder, {})
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [] if path == folder.run().incidents else real(path))
    assert (first.path[-4:], write(folder, {}).path[-4:]) == ("0001", "0002")


def test_full_disk_keeps_what_can_be_kept_and_says_the_rest(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files.replace_bytes

    def full(path: str, body: bytes, **more: Any) -> None:
        if len(body) > 10_000:
            raise WorldError(f"cannot write {path}: No space left on device")
        real(path, body, **more)

    monkeypatch.setattr(files, "replace_bytes", full)
    deep = "def deep(n):\n    return deep(n - 1) if n else nap()\nimport sys\nsys.setrecursionlimit(9000)\n"
    program = deep + hangs.NAP.replace("\nnap()", "\ndeep(900)")
    Path(folder.output).write_text("x" * 50_000)
    with hung(program) as process:
        found = write(folder, process, [Rank(0, process.pid, 1)])
    seen = record(found)
    assert seen["culprit"]["rank"] == 0
    assert "No space left" in found.reason
    assert any(line.startswith("log-excerpt.txt: ") for line in seen["missing"])
    assert "the disk took no more" in text(found, "log-excerpt.txt")


def test_where_no_folder_can_be_made_the_reason_and_the_hints_are_returned(folder: AttemptFolder) -> None:
    Path(folder.run().incidents).write_text("in the way")
    with hung(hangs.NAP) as process:
        found = write(folder, process, [Rank(0, process.pid, 1)])
    assert (found.path, "incidents" in found.reason) == ("", True)
    assert "nap" in found.hints[0]


def test_rank_is_known_by_its_environment_and_its_children_are_none(folder: AttemptFolder) -> None:
    fork = "import os\nif os.fork() == 0:\n    os.environ['RANK'] = '9'\n"
    with hung(fork + hangs.NAP, env=hangs.environment(RANK="1")) as one:
        with hung(hangs.NAP, env=hangs.environment(RANK="0")) as zero:
            found = write(folder, {**one.members, **zero.members})
    assert [(rank["rank"], rank["pid"]) for rank in record(found)["ranks"]] == [(0, zero.pid), (1, one.pid)]


def test_rank_that_has_ended_is_shown_as_such(folder: AttemptFolder) -> None:
    with hung(hangs.NAP) as living:
        found = write(folder, living, [Rank(0, 1 << 22, 5), Rank(1, living.pid, 5)])
    zero, one = record(found)["ranks"]
    assert (zero["state"], one["state"]) == ("", "S")
    assert record(found)["culprit"]["rank"] == 1
    assert record(found)["missing"] == [f"no Python stacks of process {1 << 22}: it has ended"]


def test_sixty_four_ranks_on_one_node_are_all_shown_within_the_time(folder: AttemptFolder) -> None:
    with hung(hangs.SIXTY_FOUR + hangs.NAP) as process:
        wait_for(
            lambda: sum(hangs.waits_in(pid, "nanosleep") for pid in members(process.pid)) == 64, "all ranks"
        )
        pids = list(members(process.pid))
        begun_s = time.monotonic()
        found = write(folder, process, [Rank(n, pid, 7) for n, pid in enumerate(pids)], within_s=20.0)
        took_s = time.monotonic() - begun_s
    assert [rank["own"] for rank in record(found)["ranks"]] == ["<string>:11 nap"] * 64
    assert record(found)["missing"] == []
    assert took_s < 10


def test_more_ranks_than_there_is_room_for_are_counted(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident, "RANKS_MAX", 1)
    monkeypatch.setattr(incident, "PROCESSES_MAX", 1)
    with hung(hangs.NAP) as one, hung(hangs.NAP) as two:
        found = write(folder, {**one.members, **two.members}, [Rank(0, one.pid), Rank(1, two.pid)])
    assert record(found)["missing"] == ["1 ranks: more than 1", "1 processes: more than 1"]


# --- beside the runner --------------------------------------------------------------------------------------------


def test_gathering_goes_on_beside_the_runner_and_tells_when_it_is_done(folder: AttemptFolder) -> None:
    with hung(hangs.NAP) as process:
        gathering = begin(folder, DECISION, [Rank(0, process.pid, 2)], process.members)
        waits = 0
        while not gathering.is_done:
            assert beside.wait_any(gathering.fds, time.monotonic() + WITHIN_S)
            waits += 1
        assert waits <= NEWS_MAX, "who waits for it turns round and round"
        found = gathering.result(time.monotonic())
    assert (found.culprit["rank"], found.reason, found.path[-4:]) == (0, "", "0001")
    assert "nap" in found.hints[0]
    assert gathering.fds == []


def test_who_waits_for_the_gathering_is_not_woken_again_by_old_news(folder: AttemptFolder) -> None:
    with hung(hangs.NAP) as process:
        gathering = begin(folder, DECISION, [], process.members)
        assert beside.wait_any(gathering.fds, time.monotonic() + WITHIN_S), "its folder is news"
        assert not beside.wait_any(gathering.fds, time.monotonic() + tasks.WINDOW_S / 5)
        gathering.result()


def test_gathering_that_is_broken_off_leaves_what_it_had(folder: AttemptFolder) -> None:
    with hung(hangs.NAP) as process:
        gathering = begin(folder, DECISION, [Rank(0, process.pid, 2)], process.members)
        wait_for(
            lambda: os.path.exists(f"{folder.run().incidents}/0001/log-excerpt.txt"), "the first evidence"
        )
        found = gathering.result(time.monotonic())
    assert found.path == f"{folder.run().incidents}/0001"
    assert found.reason == UNFINISHED
    assert record(found)["reason"] == DECISION["reason"]


def test_gathering_that_was_killed_is_no_end_of_the_runner(folder: AttemptFolder) -> None:
    with hung(hangs.NAP) as process:
        gathering = begin(folder, DECISION, [], process.members)
        for pid in census.descendants(os.getpid()) - set(process.members):
            os.kill(pid, signal.SIGKILL)
        found = gathering.result()
    assert found.reason == UNFINISHED
    assert found.hints or found.path


def test_where_nobody_can_be_forked_the_ending_goes_on_without_evidence(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    gathering = begin(folder, DECISION, [], {})
    found = gathering.result()
    assert (gathering.fds, found.path) == ([], "")
    assert found.hints == ["no evidence: no process for gathering it: Resource temporarily unavailable"]
