"""When a sentence is told: after the evidence, once, and never over somebody else's stop."""

from pathlib import Path
from typing import Any

import pytest

from outlast.disk import files
from outlast.disk.layout import AttemptFolder
from outlast.runner import gathering
from outlast.runner.findings import Found
from outlast.runner.judge import Judge
from outlast.runner.metrics import Metrics
from outlast.runner.obedience import Obedience
from outlast.runner.output import Output
from outlast.runner.ranks import Ranks
from outlast.runner.saves import Saves
from outlast.runner.signs import Signs
from outlast.runner.stopping import Stopping
from outlast.runner.words import Words

NOBODY = 1 << 30  # a pid that no process has


class Gathering:
    """Done when the test says so."""

    def __init__(self) -> None:
        self.fds: list[int] = []
        self.until_s, self.is_done = 1e9, False

    def result(self) -> Found:
        return Found("/incidents/0001", "", {"rank": None, "pid": None, "why": ""}, ["a hint"])


class Nobody:
    def seen(self) -> dict[int, int]:
        return {}


class Court:
    def __init__(self, root: Path, **order: Any) -> None:
        folder = self.folder = AttemptFolder(str(root / "run" / "attempts" / "0001"))
        files.make_directory(folder.path)
        words = self.words = Words(folder)
        signs = Signs(
            Ranks(""),
            Output(folder, 1 << 20, words),
            Metrics(folder.metrics),
            "",
            Saves([], words),
            Obedience(None),
        )
        self.stopping = Stopping(600.0, None)
        self.gathering = Gathering()
        nobody: Any = Nobody()
        self.nobody = nobody
        given = {"stall_limits_s": [["", 5.0]], **order}
        self.judge = Judge(folder, given, signs, self.stopping, nobody, words, 0.0)
        self.limits = folder.run().limits

    def look(self, now_s: float) -> bool:
        return self.judge.look(now_s, NOBODY, 0.0, may_declare=True)

    def until_declared(self) -> float:
        for second in range(1, 100):
            assert not self.look(float(second))
            if self.judge._gathering is not None:
                return float(second)
        raise AssertionError("nothing was declared")


@pytest.fixture
def court(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Court:
    made = Court(tmp_path)
    monkeypatch.setattr(gathering, "begin", lambda *_, **__: made.gathering)
    return made


def doublings(court: Court) -> dict[str, int]:
    return dict((files.read(court.limits) or {}).get("doublings", {}))


def test_the_sentence_is_told_once_the_evidence_is_gathered_and_not_before(court: Court) -> None:
    now_s = court.until_declared()
    assert not court.look(now_s + 1)
    assert (court.stopping.told, doublings(court)) == ("run", {})
    court.gathering.is_done = True
    assert court.look(now_s + 2)
    assert (court.stopping.told, court.judge.hints) == ("stop-now", ["a hint"])
    assert court.stopping.by.startswith("stall: no progress for 6 s (limit 5 s")
    assert list(doublings(court).values()) == [1]


def test_evidence_that_takes_too_long_is_not_waited_for(court: Court) -> None:
    now_s = court.until_declared()
    court.gathering.until_s = now_s + 20
    assert not court.look(now_s + 19)
    assert court.look(now_s + 21)


def test_a_stop_that_somebody_asked_for_meanwhile_goes_on_as_it_began(court: Court) -> None:
    now_s = court.until_declared()
    court.stopping.ask("stop", "request 7", now_s)
    court.gathering.is_done = True
    assert not court.look(now_s + 1)
    assert (court.stopping.told, court.stopping.by, doublings(court)) == ("stop", "request 7", {})


def test_who_ended_by_himself_is_not_sentenced_and_the_evidence_is_kept(court: Court) -> None:
    now_s = court.until_declared()
    assert not court.judge.conclude(now_s, wait=True)
    assert (court.stopping.told, court.judge.incident) == ("run", "/incidents/0001")
    assert doublings(court) == {}


def test_the_wall_limit_asks_for_a_safe_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    court = Court(tmp_path, stall_limits_s=[], timeout_s=3.0)
    monkeypatch.setattr(gathering, "begin", lambda *_, **__: court.gathering)
    now_s = court.until_declared()
    court.gathering.is_done = True
    assert court.look(now_s + 1)
    assert (court.stopping.told, court.stopping.by) == ("stop", "timeout: 3 s were left")
    assert now_s == 4.0


def test_who_takes_over_does_not_wait_for_pages_that_may_have_come_and_gone(tmp_path: Path) -> None:
    """A logout empties the folder of pages: the runner before us held them open, and we find no name."""
    learned = {"schema": 1, "sdk": True, "world": 1, "sections": {}}
    for heir in (False, True):
        court = Court(tmp_path / str(heir), stall_limits_s=[])
        files.replace(court.limits, learned)
        signs = court.judge._signs
        signs.awaits_pages = not heir
        judge = Judge(
            court.folder, {"stall_limits_s": []}, signs, court.stopping, court.nobody, court.words, 0.0
        )
        assert (judge.patience.wait_s() < 1e6) is not heir


def test_losses_that_are_no_numbers_are_declared_with_their_numbers_and_nobody_is_asked_where_he_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, asked = Court(tmp_path, stall_limits_s=[]), []

    def begin(folder: Any, decision: Any, ranks: Any, members: Any, **_: Any) -> Any:
        asked.append((decision["kind"], decision["step"], decision["losses"][-1], list(ranks), dict(members)))
        return court.gathering

    monkeypatch.setattr(gathering, "begin", begin)
    losses = [1.0, float("nan"), float("nan"), float("nan")]
    court.judge._signs.divergence.hear((step, "loss", loss) for step, loss in enumerate(losses, 1))
    now_s = court.until_declared()
    assert asked == [("nonfinite", 2, [4, "nan", None], [], {})]
    court.gathering.is_done = True
    assert court.look(now_s + 1)
    assert (court.stopping.told, court.judge.hints) == ("stop-now", [])
    assert court.stopping.by == "nonfinite: loss nan at steps 2, 3, 4"
    assert not court.stopping.ask("stop", "request 7", now_s + 2), "no later word takes its place"
