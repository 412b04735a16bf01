"""R3-R9 and R12 as far as they are a choice: the newest step that is whole, and why none of the others."""

from outlast.decide.resume import choose
from outlast.facts import Candidate, Foreign, Torn, Unsure, Verdict, Whole


def at_step(step: int | None, mtime: int = 0, name: str = "") -> Candidate:
    return Candidate(name or f"ckpt/step-{step}", "folder", step, newest_mtime_ns=mtime)


WHOLE = Whole(1)


def test_the_newest_step_by_number_is_chosen_whatever_the_files_times_say() -> None:
    found = [(at_step(9, 900), WHOLE), (at_step(1000, 1), WHOLE), (at_step(99, 5000), WHOLE)]
    choice = choose(found, True)
    assert choice.candidate == at_step(1000, 1)
    assert choice.refuse is None
    assert choice.reasons == (
        "ckpt/step-1000: chosen: step 1000, whole at level L1",
        "ckpt/step-99: older than the chosen one (step 99, whole at level L1)",
        "ckpt/step-9: older than the chosen one (step 9, whole at level L1)",
    )


def test_s44_a_newer_one_that_is_torn_is_passed_over_and_the_reason_kept() -> None:
    found: list[tuple[Candidate, Verdict]] = [
        (at_step(40), Torn(("truncated", "no end"))),
        (at_step(30), Unsure(("still written",))),
        (at_step(25), Foreign(("run other",))),
        (at_step(20), WHOLE),
    ]
    choice = choose(found, True)
    assert choice.candidate == at_step(20)
    assert choice.reasons[:3] == (
        "ckpt/step-40: torn: truncated, no end",
        "ckpt/step-30: unsure: still written",
        "ckpt/step-25: of another run: run other",
    )


def test_candidates_of_which_none_passes_refuse_the_start_rather_than_begin_at_zero() -> None:
    choice = choose([(at_step(40), Torn(("cut",)))], False)
    assert choice.candidate is None
    assert choice.refuse is not None
    assert choice.refuse.startswith(
        "no_valid_checkpoint: ckpt/step-40: torn: cut (`outlast checkpoint accept PATH`"
    )
    assert choice.reasons == ("ckpt/step-40: torn: cut",)


def test_a_run_that_had_checkpoints_never_begins_at_zero_because_none_is_there_now() -> None:
    choice = choose([], True)
    assert choice.refuse == "no_valid_checkpoint: this run had checkpoints, and none is there now"
    assert choice.reasons == ("this run had checkpoints, and none is there now",)


def test_a_run_that_never_had_one_begins_at_zero() -> None:
    choice = choose([])
    assert (choice.candidate, choice.refuse) == (None, None)
    assert choice.reasons == ("no checkpoint yet: from scratch",)


def test_r12_weights_that_are_not_finite_are_not_resumed_from() -> None:
    choice = choose([(at_step(20), Whole(2, finite=False)), (at_step(10), Whole(2, finite=True))], True)
    assert choice.candidate == at_step(10)
    assert choice.reasons[0] == "ckpt/step-20: step 20, whole, but its weights are not finite"


def test_one_whose_step_nobody_knows_is_never_the_newest() -> None:
    choice = choose([(at_step(None, 10**9, "final"), WHOLE), (at_step(0), WHOLE)], True)
    assert choice.candidate == at_step(0)
    assert choice.reasons[1] == "final: its step is not known"
    assert choose([(at_step(None, 1, "final"), WHOLE)], True).refuse is not None


def test_of_two_with_the_same_step_the_one_written_last_is_taken() -> None:
    found = [(at_step(5, 10, "a"), WHOLE), (at_step(5, 20, "b"), WHOLE)]
    chosen = choose(found, True).candidate
    assert chosen is not None
    assert chosen.path == "b"


def test_r9_beside_the_checkpoints_of_another_run_nothing_begins() -> None:
    stale: list[tuple[Candidate, Verdict]] = [(at_step(1000), Foreign(("made by run other",)))]
    refuse = choose(stale).refuse
    assert refuse is not None
    assert "ckpt/step-1000: of another run: made by run other" in refuse
    assert choose([*stale, (at_step(20), WHOLE)], True).candidate == at_step(20), "though its step is lower"
