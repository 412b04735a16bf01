"""Trainings that look as if they hung and do not: nothing of this may ever be ended.

Each is a name and a timeline. What it must survive stands in its name.
"""

from __future__ import annotations

from typing import Any

from tests.corpus.story import HOUR, Rank, sdk, zero

MINUTE = 60.0
Told = dict[str, Any]


def begun(init_s: float = 30.0, first_s: float = 60.0) -> Rank:
    """The loop has begun and its first step, with the compiler's time, is made."""
    return Rank().init(init_s).steps(1, first_s)


def one_rank() -> dict[str, Told]:
    told: dict[str, Told] = {}
    told["import and download for 29 min"] = sdk(Rank().init(29 * MINUTE).steps(500, 1.0))
    told["compile for 19 min on the first step"] = sdk(begun(first_s=19 * MINUTE).steps(2000, 0.5))
    told["compile for 9 min on the second step, too"] = sdk(begun().steps(1, 9 * MINUTE).steps(2000, 0.5))
    told["sanity check before the first step"] = sdk(
        Rank().init(60).section("eval", 25 * MINUTE).steps(1, 15 * MINUTE).steps(500, 1.0)
    )
    told["the first batch takes 18 min"] = sdk(Rank().init(60).section("data", 18 * MINUTE).steps(500, 1.0))
    told["twenty quick steps, then 9 min"] = sdk(begun().steps(20, 0.5).steps(1, 9 * MINUTE).steps(60, 0.5))
    told["slow first steps, then quick ones"] = sdk(begun().each([300, 120, 60, 30, 15]).steps(3000, 0.3))
    told["gradient accumulation: 9 min a step"] = sdk(begun(first_s=9 * MINUTE).steps(60, 9 * MINUTE))
    told["steps of two sizes"] = sdk(begun().steps(3000, [0.4] * 19 + [18.0]))
    told["batches of variable length"] = sdk(begun().steps(4000, [1.1, 3.0, 0.7, 12.0, 5.5, 2.2, 9.3, 0.9]))
    told["a sequence that grows for ten hours"] = sdk(begun().steps(9000, 1.0, grow=0.0003))
    told["a curriculum that goes from 5 s to 35 s"] = sdk(begun().steps(600, 5.0).steps(400, 35.0))
    told["a section around each epoch"] = sdk(_epochs())
    told["a search for the learning rate before steps of 5 min"] = sdk(
        begun().steps(900, 0.3).back_to(0).steps(60, 5 * MINUTE)
    )
    told["bursts of a search for the learning rate"] = sdk(begun().steps(400, [0.05] * 40 + [50.0]))
    told["waits for work for three days and says so"] = sdk(
        begun().steps(500, 1.0).section("idle", 72 * HOUR).steps(500, 1.0)
    )
    return told


def _epochs() -> Rank:
    rank = begun()
    for _ in range(8):
        rank.enter("epoch").steps(300, 1.0).leave().quiet(40)
    return rank


def evals_and_saves() -> dict[str, Told]:
    told: dict[str, Told] = {}
    rank = begun()
    for _ in range(10):
        rank.steps(400, 1.0).section("eval", 25 * MINUTE).section("save", 20 * MINUTE)
    told["slow evals and long saves"] = sdk(rank)
    rank = begun()
    for number in range(24):
        rank.steps(200, 1.0).section("save", 60.0 * (number + 1))
    told["a save every 200 steps that takes a minute longer each time"] = sdk(rank)
    rank = begun()
    for number in range(70):
        rank.steps(60, 1.0).section("eval", 90.0 + 10 * (number % 7))
    told["seventy evals, each like the others"] = sdk(rank.section("eval", 400.0).steps(50, 1.0))
    rank = begun().steps(500, 1.0)
    for _ in range(10):
        rank.section("eval", 25 * MINUTE)
    told["ten evals in a row"] = sdk(rank.steps(100, 1.0))
    rank = begun().steps(999, 1.0)
    for _ in range(60):
        rank.section("eval", 25 * MINUTE).quiet(3)
    told["a suite of sixty evals after the last step"] = sdk(rank.exit(), total=1000)
    for name in ("save", "eval", "push"):
        rank = begun()
        for _ in range(60):
            rank.steps(60, 1.0).section(name, 4.0)
        told[f"{name}: sixty of 4 s, then one of 9 min"] = sdk(rank.section(name, 9 * MINUTE).steps(9, 1.0))
    told["a save inside an eval"] = sdk(
        begun()
        .steps(300, 1.0)
        .enter("eval")
        .quiet(10 * MINUTE)
        .section("save", 15 * MINUTE)
        .quiet(200)
        .leave()
    )
    told["an eval of 90 min that was declared"] = sdk(
        begun().steps(300, 1.0).section("eval", 90 * MINUTE).steps(50, 1.0), declared_limits={"eval": 7200}
    )
    told["evaluates for two hours after its last word"] = sdk(
        begun().steps(300, 1.0).exit().section("eval", 29 * MINUTE).exit().section("eval", 29 * MINUTE).exit()
    )
    told["a service that is idle between its trainings"] = sdk(
        begun().steps(300, 1.0).exit().enter("idle"), after_s=40 * HOUR
    )
    told["a notebook that stays open after its training"] = sdk(
        begun().steps(300, 1.0).exit(), after_s=40 * HOUR, first_process=True
    )
    told["a last upload of 29 min"] = sdk(begun().steps(300, 1.0).exit().quiet(29 * MINUTE))
    return told


def data() -> dict[str, Told]:
    told: dict[str, Told] = {}
    rank = begun()
    for _ in range(6):
        rank.steps(500, 1.0).section("data", 15 * MINUTE)
    told["storage fails over for 15 min and comes back"] = sdk(rank)
    rank = begun()
    for _ in range(20):
        rank.steps(200, 0.5).quiet(55)
    told["a pause of 55 s at the end of each epoch"] = sdk(rank)
    rank = begun()
    for _ in range(20):
        rank.steps(200, 0.5).section("data", 4 * MINUTE)
    told["workers start anew for 4 min at each epoch"] = sdk(rank)
    rank = begun()
    for _ in range(80):
        rank.steps(50, 1.0).section("data", 3.0)
    told["storage fails over for 15 min after eighty quick waits"] = sdk(
        rank.section("data", 15 * MINUTE).steps(9, 1.0)
    )
    told["a loader that is always a little late"] = sdk(_data_bound())
    return told


def _data_bound() -> Rank:
    rank = begun()
    for number in range(400):
        rank.section("data", 2.0 + number % 3).steps(1, 0.4)
    return rank


def resumed() -> dict[str, Told]:
    told: dict[str, Told] = {}
    told["fast-forward of 5000 steps, silent for 25 min"] = sdk(
        Rank().init(60).steps(1, 25 * MINUTE, inc=5000).steps(1, 15 * MINUTE).steps(500, 1.0),
        reached_step=5000,
    )
    told["fast-forward by batches that counts its steps"] = sdk(
        Rank().init(60).steps(5000, 0.2).quiet(20 * MINUTE).steps(500, 1.0), reached_step=5000
    )
    forward = Rank()
    forward.beats = [[3, 0, "init"], {"from": 60, "to": 2400, "every": 0.5, "step0": 1, "section": "init"}]
    forward.now_s, forward.step = 2400.0, 4681
    told["fast-forward that is told as init"] = sdk(
        forward.quiet(25 * MINUTE).loop().steps(1, 15 * MINUTE).steps(500, 1.0)
    )
    told["steps made once more, with a pause where the last attempt had died"] = sdk(
        Rank(step=400).init(60).steps(330, 1.0).quiet(20 * MINUTE).steps(500, 1.0), reached_step=730
    )
    return told


def interrupted() -> dict[str, Told]:
    """Time that says nothing about the training."""
    told: dict[str, Told] = {}
    told["asleep for eight hours inside a step"] = sdk(
        begun().steps(300, 1.0).quiet(8 * HOUR).steps(300, 1.0), suspended=[[391, 391 + 8 * HOUR]]
    )
    told["asleep inside an eval"] = sdk(
        begun().steps(300, 1.0).section("eval", 3 * HOUR + 1200).steps(9, 1.0),
        suspended=[[500, 500 + 3 * HOUR]],
    )
    told["stopped for two hours and continued"] = sdk(
        begun().steps(300, 1.0).quiet(2 * HOUR).steps(300, 1.0), stopped=[[391, 391 + 2 * HOUR]]
    )
    told["stopped, by the word of /proc"] = sdk(
        begun().steps(300, 1.0).quiet(2 * HOUR).steps(300, 1.0),
        proc_state=[[0, 391, "S", "futex_do_wait"], [391, 391 + 2 * HOUR, "T", "do_signal_stop"]],
    )
    flaps = [[391 + 20 * number, 391 + 20 * number + 15] for number in range(180)]
    told["stopped and continued every twenty seconds"] = sdk(
        begun().steps(300, 1.0).each([160.0] * 20), stopped=flaps
    )
    told["never continued: stopped is not hung"] = sdk(
        begun().steps(300, 1.0), after_s=48 * HOUR, stopped=[[400, 400 + 48 * HOUR]]
    )
    told["a watcher that was not scheduled for five minutes, often"] = sdk(
        begun().steps(300, 1.0).each([350.0] * 20),
        observer_gaps=[[391 + 350 * number, 391 + 350 * number + 310] for number in range(20)],
    )
    starved = [[100 + 6 * number, 104.5 + 6 * number] for number in range(1000)]
    told["a watcher that is always starved"] = sdk(begun().steps(400, 14.0), observer_gaps=starved)
    jumps = [[100, 3600], [200, -7200], [300, 315_360_000], [301, -315_360_000]]
    told["a wall clock that jumps"] = sdk(begun().steps(3000, 1.0), wall_clock_jumps=jumps)
    told["asleep, then stopped, then unwatched"] = sdk(
        begun().steps(300, 1.0).quiet(9000).steps(300, 1.0),
        suspended=[[400, 3400]], stopped=[[3390, 6400]], observer_gaps=[[6395, 9385]],
    )  # fmt: skip
    return told


def ranks() -> dict[str, Told]:
    told: dict[str, Told] = {}
    for count in (2, 4, 8):
        told[f"{count} ranks: only rank 0 evaluates and saves, the others wait"] = sdk(
            *_rank_0_evaluates(count)
        )
    told["2 ranks: the others wait in a declared collective"] = sdk(
        *_rank_0_evaluates(2, waiting_in="collective")
    )
    told["2 ranks: all enter, only rank 0 evaluates"] = sdk(*_all_enter())
    told["4 ranks: one of them loads for 28 min, the others wait for their first step"] = sdk(
        *(_late(late) for late in (28 * MINUTE, 60.0, 90.0, 5 * MINUTE))
    )
    told["4 ranks: only rank 0 counts steps"] = sdk(
        begun().steps(9000, 1.0), *(Rank().init(50).quiet(9000) for _ in range(3))
    )
    told["4 ranks: only rank 0 counts steps, the others never leave init"] = sdk(
        begun().steps(9000, 1.0), *(_mute() for _ in range(3))
    )
    told["2 ranks: rank 0 waits for its data, rank 1 for rank 0"] = sdk(*_one_waits_for_data())
    told["4 ranks: one is stopped for an hour, and so they all wait"] = sdk(
        *(begun().steps(300, 1.0).quiet(HOUR).steps(300, 1.0) for _ in range(4)), stopped=[[391, 391 + HOUR]]
    )
    told["4 ranks: one leaves first, the others still save"] = sdk(
        begun().steps(300, 1.0).exit().quiet(25 * MINUTE),
        *(begun().steps(300, 1.0).section("save", 20 * MINUTE).exit() for _ in range(3)),
    )
    told["2 ranks: one is done, the other makes steps for hours"] = sdk(
        begun().steps(300, 1.0).exit(), begun().steps(9000, 1.0).exit()
    )
    told["2 ranks: one is done, the other evaluates three times"] = sdk(
        begun().steps(300, 1.0).exit(),
        begun().steps(300, 1.0).section("eval", 25 * MINUTE).section("eval", 25 * MINUTE)
        .section("eval", 25 * MINUTE).exit(),
    )  # fmt: skip
    told["64 ranks that are not quite even"] = sdk(
        *(begun(first_s=60 + number).steps(200, [1.0, 1.5, 6.0]).exit() for number in range(64))
    )
    told["2 ranks without a collective, one at half the pace"] = sdk(
        begun().steps(3000, 1.0), begun().steps(1500, 2.0)
    )
    return told


def _rank_0_evaluates(count: int, waiting_in: str = "") -> list[Rank]:
    first, others = begun(), [begun() for _ in range(count - 1)]
    for _ in range(6):
        first.steps(200, 1.0).section("eval", 25 * MINUTE).section("save", 12 * MINUTE)
        for other in others:
            other.steps(200, 1.0)
            if waiting_in:
                other.section(waiting_in, 37 * MINUTE)
            else:
                other.quiet(37 * MINUTE)
    return [first.steps(50, 1.0), *(other.steps(50, 1.0) for other in others)]


def _all_enter() -> list[Rank]:
    first, other = begun(), begun()
    for _ in range(80):
        first.steps(60, 1.0).section("eval", 20 * MINUTE)
        other.steps(60, 1.0).section("eval", 1.2).quiet(20 * MINUTE - 1.2)
    return [first.steps(20, 1.0), other.steps(20, 1.0)]


def _late(init_s: float) -> Rank:
    rank = Rank().init(init_s)
    return rank.steps(1, 28.5 * MINUTE - init_s).steps(500, 1.0)


def _mute() -> Rank:
    rank = Rank(at_s=20.0)
    rank.beats.append([20.0, 0, "init"])
    return rank.quiet(9000)


def _one_waits_for_data() -> list[Rank]:
    first, other = begun(), begun()
    for _ in range(5):
        first.steps(300, 1.0).section("data", 15 * MINUTE)
        other.steps(300, 1.0).quiet(15 * MINUTE)
    return [first.steps(30, 1.0), other.steps(30, 1.0)]


def from_logs() -> dict[str, Told]:
    """With no SDK: steps that a log tells of, and nothing of sections."""
    told: dict[str, Told] = {}
    told["log: an eval of 28 min every hour"] = zero(_log([1.0] * 3600 + [28 * MINUTE], 4))
    told["log: the first line comes after 50 min, and one every 50 min"] = zero(_log([50 * MINUTE], 20))
    told["log: a line every 20 min, once two hours"] = zero(_log([20 * MINUTE] * 20 + [120 * MINUTE], 2))
    told["log: nothing that could be understood"] = zero(Rank(), after_s=100 * HOUR)
    told["log: it compiles for 25 min after the first line"] = zero(_log([60, 25 * MINUTE] + [2.0] * 500, 1))
    told["log: stopped for a day"] = zero(
        _log([1.0] * 600, 1), after_s=24 * HOUR, stopped=[[610, 610 + 24 * HOUR]]
    )
    told["log: asleep for a day"] = zero(
        _log([1.0] * 600, 1).quiet(24 * HOUR).each([1.0] * 60), suspended=[[605, 605 + 24 * HOUR]]
    )
    told["log: a line after a minute, then one an hour"] = zero(_log([60.0] + [HOUR] * 20, 1))
    told["log: a checkpoint of step 0 after a minute, then one every four hours"] = zero(
        _log([60.0] + [4 * HOUR] * 5, 1)
    )
    told["log: an evaluation's bar goes on for six hours"] = evaluated()
    told["log: more is written than can be read"] = zero(
        _log([1.0] * 600, 1).quiet(6 * HOUR).each([1.0] * 60),
        signs=[{"from": 700, "to": 600 + 6 * HOUR, "every": 1, "step0": 1, "section": None}],
    )
    told["log: batches of variable length"] = zero(_log([3.0, 80.0, 14.0, 170.0, 41.0], 60))
    return told


def evaluated(bar_s: float = 6 * HOUR, eval_s: float = 6 * HOUR) -> Told:
    """Steps, and an evaluation of so long, whose bar moves for so long."""
    rank = _log([1.0] * 600, 1)
    told = zero(rank.quiet(eval_s).each([1.0] * 60))
    told["beats"][600:600] = [[600, 600, "eval"], [600 + eval_s, 600, None]]
    moves = {"from": 600, "to": 600 + bar_s, "every": 60, "step0": 1, "section": "eval"}
    return told | {"signs": [moves]}


def _log(waits: list[float], rounds: int) -> Rank:
    rank = Rank()
    for _ in range(rounds):
        rank.each(waits)
    return rank


def all_of_them() -> dict[str, Told]:
    told: dict[str, Told] = {}
    for kind in (one_rank, evals_and_saves, data, resumed, interrupted, ranks, from_logs):
        told |= kind()
    return told
