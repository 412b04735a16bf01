"""Planted bugs of progress and hangs as whole runs see them: of what is read, judged, asked and shown."""

from tests.mutants.plant import Mutant, Patch

HANGS = "tests/live/test_hang_runs.py -k"
HARD = "tests/live/test_progress_hardships.py -k"
RANKS = "tests/live/test_ranks_live.py -k"

JUDGED = (
    Mutant(
        "a-declared-hang-ends-nobody",
        "a hang is declared, its evidence is gathered, and then nothing happens",
        (
            Patch(
                "runner/judge.py",
                "        return self._stopping.ask(*self._sentence, now_s)\n",
                "        return False\n",
            ),
        ),
        (f"{HANGS} R19",),
    ),
    Mutant(
        "the-tree-is-ended-before-the-evidence",
        "the end is told when a hang is declared, not when it is explained",
        (
            Patch(
                "runner/judge.py",
                '        self._words.say(f"{why}: gathering the evidence")\n',
                '        self._words.say(f"{why}: gathering the evidence")\n'
                "        self._stopping.ask(want, why, time.monotonic())\n",
            ),
        ),
        (f"{HARD} l32",),
    ),
    Mutant(
        "the-first-step-is-like-all-others",
        "what comes before the first step has the limit of a step",
        (
            Patch(
                "runner/rank_clock.py",
                "        if not self._has_begun:\n            return INIT\n"
                "        return TRAIN if self.has_stepped else FIRST_STEP\n",
                "        return TRAIN\n",
            ),
        ),
        (f"{HARD} r22",),
    ),
    Mutant(
        "the-code-declares-no-limit",
        "the limit that a section says in the code is not heard",
        (
            Patch(
                "runner/limits.py",
                '            return in_code_s, "declared in the code"\n',
                "            pass\n",
            ),
        ),
        ("tests/unit/runner/test_patience.py -k codes", f"{HARD} r23"),
    ),
    Mutant(
        "any-output-is-progress",
        "a thread that chats keeps a training alive whose steps are known to stand",
        (
            Patch(
                "runner/signs.py",
                "        return self.known.ticks\n",
                "        return self.known.ticks + self.known.busy_ticks\n",
            ),
        ),
        (f"{HANGS} l34",),
    ),
    Mutant(
        "a-page-that-never-beats-speaks",
        "a training that opened a page and never beats on it is ended, whatever its log tells",
        (
            Patch(
                "runner/patience.py",
                "        if not ranks or (series is not None and not any(_speaks(sample) for sample in ranks)):\n",
                "        if not ranks:\n",
            ),
            Patch(  # it would be seen to stand, later
                "runner/telemetry.py",
                "        self.is_lost = (self._moves >= MOVES_LEAST and is_late) or is_slow\n",
                "        self.is_lost = False\n",
            ),
        ),
        (f"{HARD} l34",),
    ),
    Mutant(
        "a-page-that-stands-is-believed",
        "a training whose callback is called no more is ended, whatever its log tells",
        (
            Patch(
                "runner/telemetry.py",
                "        self.is_lost = (self._moves >= MOVES_LEAST and is_late) or is_slow\n",
                "        self.is_lost = False\n",
            ),
        ),
        (f"{HARD} l34_a_page_that_stands",),
    ),
    Mutant(
        "the-watch-goes-by-the-wall-clock",
        "a jump of the wall clock stops the looks, or makes an hour of silence",
        (
            Patch(
                "runner/watch.py",
                "            self._copy_terminal()\n        now_s = time.monotonic()\n",
                "            self._copy_terminal()\n        now_s = time.time()\n",
            ),
        ),
        (f"{HARD} r42",),
    ),
)

READ = (
    Mutant(
        "an-emptied-log-is-read-on",
        "a log that became shorter is read on from where it was",
        (
            Patch(
                "runner/output_reading/following.py",
                "    if size < reading.position:\n        reading.start_over()\n",
                "",
            ),
        ),
        (f"{HARD} rotated", "tests/unit/runner/output_reading/test_following.py -k emptied"),
    ),
    Mutant(
        "a-carriage-return-ends-no-line",
        "a bar that is drawn over itself is one line without end",
        (
            Patch(
                "runner/output_reading/lines.py",
                'end = max(text.rfind(b"\\n"), text.rfind(b"\\r"))',
                'end = text.rfind(b"\\n")',
            ),
        ),
        (f"{HARD} carriage",),
    ),
    Mutant(
        "all-of-a-flood-is-read",
        "a training that prints faster than anybody can read is read whole, whatever that costs",
        (
            Patch(
                "runner/output_reading/following.py",
                "    start = _worth_reading(read, reading.position, size)\n",
                "    start = reading.position\n",
            ),
        ),
        (f"{HARD} ten_gigabytes", f"{HARD} hundred_megabytes"),
    ),
    Mutant(
        "every-bar-is-training",
        "Map: 1000/1000 is the thousandth step",
        (
            Patch(
                "runner/output_reading/names.py",
                "    if pattern(ACTIVITY_WORDS).search(words):\n        return ACTIVITY\n",
                "",
            ),
        ),
        (f"{HARD} p14", "tests/unit/runner/output_reading/test_reading.py -k p14"),
    ),
)

ASKED = (
    Mutant(
        "no-stacks-are-asked-for",
        "a training hangs, and nothing shows where",
        (
            Patch(
                "runner/incident.py",
                "    answers = stacks.ask(members, until_s)\n",
                "    answers = {pid: stacks.Answer(reason='nobody asked') for pid in members}\n    return answers\n",
            ),
        ),
        (f"{HANGS} held",),
    ),
    Mutant(
        "where-a-rank-stood-is-not-said",
        "the incident shows stacks, and leaves it to its reader to find the line",
        (
            Patch(
                "runner/incident.py",
                '        "own": "" if own is None else str(own),\n',
                '        "own": "",\n',
            ),
        ),
        (f"{HANGS} never",),
    ),
    Mutant(
        "everybody-gets-the-stack-signal",
        "a shell around the training is asked for stacks, too, and dies of the question",
        (
            Patch(
                "runner/stacks.py",
                '    if not _mask(f"/proc/{pid}/status", b"SigCgt:") & BIT:\n',
                '    if not _mask(f"/proc/{pid}/status", b"SigCgt:") & BIT:\n'
                "        os.kill(pid, BIT.bit_length())\n",
            ),
        ),
        (f"{HANGS} p5",),
    ),
    Mutant(
        "stacks-go-to-standard-error",
        "who has closed its standard error shows no stacks",
        (
            Patch(
                "disk/stack_page.py",
                "        faulthandler.register(SIGNAL, file=fd, all_threads=True, chain=False)\n",
                "        faulthandler.register(SIGNAL, file=2, all_threads=True, chain=False)\n",
            ),
        ),
        (f"{HARD} closes_its_output_is_judged",),
    ),
    Mutant(
        "the-first-rank-is-blamed",
        "whoever raised first, or is rank 0, is the culprit",
        (
            Patch(
                "runner/culprit.py",
                "    behind = _behind(ranks)\n    worst",
                '    return Culprit(ranks[0], "the first")\n    behind = _behind(ranks)\n    worst',
            ),
        ),
        (f"{RANKS} r27", "tests/unit/runner/test_culprit.py"),
    ),
    Mutant(
        "the-odd-one-is-not-seen",
        "of ranks that wait in code of their own nobody is named, though one alone stands elsewhere",
        (
            Patch(
                "runner/culprit.py",
                "odd = _odd_one(ranks) if worst == ELSEWHERE else None",
                "odd = None",
            ),
        ),
        (f"{RANKS} sixty_four",),
    ),
)

PAGES = (
    Mutant(
        "a-missing-page-is-not-said",
        "a training that can have no page is silently without exact progress",
        (
            Patch(
                "sdk/own_page.py",
                '        say_once(f"no exact progress: {error}")\n',
                "",
            ),
        ),
        (f"{HARD} p3_without",),
    ),
    Mutant(
        "a-page-without-its-name-is-forgotten",
        "when the heartbeat folder is deleted under a training, its page is read no more",
        (
            Patch(
                "runner/ranks.py",
                "            return  # logged out: who has a page keeps it, and we have it open\n",
                "            return self._seats.clear()\n",
            ),
        ),
        (f"{HARD} p3_a_page",),
    ),
    Mutant(
        "a-loader-speaks-for-its-rank",
        "a data-loading process beats on a page of its rank, and whoever came last is believed",
        (
            Patch(
                "sdk/own_page.py",
                "        if not supervised() or _loads_data():\n",
                "        if not supervised():\n",
            ),
            Patch(
                "runner/ranks.py",
                "        before = self._speakers.get(rank)\n        living =",
                "        return max(seats, key=_born)\n        before = self._speakers.get(rank)\n        living =",
            ),
        ),
        (f"{RANKS} r33",),
    ),
    Mutant(
        "a-rank-is-told-no-checkpoint",
        "the checkpoint that was chosen reaches no rank: each has its own opinion",
        (
            Patch(
                "runner/surroundings.py",
                '        "OUTLAST_RESUME_FROM": checkpoint or "",\n',
                '        "OUTLAST_RESUME_FROM": "",\n',
            ),
        ),
        (f"{RANKS} r32",),
    ),
    Mutant(
        "each-rank-stops-where-it-is",
        "ranks stop at the step where they hear of it, and wait for each other for ever",
        (
            Patch(
                "runner/ranks.py",
                "        return step + STOP_MARGIN_STEPS + int(steps_per_s * TELLING_S)\n",
                "        return 0\n",
            ),
        ),
        (f"{RANKS} p4_r30",),
    ),
    Mutant(
        "a-crash-of-a-rank-is-final",
        "a launcher's exit 1 ends the run",
        (
            Patch(
                "decide/endings.py",
                '"failed", "exit", lambda case: case.how, sure=False),',
                '"failed", "exit", lambda case: case.how, sure=False, restart="never", closing="failed"),',
            ),
        ),
        (f"{RANKS} r28",),
    ),
)

ENDED = (
    Mutant(
        "who-stops-early-is-short",
        "a training that says it is done before its own last step is trained again and again, and then has failed",
        (
            Patch(
                "decide/case.py",
                "        return self.target is not None and shown and not self.reached and not self.says_done\n",
                "        return self.target is not None and shown and not self.reached\n",
            ),
        ),
        (f"{HARD} says_done",),
    ),
)

PROGRESS = (*ENDED, *JUDGED, *READ, *ASKED, *PAGES)
