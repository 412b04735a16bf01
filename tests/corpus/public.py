"""Public training scripts under outlast, without its SDK: what is understood of each, and whether it resumes rightly.

    python -m tests.corpus.public [--python PYTHON] [NAME...]     run them, keep what came out, write docs/frameworks.md
    python -m tests.corpus.public --page                          write the page only

Programs whose libraries PYTHON (default: this one) does not have are left as they were. Knows the programs, how each is
resumed by its own convention, and the page. Refuses to know how a program is tried (`trial.py`).
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from tests.corpus.table import PROGRAMS
from tests.corpus.trial import ANEW, BROKEN, CONTINUED, SAME, Program, Trial

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "frameworks.md"
RESULTS = Path(__file__).parent / "public.json"
RESUMED = (SAME, CONTINUED)


def results() -> dict[str, Any]:
    """By name; what was found when each was run last."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.public")
    parser.add_argument("--python", default=sys.executable, help="with the libraries of the programs")
    parser.add_argument("--page", action="store_true", help="write the page from what is kept; run nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*(each.name for each in PROGRAMS), []])
    options = parser.parse_args(words)
    worse = 0
    if not options.page:
        chosen = [each for each in PROGRAMS if not options.names or each.name in options.names]
        worse = sum(not _tried(program, options.python) for program in chosen)
    PAGE.write_text(page(results()))
    return 1 if worse else 0


def _tried(program: Program, python: str) -> bool:
    """Run it and keep what came out; whether that is what the table says."""
    if not has(python, program.needs):
        print(f"{'skipped':14} {program.name}: {', '.join(program.needs)} not there", flush=True)
        return True
    root = Path(tempfile.mkdtemp(prefix="public-"))
    try:
        found = Trial(program, root, python).run()
    except (AssertionError, subprocess.TimeoutExpired):
        traceback.print_exc()
        return False
    finally:
        shutil.rmtree(root, ignore_errors=True)
    kept = {**results(), program.name: found}
    RESULTS.write_text(
        json.dumps({each.name: kept[each.name] for each in PROGRAMS if each.name in kept}, indent=1) + "\n"
    )
    print(f"{found['verdict']:14} {program.name}: {json.dumps(found)}", flush=True)
    return is_as_told(program, found)


def has(python: str, needs: tuple[str, ...]) -> bool:
    look = "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", look, *needs], check=False).returncode == 0


def is_as_told(program: Program, found: dict[str, Any]) -> bool:
    return found["verdict"] in (RESUMED if program.can_resume else (ANEW,))


# --- the page ---------------------------------------------------------------------------------------------------

HEAD = """# Frameworks

Written by `python -m tests.corpus.public`, which runs what is listed here: change `tests/corpus/table.py`, then run
it.

Public training scripts, retyped small (`tests/corpus/programs`): their own loop, printed lines, flags and way to
resume, on numbers made on the spot. Nothing in them knows of outlast. Each was run undisturbed, and again under
outlast, killed once (SIGKILL) behind its first checkpoint, and started again by outlast. **{resumed} of {all} resumed
rightly.** The others have no way to resume in their original: outlast starts them anew, as it says when they are
accepted (`resume from checkpoint no: restarts begin at step 0 unless the script resumes itself`).

- **yes, same numbers**: each loss that is read from its lines behind the checkpoint, to the last, is that of the
  undisturbed run
- **yes, continued**: it goes on behind the checkpoint, leaves no line out and reaches the end; its data, or the noise
  in it, is drawn anew, so that the numbers are others, or it prints none to compare
- no: it begins anew, and reaches the end
"""
SHORT = {
    SAME: "**yes, same numbers**",
    CONTINUED: "**yes, continued**",
    ANEW: "no: begins anew",
    BROKEN: "**broken**",
}


def page(found: dict[str, Any]) -> str:
    rows = [each for each in PROGRAMS if each.name in found]
    resumed = sum(found[each.name]["verdict"] in RESUMED for each in rows)
    parts = [HEAD.format(resumed=resumed, all=len(rows)), _table(rows, found)]
    return "".join([*parts, _commands(rows)])


def _table(rows: list[Program], found: dict[str, Any]) -> str:
    lines = [
        "\n## What was understood, and whether it resumed\n",
        "Understood: what `outlast show --json` said last of the second attempt while it ran, from its output and",
        "checkpoints alone: `step/total`, in steps unless it says otherwise. `identified`: it rules the hang limits;",
        "`guess`: it is shown only. At the end: what `show` says when the run is over. Killed behind, began again at:",
        "positions as the script prints them.\n",
        "| program | read as | step | epoch | loss | at the end | killed behind | began again at | resumed rightly |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    used = {name: number for each in rows for name, number in found[each.name]["versions"].items()}
    with_ = ", ".join(f"{name} {number}" for name, number in sorted(used.items()))
    return "\n".join([*lines, *(_row(each, found[each.name]) for each in rows)]) + f"\n\nWith {with_}.\n"


def _row(program: Program, found: dict[str, Any]) -> str:
    seen, evidence = found["running_again"] or found["before_the_kill"], found["evidence"]
    read_as = f"{seen['source']}, {seen['confidence']}" if seen.get("confidence") else "nothing"
    unit = f" ({seen['unit']})" if seen.get("unit") not in (None, "step") else ""
    cells = [
        program.name,
        read_as,
        _of(seen.get("step"), seen.get("total")) + unit,
        _of(seen.get("epoch"), seen.get("total_epochs")),
        "-" if seen.get("loss") is None else f"{seen['loss']:.4g}",
        _end(found["ended"]),
        _position(evidence["killed_behind"]),
        _position(evidence["began_again_at"]),
        SHORT[found["verdict"]],
    ]
    return f"| {' | '.join(cells)} |"


def _end(seen: dict[str, Any]) -> str:
    if seen.get("step") is None:
        return "-"
    return f"step {seen['step']}" + (f", loss {seen['loss']:.4g}" if seen.get("loss") is not None else "")


def _of(number: float | None, whole: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:g}" if whole is None else f"{number:g}/{whole:g}"


def _position(at: list[float] | None) -> str:
    return "-" if at is None else " · ".join(f"{part:g}" for part in at)


def _commands(rows: list[Program]) -> str:
    parts = ["\n## How each is run\n"]
    for program in rows:
        words = " ".join(_word(word) for word in (*program.options, "--", *program.command))
        said = [program.resume or "Its original cannot resume.", program.note]
        parts.append(f"\n**{program.name}**: {program.public}. {' '.join(part for part in said if part)}\n")
        parts.append(f"\n    outlast run {words}\n")
    return "".join(parts)


def _word(word: str) -> str:
    for name, shown in (("{python}", "python"), ("{script}", "train.py"), ("{out}", "out")):
        word = word.replace(name, shown)
    return f"'{word}'" if any(c in word for c in " $;|{") else word


if __name__ == "__main__":
    sys.exit(main())
