"""Runs, attempts, ends, looks: the values that decisions are made of."""

from typing import Literal, NewType, TypeAlias

from outlast.facts.fact import Fact as Fact
from outlast.facts.fact import Pairs as Pairs
from outlast.facts.keeping import Pins, Retention
from outlast.facts.locking import Locking

RunId = NewType("RunId", str)
Outcome = Literal["completed", "failed", "cancelled", "no-op", "unknown"]
Want = Literal["run", "pause", "pause-now", "stop", "stop-now"]
Priority = Literal["high", "normal", "low"]
Proof = Literal["exit", "step", "artefact", "step+artefact"]
Worth = Literal["whole", "torn", "nonfinite", "unchecked"]  # of a final checkpoint

# --- who, when, where ----------------------------------------------------------------------------------------


class Moment(Fact):
    """`wall_s` is for display only; on another boot a wait starts anew."""

    boot: str
    mono_s: float
    wall_s: float


class Process(Fact):
    host: str
    boot: str
    pid_ns: int
    pid: int
    start_ticks: int


class AttemptId(Fact):
    """`n` is also the fencing token: every beginning has its own."""

    run: RunId
    n: int


class Where(Fact):
    backend: str
    cluster: str = ""
    job: str = ""
    submitted: str = ""
    restarts: int = 0
    host: str = ""


# --- how an attempt ended: exit.json, made once ----------------------------------------------------------------


class Exited(Fact):
    code: int


class Signalled(Fact):
    signal: int
    core: bool = False


class NeverBegan(Fact):
    """No training instruction ran: spawn failed, the resume check refused, the runner died before the start."""

    why: str


class Lost(Fact):
    """Over, and nobody can say how."""

    why: str


Exit: TypeAlias = Exited | Signalled | NeverBegan | Lost


class Word(Fact):
    """A scheduler's own, verbatim."""

    state: str
    reason: str = ""
    code: str = ""
    at: str = ""


class Final(Fact):
    """What the newest checkpoint was worth when the training had ended well; `why` is for people.

    `total`: how far its trainer was to go; `cut`: by its own word it was stopped before. Unchecked: nobody can say.
    """

    worth: Worth
    path: str = ""
    step: int | None = None
    total: int | None = None
    cut: bool = False
    why: str = ""


class Room(Fact):
    """Why a training that failed may have lacked room on its disk. `said`: what its last words say of it (full, quota,
    unwritten); bytes that were `free` at `root`, where it saves, and what a checkpoint `needs`. `inodes` -1: no such
    limit."""

    said: str
    root: str
    needs: int
    free: int | None = None
    inodes: int | None = None

    @property
    def is_short(self) -> bool:
        return self.inodes == 0 or (self.free is not None and self.free < self.needs)


class Ending(Fact):
    """What is known of an attempt's end. `by` None: recorded by a supervisor, on somebody's word.

    `told` and `told_by`: our own stop, if that is why ("request 12", "stall: no progress for 61 s (limit 60 s)",
    "timeout: 3600 s", "signal 15 to the runner"). `done` is what --done-when found (None: nothing declared).
    `read_step` is what its output told of (`read_source`: which shape of it): a sign of life, and no proof of anything.
    `last_words` are those of the ranks; they outrank the launcher's exit code. `lasted_s` from "go" to the end.
    `nonfinite`: how its losses ceased to be numbers, from `nonfinite_step` on. `final` None: nobody looked.
    """

    exit: Exit
    at: Moment
    by: Process | None = None
    told: Want = "run"
    told_by: str = ""
    resumed_from: str | None = None
    resumed_step: int | None = None
    first_step: int | None = None
    last_step: int | None = None
    total: int | None = None
    loss: float | None = None
    word: Word | None = None
    incident: str | None = None
    hints: tuple[str, ...] = ()
    last_words: tuple[str, ...] = ()
    done: bool | None = None
    lasted_s: float | None = None
    oom_kills: int | None = None
    max_rss_bytes: int | None = None
    read_step: int | None = None
    read_source: str = ""

    @property
    def seen_step(self) -> int | None:
        """The last step that anybody saw, by the training's own record or else in its output."""
        return self.last_step if self.last_step is not None else self.read_step

    cpu_s: float | None = None
    swept: int = 0
    nonfinite: str = ""
    nonfinite_step: int | None = None
    final: Final | None = None
    room: Room | None = None


# --- doors x whereabouts -> presence (decide/presence.py) -------------------------------------------------------


class NoDoor(Fact):
    pass


class Shut(Fact):
    """Claim taken so that the attempt never begins; final: and no later one either."""

    final: bool
    why: str
    term: int


class Begun(Fact):
    by: Process
    where: Where
    order: str
    started: bool
    silent_s: float = 0.0


class Closed(Fact):
    ending: Ending
    where: Where


Doors: TypeAlias = NoDoor | Shut | Begun | Closed


class Nowhere(Fact):
    """Looked well; the backend knows nothing of it."""


class Queued(Fact):
    where: Where
    reason: str = ""


class Running(Fact):
    """watched False: its runner is gone, its tree not proven dead."""

    where: Where
    watched: bool = True


class Gone(Fact):
    """The backend vouches: over on all its nodes."""

    where: Where
    word: Word


class Unseen(Fact):
    """Could not look."""

    why: str


Whereabouts: TypeAlias = Nowhere | Queued | Running | Gone | Unseen


class Absent(Fact):
    """Not begun, nothing on its way (word: cancelled while pending, ...)."""

    word: Word | None = None


class Coming(Fact):
    where: Where
    reason: str


class Alive(Fact):
    where: Where
    watched: bool


class Unrecorded(Fact):
    """Over, and exit.json has still to be made."""

    word: Word | None = None


Presence: TypeAlias = Unseen | Absent | Coming | Alive | Unrecorded | Shut | Closed

# --- what to start -----------------------------------------------------------------------------------------------


class Resume(Fact):
    """How to choose a checkpoint, at every beginning, where it begins. `args` are appended only if there is one.
    `take_over`: checkpoints there that another run made are this one's from now on."""

    root: str
    format: str = "auto"
    args: tuple[str, ...] = ()
    exactly: str | None = None
    weights_only: bool = False
    take_over: bool = False


class Batch(Fact):
    """One SLURM array: id is its token, index fixed before submission."""

    id: str
    index: int


class Order(Fact):
    """attempts/NNNN/order.TERM.json: all that a runner needs to begin an attempt.

    `env` is added to the run's own environment. `ready` is the command that chooses the resume point (empty:
    none), `final` the one that looks at the newest checkpoint in the end, `supervisor` the one that starts a supervisor
    where none is.
    """

    attempt: AttemptId
    term: int
    argv: tuple[str, ...]
    cwd: str
    env: Pairs
    resume: Resume | None
    target_step: int | None
    stall_limits_s: tuple[tuple[str, float], ...]
    stop_grace_s: float
    log_bytes_max: int
    stop_limit_s: float = 600.0
    timeout_s: float | None = None
    done_when: str = ""
    tty: bool = False
    place: str = "local"
    backend: str = "local"
    had_checkpoint: bool = (
        False  # there was one to resume from before: then none now is no reason to begin at step 0
    )
    by_itself: bool = (
        False  # a restart that nobody asked for: no first start, and no person's retry or resume
    )
    ready: tuple[str, ...] = ()
    settle: tuple[str, ...] = ()  # the command that verifies, remembers and pins what the training saved
    retention: Retention | None = None
    pins: Pins = Pins()
    final: tuple[str, ...] = ()
    supervisor: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    options: Pairs = ()
    batch: Batch | None = None


class Spec(Fact):
    """run.json, made once: the run as it was accepted, for life. The caller's environment lies beside it (`env`)."""

    run: RunId
    place: str
    backend: str
    argv: tuple[str, ...]
    cwd: str
    made: Moment
    origin: str
    key: str
    name: str = ""
    env: Pairs = ()
    resume: Resume | None = None
    target_step: int | None = None
    priority: Priority = "normal"
    slots: int = 1
    after: tuple[RunId, ...] = ()
    lineage: str | None = None
    attempts_max: int = 3
    backoff_s: float = (
        10.0  # first wait after a death without progress; doubles up to 600 s. 0: always at once
    )
    tags: tuple[str, ...] = ()
    note: str = ""
    timeout_s: float | None = None
    done_when: str = ""
    require_proof: Proof = "exit"
    stall_limits_s: tuple[tuple[str, float], ...] = ()
    stop_grace_s: float = 30.0
    stop_limit_s: float = 600.0
    log_bytes_max: int = 1 << 30
    tty: bool = False
    inline: bool = False
    retention: Retention | None = None
    pins: Pins = Pins()
    locking: Locking = Locking(given=())
    options: Pairs = ()
