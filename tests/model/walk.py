"""Walks all worlds that can come of the first one: what is wrong with any of them, and whether each can still end."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from outlast.decide import core
from tests.model.protocol import Protocol
from tests.model.world import Setting, World, beginning

WORLDS_MAX = 60_000_000


class Walk(NamedTuple):
    """`worlds` seen; `wrong`: the broken invariant in words, with the shortest `path` to it."""

    worlds: int
    wrong: str | None
    path: tuple[str, ...] = ()


def walk(setting: Setting, *, ends: bool = True, lean: bool = False, limit: int = WORLDS_MAX) -> Walk:
    """Breadth first, so that a path is a shortest one. With `ends` also I8, which needs the memory of every edge.

    `lean`: depth first and without paths; of each world only a hash of 64 bits is kept (that two of ten million worlds
    share one is as likely as one in a hundred thousand), so that much larger settings fit.
    """
    first_s, repeats = core.REPEAT_FIRST_S, core.REPEATS_MAX
    core.REPEAT_FIRST_S = 0.0  # time stands still in the model: what is due some time is due now
    core.REPEATS_MAX = 1 if setting.count_repeats else repeats
    try:
        protocol, first = Protocol(setting), beginning(setting)
        return _walk_lean(protocol, first, limit) if lean else _walk(protocol, first, ends, limit)
    finally:
        core.REPEAT_FIRST_S, core.REPEATS_MAX = first_s, repeats


def _walk(protocol: Protocol, first: World, ends: bool, limit: int) -> Walk:
    numbers: dict[World, int] = {first: 0}
    parents: list[int] = [-1]
    names: list[str] = [""]
    edges: list[list[int]] = [[]]  # to each world, from where
    ended: list[int] = []
    todo = deque([first])
    while todo:
        world = todo.popleft()
        number = numbers[world]
        wrong = protocol.wrong(world)
        if wrong is not None:
            return Walk(len(numbers), wrong, _path(number, parents, names))
        if ends and protocol.ended(world):
            ended.append(number)
        for name, after in protocol.steps(world):
            known = numbers.get(after)
            if known is None:
                known = numbers[after] = len(parents)
                parents.append(number)
                names.append(name)
                todo.append(after)
                if ends:
                    edges.append([])
                if len(parents) > limit:
                    return Walk(len(numbers), f"more than {limit} worlds")
            if ends:
                edges[known].append(number)
    if not ends:
        return Walk(len(numbers), None)
    stuck = _stuck(len(parents), edges, ended)
    if stuck is not None:
        return Walk(len(numbers), "I8: from here no end can be reached", _path(stuck, parents, names))
    return Walk(len(numbers), None)


def _walk_lean(protocol: Protocol, first: World, limit: int) -> Walk:
    seen = {hash(first)}
    todo = [first]
    while todo:
        world = todo.pop()
        wrong = protocol.wrong(world)
        if wrong is not None:
            return Walk(len(seen), wrong)
        for _, after in protocol.steps(world):
            mark = hash(after)
            if mark not in seen:
                seen.add(mark)
                todo.append(after)
        if len(seen) > limit:
            return Walk(len(seen), f"more than {limit} worlds")
    return Walk(len(seen), None)


def _stuck(worlds: int, edges: list[list[int]], ended: list[int]) -> int | None:
    can_end = bytearray(worlds)
    for number in ended:
        can_end[number] = 1
    todo = list(ended)
    while todo:
        for before in edges[todo.pop()]:
            if not can_end[before]:
                can_end[before] = 1
                todo.append(before)
    stuck = can_end.find(0)
    return stuck if stuck >= 0 else None


def _path(number: int, parents: list[int], names: list[str]) -> tuple[str, ...]:
    path = []
    while parents[number] >= 0:
        path.append(names[number])
        number = parents[number]
    return tuple(reversed(path))
