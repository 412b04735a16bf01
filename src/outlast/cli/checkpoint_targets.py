"""What `outlast checkpoint` is asked about: a path or a run, the checkpoints there, and what each is worth.

Knows whose checkpoints lie in a folder, and what was remembered of them. Refuses to change anything.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoints import ailing, guard, owner
from outlast.checkpoints import manifest as manifests
from outlast.checkpoints.catalog import DISTRIBUTED, FORMATS, PLAIN
from outlast.checkpoints.isolated import verdicts
from outlast.checkpoints.parts import dcp_folder, listing
from outlast.cli import checkpoint_table as table
from outlast.cli import quick
from outlast.disk import workspace as workspaces
from outlast.disk.layout import RunFolder
from outlast.errors import NotFound
from outlast.facts import Candidate, Manifest, Resume, Retention, Verdict, Whole
from outlast.facts.codec import from_record
from outlast.work.survey import Found, survey

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from outlast.seams import CheckpointFormat

CANDIDATES_MAX = 10_000
FOREVER_S = 1e9


class Target(NamedTuple):
    """What is meant: a path, and the run whose checkpoints lie there, if it is known. The others: as a
    run that was named has them."""

    path: Path
    run: RunFolder | None
    formats: Sequence[CheckpointFormat] = FORMATS
    takes_over: bool = False
    retention: Retention | None = None


def of(arguments: Namespace) -> Target:
    """What exists is a path; else it names a run, whose checkpoints are meant. Raises NotFound, WorldError."""
    path = Path(os.path.abspath(arguments.target))
    if os.path.lexists(path) or (os.path.sep in arguments.target and guard.is_ours(path.parent)):
        whose = owner.of(root_of(path))
        run = RunFolder(whose.run_dir) if whose is not None and whose.run_dir else None
        return Target(path, run)
    if os.path.sep in arguments.target:
        raise NotFound(f"{arguments.target}: there is no such file or folder")
    workspace = workspaces.existing(arguments.workspace)
    run = workspace.run(quick.resolve(workspace, arguments.target))
    spec = quick.record(run.record) or {}
    if not spec.get("resume"):
        raise NotFound(f"{run.id} has no --checkpoints: name the folder itself")
    resume = from_record(spec["resume"], Resume, run.record)
    root = resume.root.replace("{run_dir}", run.path).replace("{run_id}", run.id)
    formats = [each for each in FORMATS if resume.format in ("auto", each.name)]
    rules = from_record(spec["retention"], Retention, run.record) if spec.get("retention") else None
    return Target(Path(root), run, formats, takes_over=resume.take_over, retention=rules)


def root_of(path: Path) -> Path:
    """The folder of checkpoints: of one of them, that in which it lies. Raises WorldError."""
    if guard.is_ours(path):
        return path
    if guard.is_ours(path.parent) or not path.is_dir():
        return path.parent
    if survey(FORMATS, path, CANDIDATES_MAX):
        return path
    beside = {candidate.path for candidate, _ in survey(FORMATS, path.parent, CANDIDATES_MAX)}
    return path.parent if str(path) in beside else path


def found_at(path: Path) -> list[Found]:
    """The checkpoint that `path` is, or those that lie in it."""
    if not os.path.lexists(path):
        return []  # a run that has saved nothing yet
    beside = {found[0].path: found for found in survey(FORMATS, path.parent, CANDIDATES_MAX)}
    itself = beside.get(str(path))
    inside = survey(FORMATS, path, CANDIDATES_MAX) if path.is_dir() else []
    if itself is not None and (not inside or itself[1].name != PLAIN.name):
        return [itself]
    if inside:
        return inside
    if path.is_dir() and all(child.name == guard.OWN for child in path.iterdir()):
        return []
    status = path.lstat()
    is_dcp = dcp_folder.is_one(listing.names_in(str(path)))
    format_ = DISTRIBUTED if is_dcp else PLAIN
    return [(Candidate(str(path), format_.name, None, status.st_size, 1, status.st_mtime_ns), format_)]


def judge(target: Target, found: Sequence[Found], level: int) -> list[tuple[Candidate, Verdict]]:
    """Each with its manifest, if the run made one: compared byte by byte, or at level 0 by sizes and times."""
    manifests_of = [known(target, candidate) for candidate, _ in found]
    judged: list[Verdict | None] = [
        Whole(manifest.level, finite=manifest.finite, notes=manifest.notes)
        if level == 0 and manifest is not None and _is_untouched(manifest, candidate)
        else None
        for (candidate, _), manifest in zip(found, manifests_of, strict=True)
    ]
    open_ = [place for place, verdict in enumerate(judged) if verdict is None]
    with table.Progress([found[place] for place in open_], level) as progress:
        looked = verdicts([found[place] for place in open_], level, FOREVER_S)
        for place, verdict in zip(open_, looked, strict=True):
            manifest, candidate = manifests_of[place], found[place][0]
            if manifest is not None and level > 0:
                verdict = manifests.judged(verdict, manifest, candidate.path, FOREVER_S)
            if target.run is not None:
                verdict = ailing.excused(verdict, ailing.known(target.run))
            judged[place] = verdict
            progress.done += 1
    return [(candidate, verdict) for (candidate, _), verdict in zip(found, judged, strict=True) if verdict]


def known(target: Target, candidate: Candidate) -> Manifest | None:
    if target.run is None or candidate.step is None:
        return None
    return manifests.of(target.run, candidate.step, candidate.path)


def _is_untouched(manifest: Manifest, candidate: Candidate) -> bool:
    try:
        return manifests.is_current(manifest, candidate.path)
    except OSError:
        return False  # whoever looks at it says what is wrong
