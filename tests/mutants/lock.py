"""Planted bugs of the lock: what a run may not change, and who may let it. Each is a Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

BASE, LOCKED = "tests/unit/checkpoints/lock/test_base.py", "tests/unit/work/test_locked.py"
DECIDE, CORE = "tests/unit/decide/test_lock.py", "tests/unit/decide/test_core.py"
LIVE, CODE, CLI = (
    "tests/live/test_lock.py",
    "tests/unit/work/test_code_state.py",
    "tests/unit/cli/test_run.py",
)
RESUME = "tests/unit/decide/test_resume.py"

LOCK = (
    Mutant(
        "a-header-is-a-model",
        "a base model with a changed weight is taken for the same, because names and shapes are",
        (
            Patch(
                "checkpoints/lock/base.py",
                "        return hashes.of_pieces(file, wanted)\n",
                "        return hashes.of_pieces(file, wanted[:0])\n",
            ),
        ),
        (f"{LIVE} -k fingerprints", f"{BASE} -k one_changed_weight", f"{LOCKED} -k one_changed_weight"),
    ),
    Mutant(
        "a-refused-start-teaches",
        "an attempt that never began is taken for the maker of the checkpoints",
        (
            Patch(
                "work/locked.py",
                "        if os.path.exists(attempt.started):\n",
                "        if os.path.exists(attempt.identity):\n",
            ),
        ),
        (f"{LOCKED} -k declared_path",),
    ),
    Mutant(
        "the-lock-is-what-is-there-now",
        "the lock is made of the start that it should judge",
        (
            Patch(
                "work/locked.py",
                "    began = began_with(maker)\n",
                "    began = present_of(maker.run(), spec, checkpoint, maker.n + 1)\n",
            ),
        ),
        (f"{LIVE} -k l49", f"{LOCKED} -k l49", f"{LOCKED} -k one_changed_weight"),
    ),
    Mutant(
        "not-read-is-different",
        "a key that could not be read now counts as changed",
        (
            Patch(
                "decide/lock.py",
                "        if not pairs:\n",
                "        if not pairs and known(locked, key) and not known(present, key):\n"
                "            ours = known(locked, key)[0]\n"
                "            differences.append(Difference(key, class_, ours, ours))\n"
                "            continue\n"
                "        if not pairs:\n",
            ),
        ),
        (f"{DECIDE} -k neither", f"{LOCKED} -k cannot_be_read"),
    ),
    Mutant(
        "values-of-two-kinds-are-compared",
        "a tokenizer that a library wrote anew is compared with the one that it read",
        (
            Patch(
                "decide/lock.py",
                "            if ours.kind == theirs.kind and (",
                "            if ours.kind[:0] == theirs.kind[:0] and (",
            ),
        ),
        (f"{DECIDE} -k neither",),
    ),
    Mutant(
        "changed-code-goes-on-by-itself",
        "a restart that nobody asked for runs whatever code stands there now",
        (
            Patch(
                "decide/lock.py",
                '    if code and locking.code == "hold" and by_itself:\n',
                '    if code and locking.code == "hold" and not locking:\n',
            ),
        ),
        (f"{LIVE} -k holds_the_restart", f"{DECIDE} -k p9", f"{LOCKED} -k p9"),
    ),
    Mutant(
        "changed-code-is-tried-again-and-again",
        "a start that was refused for its changed code is followed by the next one at once",
        (
            Patch(
                "decide/core.py",
                '    if cause not in HOLDING_CAUSES or book.want != "run":\n',
                '    if cause in HOLDING_CAUSES or book.want != "run":\n',
            ),
        ),
        (f"{CORE} -k p9",),
    ),
    Mutant(
        "a-retry-is-a-restart",
        "a person's retry is held for the change that it is to accept",
        (Patch("decide/core.py", "by_itself=book.by_itself", "by_itself=bool(book.next > 1)"),),
        (f"{CORE} -k p9", f"{LIVE} -k holds_the_restart"),
    ),
    Mutant(
        "what-nobody-named-is-missing",
        "a model that the script stages anew, or a cache that was emptied, refuses every restart",
        (
            Patch(
                "work/locked.py",
                "    named = [(key, value, hub.is_path(value)) for key, value in spec.locking.given]\n",
                "    named = [(key, value, hub.is_path(value)) for key, value in spec.locking.given]\n"
                "    for key in FROM_PATHS if lock is not None else ():\n"
                "        named += [(key, trait.path, False) for trait in known(lock.identity, key)]\n",
            ),
        ),
        (f"{LOCKED} -k stages_anew",),
    ),
    Mutant(
        "the-last-word-is-held-for-ever",
        "a person who put a value back is refused for what the script said before",
        (
            Patch(
                "work/locked.py",
                "    if not order.by_itself or _asked_since_it_spoke(run, folder.n):\n",
                "    if order is None:\n",
            ),
        ),
        (f"{LOCKED} -k put_a_told_value_back",),
    ),
    Mutant(
        "a-version-of-another-is-ours",
        "`lock accept` reports success for a version that somebody else made meanwhile",
        (Patch("cli/lock.py", "        if ours:\n", "        if made:\n"),),
        ("tests/unit/cli/test_lock.py -k somebody_else",),
    ),
    Mutant(
        "results-are-code",
        "whatever is tracked counts as code, so that a training which rewrites its results holds its restart",
        (
            Patch(
                "work/code_state.py",
                "base.endswith(SOURCES) or name in configs",
                "bool(base) or name in configs",
            ),
        ),
        (f"{CODE} -k no_source",),
    ),
    Mutant(
        "a-resume-is-a-restart",
        "who pauses a run, edits it and resumes it is held for the edit",
        (
            Patch(
                "decide/history.py",
                '                by_itself=False,\n                why=entry.why or "resumed",\n',
                '                why=entry.why or "resumed",\n',
            ),
        ),
        (f"{CORE} -k nobody_asked_for",),
    ),
    Mutant(
        "git-writes-its-index",
        "whoever looks at the code writes into the user's repository, or runs what its configuration names",
        (
            Patch(
                "work/code_state.py",
                '"--no-optional-locks", "-c", "core.fsmonitor=false", ',
                "",
            ),
        ),
        (f"{CODE} -k written",),
    ),
    Mutant(
        "the-lock-follows-the-configuration",
        "a run does not keep the classes that outlast.yaml had when it was accepted",
        (Patch("cli/run.py", "        must_match=settings.lock_must_match,\n", ""),),
        (f"{CLI} -k l49",),
    ),
    Mutant(
        "strangers-are-everybodys",
        "a run goes on from the step 1000 of another, or has its own step 10 rotated away because of it",
        (
            Patch(
                "work/past.py",
                "        if whose is None or self._run is None or whose.run == self._run.id:\n",
                "        if True:\n",
            ),
        ),
        ("tests/live/test_saved.py -k r9",),
    ),
)
