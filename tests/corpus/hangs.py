"""Trainings that hang: every kind, in every section, with pages and without, alone and with others.

Each says since when it stands, the longest limit that may rule there, which section and (of several) which rank it is.
Kinds: the process stands and nothing moves (a deadlock with the GIL, a lost collective, a sleep), a thread beats on
though the loop does not (the GIL is free: R19), CPU and IO counters advance (an endless loop: R20, S33).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.corpus.legitimate import MINUTE, begun, evaluated
from tests.corpus.story import HOUR, Rank, sdk, zero

AFTER_S = 30 * HOUR


class Hang(NamedTuple):
    name: str
    timeline: dict[str, Any]
    since_s: float
    limit_s: float  # at most
    section: str
    rank: int | None = None
    given_back_s: float = 0.0


def all_of_them() -> Iterator[Hang]:
    for kind in (in_every_section, at_learned_limits, in_loops, of_many, interrupted, after_kills, from_logs):
        yield from kind()


# What a rank does just before it hangs, its section then, and the limit that rules there at first.
PLACES: tuple[tuple[str, Callable[[], Rank], float], ...] = (
    ("init", lambda: _in_init(), 1800.0),
    ("first step", lambda: Rank().init(60), 1200.0),
    ("train", lambda: begun().steps(20, 2.0), 600.0),
    ("eval", lambda: begun().steps(20, 2.0).enter("eval"), 1800.0),
    ("save", lambda: begun().steps(20, 2.0).enter("save"), 1800.0),
    ("data", lambda: begun().steps(20, 2.0).enter("data"), 1200.0),
    ("collective", lambda: begun().steps(20, 2.0).enter("collective"), 420.0),
    ("merge", lambda: begun().steps(20, 2.0).enter("merge"), 1800.0),
    ("exit", lambda: begun().steps(20, 2.0).exit(), 1800.0),
)


def _in_init() -> Rank:
    rank = Rank(at_s=3.0)
    rank.beats.append([3.0, 0, "init"])
    return rank


def in_every_section() -> Iterator[Hang]:
    for section, told, limit_s in PLACES:
        rank = told()
        yield Hang(f"{section}: nothing moves", sdk(rank, after_s=AFTER_S), rank.now_s, limit_s, section)
        activity = [[rank.now_s, rank.now_s + AFTER_S]]
        yield Hang(
            f"{section}: an endless loop burns CPU",
            sdk(rank, after_s=AFTER_S, activity=activity),
            rank.now_s,
            limit_s,
            section,
        )
        if section not in ("init", "first step", "exit"):
            since_s = rank.now_s
            yield Hang(
                f"{section}: a thread beats on",
                sdk(rank.beating(AFTER_S)),
                since_s,
                limit_s,
                section,
            )
    yield Hang("before any page: the import never ends", sdk(Rank(), after_s=AFTER_S), 0.0, 1800.0, "init")
    declared = begun().steps(100, 1.0).enter("eval")
    yield Hang(
        "eval: a declared limit rules, however long others took",
        sdk(declared, after_s=AFTER_S, declared_limits={"eval": 90}),
        declared.now_s,
        90.0,
        "eval",
    )
    general = begun(first_s=30).steps(10, 1.0)
    yield Hang(
        "train: --stall-limit for all",
        sdk(general, after_s=AFTER_S, declared_limits={"": 45}),
        general.now_s,
        45.0,
        "train",
    )


def at_learned_limits() -> Iterator[Hang]:
    for every, limit_s in ((0.02, 60.0), (1.0, 60.0), (7.0, 60.0), (20.0, 168.0), (100.0, 808.0)):
        rank = begun().steps(120, every) if every >= 1 else begun().steps(int(120 / every), every)
        yield Hang(f"train: steps of {every:g} s", sdk(rank, after_s=AFTER_S), rank.now_s, limit_s, "train")
    rank = begun().steps(300, [2.0, 9.0, 4.0, 25.0])
    yield Hang("train: batches of variable length", sdk(rank, after_s=AFTER_S), rank.now_s, 90.0, "train")
    for section, seconds, limit_s in (("eval", 30.0, 600.0), ("save", 5.0, 600.0), ("data", 8.0, 960.0)):
        rank = begun()
        for _ in range(60):
            rank.steps(30, 1.0).section(section, seconds)
        rank.steps(9, 1.0).enter(section)
        yield Hang(
            f"{section}: sixty of them took {seconds:g} s",
            sdk(rank, after_s=AFTER_S),
            rank.now_s,
            limit_s,
            section,
        )
    rank = begun().steps(400, 1.0).enter("eval").quiet(100).enter("save").quiet(20 * MINUTE).leave()
    yield Hang(
        "eval: it is over its limit though another section was open inside",
        sdk(rank.enter("save"), after_s=AFTER_S),
        rank.now_s - 1300.0,
        1800.0,
        "eval",
    )


def in_loops() -> Iterator[Hang]:
    """Sections that are entered and left for ever, and no step."""
    rank = begun().steps(300, 1.0)
    since_s = rank.now_s
    for _ in range(3000):
        rank.section("save", 4.0).quiet(1.0)
    yield Hang("train: it saves for ever", sdk(rank), since_s, 20 * 600.0 + 60, "train")
    rank = begun().steps(300, 1.0)
    since_s = rank.now_s
    for _ in range(300):
        rank.section("eval", 300.0)
    yield Hang("train: it evaluates for ever", sdk(rank), since_s, 20 * 2450.0 + 60, "train")


def of_many() -> Iterator[Hang]:
    """R27, R28 and their kin: one stands, the others wait for it."""
    for count in (2, 4):
        ranks = [begun().steps(200, 1.0) for _ in range(count)]
        ranks[1] = begun().steps(199, 1.0)
        yield Hang(
            f"{count} ranks: rank 1 sleeps, the others wait in the step after",
            sdk(*ranks, after_s=AFTER_S),
            ranks[1].now_s,
            60.0,
            "train",
            1,
        )
        ranks = [begun().steps(200, 1.0).enter("collective") for _ in range(count)]
        ranks[1] = begun().steps(200, 1.0)
        yield Hang(
            f"{count} ranks: rank 1 does not come to the collective",
            sdk(*ranks, after_s=AFTER_S),
            ranks[1].now_s,
            60.0,
            "train",
            1,
        )
    ranks = [begun().steps(3000, 1.0), begun().steps(200, 1.0)]
    yield Hang("2 ranks: one stands, the other goes on", sdk(*ranks), ranks[1].now_s, 60.0, "train", 1)
    ranks = [begun().steps(20, 1.0), begun().steps(20, 1.0)]
    yield Hang("2 ranks: both stand, soon", sdk(*ranks, after_s=AFTER_S), ranks[0].now_s, 420.0, "train", 0)
    ranks = [begun().steps(200, 1.0).enter("eval"), begun().steps(200, 1.0)]
    yield Hang(
        "2 ranks: rank 0 never comes back from its eval",
        sdk(*ranks, after_s=AFTER_S),
        ranks[0].now_s,
        1800.0,
        "eval",
        0,
    )
    ranks = [begun().steps(200, 1.0).section("eval", 600.0), begun().steps(200, 1.0)]
    yield Hang(
        "2 ranks: rank 1 dies while rank 0 evaluates, and is excused no longer than that",
        sdk(*ranks, after_s=AFTER_S),
        ranks[0].now_s,
        60.0,
        "train",
        None,
    )
    ranks = [begun().steps(60, 1.0), begun().steps(60, 1.0)]
    for _ in range(400):
        ranks[0].section("eval", 120.0).steps(2, 1.0)
    yield Hang(
        "2 ranks: rank 1 stands, rank 0 goes on between its evals",
        sdk(*ranks),
        ranks[1].now_s + 122.0,
        60.0,
        "train",
        1,
    )
    ranks = [begun().steps(200, 1.0).exit(), begun().steps(200, 1.0)]
    yield Hang(
        "2 ranks: rank 0 leaves early, rank 1 waits for it",
        sdk(*ranks, after_s=AFTER_S),
        ranks[1].now_s,
        60.0,
        "train",
        1,
    )
    ranks = [begun().steps(200, 1.0).exit(), begun().steps(900, 1.0).exit()]
    yield Hang(
        "2 ranks: all said their last word, and none ends",
        sdk(*ranks, after_s=AFTER_S),
        ranks[1].now_s,
        1800.0,
        "exit",
    )
    ranks = [Rank().init(60) for _ in range(3)] + [_in_init()]
    yield Hang(
        "4 ranks: one never gets through its init",
        sdk(*ranks, after_s=AFTER_S),
        3.0,
        1800.0,
        "init",
        3,
    )


def interrupted() -> Iterator[Hang]:
    """What is given back is given back once."""
    for key in ("stopped", "suspended", "observer_gaps"):
        rank = begun().steps(300, 1.0)
        away = [[rank.now_s + 20, rank.now_s + 20 + 2 * HOUR]]
        yield Hang(
            f"train: {key} for two hours after it hung",
            sdk(rank, after_s=AFTER_S, **{key: away}),
            rank.now_s,
            60.0,
            "train",
            given_back_s=2 * HOUR,
        )
        rank = begun().steps(100, 1.0).quiet(600).steps(200, 1.0)
        away = [[195.0, 785.0]]
        yield Hang(
            f"train: {key} long before it hung",
            sdk(rank, after_s=AFTER_S, **{key: away}),
            rank.now_s,
            60.0,
            "train",
        )


def after_kills() -> Iterator[Hang]:
    kills = {"schema": 1, "sdk": True, "world": 1, "sections": {}, "doublings": {"eval": 1, "init": 2}}
    rank = begun().steps(100, 1.0).enter("eval")
    yield Hang(
        "eval: killed there before, so it may take twice as long",
        sdk(rank, after_s=AFTER_S, learned=kills),
        rank.now_s,
        3600.0,
        "eval",
    )
    rank = begun().steps(100, 1.0).section("eval", 60).steps(9, 1.0).enter("eval")
    yield Hang(
        "eval: killed there before, but one ended well since",
        sdk(rank, after_s=AFTER_S, learned=kills),
        rank.now_s,
        1800.0,
        "eval",
    )
    rank = Rank().init(30).steps(500, 1.0)
    yield Hang(
        "init: it hangs in steps that were made before",
        sdk(rank, after_s=AFTER_S, reached_step=700),
        rank.now_s,
        1800.0,
        "init",
    )


def from_logs() -> Iterator[Hang]:
    rank = Rank(at_s=100).steps(500, 1.0)
    yield Hang("log: steps of 1 s", zero(rank, after_s=AFTER_S), rank.now_s, 1800.0, "train")
    rank = Rank(at_s=100).steps(60, 400.0)
    yield Hang("log: steps of 400 s", zero(rank, after_s=AFTER_S), rank.now_s, 4010.0, "train")
    rank = Rank(at_s=100).steps(500, 1.0)
    yield Hang(
        "log: an endless loop burns CPU",
        zero(rank, after_s=AFTER_S, activity=[[600, 600 + AFTER_S]]),
        rank.now_s,
        1800.0,
        "train",
    )
    yield Hang("log: an evaluation's bar stands", evaluated(HOUR, AFTER_S), 600 + HOUR, 1800.0, "eval")
    endless = evaluated(AFTER_S, AFTER_S)
    yield Hang("log: an evaluation's bar turns for ever", endless, 600.0, 21 * 1800.0, "train")
    rank = Rank(at_s=100).steps(500, 1.0)
    since_s = rank.now_s
    yield Hang("log: lines go on, the step does not", zero(rank.beating(AFTER_S)), since_s, 1800.0, "train")
    rank = Rank(at_s=20).steps(500, 1.0)
    yield Hang(
        "log: --stall-limit", zero(rank, after_s=AFTER_S, declared_limits={"": 50}), rank.now_s, 50.0, "train"
    )
