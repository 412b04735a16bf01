"""What the kernel says of real processes; one that nobody can look at is emulated by a reader that blocks."""

from __future__ import annotations

import os
import signal
import time

import pytest

from outlast.runner import census, tasks
from tests import hangs
from tests.hangs import hung, members
from tests.runner_driver import wait_for

pytestmark = [
    pytest.mark.slow,
    # What forks here has one thread when it is the runner; under pytest there are others.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning"),
]


def collect(
    pids: list[int], within_s: float = 20.0, read: tasks.Read = census.read
) -> tuple[tasks.Seen, list[str]]:
    return tasks.collect(pids, time.monotonic() + within_s, read)


def test_who_computes_is_told_from_who_waits() -> None:
    with hung(hangs.LOOP, where="") as looping, hung(hangs.GIL_HELD, where="futex") as waiting:
        seen, missing = collect([looping.pid, waiting.pid])
    assert missing == []
    assert (seen[looping.pid]["state"], seen[waiting.pid]["state"]) == ("R", "S")
    assert seen[looping.pid]["cpu_s"] > 0.05  # on a busy machine it does not get all
    assert seen[waiting.pid]["cpu_s"] == 0
    assert "futex" in seen[waiting.pid]["wchan"]


def test_every_thread_has_its_line_with_its_own_place() -> None:
    with hung(hangs.GIL_RELEASED, where="futex") as process:
        wait_for(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 2, "the thread")
        seen, _ = collect([process.pid])
        tids = sorted(map(int, os.listdir(f"/proc/{process.pid}/task")))
    text = seen[process.pid]["text"]
    lines = {int(line.split()[0]): line for line in text.splitlines() if line.split()[0].isdigit()}
    assert sorted(lines) == tids
    assert "futex" in lines[process.pid]
    assert seen[process.pid]["threads"] == 2
    assert "SigCgt" in text
    assert "/memfd" in text


def test_rank_and_words_are_read_from_the_process_itself() -> None:
    env = hangs.environment(RANK="3", LOCAL_RANK="1")
    with hung(hangs.NAP, env=env) as process:
        seen, _ = collect([process.pid])
    assert (seen[process.pid]["rank"], seen[process.pid]["parent"]) == (3, os.getpid())
    assert "-c import time def nap()" in seen[process.pid]["words"]


def test_process_that_has_ended_is_said_to_be_gone() -> None:
    with hung(hangs.NAP) as process:
        pass
    seen, missing = collect([process.pid])
    assert (seen[process.pid]["state"], missing) == ("", [])


@pytest.mark.parametrize("what", ["stat", "wchan", "cmdline"])
def test_process_on_which_reading_blocks_costs_only_itself(what: str) -> None:
    with hung(hangs.NAP) as first, hung(hangs.NAP) as stuck, hung(hangs.NAP) as last:

        def read(path: str) -> bytes | None:
            if path.startswith(f"/proc/{stuck.pid}/") and path.endswith(what):
                signal.pause()
            return census.read(path)

        begun_s = time.monotonic()
        seen, missing = collect([first.pid, stuck.pid, last.pid], read=read)
        assert time.monotonic() - begun_s < tasks.STALL_S * 2 + 3
    assert [f"process {stuck.pid}" in text and "blocks" in text for text in missing] == [True] * len(missing)
    assert missing
    for process in (first, last):
        assert seen[process.pid]["state"] == "S"
        assert "nap" in seen[process.pid]["words"]
    assert ("text" in seen.get(stuck.pid, {})) is (what == "cmdline")


def test_time_that_is_over_ends_the_reading_with_what_there_is() -> None:
    def read(path: str) -> bytes | None:
        signal.pause()
        return None

    begun_s = time.monotonic()
    seen, missing = collect(list(range(1, 1000)), 1.0, read)
    assert time.monotonic() - begun_s < 3
    assert seen == {}
    assert any("no time left" in text for text in missing)


def test_reader_that_fails_is_said_and_not_tried_for_ever() -> None:
    def read(path: str) -> bytes | None:
        raise RuntimeError("planted")

    seen, missing = collect([os.getpid()], 5.0, read)
    assert seen == {}
    assert missing == ["/proc of 1 processes: whoever read it failed"]


def test_hundreds_of_threads_and_descriptors_stay_bounded() -> None:
    many = """
import os, threading
for _ in range(400):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
kept = [open(os.devnull) for _ in range(400)]
"""
    with hung(many + hangs.NAP) as process:
        seen, _ = collect([process.pid])
    text = seen[process.pid]["text"]
    assert len(text) <= tasks.TEXT_BYTES_MAX + 100
    lines = [line for line in text.splitlines() if line.split()[0].isdigit()]
    assert len(lines) == tasks.TASKS_MAX
    assert "400 /dev/null" in text or "401 /dev/null" in text


def test_sixty_four_ranks_are_read_in_seconds() -> None:
    with hung(hangs.SIXTY_FOUR + hangs.NAP) as process:
        wait_for(lambda: len(members(process.pid)) == 64, "all ranks")
        begun_s = time.monotonic()
        seen, missing = collect(list(members(process.pid)))
        took_s = time.monotonic() - begun_s
    assert (len(seen), missing) == (64, [])
    assert took_s < 6
