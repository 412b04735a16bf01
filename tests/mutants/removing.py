"""Planted bugs of what is taken away and what is ended: removals, the child that clears, the ending of a tree.

Each is a Mutant as in `registry`.
"""

from tests.mutants.plant import Mutant, Patch

REMOVE, CLEAR = "tests/unit/supervise/test_remove.py", "tests/unit/work/test_clear.py"
VAIN = "tests/unit/supervise/test_remove_in_vain.py"
TURNS = "tests/simulate/test_turns_that_remove.py"
TREE = "tests/unit/runner/test_tree.py"

REMOVING = (
    Mutant(
        "it-is-packed-within-the-turn",
        "the supervisor waits for the process that packs and deletes",
        (
            Patch(
                "supervise/remove.py",
                "            self._packing.update(chosen)\n",
                "            self._packing.update(chosen)\n"
                "            while self._child.poll() is None:\n"
                "                time.sleep(0.01)\n",
            ),
        ),
        (f"{TURNS} -k turns_go_on --timeout 20",),
    ),
    Mutant(
        "any-pack-will-do",
        "a pack that stands in the archive is taken for the one that was asked for",
        (
            Patch(
                "supervise/remove.py",
                "        if said.packed.get(run) != request or not _stands(self._workspace.pack(run)):\n",
                "        if not _stands(self._workspace.pack(run)):\n",
            ),
        ),
        (f"{REMOVE} -k earlier_life",),
    ),
    Mutant(
        "one-removal-that-fails-stops-the-others",
        "a run that cannot be taken away ends the turn",
        (
            Patch(
                "supervise/remove.py",
                "            except WorldError as error:\n"
                '                self._met(run, request, f"{how} {run}", str(error))\n',
                "            except WorldError:\n                raise\n",
            ),
        ),
        (f"{VAIN} -k cannot_be_taken_away",),
    ),
    Mutant(
        "a-killed-child-is-still-at-work",
        "the process that packs is believed to be at work until it leaves of its own will",
        (
            Patch(
                "supervise/remove.py",
                "        if code is not None:\n",
                "        if code is not None and code >= 0:\n",
            ),
        ),
        (
            f"{REMOVE} -k killed",
            "tests/live/test_hardships.py::test_r26_a_killed_archive_is_begun_again_and_nobody_waits_for_it",
        ),
    ),
    Mutant(
        "a-removal-that-fails-is-not-shown",
        "why a run cannot be taken away is known to the log alone",
        (Patch("supervise/turn.py", "        self._screens.hinder(removals.troubles())\n", ""),),
        (f"{TURNS} -k shown_by_status",),
    ),
    Mutant(
        "the-newer-wish-is-never-sealed",
        "a removal that is asked for while another one is under way opens no new term",
        (
            Patch(
                "supervise/turn.py",
                "book.removing != self._removable.get(run)\n",
                "run not in self._removable\n",
            ),
        ),
        (f"{TURNS} -k newer_wish",),
    ),
    Mutant(
        "an-unsealed-wish-deletes",
        "a run is removed on the strength of a record that may be void",
        (
            Patch(
                "supervise/turn.py",
                "        removed = removals.turn(self._removable, now)\n",
                "        removed = removals.turn(\n"
                "            {run: book.removing for run, book in books.items() if book.removing is not None}, now\n"
                "        )\n",
            ),
        ),
        (f"{TURNS} -k sealed",),
    ),
    Mutant(
        "a-pack-is-written-in-place",
        "half a pack stands in the archive under the name of a whole one",
        (
            Patch(
                "work/clear.py",
                "    files.replace_with(workspace.pack(run), write)\n",
                '    with open(workspace.pack(run), "wb") as file:\n        write(file)\n',
            ),
        ),
        (f"{CLEAR} -k half_pack", f"{REMOVE} -k killed_before_any_change"),
    ),
    Mutant(
        "what-cannot-be-read-is-not-packed",
        "a folder that cannot be listed is left out of the pack",
        (Patch("work/clear.py", "os.walk(path, onerror=fail)", "os.walk(path)"),),
        (f"{CLEAR} -k cannot_be",),
    ),
    Mutant(
        "a-late-launch-makes-the-folder-again",
        "a supervisor that was superseded makes the folder of a removed run again",
        (
            Patch(
                "supervise/act.py",
                "        if not os.path.lexists(record):  # or a late",
                "        if False:  # or a late",
            ),
        ),
        (f"{TURNS} -k late_launch",),
    ),
    Mutant(
        "a-removed-run-begins-again",
        "a launch that comes late begins an attempt of a run that was removed",
        (Patch("runner/life.py", "    _refuse_if_removed(folder)\n", ""),),
        ("tests/contract/test_backend.py -k removed", "tests/live/test_runner_life.py -k removed"),
    ),
    Mutant(
        "a-blind-look-ends-the-grace",
        "a training that cannot be seen for a moment is killed without its grace",
        (
            Patch(
                "runner/tree.py",
                "            if not members and self._is_empty():\n                return True\n            if left_s",
                "            if not members:\n                return self._is_empty()\n            if left_s",
            ),
        ),
        (f"{TREE} -k cuts_no_grace_short",),
    ),
    Mutant(
        "who-was-stopped-is-not-woken",
        "a stopped training never hears that it is to end",
        (
            Patch(
                "runner/tree.py",
                "        for number in (signal.SIGTERM, signal.SIGCONT):\n",
                "        for number in (signal.SIGTERM,):\n",
            ),
            Patch("runner/tree.py", "        self._signal_groups(signal.SIGCONT)\n", ""),
        ),
        (f"{TREE} -k stopped_training",),
    ),
    Mutant(
        "everybody-is-told-again-and-again",
        "what a training starts to save itself is told to end, too",
        (Patch("runner/tree.py", "            if members and not told:", "            if members:"),),
        (f"{TREE} -k save_itself",),
    ),
)
