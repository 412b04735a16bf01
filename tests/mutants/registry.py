"""The planted bugs: a name, what it is in words, the patch, and the tests that have to turn red.

To add one: write a Mutant whose `old` text stands once in its file. A patch that no longer fits is reported, never
skipped, so a bug stays planted while its room is rebuilt.
"""

from tests.mutants.backends import BACKENDS
from tests.mutants.checkpoints import CHECKPOINTS
from tests.mutants.command import COMMAND
from tests.mutants.completion import COMPLETIONS, DIVERGENCES, NOTHING_LEFT
from tests.mutants.hearing import HEARING
from tests.mutants.keeping import KEEPING
from tests.mutants.life import LIVES as WHOLE_LIVES
from tests.mutants.lock import LOCK
from tests.mutants.patience import PATIENCE
from tests.mutants.plant import Mutant, Patch
from tests.mutants.progress import PROGRESS
from tests.mutants.removing import REMOVING

LIVES = "tests/simulate/test_lives.py -k known_seeds"
MODEL = "tests/model/test_walk.py -k small_world"
CORE, ENDINGS = "tests/unit/decide/test_core.py", "tests/unit/decide/test_endings.py"
JOURNAL = "tests/simulate/test_journal_lives.py"
TURN = "tests/simulate/test_order_of_a_turn.py"

DECIDE = (
    Mutant(
        "unseen-is-lost",
        "what could not be seen is taken for lost",
        (
            Patch(
                "decide/core.py",
                "        case Unseen():\n            return Decision()\n        case Coming():",
                "        case Unseen():\n"
                "            return Decision((), (RecordEnd(attempt, _lost(None, now)),), 0.0)\n"
                "        case Coming():",
            ),
        ),
        (CORE, LIVES),
    ),
    Mutant(
        "absent-is-a-new-attempt",
        "an attempt that nothing was seen of is given up for one with a new number",
        (
            Patch(
                "decide/core.py",
                "            return _call_off(book, attempt, sight) or _again(spec, book, phase, now, term)\n",
                "            return _call_off(book, attempt, sight) or Decision(\n"
                "                (Chosen(at=now, run=spec.run, why='', n=phase.n + 1, order=f'order.{term}.json'),),\n"
                "                (_launch(spec, book, phase.n + 1, term),),\n"
                "            )\n",
            ),
        ),
        (CORE, LIVES, MODEL),
    ),
    Mutant(
        "lost-is-success",
        "an end that nobody saw counts as success",
        (
            Patch(
                "decide/endings.py",
                '        "over, and nobody can say how",\n        lambda case: case.lost,\n'
                '        "lost", "lost", lambda case: case.how, sure=False,\n',
                '        "over, and nobody can say how",\n        lambda case: case.lost,\n'
                '        "finished", NO_CAUSE, lambda case: case.how, closing="completed",\n',
            ),
        ),
        (ENDINGS, LIVES, MODEL),
    ),
    Mutant(
        "stop-without-the-claim",
        "a stop of an attempt that has not begun is journaled without shutting its door",
        (
            Patch(
                "decide/core.py",
                "    final = ends_with_this(book)\n",
                "    final = ends_with_this(book)\n"
                "    if final:\n"
                "        return Decision((Finished(at=sight.now, run=attempt.run, why='', outcome='cancelled'),))\n",
            ),
        ),
        (CORE, LIVES, MODEL),
    ),
    Mutant(
        "closing-ignores-a-begun-door",
        "a run whose last door turns out begun is finished all the same",
        (
            Patch(
                "decide/core.py",
                "        case Shut(final=True):\n            return Decision((_finished(spec, book, phase, now),))\n"
                "        case Shut() | Alive() | Unrecorded() | Closed():\n"
                "            return _found(spec, phase.n, now)\n",
                "        case Shut() | Alive() | Unrecorded() | Closed():\n"
                "            return Decision((_finished(spec, book, phase, now),))\n",
            ),
        ),
        (CORE, LIVES, MODEL),
    ),
    Mutant(
        "ended-with-the-next-door-open",
        "a run is finished without its next door being shut for good",
        (
            Patch(
                "decide/core.py",
                '            return Decision((), (ShutDoor(attempt, True, f"the run is {phase.outcome}"),), 0.0)\n',
                "            return Decision((_finished(spec, book, phase, now),))\n",
            ),
        ),
        (CORE, LIVES, MODEL),
    ),
    Mutant(
        "reopened-before-it-is-sealed",
        "an attempt behind a final door begins on the word of a supervisor that may be a zombie",
        (
            Patch(
                "decide/core.py",
                "    return isinstance(book.phase, Waiting) and book.reopened == term\n",
                "    return False\n",
            ),
        ),
        (CORE, MODEL),
    ),
    Mutant(
        "found-begun-is-launched",
        "a door that somebody opened first is chosen and launched as if it were new",
        (
            Patch(
                "decide/core.py",
                "        case Shut() | Closed() | Alive() | Unrecorded():\n"
                "            return _found(spec, n, now)\n"
                "        case Absent():\n",
                "        case Absent() | Shut() | Closed() | Alive() | Unrecorded():\n",
            ),
        ),
        (CORE,),
    ),
    Mutant(
        "a-pause-is-charged",
        "an attempt that was stopped on request is charged like a death",
        (
            Patch(
                "decide/policy.py",
                "    charged = not reading.free and not progressed\n",
                "    charged = not progressed\n",
            ),
        ),
        ("tests/unit/decide/test_policy.py",),
    ),
    Mutant(
        "silence-is-death",
        "begun, and not known to its backend just now: over at once",
        (
            Patch(
                "decide/presence.py",
                "            if begun.silent_s >= SILENT_S:\n",
                "            if begun.silent_s >= 0.0:\n",
            ),
        ),
        ("tests/unit/decide/test_presence.py",),
    ),
    Mutant(
        "an-old-word-ends-a-new-job",
        "a scheduler's word about another job ends this one",
        (
            Patch(
                "decide/presence.py",
                "    if (seen.cluster, seen.job, seen.submitted) != (was.cluster, was.job, was.submitted):\n"
                "        return True\n",
                "",
            ),
        ),
        ("tests/unit/decide/test_presence.py",),
    ),
    Mutant(
        "the-clock-of-another-boot",
        "a wait is measured across a reboot, on two clocks that have nothing to do with each other",
        (
            Patch(
                "decide/waits.py",
                "    return now.mono_s - since.mono_s if since.boot == now.boot else None\n",
                "    return now.mono_s - since.mono_s\n",
            ),
        ),
        ("tests/unit/decide/test_waits.py", CORE),
    ),
)

SEALS = (
    Mutant(
        "records-after-a-takeover-count",
        "what a zombie appends to its dead segment is read as history",
        (
            Patch(
                "disk/journal.py",
                "    return body if seal is None else body[: seal.bytes]\n",
                "    return body\n",
            ),
            Patch("disk/journal.py", "        _check_seal(path, seal, data, size, crc)\n", ""),
        ),
        (JOURNAL, LIVES),
    ),
    Mutant(
        "a-torn-line-is-taken-for-empty",
        "a segment that ends in a torn line is taken for one in which nothing was said",
        (
            Patch(
                "disk/journal.py",
                "        lines, size, crc = scan(data)\n",
                "        lines, size, crc = scan(data)\n"
                "        if size < len(data):\n"
                "            lines, size, crc = scan(data[: data.find(b'\\n') + 1])\n",
            ),
        ),
        (JOURNAL,),
    ),
    Mutant(
        "damage-is-taken-for-empty",
        "a sealed part that is bent is read as far as it goes",
        (Patch("disk/journal.py", "        _check_seal(path, seal, data, size, crc)\n", ""),),
        (JOURNAL,),
    ),
    Mutant(
        "a-request-is-removed-too-early",
        "a request is removed once its record is written, and not once it is sealed",
        (
            Patch(
                "supervise/turn.py",
                "            failed = self._act_all(acts)\n",
                "            failed = self._act_all(acts)\n"
                "            requests.remove_settled(self.place, self._books.asked)\n",
            ),
        ),
        (f"{TURN} -k request",),
    ),
)

RING = (
    Mutant(
        "act-before-write",
        "what was decided is done before it is journaled",
        (
            Patch(
                "supervise/turn.py",
                "            self._write([*entries, *decided])\n            failed = self._act_all(acts)\n",
                "            failed = self._act_all(acts)\n            self._write([*entries, *decided])\n",
            ),
        ),
        (f"{TURN} -k journaled",),
    ),
    Mutant(
        "backend-asked-before-doors",
        "the backend is asked before the doors are read",
        (
            Patch(
                "supervise/observe.py",
                "    seen = {\n        attempt.run: Seen(",
                "    doors = {attempt: read_doors(workspace.run(attempt.run), attempt.n) for attempt in doors}\n"
                "    seen = {\n        attempt.run: Seen(",
            ),
        ),
        (f"{TURN} -k doors",),
    ),
)

# Bugs of the ground floor and of the runner. Their tests are those of their rooms.
GROUND = (
    Mutant(
        "the-claim-is-taken-twice",
        "a door that stands is made anew",
        (
            Patch(
                "disk/files.py",
                "        os.link(temporary, path)\n    except FileExistsError:\n        standing = read(path)\n",
                "        os.rename(temporary, path)\n    except FileExistsError:\n        standing = read(path)\n",
            ),
        ),
        ("tests/unit/disk/test_files.py",),
    ),
    Mutant(
        "exit-json-is-overwritten",
        "the end of an attempt that was recorded is recorded again",
        (
            Patch(
                "disk/files.py",
                "            ours, standing = _link(self._temporary, self.path, record)\n",
                "            os.replace(self._temporary, self.path)\n            ours, standing = True, record\n",
            ),
        ),
        ("tests/unit/disk/test_files.py",),
    ),
    Mutant(
        "pid-without-start-time",
        "a process is known by its pid alone",
        (
            Patch(
                "disk/identity.py",
                '    return int(fields[19]) == process["start_ticks"] and fields[0] not in "ZX"\n',
                '    return fields[0] not in "ZX"\n',
            ),
            Patch(
                "disk/identity.py",
                '    if start_ticks(process["pid"]) != process["start_ticks"]:\n',
                "    if False:\n",
            ),
        ),
        ("tests/unit/disk/test_identity.py",),
    ),
    Mutant(
        "the-supervisors-lock-is-inherited",
        "a child keeps its dead supervisor's place locked",
        (
            Patch(
                "disk/files.py",
                "        return os.open(path, how, FILE_MODE)\n    except OSError as error:\n"
                '        raise _cannot("open", path, error) from error\n\n\ndef',
                "        fd = os.open(path, how, FILE_MODE)\n"
                "        os.set_inheritable(fd, True)\n"
                "        return fd\n    except OSError as error:\n"
                '        raise _cannot("open", path, error) from error\n\n\ndef',
            ),
        ),
        ("tests/unit/disk/test_files.py",),
    ),
    Mutant(
        "exec-before-started",
        "the training runs before started.json is durable",
        (
            Patch(
                "runner/spawn.py",
                "        if os.read(wait, 1) != GO:\n            os._exit(NOT_STARTED)\n",
                "",
            ),
        ),
        ("tests/live/test_runner_life.py",),
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *DECIDE,
    *SEALS,
    *RING,
    *GROUND,
    *COMMAND,
    *HEARING,
    *REMOVING,
    *BACKENDS,
    *WHOLE_LIVES,
    *PATIENCE,
    *PROGRESS,
    *CHECKPOINTS,
    *KEEPING,
    *LOCK,
    *COMPLETIONS,
    *DIVERGENCES,
    *NOTHING_LEFT,
)
