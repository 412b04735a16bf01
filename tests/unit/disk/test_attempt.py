"""The doors of an attempt: taken once, read in the order in which they are made, and never guessed."""

from pathlib import Path
from typing import Any

import pytest

from outlast.disk import attempt, files
from outlast.disk.layout import AttemptFolder
from outlast.errors import Damaged, WorldError
from tests.unit.disk.faults import as_nobody

CLAIM: dict[str, Any] = {
    "kind": "begun",
    "by": {"pid": 7},
    "where": {"backend": "local"},
    "order": "order.1.json",
}
STARTED: dict[str, Any] = {"session": 7}
EXIT: dict[str, Any] = {"exit": {"type": "Exited", "code": 0}}


@pytest.fixture
def folder(tmp_path: Path) -> AttemptFolder:
    folder = AttemptFolder(str(tmp_path / "attempts/0003"))
    files.make_directory(folder.path)
    return folder


def test_each_door_says_what_it_is(folder: AttemptFolder) -> None:
    seen = [attempt.doors(folder)["door"]]
    for path, record in ((folder.claim, CLAIM), (folder.started, STARTED), (folder.exit, EXIT)):
        files.make_once(path, record)
        seen.append(attempt.doors(folder)["door"])
    assert seen == ["none", "begun", "begun", "closed"]
    doors = attempt.doors(folder)
    assert doors["claim"]["order"] == "order.1.json"
    assert doors["started"]["session"] == 7
    assert doors["exit"]["exit"]["code"] == 0


@pytest.mark.parametrize("final", [False, True])
def test_a_shut_door_says_for_how_long_and_why(folder: AttemptFolder, final: bool) -> None:
    assert attempt.shut(folder, final=final, why="called off", term=4) is True
    doors = attempt.doors(folder)
    assert doors["door"] == "shut"
    assert (doors["claim"]["final"], doors["claim"]["why"], doors["claim"]["term"]) == (
        final,
        "called off",
        4,
    )
    assert attempt.is_over(folder)


def test_who_comes_later_to_a_claim_obeys_who_was_first(folder: AttemptFolder) -> None:
    assert files.make_once(folder.claim, CLAIM).ours
    assert attempt.shut(folder, final=True, why="called off", term=4) is False
    assert attempt.doors(folder)["door"] == "begun"


def test_an_attempt_that_was_called_off_cannot_begin(folder: AttemptFolder) -> None:
    assert attempt.shut(folder, final=False, why="called off", term=4)
    assert not files.make_once(folder.claim, CLAIM, lock=True).ours
    assert attempt.doors(folder)["door"] == "shut"


def test_a_door_can_be_shut_before_its_folder_was_ever_made(tmp_path: Path) -> None:
    folder = AttemptFolder(str(tmp_path / "attempts/0007"))
    assert attempt.doors(folder) == {"door": "none"}
    assert attempt.shut(folder, final=True, why="completed", term=1)


def test_only_an_end_or_a_shut_door_is_over(folder: AttemptFolder) -> None:
    over = [attempt.is_over(folder)]
    for path, record in ((folder.claim, CLAIM), (folder.started, STARTED), (folder.exit, EXIT)):
        files.make_once(path, record)
        over.append(attempt.is_over(folder))
    assert over == [False, False, False, True]


def test_the_first_record_of_an_end_stands(folder: AttemptFolder) -> None:
    files.make_once(folder.claim, CLAIM)
    assert attempt.record_end(folder, {"exit": {"type": "Lost", "why": "host gone"}}) is True
    assert attempt.record_end(folder, EXIT) is False
    assert attempt.doors(folder)["exit"]["exit"]["type"] == "Lost"


@pytest.mark.parametrize(("look", "seen"), [(1, "closed"), (2, "begun")])
def test_an_attempt_that_lives_its_whole_life_while_we_look_is_never_seen_to_end_without_a_beginning(
    folder: AttemptFolder, monkeypatch: pytest.MonkeyPatch, look: int, seen: str
) -> None:
    files.make_once(folder.claim, CLAIM)
    read, looks = files.read, []

    def read_while_it_lives(path: str) -> dict[str, Any] | None:
        record = read(path)
        looks.append(path)
        if len(looks) == look:
            monkeypatch.undo()
            files.make_once(folder.started, STARTED)
            files.make_once(folder.exit, EXIT)
        return record

    monkeypatch.setattr(files, "read", read_while_it_lives)
    doors = attempt.doors(folder)
    assert doors["door"] == seen
    assert doors["started"] is not None


@pytest.mark.parametrize(
    "claim",
    [{}, {"kind": "open"}, {"kind": 3}, {"kind": "shut"}, {"kind": "begun"}, {"kind": "begun", "by": {}}],
    ids=str,
)
def test_a_claim_that_says_nothing_is_damaged_and_neither_begun_nor_shut(
    folder: AttemptFolder, claim: dict[str, Any]
) -> None:
    files.make_once(folder.claim, claim)
    with pytest.raises(Damaged, match="0003/claim"):
        attempt.doors(folder)


@pytest.mark.parametrize("name", ["claim", "started", "exit"])
def test_a_torn_door_is_damaged_and_named(folder: AttemptFolder, name: str) -> None:
    for path, record in ((folder.claim, CLAIM), (folder.started, STARTED), (folder.exit, EXIT)):
        files.make_once(path, record)
    door = Path(getattr(folder, name))
    door.write_bytes(door.read_bytes()[:-20])
    with pytest.raises(Damaged, match=door.name):
        attempt.doors(folder)


def test_a_door_that_may_not_be_read_is_unseen_and_never_taken_for_none(common_ground: Path) -> None:
    folder = AttemptFolder(str(common_ground / "0001"))
    files.make_once(str(common_ground / "x"), {})
    files.make_directory(folder.path)
    files.make_once(folder.claim, CLAIM)
    Path(folder.path).chmod(0)
    for look in (attempt.doors, attempt.is_over):
        with pytest.raises(WorldError, match="Permission denied"):
            as_nobody(lambda look=look: look(folder))  # type: ignore[misc]  # mypy infers no lambda with a default
    Path(folder.path).chmod(0o700)
