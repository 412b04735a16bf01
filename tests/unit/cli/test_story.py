"""`show`, `why`, `logs`: what a person reads of one run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outlast.cli import logs, why
from outlast.cli.tail import Tail
from outlast.errors import NOT_FOUND, OK
from tests.unit.cli.conftest import Desk

Written = Callable[[], list[dict[str, Any]]]
RUN = "big-20260101-000000"


def attempt(n: int, verdict: str | None = "failed", **more: Any) -> dict[str, Any]:
    exit_ = {"kind": "exited", "code": 1, "signal": None} if verdict else None
    known = {
        "n": n,
        "pid": 1,
        "verdict": verdict,
        "cause": None,
        "exit": exit_,
        "started_at": "2026-01-01T00:00:00Z",
    }
    return {**known, "lasted_s": 12.0, "resumed_from": None, "first_step": 0, "last_step": 9, **more}


def logs_of(desk: Desk, *options: str) -> bytes:
    words = [sys.executable, "-m", "outlast", "logs", "big", *options]
    return subprocess.run(words, cwd=desk.root, capture_output=True, check=True).stdout


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    """The records that `logs` wrote so far."""
    said: list[bytes] = []
    monkeypatch.setattr(logs, "write", lambda fd, body: said.append(body))
    return lambda: [json.loads(line) for line in b"".join(said).splitlines()]


def say(desk: Desk, n: int, text: str) -> None:
    path = Path(desk.workspace.run(RUN).attempt(n).output)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_show_has_every_field_in_json(desk: Desk) -> None:
    snapshot = desk.add(RUN, attempts=[attempt(1)])
    shown = desk.json("show", "big")
    assert shown == {**snapshot, "run_dir": desk.workspace.run(RUN).path}


def test_show_tells_a_person_the_same(desk: Desk) -> None:
    desk.add(
        RUN,
        outcome="failed",
        proof=None,
        why="3 attempts",
        cause="cuda_oom",
        tags=["a", "b"],
        command=["python", "a b.py"],
        progress={"step": 120, "total": 1000, "loss": 2.5},
        attempts=[attempt(1, cause="cuda_oom"), attempt(2, "finished", resumed_from="/c/step-9")],
    )
    code, out, _ = desk.run("show", "@last")
    assert code == OK
    for part in (
        "failed",
        "3 attempts",
        "cuda_oom",
        "a, b",
        "python 'a b.py'",
        "step 120/1000, loss 2.5",
        "/c/step-9",
    ):
        assert part in out
    assert desk.workspace.run(RUN).path not in out.splitlines()[0]


def test_show_of_a_run_that_was_only_accepted(desk: Desk) -> None:
    desk.write(desk.workspace.run(RUN).record, {"name": "big", "place": "local", "made": {"wall_s": 0.0}})
    shown = desk.json("show", RUN)
    assert (shown["phase"], shown["created_at"]) == ("queued", "1970-01-01T00:00:00Z")
    for field in (
        "id",
        "outcome",
        "proof",
        "cause",
        "ended_at",
        "attempts",
        "checkpoints",
        "incidents",
        "goodput",
    ):
        assert field in shown


@pytest.mark.parametrize("verb", ["show", "why", "logs", "wait", "stop", "rm"])
def test_a_run_that_is_not_there_is_not_found(desk: Desk, verb: str) -> None:
    code, out, err = desk.run(verb, "nobody")
    assert (code, out) == (NOT_FOUND, "")
    assert "nobody" in err
    assert err.count("\n") == 1


def test_why_tells_each_attempt_its_end_and_what_to_do(desk: Desk) -> None:
    attempts = [
        attempt(1, cause="cuda_oom", why="asked for 8 GiB", charged=True),
        attempt(2, "interrupted", cause="preempted", resumed_from="/c/step-9", charged=False),
    ]
    desk.add(RUN, outcome="failed", proof=None, why="3 attempts", attempts=attempts)
    say(desk, 2, "one\ntwo\n\nRuntimeError: last words\n")
    _, out, _ = desk.run("why", "big")
    for part in (
        "Attempt 1 began at 2026-01-01T00:00:00Z, from scratch.",
        "It ended at step 9 after 12s: failed (exit 1, cause: cuda_oom).",
        "asked for 8 GiB",
        "Attempt 2 began at 2026-01-01T00:00:00Z, resuming from /c/step-9.",
        "It was not charged",
        "It ended at 2026-01-01T01:00:00Z: failed: 3 attempts",
        "| RuntimeError: last words",
        f"what to do: mend the cause, then `outlast retry {RUN}`",
    ):
        assert part in out
    assert out.count("It was not charged") == 1


@pytest.mark.parametrize("verb", ["why", "show"])
def test_a_training_that_diverged_is_told_by_its_losses_and_by_nobodys_place(desk: Desk, verb: str) -> None:
    incident = {
        "n": 1, "path": "/incidents/0001", "kind": "nonfinite", "attempt": 1, "reason": "nonfinite: loss nan",
        "culprit": {"rank": None, "pid": None, "why": "no rank is known"}, "ranks": [],
        "losses": [[12, "0.5", "1.25"], [13, "0", "nan"], [None, "nan", None]],
    }  # fmt: skip
    attempts = [attempt(1, cause="nonfinite_loss", why="diverged: loss nan")]
    desk.add(
        RUN, outcome="failed", proof=None, cause="nonfinite_loss", attempts=attempts, incidents=[incident]
    )
    _, out, _ = desk.run(verb, "big")
    said = "Its last losses: step 12 0.5 (gradient norm 1.25), step 13 0 (gradient norm nan), nan"
    assert said in out
    assert "ulprit" not in out
    if verb == "why":
        assert "what to do: look at the data and the learning rate near that step" in out


def test_why_shows_no_last_words_of_what_ended_well(desk: Desk) -> None:
    desk.add(RUN, attempts=[attempt(1, "finished", exit={"kind": "exited", "code": 0, "signal": None})])
    say(desk, 1, "bye\n")
    story = desk.json("why", "big")
    assert (story["output"], story["do"]) == ([], "nothing")


def test_why_of_a_run_that_nobody_supervises_says_so(desk: Desk) -> None:
    desk.add(RUN, phase="waiting", waiting_for="backoff", outcome=None)
    assert "outlast up --detach" in desk.json("why", "big")["do"]


@pytest.mark.parametrize("phase", ["queued", "launching", "running", "waiting", "paused"])
def test_why_has_advice_for_every_phase(phase: str) -> None:
    snapshot = {"phase": phase, "waiting_for": None}
    assert why._do(snapshot, served=True)
    assert "says more" not in why._do(snapshot, served=True)


@pytest.mark.parametrize("outcome", ["completed", "failed", "no-op", "unknown", "cancelled"])
def test_why_has_advice_for_every_outcome(outcome: str) -> None:
    assert outcome in why.OUTCOME_ADVICE


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], b"\xff\x00second"),
        (["--attempt", "1"], b"one\nfirst\n"),
        (["--attempt", "1", "-n", "1"], b"first\n"),
        (["-f"], b"\xff\x00second"),
        (["-f", "--attempt", "1"], b"one\nfirst\n"),
    ],
)
def test_logs_are_the_bytes_of_one_attempt(desk: Desk, options: list[str], expected: bytes) -> None:
    desk.add(RUN)
    say(desk, 1, "one\nfirst\n")
    say(desk, 2, "")
    Path(desk.workspace.run(RUN).attempt(2).output).write_bytes(b"\xff\x00second")
    assert logs_of(desk, *options) == expected


def test_logs_in_json_are_lines_with_their_place(desk: Desk) -> None:
    desk.add(RUN)
    say(desk, 1, "one\n\n")
    Path(desk.workspace.run(RUN).attempt(1).output).write_bytes(b"one\n\n\xfftwo \xc3\xa4\r\nlast")
    found = [json.loads(line) for line in logs_of(desk, "--json").splitlines()]
    assert found == [
        {"attempt": 1, "offset": 0, "line": "one"},
        {"attempt": 1, "offset": 4, "line": ""},
        {"attempt": 1, "offset": 5, "line": "\ufffdtwo ä\r"},
        {"attempt": 1, "offset": 14, "line": "last"},
    ]
    assert [json.loads(line)["offset"] for line in logs_of(desk, "--json", "-n", "2").splitlines()] == [5, 14]


def test_followed_logs_in_json_go_on_with_the_next_attempt(desk: Desk, written: Written) -> None:
    desk.add(RUN)
    say(desk, 1, "a\nunfinished")
    say(desk, 2, "b\n")
    tail = Tail(desk.workspace.run(RUN))
    assert [json.loads(line) for line in logs_of(desk, "-f", "--json").splitlines()] == [
        {"attempt": 2, "offset": 0, "line": "b"}
    ]
    logs._follow(desk.workspace, RUN, tail, logs.JsonLines(tail), only=False)
    assert [(each["attempt"], each["offset"], each["line"]) for each in written()] == [
        (1, 0, "a"),
        (1, 2, "unfinished"),
        (2, 0, "b"),
    ]


def test_an_endless_line_in_json_comes_in_pieces_and_a_hole_ends_one(
    desk: Desk, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LINE_BYTES_MAX", 100_000)
    say(desk, 1, "x" * 300_000)
    path = Path(desk.workspace.run(RUN).attempt(1).output)
    with path.open("r+b") as file:
        file.seek(64 << 20)
        file.write(b"tail\n")
    shown = logs.JsonLines(Tail(desk.workspace.run(RUN)))
    while shown.more():
        pass
    shown.end()
    pieces = written()
    whole = "".join(piece["line"] for piece in pieces)
    assert whole.replace("\0", "") == "x" * 300_000 + "tail"
    assert max(len(piece["line"]) for piece in pieces) <= 200_000
    assert pieces[-1] == {"attempt": 1, "offset": 64 << 20, "line": "tail"}


def test_logs_of_an_attempt_that_never_was(desk: Desk) -> None:
    desk.add(RUN)
    assert desk.run("logs", "big")[0] == NOT_FOUND
    say(desk, 1, "x")
    code, _, err = desk.run("logs", "big", "--attempt", "7")
    assert code == NOT_FOUND
    assert "no attempt 7" in err


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["completed"], 0),
        (["failed"], 1),
        (["no-op"], 1),
        (["unknown"], 5),
        (["cancelled"], 130),
        (["x"], 5),
        (["completed", "failed"], 1),
        (["cancelled", "failed"], 1),
        (["failed", "unknown"], 5),
        (["completed", "cancelled"], 130),
    ],
)
def test_wait_leaves_with_the_worst_outcome(desk: Desk, outcomes: list[str], code: int) -> None:
    runs = [f"r{i}-20260101-000000" for i in range(len(outcomes))]
    for run, outcome in zip(runs, outcomes, strict=True):
        desk.add(run, outcome=outcome)
    found, out, err = desk.run("wait", *runs)
    assert (found, out) == (code, "")
    assert all(run in err for run in runs)


def test_wait_gives_up_in_time(desk: Desk) -> None:
    desk.add(RUN, phase="paused", outcome=None)
    code, _, err = desk.run("wait", "big", "--timeout", "50ms")
    assert code == 75
    assert RUN in err
    assert os.path.exists(desk.workspace.run(RUN).snapshot)


def test_wait_json_is_the_snapshot(desk: Desk) -> None:
    snapshot = desk.add(RUN)
    assert desk.json("wait", "big") == snapshot
