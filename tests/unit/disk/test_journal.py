"""The journal: whole records or none, one history for everybody, and damage that is loud and never "nothing yet"."""

import errno
import json
import os
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.disk import files, journal
from outlast.errors import Damaged, WorldError
from tests.unit.disk.faults import (
    Child,
    as_nobody,
    deaths,
    fill,
    open_descriptors,
    resize,
    small_disk,
    system_calls,
    with_error,
)

BY: dict[str, Any] = {"host": "here", "pid": 7}
AT: dict[str, Any] = {"boot": "b", "mono_s": 1.5, "wall_s": 2.5}
TAILS = {
    "nothing": b"",
    "zeros": bytes(37),
    "half a record": b'{"n":12,"crc":"0000',
    "a record without its checksum": b'{"n":12}\n',
    "a record with another's checksum": b'{"n":12,"crc":"deadbeef"}\n',
}
WORDS = st.recursive(  # also records with a checksum of their own inside
    st.text() | st.integers(),
    lambda inner: st.dictionaries(st.sampled_from(["a", "crc"]), inner) | st.lists(inner, max_size=3),
)


def body(n: object) -> bytes:
    return json.dumps({"n": n}, separators=(",", ":")).encode()


def numbers(history: journal.History) -> list[Any]:
    return [json.loads(line)["n"] for line in history.bodies]


def taken(folder: Path, *records: object) -> journal.Term:
    """Take the journal over and append some records."""
    term, _ = journal.take_over(str(folder), BY, AT)
    term.append([body(n) for n in records])
    return term


def segment(folder: Path, term: int) -> Path:
    return folder / f"{term:08d}.jsonl"


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of thousands of cuts, none of which is about durability."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_line_is_one_object_that_ends_in_the_crc_of_all_lines_so_far(tmp_path: Path) -> None:
    taken(tmp_path, 1, {"crc": "00000000"}, 'a quote ",crc":"x"}', 'dé\n"').close()
    crc = 0
    lines = segment(tmp_path, 1).read_bytes().splitlines(keepends=True)
    for line in lines:
        record = json.loads(line)
        without = line[: -len(b',"crc":"00000000"}\n')] + b"}"
        crc = zlib.crc32(without, crc)
        assert record["crc"] == f"{crc:08x}"
        assert {**json.loads(without), "crc": record["crc"]} == record
    assert json.loads(lines[0]).keys() >= {"type", "term", "seal", "by", "nonce"}
    assert len(lines) == 5


@given(st.lists(WORDS, max_size=5), st.integers(0, 0xFFFFFFFF))
@settings(deadline=None, max_examples=60)
def test_whatever_records_say_they_come_back_whole_and_in_order(words: list[Any], crc: int) -> None:
    data, chain = b"", crc
    for word in words:
        line, chain = journal.encode_line(body(word), chain)
        data += line
    lines, size, last = journal.scan(data, crc)
    assert [json.loads(line)["n"] for line in lines] == words
    assert (size, last) == (len(data), chain)


def test_all_entries_of_a_turn_are_one_write_and_one_fdatasync(tmp_path: Path) -> None:
    term = taken(tmp_path)
    calls = system_calls(lambda: term.append([body(n) for n in range(50)]))
    assert calls == ["write", "fdatasync"]
    assert numbers(journal.read(str(tmp_path))) == list(range(50))
    term.close()


def test_the_opening_of_a_term_is_on_disk_before_it_has_its_name(tmp_path: Path) -> None:
    calls = system_calls(lambda: taken(tmp_path).number)
    order = [call for call in calls if call in ("write", "fsync", "link")]
    assert order[:4] == ["write", "fsync", "link", "fsync"]


# --- what is believed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.usefixtures("no_fsync")
def test_cut_at_any_byte_the_whole_records_count_and_nothing_that_a_zombie_adds(
    tmp_path: Path, tail: str
) -> None:
    made = tmp_path / "made"
    taken(made, *range(4)).close()
    raw = segment(made, 1).read_bytes()
    ends = [at + 1 for at, byte in enumerate(raw) if byte == ord("\n")]
    opening, here = ends[0], tmp_path / "here"
    for cut in range(len(raw) + 1):
        here.mkdir()
        segment(here, 1).write_bytes(raw[:cut] + TAILS[tail])
        whole = list(range(sum(end <= cut for end in ends) - 1))
        if cut < opening:
            with pytest.raises(WorldError, match=r"00000001\.jsonl: .*opening record"):
                journal.read(str(here))
        else:
            history = journal.read(str(here))
            assert numbers(history) == whole, cut
            assert history.torn == raw[max(end for end in ends if end <= cut) : cut] + TAILS[tail], cut
            taken(here, "next").close()
            with segment(here, 1).open("ab") as zombie:
                zombie.write(raw[cut:] or b"more")
            assert numbers(journal.read(str(here))) == [*whole, "next"], cut
        shutil.rmtree(here)


@pytest.mark.usefixtures("no_fsync")
def test_an_opening_that_shows_less_than_was_made_is_an_old_view_and_another_is_damage(
    tmp_path: Path,
) -> None:
    """A segment gets its name with a whole opening in it: nothing but an old view can show less."""
    taken(tmp_path).close()
    raw = segment(tmp_path, 1).read_bytes()
    for cut in range(len(raw)):
        segment(tmp_path, 1).write_bytes(raw[:cut])
        with pytest.raises(WorldError, match="an old view") as told:
            journal.take_over(str(tmp_path), BY, AT)
        assert not isinstance(told.value, Damaged)
    for other in (bytes(len(raw)), raw[:40] + bytes(40), raw.replace(b"here", b"gone"), b"garbage\n"):
        segment(tmp_path, 1).write_bytes(other)
        with pytest.raises(Damaged, match=r"00000001\.jsonl: byte 0"):
            journal.take_over(str(tmp_path), BY, AT)
    assert journal.terms(str(tmp_path)) == [1]


def test_a_torn_tail_stays_in_its_segment_as_evidence(tmp_path: Path) -> None:
    taken(tmp_path, 1, 2).close()
    with segment(tmp_path, 1).open("ab") as file:
        file.write(bytes(512))  # what a file system leaves after a power failure
    torn = segment(tmp_path, 1).read_bytes()
    term, history = journal.take_over(str(tmp_path), BY, AT)
    term.append([body(3)])
    term.close()
    assert history.torn == bytes(512)
    assert segment(tmp_path, 1).read_bytes() == torn
    assert numbers(journal.read(str(tmp_path))) == [1, 2, 3]


def test_a_zombie_goes_on_writing_and_nobody_ever_reads_it(tmp_path: Path) -> None:
    zombie = taken(tmp_path, 1)
    heir = taken(tmp_path, 2)
    zombie.append([body("zombie")])
    heir.append([body(3)])
    zombie.append([body("zombie")])
    assert numbers(journal.read(str(tmp_path))) == [1, 2, 3]
    third = taken(tmp_path, 4)
    zombie.append([body("zombie")])
    heir.append([body("zombie")])
    assert numbers(journal.read(str(tmp_path))) == [1, 2, 3, 4]
    assert zombie.superseded()
    assert heir.superseded()
    assert not third.superseded()
    for term in (zombie, heir, third):
        term.close()


@pytest.mark.usefixtures("no_fsync")
def test_any_bit_turned_in_a_sealed_part_is_damage_that_names_file_and_line(tmp_path: Path) -> None:
    taken(tmp_path, *range(3)).close()
    taken(tmp_path, *range(3, 6)).close()
    raw = segment(tmp_path, 1).read_bytes()
    start_of_line = 0
    for at, byte in enumerate(raw):
        bent = bytearray(raw)
        bent[at] ^= 1 << at % 8
        segment(tmp_path, 1).write_bytes(bent)
        with pytest.raises(Damaged, match=rf"00000001\.jsonl: byte {start_of_line}:"):
            journal.read(str(tmp_path))
        if byte == ord("\n"):
            start_of_line = at + 1
    segment(tmp_path, 1).write_bytes(raw)
    assert numbers(journal.read(str(tmp_path))) == [0, 1, 2, 3, 4, 5]


def test_damage_in_a_sealed_part_opens_no_term(tmp_path: Path) -> None:
    taken(tmp_path, 1, 2).close()
    taken(tmp_path, 3).close()
    raw = segment(tmp_path, 1).read_bytes()
    segment(tmp_path, 1).write_bytes(raw.replace(b'{"n":1', b'{"n":9'))
    with pytest.raises(Damaged):
        journal.take_over(str(tmp_path), BY, AT)
    assert journal.terms(str(tmp_path)) == [1, 2]


def test_a_line_taken_out_or_put_elsewhere_is_seen_though_every_line_is_whole(tmp_path: Path) -> None:
    taken(tmp_path, *range(5)).close()
    lines = segment(tmp_path, 1).read_bytes().splitlines(keepends=True)
    for changed in (
        lines[:3] + lines[4:],
        [*lines[:3], lines[4], lines[3], lines[5]],
        [*lines[:4], lines[3]],
    ):
        segment(tmp_path, 1).write_bytes(b"".join(changed))
        assert numbers(journal.read(str(tmp_path))) == list(range(len(numbers_before(changed, lines))))
    segment(tmp_path, 1).write_bytes(b"".join(lines))
    taken(tmp_path).close()
    same_length = b"".join([lines[0], lines[2], lines[1], *lines[3:]])
    segment(tmp_path, 1).write_bytes(same_length)
    with pytest.raises(Damaged, match=rf"byte {len(lines[0])}:"):
        journal.read(str(tmp_path))


def numbers_before(changed: list[bytes], lines: list[bytes]) -> list[bytes]:
    """The records (without the opening) before the first line that is not where it was."""
    same = [now == was for now, was in zip(changed, lines, strict=False)]
    return changed[1 : same.index(False) if False in same else len(same)]


@pytest.mark.usefixtures("no_fsync")
def test_fewer_bytes_than_were_sealed_are_a_stale_view_and_neither_damage_nor_nothing(tmp_path: Path) -> None:
    taken(tmp_path, 1, 2).close()
    taken(tmp_path, 3).close()
    raw = segment(tmp_path, 1).read_bytes()
    for cut in range(len(raw)):
        segment(tmp_path, 1).write_bytes(raw[:cut])
        with pytest.raises(WorldError, match=r"00000001\.jsonl: shows less") as told:
            journal.read(str(tmp_path))
        assert not isinstance(told.value, Damaged)
    segment(tmp_path, 1).unlink()
    with pytest.raises(WorldError, match=r"00000001\.jsonl: shows less"):
        journal.take_over(str(tmp_path), BY, AT)
    assert journal.terms(str(tmp_path)) == [2]


def test_how_many_records_are_settled_is_how_many_a_later_segment_sealed(tmp_path: Path) -> None:
    assert journal.read(str(tmp_path)).settled == 0
    taken(tmp_path, 1, 2).close()
    assert journal.read(str(tmp_path)).settled == 0
    term, history = journal.take_over(str(tmp_path), BY, AT)
    assert history.settled == 0
    term.append([body(3)])
    assert journal.read(str(tmp_path)).settled == 2
    term.close()
    taken(tmp_path, 4).close()
    again = journal.read(str(tmp_path))
    assert (again.settled, numbers(again)) == (3, [1, 2, 3, 4])


def test_books_in_an_opening_replace_all_that_was_before(tmp_path: Path) -> None:
    taken(tmp_path, 1, 2).close()
    term, history = journal.take_over(str(tmp_path), BY, AT, lambda history: {"sum": sum(numbers(history))})
    term.append([body(10)])
    term.close()
    assert numbers(history) == [1, 2]
    now = journal.read(str(tmp_path))
    assert (now.books, numbers(now), now.settled) == ({"sum": 3}, [10], 0)
    segment(tmp_path, 1).unlink()  # history only
    taken(tmp_path, 20).close()
    now = journal.read(str(tmp_path))
    assert (now.books, numbers(now), now.settled) == ({"sum": 3}, [10, 20], 1)


def test_only_the_newest_segments_are_read_where_that_is_asked(tmp_path: Path) -> None:
    for n in range(5):
        taken(tmp_path, n).close()
    assert numbers(journal.read(str(tmp_path), 2)) == [3, 4]
    assert numbers(journal.read(str(tmp_path), 9)) == [0, 1, 2, 3, 4]


# --- two at once -----------------------------------------------------------------------------------------------------


def test_two_hundred_races_for_a_term_have_one_winner_each(tmp_path: Path) -> None:
    processes, rounds = 4, 50

    def race() -> list[int]:
        won = []
        for _ in range(rounds):
            try:
                term, _ = journal.take_over(str(tmp_path), BY, AT)
            except journal.Lost:
                continue
            won.append(term.number)
            term.append([body(os.getpid())])
            term.close()
        return won

    children = [Child(race) for _ in range(processes)]
    for child in children:
        child.go()
    won = sorted(number for child in children for number in child.answer())
    assert won == journal.terms(str(tmp_path)) == list(range(1, len(won) + 1))
    assert len(won) >= rounds
    journal.read(str(tmp_path))


def test_who_is_later_by_one_system_call_lost_and_leaves_the_winner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("link", "rename", "replace"):
        deed = getattr(os, name)

        def after_the_other(source: str, target: str, deed: Callable[[str, str], None] = deed) -> None:
            monkeypatch.undo()
            taken(tmp_path, "the other").close()
            deed(source, target)

        monkeypatch.setattr(os, name, after_the_other)
    before = open_descriptors()
    with pytest.raises(journal.Lost, match="term 1"):
        journal.take_over(str(tmp_path), BY, AT)
    assert open_descriptors() == before
    assert numbers(journal.read(str(tmp_path))) == ["the other"]


def test_an_opening_that_happened_though_its_answer_was_lost_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_twice(source: str, target: str) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    term = taken(tmp_path, 1)
    term.close()
    assert term.number == 1
    assert numbers(journal.read(str(tmp_path))) == [1]


def test_who_sees_an_old_listing_finds_the_term_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        taken(tmp_path, n).close()
    listdir = os.listdir
    for shown in range(3):
        monkeypatch.setattr(os, "listdir", lambda folder, shown=shown: sorted(listdir(folder))[:shown])
        with pytest.raises(journal.Lost):
            journal.take_over(str(tmp_path), BY, AT)
    monkeypatch.undo()
    assert numbers(journal.read(str(tmp_path))) == [0, 1, 2]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.usefixtures("no_fsync")
def test_two_hosts_with_old_views_and_zombies_all_read_one_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """As over a network file system: a listing may be old, a file's end may be missing, a zombie knows nothing."""
    dice = random.Random(seed)
    listdir, read_bytes = os.listdir, files.read_bytes
    old_listing: list[str] = []

    def stale_listdir(folder: str) -> list[str]:
        nonlocal old_listing
        if dice.random() < 0.6:
            old_listing = listdir(folder)
        return list(old_listing)

    def stale_bytes(path: str, limit: int) -> bytes | None:
        data = read_bytes(path, limit)
        return data if data is None or dice.random() < 0.7 else data[: len(data) - dice.randrange(200)]

    expected: list[Any] = []  # what the newest opening sealed, and what its term wrote since
    current: journal.Term | None = None
    zombies: list[journal.Term] = []
    for n in range(200):
        if current is None or dice.random() < 0.15:
            with monkeypatch.context() as view:
                view.setattr(os, "listdir", stale_listdir)
                view.setattr(files, "read_bytes", stale_bytes)
                try:
                    heir, history = journal.take_over(str(tmp_path), BY, AT)
                except Damaged:
                    raise  # an old view is no damage
                except (WorldError, journal.Lost):
                    continue
            folded = numbers(history)
            assert folded == expected[: len(folded)], "the heir folded what nobody acknowledged"
            sealed_before = [*expected][: history.settled]
            assert folded[: history.settled] == sealed_before, "a settled record was lost"
            zombies += [current] if current else []
            expected, current = folded, heir
        current.append([body(n)])
        expected.append(n)
        for zombie in zombies[-3:]:
            if dice.random() < 0.5:
                zombie.append([body("zombie")])
        assert numbers(journal.read(str(tmp_path))) == expected
    assert current is not None
    for term in (*zombies, current):
        term.close()
    assert len(zombies) > 5


# --- disks that fail -------------------------------------------------------------------------------------------------


def test_a_full_disk_ends_the_term_and_the_next_one_goes_on_with_all_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        term, acknowledged = taken(disk), 0
        filler = fill(disk)
        with pytest.raises(journal.TermOver, match=r"00000001\.jsonl: "):
            while True:
                term.append([body(acknowledged), body("x" * 700)])
                acknowledged += 2
        size = segment(disk, 1).stat().st_size
        filler.unlink()
        with pytest.raises(journal.TermOver):
            term.append([body("after a failure")])
        assert segment(disk, 1).stat().st_size == size
        term.close()
        resize(disk, "128k")
        taken(disk, "goes on").close()
        read = numbers(journal.read(str(disk)))
        assert read[:acknowledged:2] == list(range(0, acknowledged, 2))
        assert read[1:acknowledged:2] == ["x" * 700] * (acknowledged // 2)
        assert read[-1] == "goes on"
        assert acknowledged > 0


def test_a_full_disk_opens_no_term_and_hides_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        taken(disk, 1, 2).close()
        fill(disk)
        with pytest.raises(WorldError, match="No space left"):
            journal.take_over(str(disk), BY, AT)
        assert numbers(journal.read(str(disk))) == [1, 2]
        assert [path.name for path in disk.glob(".*")] == []


def test_a_write_that_is_only_half_done_ends_the_term_and_its_half_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    term = taken(tmp_path, 1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, block: write(fd, block[:-5]))
    with pytest.raises(journal.TermOver):
        term.append([body(2)])
    monkeypatch.undo()
    with pytest.raises(journal.TermOver):
        term.append([body(3)])
    heir = taken(tmp_path, 4)
    assert numbers(journal.read(str(tmp_path))) == [1, 4]
    term.close()
    heir.close()


@pytest.mark.parametrize(("call", "error"), [("fdatasync", "EIO"), ("write", "EIO"), ("write", "EDQUOT")])
def test_a_disk_error_ends_the_term_and_the_term_after_it_goes_on(
    tmp_path: Path, call: str, error: str
) -> None:
    def append_twice() -> list[str]:
        term = taken_already
        ends = []
        for n in (2, 3):
            try:
                term.append([body(n)])
            except journal.TermOver as over:
                ends.append(str(over))
        return ends

    taken_already = taken(tmp_path, 1)
    ends = with_error(append_twice, call, error)
    taken_already.close()
    assert len(ends) == 2
    assert "00000001.jsonl" in ends[0]
    taken(tmp_path, 4).close()
    assert numbers(journal.read(str(tmp_path))) in (
        [1, 4],
        [1, 2, 4],
    )  # 2 was written, and nobody was told so


def test_a_segment_that_may_not_be_read_is_unseen_and_no_empty_history(common_ground: Path) -> None:
    folder = common_ground / "journal"
    taken(folder, 1, 2).close()
    folder.chmod(0o777)
    segment(folder, 1).chmod(0)
    for look in (journal.read, lambda folder: journal.take_over(folder, BY, AT)):
        with pytest.raises(WorldError, match=r"00000001\.jsonl: Permission denied") as told:
            as_nobody(lambda look=look: look(str(folder)))  # type: ignore[misc]  # mypy infers no lambda with a default
        assert not isinstance(told.value, Damaged)
    assert journal.terms(str(folder)) == [1]


def test_a_journal_that_may_not_be_listed_is_unseen_and_no_empty_history(common_ground: Path) -> None:
    folder = common_ground / "journal"
    taken(folder, 1).close()
    folder.chmod(0)
    with pytest.raises(WorldError, match="cannot list"):
        as_nobody(lambda: journal.take_over(str(folder), BY, AT))
    folder.chmod(0o700)
    assert journal.terms(str(folder)) == [1]


@pytest.mark.parametrize("bad", [1, 2])
def test_a_segment_that_gives_a_disk_error_is_unseen_and_no_empty_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int
) -> None:
    taken(tmp_path, 1).close()
    taken(tmp_path, 2).close()
    read, path = os.read, str(segment(tmp_path, bad))

    def fail(fd: int, size: int) -> bytes:
        if os.path.samefile(f"/proc/self/fd/{fd}", path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, size)

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(WorldError, match="Input/output error"):
        journal.take_over(str(tmp_path), BY, AT)
    assert journal.terms(str(tmp_path)) == [1, 2]


def test_killed_before_any_system_call_of_a_takeover_and_a_turn_the_history_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "journal"

    def afresh() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        taken(folder, 1).close()

    lasts = []
    for death in deaths(lambda: taken(folder, 2, 3).number, afresh):
        before = numbers(journal.read(str(folder)))
        assert before in ([1], [1, 2, 3]), death
        taken(folder, "heir").close()
        assert numbers(journal.read(str(folder))) == [*before, "heir"], death
        lasts.append(before)
    assert (lasts[0], lasts[-1]) == ([1], [1, 2, 3])


# --- what does not belong here ---------------------------------------------------------------------------------------


def test_a_new_folder_has_an_empty_history_and_term_one(tmp_path: Path) -> None:
    assert journal.read(str(tmp_path / "none")) == journal.History([], None, journal.Seal(0, 0, 0), 0, b"")
    term, history = journal.take_over(str(tmp_path / "new"), BY, AT)
    term.close()
    assert (term.number, history.bodies) == (1, [])


def test_files_that_are_no_segments_are_nobody_s_history(tmp_path: Path) -> None:
    taken(tmp_path, 1).close()
    for name in (
        "notes123.jsonl",
        "²²²²²²²².jsonl",
        "00000009.jsonl.bak",
        ".00000009.jsonl.7.ab.tmp",
        "9.jsonl",
    ):
        (tmp_path / name).write_text("{}\n")
    assert journal.terms(str(tmp_path)) == [1]
    assert numbers(journal.read(str(tmp_path))) == [1]


def opened(folder: Path, name: int, **changes: Any) -> None:
    """A whole segment whose opening says something else."""
    opening = {
        "type": "Opened",
        "schema": 1,
        "term": name,
        "seal": {"term": 0, "bytes": 0, "crc": "0"},
        **changes,
    }
    line, _ = journal.encode_line(json.dumps(opening, separators=(",", ":")).encode(), 0)
    segment(folder, name).write_bytes(line)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema 2"),
        ({"term": 3}, "does not open term 4"),
        ({"type": "Asked"}, "does not open term 4"),
        ({"seal": {"term": 4, "bytes": 0, "crc": "0"}}, "seals term 4"),
        ({"seal": {"term": -1, "bytes": 0, "crc": "0"}}, "seals term -1"),
        ({"seal": {"term": 0, "bytes": 0}}, "its seal says nothing"),
        ({"seal": None}, "its seal says nothing"),
    ],
    ids=["newer schema", "a copy", "no opening", "seals itself", "seals nonsense", "half a seal", "no seal"],
)
def test_an_opening_that_we_do_not_understand_is_damage_and_no_endless_search(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    opened(tmp_path, 4, **changes)
    with pytest.raises(Damaged, match=rf"00000004\.jsonl: .*{said}"):
        journal.read(str(tmp_path))
