"""How a file becomes true: doors are exclusive, whole and durable; derived files are whole; a look never lies."""

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.errors import Damaged, WorldError
from tests.unit.disk.faults import (
    Child,
    as_nobody,
    deaths,
    fill,
    in_child,
    open_descriptors,
    resize,
    small_disk,
    system_calls,
)

PROCESSES, DOORS = 8, 40


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- doors: made once --------------------------------------------------------------------------------------------


def test_of_eight_processes_exactly_one_makes_each_door_and_all_others_read_its_record(
    tmp_path: Path,
) -> None:
    def race(who: int) -> list[tuple[bool, int]]:
        made = [files.make_once(str(tmp_path / f"door{n}"), {"who": who}) for n in range(DOORS)]
        return [(each.ours, each.record["who"]) for each in made]

    children = [Child(partial(race, who)) for who in range(PROCESSES)]
    for child in children:
        child.go()
    answers = [child.answer() for child in children]
    for door in range(DOORS):
        winners = [who for who in range(PROCESSES) if answers[who][door][0]]
        seen = {answers[who][door][1] for who in range(PROCESSES)}
        assert len(winners) == 1, f"door {door}"
        assert seen == set(winners), f"door {door}"
    assert names(tmp_path) == sorted(f"door{n}" for n in range(DOORS))


@pytest.mark.parametrize("lock", [False, True])
def test_another_who_is_faster_by_one_system_call_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: bool
) -> None:
    path = str(tmp_path / "claim")
    for name in ("link", "rename", "replace"):
        deed = getattr(os, name)

        def after_the_other(source: str, target: str, deed: Callable[[str, str], None] = deed) -> None:
            monkeypatch.undo()
            assert files.make_once(path, {"who": "the other"}).ours
            deed(source, target)

        monkeypatch.setattr(os, name, after_the_other)
    made = files.make_once(path, {"who": "we"}, lock=lock)
    assert (made.ours, made.record["who"], made.fd) == (False, "the other", None)
    standing = files.read(path)
    assert standing is not None
    assert standing["who"] == "the other"


def test_a_door_that_stands_is_never_written_again(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    first = files.make_once(str(path), {"kind": "begun"})
    body, inode = path.read_bytes(), path.stat().st_ino
    second = files.make_once(str(path), {"kind": "shut"})
    assert (first.ours, second.ours, second.record["kind"]) == (True, False, "begun")
    assert (path.read_bytes(), path.stat().st_ino) == (body, inode)


def test_a_link_that_happened_though_its_answer_was_lost_is_known_by_its_nonce(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_twice(source: str, target: str) -> None:  # as a client of NFS does when it hears nothing
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    made = files.make_once(str(tmp_path / "claim"), {"kind": "begun"}, lock=True)
    assert made.ours
    assert made.fd is not None
    assert files.is_locked(str(tmp_path / "claim"))
    os.close(made.fd)


def test_a_link_of_which_nothing_is_known_is_neither_ours_nor_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    before = open_descriptors()
    with pytest.raises(WorldError, match=r"claim: Input/output error"):
        files.make_once(str(tmp_path / "claim"), {}, lock=True)
    assert open_descriptors() == before
    assert names(tmp_path) == []


def test_a_door_that_vanishes_while_we_look_at_its_maker_is_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_but_not_shown(source: str, target: str) -> None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", taken_but_not_shown)
    with pytest.raises(WorldError, match="cannot be seen now"):
        files.make_once(str(tmp_path / "claim"), {})
    with pytest.raises(WorldError, match="cannot be seen now"):
        files.make_segment(str(tmp_path / "00000001.jsonl"), b"{}\n")


def test_a_door_is_on_disk_before_it_has_its_name_and_its_name_is_before_we_say_so(tmp_path: Path) -> None:
    calls = system_calls(lambda: files.make_once(str(tmp_path / "claim"), {"kind": "begun"}).ours)
    order = [call for call in calls if call in ("write", "fsync", "link")]
    assert order == ["write", "fsync", "link", "fsync"]


def test_killed_before_any_system_call_a_door_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    record = {"kind": "begun", "pad": "x" * 5000}
    stood = []
    for _ in deaths(lambda: files.make_once(str(path), record).ours, lambda: path.unlink(missing_ok=True)):
        standing = files.read(str(path))
        stood.append(standing is not None)
        assert standing is None or standing["pad"] == record["pad"]
    assert (stood[0], stood[-1]) == (False, True)


def test_a_locked_door_is_locked_from_the_moment_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, seen = os.link, []

    def link_and_look(source: str, target: str) -> None:
        link(source, target)
        seen.append(files.is_locked(target))

    monkeypatch.setattr(os, "link", link_and_look)
    made = files.make_once(str(tmp_path / "claim"), {}, lock=True)
    assert seen == [True]
    assert made.fd is not None
    os.close(made.fd)
    assert files.is_locked(str(tmp_path / "claim")) is False


def test_a_door_lost_to_another_leaves_us_no_lock_and_no_descriptor(tmp_path: Path) -> None:
    path = str(tmp_path / "claim")
    first = files.make_once(path, {}, lock=True)
    before = open_descriptors()
    second = files.make_once(path, {}, lock=True)
    assert (second.ours, second.fd) == (False, None)
    assert open_descriptors() == before
    assert first.fd is not None
    os.close(first.fd)
    assert files.is_locked(path) is False


def inherited_by_exec(fd: int) -> bool:
    """Whether a program that is started with every descriptor it can get has this one."""
    code = f"import os; os.fstat({fd})"
    words = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.run(words, close_fds=False, stderr=subprocess.DEVNULL).returncode == 0


def test_no_lock_of_ours_is_inherited_by_a_program_that_we_start(tmp_path: Path) -> None:
    made = files.make_once(str(tmp_path / "claim"), {}, lock=True)
    opened = files.open_lock(str(tmp_path / "lock"))
    assert made.fd is not None
    assert not inherited_by_exec(made.fd)
    assert not inherited_by_exec(opened)
    os.set_inheritable(opened, True)
    assert inherited_by_exec(opened)  # the question itself can be answered with yes
    os.close(made.fd)
    os.close(opened)


@pytest.mark.parametrize("folder", ["missing", "file/below"])
def test_a_door_without_a_folder_is_a_failed_act_and_no_bug(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorldError, match="claim"):
        files.make_once(str(tmp_path / folder / "claim"), {})


def test_a_full_disk_makes_no_door_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        before = names(disk)
        with pytest.raises(WorldError, match="No space left"):
            files.make_once(str(disk / "claim"), {"pad": "x" * 5000})
        with pytest.raises(WorldError, match="No space left"):
            files.replace(str(disk / "wish.json"), {"pad": "x" * 5000})
        with pytest.raises(WorldError, match="No space left"):
            files.make_segment(str(disk / "00000001.jsonl"), b"x" * 5000)
        assert names(disk) == before


# --- room reserved for the last words ------------------------------------------------------------------------------


def test_reserved_room_becomes_a_door_though_the_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        room = files.Reserved(str(disk / "exit.json"))
        fill(disk)
        made = room.make({"exit": {"type": "Signalled", "signal": 9}, "pad": "x" * 3900})
        room.release()
        assert made.ours
        assert files.read(str(disk / "exit.json")) == made.record
        assert names(disk) == ["exit.json", "filler"]


def test_last_words_longer_than_the_room_on_a_full_disk_are_shortened_and_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        room = files.Reserved(str(disk / "exit.json"))
        fill(disk)
        told = {"exit": {"type": "Lost", "why": "w" * 20_000}, "hints": ["h" * 20_000]}
        assert room.make(told).ours
        room.release()
        standing = files.read(str(disk / "exit.json"))
        assert standing is not None
        assert standing["exit"]["type"] == "Lost"


def test_last_words_that_find_no_room_leave_no_torn_door(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        room = files.Reserved(str(disk / "exit.json"))
        filler = fill(disk)
        many = {f"key{n}": n for n in range(2000)}
        with pytest.raises(WorldError, match="No space left"):
            room.make(many)
        assert files.read(str(disk / "exit.json")) is None
        filler.unlink()
        assert room.make(many).ours  # the same act again, once there is room
        room.release()
        standing = files.read(str(disk / "exit.json"))
        assert standing is not None
        assert standing["key1999"] == 1999


def test_no_room_is_said_before_any_deed_and_leaves_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        before = open_descriptors()
        with pytest.raises(WorldError, match="reserve room"):
            files.Reserved(str(disk / "exit.json"))
        assert names(disk) == ["filler"]
        assert open_descriptors() == before
        resize(disk, "128k")
        files.Reserved(str(disk / "exit.json")).release()
        assert names(disk) == ["filler"]


def test_of_two_last_words_the_first_stands_and_the_second_stays_beside_it(tmp_path: Path) -> None:
    first, second = (files.Reserved(str(tmp_path / "exit.json")) for _ in range(2))
    assert first.make({"who": 1}).ours
    lost = second.make({"who": 2})
    second.late(str(tmp_path / "exit.late.json"))
    first.release()
    second.release()
    assert (lost.ours, lost.record["who"]) == (False, 1)
    late, standing = files.read(str(tmp_path / "exit.late.json")), files.read(str(tmp_path / "exit.json"))
    assert late is not None
    assert standing is not None
    assert (late["who"], standing["who"]) == (2, 1)
    assert names(tmp_path) == ["exit.json", "exit.late.json"]


def test_last_words_killed_before_any_system_call_are_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "exit.json"

    def say() -> None:
        files.Reserved(str(path)).make({"who": "me", "pad": "x" * 3000})

    stood = []
    for _ in deaths(say, lambda: path.unlink(missing_ok=True)):
        standing = files.read(str(path))
        stood.append(standing is not None)
        assert standing is None or standing["pad"] == "x" * 3000
    assert (stood[0], stood[-1]) == (False, True)


# --- derived files: replaced -----------------------------------------------------------------------------------------


def test_killed_before_any_system_call_a_derived_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "wish.json"
    old, new = {"want": "run", "pad": "o" * 9000}, {"want": "stop", "pad": "n" * 7000}
    seen = []
    for _ in deaths(lambda: files.replace(str(path), new), lambda: files.replace(str(path), old)):
        standing = files.read(str(path))
        assert standing in (old, new)
        seen.append(standing == new)
    assert (seen[0], seen[-1]) == (False, True)


def test_a_derived_file_is_on_disk_before_it_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    calls = system_calls(lambda: files.replace(str(tmp_path / "wish.json"), {"want": "stop"}))
    order = [call for call in calls if call in ("write", "fsync", "rename")]
    assert order == ["write", "fsync", "rename"]


def test_who_reads_a_derived_file_while_it_is_replaced_a_thousand_times_never_sees_half_of_one(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "progress.json")
    bodies = [{"n": n, "pad": "x" * (n % 7 * 3000)} for n in range(1000)]
    files.replace(path, bodies[0], durable=False)

    def write() -> None:
        for body in bodies:
            files.replace(path, body, durable=False)

    writer = Child(write)
    writer.go()
    last, looks = -1, 0
    while last < 999:
        standing = files.read(path)
        assert standing is not None
        assert len(standing["pad"]) == standing["n"] % 7 * 3000
        assert standing["n"] >= last
        last, looks = standing["n"], looks + 1
    writer.answer()
    assert looks > 10
    assert names(tmp_path) == ["progress.json"]


def test_a_derived_file_that_cannot_be_written_leaves_the_old_one_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "board.json")
    files.replace(path, {"runs": 1})

    def fail(source: str, target: str) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(WorldError, match="quota"):
        files.replace(path, {"runs": 2})
    assert files.read(path) == {"runs": 1}
    assert names(tmp_path) == ["board.json"]


# --- looking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["missing", "missing/record", "file/record"])
def test_where_nothing_stands_a_look_says_none(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert files.read(str(tmp_path / path)) is None


def a_link(path: Path) -> None:
    path.with_name("true").write_bytes(files.encode({"a": 1}))
    path.symlink_to("true")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [a_link, a_socket, os.mkfifo, Path.mkdir], ids=lambda make: make.__name__)
def test_what_is_no_regular_file_is_damaged_and_never_waited_for(
    tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    path = tmp_path / "00000001.json"
    make(path)
    with pytest.raises(Damaged, match="not a regular file"):
        files.read(str(path))


def test_a_pipe_that_somebody_writes_a_record_into_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, files.encode({"kind": "begun"}))
    with pytest.raises(Damaged, match="not a regular file"):
        files.read(str(path))
    os.close(fd)


def test_a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.write_bytes(b"x" * 1000)
    assert files.read_bytes(str(path), 1000) == b"x" * 1000
    with pytest.raises(Damaged, match="larger than 999 bytes"):
        files.read_bytes(str(path), 999)


def test_a_record_that_may_not_be_read_is_unseen_neither_none_nor_damaged(common_ground: Path) -> None:
    path = common_ground / "run.json"
    files.replace(str(path), {"a": 1})
    path.chmod(0)
    with pytest.raises(WorldError, match="Permission denied") as told:
        as_nobody(lambda: files.read(str(path)))
    assert not isinstance(told.value, Damaged)


def test_a_disk_that_gives_an_error_is_unseen_neither_none_nor_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exit.json"
    files.replace(str(path), {"a": 1})

    def fail(fd: int, size: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(WorldError, match="Input/output error") as told:
        files.read(str(path))
    assert not isinstance(told.value, Damaged)


# --- locks -----------------------------------------------------------------------------------------------------------


def test_a_lock_held_is_seen_free_is_seen_and_no_file_is_none(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    assert files.is_locked(path) is None
    fd = files.open_lock(path)
    assert files.is_locked(path) is False
    assert files.try_lock(fd)
    assert files.is_locked(path) is True
    other = files.open_lock(path)
    assert not files.try_lock(other)
    os.close(fd)
    assert files.try_lock(other)
    os.close(other)


def test_a_lock_that_is_not_to_be_made_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot open"):
        files.open_lock(str(tmp_path / "claim"), make=False)
    assert names(tmp_path) == []


def test_a_lock_ends_with_its_holder_however_that_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "claim")

    def hold_and_die() -> None:
        files.make_once(path, {}, lock=True)
        os.kill(os.getpid(), 9)

    child = Child(hold_and_die)
    child.go()
    assert child.killed()
    assert files.is_locked(path) is False


def test_who_only_looks_does_not_keep_the_lock_from_who_wants_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    looker, fd = files.open_lock(path), files.open_lock(path)
    fcntl.flock(looker, fcntl.LOCK_SH)
    looks_away = threading.Timer(0.05, os.close, [looker])
    looks_away.start()
    assert files.try_lock_patiently(fd)
    looks_away.join()
    os.close(fd)


def test_a_lock_that_is_really_held_is_given_up_on(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder, fd = files.open_lock(path), files.open_lock(path)
    assert files.try_lock(holder)
    assert not files.try_lock_patiently(fd, tries=3)
    os.close(holder)
    os.close(fd)


# --- folders, modes, removal -----------------------------------------------------------------------------------------


def test_a_new_folder_is_durable_in_its_parent_and_so_are_its_new_parents(tmp_path: Path) -> None:
    calls = system_calls(lambda: files.make_directory(str(tmp_path / "a/b/c")))
    assert [call for call in calls if call in ("mkdir", "fsync")] == ["mkdir", "fsync"] * 3


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(WorldError, match="runs"):
        files.make_directory(str(tmp_path / "runs"))
    with pytest.raises(WorldError, match="runs"):
        files.make_directory(str(tmp_path / "runs/below"))


def test_a_folder_that_another_makes_at_the_same_time_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def another_is_faster(path: str, mode: int) -> None:
        mkdir(path, mode)
        mkdir(path, mode)

    monkeypatch.setattr(os, "mkdir", another_is_faster)
    files.make_directory(str(tmp_path / "places"))
    assert (tmp_path / "places").is_dir()


def test_whatever_the_umask_nobody_else_may_read_what_we_write(tmp_path: Path) -> None:
    def make_everything() -> None:
        os.umask(0)
        top = tmp_path / "top"
        files.make_directory(str(top))
        files.make_once(str(top / "claim"), {})
        files.replace(str(top / "wish.json"), {})
        os.close(files.open_lock(str(top / "lock")))
        os.close(files.open_append(str(top / "output.log")))
        files.make_segment(str(top / "00000001.jsonl"), b"{}\n")
        files.Reserved(str(top / "exit.json")).make({})

    in_child(make_everything)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "top").glob("[a-z0-9]*")}
    assert len(modes) == 6
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "top").stat().st_mode) == 0o700


def test_what_goes_to_the_trash_is_out_of_the_way_for_good_before_anything_is_deleted(tmp_path: Path) -> None:
    run, trash = tmp_path / "runs/demo", tmp_path / "trash"
    run.mkdir(parents=True)
    trash.mkdir()
    calls = system_calls(lambda: files.move_to_trash(str(run), str(trash)))
    assert [call for call in calls if call in ("rename", "fsync")] == ["rename", "fsync", "fsync"]
    assert not run.exists()
    assert len(names(trash)) == 1


def test_two_of_one_name_find_room_in_the_trash_and_what_is_gone_is_nothing(tmp_path: Path) -> None:
    thrown = set()
    for _ in range(2):
        (tmp_path / "demo").write_text("x")
        thrown.add(files.move_to_trash(str(tmp_path / "demo"), str(tmp_path / "trash")))
    assert len(thrown - {None}) == 2
    assert files.move_to_trash(str(tmp_path / "demo"), str(tmp_path / "trash")) is None


def test_removing_twice_is_fine_and_removing_what_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "request").touch()
    files.remove(str(tmp_path / "request"))
    files.remove(str(tmp_path / "request"))
    with pytest.raises(WorldError, match="cannot remove"):
        files.remove(str(tmp_path))


def test_the_second_to_publish_a_folder_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "who").write_text(name)
        files.publish_directory(str(tmp_path / name), str(tmp_path / "0.1.0"))
    assert (tmp_path / "0.1.0/who").read_text() == "first"
