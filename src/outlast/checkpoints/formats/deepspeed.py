"""`global_stepN/` of DeepSpeed, one folder for each tag, with `latest` beside them.

Refuses to know what lies in it (`parts/deepspeed_folder`).
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from outlast.checkpoints.parts import apart, deepspeed_folder, listing, names, state
from outlast.checkpoints.parts.faults import Broken
from outlast.checkpoints.parts.listing import Entry, Part
from outlast.facts import Candidate, Verdict, Whole

OWN_TAG = re.compile(r"global_step(\d{1,15})")
LOOKED_INTO = 16  # of those whose tags tell no step, the newest


class DeepSpeedFormat:
    name = "deepspeed"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        found = [entry for entry in listing.entries(root) if _is_one(entry)]
        nameless = sorted(
            (entry for entry in found if names.step_of(entry.name) is None),
            key=lambda entry: entry.mtime_ns,
            reverse=True,
        )
        looked = nameless[:LOOKED_INTO]
        answers = apart.each(_told, looked, state.LOOK_S, int | None)
        told = {
            entry.name: None if isinstance(answer, apart.Died) else answer.value
            for entry, answer in zip(looked, answers, strict=True)
        }
        paths = {entry.path for entry in found}
        return listing.candidates(
            root,
            limit,
            self.name,
            lambda entry: entry.path in paths,
            lambda name: told[name] if name in told else names.step_of(name),
        )

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        verdict = listing.judged(candidate, lambda _: _parts(candidate), level, within_s)
        lost = _lost_tag(os.path.dirname(candidate.path)) if isinstance(verdict, Whole) else ""
        if not isinstance(verdict, Whole) or not lost:
            return verdict
        return replace(verdict, notes=(*verdict.notes, lost))


def _is_one(entry: Entry) -> bool:
    return entry.is_folder and deepspeed_folder.is_one(listing.names_in(entry.path))


def _parts(candidate: Candidate) -> Iterable[Part]:
    own = OWN_TAG.fullmatch(os.path.basename(candidate.path))
    return deepspeed_folder.parts(candidate.path, int(own[1]) if own is not None else None)


def _told(entry: Entry) -> int | None:
    try:
        return deepspeed_folder.step_in(entry.path)
    except OSError:
        return None  # whoever inspects it says what is wrong


def _lost_tag(root: str) -> str:
    """In words, if whoever loads without naming a tag finds nothing."""
    try:
        tag = deepspeed_folder.tag_in(root)
    except (Broken, OSError):
        tag = ""
    if tag is None or (tag and os.path.isdir(os.path.join(root, tag))):
        return ""
    return (
        f"`latest` beside it names {tag[:99] or 'nothing'}, which is not there: name the tag when you load it"
    )
