import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.disk import page
from outlast.runner import census, ranks
from outlast.runner.ranks import Ranks
from tests.unit.disk.faults import open_descriptors
from tests.unit.runner.conftest import Rank

Make = Callable[..., Rank]


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ranks, "MEMORY", str(tmp_path))
    return tmp_path


def test_a_page_that_appears_later_is_found(tmp_path: Path, rank: Make) -> None:
    seen = Ranks(str(tmp_path))
    assert seen.look() is False
    assert not seen.beats
    rank().at(7)
    assert seen.look() is True
    assert seen.first is not None
    assert seen.first.step == 7


def test_only_a_change_of_a_page_is_progress(tmp_path: Path, rank: Make) -> None:
    seen, one, two = Ranks(str(tmp_path)), rank(0, 2), rank(1, 2)
    one.at(1)
    two.at(1)
    assert seen.look()
    assert not seen.look()
    two.at(2)
    assert seen.look()
    assert not seen.look()


def test_of_a_rank_that_was_started_again_the_newer_process_speaks(
    tmp_path: Path, rank: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = rank(0, 1, 11), rank(0, 1, 12)
    old.at(500)
    new.at(3)
    for each, ticks in ((old, 100), (new, 200)):
        page.IDENTITY.pack_into(
            each.memory, 0, page.MAGIC, page.VERSION, 0, 1, 0, 1, ticks, b"boot".ljust(36)
        )
    seen = Ranks(str(tmp_path))
    seen.look()
    assert [beat.step for beat in seen.beats] == [3]


class Processes:
    """Those that live, by pid; their start ticks are 100 more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.living: set[int] = set()
        monkeypatch.setattr(census, "living", lambda pid: pid + 100 if pid in self.living else None)

    def begin(self, rank: Make, pid: int, number: int = 0, world: int = 1) -> Rank:
        made = rank(number, world, pid)
        page.IDENTITY.pack_into(
            made.memory, 0, page.MAGIC, page.VERSION, number, world, 0, pid, pid + 100, b"boot".ljust(36)
        )
        self.living.add(pid)
        return made


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    return Processes(monkeypatch)


def pids(seen: Ranks) -> list[int]:
    seen.look()
    return [beat.pid for beat in seen.beats]


def test_a_child_that_inherits_the_rank_never_hides_the_process_that_has_it(
    tmp_path: Path, rank: Make, processes: Processes
) -> None:
    """An evaluation as a process of its own, with RANK in its environment."""
    seen = Ranks(str(tmp_path))
    processes.begin(rank, 11).at(500)
    assert pids(seen) == [11]
    processes.begin(rank, 12).at(1)
    assert pids(seen) == [11]
    assert pids(Ranks(str(tmp_path))) == [11], "nor for a runner that comes later"
    processes.living -= {12}
    assert pids(seen) == [11]
    processes.living.clear()
    assert pids(seen) == [11], "its last word is the rank's"


def test_of_a_rank_whose_process_died_the_next_that_lives_speaks(
    tmp_path: Path, rank: Make, processes: Processes
) -> None:
    seen = Ranks(str(tmp_path))
    processes.begin(rank, 11).at(500)
    assert pids(seen) == [11]
    processes.begin(rank, 12).at(3)
    processes.living -= {11}
    assert pids(seen) == [12]


def test_a_rank_started_again_that_is_gone_before_we_look_has_the_last_word(
    tmp_path: Path, rank: Make, processes: Processes
) -> None:
    seen = Ranks(str(tmp_path))
    processes.begin(rank, 11).at(500)
    assert pids(seen) == [11]
    processes.living.clear()
    assert pids(seen) == [11]
    again = processes.begin(rank, 12)
    again.says(page.DO_NOT_RESTART, at=500)
    processes.living.clear()
    assert pids(seen) == [12]
    assert seen.last_words() == ["rank 0: do-not-restart at step 500"]


def test_only_who_lives_and_still_has_its_page_is_alive(
    tmp_path: Path, rank: Make, processes: Processes
) -> None:
    seen = Ranks(str(tmp_path))
    one = processes.begin(rank, 11)
    pids(seen)
    assert [beat.pid for beat in seen.living] == [11]
    page.leave(one.memory, one.path)
    pids(seen)
    assert [beat.pid for beat in seen.living] == [11], "who left its training lives on"
    processes.living.clear()
    pids(seen)
    assert seen.living == []


def test_many_short_processes_of_one_rank_leave_nothing_open(
    tmp_path: Path, rank: Make, processes: Processes
) -> None:
    seen, before = Ranks(str(tmp_path)), open_descriptors()
    kept, rows = [], []
    for pid in range(11, 23):
        made = processes.begin(rank, pid)
        made.at(pid)
        pids(seen)
        made.writing.put(pid, "late", 1.0)
        page.leave(made.memory, made.path)
        processes.living.clear()
        kept.append(made)
        pids(seen)
        rows += seen.take()[0]
    made = processes.begin(rank, 30)
    for _ in range(3):
        pids(seen)
    rows += seen.take()[0]
    theirs = 2 * 13  # of the processes themselves: each its memory, and once more by `mmap`
    assert open_descriptors() == before + theirs + 1
    assert os.listdir(tmp_path) == ["rank-0.30"]
    assert [step for step, name, _ in rows if name == "late"] == list(range(11, 23))


def test_what_a_dead_process_said_last_is_taken_before_its_page_goes(
    tmp_path: Path, rank: Make, processes: Processes
) -> None:
    seen = Ranks(str(tmp_path))
    old = processes.begin(rank, 11)
    pids(seen)
    old.at(7, loss=0.5)
    processes.begin(rank, 12)
    processes.living -= {11}
    for _ in range(3):
        pids(seen)
    assert seen.take() == ([(7, "loss", 0.5)], 0)
    assert seen.take() == ([], 0)


def test_p3_no_scribble_on_a_page_stops_us(tmp_path: Path, rank: Make) -> None:
    seen, one = Ranks(str(tmp_path)), rank()
    one.at(5)
    seen.look()
    for at in (page.LAP_AT, page.LAP_AT + 8, page.TAKEN_AT, page.TAKEN_AT + 8, page.WRITTEN_AT):
        struct.pack_into("<q", one.memory, at, -(1 << 62))
        seen.look()
        seen.take()
        seen.tell(seen.stop_at(1.0))
        assert seen.first is not None
        assert seen.first.step == 5
    seen.tell(1 << 70)


def test_a_page_whose_name_became_another_is_opened_anew(tmp_path: Path, rank: Make) -> None:
    seen = Ranks(str(tmp_path))
    rank(0, 1, 5).at(1)
    seen.look()
    rank(0, 1, 5).at(99)  # the same pid after an exec
    assert seen.look()
    assert [beat.step for beat in seen.beats] == [99]


def test_p3_pages_deleted_or_scribbled_over_keep_their_last_state(tmp_path: Path, rank: Make) -> None:
    seen, one = Ranks(str(tmp_path)), rank()
    one.at(5)
    seen.look()
    os.unlink(one.path)
    one.memory[:] = os.urandom(page.BYTES)
    seen.look()
    assert seen.first is not None
    assert seen.first.step == 5


def test_garbage_in_the_folder_is_nobodys_page(tmp_path: Path) -> None:
    (tmp_path / "rank-0.1").write_bytes(b"\0" * 4096)
    (tmp_path / "rank-1.1").write_bytes(b"short")
    (tmp_path / "rank-2.1").mkdir()
    os.mkfifo(tmp_path / "rank-3.1")
    (tmp_path / "rank-4.1").symlink_to("/etc/passwd")
    seen = Ranks(str(tmp_path))
    assert seen.look() is False
    assert seen.beats == []


def test_a_lone_rank_is_told_its_own_step(tmp_path: Path, rank: Make) -> None:
    seen, one = Ranks(str(tmp_path)), rank()
    one.at(41)
    seen.look()
    assert seen.stop_at(1000.0) == 41


def test_several_are_told_two_steps_beyond_the_first_runner(tmp_path: Path, rank: Make) -> None:
    seen, all_of_them = Ranks(str(tmp_path)), [rank(number, 3) for number in range(3)]
    for each, step in zip(all_of_them, (40, 42, 41), strict=True):
        each.at(step)
    seen.look()
    stop_at = seen.stop_at(0.5)
    seen.tell(stop_at)
    assert [each.told for each in all_of_them] == [44, 44, 44]
    seen.tell(None)
    assert [each.told for each in all_of_them] == [None, None, None]


def test_the_one_page_of_several_ranks_that_we_see_is_not_a_lone_rank(tmp_path: Path, rank: Make) -> None:
    seen = Ranks(str(tmp_path))
    rank(0, 8).at(10)
    seen.look()
    assert seen.stop_at(0.0) == 12


def test_quick_steps_widen_the_margin(tmp_path: Path, rank: Make) -> None:
    seen = Ranks(str(tmp_path))
    for number in range(2):
        rank(number, 2).at(100)
    seen.look()
    assert seen.stop_at(200.0) == 100 + 2 + 20


def test_last_words_name_rank_word_and_step(tmp_path: Path, rank: Make) -> None:
    seen, one, two = Ranks(str(tmp_path)), rank(0, 2), rank(1, 2)
    one.at(7)
    two.at(120)
    two.says(page.STOPPED, at=120)
    seen.look()
    assert seen.last_words() == ["rank 0: running at step 7", "rank 1: stopped at step 120"]


def test_of_a_thousand_ranks_those_that_differ_are_named(tmp_path: Path, rank: Make) -> None:
    kept = [rank(number, 40) for number in range(40)]
    for each in kept:
        each.at(5)
        each.says(page.STOPPED, at=5)
    kept[33].says(page.DO_NOT_RESTART, at=4)
    seen = Ranks(str(tmp_path))
    seen.look()
    words = seen.last_words()
    assert len(words) <= 16
    assert "rank 0: stopped at step 5" in words
    assert "rank 33: do-not-restart at step 4" in words


def test_the_folder_is_private_and_empty(memory: Path) -> None:
    path = ranks.make_folder("/some/attempt")
    assert Path(path).stat().st_mode & 0o777 == 0o700
    Path(path, "rank-0.1").write_bytes(b"of an attempt that died here")
    assert ranks.make_folder("/some/attempt") == path
    assert os.listdir(path) == []
    assert ranks.make_folder("/another/attempt") != path
    ranks.remove_folder(path)
    assert not os.path.exists(path)


def test_a_folder_that_others_could_have_made_is_not_used(memory: Path) -> None:
    (memory / f"outlast-{os.getuid()}").mkdir(mode=0o777)
    (memory / f"outlast-{os.getuid()}").chmod(0o777)
    assert ranks.make_folder("/some/attempt") == ""


def test_a_link_in_the_place_of_the_folder_is_not_followed(
    memory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (memory / f"outlast-{os.getuid()}").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    assert ranks.make_folder("/some/attempt") == ""


def test_without_memory_there_is_no_exact_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "MEMORY", "/no/such/place")
    assert ranks.make_folder("/some/attempt") == ""
    assert Ranks("").look() is False
