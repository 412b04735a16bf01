"""Planted bugs of the look at checkpoints before a training resumes. Each is a Mutant as in `registry`."""

from tests.mutants.plant import Mutant, Patch

DAMAGE, READY = "tests/contract/test_checkpoint_damage.py", "tests/unit/work/test_ready.py"
FRAMEWORKS = "tests/contract/test_checkpoint_frameworks.py"
HOSTILE = "tests/contract/test_checkpoint_hostile.py"
HARDSHIPS = "tests/contract/test_checkpoint_hardships.py"
LIVE = "tests/live/test_checkpoints.py"

CHECKPOINTS = (
    Mutant(
        "checksums-are-not-compared",
        "a flipped bit in what torch saved is resumed from",
        (
            Patch(
                "checkpoints/parts/torch_zip.py",
                "            if self.has_checksums and crc != record.crc:\n",
                "            if self.has_checksums and crc < 0:\n",
            ),
        ),
        (f"{LIVE} -k l50", f"{DAMAGE} -k flipped"),
    ),
    Mutant(
        "what-is-written-last-is-not-looked-for",
        "a checkpoint of the Hugging Face Trainer that was cut off before its state is whole",
        (
            Patch(
                "checkpoints/formats/hf_trainer.py",
                "    if STATE not in names:\n",
                "    if STATE not in names and names == frozenset():\n",
            ),
        ),
        (f"{DAMAGE} -k missing",),
    ),
    Mutant(
        "a-pickle-imports-what-it-names",
        "whoever looks at a hostile file runs it",
        (
            Patch(
                "checkpoints/parts/pickles.py",
                "        plain = PLAIN.get((module, name))\n",
                "        if not module.startswith(('torch', 'collections')):\n"
                "            return super().find_class(module, name)\n"
                "        plain = PLAIN.get((module, name))\n",
            ),
        ),
        (f"{DAMAGE} -k hostile",),
    ),
    Mutant(
        "torn-ones-stay-where-they-are",
        "a framework that picks the newest by name takes the torn one",
        (
            Patch(
                "work/ready.py",
                "            moved = _out_of_the_way(pair for pair in looked if not past.is_copy(pair[0].path))\n",
                "            moved = _out_of_the_way(())\n",
            ),
        ),
        (f"{READY} -k moved", f"{LIVE} -k r3"),
    ),
    Mutant(
        "nan-is-a-number",
        "weights that are not finite are resumed from",
        (
            Patch(
                "checkpoints/parts/torch_zip.py",
                "                if here and not numbers.are_finite(here[0].kind, piece):\n",
                "                if here and not here[0].kind:\n",
            ),
        ),
        (f"{LIVE} -k r12", f"{DAMAGE} -k finite"),
    ),
    Mutant(
        "all-checkpoints-are-read",
        "before each start the content of every old checkpoint is read",
        (
            Patch(
                "work/ready.py",
                "        if is_usable(candidate, verdict):\n            break\n",
                "",
            ),
        ),
        (f"{READY} -k only_as_many",),
    ),
    Mutant(
        "the-last-ranks-are-not-missed",
        "ZeRO's parts are taken for whole when they begin at rank 0 and have no gap",
        (
            Patch(
                "checkpoints/parts/deepspeed_folder.py",
                "    return told or 1 + max(map(int, ranks), default=0)\n",
                "    return 1 + max(map(int, ranks), default=0)\n",
            ),
        ),
        (f"{FRAMEWORKS} -k last_ranks", f"{DAMAGE} -k missing"),
    ),
    Mutant(
        "the-number-of-a-save-is-its-step",
        "what Accelerate numbers is taken for a step, and a torn newest save for an old one",
        (
            Patch(
                "checkpoints/formats/accelerate.py",
                "    return None if _is_numbered_by_the_library(path) else names.step_of(os.path.basename(path))\n",
                "    return names.step_of(os.path.basename(path))\n",
            ),
        ),
        (f"{FRAMEWORKS} -k accelerate_gives", f"{FRAMEWORKS} -k looked_at_before"),
    ),
    Mutant(
        "a-hostile-file-hides-all-behind-it",
        "one file that ends its reader ends the look at all others",
        (
            Patch(
                "checkpoints/parts/apart.py",
                "            done += 1\n            yield Died(why)\n",
                "            yield Died(why)\n            return\n",
            ),
        ),
        (f"{HOSTILE} -k costs_only_itself", f"{HOSTILE} -k in_their_order"),
    ),
    Mutant(
        "a-pickle-may-take-all-the-time",
        "a pickle that is hashed for ever holds up the start until its time is over",
        (
            Patch(
                "checkpoints/parts/apart.py",
                "    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)\n",
                "    signal.setitimer(signal.ITIMER_VIRTUAL, 1e6 + limit_s)\n",
            ),
        ),
        (f"{HOSTILE} -k inside_of_other_formats",),
    ),
    Mutant(
        "an-index-of-orbax-need-not-be-right",
        "a tree that somebody overwrote is followed",
        (
            Patch(
                "checkpoints/parts/ocdbt.py",
                '    if crc32c(data[:-FOOT]) != int.from_bytes(data[-FOOT:], "little"):\n',
                "    if crc32c(data[:-FOOT]) < 0:\n",
            ),
        ),
        (f"{FRAMEWORKS} -k flipped_bit_in_the_index",),
    ),
    Mutant(
        "chunks-of-orbax-may-be-short",
        "a data file that was cut off is taken for whole, for it is there",
        (
            Patch(
                "checkpoints/parts/ocdbt.py",
                "    if place.offset + place.length > sizes[place.file]:\n",
                "    if place.offset > sizes[place.file]:\n",
            ),
        ),
        (f"{FRAMEWORKS} -k missed_and_measured",),
    ),
    Mutant(
        "every-small-file-is-opened-twice",
        "a checkpoint of hundreds of thousands of files takes twice the time of a start",
        (
            Patch(
                "checkpoints/parts/one_file.py",
                "        return Checked(STRUCTURE, is_all=True)\n",
                "        return Checked(STRUCTURE)\n",
            ),
        ),
        (f"{HARDSHIPS} -k opened_once",),
    ),
    Mutant(
        "links-are-followed-wherever-they-lead",
        "a link inside of a checkpoint of Accelerate leads to all that lies beside it",
        (
            Patch(
                "checkpoints/formats/accelerate.py",
                "        elif SHARDS.fullmatch(name) or not os.path.islink(below):",
                "        else:",
            ),
        ),
        (f"{HARDSHIPS} -k in_circles",),
    ),
)
