"""`.ckpt` files of Lightning: a torch zip with `pytorch-lightning_version`, `global_step`, `epoch`, `state_dict`.

`epoch=E-step=S.ckpt` tells its step; `last.ckpt` (a copy, or a link) is looked into. Format: Lightning's
`_CheckpointConnector.dump_checkpoint`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outlast.checkpoints.parts import listing, names, state
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.listing import Entry, Part
from outlast.facts import Candidate, Verdict

MARK, NEEDED = "pytorch-lightning_version", ("epoch", "global_step", "state_dict")
NAME = re.compile(r"epoch=\d+")
STEP = re.compile(r"step=(\d{1,15})(?!\d)")


class LightningFormat:
    name = "lightning"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        tops = {entry.name: _top(entry) for entry in listing.entries(root) if _may_be(entry)}

        def step_of(name: str) -> int | None:
            found = STEP.search(name)
            top = tops.get(name) or {}
            return int(found[1]) if found is not None else state.step_in(top)

        def recognises(entry: Entry) -> bool:
            top = tops.get(entry.name)
            return entry.name in tops and (bool(NAME.search(entry.name)) if top is None else MARK in top)

        return listing.candidates(root, limit, self.name, recognises, step_of)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        return listing.judged(candidate, lambda _: _parts(candidate), level, within_s)


def _parts(candidate: Candidate) -> Iterator[Part]:
    yield Part("", candidate.path, _is_weight)
    top = state.top_of(candidate.path)
    missing = [key for key in NEEDED if key not in top]
    if missing:
        raise Broken(f"it holds no {', '.join(missing)}")
    if top["global_step"] != candidate.step:
        raise Unknown(f"its name says step {candidate.step}, and in it stands {top['global_step']}")


def _top(entry: Entry) -> dict[Any, Any] | None:
    """None: it cannot be read."""
    try:
        return state.top_of(entry.path)
    except (Broken, Unknown, OSError):
        return None


def _may_be(entry: Entry) -> bool:
    return not entry.is_folder and entry.name.endswith(".ckpt") and not names.is_unfinished(entry.name)


def _is_weight(name: str) -> bool:
    return name.startswith("state_dict.")
