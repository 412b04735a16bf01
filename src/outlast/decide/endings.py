"""How each ending is read: one table, top down. The first row whose condition holds speaks; the last holds always.

Knows which of two readings of one ending goes first. Refuses to know budgets: what a charge leads to is decided in
`decide/policy`, and what a condition means in `decide/case`.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from outlast.decide.case import DISK_FULL, KILL, NONFINITE_LOSS
from outlast.decide.case import FROM_OUTSIDE as FROM_OUTSIDE
from outlast.decide.case import Case as Case
from outlast.errors import DO_NOT_RESTART, RESUME_ME
from outlast.facts import Cause, Outcome, Proof
from outlast.facts.entries import AttemptVerdict

NO_VALID_CHECKPOINT, SPAWN_FAILED, CALLED_OFF = "no_valid_checkpoint", "spawn failed", "called off"
LOCK_CHANGED, CODE_CHANGED, CODE_CHANGED_CAUSE = "lock_changed", "code-changed", "code_changed"
NEVER_BEGAN, NO_CAUSE = "never_began", "none"
FILES_MISSING, FILES_MISSING_WORDS = "files_missing", "missing: "  # as work/locked begins its refusal
NO_PROOF = "no_proof"
RESUME_IGNORED = "resume_ignored"
REQUEUED = "REQUEUED"
NEVER_BEGAN_FREE = (
    3  # in a row: no training instruction ran, so they cost nothing; but nothing goes on for ever
)
FULL_FREE = (
    3  # in a row: it waits for room and costs nothing; but a checkpoint may need more than the last one did
)
# What a backend's own word says of an attempt whose end nobody saw.
WORD_CAUSES = {
    "REBOOT": "reboot",
    "NAMESPACE-ENDED": "container_ended",
    "PREEMPTED": "preempted",
    "NODE_FAIL": "node_fail",
    "BOOT_FAIL": "node_fail",
    "TIMEOUT": "time_limit",
}
Restart = Literal["yes", "changed", "once", "never"]


class Reading(NamedTuple):
    """`free`: never charged (else: only with progress). `closing`: the run is over with it, whatever the budget."""

    verdict: AttemptVerdict
    cause: Cause
    free: bool
    why: str
    closing: Outcome | None = None
    proof: Proof | None = None


class Rule(NamedTuple):
    """One row. `cause` and `why` are words, or made from the case."""

    name: str
    when: Callable[[Case], bool]
    verdict: AttemptVerdict
    cause: str | Callable[[Case], str]
    why: Callable[[Case], str]
    free: bool = False
    restart: Restart = "yes"
    sure: bool = True
    closing: Outcome | None = None

    def reading(self, case: Case) -> Reading:
        why = self.why(case)
        cause = Cause(
            self.cause if isinstance(self.cause, str) else self.cause(case),
            "sure" if self.sure else "unknown",
            self.restart,
            why=why,
        )
        proof: Proof | None = None
        if self.closing == "completed":
            proof = _proof(case)
        return Reading(self.verdict, cause, self.free, why, self.closing, proof)


RULES: tuple[Rule, ...] = (
    Rule(
        "asked not to be restarted",
        lambda case: case.code == DO_NOT_RESTART or "do-not-restart" in case.words,
        "failed", "do_not_restart", lambda case: f"{case.how}: the training asked not to be restarted",
        restart="never", closing="failed",
    ),
    Rule(
        "nothing was left to train",
        lambda case: case.code == 0 and _began_at_target(case) and not case.trained and not case.had_progress,
        "no-op", "no_op",
        lambda case: f"nothing was trained: resumed at step {case.ending.resumed_step}, the target is {case.target}",
        free=True, restart="never", closing="no-op",
    ),
    Rule(
        "its losses or its weights are no numbers any more",
        lambda case: case.diverged,
        "failed", NONFINITE_LOSS, lambda case: case.how_diverged, restart="once",
    ),
    Rule(
        "exit 0, and what was declared or known holds",
        lambda case: case.code == 0 and case.proven,
        "finished", NO_CAUSE,
        lambda case: _with_artefact(
            case, f"exit 0 at step {case.step} of {case.target}" if case.reached else "exit 0; --done-when holds"
        ),
        free=True, closing="completed",
    ),
    Rule(
        "nobody saw its exit, but its own record says that it was done",
        lambda case: case.lost and case.proven and case.reached and case.words == {"done"},
        "finished", NO_CAUSE,
        lambda case: f"nobody saw its exit, but its own record says done at step {case.step} of {case.target}",
        free=True, closing="completed",
    ),
    Rule(
        "stalled",
        lambda case: case.ending.told_by.startswith("stall"),
        "failed", lambda case: f"hang_{_section(case.ending.told_by)}", lambda case: case.ending.told_by,
    ),
    Rule(
        "began anew although it was told where to go on from",
        lambda case: case.ending.told_by.startswith(RESUME_IGNORED),
        "failed", RESUME_IGNORED, lambda case: case.ending.told_by, restart="never", closing="failed",
    ),
    Rule(
        "out of time",
        lambda case: case.ending.told_by.startswith("timeout"),
        "failed", "time_limit", lambda case: case.out_of_time, restart="never", closing="failed",
    ),
    Rule(
        "no checkpoint could be resumed from",
        lambda case: case.never_began(NO_VALID_CHECKPOINT),
        "never-began", NO_VALID_CHECKPOINT, lambda case: case.how, restart="never", closing="failed",
    ),
    Rule(
        "it is not what it was locked to",
        lambda case: case.never_began(LOCK_CHANGED),
        "never-began", LOCK_CHANGED, lambda case: case.how, free=True, restart="changed", closing="failed",
    ),
    Rule(
        "its code was changed, and nobody asked for this start",  # P9: the run is held until a person does
        lambda case: case.never_began(CODE_CHANGED),
        "never-began", CODE_CHANGED_CAUSE, lambda case: case.how, free=True, restart="changed",
    ),
    Rule(
        "what it needs is not there",  # a mount that is gone for a while: asked for again, and costs nothing
        lambda case: case.never_began(FILES_MISSING_WORDS),
        "never-began", FILES_MISSING, lambda case: case.how, free=True,
    ),
    Rule(
        "called off before it began",
        lambda case: case.never_began(CALLED_OFF),
        "never-began", "called_off", lambda case: case.how, free=True,
    ),
    Rule(
        "could not be started",
        lambda case: case.never_began(SPAWN_FAILED),
        "never-began", "spawn_failed", lambda case: case.how,
    ),
    Rule(
        "never began",
        lambda case: case.never_began("") and case.never_began_yet < NEVER_BEGAN_FREE,
        "never-began", NEVER_BEGAN, lambda case: case.how, free=True,
    ),
    Rule(
        "never began, time and again",
        lambda case: case.never_began(""),
        "never-began", NEVER_BEGAN, lambda case: case.how,
    ),
    Rule(
        "stopped on request",
        lambda case: case.told and not case.lost,
        "interrupted", "stopped", lambda case: f"stopped ({case.ending.told_by}); {case.how}", free=True,
    ),
    Rule(
        "lost on request",  # it was being stopped, and nobody saw it go
        lambda case: case.told,
        "lost", "lost", lambda case: f"stopped ({case.ending.told_by}); {case.how}", free=True, sure=False,
    ),
    Rule(
        "requeued by its scheduler",  # P2: the same job goes on as the next attempt
        lambda case: case.lost and case.ending.word is not None and case.ending.word.state == REQUEUED,
        "lost", "requeued", lambda case: case.how, free=True,
    ),
    Rule(
        "over, and its backend says why",
        lambda case: case.lost and case.ending.word is not None and case.ending.word.state in WORD_CAUSES,
        "lost", lambda case: WORD_CAUSES[case.ending.word.state] if case.ending.word else "lost",
        lambda case: case.how,
    ),
    Rule(
        "over, and nobody can say how",
        lambda case: case.lost,
        "lost", "lost", lambda case: case.how, sure=False,
    ),
    Rule(
        "stopped by itself, to be resumed",  # the ranks' words outrank the 1 that a launcher makes of everything
        lambda case: case.code == RESUME_ME or (case.code is not None and "stopped" in case.words),
        "interrupted", "stopped_itself", lambda case: f"{case.how}: stopped by itself, resumable",
    ),
    Rule(
        "a signal from outside",
        lambda case: case.hurt_from_outside,
        "interrupted", "signal_from_outside",
        lambda case: f"{case.how}, from outside" + f" ({case.ending.told_by})" * bool(case.ending.told_by),
    ),
    Rule(
        "exit 0, but its newest checkpoint is torn",
        lambda case: case.code == 0 and case.worth == "torn",
        "early_exit", "torn_checkpoint", lambda case: f"exit 0, but {case.artefact}",
    ),
    Rule(
        "exit 0, but --done-when does not hold",
        lambda case: case.code == 0 and case.ending.done is False,
        "early_exit", "early_exit", lambda case: f"exit 0, but --done-when {case.spec.done_when} does not hold",
    ),
    Rule(
        "exit 0, short of the target",
        lambda case: case.code == 0 and case.short,
        "early_exit", "early_exit", lambda case: f"exit 0 at step {case.step or 0} of {case.target}",
    ),
    Rule(
        "exit 0, and its newest checkpoint says that it was stopped before its end",  # R14
        lambda case: case.code == 0 and case.is_cut,
        "interrupted", "stopped_itself",
        lambda case: f"exit 0, but {case.artefact}",
    ),
    Rule(
        "exit 0, but what has to prove it does not",
        lambda case: case.code == 0 and bool(case.unproven),
        "early_exit", NO_PROOF,
        lambda case: f"exit 0, but {case.unproven} (--require-proof {case.spec.require_proof})",
    ),
    Rule(
        "exit 0, and nothing was declared",
        lambda case: case.code == 0,
        "finished", NO_CAUSE, lambda case: _with_artefact(case, "exit 0"), free=True, closing="completed",
    ),
    Rule(
        "its disk was full",
        lambda case: case.lacked_room and case.is_short and case.full_yet < FULL_FREE,
        "failed", DISK_FULL, lambda case: f"{case.how}: {case.shortage}", free=True,
    ),
    Rule(
        "its disk was full, time and again",
        lambda case: case.lacked_room and case.is_short,
        "failed", DISK_FULL, lambda case: f"{case.how}: {case.shortage}, and so it was {case.full_yet} times before",
    ),
    Rule(
        "a quota was exceeded",
        lambda case: case.lacked_room and case.said == "quota",
        "failed", "quota", lambda case: f"{case.how}: its disk quota is exceeded; free some space, or ask for more",
    ),
    Rule(
        "it says that a disk was full",
        lambda case: case.lacked_room and case.said == "full",
        "failed", DISK_FULL, lambda case: f"{case.how}: it says that there was no space left; {case.shortage}",
        sure=False,
    ),
    Rule(
        "killed by the kernel for memory",
        lambda case: case.signal == KILL and bool(case.ending.oom_kills),
        "failed", "host_oom_kill",
        lambda case: f"{case.how}; the kernel's out-of-memory killer acted {case.ending.oom_kills} times in its cgroup",
        restart="once",
    ),
    Rule(
        "killed, and nobody knows by whom",
        lambda case: case.signal == KILL,
        "failed", "sigkill_unknown", lambda case: f"{case.how}: killed, cause unknown", sure=False,
    ),
    Rule(
        "a signal of its own",
        lambda case: case.signal is not None,
        "failed", "signal", lambda case: case.how, sure=False,
    ),
    Rule("any other exit", lambda case: True, "failed", "exit", lambda case: case.how, sure=False),
)  # fmt: skip


def _proof(case: Case) -> Proof:
    if case.has_artefact:
        return "step+artefact" if case.reached else "artefact"
    return "step" if case.reached else "exit"


def _with_artefact(case: Case, why: str) -> str:
    """What was not checked is said."""
    return why if case.ending.final is None else f"{why}; {case.artefact}"


def _began_at_target(case: Case) -> bool:
    step = case.ending.resumed_step
    return step is not None and case.target is not None and step >= case.target


def _section(told_by: str) -> str:
    """ "stall: no progress for 61 s (limit 60 s, section first step)" -> "first_step"; without one: "train"."""
    section = told_by.rpartition(", section ")[2].rstrip(")") if ", section " in told_by else "train"
    return section.replace(" ", "_")
