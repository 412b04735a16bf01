"""Planted bugs of the hang decision: a training is ended that did not hang, or one that hangs is not."""

from tests.mutants.plant import Mutant, Patch

UNIT = "tests/unit/runner/test_patience.py"
LIMITS = "tests/unit/runner/test_limits.py"
CORPUS = "tests/unit/runner/test_corpus.py -k"
LEGITIMATE, HANGS = f"{CORPUS} legitimate", f"{CORPUS} seconds_after_its_limit"
SAME = f"{CORPUS} change_nothing"

PATIENCE = (
    Mutant(
        "an-inner-section-hides-the-outer",
        "an overdue outer section does not count while an inner one is open",
        (
            Patch(
                "runner/rank_clock.py",
                "        for section in reversed(self._open):\n            name, in_code_s, _ = section.entry\n",
                "        for section in self._open[-1:]:\n            name, in_code_s, _ = section.entry\n",
            ),
        ),
        (f"{UNIT} -k overdue_outer", HANGS),
    ),
    Mutant(
        "a-stopped-training-is-charged",
        "time in which the training was stopped (state T) counts against it",
        (
            Patch(
                "runner/patience.py",
                "        if stopped:\n            given_s = gap_s\n",
                "        if stopped:\n            given_s = 0.0\n",
            ),
        ),
        (f"{UNIT} -k stopped", LEGITIMATE),
    ),
    Mutant(
        "time-asleep-is-charged",
        "the watcher's clock goes on while the machine sleeps, and the gap is not given back",
        (
            Patch(
                "runner/timelines.py",
                "return monotonic_s + sum(length for begin, length in self._asleep if begin < monotonic_s)",
                "return monotonic_s",
            ),
            Patch(
                "runner/timelines.py",
                "            poll += 1\n        return poll\n",
                "            poll += 1\n        return math.ceil(time_s)\n",
            ),
        ),
        (LEGITIMATE, "tests/unit/runner/test_timelines.py -k sleeps"),
    ),
    Mutant(
        "no-floor",
        "a training of quick steps is ended after seconds",
        (Patch("runner/limits.py", "least_s = max(FLOOR_S, ", "least_s = max(0.0, "),),
        (LIMITS, LEGITIMATE),
    ),
    Mutant(
        "learned-from-a-handful",
        "a limit is learned from fewer than fifty samples",
        (Patch("runner/limits.py", "SAMPLES_LEAST = 50\n", "SAMPLES_LEAST = 5\n"),),
        (f"{UNIT} -k fewer_than_fifty", LEGITIMATE),
    ),
    Mutant(
        "an-excused-rank-is-never-overdue",
        "a rank that waits is excused for ever by whoever was ever inside a section",
        (
            Patch(
                "runner/patience.py",
                "        hindmost = min(clock.sample.step for clock in working)\n",
                "        hindmost = 0\n",
            ),
        ),
        (f"{UNIT} -k far_ahead", HANGS),
    ),
    Mutant(
        "nobody-is-excused",
        "a rank that waits for another's eval is ended for it",
        (
            Patch(
                "runner/patience.py",
                "        if len(self._clocks) < 2:\n            return []\n",
                "        if True:\n            return []\n",
            ),
        ),
        (f"{UNIT} -k excused", LEGITIMATE),
    ),
    Mutant(
        "leaving-a-section-is-a-step",
        "a loop that enters and leaves sections for ever is never caught",
        (
            Patch(
                "runner/rank_clock.py",
                "        if self._visited and (self.sample.sections or not self.sample.left):\n",
                "        if False:\n",
            ),
        ),
        (HANGS,),
    ),
    Mutant(
        "fast-forward-is-training",
        "steps that an earlier attempt made already have the limit of new ones",
        (
            Patch(
                "runner/rank_clock.py",
                "        if sample.step <= self._reached and self._reached > 0:\n            return INIT\n",
                "",
            ),
        ),
        (f"{UNIT} -k made_before", LEGITIMATE),
    ),
    Mutant(
        "mute-ranks-hang",
        "ranks that never count their steps are ended for it",
        (
            Patch(
                "runner/patience.py",
                "        return [clock for clock in clocks if clock.has_stepped or most <= LEAD_STEPS]\n",
                "        return clocks\n",
            ),
        ),
        (f"{UNIT} -k mute", LEGITIMATE),
    ),
    Mutant(
        "the-dead-are-judged",
        "a rank whose process is gone is timed, though it only left before the others",
        (Patch("runner/patience.py", "        self._forget_the_gone(ranks)\n        for", "        for"),),
        (f"{UNIT} -k process_is_gone",),
    ),
    Mutant(
        "a-kill-doubles-nothing",
        "a pause that killed once kills at every attempt",
        (
            Patch(
                "runner/limits.py",
                "        self._doublings[section] = min(DOUBLINGS_MAX, self._doublings.get(section, 0) + 1)\n",
                "        self._doublings[section] = 0\n",
            ),
        ),
        (f"{UNIT} -k doubled", LIMITS),
    ),
    Mutant(
        "every-step-makes-good-a-kill",
        "steps that were made before undo what a kill had doubled",
        (
            Patch(
                "runner/rank_clock.py",
                "teaches=is_new, success=self.is_past_reached)",
                "teaches=is_new, success=True)",
            ),
        ),
        (f"{UNIT} -k no_success",),
    ),
    Mutant(
        "looks-that-matter-are-passed-over",
        "a replay skips looks at which a limit is reached",
        (
            Patch(
                "runner/replay.py",
                "        polls = [] if wait_s == math.inf else [poll + math.floor(wait_s) + 1]\n",
                "        polls = [] if wait_s == math.inf else [poll + math.floor(wait_s) + 9]\n",
            ),
        ),
        (SAME,),
    ),
)
