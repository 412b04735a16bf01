"""Acting verbs: a request is posted, its answer read from the journal, its effect awaited."""

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from outlast.cli import ask
from outlast.disk import files, journal, requests
from outlast.disk.clock import moment
from outlast.disk.identity import identity
from outlast.errors import NOT_FOUND, OK, REFUSED, TRY_AGAIN, USAGE, WorldError
from tests.unit.cli.conftest import Desk

RUN = "big-20260101-000000"
Answer = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any] | None]]


class Clerk(threading.Thread):
    """Answers requests in the journal as a supervisor would; `answer(request)`: its record and the new snapshot."""

    def __init__(self, desk: Desk, answer: Answer) -> None:
        super().__init__(daemon=True)
        self._desk, self._answer = desk, answer
        self.place = desk.workspace.place("local")
        self.heard: list[dict[str, Any]] = []
        self.over = threading.Event()
        self._term, _ = journal.take_over(self.place.journal, identity(), moment())

    def run(self) -> None:
        while not self.over.is_set():
            for number in requests.numbers(self.place)[len(self.heard) :]:
                request, _ = requests.load(self.place, number)
                assert request is not None
                self.heard.append(request)
                record, snapshot = self._answer(request)
                self._term.append(
                    [_line({**record, "request": number, "at": moment(), "run": request["run"]})]
                )
                if snapshot is not None:
                    self._desk.add(str(request["run"]), **snapshot)
            time.sleep(0.005)


def _line(record: dict[str, Any]) -> bytes:
    return files.encode(record)[:-1]


def asked(phase: str | None = None, **more: Any) -> Answer:
    return lambda request: ({"type": "Asked", "why": ""}, {"phase": phase, **more} if phase else None)


def declined(why: str) -> Answer:
    return lambda request: ({"type": "Declined", "why": why}, None)


@pytest.fixture
def clerk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Clerk]]:
    monkeypatch.setattr("outlast.supervise.start.ensure", lambda *_, **__: None)
    made: list[Clerk] = []

    def hire(answer: Answer) -> Clerk:
        made.append(Clerk(desk, answer))
        made[-1].start()
        return made[-1]

    yield hire
    for one in made:
        one.over.set()
        one.join()


Hire = Callable[[Answer], Clerk]


@pytest.mark.parametrize(
    ("words", "phase", "after", "verb", "args"),
    [
        (["stop", "big"], "running", "ended", "stop", []),
        (["stop", "big", "--now"], "running", "ended", "stop", [["now", "1"]]),
        (["pause", "big"], "running", "paused", "pause", []),
        (["resume", "big"], "paused", "queued", "resume", []),
        (["retry", "big"], "ended", "queued", "retry", []),
        (["priority", "big", "high"], "queued", "queued", "priority", [["priority", "high"]]),
        (["priority", "big", "--to", "low"], "queued", "queued", "priority", [["priority", "low"]]),
    ],
)
def test_a_verb_asks_and_returns_when_it_has_happened(
    desk: Desk, clerk: Hire, words: list[str], phase: str, after: str, verb: str, args: list[list[str]]
) -> None:
    desk.add(RUN, phase=phase)
    hired = clerk(asked(after))
    code, out, err = desk.run(*words, "--reason", "because")
    assert (code, out) == (OK, ""), err
    request = hired.heard[0]
    assert (request["verb"], request["run"], request["args"], request["why"]) == (verb, RUN, args, "because")
    assert RUN in err


def test_all_means_those_whom_the_verb_concerns(desk: Desk, clerk: Hire) -> None:
    live = [
        desk.add(f"{name}-20260101-000000", phase=phase)
        for name, phase in [("a", "running"), ("b", "queued")]
    ]
    desk.board(*live, desk.add("c-20260101-000000"))
    hired = clerk(asked("ended"))
    assert desk.run("stop", "--all")[0] == OK
    assert {request["run"] for request in hired.heard} == {"a-20260101-000000", "b-20260101-000000"}


def test_retry_all_leaves_completed_runs_alone(desk: Desk, clerk: Hire) -> None:
    desk.board(desk.add("a-20260101-000000"), desk.add("b-20260101-000000", outcome="failed"))
    hired = clerk(asked("queued"))
    assert desk.run("retry", "--all")[0] == OK
    assert [request["run"] for request in hired.heard] == ["b-20260101-000000"]


def test_a_run_named_twice_is_asked_once(desk: Desk, clerk: Hire) -> None:
    desk.add(RUN, phase="running")
    hired = clerk(asked("ended"))
    desk.run("stop", "big", RUN)
    assert len(hired.heard) == 1


@pytest.mark.parametrize(
    ("verb", "phase", "code"),
    [
        ("retry", "running", REFUSED),
        ("retry", "ended", REFUSED),
        ("resume", "running", REFUSED),
        ("stop", "ended", NOT_FOUND),
        ("pause", "ended", NOT_FOUND),
        ("resume", "ended", NOT_FOUND),
    ],
)
def test_what_is_declined_is_refused_with_the_reason(
    desk: Desk, clerk: Hire, verb: str, phase: str, code: int
) -> None:
    desk.add(RUN, phase=phase)
    clerk(declined("for a reason"))
    found, _, err = desk.run(verb, "big")
    assert found == code
    assert f"{verb} {RUN}: for a reason" in err


def test_one_refusal_does_not_hide_the_others_effect(desk: Desk, clerk: Hire) -> None:
    desk.add("a-20260101-000000", phase="running")
    desk.add("b-20260101-000000", phase="running")

    def answer(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
        return (declined("no") if request["run"].startswith("a") else asked("ended"))(request)

    hired = clerk(answer)
    assert desk.run("stop", "a", "b")[0] == REFUSED
    assert len(hired.heard) == 2


def test_no_answer_in_time_is_try_again_and_the_request_stands(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.supervise.start.ensure", lambda *_, **__: None)
    monkeypatch.setattr(ask, "ANSWER_S", 0.1)
    desk.add(RUN, phase="running")
    code, _, err = desk.run("stop", "big")
    assert code == TRY_AGAIN
    assert "request 1 of place local" in err
    assert requests.numbers(desk.workspace.place("local")) == [1]


def test_an_effect_that_does_not_come_is_try_again(
    desk: Desk, clerk: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.cli.act._patience", lambda workspace, run: 0.1)
    desk.add(RUN, phase="running")
    clerk(asked())
    code, _, err = desk.run("stop", "big")
    assert code == TRY_AGAIN
    assert "has not happened within" in err


def test_no_wait_returns_at_the_record(desk: Desk, clerk: Hire) -> None:
    desk.add(RUN, phase="running")
    clerk(asked())
    code, _, err = desk.run("stop", "big", "--no-wait")
    assert code == OK
    assert "journaled" in err


def test_a_request_that_nobody_can_be_started_for_stands(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def ensure(*_: object, **__: object) -> None:
        raise WorldError("no more processes")

    monkeypatch.setattr("outlast.supervise.start.ensure", ensure)
    desk.add(RUN, phase="running")
    code, _, err = desk.run("stop", "big")
    assert code == TRY_AGAIN
    assert "request 1 of place local stands" in err
    assert "no more processes" in err


def test_a_supervisor_that_dies_is_started_again_but_not_in_a_storm(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[float] = []
    monkeypatch.setattr("outlast.supervise.start.ensure", lambda *_, **__: starts.append(time.monotonic()))
    monkeypatch.setattr(ask, "ANSWER_S", 0.5)
    monkeypatch.setattr(ask, "START_AGAIN_S", 0.2)
    desk.add(RUN, phase="running")
    assert desk.run("stop", "big")[0] == TRY_AGAIN
    assert 2 <= len(starts) <= 4


def test_what_takes_back_a_down_does_so_also_by_a_supervisor_that_is_started_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bool] = []
    monkeypatch.setattr("outlast.supervise.start.ensure", lambda *_, up: starts.append(up))
    monkeypatch.setattr(ask, "ANSWER_S", 0.2)
    monkeypatch.setattr(ask, "START_AGAIN_S", 0.05)
    desk.add(RUN)
    assert desk.run("retry", "big")[0] == TRY_AGAIN
    assert len(starts) > 1
    assert all(starts)


def test_down_asks_once_however_long_the_supervisor_stays(
    desk: Desk, clerk: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second request would be heard by the supervisor that comes next."""
    clock = iter(range(0, 100_000, 5))
    held = iter([True] * 20)
    monkeypatch.setattr(
        "outlast.cli.up.time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    )
    monkeypatch.setattr("outlast.cli.up.quick.is_held", lambda _: next(held, False))
    hired = clerk(asked())
    assert desk.run("down")[0] == OK
    assert [request["args"] for request in hired.heard] == [[]]
    assert requests.numbers(desk.workspace.place("local")) == [1]


def test_nobody_is_asked_to_leave_where_nobody_is(desk: Desk) -> None:
    desk.board(desk.add(RUN, phase="running", ended_at=None))
    code, _, err = desk.run("down", "--leave-runs")
    assert code == NOT_FOUND
    assert "runs go on" in err
    assert requests.numbers(desk.workspace.place("local")) == []


def test_another_hosts_place_is_asked_and_not_supervised_from_here(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[object] = []
    monkeypatch.setattr("outlast.supervise.start.ensure", lambda *words, **__: starts.append(words))
    monkeypatch.setattr(ask, "ANSWER_S", 0.1)
    desk.add(RUN, phase="running", place="h2")
    desk.write(desk.workspace.place("h2").supervisor, {"host": "h2"})
    assert desk.run("stop", "big")[0] == TRY_AGAIN
    assert starts == []
    assert requests.numbers(desk.workspace.place("h2")) == [1]


def test_a_training_without_the_sdk_is_told_what_a_stop_loses(desk: Desk, clerk: Hire) -> None:
    progress = {"step": 130, "source": "none"}
    desk.add(RUN, phase="running", progress=progress, checkpoints=[{"step": 100}, {"step": 50}])
    clerk(asked("ended"))
    assert "30 steps since its last checkpoint will be lost" in desk.run("stop", "big")[2]


def test_a_training_with_the_sdk_loses_nothing(desk: Desk, clerk: Hire) -> None:
    desk.add(RUN, phase="running", progress={"step": 130, "source": "sdk"})
    clerk(asked("ended"))
    assert "lost" not in desk.run("stop", "big")[2]


@pytest.mark.parametrize("verb", ["rm", "archive"])
def test_removing_returns_when_the_folder_is_gone(desk: Desk, clerk: Hire, verb: str) -> None:
    import shutil

    desk.add(RUN)

    def answer(request: dict[str, Any]) -> tuple[dict[str, Any], None]:
        shutil.rmtree(desk.workspace.run(request["run"]).path)
        return {"type": "Asked", "why": ""}, None

    hired = clerk(answer)
    code, _, err = desk.run(verb, "big")
    assert code == OK, err
    assert hired.heard[0]["verb"] == verb


def test_a_removal_that_cannot_be_done_is_not_waited_for_and_says_why(
    desk: Desk, clerk: Hire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outlast.cli.remove.HOPE_S", 0.05)
    monkeypatch.setattr("outlast.cli.ask.ensure", lambda *_, **__: None)
    why = f"rm {RUN}: cannot move to the trash {desk.workspace.run(RUN).path}: Operation not permitted"
    desk.board(desk.add(RUN), holds=["rm another-20260101-000000: no", why])
    clerk(asked())
    code, _, err = desk.run("rm", "big")
    assert code == TRY_AGAIN
    assert why in err
    desk.board(desk.add(RUN), holds=["rm another-20260101-000000: no"])
    monkeypatch.setattr("outlast.cli.remove.WITHIN_S", 0.3)
    code, _, err = desk.run("rm", "big")
    assert code == TRY_AGAIN
    assert "has not happened within" in err


def test_older_than_takes_ended_runs_by_their_end(desk: Desk, clerk: Hire) -> None:
    desk.board(
        desk.add("old-20260101-000000"),
        desk.add("new-20260101-000000", ended_at="2099-01-01T00:00:00Z"),
        desk.add("live-20260101-000000", phase="running", ended_at=None),
    )
    desk.add("older-20250101-000000")  # no longer on the board
    hired = clerk(asked())
    assert desk.run("archive", "--older-than", "7d", "--no-wait")[0] == OK
    assert {request["run"] for request in hired.heard} == {"old-20260101-000000", "older-20250101-000000"}


def test_nothing_older_is_nothing_to_do(desk: Desk) -> None:
    code, _, err = desk.run("rm", "--older-than", "7d")
    assert code == OK
    assert "nothing to do" in err


@pytest.mark.parametrize(
    "words",
    [
        ["stop"],
        ["stop", "big", "--all"],
        ["rm"],
        ["rm", "big", "--older-than", "1d"],
        ["priority", "big"],
        ["priority", "high"],
    ],
)
def test_who_is_meant_must_be_clear(desk: Desk, words: list[str]) -> None:
    desk.add(RUN)
    code, _, err = desk.run(*words)
    assert code == USAGE
    assert err.count("\n") == 1
