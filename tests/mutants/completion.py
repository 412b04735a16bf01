"""Planted bugs of honest completion and of losses that are no numbers. Each is a Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

ENDINGS, ROLLBACK = "tests/unit/decide/test_endings.py", "tests/unit/decide/test_rollback.py"
DIVERGENCE, FINAL = "tests/unit/runner/test_divergence.py", "tests/contract/test_checkpoint_final.py"
COMPLETION, LIVE = "tests/live/test_completion.py", "tests/live/test_divergence.py"
READY, LIVES = "tests/unit/work/test_ready.py", "tests/simulate/test_lives.py"

COMPLETIONS = (
    Mutant(
        "exit-0-is-complete-whatever-it-left",
        "a torn or non-finite last checkpoint is completed, as the exit and the step say so",
        (
            Patch(
                "decide/case.py",
                '        return self.worth in ("torn", "nonfinite") or bool(self.ending.nonfinite)\n',
                "        return False\n",
            ),
        ),
        (f"{ENDINGS} -k row", LIVES),
    ),
    Mutant(
        "nobody-looks-at-what-was-left",
        "the newest checkpoint is not read when the training has ended",
        (
            Patch(
                "runner/post.py",
                "        return final.look(self.order, self.folder, self.ears, self.words)\n",
                "        return None\n",
            ),
        ),
        (f"{COMPLETION} -k l37", f"{COMPLETION} -k torn_and", f"{COMPLETION} -k is_the_proof"),
    ),
    Mutant(
        "not-checked-is-a-failure",
        "a checkpoint that nobody could read in time ends a healthy run",
        (
            Patch(
                "decide/case.py",
                '        return self.worth in ("torn", "nonfinite") or bool(self.ending.nonfinite)\n',
                '        return self.worth in ("torn", "nonfinite", "unchecked") or bool(self.ending.nonfinite)\n',
            ),
        ),
        (f"{ENDINGS} -k row",),
    ),
    Mutant(
        "not-checked-is-a-proof",
        "a checkpoint that nobody could read is an artefact that was shown",
        (
            Patch(
                "decide/case.py",
                'final.worth != "whole" or self.is_stale:\n',
                'final.worth not in ("whole", "unchecked") or self.is_stale:\n',
            ),
        ),
        (f"{ENDINGS} -k row",),
    ),
    Mutant(
        "an-older-artefact-proves-the-target",
        "a whole checkpoint of an earlier step proves that the last one was reached",
        (
            Patch(
                "decide/case.py",
                "        return self.target is None or final.step is None or final.step >= self.target\n",
                "        return True\n",
            ),
        ),
        (f"{ENDINGS} -k row",),
    ),
    Mutant(
        "a-stop-that-the-trainer-obeyed-is-an-end",
        "a Hugging Face checkpoint that says it was cut is taken for the end of its training",
        (
            Patch(
                "checkpoints/parts/trainer_state.py",
                "stopped and is_short and not _was_good_enough(state))\n",
                "stopped and is_short and is_short is None)\n",
            ),
        ),
        (f"{FINAL} -k r14", f"{COMPLETION} -k r14"),
    ),
    Mutant(
        "anybodys-checkpoint-is-a-proof",
        "a checkpoint that another run left in the folder proves that this one is complete",
        (
            Patch(
                "work/final.py",
                "    newest = next((pair for pair in there if _is_own(pair[0], folder)), None)\n",
                "    newest = next(iter(there), None)\n",
            ),
        ),
        (f"{FINAL} -k r9",),
    ),
    Mutant(
        "early-stopping-is-an-interruption",
        "a Hugging Face training that stopped early, as it was told to, is resumed",
        (
            Patch(
                "checkpoints/parts/trainer_state.py",
                "stopped and is_short and not _was_good_enough(state))\n",
                "stopped and is_short)\n",
            ),
        ),
        (f"{FINAL} -k early",),
    ),
    Mutant(
        "what-was-seen-dies-with-its-runner",
        "a runner that dies while checkpoints are read makes a training that left with 0 a lost one",
        (
            Patch(
                "runner/takeover.py",
                "    seen = mine.noted_end() if status is None else ending.of_status(status)\n",
                "    seen = None if status is None else ending.of_status(status)\n",
            ),
        ),
        ("tests/live/test_runner_takeover.py -k checkpoints_are_read",),
    ),
    Mutant(
        "sigterm-is-done",
        "the callback says done of a training that SIGTERM ended early",
        (
            Patch(
                "hf.py",
                "            self._got_sigterm = True\n",
                "            self._got_sigterm = False\n",
            ),
        ),
        ("tests/live/test_hf.py -k r14",),
    ),
)

NOTHING_LEFT = (
    Mutant(
        "nothing-left-is-complete",
        "a run that began at its last step, and trained nothing, is completed",
        (
            Patch(
                "decide/endings.py",
                "_began_at_target(case) and not case.trained and not case.had_progress,\n",
                "_began_at_target(case) and case.trained and not case.trained,\n",
            ),
        ),
        (f"{ENDINGS} -k row", f"{COMPLETION} -k l38"),
    ),
)

DIVERGENCES = (
    Mutant(
        "loss-0-is-a-loss",
        "the Trainer's way of writing a loss that is NaN is taken as it stands",
        (
            Patch(
                "runner/divergence.py",
                "        return self.loss == 0 and self.gradient is not None and math.isnan(self.gradient)\n",
                "        return self.loss == 0 and self.gradient is None and self.step == -1\n",
            ),
        ),
        (f"{LIVE} -k r12", f"{DIVERGENCE} -k r12", f"{DIVERGENCE} -k recorded_outputs"),
    ),
    Mutant(
        "one-spike-is-enough",
        "a single loss that is no number ends a healthy training",
        (Patch("runner/divergence.py", "IN_A_ROW, PAIRS = 3, 2\n", "IN_A_ROW, PAIRS = 1, 2\n"),),
        (f"{DIVERGENCE} -k spike", f"{DIVERGENCE} -k recorded_outputs", f"{LIVE} -k single"),
    ),
    Mutant(
        "a-gradient-is-evidence",
        "steps that a loss scale skips end a healthy training",
        (
            Patch(
                "runner/divergence.py",
                "        return self.loss is not None and (not math.isfinite(self.loss) or self.is_pair)\n",
                "        ill = self.gradient is not None and not math.isfinite(self.gradient)\n"
                "        return self.loss is not None and (not math.isfinite(self.loss) or ill)\n",
            ),
        ),
        (f"{DIVERGENCE} -k p7", f"{DIVERGENCE} -k recorded_outputs"),
    ),
    Mutant(
        "the-first-losses-count-like-any",
        "a training whose loss scale is still being found is ended",
        (Patch("runner/divergence.py", "(self._had_number and len(bad)", "(True and len(bad)"),),
        (f"{DIVERGENCE} -k first_steps", f"{LIVE} -k single"),
    ),
    Mutant(
        "running-means-are-losses",
        "a mean that stays NaN after one step ends a healthy training",
        (
            Patch(
                "runner/output_reading/losses.py",
                '    return "loss" in words and OF_A_STEP.issuperset(words)\n',
                '    return "loss" in words\n',
            ),
        ),
        (f"{DIVERGENCE} -k something_else",),
    ),
    Mutant(
        "divergence-is-only-noted",
        "losses that are no numbers are seen, and the training goes on",
        (
            Patch(
                "runner/judge.py",
                "        elif (found := signs.divergence.found) is not None:\n",
                "        elif (found := signs.divergence.found) is not None and found.step == -1:\n",
            ),
        ),
        (f"{LIVE} -k r12", "tests/unit/runner/test_judge.py -k no_numbers"),
    ),
    Mutant(
        "rolled-back-for-ever",
        "a run that goes bad at the same place is rolled back again and again",
        (
            Patch(
                "decide/rollback.py",
                "    return again - then <= max(SAME_STEPS, then - (now.resumed_step or 0))\n",
                "    return False\n",
            ),
        ),
        (f"{COMPLETION} -k r13", f"{ROLLBACK} -k r13"),
    ),
    Mutant(
        "never-rolled-back-twice",
        "a run that went bad long ago, and came much further since, is not rolled back",
        (
            Patch(
                "decide/rollback.py",
                "    return again - then <= max(SAME_STEPS, then - (now.resumed_step or 0))\n",
                "    return True\n",
            ),
        ),
        (f"{ROLLBACK} -k further",),
    ),
    Mutant(
        "what-is-spoilt-is-progress",
        "checkpoints that an attempt filled with NaN count as its progress",
        (
            Patch(
                "decide/policy.py",
                "    return newest.step if spoilt is None or newest.step < spoilt else None\n",
                "    return newest.step\n",
            ),
        ),
        (f"{ROLLBACK} -k progress", f"{ROLLBACK} -k r13"),
    ),
    Mutant(
        "nan-stays-in-the-way",
        "a framework that picks the newest by name takes the one with NaN in its weights",
        (
            Patch(
                "decide/resume.py",
                "    return isinstance(verdict, Torn) or (isinstance(verdict, Whole) and verdict.finite is False)\n",
                "    return isinstance(verdict, Torn)\n",
            ),
        ),
        (f"{READY} -k moved", f"{LIVE} -k r12"),
    ),
)
