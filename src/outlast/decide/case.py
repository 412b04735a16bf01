"""An ending and what it is measured by: the words in which the table of endings (`decide/endings`) is written.

Knows what the runner wrote into exit.json and what was asked of the run. Refuses to know which reading goes first.
"""

from typing import NamedTuple

from outlast.decide import rooms
from outlast.decide.rooms import DISK_FULL as DISK_FULL
from outlast.errors import RESUME_ME
from outlast.facts import Ending, Exited, Lost, NeverBegan, Signalled, Spec
from outlast.facts.closed import assert_never

# The last word of a rank, in the page it shares, and as what it is read. A training that was left early, without a
# word, is no more done than one that runs.
WORDS = {
    "running": "running", "left": "running", "stopped": "stopped", "done": "done", "do-not-restart": "do-not-restart",
}  # fmt: skip
FROM_OUTSIDE = (1, 2, 15)  # HUP, INT, TERM that nobody here sent: reboot, administrator, preemption
KILL = 9
NONFINITE_LOSS = "nonfinite_loss"


class Case(NamedTuple):
    """An ending, and what it is measured by. `had_progress`: an earlier attempt of this run got on; `never_began_yet`:
    how many attempts in a row before this one did not begin, though nobody called them off; `full_yet`: how many in a
    row died of a full disk."""

    spec: Spec
    ending: Ending
    had_progress: bool = False
    never_began_yet: int = 0
    full_yet: int = 0

    @property
    def target(self) -> int | None:
        """A person's, else the training's own, else that of the trainer which wrote the newest checkpoint."""
        of_trainer = self.ending.final.total if self.ending.final is not None else None
        declared = (self.spec.target_step, self.ending.total, of_trainer)
        return next((step for step in declared if step is not None), None)

    @property
    def step(self) -> int | None:
        """The highest step it stood at: one that it reached, or resumed from, or that a whole checkpoint is of."""
        saved = self.ending.final.step if self.ending.final is not None and self.worth == "whole" else None
        steps = (self.ending.last_step, self.ending.resumed_step, saved)
        return max((step for step in steps if step is not None), default=None)

    @property
    def reached(self) -> bool:
        return self.target is not None and self.step is not None and self.step >= self.target

    @property
    def short(self) -> bool:
        """A shortfall that is known. A step that nobody saw is none, unless the training is one that shows them. Who
        says `done` (early stopping) knows better than its own total, and not better than a person's target."""
        shown = self.ending.last_step is not None or self.ending.total is not None
        return self.target is not None and shown and not self.reached and not self.says_done

    @property
    def says_done(self) -> bool:
        return self.spec.target_step is None and self.words == {"done"}

    @property
    def is_cut(self) -> bool:
        """By the word of its newest checkpoint it was stopped before its end; a person's declaration outranks that."""
        final = self.ending.final
        by_word = self.says_done or self.ending.done is True
        return final is not None and final.cut and not self.reached and not by_word

    @property
    def trained(self) -> bool:
        """Whether it went beyond the step that it resumed from."""
        return self.ending.seen_step is not None and self.ending.seen_step > (self.ending.resumed_step or 0)

    @property
    def proven(self) -> bool:
        """What was declared or is known about completion holds, and something does."""
        if self.ending.done is False or self.unproven or self.is_bad:
            return False
        return self.reached or (self.ending.done is True and not self.short)

    @property
    def unproven(self) -> str:
        """What was asked to prove it and does not, "" if there is nothing."""
        wants = self.spec.require_proof.split("+")
        missing = ["no step was seen that proves it"] * ("step" in wants and not self.reached)
        missing += [f"{self.artefact}, and that proves nothing"] * (
            "artefact" in wants and not self.has_artefact
        )
        return "; ".join(missing)

    @property
    def worth(self) -> str:
        """Of the newest checkpoint; "" if nobody looked."""
        return self.ending.final.worth if self.ending.final is not None else ""

    @property
    def artefact(self) -> str:
        """What is known of the newest checkpoint, in words."""
        final = self.ending.final
        if final is None:
            return "no checkpoint was looked at"
        stale = f", of before step {self.ending.seen_step}, which nothing holds" if self.is_stale else ""
        return f"{final.why}{stale}"

    @property
    def has_artefact(self) -> bool:
        """Whole and finite, of the target's step where both are known, and not of before this attempt trained on."""
        final = self.ending.final
        if final is None or final.worth != "whole" or self.is_stale:
            return False
        return self.target is None or final.step is None or final.step >= self.target

    @property
    def is_stale(self) -> bool:
        """The newest checkpoint is the one that it resumed from, though it went on from there."""
        final, resumed = self.ending.final, self.ending.resumed_step
        is_old = (
            final is not None and final.step is not None and resumed is not None and final.step <= resumed
        )
        return is_old and self.trained

    @property
    def is_bad(self) -> bool:
        """Whatever its step and its exit say, what it leaves behind is no result."""
        return self.worth in ("torn", "nonfinite") or bool(self.ending.nonfinite)

    @property
    def diverged(self) -> bool:
        """Stopped for that, or it ended by itself with it. A stop for another reason keeps that reason."""
        if self.ending.told_by.startswith("nonfinite"):
            return True
        by_itself = self.ending.told == "run" and self.code not in (None, RESUME_ME)
        return by_itself and (bool(self.ending.nonfinite) or (self.code == 0 and self.worth == "nonfinite"))

    @property
    def how_diverged(self) -> str:
        told = self.ending.nonfinite or self.ending.told_by.removeprefix("nonfinite: ") or self.artefact
        return f"diverged: {told}"

    @property
    def lacked_room(self) -> bool:
        """Something speaks for it. Who kills from outside is no disk."""
        return self.ending.room is not None and self.ending.told == "run" and self.signal != KILL

    @property
    def is_short(self) -> bool:
        """There was no room for another checkpoint, and its last words say so, or it was ended by a write (BUS, ABRT).
        A full disk alone is no cause: arguments are wrong on full disks, too."""
        room = self.ending.room
        speaks = self.said in ("full", "unwritten") or isinstance(self.ending.exit, Signalled)
        return room is not None and room.is_short and speaks and self.said != "quota"

    @property
    def said(self) -> str:
        return self.ending.room.said if self.ending.room is not None else ""

    @property
    def shortage(self) -> str:
        return rooms.words(self.ending.room) if self.ending.room is not None else ""

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


def _last_word(said: str) -> str:
    """ "rank 0: stopped at step 120" -> "stopped"."""
    for word in said.replace(":", " ").split():
        if word in WORDS:
            return WORDS[word]
    return ""
