"""`.ckpt` files of Lightning: a torch zip with `pytorch-lightning_version`, `global_step`, `epoch`, `state_dict`.

`epoch=E-step=S.ckpt` tells its step; `last.ckpt` (a copy, or a link) is looked into. Format: Lightning's
`_CheckpointConnector.dump_checkpoint`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from outlast.checkpoints.parts import apart, listing, names, state
from outlast.checkpoints.parts.faults import Broken, Unknown
from outlast.checkpoints.parts.listing import Entry, Part
from outlast.facts import Candidate, Verdict, Whole

MARK, NEEDED = "pytorch-lightning_version", ("epoch", "global_step", "state_dict")
NAME = re.compile(r"epoch=\d+")
STEP = re.compile(r"(?<![a-zA-Z_])step=(\d{1,15})(?!\d)")
LOOKED_INTO = 64  # the newest


class LightningFormat:
    name = "lightning"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        files = sorted(filter(_may_be, listing.entries(root)), key=lambda entry: entry.mtime_ns, reverse=True)
        looked = [entry.path for entry in files[:LOOKED_INTO]]
        answers = apart.each(_said, looked, state.LOOK_S, dict[str, int | None] | None)
        tops = {
            os.path.basename(path): None if isinstance(answer, apart.Died) else answer.value
            for path, answer in zip(looked, answers, strict=True)
        }

        def step_of(name: str) -> int | None:
            """By its content: a metric may be called `step`, too."""
            top = tops.get(name)
            found = STEP.search(name)
            return state.step_in(top) if top is not None else int(found[1]) if found is not None else None

        def recognises(entry: Entry) -> bool:
            top = tops.get(entry.name)
            return _may_be(entry) and (MARK in top if top is not None else bool(NAME.search(entry.name)))

        return listing.candidates(root, limit, self.name, recognises, step_of)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        verdict = listing.judged(candidate, lambda _: _parts(candidate), level, within_s)
        if not isinstance(verdict, Whole) or "optimizer_states" in (
            _top_of(candidate.path) or {"optimizer_states": 0}
        ):
            return verdict
        return replace(verdict, notes=(*verdict.notes, "weights only: the optimizer begins anew"))


def _parts(candidate: Candidate) -> Iterator[Part]:
    yield Part("", candidate.path, _is_weight)
    missing = [key for key in NEEDED if key not in state.top_of(candidate.path)]
    if missing:
        raise Broken(f"it holds no {', '.join(missing)}")


def _said(path: str) -> dict[str, int | None] | None:
    """None: it cannot be read."""
    top = _top_of(path)
    return None if top is None else state.said_in(top)


def _top_of(path: str) -> dict[Any, Any] | None:
    """None: it cannot be read."""
    try:
        return state.top_of(path)
    except (Broken, Unknown, OSError):
        return None


def _may_be(entry: Entry) -> bool:
    return not entry.is_folder and entry.name.endswith(".ckpt") and not names.is_unfinished(entry.name)


def _is_weight(name: str) -> bool:
    return name.startswith("state_dict.")
