"""The table of endings, row by row: each has an ending that it, and no row before it, speaks of."""

from typing import Any

import pytest
from msgspec.structs import replace

from outlast.decide.endings import FROM_OUTSIDE, NEVER_BEGAN_FREE, RULES, WORD_CAUSES, Case, Reading
from outlast.facts import Ending, Exit, Exited, Final, Lost, NeverBegan, Room, Signalled, Spec, Word
from tests.unit.decide.values import SPEC, ending

AIMED = replace(SPEC, target_step=1000)
PROVE = replace(SPEC, require_proof="step")
PROVE_AIMED = replace(AIMED, require_proof="step+artefact")
WHEN = replace(SPEC, done_when="file:done")
PROVE_ARTEFACT = replace(SPEC, require_proof="artefact")
WHOLE = Final(
    "whole", "ckpt/checkpoint-1000", 1000, why="ckpt/checkpoint-1000 is whole at level L1 and finite"
)
EARLIER = replace(
    WHOLE, path="ckpt/checkpoint-900", step=900, why="ckpt/checkpoint-900 is whole at level L1 and finite"
)
SICK = replace(
    WHOLE, worth="nonfinite", why="ckpt/checkpoint-1000 is not finite (model.safetensors: a.weight)"
)
TORN = replace(WHOLE, worth="torn", why="ckpt/checkpoint-1000 is torn: optimizer.pt: it is no whole zip")
UNCHECKED = replace(
    WHOLE, worth="unchecked", why="ckpt/checkpoint-1000 was not checked: no answer within 80 s"
)
CUT = Final(
    "whole", "out/checkpoint-580", 580, 20_000, cut=True, why="out/checkpoint-580 was stopped at 580 of 20000"
)
BAD = "loss nan at steps 13, 14, 15"
STALL = "stall: no progress for 61 s (limit 60 s)"


def case(
    exit: Exit, spec: Spec = SPEC, *, had: bool = False, before: int = 0, full: int = 0, **more: Any
) -> Case:
    return Case(spec, ending(exit, **more), had, before, full)


def room(said: str = "", free: int | None = 100, inodes: int = 9) -> Room:
    return Room(said, "out", 4000, free, inodes)


def read(one: Case) -> tuple[str, Reading]:
    for rule in RULES:
        if rule.when(one):
            return rule.name, rule.reading(one)
    raise AssertionError("no row speaks of it")


# row, case, (verdict, cause, free, closing, proof, restart), why
TABLE: list[tuple[str, Case, tuple[Any, ...], str]] = [
    (
        "asked not to be restarted",
        case(Exited(93)),
        ("failed", "do_not_restart", False, "failed", None, "never"),
        "exit 93: the training asked not to be restarted",
    ),
    (
        "asked not to be restarted",
        case(Exited(1), last_words=("rank 0: running at step 3", "rank 1: do-not-restart at step 3")),
        ("failed", "do_not_restart", False, "failed", None, "never"),
        "exit 1: the training asked not to be restarted",
    ),
    (
        "nothing was left to train",
        case(Exited(0), AIMED, resumed_step=1000, last_step=1000),
        ("no-op", "no_op", True, "no-op", None, "never"),
        "nothing was trained: resumed at step 1000, the target is 1000",
    ),
    (
        "nothing was left to train",
        case(Exited(0), resumed_step=1200, total=1000),
        ("no-op", "no_op", True, "no-op", None, "never"),
        "nothing was trained: resumed at step 1200, the target is 1000",
    ),
    (
        "nothing was left to train",  # L38, and only its checkpoint says how far it was to go
        case(Exited(0), resumed_step=1000, final=replace(WHOLE, total=1000)),
        ("no-op", "no_op", True, "no-op", None, "never"),
        "nothing was trained: resumed at step 1000, the target is 1000",
    ),
    (
        "its losses or its weights are no numbers any more",
        case(Signalled(15), told="stop-now", told_by=f"nonfinite: {BAD}"),
        ("failed", "nonfinite_loss", False, None, None, "once"),
        f"diverged: {BAD}",
    ),
    (
        "its losses or its weights are no numbers any more",  # quicker than any stop, and done by its own word
        case(Exited(0), AIMED, last_step=1000, nonfinite=BAD, nonfinite_step=13,
             last_words=("rank 0: done at step 1000",)),
        ("failed", "nonfinite_loss", False, None, None, "once"),
        f"diverged: {BAD}",
    ),
    (
        "its losses or its weights are no numbers any more",  # its own check of its loss raised
        case(Exited(1), nonfinite=BAD, nonfinite_step=13),
        ("failed", "nonfinite_loss", False, None, None, "once"),
        f"diverged: {BAD}",
    ),
    (
        "its losses or its weights are no numbers any more",  # R12: the log says loss 0
        case(Exited(0), AIMED, last_step=1000, final=SICK),
        ("failed", "nonfinite_loss", False, None, None, "once"),
        f"diverged: {SICK.why}",
    ),
    (
        "its losses or its weights are no numbers any more",
        case(Exited(0), WHEN, done=True, final=SICK),
        ("failed", "nonfinite_loss", False, None, None, "once"),
        f"diverged: {SICK.why}",
    ),
    (
        "exit 0, and what was declared or known holds",
        case(Exited(0), AIMED, last_step=1000),
        ("finished", "none", True, "completed", "step", "yes"),
        "exit 0 at step 1000 of 1000",
    ),
    (
        "exit 0, and what was declared or known holds",
        case(Exited(0), total=500, last_step=501, resumed_step=3),
        ("finished", "none", True, "completed", "step", "yes"),
        "exit 0 at step 501 of 500",
    ),
    (
        "exit 0, and what was declared or known holds",  # stopped, and yet it had come to its end
        case(Exited(0), PROVE_AIMED, last_step=1000, told="stop", told_by="request 4", final=WHOLE),
        ("finished", "none", True, "completed", "step+artefact", "yes"),
        f"exit 0 at step 1000 of 1000; {WHOLE.why}",
    ),
    (
        "exit 0, and what was declared or known holds",  # nobody saw a step, but for that of the whole checkpoint
        case(Exited(0), AIMED, final=WHOLE),
        ("finished", "none", True, "completed", "step+artefact", "yes"),
        f"exit 0 at step 1000 of 1000; {WHOLE.why}",
    ),
    (
        "exit 0, and what was declared or known holds",  # its own trainer's total, and nobody else's
        case(Exited(0), final=replace(WHOLE, total=1000)),
        ("finished", "none", True, "completed", "step+artefact", "yes"),
        f"exit 0 at step 1000 of 1000; {WHOLE.why}",
    ),
    (
        "exit 0, and what was declared or known holds",  # the last steps were not saved
        case(Exited(0), AIMED, last_step=1000, final=EARLIER),
        ("finished", "none", True, "completed", "step", "yes"),
        f"exit 0 at step 1000 of 1000; {EARLIER.why}",
    ),
    (
        "exit 0, and what was declared or known holds",
        case(Exited(0), AIMED, last_step=1000, final=UNCHECKED),
        ("finished", "none", True, "completed", "step", "yes"),
        f"exit 0 at step 1000 of 1000; {UNCHECKED.why}",
    ),
    (
        "exit 0, and what was declared or known holds",  # a person's sign outranks the trainer's own total
        case(Exited(0), WHEN, done=True, final=CUT),
        ("finished", "none", True, "completed", "exit", "yes"),
        f"exit 0; --done-when holds; {CUT.why}",
    ),
    (
        "exit 0, and what was declared or known holds",  # the earlier attempt was killed after its last checkpoint
        case(Exited(0), AIMED, had=True, resumed_step=1000),
        ("finished", "none", True, "completed", "step", "yes"),
        "exit 0 at step 1000 of 1000",
    ),
    (
        "exit 0, and what was declared or known holds",
        case(Exited(0), WHEN, done=True),
        ("finished", "none", True, "completed", "exit", "yes"),
        "exit 0; --done-when holds",
    ),
    (
        "nobody saw its exit, but its own record says that it was done",
        case(Lost("adopted"), AIMED, last_step=1000, last_words=("rank 0: done at step 1000",)),
        ("finished", "none", True, "completed", "step", "yes"),
        "nobody saw its exit, but its own record says done at step 1000 of 1000",
    ),
    ("stalled", case(Signalled(9), told="stop", told_by=STALL),
     ("failed", "hang_train", False, None, None, "yes"), STALL),
    ("stalled", case(Exited(0), told="stop", told_by="stall: no progress for 9 s (limit 8 s, section eval)"),
     ("failed", "hang_eval", False, None, None, "yes"), "stall: no progress for 9 s (limit 8 s, section eval)"),
    ("began anew although it was told where to go on from",
     case(Signalled(9), told="stop-now", told_by="resume_ignored: its first step was 1"),  # P8
     ("failed", "resume_ignored", False, "failed", None, "never"), "resume_ignored: its first step was 1"),
    ("out of time", case(Exited(0), told="stop", told_by="timeout: 3600 s"),
     ("failed", "time_limit", False, "failed", None, "never"), "timeout: 3600 s"),
    ("no checkpoint could be resumed from", case(NeverBegan("no_valid_checkpoint: a: torn")),
     ("never-began", "no_valid_checkpoint", False, "failed", None, "never"), "no_valid_checkpoint: a: torn"),
    ("it is not what it was locked to", case(NeverBegan("lock_changed: base_model: a -> b"), before=9),
     ("never-began", "lock_changed", True, "failed", None, "changed"), "lock_changed: base_model: a -> b"),
    ("its code was changed, and nobody asked for this start", case(NeverBegan("code-changed: code: a -> b"), before=9),
     ("never-began", "code_changed", True, None, None, "changed"), "code-changed: code: a -> b"),
    ("what it needs is not there", case(NeverBegan("missing: base_model: /models/base is not there"), before=99),
     ("never-began", "files_missing", True, None, None, "yes"), "missing: base_model: /models/base is not there"),
    ("called off before it began", case(NeverBegan("called off: pause was asked for"), before=99),
     ("never-began", "called_off", True, None, None, "yes"), "called off: pause was asked for"),
    ("could not be started", case(NeverBegan("spawn failed: no such file")),
     ("never-began", "spawn_failed", False, None, None, "yes"), "spawn failed: no such file"),
    ("never began", case(NeverBegan("its runner died"), before=NEVER_BEGAN_FREE - 1),
     ("never-began", "never_began", True, None, None, "yes"), "its runner died"),
    ("never began, time and again", case(NeverBegan("its runner died"), before=NEVER_BEGAN_FREE),
     ("never-began", "never_began", False, None, None, "yes"), "its runner died"),
    ("stopped on request", case(Signalled(15), told="stop", told_by="request 4"),
     ("interrupted", "stopped", True, None, None, "yes"), "stopped (request 4); signal 15"),
    ("stopped on request", case(Exited(0), told="pause", told_by="request 0"),
     ("interrupted", "stopped", True, None, None, "yes"), "stopped (request 0); exit 0"),
    ("stopped on request", case(Exited(0), AIMED, told="stop-now", told_by="request 4", last_step=999),
     ("interrupted", "stopped", True, None, None, "yes"), "stopped (request 4); exit 0"),
    ("stopped on request", case(Exited(0), WHEN, told="stop", told_by="request 4", done=False),
     ("interrupted", "stopped", True, None, None, "yes"), "stopped (request 4); exit 0"),
    ("lost on request", case(Lost("its runner died"), told="stop", told_by="request 4"),
     ("lost", "lost", True, None, None, "yes"), "stopped (request 4); its runner died"),
    ("requeued by its scheduler", case(Lost("REQUEUED"), word=Word("REQUEUED")),
     ("lost", "requeued", True, None, None, "yes"), "REQUEUED"),
    ("over, and its backend says why", case(Lost("REBOOT: began anew"), word=Word("REBOOT", "began anew")),
     ("lost", "reboot", False, None, None, "yes"), "REBOOT: began anew"),
    ("stopped on request", case(Exited(0), AIMED, told="stop", told_by="request 4", last_step=1000, final=SICK),
     ("interrupted", "stopped", True, None, None, "yes"), "stopped (request 4); exit 0"),
    ("over, and nobody can say how",  # its record says done, and its weights are none
     case(Lost("adopted"), AIMED, last_step=1000, last_words=("rank 0: done at step 1000",), final=SICK),
     ("lost", "lost", False, None, None, "yes"), "adopted"),
    ("over, and nobody can say how", case(Lost("adopted")),
     ("lost", "lost", False, None, None, "yes"), "adopted"),
    ("over, and nobody can say how", case(Lost("X: y"), word=Word("X", "y")),
     ("lost", "lost", False, None, None, "yes"), "X: y"),
    ("over, and nobody can say how",  # its record says done, and its step does not
     case(Lost("adopted"), AIMED, last_step=999, last_words=("rank 0: done at step 999",)),
     ("lost", "lost", False, None, None, "yes"), "adopted"),
    ("over, and nobody can say how",  # its step is there, and one rank does not say done
     case(Lost("adopted"), AIMED, last_step=1000,
          last_words=("rank 0: done at step 1000", "rank 1: running at step 1000")),
     ("lost", "lost", False, None, None, "yes"), "adopted"),
    ("over, and nobody can say how", case(Lost("adopted"), AIMED, last_step=1000),
     ("lost", "lost", False, None, None, "yes"), "adopted"),
    ("stopped by itself, to be resumed", case(Exited(75)),
     ("interrupted", "stopped_itself", False, None, None, "yes"), "exit 75: stopped by itself, resumable"),
    ("stopped by itself, to be resumed",  # P4: the ranks exit with 75, torchrun returns 1
     case(Exited(1), last_words=("rank 0: stopped at step 120", "rank 3: running at step 119")),
     ("interrupted", "stopped_itself", False, None, None, "yes"), "exit 1: stopped by itself, resumable"),
    ("stopped by itself, to be resumed", case(Exited(0), last_words=("rank 0: stopped at step 120",)),
     ("interrupted", "stopped_itself", False, None, None, "yes"), "exit 0: stopped by itself, resumable"),
    ("a signal from outside", case(Signalled(15)),
     ("interrupted", "signal_from_outside", False, None, None, "yes"), "signal 15, from outside"),
    ("a signal from outside", case(Exited(143)),
     ("interrupted", "signal_from_outside", False, None, None, "yes"), "exit 143, from outside"),
    ("a signal from outside", case(Exited(0), told="stop", told_by="signal 15 to the runner"),
     ("interrupted", "signal_from_outside", False, None, None, "yes"),
     "exit 0, from outside (signal 15 to the runner)"),
    ("exit 0, but its newest checkpoint is torn", case(Exited(0), AIMED, last_step=1000, final=TORN),
     ("early_exit", "torn_checkpoint", False, None, None, "yes"), f"exit 0, but {TORN.why}"),
    ("exit 0, but its newest checkpoint is torn", case(Exited(0), final=TORN),
     ("early_exit", "torn_checkpoint", False, None, None, "yes"), f"exit 0, but {TORN.why}"),
    ("exit 0, but --done-when does not hold", case(Exited(0), WHEN, done=False),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0, but --done-when file:done does not hold"),
    ("exit 0, but --done-when does not hold",
     case(Exited(0), replace(WHEN, target_step=10), done=False, last_step=10),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0, but --done-when file:done does not hold"),
    ("exit 0, short of the target", case(Exited(0), AIMED, last_step=999),  # R14
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0 at step 999 of 1000"),
    ("exit 0, short of the target", case(Exited(0), total=20_000, last_step=580),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0 at step 580 of 20000"),
    ("exit 0, short of the target", case(Exited(0), AIMED, last_step=580, done=True),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0 at step 580 of 1000"),
    ("exit 0, short of the target",  # early stopping is no target of a person
     case(Exited(0), AIMED, last_step=9, last_words=("rank 0: done at step 9",)),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0 at step 9 of 1000"),
    ("exit 0, short of the target",  # nor is it where one rank does not say so
     case(Exited(0), total=20, last_step=9, last_words=("rank 0: done at step 9", "rank 1: running at step 9")),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0 at step 9 of 20"),
    ("exit 0, short of the target", case(Exited(0), total=100),
     ("early_exit", "early_exit", False, None, None, "yes"), "exit 0 at step 0 of 100"),
    ("exit 0, and its newest checkpoint says that it was stopped before its end",  # R14: nobody saw a step
     case(Exited(0), final=CUT),
     ("interrupted", "stopped_itself", False, None, None, "yes"), f"exit 0, but {CUT.why}"),
    ("exit 0, and its newest checkpoint says that it was stopped before its end",
     case(Exited(0), replace(SPEC, target_step=20_000), final=CUT),
     ("interrupted", "stopped_itself", False, None, None, "yes"), f"exit 0, but {CUT.why}"),
    ("exit 0, but what has to prove it does not", case(Exited(0), PROVE),
     ("early_exit", "no_proof", False, None, None, "yes"),
     "exit 0, but no step was seen that proves it (--require-proof step)"),
    ("exit 0, but what has to prove it does not", case(Exited(0), PROVE_AIMED, done=True),
     ("early_exit", "no_proof", False, None, None, "yes"),
     "exit 0, but no step was seen that proves it; no checkpoint was looked at, and that proves nothing "
     "(--require-proof step+artefact)"),
    ("exit 0, but what has to prove it does not",
     case(Exited(0), PROVE_ARTEFACT, last_step=5, total=5, final=UNCHECKED),
     ("early_exit", "no_proof", False, None, None, "yes"),
     f"exit 0, but {UNCHECKED.why}, and that proves nothing (--require-proof artefact)"),
    ("exit 0, but what has to prove it does not", case(Exited(0), PROVE_AIMED, last_step=1000, final=EARLIER),
     ("early_exit", "no_proof", False, None, None, "yes"),
     f"exit 0, but {EARLIER.why}, and that proves nothing (--require-proof step+artefact)"),
    ("exit 0, and nothing was declared", case(Exited(0), PROVE_ARTEFACT, final=WHOLE),
     ("finished", "none", True, "completed", "artefact", "yes"), f"exit 0; {WHOLE.why}"),
    ("exit 0, and nothing was declared", case(Exited(0), final=UNCHECKED),
     ("finished", "none", True, "completed", "exit", "yes"), f"exit 0; {UNCHECKED.why}"),
    ("exit 0, and nothing was declared",  # early stopping, by the training's own word
     case(Exited(0), final=CUT, last_words=("rank 0: done at step 580",)),
     ("finished", "none", True, "completed", "exit", "yes"), f"exit 0; {CUT.why}"),
    ("exit 0, and nothing was declared",  # how far it came after its newest checkpoint nobody knows
     case(Exited(0), final=replace(CUT, cut=False)),
     ("finished", "none", True, "completed", "exit", "yes"), f"exit 0; {CUT.why}"),
    ("exit 0, and nothing was declared", case(Exited(0)),
     ("finished", "none", True, "completed", "exit", "yes"), "exit 0"),
    ("exit 0, and nothing was declared",  # early stopping
     case(Exited(0), total=20, last_step=9, last_words=("rank 0: done at step 9", "rank 1: done at step 9")),
     ("finished", "none", True, "completed", "exit", "yes"), "exit 0"),
    ("exit 0, and nothing was declared", case(Exited(0), AIMED),
     ("finished", "none", True, "completed", "exit", "yes"), "exit 0"),
    ("its disk was full", case(Exited(1), room=room("full")),  # L25, R10
     ("failed", "disk_full", True, None, None, "yes"),
     "exit 1: 100 bytes are free at out, and a checkpoint needs 4.0 KB"),
    ("its disk was full", case(Signalled(7), room=room(inodes=0)),
     ("failed", "disk_full", True, None, None, "yes"), "signal 7: out has no inode left: too many files"),
    ("its disk was full, time and again", case(Exited(1), full=3, room=room("unwritten")),
     ("failed", "disk_full", False, None, None, "yes"),
     "exit 1: 100 bytes are free at out, and a checkpoint needs 4.0 KB, and so it was 3 times before"),
    ("a quota was exceeded", case(Exited(1), room=room("quota", 10**9)),  # R11
     ("failed", "quota", False, None, None, "yes"),
     "exit 1: its disk quota is exceeded; free some space, or ask for more"),
    ("it says that a disk was full", case(Exited(1), room=room("full", 5_200_000_000)),
     ("failed", "disk_full", False, None, None, "yes"),
     "exit 1: it says that there was no space left; 5.2 GB are free at out, and a checkpoint needs 4.0 KB"),
    ("killed by the kernel for memory", case(Signalled(9), oom_kills=2),
     ("failed", "host_oom_kill", False, None, None, "once"),
     "signal 9; the kernel's out-of-memory killer acted 2 times in its cgroup"),
    ("killed, and nobody knows by whom", case(Signalled(9), oom_kills=0),  # L3
     ("failed", "sigkill_unknown", False, None, None, "yes"), "signal 9: killed, cause unknown"),
    ("killed, and nobody knows by whom", case(Signalled(9), room=room()),
     ("failed", "sigkill_unknown", False, None, None, "yes"), "signal 9: killed, cause unknown"),
    ("killed, and nobody knows by whom", case(Exited(137)),
     ("failed", "sigkill_unknown", False, None, None, "yes"), "exit 137: killed, cause unknown"),
    ("a signal of its own", case(Signalled(11, core=True)),
     ("failed", "signal", False, None, None, "yes"), "signal 11 (core dumped)"),
    ("any other exit", case(Exited(1), room=room()), ("failed", "exit", False, None, None, "yes"), "exit 1"),
    ("any other exit", case(Exited(1)), ("failed", "exit", False, None, None, "yes"), "exit 1"),
    ("any other exit", case(Exited(1), last_words=("rank 0: done at step 9",)),
     ("failed", "exit", False, None, None, "yes"), "exit 1"),
    ("any other exit", case(Exited(139)), ("failed", "exit", False, None, None, "yes"), "exit 139"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "one", "expected", "why"), TABLE)
def test_each_ending_is_read_by_its_row(row: str, one: Case, expected: tuple[Any, ...], why: str) -> None:
    name, reading = read(one)
    assert name == row
    verdict, cause, free, closing, proof, restart = expected
    assert (reading.verdict, reading.cause.name, reading.free) == (verdict, cause, free)
    assert (reading.closing, reading.proof, reading.cause.restart) == (closing, proof, restart)
    assert (reading.why, reading.cause.why) == (why, why)


def test_every_row_is_reached_by_some_ending() -> None:
    assert [rule.name for rule in RULES] == list(dict.fromkeys(row for row, *_ in TABLE))


def test_the_rows_that_guess_say_that_they_are_not_sure() -> None:
    unsure = {rule.name for rule in RULES if not rule.sure}
    assert unsure == {
        "lost on request",
        "it says that a disk was full",
        "over, and nobody can say how",
        "killed, and nobody knows by whom",
        "a signal of its own",
        "any other exit",
    }
    for row, one, *_ in TABLE:
        confidence = read(one)[1].cause.confidence
        assert confidence == ("unknown" if row in unsure else "sure")


def test_i6_only_an_exit_of_zero_or_its_own_record_of_the_last_step_is_success() -> None:
    for row, one, *_ in TABLE:
        if read(one)[1].closing == "completed":
            honest = one.lost and one.reached and set(one.words) == {"done"}
            assert one.code == 0 or honest, row


@pytest.mark.parametrize("number", FROM_OUTSIDE)
def test_hup_int_and_term_that_nobody_here_sent_come_from_outside(number: int) -> None:
    assert read(case(Signalled(number)))[1].cause.name == "signal_from_outside"
    assert read(case(Exited(128 + number)))[1].cause.name == "signal_from_outside"
    assert FROM_OUTSIDE == (1, 2, 15)


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("REBOOT", "reboot"),
        ("NAMESPACE-ENDED", "container_ended"),
        ("PREEMPTED", "preempted"),
        ("NODE_FAIL", "node_fail"),
        ("BOOT_FAIL", "node_fail"),
        ("TIMEOUT", "time_limit"),
    ],
)
def test_a_backends_word_names_the_cause_of_what_nobody_saw(state: str, cause: str) -> None:
    assert read(case(Lost(state), word=Word(state)))[1].cause.name == cause
    assert set(WORD_CAUSES) == {
        "REBOOT", "NAMESPACE-ENDED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "TIMEOUT",
    }  # fmt: skip


def test_a_shells_code_for_another_signal_is_a_code() -> None:
    assert case(Exited(129)).signal == 1
    assert case(Exited(139)).signal is None
    assert case(Exited(0)).signal is None
    assert case(Signalled(11)).signal == 11
    assert case(Lost("")).signal is None


def test_the_declared_target_outranks_the_one_that_the_training_reports() -> None:
    assert case(Exited(0), AIMED, total=10).target == 1000
    assert case(Exited(0), total=10).target == 10
    assert case(Exited(0)).target is None


def test_a_resumed_step_counts_as_reached_and_not_as_trained() -> None:
    resumed = case(Exited(0), AIMED, resumed_step=1000)
    assert (resumed.step, resumed.reached, resumed.trained) == (1000, True, False)
    assert case(Exited(0), AIMED, resumed_step=400, last_step=401).trained
    assert not case(Exited(0), AIMED, resumed_step=400, last_step=400).trained
    assert not case(Exited(0), AIMED, last_step=0).trained
    assert case(Exited(0), AIMED, last_step=1).trained


def test_a_step_that_nobody_saw_is_no_shortfall() -> None:
    assert not case(Exited(0), AIMED, resumed_step=500).short
    assert case(Exited(0), AIMED, resumed_step=500, total=1000).short  # it shows its steps, and showed none
    assert not case(Exited(0), AIMED, resumed_step=1000, total=1000).short
    assert not case(Exited(0)).short
    assert case(Exited(0), AIMED, resumed_step=500, last_step=600).short


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("rank 0: stopped at step 120", "stopped"),
        ("rank 12: do-not-restart at step 0", "do-not-restart"),
        ("done", "done"),
        ("0:running", "running"),
        ("rank 2: left at step 40", "running"),
        ("rank 3: mumbled", ""),
        ("", ""),
    ],
)
def test_a_ranks_last_word_is_found_in_what_the_runner_wrote(said: str, word: str) -> None:
    assert case(Exited(1), last_words=(said,)).words == {word}


def test_an_ending_of_a_newer_version_with_unknown_words_is_no_success() -> None:
    strange: Ending = ending(Lost("?"), last_words=("rank 0: triumphed",), last_step=10, total=10)
    assert read(Case(SPEC, strange))[1].verdict == "lost"


def test_a_checkpoint_of_before_the_attempt_is_no_proof_of_what_it_trained_since() -> None:
    old = replace(WHOLE, step=10, path="ckpt/step-10", why="ckpt/step-10 is whole at level L1 and finite")
    one = case(Exited(0), PROVE_ARTEFACT, final=old, resumed_step=10, last_step=200)
    reading = read(one)[1]
    assert (reading.verdict, reading.closing) == ("early_exit", None)
    assert "of before step 200, which nothing holds" in reading.why
    assert (
        read(case(Exited(0), PROVE_ARTEFACT, final=old, resumed_step=10, last_step=10))[1].closing
        == "completed"
    )
