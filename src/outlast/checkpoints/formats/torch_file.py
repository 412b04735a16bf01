"""A single file that a training wrote with `torch.save`, named by its step, or telling it: `step_7.pt`, `ckpt.pt`.

Most loops keep the step at the top of what they save: a name that tells none is looked into.
"""

from pathlib import Path

from outlast.checkpoints.parts import apart, listing, names, state, torch_zip
from outlast.checkpoints.parts.faults import Broken, OtherZip, Unknown
from outlast.checkpoints.parts.listing import Entry, Part
from outlast.facts import Candidate, Verdict

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".tar")
LOOKED_INTO = 16  # of those whose names tell no step, the newest
OWN_NAMES = (
    "ckpt.pt",
    "checkpoint.pt",
    "last.ckpt",
    "last.pt",
    "latest.pt",
    "checkpoint.pth",
    "checkpoint.pth.tar",
)


class TorchFileFormat:
    name = "torch"

    def find(self, root: Path, limit: int) -> list[Candidate]:
        files = [entry for entry in listing.entries(root) if _is_one(entry)]
        nameless = [entry for entry in files if names.step_of(entry.name) is None]
        nameless.sort(key=lambda entry: entry.mtime_ns, reverse=True)
        looked = nameless[:LOOKED_INTO]
        answers = apart.each(_told, looked, state.LOOK_S, list[int | None])
        told = {
            entry.name: found
            for entry, answer in zip(looked, answers, strict=True)
            for found in ([None] if isinstance(answer, apart.Died) else answer.value)
        }

        def step_of(name: str) -> int | None:
            return told[name] if name in told else names.step_of(name)

        named = {entry.name for entry in files if entry.name in told or names.step_of(entry.name) is not None}
        return listing.candidates(
            root, limit, self.name, lambda entry: entry.name in named, step_of, particular=2
        )

    def inspect(self, candidate: Candidate, level: int, within_s: float) -> Verdict:
        part = Part("", candidate.path, state.is_weight)
        return listing.judged(candidate, lambda _: [part], level, within_s)


def _told(entry: Entry) -> list[int | None]:
    """The step that stands in it; None: it is a torn one of torch's, or one that
    cannot be read, so nobody knows; nothing: it holds no step."""
    if entry.bytes == 0:
        return [None] if entry.name in OWN_NAMES else []
    try:
        step = state.step_in(state.top_of(entry.path))
    except Broken:
        return [None] if _begins_as_zip(entry.path) else []
    except OtherZip:
        return []
    except (Unknown, OSError):
        return [None] if entry.name in OWN_NAMES else []
    return [] if step is None else [step]


def _begins_as_zip(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return torch_zip.is_one(file.read(4))
    except OSError:
        return False


def _is_one(entry: Entry) -> bool:
    return not entry.is_folder and entry.name.endswith(SUFFIXES) and not names.is_unfinished(entry.name)
