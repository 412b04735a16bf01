"""How each ending is read: one table, top down. The first row whose condition holds speaks; the last holds always.

Knows what the runner wrote into exit.json and what was asked of the run. Refuses to know budgets: what a charge leads
to is decided in `decide/policy`.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from outlast.errors import DO_NOT_RESTART, RESUME_ME
from outlast.facts import Cause, Ending, Exited, Lost, NeverBegan, Outcome, Proof, Signalled, Spec
from outlast.facts.closed import assert_never
from outlast.facts.entries import AttemptVerdict

NO_VALID_CHECKPOINT, SPAWN_FAILED, CALLED_OFF = "no_valid_checkpoint", "spawn failed", "called off"
NEVER_BEGAN, NO_CAUSE = "never_began", "none"
# The last word of a rank, in the page it shares, and as what it is read. A training that was left early, without a
# word, is no more done than one that runs.
WORDS = {
    "running": "running", "left": "running", "stopped": "stopped", "done": "done", "do-not-restart": "do-not-restart",
}  # fmt: skip
FROM_OUTSIDE = (1, 2, 15)  # HUP, INT, TERM that nobody here sent: reboot, administrator, preemption
KILL = 9
REQUEUED = "REQUEUED"
NEVER_BEGAN_FREE = (
    3  # in a row: no training instruction ran, so they cost nothing; but nothing goes on for ever
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


class Case(NamedTuple):
    """An ending, and what it is measured by. `had_progress`: an earlier attempt of this run got on; `never_began_yet`:
    how many attempts in a row before this one did not begin, though nobody called them off."""

    spec: Spec
    ending: Ending
    had_progress: bool = False
    never_began_yet: int = 0

    @property
    def target(self) -> int | None:
        return self.spec.target_step if self.spec.target_step is not None else self.ending.total

    @property
    def step(self) -> int | None:
        """The highest step it stood at: one that it reached, or resumed from."""
        steps = (self.ending.last_step, self.ending.resumed_step)
        return max((step for step in steps if step is not None), default=None)

    @property
    def reached(self) -> bool:
        return self.target is not None and self.step is not None and self.step >= self.target

    @property
    def short(self) -> bool:
        """A shortfall that is known. A step that nobody saw is none, unless the training is one that shows them. Who
        says `done` (early stopping) knows better than its own total, and not better than a person's target."""
        shown = self.ending.last_step is not None or self.ending.total is not None
        says_done = self.spec.target_step is None and self.words == {"done"}
        return self.target is not None and shown and not self.reached and not says_done

    @property
    def trained(self) -> bool:
        """Whether it went beyond the step that it resumed from."""
        return self.ending.seen_step is not None and self.ending.seen_step > (self.ending.resumed_step or 0)

    @property
    def proven(self) -> bool:
        """What was declared or is known about completion holds, and something does."""
        if self.ending.done is False or (self.wants_step and not self.reached):
            return False
        return self.reached or (self.ending.done is True and not self.short)

    @property
    def wants_step(self) -> bool:
        return "step" in self.spec.require_proof

    @property
    def code(self) -> int | None:
        return self.ending.exit.code if isinstance(self.ending.exit, Exited) else None

    @property
    def signal(self) -> int | None:
        """Also one that killed the training's command inside a shell, which makes 128 + signal of it."""
        if isinstance(self.ending.exit, Signalled):
            return self.ending.exit.signal
        return self.code - 128 if self.code is not None and self.code - 128 in (*FROM_OUTSIDE, KILL) else None

    @property
    def words(self) -> frozenset[str]:
        return frozenset(map(_last_word, self.ending.last_words))

    @property
    def told(self) -> bool:
        """Stopped by us because somebody asked for it (a signal to the runner comes from outside)."""
        return self.ending.told != "run" and not self.ending.told_by.startswith("signal")

    @property
    def hurt_from_outside(self) -> bool:
        by_the_runner = self.ending.told != "run" and self.ending.told_by.startswith("signal")
        return by_the_runner or self.signal in FROM_OUTSIDE

    @property
    def out_of_time(self) -> str:
        """The limit is the run's; its last runner only knew what the earlier attempts had left of it."""
        limit_s = self.spec.timeout_s
        if limit_s is None:
            return self.ending.told_by
        return f"timeout: its attempts lasted longer than {limit_s:g} s together (--timeout)"

    def never_began(self, prefix: str) -> bool:
        return isinstance(self.ending.exit, NeverBegan) and self.ending.exit.why.startswith(prefix)

    @property
    def lost(self) -> bool:
        return isinstance(self.ending.exit, Lost)

    @property
    def how(self) -> str:
        match self.ending.exit:
            case Exited(code=code):
                return f"exit {code}"
            case Signalled(signal=signal, core=core):
                return f"signal {signal}" + " (core dumped)" * core
            case NeverBegan(why=why) | Lost(why=why):
                return why
            case _:
                assert_never(self.ending.exit)


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
            proof = "step" if case.reached else "exit"
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
        "exit 0, and what was declared or known holds",
        lambda case: case.code == 0 and case.proven,
        "finished", NO_CAUSE,
        lambda case: f"exit 0 at step {case.step} of {case.target}" if case.reached else "exit 0; --done-when holds",
        free=True, closing="completed",
    ),
    Rule(
        "nobody saw its exit, but its own record says that it was done",
        lambda case: case.lost and case.reached and case.words == {"done"},
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
        "exit 0, but a step has to prove it",
        lambda case: case.code == 0 and case.wants_step,
        "early_exit", "no_proof",
        lambda case: f"exit 0, but no step was seen that proves it (--require-proof {case.spec.require_proof})",
    ),
    Rule(
        "exit 0, and nothing was declared",
        lambda case: case.code == 0,
        "finished", NO_CAUSE, lambda case: "exit 0", free=True, closing="completed",
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


def _began_at_target(case: Case) -> bool:
    step = case.ending.resumed_step
    return step is not None and case.target is not None and step >= case.target


def _last_word(said: str) -> str:
    """ "rank 0: stopped at step 120" -> "stopped"."""
    for word in said.replace(":", " ").split():
        if word in WORDS:
            return WORDS[word]
    return ""


def _section(told_by: str) -> str:
    """ "stall: no progress for 61 s (limit 60 s, section first step)" -> "first_step"; without one: "train"."""
    section = told_by.rpartition(", section ")[2].rstrip(")") if ", section " in told_by else "train"
    return section.replace(" ", "_")
