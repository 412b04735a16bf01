"""Requests: in number order without a clock, none lost, garbage declined, and what cannot be seen waited for."""

import errno
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files, journal, requests
from outlast.disk.layout import Place
from outlast.errors import WorldError
from tests.unit.disk.faults import NOBODY, Child, as_nobody

BY: dict[str, Any] = {"pid": 7}
AT: dict[str, Any] = {"wall_s": 1.0}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "places/local"))


def post(place: Place, verb: str = "stop") -> int:
    return requests.post(place, verb, "demo-20260102-030405", [("now", "1")], "enough")


def lines(term: journal.Term, *records: dict[str, Any]) -> None:
    term.append([json.dumps(record, separators=(",", ":")).encode() for record in records])


# --- posting ---------------------------------------------------------------------------------------------------------


def test_requests_are_numbered_in_the_order_in_which_they_were_posted(place: Place) -> None:
    assert [post(place, verb) for verb in ("accept", "stop", "retry")] == [1, 2, 3]
    assert requests.numbers(place) == [1, 2, 3]
    record, why = requests.load(place, 2)
    assert record is not None
    assert (record["verb"], record["number"], record["args"], why) == ("stop", 2, [["now", "1"]], "")


def test_eight_at_once_lose_none_and_give_no_number_twice(place: Place) -> None:
    def post_some(who: int) -> list[tuple[int, str]]:
        return [(requests.post(place, "stop", None, [], f"{who}.{n}"), f"{who}.{n}") for n in range(10)]

    children = [Child(partial(post_some, who)) for who in range(8)]
    for child in children:
        child.go()
    posted = dict(pair for child in children for pair in child.answer())
    assert sorted(posted) == requests.numbers(place) == list(range(1, 81))
    for number, why in posted.items():
        record, _ = requests.load(place, number)
        assert record is not None
        assert (record["why"], record["number"]) == (why, number)


def test_who_sees_an_old_listing_still_posts_at_a_number_of_its_own(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        post(place)
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: sorted(listdir(folder))[:1])
    assert post(place) == 4


def test_a_request_that_could_not_be_made_is_not_said_to_be_posted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(WorldError, match="No space left"):
        post(place)
    assert requests.numbers(place) == []


# --- finding ---------------------------------------------------------------------------------------------------------


def test_names_that_are_no_requests_are_not_looked_at(place: Place) -> None:
    post(place)
    junk = (
        "note.json",
        "7.json",
        "²²²²²²²².json",
        "00000009.json.swp",
        ".00000009.json.1.ab.tmp",
        "9" * 30 + ".json",
    )
    for name in junk:
        (Path(place.requests) / name).touch()
    assert requests.numbers(place) == [1]


def test_a_place_where_nothing_was_ever_asked_has_no_requests(place: Place) -> None:
    assert requests.numbers(place) == []
    assert requests.above(place, 0) == []
    requests.remove_settled(place, 9)


def test_a_listing_that_shows_the_later_of_two_and_not_the_earlier_loses_neither(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a folder is read, two are posted: a reader may have passed the place of the first already."""
    for _ in range(4):
        post(place)
    listings = [["00000001.json", "00000003.json"], [f"{n:08d}.json" for n in (4, 1, 3, 2)]]
    monkeypatch.setattr(os, "listdir", lambda folder: listings.pop(0))
    assert requests.above(place, 0) == [1, 2, 3]


def test_a_number_that_somebody_deleted_holds_up_nothing(place: Place) -> None:
    for _ in range(4):
        post(place)
    Path(place.request(2)).unlink()
    assert requests.above(place, 0) == [1, 3, 4]
    assert requests.above(place, 3) == [4]
    assert requests.load(place, 2) == (None, "it is gone")


def test_a_folder_that_may_not_be_listed_is_unseen_and_not_empty(common_ground: Path) -> None:
    place = Place(str(common_ground / "local"))
    post(place)
    Path(place.path).chmod(0o777)
    Path(place.requests).chmod(0)
    with pytest.raises(WorldError, match="cannot list"):
        as_nobody(lambda: requests.above(place, 0))
    Path(place.requests).chmod(0o700)


# --- understanding ---------------------------------------------------------------------------------------------------


def a_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def a_gigabyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def text(body: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(body)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (text(""), "not a record"),
        (text("stop everything"), "not a record"),
        (text("[1, 2]"), "holds a list"),
        (text('{"a":' + "[" * 60_000), "not a record"),
        (text('{"verb":"stop"}' + " " * 65_536), "larger than 65536"),
        (a_gigabyte, "larger than 65536"),
        (a_link, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "not a regular file"),
    ],
    ids=["empty", "words", "a list", "nested", "65 KiB", "1 GiB", "a link", "a pipe", "a folder"],
)
def test_garbage_is_declined_with_the_reason_and_never_waited_for(
    place: Place, make: Callable[[Path], object], why: str
) -> None:
    files.make_directory(place.requests)
    make(Path(place.request(1)))
    record, said = requests.load(place, 1)
    assert record is None
    assert why in said


def test_of_a_payload_without_end_only_the_allowed_bytes_are_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.make_directory(place.requests)
    a_gigabyte(Path(place.request(1)))
    read, got = os.read, []

    def count(fd: int, size: int) -> bytes:
        part = read(fd, size)
        got.append(len(part))
        return part

    monkeypatch.setattr(os, "read", count)
    assert requests.load(place, 1)[0] is None
    assert sum(got) == requests.BYTES_MAX + 1


def test_a_request_of_exactly_64_kib_is_heard(place: Place) -> None:
    files.make_directory(place.requests)
    body = b'{"verb":"stop"}'
    Path(place.request(1)).write_bytes(body + b" " * ((64 << 10) - len(body)))
    assert requests.load(place, 1) == ({"verb": "stop"}, "")


def test_a_request_of_a_foreign_owner_is_declined_and_one_of_root_is_heard(common_ground: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make files of another owner")
    place = Place(str(common_ground / "local"))
    for _ in range(3):
        post(place)
    for folder in (place.path, place.requests):
        Path(folder).chmod(0o755)
    for number, owner in ((1, NOBODY), (2, 0), (3, NOBODY - 1)):
        os.chown(place.request(number), owner, -1)
        Path(place.request(number)).chmod(0o644)
    assert requests.load(place, 1) == (None, f"it belongs to uid {NOBODY}")
    assert as_nobody(lambda: requests.load(place, 1))[1] == ""
    assert as_nobody(lambda: requests.load(place, 2))[1] == ""
    assert as_nobody(lambda: requests.load(place, 3)) == (None, f"it belongs to uid {NOBODY - 1}")


def test_a_request_that_is_not_for_us_to_read_is_declined_because_that_will_not_change(
    common_ground: Path,
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can make a file that we may not read and do own")
    place = Place(str(common_ground / "local"))
    post(place)
    for folder in (place.path, place.requests):
        Path(folder).chmod(0o755)
    record, why = as_nobody(lambda: requests.load(place, 1))
    assert record is None
    assert "Permission denied" in why


@pytest.mark.parametrize("call", ["open", "read", "lstat"])
def test_a_request_that_cannot_be_seen_now_is_not_declined(
    place: Place, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    post(place)

    def fail(*words: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as disk:
        disk.setattr(os, call, fail)
        with pytest.raises(WorldError, match="Input/output error"):
            requests.load(place, 1)
    assert requests.load(place, 1)[0] is not None


# --- answering and removing ------------------------------------------------------------------------------------------


def test_the_answer_is_the_record_that_names_the_number_and_no_other(place: Place) -> None:
    assert requests.answer(place, 1) is None
    term, _ = journal.take_over(place.journal, BY, AT)
    lines(
        term,
        {"type": "Asked", "request": 12, "args": [['"request":1,', "x"]]},
        {"type": "Removed", "request": 1, "why": "not an answer"},
        {"type": "Declined", "why": "no such run", "request": 3},
    )
    assert requests.answer(place, 1) is None
    lines(term, {"type": "Asked", "request": 1, "verb": "stop"})
    term.close()
    first, third = requests.answer(place, 1), requests.answer(place, 3)
    assert first is not None
    assert third is not None
    assert (first["type"], first["verb"]) == ("Asked", "stop")
    assert (third["type"], third["why"]) == ("Declined", "no such run")
    assert requests.answer(place, 2) is None


def test_an_answer_that_a_takeover_voided_is_none(place: Place) -> None:
    zombie, _ = journal.take_over(place.journal, BY, AT)
    heir, _ = journal.take_over(place.journal, BY, AT)
    lines(zombie, {"type": "Asked", "request": 1})
    assert requests.answer(place, 1) is None
    lines(heir, {"type": "Asked", "request": 1, "verb": "stop"})
    assert requests.answer(place, 1) is not None
    zombie.close()
    heir.close()


def test_only_settled_requests_are_removed_and_never_the_highest(place: Place) -> None:
    for _ in range(5):
        post(place)
    requests.remove_settled(place, 0)
    assert requests.numbers(place) == [1, 2, 3, 4, 5]
    requests.remove_settled(place, 3)
    assert requests.numbers(place) == [4, 5]
    requests.remove_settled(place, 5)
    assert requests.numbers(place) == [5]
    requests.remove_settled(place, 5)
    assert requests.numbers(place) == [5]


def test_a_number_is_never_given_again_though_all_before_it_were_removed(place: Place) -> None:
    for _ in range(3):
        post(place)
    requests.remove_settled(place, 3)
    assert post(place) == 4
    requests.remove_settled(place, 4)
    assert (requests.numbers(place), post(place)) == ([4], 5)
