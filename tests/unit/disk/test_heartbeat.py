"""What a runner reads from a page that its training is writing on: never half of a beat, and never a signal."""

import mmap
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import outlast
from outlast.disk import heartbeat, page
from outlast.sdk.writing import Writing
from tests.unit.disk.faults import Child


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / f"rank-0.{os.getpid()}")


def signed(path: str) -> page.Mapped:
    mapped = page.create(path)
    page.sign(mapped, 0, 1)
    return mapped


def test_looks_at_a_training_that_beats_as_fast_as_it_can_never_see_a_step_that_was_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A jump, one step more, and again; the loss of step n is n."""
    monkeypatch.setenv("OUTLAST_HEARTBEAT", str(tmp_path))
    monkeypatch.setenv("OUTLAST_ATTEMPT_DIR", str(tmp_path))
    ready, go_on = os.pipe()
    laps = 80_000

    def train() -> None:
        with outlast.training() as run:
            for lap in range(laps):
                for step in range(lap * 1000 + 1, lap * 1000 + 3):
                    run.step(step=step, loss=float(step))
                if lap == 0:
                    os.write(go_on, b"x")

    child = Child(train)
    child.go()
    os.read(ready, 1)
    seen = heartbeat.Page(str(tmp_path / f"rank-0.{child.pid}"))
    step, seq, looks = 0, 0, 0
    while step < (laps - 1) * 1000 + 2:
        beat = seen.read()
        if beat is None and looks == 0:
            continue  # each of a few looks met a jump: nothing was ever seen yet, and nothing is said
        assert beat is not None
        assert beat.step % 1000 <= 2, "a step that was never done"
        assert (beat.step, beat.seq) >= (step, seq), "it went back"
        assert beat.loss is not None
        assert beat.loss % 1000 in (1, 2), "a loss of no step"
        assert abs(beat.loss - beat.step) <= 1000, "a loss of another step than the last and the next"
        step, seq, looks = beat.step, beat.seq, looks + 1
    child.answer()
    seen.close()
    os.close(ready)
    os.close(go_on)
    assert looks > 100


def test_a_copy_that_a_jump_ran_through_is_not_believed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader was interrupted in the middle of copying the page, just while the training jumped."""
    writing = Writing(signed(path))
    writing.jump(100)
    for _ in range(7):
        writing.next_cell()[()] = 1.0
    seen = heartbeat.Page(path)
    torn, pread = [True], os.pread

    def copy(fd: int, size: int, at: int) -> bytes:
        body = pread(fd, size, at)
        if at == 0 and torn:
            torn.clear()
            writing.jump(500)
            writing.next_cell()[()] = 0.5
            return body[:512] + pread(fd, size, at)[512:]
        return body

    monkeypatch.setattr(os, "pread", copy)
    beat = seen.read()
    seen.close()
    assert beat is not None
    assert (beat.step, beat.seq, beat.loss) == (508, 8, 0.5)
    assert torn == []


def test_of_a_page_that_always_jumps_the_last_whole_beat_is_known(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = Writing(signed(path))
    writing.jump(100)
    seen = heartbeat.Page(path)
    whole = seen.read()
    pread = os.pread

    def read_while_it_jumps(fd: int, size: int, at: int) -> bytes:
        writing.jump(writing.shift + 10)
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", read_while_it_jumps)
    assert seen.read() == whole is not None
    seen.close()


def test_a_look_in_the_middle_of_signing_finds_no_page_and_never_one_of_process_0(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = page.create(path)
    seen = heartbeat.Page(path)
    looks: list[heartbeat.Beat | None] = []
    layout = page.IDENTITY

    class Slow:
        """Fills in the page with a look at it after every byte."""

        def pack_into(self, memory: page.Mapped, at: int, *words: object) -> None:
            for n, byte in enumerate(layout.pack(*words)):
                memory[at + n] = byte
                looks.append(seen.read())

    monkeypatch.setattr(page, "IDENTITY", Slow())
    page.sign(mapped, 3, 8)
    looks.append(seen.read())
    seen.close()
    assert {(look.rank, look.world, look.pid) for look in looks if look is not None} == {(3, 8, os.getpid())}


FAR = 1 << 62
SCRIBBLES: dict[str, Callable[[mmap.mmap], None]] = {
    "base": lambda memory: struct.pack_into("<q", memory, page.LAP_AT, FAR),
    "base below 0": lambda memory: struct.pack_into("<q", memory, page.LAP_AT, -1),
    "shift": lambda memory: struct.pack_into("<q", memory, page.LAP_AT + 8, -FAR),
    "cells kept": lambda memory: struct.pack_into("<q", memory, page.LAP_AT + 16, FAR),
    "cells kept below 0": lambda memory: struct.pack_into("<q", memory, page.LAP_AT + 16, -FAR),
}


@pytest.mark.parametrize("what", SCRIBBLES)
def test_p3_of_a_page_whose_counts_are_none_the_last_beat_is_kept(path: str, what: str) -> None:
    mapped = signed(path)
    writing = Writing(mapped)
    writing.jump(0)
    for _ in range(3):
        writing.next_cell()[()] = 1.0
    seen = heartbeat.Page(path)
    before = seen.read()
    SCRIBBLES[what](mapped)
    assert seen.read() == before is not None
    assert seen.take() == ([], 0)
    seen.close()


@pytest.mark.parametrize(
    "at", [page.TAKEN_AT, page.TAKEN_AT + 8, page.WRITTEN_AT, page.NAMES_AT, page.NAMES_AT + 8]
)
@pytest.mark.parametrize("count", [-FAR, -1, FAR, (1 << 63) - 1])
def test_p3_no_count_of_values_is_believed_beyond_what_there_can_be(path: str, at: int, count: int) -> None:
    mapped = signed(path)
    writing = Writing(mapped)
    writing.jump(0)
    writing.next_cell()[()] = 1.0
    writing.put(1, "lr", 0.1)
    struct.pack_into("<q", mapped, at, count)
    seen = heartbeat.Page(path)
    for _ in range(2):
        rows, missed = seen.take()
        assert set(rows) <= {(1, "loss", 1.0), (1, "lr", 0.1)}
        assert 0 <= missed <= 1 << 53
    seen.close()


def test_p3_noise_on_a_page_raises_nothing_that_its_reader_does_not_name(path: str) -> None:
    mapped, noise = signed(path), random.Random(3)
    Writing(mapped).jump(0)
    seen = heartbeat.Page(path)
    for _ in range(300):
        at = noise.randrange(page.MARK_AT + 8, page.HEAD_BYTES - 64)
        mapped[at : at + 64] = noise.randbytes(64)
        beat = seen.read()
        seen.take()
        seen.tell(1 << 70)
        assert beat is not None
        assert abs(beat.step) < 1 << 55
        assert all(limit is None or 0.0 < limit < float("inf") for _, limit, _ in beat.sections)
        assert beat.saved is None or "\0" not in beat.saved[2]
    seen.close()
