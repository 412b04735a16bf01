"""What a run is made of: the values that a lock compares."""

from typing import TypeAlias

from outlast.facts.fact import Fact, Pairs
from outlast.facts.values import Moment


class Known(Fact):
    """`kind`: how the value was made; values of two kinds say nothing about each other. `source`: where it was read,
    for people. `fields`: what it is made of, so that a difference can be told. `partial`: only fields that both sides
    tell are compared. `path`: where it lies, if it lies somewhere."""

    value: str
    kind: str
    source: str
    fields: Pairs = ()
    partial: bool = False
    path: str = ""


class NotLocked(Fact):
    """Could not be read: never equal, never different."""

    why: str


Trait: TypeAlias = Known | NotLocked


class Identity(Fact):
    """(key, trait): a key that several sources tell of stands several times, the one that rules first."""

    traits: tuple[tuple[str, Trait], ...]


class Lock(Fact):
    """runs/RUN/lock.json, made once; what was accepted later is lock.0002.json, and so on. `attempt`: whose identity it
    is. `by`: who accepted it, "" for the run itself."""

    version: int
    attempt: int
    identity: Identity
    at: Moment
    why: str
    by: str = ""
