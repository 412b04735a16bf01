"""Planted bugs of what is asked and cannot be seen: a stop that nobody hears, a pause that is not hurried, a term that
forgets. Each is a Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

CORE = "tests/unit/decide/test_core.py"
LITTLE = "tests/simulate/test_turn_that_sees_little.py"

HEARING = (
    Mutant(
        "pause-now-is-only-a-pause",
        "`pause --now` waits for a safe stop",
        (
            Patch(
                "decide/core.py",
                '    if book.want == "pause-now":\n        return "stop-now", book.asked\n',
                '    if book.want == "pause-now":\n        return "pause", book.asked\n',
            ),
        ),
        (f"{CORE} -k pause_now",),
    ),
    Mutant(
        "pause-now-ends-the-run",
        "what is called off by `pause --now` is shut for good",
        (
            Patch(
                "decide/core.py",
                "    final = ends_with_this(book)\n",
                '    final = want in ("stop", "stop-now")\n',
            ),
        ),
        (f"{CORE} -k pause_now",),
    ),
    Mutant(
        "a-pause-is-never-taken-back",
        "a resume during a safe stop is not told to the runner",
        (
            Patch(
                "decide/core.py",
                '    if want != "run" or book.asked:',
                '    if want != "run":',
            ),
        ),
        (f"{CORE} -k takes_a_pause_back",),
    ),
    Mutant(
        "a-down-has-no-number",
        "the hold of a place is told with a lower number than what the run was told before",
        (Patch("decide/core.py", '        return "pause", sight.asked\n', '        return "pause", 0\n'),),
        (f"{CORE} -k down_outranks", "tests/live/test_cli_view.py -k down_under_the_view"),
    ),
    Mutant(
        "a-stop-waits-for-the-checkpoints",
        "a run that is to end does not end while its checkpoint folder cannot be listed",
        (Patch("supervise/turn.py", "            if not ends_with_this(book):\n", "            if True:\n"),),
        (f"{LITTLE} -k checkpoints_cannot_be_listed",),
    ),
    Mutant(
        "a-request-needs-the-specification",
        "what is asked of a run is lost while its specification cannot be read",
        (
            Patch(
                "supervise/turn.py",
                "            if asked:  # settled",
                "            if asked and self._spec(run) is not None:  # settled",
            ),
        ),
        (f"{LITTLE} -k specification_cannot_be_read",),
    ),
    Mutant(
        "a-late-down-hits-the-next",
        "a supervisor leaves because an earlier one was asked to",
        (
            Patch(
                "supervise/turn.py",
                "            if self._hold.is_younger_than(request.at):\n",
                "            if False:\n",
            ),
        ),
        (f"{LITTLE} -k earlier_supervisor",),
    ),
    Mutant(
        "an-act-that-breaks-stops-the-turn",
        "a bug in one run's act keeps all others from theirs",
        (
            Patch(
                "supervise/turn.py",
                "            except Exception as error:  # one bad run never stops the others; it is shown and tried"
                " again\n                failed = True\n",
                "            except AssertionError as error:\n                failed = True\n",
            ),
        ),
        (f"{LITTLE} -k act_that_breaks",),
    ),
    Mutant(
        "what-was-published-is-forgotten-at-a-reboot",
        "an attempt that a reboot ended has lasted no time and reached no step",
        (Patch("runner/takeover.py", ", word=REBOOT, **_published(mine))", ", word=REBOOT, lasted_s=None)"),),
        ("tests/live/test_runner_takeover.py -k published_before_a_reboot",),
    ),
)
