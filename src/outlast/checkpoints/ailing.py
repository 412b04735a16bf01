"""Weights that were no numbers in the first checkpoint of a run, or in one that a person accepted.

    RUN/checkpoints/ill.json

A buffer may hold a NaN from the beginning to the end (a best score that nobody has set). It is noted, and is no reason
to roll back. Where most of the weights are no numbers there is nothing to excuse.

Knows names. Refuses to look at numbers.
"""

from outlast.disk import files
from outlast.disk.layout import RunFolder
from outlast.errors import WorldError
from outlast.facts import Verdict, Whole

SCHEMA = 1
SHOWN = 3


def known(run: RunFolder) -> frozenset[str] | None:
    """None: nobody has looked at a checkpoint of this run yet."""
    try:
        record = files.read(run.ill)
    except WorldError:
        return frozenset()  # what cannot be read excuses nothing
    return frozenset(map(str, record.get("names") or ())) if record is not None else None


def learn(run: RunFolder, verdict: Verdict) -> None:
    """From the first checkpoint, or from one that a person accepted. Raises WorldError."""
    if isinstance(verdict, Whole) and (verdict.finite or verdict.ill):
        files.make_directory(run.checkpoints)
        names = sorted((known(run) or frozenset()) | set(verdict.ill))
        files.replace(run.ill, {"schema": SCHEMA, "names": names})


def excused(verdict: Verdict, names: frozenset[str] | None) -> Verdict:
    """Finite, but for what never was."""
    if not isinstance(verdict, Whole) or verdict.finite is not False or not verdict.ill or not names:
        return verdict
    if not names.issuperset(verdict.ill):
        return verdict
    note = f"no number since the beginning: {', '.join(verdict.ill[:SHOWN])}"
    return Whole(verdict.level, verdict.digest, True, (*verdict.notes[:-1], note), verdict.ill)
