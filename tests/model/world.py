"""A world of the protocol's model, as values: doors, runners, launches on their way, segments, requests, supervisors.

Knows how a journal is read: the newest segment whole, each older one as far as its successor sealed it. Refuses to know
what may happen next.
"""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """How much may happen, and what is planted: `unchained`, a runner that does not look whether the attempt before is
    over; `unswept`, one that records the exit while its training lives; `unsealed`, a journal whose openings seal
    nothing."""

    supervisors: int = 2
    doors: int = 4
    attempts_max: int = 2
    requeues: int = 0
    runner_deaths: int = 0
    stop: bool = True
    retry: bool = False
    scheduler: bool = False
    split_looks: bool = False
    count_repeats: bool = False
    unchained: bool = False
    unswept: bool = False
    unsealed: bool = False
    eager_removal: bool = False


class Segment(NamedTuple):
    """One term's: how many records of the term before it its opening sealed, and its own, by number."""

    sealed: int
    records: tuple[int, ...]


class Supervisor(NamedTuple):
    """`at` is its next step; `data` what it holds in its hand: a seal, a look at a door, entries and acts."""

    term: int
    at: str
    data: object = None


class World(NamedTuple):
    """By door number (0 unused): `claim` - Begun Final Shut; `exit`; `runner` - watching, dead (x), or with an end
    that it has not recorded yet. `flight`: launches sent, which may arrive at any time and any number of times;
    `posted` and `removed`: requests."""

    claim: str
    exit: tuple[str, ...]
    alive: frozenset[int]
    runner: tuple[str, ...]
    flight: frozenset[int]
    requeues: int
    requeued: bool
    deaths: int
    segments: tuple[Segment, ...]
    posted: tuple[str, ...]
    removed: frozenset[int]
    supervisors: tuple[Supervisor, ...]


def beginning(setting: Setting) -> World:
    doors = setting.doors + 1
    return World(
        claim="-" * doors,
        exit=("-",) * doors,
        alive=frozenset(),
        runner=("-",) * doors,
        flight=frozenset(),
        requeues=setting.requeues,
        requeued=False,
        deaths=setting.runner_deaths,
        segments=(),
        posted=(),
        removed=frozenset(),
        supervisors=(),
    )


def valid(segments: tuple[Segment, ...], unsealed: bool, term: int | None = None) -> tuple[int, ...]:
    """The valid history: the newest segment whole, each older one as far as its successor sealed it."""
    last = len(segments) if term is None else term
    if unsealed:
        return tuple(record for segment in segments for record in segment.records)
    records: tuple[int, ...] = ()
    for index in range(last):
        own = segments[index].records
        records += own if index == last - 1 else own[: segments[index + 1].sealed]
    return records


def settled(segments: tuple[Segment, ...]) -> tuple[int, ...]:
    records: tuple[int, ...] = ()
    for index in range(1, len(segments)):
        records += segments[index - 1].records[: segments[index].sealed]
    return records


def over(world: World, n: int) -> bool:
    return n == 0 or world.exit[n] != "-" or world.claim[n] in "FS"


def put(text: str, index: int, letter: str) -> str:
    return text[:index] + letter + text[index + 1 :]


def put_into(values: tuple[str, ...], index: int, value: str) -> tuple[str, ...]:
    return (*values[:index], value, *values[index + 1 :])


def with_runner(world: World, n: int, runner: str) -> World:
    return world._replace(runner=put_into(world.runner, n, runner))
