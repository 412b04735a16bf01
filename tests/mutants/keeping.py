"""Planted bugs of what is remembered and kept of checkpoints. Each is a Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

SAVED, SETTLE, KEEP = (
    "tests/live/test_saved.py",
    "tests/unit/work/test_settle.py",
    "tests/unit/work/test_keep.py",
)
MANIFEST, PINS = "tests/unit/checkpoints/test_manifest.py", "tests/unit/checkpoints/test_pins.py"
RETENTION, OBEDIENCE = "tests/unit/decide/test_retention.py", "tests/unit/runner/test_obedience.py"
DISK = "tests/live/test_full_disk.py"

KEEPING = (
    Mutant(
        "manifests-are-not-compared",
        "a flipped bit in safetensors is resumed from",
        (
            Patch(
                "checkpoints/manifest.py",
                "    if found.other and found.untouched:\n",
                "    if found.other and found.missing:\n",
            ),
        ),
        (f"{MANIFEST} -k r3", f"{SAVED} -k r3"),
    ),
    Mutant(
        "a-broken-off-save-becomes-the-truth",
        "the last look after a death makes a new manifest of parts of two saves",
        (
            Patch(
                "work/settle.py",
                "            verdict = manifests.judged(verdict, known, candidate.path, WITHIN_S)\n",
                "            pass\n",
            ),
        ),
        (f"{SAVED} -k r3",),
    ),
    Mutant(
        "nothing-is-pinned",
        "a framework's rotation takes the last good checkpoint",
        (
            Patch(
                "work/settle.py",
                "        if not self._order.pins.wanted or ",
                "        if self._order.pins.wanted or ",
            ),
        ),
        (f"{SETTLE} -k second_copy", f"{SAVED} -k r8"),
    ),
    Mutant(
        "a-single-file-is-linked",
        "a save that overwrites its file in place overwrites our copy",
        (
            Patch(
                "checkpoints/pins.py",
                "    may_link = os.path.isdir(manifest.path)\n",
                "    may_link = True\n",
            ),
        ),
        (f"{PINS} -k single", f"{SAVED} -k p6"),
    ),
    Mutant(
        "the-old-copy-goes-first",
        "for a moment there is none, and a full disk leaves it so",
        (
            Patch(
                "work/settle.py",
                "        newest = self._newest_good()\n",
                "        newest = self._newest_good()\n"
                "        for old in pins.held(self._root):\n"
                "            pins.drop(self._root, old.manifest)\n",
            ),
        ),
        (f"{SETTLE} -k person_pinned",),
    ),
    Mutant(
        "retention-goes-by-text",
        "step-9 is kept as newer than step-100",
        (
            Patch(
                "decide/retention.py",
                "key=lambda each: each.step, reverse=True",
                "key=lambda each: str(each.step), reverse=True",
            ),
        ),
        (f"{RETENTION} -k number",),
    ),
    Mutant(
        "the-last-verified-may-go",
        "a rule that fits none leaves no checkpoint at all",
        (
            Patch(
                "decide/retention.py",
                "    if place < max(1, rules.least):\n",
                "    if place < 0:\n",
            ),
        ),
        (f"{RETENTION} -k l46",),
    ),
    Mutant(
        "what-is-not-verified-counts",
        "a torn newest one is kept, and the last good one goes",
        (
            Patch(
                "decide/retention.py",
                "    verified = [each for each in ordered if each.verified]\n",
                "    verified = list(ordered)\n",
            ),
        ),
        (f"{RETENTION} -k neither_counted",),
    ),
    Mutant(
        "deleted-in-place",
        "killed in the middle, half of a checkpoint stands under its name",
        (
            Patch(
                "work/keep.py",
                "                    trashed = files.move_to_trash(path, trash)\n",
                "                    trashed = path\n",
            ),
        ),
        (f"{KEEP} -k killed",),
    ),
    Mutant(
        "parts-of-a-step-go-one-by-one",
        "of the newest step only some ranks' files are left",
        (
            Patch(
                "work/keep.py",
                "                    verified=step not in unverified and any(each.finite for each in parts),\n",
                "                    verified=any(each.finite for each in parts),\n",
            ),
        ),
        (f"{KEEP} -k one_part",),
    ),
    Mutant(
        "the-copy-of-what-is-gone-goes",
        "an older checkpoint that is left takes the place of the only copy of the last good one",
        (
            Patch(
                "work/settle.py",
                "or not newest or newest[0].step < last:\n",
                "or not newest:\n",
            ),
            Patch(
                "work/settle.py",
                "            if not pin.by and pin.manifest.step < newest[0].step:\n",
                "            if not pin.by and pin.manifest.step != newest[0].step:\n",
            ),
        ),
        (f"{SETTLE} -k r8",),
    ),
    Mutant(
        "an-evaluation-is-a-new-save",
        "somebody writes beside old weights, and a healthy training is ended for having saved them",
        (
            Patch(
                "work/settle.py",
                "        if known is not None and not manifests.has_new_payload(known, marks):\n",
                "        if known is None:\n",
            ),
        ),
        (f"{SETTLE} -k beside_the_weights",),
    ),
    Mutant(
        "who-began-anew-goes-on",
        "a script that ignores its checkpoint overwrites what it had",
        (
            Patch(
                "runner/obedience.py",
                "        if step is None or self._first is not None or not self._told:\n",
                "        if step is None or self._told:\n",
            ),
        ),
        (f"{OBEDIENCE} -k p8", f"{SAVED} -k p8"),
    ),
    Mutant(
        "a-full-disk-is-any-exit",
        "three attempts die of the same full disk, and the run is over",
        (
            Patch(
                "decide/case.py",
                "        return room is not None and room.is_short and speaks and",
                "        return room is None and room.is_short and speaks and",
            ),
        ),
        ("tests/unit/decide/test_endings.py", f"{DISK} -k r10"),
    ),
    Mutant(
        "any-exit-is-a-full-disk",
        "a bad argument beside a full disk is never charged, and waited for",
        (
            Patch(
                "decide/case.py",
                '        speaks = self.said in ("full", "unwritten") or isinstance(self.ending.exit, Signalled)\n',
                "        speaks = True\n",
            ),
        ),
        ("tests/unit/decide/test_endings.py", f"{DISK} -k of_itself"),
    ),
    Mutant(
        "what-cannot-be-written-down-goes-all-the-same",
        "a checkpoint is deleted, and no record says why",
        (
            Patch(
                "work/keep.py",
                "                files.move(each.trashed, each.path)\n",
                "                copies.discard(each.trashed)\n",
            ),
        ),
        (f"{KEEP} -k cannot_be_written",),
    ),
    Mutant(
        "what-cannot-be-read-now-is-forgotten",
        "one error of a server, and the proof of a flipped bit is gone",
        (
            Patch(
                "work/settle.py",
                "            if len(left) < len(found):\n",
                "            if len(left) < len(found) or not found:\n",
            ),
        ),
        (f"{SETTLE} -k read_now",),
    ),
    Mutant(
        "who-cannot-be-seen-uses-nothing",
        "a checkpoint from which another user's run goes on is removed",
        (
            Patch(
                "checkpoints/users.py",
                "    except (OSError, WorldError):\n        return True\n",
                "    except (OSError, WorldError):\n        return False\n",
            ),
        ),
        (f"{KEEP} -k cannot_be_seen",),
    ),
)
