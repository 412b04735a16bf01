"""Plain checkpoints: folders named with their step that hold files of any kind, and single files of kinds that no
other format knows.

    step-000125/   checkpoint-500/   iter-42.safetensors   step-7.npz

What is known for a file of weights by its kind is checked (torch zips, safetensors, .npz, folders of
torch.distributed.checkpoint); all else may lie there in any state.
"""

import os
from collections.abc import Callable
from pathlib import Path

from outlast.checkpoints.parts import dcp_folder, listing, names, state
from outlast.checkpoints.parts.faults import Broken
from outlast.checkpoints.parts.listing import Entry, Folder, Part
from outlast.checkpoints.parts.one_file import KNOWN
from outlast.facts import Candidate, Verdict

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".tar", ".keras", ".h5", ".ubj")


class FolderFormat:
    name = "folder"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        return listing.candidates(root, limit, self.name, _is_one, names.step_of, particular=0)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        return listing.judged(candidate, lambda _: _parts(Path(candidate.path)), level, within_s)


def _is_one(entry: Entry) -> bool:
    """A folder with more in its name than a step is one only if something lies in it."""
    if names.step_of(entry.name) is None:
        return False
    if not entry.is_folder:
        return entry.name.endswith(SUFFIXES)
    return names.is_exact(entry.name) or bool(listing.names_in(entry.path))


def _parts(path: Path) -> list[Part | Folder]:
    if not path.is_dir():
        return [Part("", str(path), _weighing(path.name))]
    found: list[Part | Folder] = []
    for folder, folders, files in listing.walk(str(path)):
        if dcp_folder.is_one(frozenset(files)):
            found.append(Folder(os.path.relpath(folder, path), folder, state.is_weight))
            folders.clear()
            continue
        for name in files:
            file = os.path.join(folder, name)
            found.append(Part(os.path.relpath(file, path), file, _weighing(name), KNOWN))
    if not found:
        raise Broken("it is empty")
    return found


def _weighing(name: str) -> Callable[[str], bool]:
    return (lambda _: False) if names.is_beside_the_model(name) else state.is_weight
