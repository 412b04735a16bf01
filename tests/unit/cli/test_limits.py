"""`outlast limits`: what it prints, and what it says of what it cannot play."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from outlast.cli import limits
from outlast.errors import NOT_FOUND, OK, TRY_AGAIN, USAGE
from outlast.runner.patience import Patience, Sample
from tests.unit.cli.conftest import Desk

RUN = "big-20260101-000000"
TIMELINE = {
    "mode": "sdk",
    "beats": [[0, 0, "init"], [9, 0, "train"], {"from": 50, "to": 500, "every": 2, "step0": 1}],
    "end_of_data_s": 9000,
}
KEYS = ["declared_s", "section", "limit_s", "reason", "straggler_s"]


def write(path: Path, record: Any) -> str:
    path.write_text(json.dumps(record))
    return str(path)


def learned() -> dict[str, Any]:
    """What a runner keeps of a training that made 300 steps and then stood."""
    patience = Patience([("eval", 90.0)], 0.0)
    for second in range(1, 362):
        assert patience.look(float(second), [Sample(0, min(second, 300))]) is None or second == 361
    return patience.learned()


@pytest.fixture
def watched(desk: Desk) -> Desk:
    desk.add(RUN)
    folder = desk.workspace.run(RUN)
    spec = json.loads(Path(folder.record).read_text())
    desk.write(folder.record, spec | {"stall_limits_s": [["eval", 90.0]]})
    desk.write(folder.limits, learned())
    return desk


def test_replay_of_a_file_says_when_and_why_in_the_promised_form(desk: Desk, tmp_path: Path) -> None:
    answer = desk.json("limits", "replay", write(tmp_path / "t.json", TIMELINE))
    assert list(answer) == KEYS
    assert (answer["declared_s"], answer["section"], answer["limit_s"]) == (561, "train", 60.0)
    code, out, _ = desk.run("limits", "replay", str(tmp_path / "t.json"))
    assert (code, out) == (
        OK,
        "after 9m21s (561 s): stall: no progress for 61 s (limit 60 s learned from 225 samples, section train)\n",
    )


def test_replay_without_a_hang_says_so(desk: Desk, tmp_path: Path) -> None:
    told = write(tmp_path / "t.json", TIMELINE | {"end_of_data_s": 520})
    assert desk.json("limits", "replay", told)["declared_s"] is None
    assert desk.run("limits", "replay", told)[1].startswith(
        "no hang: at the end section train may be quiet for 60 s"
    )


def test_a_straggler_is_told(desk: Desk, tmp_path: Path) -> None:
    slow = {"from": 510, "to": 1500, "every": 9, "step0": 300}
    told = write(tmp_path / "t.json", TIMELINE | {"beats": [*TIMELINE["beats"], slow], "end_of_data_s": 1500})  # type: ignore[misc]  # beats is a list in that table
    assert desk.json("limits", "replay", told)["straggler_s"] > 510
    assert "\na straggler since " in desk.run("limits", "replay", told)[1]


def test_show_lists_every_section_with_its_limit_and_where_it_comes_from(watched: Desk) -> None:
    shown = watched.json("limits", "show", RUN)
    rows = {row["section"]: row for row in shown["limits"]}
    assert shown["run"] == RUN
    assert (rows["train"]["limit_s"], rows["train"]["why"]) == (60.0, "learned from 299 samples")
    assert (rows["eval"]["limit_s"], rows["eval"]["why"]) == (90.0, "by --stall-limit")
    assert (rows["save"]["limit_s"], rows["save"]["why"]) == (1800.0, "at first")
    code, out, _ = watched.run("limits", "show", "big")
    head, *lines = out.splitlines()
    assert (code, head.split()) == (OK, limits.HEAD)
    assert [line for line in lines if line.startswith("train ")] == [
        "train       1m00s   299      1s      1s   learned from 299 samples"
    ]


def test_a_run_that_was_never_watched_shows_the_caps(desk: Desk) -> None:
    desk.add(RUN)
    assert "at first" in desk.run("limits", "show", RUN)[1]
    code, _, err = desk.run("limits", "replay", RUN)
    assert (code, "kept no timeline" in err) == (NOT_FOUND, True)


def test_replay_of_a_run_plays_what_its_watcher_saw(watched: Desk) -> None:
    answer = watched.json("limits", "replay", RUN)
    assert (answer["declared_s"], answer["section"]) == (361, "train")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ('{"beats": [[0, 1]]}', USAGE, "beats[0]: [0, 1] is not [seconds, step, section]"),
        ("{", USAGE, "not JSON"),
        ("[]", USAGE, "a timeline is an object"),
        (None, NOT_FOUND, "no such file"),
    ],
)
def test_what_cannot_be_played_is_named_in_one_line(
    desk: Desk, tmp_path: Path, text: str | None, code: int, says: str
) -> None:
    path = tmp_path / "t.json"
    if text is not None:
        path.write_text(text)
    found, out, err = desk.run("limits", "replay", str(path))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert f"{path}: " in err
    assert says in err


def test_it_is_asked_of_the_ground_floor_alone(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing but what a runner has; without it there is no answer, and no second opinion."""
    told = write(tmp_path / "t.json", TIMELINE)
    ground = tmp_path / "floor" / "outlast"
    for part in ("disk", "runner"):
        shutil.copytree(Path(limits.FLOOR, "outlast", part), ground / part)
    for name in ("__init__.py", "errors.py"):
        shutil.copy(Path(limits.FLOOR, "outlast", name), ground / name)
    monkeypatch.setattr(limits, "FLOOR", str(ground.parent))
    assert desk.json("limits", "replay", told)["declared_s"] == 561
    (ground / "runner" / "patience.py").unlink()
    assert desk.run("limits", "replay", told)[0] == TRY_AGAIN
