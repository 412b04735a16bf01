"""What is remembered of a run's checkpoints when the next attempt begins: whose they are, what they were when they were
verified, and the second copies.

Refuses to choose.
"""

from collections.abc import Iterable
from pathlib import Path

from outlast.checkpoints import ailing, owner, pins, users
from outlast.checkpoints import manifest as manifests
from outlast.disk.layout import AttemptFolder, RunFolder
from outlast.errors import WorldError
from outlast.facts import Candidate, Foreign, Manifest, Pin, Verdict
from outlast.seams import CheckpointFormat
from outlast.work.survey import Found

PIN = -100  # the preference of a copy: after its original


class Past:
    """Raises WorldError: whose the checkpoints are cannot be seen."""

    def __init__(
        self, root: Path, run: RunFolder | None, *, takes_over: bool = False, copy_max: int = 0
    ) -> None:
        """`run` None: it is not known."""
        self._root, self._run, self._copy_max = root, run, copy_max
        self._pins = {str(pins.path_of(root, pin)): pin for pin in pins.held(root)}
        self._whose = owner.of(root)
        self._takes_over = takes_over

    def copies(self, formats: Iterable[CheckpointFormat]) -> list[Found]:
        by_name = {each.name: each for each in formats}
        return [
            (_candidate(path, pin), by_name[pin.manifest.format])
            for path, pin in self._pins.items()
            if pin.manifest.format in by_name
        ]

    def is_copy(self, path: str) -> bool:
        return path in self._pins

    def foreign(self, candidate: Candidate) -> Foreign | None:
        whose = self._whose
        if whose is None or self._run is None or whose.run == self._run.id:
            return None
        if whose.is_at_work:
            return Foreign(
                (
                    f"run {whose.run}, which is not over, saves in {self._root}: `outlast stop {whose.run}` first",
                )
            )
        if self._takes_over:
            return None
        way_out = "`--take-over` goes on from them, another --checkpoints folder begins anew"
        return Foreign((f"made by run {whose.run}: {way_out}",))

    def compared(self, candidate: Candidate, verdict: Verdict, within_s: float) -> Verdict:
        """With its manifest, if it has one; and what never was a number is excused."""
        manifest = self._manifest(candidate)
        if manifest is not None:
            verdict = manifests.judged(verdict, manifest, candidate.path, within_s)
        return ailing.excused(verdict, ailing.known(self._run) if self._run is not None else None)

    def accepted(self, verdict: Verdict) -> list[str]:
        """What a person resumes from all the same is from now on no reason to refuse another."""
        try:
            if self._run is not None:
                ailing.learn(self._run, verdict)
        except WorldError as error:
            return [str(error)]
        return []

    def put_back(self, path: str) -> tuple[str, list[str]]:
        """Where the training is to resume from, and what was done: a copy gets its own name again where that is free,
        for frameworks that look there by themselves."""
        pin = self._pins.get(path)
        if pin is None:
            return path, []
        try:
            back = pins.put_back(self._root, pin, self._copy_max)
        except WorldError as error:
            return path, [f"resumed from the second copy where it lies: {error}"]
        return str(back), [f"{back}: put back from its second copy"]

    def note_use(self, folder: AttemptFolder, path: str) -> list[str]:
        """For whoever clears the folder meanwhile."""
        try:
            users.note(self._root, folder, path)
        except WorldError as error:
            return [str(error)]
        return []

    def _manifest(self, candidate: Candidate) -> Manifest | None:
        pin = self._pins.get(candidate.path)
        if pin is not None:
            return pin.manifest
        if self._run is None or candidate.step is None:
            return None
        known = manifests.of(self._run, candidate.step, candidate.path)
        if known is None and self._whose is not None and self._whose.run_dir:
            # taken over, with what was known of it
            known = manifests.of(RunFolder(self._whose.run_dir), candidate.step, candidate.path)
        return known


def _candidate(path: str, pin: Pin) -> Candidate:
    return Candidate(path, pin.manifest.format, pin.manifest.step, bytes=pin.manifest.bytes, preference=PIN)
