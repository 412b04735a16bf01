"""A rank's page: sealed, found by its link, and never mistaken for another's file."""

import math
import os
from pathlib import Path

import pytest

from outlast.disk import heartbeat, page
from outlast.sdk.writing import NO_NUMBER, Writing


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / f"rank-0.{os.getpid()}")


def test_a_page_cannot_be_truncated_nor_grown(path: str) -> None:
    mapped = page.create(path)
    for size in (0, page.BYTES - 1, page.BYTES + 1):
        with pytest.raises(PermissionError):
            os.truncate(path, size)
    mapped[page.BYTES - 1] = 1


def test_it_is_no_page_until_it_is_signed(path: str) -> None:
    mapped = page.create(path)
    seen = heartbeat.Page(path)
    assert seen.read() is None
    page.sign(mapped, 3, 8)
    beat = seen.read()
    assert beat is not None
    assert (beat.rank, beat.world, beat.pid, beat.seq, beat.word) == (3, 8, os.getpid(), 0, "running")
    seen.close()


def test_nobody_is_asked_to_stop_by_a_new_page(path: str) -> None:
    mapped = page.create(path)
    assert page.WANT.unpack_from(mapped, page.WANT_AT) == (0, page.NO_STOP)


def test_a_link_whose_process_is_gone_or_whose_number_is_anothers_is_no_page(tmp_path: Path) -> None:
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    for name, target in (("gone", "/proc/1/fd/99999"), ("reused", f"/proc/{os.getpid()}/fd/{other}")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(FileNotFoundError):
            heartbeat.Page(str(tmp_path / name))
    os.close(other)


def test_a_number_that_becomes_anothers_while_we_open_it_is_let_go_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
    target = f"/proc/{os.getpid()}/fd/{other}"
    (tmp_path / "rank-0.1").symlink_to(target)
    truth = os.readlink
    monkeypatch.setattr(
        os, "readlink", lambda name: "/memfd:outlast-rank-0" if name == target else truth(name)
    )
    with pytest.raises(FileNotFoundError):
        heartbeat.Page(str(tmp_path / "rank-0.1"))
    os.close(other)


def test_a_link_to_anything_else_is_no_page(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(page.BYTES))
    (tmp_path / "rank-0.1").symlink_to(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        heartbeat.Page(str(tmp_path / "rank-0.1"))


def test_the_copy_that_is_left_says_the_same_and_may_be_truncated(path: str) -> None:
    mapped = page.create(path)
    page.sign(mapped, 1, 2)
    page.FACTS.pack_into(mapped, page.FACTS_AT, 10, 1, page.DONE, 10)
    before = heartbeat.Page(path)
    page.leave(mapped, path)
    after = heartbeat.Page(path)
    assert after.read() == before.read() is not None
    os.truncate(path, 0)
    assert after.read() == before.read()
    mapped[0] = 0
    before.close()
    after.close()


def test_a_copy_that_cannot_be_written_leaves_the_link(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = page.create(path)
    monkeypatch.setattr(os, "write", lambda fd, body: 100)
    with pytest.raises(OSError, match="No space left"):
        page.leave(mapped, path)
    assert Path(path).is_symlink()


def test_no_loss_at_all_and_a_loss_that_is_no_number_are_told_apart(path: str) -> None:
    writing = begun(path)
    seen = heartbeat.Page(path)
    assert losses(seen) == [None]
    for loss in (math.nan, -math.nan, math.inf, -math.inf, 0.0):
        writing.next_cell()[()] = loss
        found = losses(seen)[0]
        assert found is not None
        assert math.isnan(found) if math.isnan(loss) else found == loss
    writing.next_cell()[()] = NO_NUMBER
    assert losses(seen) == [0.0]
    beat = seen.read()
    assert beat is not None
    assert beat.seq == 6
    seen.close()


def begun(path: str) -> Writing:
    mapped = page.create(path)
    page.sign(mapped, 0, 1)
    writing = Writing(mapped)
    writing.jump(0)
    return writing


def losses(seen: heartbeat.Page) -> list[float | None]:
    beat = seen.read()
    assert beat is not None
    return [beat.loss]


def test_a_beat_that_was_interrupted_for_ever_hides_no_later_one(path: str) -> None:
    writing = begun(path)
    seen = heartbeat.Page(path)
    writing.next_cell()
    writing.next_cell()[()] = 2.0
    beat = seen.read()
    assert beat is not None
    assert (beat.step, beat.loss) == (2, 2.0)
    seen.close()


def test_nothing_is_believed_while_the_mark_is_odd_until_it_stays_so_for_good(path: str) -> None:
    writing = begun(path)
    writing.next_cell()[()] = 1.0
    seen = heartbeat.Page(path)
    before = seen.read()
    (mark,) = page.MARK.unpack_from(writing.memory, page.MARK_AT)
    page.MARK.pack_into(writing.memory, page.MARK_AT, mark + 1)
    writing.next_cell()[()] = 0.5
    assert seen.read() == before
    looks = [seen.read() for _ in range(10)]
    assert looks[-1] is not None
    assert looks[-1].step == 2
    seen.close()
