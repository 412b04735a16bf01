"""What a runner reads from a page that its training is writing on: never half of a beat, and never a signal."""

import os
import struct
from pathlib import Path

import pytest

import outlast
from outlast.disk import heartbeat, page
from tests.unit.disk.faults import Child


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / f"rank-0.{os.getpid()}")


def signed(path: str) -> page.Mapped:
    mapped = page.create(path)
    page.sign(mapped, 0, 1)
    return mapped


def jump(mapped: page.Mapped, mark: int, shift: int, beats: float) -> None:
    page.BEATS.pack_into(mapped, page.BEATS_AT, beats)
    page.BEAT.pack_into(mapped, page.BEAT_AT, mark, shift, 0.5, mark)
    page.END_MARK.pack_into(mapped, page.END_MARK_AT, mark)


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


def test_a_copy_with_new_marks_around_an_old_shift_is_not_believed(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader was interrupted in the middle of copying the page, just while the training jumped."""
    mapped = signed(path)
    jump(mapped, 1, 100, 7.0)
    seen = heartbeat.Page(path)
    jump(mapped, 2, 500, 8.0)
    torn = bytearray(mapped[:])
    struct.pack_into("<q", torn, page.BEAT_AT + 8, 0)
    copies, pread = [bytes(torn)], os.pread
    monkeypatch.setattr(
        os, "pread", lambda fd, size, at: copies.pop() if copies and not at else pread(fd, size, at)
    )
    beat = seen.read()
    seen.close()
    assert beat is not None
    assert (beat.step, beat.seq) == (508, 8)
    assert copies == []


def test_of_a_page_that_always_jumps_the_last_whole_beat_is_known(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = signed(path)
    jump(mapped, 1, 100, 7.0)
    seen = heartbeat.Page(path)
    whole = seen.read()
    pread = os.pread

    def read_while_it_jumps(fd: int, size: int, at: int) -> bytes:
        struct.pack_into("<q", mapped, page.BEAT_AT, 1_000)
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
