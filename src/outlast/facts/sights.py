"""Checkpoints, causes, and what one turn saw of a run."""

from typing import Literal, TypeAlias

from outlast.facts.fact import Fact
from outlast.facts.values import Moment, Pairs, Presence, RunId


class Candidate(Fact):
    path: str
    format: str
    step: int | None
    bytes: int = 0
    parts: int = 0
    newest_mtime_ns: int = 0
    preference: int = 0  # of several of one step the one with most is meant


class Whole(Fact):
    """`notes` for people: what was seen that is no fault. `ill`: which weights hold a NaN, where they are the fewer."""

    level: int
    digest: str = ""
    finite: bool | None = None
    notes: tuple[str, ...] = ()
    ill: tuple[str, ...] = ()


class Torn(Fact):
    reasons: tuple[str, ...]


class Unsure(Fact):
    """Still being written, unreadable now, unverifiable."""

    reasons: tuple[str, ...]


class Foreign(Fact):
    """Another run's, another base's."""

    reasons: tuple[str, ...]


Verdict: TypeAlias = Whole | Torn | Unsure | Foreign


class Line(Fact):
    rule: str
    file: str
    offset: int
    text: str
    rank: int | None = None


class Cause(Fact):
    """Why an attempt ended: a class of docs/causes, how sure, and whether a restart helps."""

    name: str
    confidence: Literal["sure", "likely", "unknown"] = "sure"
    restart: Literal["yes", "changed", "once", "never"] = "yes"
    lines: tuple[Line, ...] = ()
    why: str = ""


class Progress(Fact):
    beats: int
    step: int | None = None
    total: int | None = None
    epoch: float | None = None
    loss: float | None = None
    rate: float | None = None
    section: str = ""
    sure: bool = False


class Request(Fact):
    """requests/NNNNNNNN.json: something that a person or a program asks of a supervisor."""

    number: int
    id: str
    verb: str
    run: RunId | None
    args: Pairs
    why: str
    by: str
    at: Moment


class Sight(Fact):
    """All that one turn saw of one run. `holds` are reasons not to start it now; `granted`: its slots are free.
    `asked`: the highest number of a request that this place has answered, of whatever run.

    `newest` is the newest usable checkpoint, looked for when an attempt is closed.
    """

    now: Moment
    presence: Presence
    progress: Progress | None = None
    requests: tuple[Request, ...] = ()
    newest: Candidate | None = None
    found: tuple[tuple[Candidate, Verdict], ...] = ()
    lines: tuple[Line, ...] = ()
    holds: tuple[str, ...] = ()
    granted: bool = True
    asked: int = 0
