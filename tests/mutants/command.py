"""Planted bugs of the command: it says that something has happened which has not, or lets a wrong word pass. Each is a
Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

VIEW = "tests/live/test_cli_view.py"
ASK, RUN, KEEP = "tests/unit/cli/test_ask.py", "tests/unit/cli/test_run.py", "tests/unit/cli/test_keep.py"
VERBS, STORY = "tests/unit/cli/test_verbs.py", "tests/unit/cli/test_story.py"

COMMAND = (
    Mutant(
        "a-run-is-announced-and-forgotten",
        "`run` posts its request and goes, though the supervisor that was there just leaves",
        (Patch("cli/accept.py", "        if wait:\n", "        if False:\n"),),
        (
            f"{VIEW} -k idle_supervisor_leaves",
            f"{RUN} -k once_a_supervisor_has_it",
        ),
    ),
    Mutant(
        "a-supervisor-that-is-started-again-forgets-to-go-on",
        "who takes back a `down` is heard by a supervisor that does not",
        (
            Patch(
                "cli/ask.py",
                "            ensure(workspace, place, goes_on=goes_on)\n        time.sleep",
                "            ensure(workspace, place)\n        time.sleep",
            ),
        ),
        (f"{ASK} -k takes_back_a_down",),
    ),
    Mutant(
        "an-earlier-word-to-leave-holds-a-new-run",
        "a run that was only just accepted is said to be stopped because an earlier supervisor was told to leave",
        (
            Patch(
                "cli/keep.py",
                'said.get("wanted") is False and not self._begins\n',
                'said.get("wanted") is False\n',
            ),
        ),
        (f"{KEEP} -k newer_than",),
    ),
    Mutant(
        "who-leaves-early-leaves-nobody",
        "a hang-up before a run is known to anybody ends the view, and nobody serves the run",
        (
            Patch(
                "cli/view.py",
                "        if self.may_post.is_set() or self._asked_early is not None:\n",
                "        if True:\n",
            ),
        ),
        (f"{VIEW} -k who_leaves_while",),
    ),
    Mutant(
        "a-view-that-left-says-completed",
        "the exit code of a view that only detached is that of a completed run",
        (
            Patch(
                "cli/view.py",
                "    return TRY_AGAIN  # whoever",
                "    return 0  # whoever",
            ),
        ),
        (f"{VIEW} -k term_detaches", f"{VIEW} -k reader_that_leaves", f"{VIEW} -k lost_terminal"),
    ),
    Mutant(
        "down-asks-twice",
        "`down` asks again while the supervisor is leaving, and the next one hears it",
        (
            Patch(
                "cli/up.py",
                "        time.sleep(POLL_S)\n\n\ndef _here",
                "        requests.post(place, 'down', None, [('leave_runs', '1')], '')\n"
                "        time.sleep(POLL_S)\n\n\ndef _here",
            ),
        ),
        (f"{ASK} -k down_asks_once",),
    ),
    Mutant(
        "a-reason-is-lost-with-the-attempt",
        "why a person paused a run is known only until its attempt has ended",
        (
            Patch(
                "decide/policy.py",
                "_with_reason(read(spec, book, ending), book)",
                "read(spec, book, ending)",
            ),
        ),
        (
            "tests/unit/decide/test_policy.py -k reason_of_who_asked",
            "tests/live/test_cli_verbs.py -k stop_pause_resume",
        ),
    ),
    Mutant(
        "zero-is-a-limit",
        "a hang limit of zero is accepted, and every attempt hangs",
        (Patch("settings.py", "    if found <= 0:\n", "    if False:\n"),),
        ("tests/unit/test_settings.py -k named_with_its_line",),
    ),
    Mutant(
        "any-word-is-a-variable",
        "--env takes what no shell could set",
        (Patch("cli/environment.py", "not NAME.fullmatch(name) or", "not name or"),),
        ("tests/unit/cli/test_environment.py",),
    ),
    Mutant(
        "a-wrong-option-is-advertised",
        "who asks for what is not there yet is sent to an option about something else",
        (Patch("cli/parse.py", "        if option in self.absent:\n", "        if False:\n"),),
        (f"{VERBS} -k wrong_word",),
    ),
    Mutant(
        "bytes-are-words",
        "a word that is no text becomes a bug of ours, later",
        (Patch("cli/verbs.py", "    refuse_bytes(words)\n    workspace", "    workspace"),),
        (f"{VERBS} -k no_text",),
    ),
    Mutant(
        "a-line-has-the-offset-of-the-next",
        "a line of `logs --json` is told to begin where it ends",
        (
            Patch(
                "cli/logs.py",
                "        self._begins += size\n        return",
                '        record["offset"] = self._begins = self._begins + size\n        return',
            ),
        ),
        (f"{STORY} -k in_json",),
    ),
    Mutant(
        "who-does-not-read-the-id-has-no-run",
        "a run whose id nobody reads is accepted and never announced",
        (
            Patch(
                "cli/run.py",
                "    with contextlib.suppress(OSError):  # whoever reads the id",
                "    if True:  # whoever reads the id",
            ),
        ),
        (f"{RUN} -k reader_of_the_id",),
    ),
)
