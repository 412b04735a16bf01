"""Plain checkpoints: folders named with their step that hold files of any kind, and single files of kinds that no
other format knows.

    step-000125/   checkpoint-500/   iter-42.safetensors   step-7.npz

What is known of a file by its kind is checked (torch zips, safetensors, JSON); of the rest only that it is not empty
and not nothing but zeros.
"""

from pathlib import Path

from outlast.checkpoints.parts import listing, names, state
from outlast.checkpoints.parts.faults import Broken
from outlast.checkpoints.parts.listing import Entry, Part
from outlast.facts import Candidate, Verdict

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".tar", ".keras", ".h5", ".ubj")


class FolderFormat:
    name = "folder"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        return listing.candidates(root, limit, self.name, _is_one, names.step_of)

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        return listing.judged(candidate, lambda _: _parts(Path(candidate.path)), level, within_s)


def _is_one(entry: Entry) -> bool:
    return names.step_of(entry.name) is not None and (entry.is_folder or entry.name.endswith(SUFFIXES))


def _parts(path: Path) -> list[Part]:
    if not path.is_dir():
        return [Part("", str(path), state.is_weight)]
    found = [
        Part(str(Path(file).relative_to(path)), file, state.is_weight)
        for file in listing.files_below(str(path))
    ]
    if not found:
        raise Broken("it is empty")
    return found
