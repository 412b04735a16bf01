"""What an attempt's end means: its verdict and cause, whether it is charged, how long to wait, whether the run is over.

The rules are read top down, and the first that knows the ending speaks. Not knowing is never success.
"""

from typing import Literal

from outlast.errors import DO_NOT_RESTART, RESUME_ME
from outlast.facts import (
    Book,
    Candidate,
    Cause,
    Ended,
    Ending,
    Exited,
    Fact,
    Lost,
    NeverBegan,
    Outcome,
    Proof,
    Signalled,
    Spec,
)
from outlast.facts.entries import AttemptVerdict

EARLY_DEATHS, EARLY_DEATH_S = 3, 60.0
BACKOFF_MAX_S = 600.0
JITTER = 0.2
FROM_OUTSIDE = {
    1: "SIGHUP",
    2: "SIGINT",
    15: "SIGTERM",
}  # nobody here sent it: reboot, administrator, preemption
Charge = Literal["always", "without-progress", "never"]


class Reading(Fact):
    """What the ending alone says. `closing`: the run is over with it, whatever the budget."""

    verdict: AttemptVerdict
    cause: Cause
    charge: Charge
    why: str
    closing: Outcome | None = None
    proof: Proof | None = None


class Judgement(Fact):
    verdict: AttemptVerdict
    cause: Cause
    charged: bool
    wait_s: float
    progressed: bool
    checkpoint_step: int | None
    closing: Outcome | None
    proof: Proof | None
    why: str


def judge(spec: Spec, book: Book, n: int, ending: Ending, newest: Candidate | None) -> Judgement:
    reading = read(spec, book, ending)
    checkpoint = newest.step if newest is not None else None
    progressed = has_progressed(book, ending, checkpoint)
    charged = reading.charge == "always" and not progressed
    charged = charged or (reading.charge == "without-progress" and not progressed)
    closing, why = reading.closing, reading.why
    cause = reading.cause
    if book.closing is not None:
        closing = book.closing.outcome
    elif closing is None and book.want in ("stop", "stop-now"):
        closing, why = "cancelled", f"{why}; stopped on request"
    elif closing is None and charged and (over := out_of_budget(spec, book, ending, reading)) is not None:
        closing, why = "failed", over
        cause = Cause("crash_loop", why=first_evidence(book, reading))
    return Judgement(
        verdict=reading.verdict,
        cause=cause,
        charged=charged,
        wait_s=0.0 if closing or not charged else backoff_s(spec, book, n),
        progressed=progressed,
        checkpoint_step=checkpoint,
        closing=closing,
        proof=reading.proof,
        why=why,
    )


def read(spec: Spec, book: Book, ending: Ending) -> Reading:
    """The ending's own meaning, without the budget."""
    if ending.told_by.startswith("stall"):
        return Reading("failed", _cause("hang", ending.told_by), "always", ending.told_by)
    if ending.told_by.startswith("timeout"):
        cause = Cause("time_limit", restart="never", why=ending.told_by)
        return Reading("failed", cause, "always", ending.told_by, closing="failed")
    if "do-not-restart" in _words(ending) or ending.exit == Exited(DO_NOT_RESTART):
        cause = Cause("do_not_restart", restart="never", why="the training asked not to be restarted")
        return Reading("failed", cause, "always", cause.why, closing="failed")
    match ending.exit:
        case NeverBegan(why=why):
            return _never_began(why)
        case Lost(why=why):
            return _lost(spec, ending, why)
        case Exited(code=0):
            return _ended_well(spec, book, ending)
        case Exited() | Signalled():
            return _ended_badly(ending)


def has_progressed(book: Book, ending: Ending, checkpoint: int | None) -> bool:
    """A newer checkpoint than ever before; in a run that never had one, steps that no attempt had reached."""
    if checkpoint is not None:
        return not book.had_checkpoint or checkpoint > (book.best_step or 0)
    if book.had_checkpoint or ending.last_step is None:
        return False
    return ending.last_step > (book.best_step or 0)


def out_of_budget(spec: Spec, book: Book, ending: Ending, reading: Reading) -> str | None:
    """Why there is no next attempt after this charged end; None: there is one."""
    charged = 1 + sum(count for _, count in book.charges)
    last = (*book.endings[1 - EARLY_DEATHS :], None)
    if (
        len(last) == EARLY_DEATHS
        and _is_early(ending)
        and all(e is None or _is_early(e.ending) for e in last)
    ):
        if all(e is None or e.charged for e in last):
            return f"{EARLY_DEATHS} deaths before the first step, each within {EARLY_DEATH_S:.0f} s"
    if charged >= spec.attempts_max:
        return f"{charged} attempts without progress (--max-attempts {spec.attempts_max})"
    return None


def first_evidence(book: Book, reading: Reading) -> str:
    """The first death of the loop says more than the last."""
    first: Ended | None = None
    for ended in reversed(book.endings):
        if ended.progressed or not ended.charged:
            break
        first = ended
    return first.why if first is not None else reading.why


def backoff_s(spec: Spec, book: Book, n: int) -> float:
    """Doubling from the run's first wait up to ten minutes, with a jitter that is the same for the same attempt."""
    if spec.inline or spec.backoff_s <= 0:
        return 0.0
    charged = sum(count for _, count in book.charges)
    wait_s = min(BACKOFF_MAX_S, spec.backoff_s * 2.0**charged)
    return round(wait_s * (1 + JITTER * (2 * _chance(f"{spec.run}/{n}") - 1)), 3)


def _never_began(why: str) -> Reading:
    if why.startswith("no_valid_checkpoint"):
        cause = Cause("no_valid_checkpoint", restart="never", why=why)
        return Reading("never-began", cause, "always", why, closing="failed")
    if why.startswith("spawn failed"):
        return Reading("never-began", _cause("spawn_failed", why), "always", why)
    if why.startswith("shut"):
        return Reading("never-began", _cause("called_off", why), "never", why)
    return Reading("never-began", _cause("never_began", why), "without-progress", why)


def _lost(spec: Spec, ending: Ending, why: str) -> Reading:
    """Over, and nobody saw how; the training's own last word may still say that it was done."""
    reached = _reached(spec, ending)
    if reached and "done" in _words(ending):
        why = f"nobody saw the exit, but the training's own record says done at step {ending.last_step}"
        return Reading("finished", _cause("none", why), "never", why, closing="completed", proof="step")
    name = "reboot" if ending.word is not None and ending.word.state == "REBOOT" else "lost"
    return Reading(
        "lost", Cause(name, "unknown" if name == "lost" else "sure", why=why), "without-progress", why
    )


def _ended_well(spec: Spec, book: Book, ending: Ending) -> Reading:
    target = spec.target_step if spec.target_step is not None else ending.total
    reached, last = _reached(spec, ending), ending.last_step
    if ending.done is False:
        why = f"exit 0, but --done-when {spec.done_when} does not hold"
        return Reading("early_exit", _cause("early_exit", why), "always", why)
    if target is not None and last is not None and not reached:
        why = f"exit 0 at step {last} of {target}"
        told = ending.told in ("stop", "stop-now", "pause") or "stopped" in _words(ending)
        verdict: AttemptVerdict = "interrupted" if told else "early_exit"
        return Reading(verdict, _cause(verdict, why), "never" if told else "always", why)
    if ending.told != "run" and not reached and ending.done is not True:
        why = f"stopped ({ending.told_by}); exit 0"
        return Reading("interrupted", _cause("stopped", why), "never", why)
    if reached and ending.resumed_step is not None and target is not None and ending.resumed_step >= target:
        why = f"it resumed at step {ending.resumed_step}, at or past its target {target}: nothing was trained"
        if not any(ended.verdict == "early_exit" or ended.progressed for ended in book.endings):
            return Reading("no-op", _cause("no_op", why), "never", why, closing="no-op")
    if "step" in spec.require_proof and not reached:
        why = "exit 0, but no step was seen that proves it (--require-proof step)"
        return Reading("early_exit", _cause("early_exit", why), "always", why)
    proof: Proof = "step" if reached else "exit"
    why = f"exit 0 at step {last}, the target" if reached else "exit 0"
    return Reading("finished", _cause("none", why), "never", why, closing="completed", proof=proof)


def _ended_badly(ending: Ending) -> Reading:
    how, signal = _how(ending), ending.exit.signal if isinstance(ending.exit, Signalled) else None
    if ending.told != "run":
        why = f"stopped ({ending.told_by}); {how}"
        return Reading("interrupted", _cause("stopped", why), "never", why)
    if ending.exit == Exited(RESUME_ME) or (_words(ending) and set(_words(ending)) <= {"stopped", "done"}):
        why = f"{how}: stopped by itself, resumable"
        return Reading("interrupted", _cause("stopped_itself", why), "without-progress", why)
    if signal in FROM_OUTSIDE:
        why = f"{how} from outside"
        return Reading("interrupted", _cause("signal_from_outside", why), "without-progress", why)
    if signal == 9 and ending.oom_kills:
        why = f"{how}; the kernel's out-of-memory killer acted {ending.oom_kills} times in its cgroup"
        return Reading("failed", Cause("host_oom_kill", restart="once", why=why), "always", why)
    if signal == 9:
        return Reading(
            "failed",
            Cause("sigkill_unknown", "unknown", why="killed, cause unknown"),
            "always",
            f"{how}, cause unknown",
        )
    return Reading("failed", Cause("exit" if signal is None else "signal", "unknown", why=how), "always", how)


def _reached(spec: Spec, ending: Ending) -> bool:
    target = spec.target_step if spec.target_step is not None else ending.total
    return target is not None and ending.last_step is not None and ending.last_step >= target


def _is_early(ending: Ending) -> bool:
    """No step was seen and it did not last a minute."""
    return not ending.last_step and (ending.lasted_s or 0.0) < EARLY_DEATH_S


def _words(ending: Ending) -> list[str]:
    """ "rank 0: stopped at step 120" -> "stopped"; running says nothing."""
    words = [word.partition(": ")[2].partition(" ")[0] for word in ending.last_words]
    return [word for word in words if word != "running"]


def _how(ending: Ending) -> str:
    match ending.exit:
        case Exited(code=code):
            return f"exit {code}"
        case Signalled(signal=signal, core=core):
            return f"signal {signal}" + (" (core dumped)" if core else "")
        case NeverBegan(why=why) | Lost(why=why):
            return why


def _cause(name: str, why: str) -> Cause:
    return Cause(name, why=why)


def _chance(key: str) -> float:
    """A number in [0, 1) that depends on `key` alone (FNV-1a, 32 bits)."""
    number = 2166136261
    for byte in key.encode():
        number = (number ^ byte) * 16777619 % 2**32
    return number / 2**32
