"""A folder of torch.distributed.checkpoint, named by its step: `step-500/` of torchtitan and others.

Refuses to know what lies in it (`parts/dcp_folder`).
"""

from pathlib import Path

from outlast.checkpoints.parts import dcp_folder, listing, names, state
from outlast.checkpoints.parts.listing import Entry, Folder
from outlast.facts import Candidate, Verdict


class DcpFormat:
    name = "dcp"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        return listing.candidates(
            root,
            limit,
            self.name,
            _is_one,
            names.step_of,
        )

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        return listing.judged(
            candidate, lambda _: [Folder("", candidate.path, state.is_weight)], level, within_s
        )


def _is_one(entry: Entry) -> bool:
    has_step = entry.is_folder and names.step_of(entry.name) is not None
    return has_step and dcp_folder.is_one(listing.names_in(entry.path))
