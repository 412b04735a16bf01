"""Where everything lies in a workspace. Pure names: nothing here looks at a disk.

.outlast/
  places/PLACE/   journal/TERM.jsonl  requests/NNNNNNNN.json  lock  board.json  supervisor.json  supervisor.log
                  cleared.json  clearing
  bin/VERSION/    a copy of the ground floor
  runs/RUN_ID/    run.json  env  snapshot.json  PROGRESS.txt  history.jsonl  limits.json  attempts/NNNN/...
                  incidents/NNNN/...
                  lock.json  lock.0002.json ...
  archive/        RUN_ID.tar.gz
  trash/          on its way out
"""

import os
import re

HIDDEN = ".outlast"
CONFIG = "outlast.yaml"
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}-\d{8}-\d{6}(-[0-9a-z]{1,4})?")
ATTEMPT = re.compile(r"\d{4,}")


class Workspace:
    """The paths of one workspace. `root` is the folder that holds `.outlast/`; absolute."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self.hidden = os.path.join(self.root, HIDDEN)
        self.config = os.path.join(self.root, CONFIG)
        self.places = os.path.join(self.hidden, "places")
        self.runs = os.path.join(self.hidden, "runs")
        self.bin = os.path.join(self.hidden, "bin")
        self.archive = os.path.join(self.hidden, "archive")
        self.trash = os.path.join(self.hidden, "trash")
        self.last = os.path.join(self.hidden, "last")

    def place(self, name: str) -> "Place":
        return Place(os.path.join(self.places, name))

    def run(self, run_id: str) -> "RunFolder":
        return RunFolder(os.path.join(self.runs, run_id))

    def pack(self, run_id: str) -> str:
        return os.path.join(self.archive, f"{run_id}.tar.gz")


class Place:
    """The paths of one place: where one supervisor rules."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.journal = os.path.join(path, "journal")
        self.requests = os.path.join(path, "requests")
        self.lock = os.path.join(path, "lock")
        self.board = os.path.join(path, "board.json")
        self.supervisor = os.path.join(path, "supervisor.json")
        self.log = os.path.join(path, "supervisor.log")
        self.beat = os.path.join(path, "beat")
        self.cleared = os.path.join(path, "cleared.json")
        self.clearing = os.path.join(path, "clearing")  # locked by who packs and deletes

    def request(self, number: int) -> str:
        return os.path.join(self.requests, f"{number:08d}.json")


class RunFolder:
    """The paths of one run."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.id = os.path.basename(path)
        self.record = os.path.join(path, "run.json")
        self.env = os.path.join(path, "env")
        self.snapshot = os.path.join(path, "snapshot.json")
        self.words = os.path.join(path, "PROGRESS.txt")
        self.history = os.path.join(path, "history.jsonl")
        self.attempts = os.path.join(path, "attempts")
        self.limits = os.path.join(path, "limits.json")
        self.incidents = os.path.join(path, "incidents")
        self.checkpoints = os.path.join(path, "checkpoints")  # manifests
        self.verified = os.path.join(
            self.checkpoints, "verified.json"
        )  # in short, the newest first: what screens read
        self.ill = os.path.join(self.checkpoints, "ill.json")
        self.actions = os.path.join(path, "actions")

    def manifest(self, step: int) -> str:
        return os.path.join(self.checkpoints, f"{step}.json")

    def lock(self, version: int) -> str:
        """The first is made once, and each that was accepted later."""
        return os.path.join(self.path, "lock.json" if version == 1 else f"lock.{version:04d}.json")

    def attempt(self, n: int) -> "AttemptFolder":
        return AttemptFolder(os.path.join(self.attempts, f"{n:04d}"))


class AttemptFolder:
    """The paths of one attempt: the whole protocol between training, runner and supervisor."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.n = int(os.path.basename(path))
        self.claim = os.path.join(path, "claim")
        self.lease = os.path.join(path, "lease")
        self.started = os.path.join(path, "started.json")
        self.wish = os.path.join(path, "wish.json")
        self.progress = os.path.join(path, "progress.json")
        self.metrics = os.path.join(path, "metrics.jsonl")
        self.output = os.path.join(path, "output.log")
        self.runner_log = os.path.join(path, "runner.log")
        self.exit = os.path.join(path, "exit.json")
        self.identity = os.path.join(path, "identity.json")
        self.locked = os.path.join(path, "locked.json")
        self.exit_late = os.path.join(path, "exit.late.json")

    def order(self, term: int) -> str:
        return os.path.join(self.path, f"order.{term}.json")

    def run(self) -> RunFolder:
        return RunFolder(os.path.dirname(os.path.dirname(self.path)))

    def before(self) -> "AttemptFolder | None":
        if self.n == 1:
            return None
        return AttemptFolder(os.path.join(os.path.dirname(self.path), f"{self.n - 1:04d}"))

    def next(self) -> "AttemptFolder":
        return AttemptFolder(os.path.join(os.path.dirname(self.path), f"{self.n + 1:04d}"))
