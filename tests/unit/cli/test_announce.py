"""What the foreground view says."""

from typing import Any

from outlast.cli.announce import Announcer, conclusion, standing
from tests.unit.cli.conftest import snapshot_of

STARTED = {"child": {"pid": 7}, "resumed_from": None}
FAILED = {"kind": "exited", "code": 1, "signal": None}


def attempt(n: int, verdict: str | None = None, **more: Any) -> dict[str, Any]:
    return {"n": n, "verdict": verdict, "cause": None, "exit": FAILED if verdict else None, **more}


def running(**more: Any) -> dict[str, Any]:
    return snapshot_of("a-20260101-000000", phase="running", outcome=None, why="x", **more)


def test_a_beginning_is_said_once() -> None:
    announcer = Announcer()
    assert announcer.news(running(), 1, None) == []
    assert announcer.news(running(), 1, STARTED) == ["attempt 1 began (pid 7, from scratch)"]
    assert announcer.news(running(), 1, STARTED) == []
    resumed = {**STARTED, "resumed_from": "/c/step-5", "resumed_step": 5}
    assert announcer.news(running(attempts=[attempt(1)]), 2, resumed) == []  # its end is not known yet
    announcer.news(running(attempts=[attempt(1, "failed")]), 1, None)
    assert announcer.news(running(attempts=[attempt(1, "failed")]), 2, resumed) == [
        "attempt 2 began (pid 7, resumes from /c/step-5 at step 5)"
    ]


def test_a_checkpoint_below_the_folder_where_it_runs_is_named_from_there() -> None:
    whole = "/home/me/lm/out/step-5"
    resumed = {**STARTED, "resumed_from": whole}
    for cwd, name in [("/home/me/lm", "out/step-5"), ("/home/me/l", whole), ("/", whole)]:
        said = Announcer().news(running(cwd=cwd), 1, resumed)
        assert said == [f"attempt 1 began (pid 7, resumes from {name})"]


def test_a_beginning_says_what_could_not_be_resumed_from() -> None:
    started = {**STARTED, "resume_reasons": ["no checkpoint yet", "not resumed: /c holds nothing: last.ckpt"]}
    (line,) = Announcer().news(running(), 1, started)
    assert line == "attempt 1 began (pid 7, from scratch); not resumed: /c holds nothing: last.ckpt"


def test_an_end_is_said_before_the_next_beginning() -> None:
    both = running(attempts=[attempt(1, "failed"), attempt(2)])
    said = Announcer().news(both, 2, STARTED)
    assert [line.split()[:3] for line in said] == [["attempt", "1", "ended:"], ["attempt", "2", "began"]]


def test_an_end_is_said_once_and_not_before_its_output_was_shown() -> None:
    announcer = Announcer()
    both = running(attempts=[attempt(1, "failed", cause="cuda_oom", last_step=9), attempt(2, "lost")])
    assert announcer.news(both, 1, None) == ["attempt 1 ended at step 9: failed (exit 1, cuda_oom)"]
    assert announcer.news(both, 1, None) == []
    assert announcer.news(both, 2, None) == ["attempt 2 ended: lost (exit 1)"]


def test_a_cause_that_only_repeats_the_exit_is_left_out() -> None:
    shown = running(attempts=[attempt(1, "failed", cause="exit")])
    assert Announcer().news(shown, 1, None) == ["attempt 1 ended: failed (exit 1)"]


def test_a_wait_is_said_when_it_begins_and_when_it_changes() -> None:
    announcer = Announcer()
    waits = snapshot_of("a-20260101-000000", phase="waiting", waiting_for="backoff", outcome=None, why="10 s")
    assert announcer.news(waits, 1, None) == ["waiting: backoff: 10 s"]
    assert announcer.news(waits, 1, None) == []
    assert announcer.news({**waits, "waiting_for": "disk"}, 1, None) == ["waiting: disk: 10 s"]
    assert announcer.news(running(), 1, None) == []
    assert announcer.news(waits, 1, None) == ["waiting: backoff: 10 s"]
    assert announcer.news({**waits, "phase": "paused", "waiting_for": None}, 1, None) == ["paused: 10 s"]
    assert announcer.news({**waits, "waiting_for": None}, 1, None) == []


def test_standing_has_step_loss_rate_and_eta() -> None:
    progress = {"step": 120, "total": 1000, "loss": 2.31234, "rate": 4.1, "eta_s": 250.0}
    line = standing(running(), 2, progress, silent_s=1.0)
    assert line == "running · attempt 2 · step 120/1000 · loss 2.312 · ETA 4m10s · 4.1 steps/s"


def test_standing_says_for_how_long_there_was_no_step() -> None:
    progress = {"step": 120, "rate": 4.1, "section": "eval"}
    line = standing(running(), 1, progress, silent_s=250.0)
    assert line == "running · attempt 1 · step 120 · no step for 4m10s, section eval"
    assert "no step" not in standing(running(), 1, {"step": None}, silent_s=250.0)
    limited = {"step": 120, "section": "", "limit_s": 420.0, "limit_section": "save", "limit_rank": 3}
    line = standing(running(), 1, limited, silent_s=250.0)
    assert line == "running · attempt 1 · step 120 · no step for 4m10s (limit 7m00s), rank 3, section save"


def test_standing_of_a_training_that_tells_only_its_epochs_has_these() -> None:
    progress = {"step": None, "epoch": 6.0, "total_epochs": 10.0, "loss": 0.5, "unit": "epoch"}
    assert standing(running(), 1, progress, silent_s=1.0) == "running · attempt 1 · epoch 6/10 · loss 0.5"
    progress = {"step": 3, "total": 10, "unit": "epoch", "rate": 0.25}
    assert (
        standing(running(), 1, progress, silent_s=1.0) == "running · attempt 1 · epoch 3/10 · 0.25 epochs/s"
    )


def test_standing_of_a_training_that_tells_nothing_says_for_how_long() -> None:
    assert standing(running(), 1, {"elapsed_s": 20.0}, silent_s=0.0) == "running · attempt 1"
    line = standing(running(), 1, {"elapsed_s": 95.0}, silent_s=0.0)
    assert line == "running · attempt 1 · no step known yet after 1m35s"


def test_standing_on_a_terminal_says_what_matters_first_and_fits_eighty_columns() -> None:
    progress = {
        "step": 8920,
        "total": 19_200,
        "loss": 0.66821,
        "rate": 12.5,
        "eta_s": 822.0,
        "section": "eval",
    }
    line = standing(running(), 1, progress, silent_s=1.0, bar=True)
    assert line.startswith("attempt 1 · ███▋     46% 8920/19200 · loss 0.6682 · in eval · ETA 13m42s · ")
    assert len(f"name · {line}".partition(" · 12.5")[0]) <= 80
    assert standing(running(), 1, {}, silent_s=1.0, bar=True) == "running · attempt 1"


def test_standing_says_what_a_wait_is_for() -> None:
    waits = snapshot_of(
        "a-20260101-000000", phase="waiting", waiting_for="slot", outcome=None, why="slot: 1 of 1 taken"
    )
    assert standing(waits, 1, None, silent_s=0.0) == "waiting: slot · 1 of 1 taken"


def test_standing_says_what_an_interrupt_did() -> None:
    assert "stopping safely" in standing(running(), 1, None, silent_s=0.0, stopping=1)
    assert "stopping at once" in standing(running(), 1, None, silent_s=0.0, stopping=2)


def test_conclusion_of_a_success_is_one_line() -> None:
    ended = snapshot_of("a-20260101-000000", attempts=[attempt(1, "failed"), attempt(2, "finished")])
    assert conclusion(ended) == ["a-20260101-000000: completed (2 attempts, proof exit)"]


def test_conclusion_of_a_failure_says_why_and_what_to_do() -> None:
    ended = snapshot_of(
        "a-20260101-000000", outcome="failed", proof=None, why="3 attempts", attempts=[attempt(1, "failed")]
    )
    first, second = conclusion(ended)
    assert first == "a-20260101-000000: failed (1 attempt): 3 attempts"
    assert "outlast why a-20260101-000000" in second


def test_conclusion_of_a_cancellation_needs_no_advice() -> None:
    assert len(conclusion(snapshot_of("a-20260101-000000", outcome="cancelled"))) == 1


def test_an_attempt_that_was_over_before_its_beginning_was_seen_still_began() -> None:
    said = Announcer().news(running(attempts=[attempt(1, "failed", pid=9, resumed_from=None)]), 1, None)
    assert [line.split()[:3] for line in said] == [["attempt", "1", "began"], ["attempt", "1", "ended:"]]
