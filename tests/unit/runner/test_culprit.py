"""Who is named, and when nobody is."""

import itertools
import random

import pytest

from outlast.runner import culprit
from outlast.runner.culprit import Standing
from outlast.runner.frames import Frame

TORCH = "/v/lib/python3.11/site-packages/torch"
OWN = Frame("/w/train.py", 30, "main")


def in_collective(name: str = "all_reduce") -> list[Frame]:
    return [
        Frame(f"{TORCH}/distributed/distributed_c10d.py", 3252, name),
        Frame(f"{TORCH}/distributed/c10d_logger.py", 83, "wrapper"),
        OWN,
    ]


BACKWARD = [
    Frame(f"{TORCH}/autograd/graph.py", 979, "_engine_run_backward"),
    Frame(f"{TORCH}/autograd/__init__.py", 395, "backward"),
    Frame(f"{TORCH}/_tensor.py", 623, "backward"),
    OWN,
]
NAP = [Frame("/w/train.py", 8, "nap"), OWN]
LOADER = [
    Frame("/usr/lib/python3.11/threading.py", 320, "wait"),
    Frame(f"{TORCH}/utils/data/dataloader.py", 5, "get"),
    OWN,
]
# Deep below every step of such a training lies a library's own wrapper, and the launcher's.
DEEP = [
    Frame("/w/train.py", 8, "nap"),
    Frame(f"{TORCH}/distributed/fsdp/fully_sharded_data_parallel.py", 850, "forward"),
    Frame(f"{TORCH}/distributed/elastic/agent.py", 1, "barrier"),
    OWN,
]
LINEAR = [
    Frame(f"{TORCH}/nn/modules/linear.py", 1, "forward"),
    Frame(f"{TORCH}/nn/parallel/distributed.py", 9, "forward"),
    OWN,
]
LEAVING = [Frame("/usr/lib/python3.11/threading.py", 1590, "_shutdown")]
DESTROYING = [Frame(f"{TORCH}/distributed/distributed_c10d.py", 2, "destroy_process_group"), OWN]


def rank(
    number: int | None,
    frames: list[Frame] | None,
    step: int | None = None,
    state: str = "S",
    line: str = "",
) -> Standing:
    return Standing(number, 100 + (number or 0), state, step, frames, line)


@pytest.mark.parametrize(
    "waiting", [in_collective(), in_collective("barrier"), in_collective("init_process_group"), BACKWARD]
)
@pytest.mark.parametrize("outside", [NAP, LOADER, DEEP, LINEAR])
def test_who_stands_outside_of_what_the_others_wait_in_is_named(
    waiting: list[Frame], outside: list[Frame]
) -> None:
    found = culprit.name([rank(0, waiting), rank(1, outside), rank(2, waiting)])
    assert (found.rank, found.pid) == (1, 101)
    assert "rank 0, rank 2" in found.why


def test_lowest_step_is_named_before_any_stack_is_compared() -> None:
    found = culprit.name([rank(0, NAP, 7), rank(1, NAP, 4), rank(2, None, 7)])
    assert (found.rank, "at step 4, behind rank 0 at 7" in found.why) == (1, True)


def test_who_waits_in_a_collective_is_not_it_though_a_step_behind_while_another_stands_outside() -> None:
    """Rank 0 counts its step and then saves for ever; rank 1 would count it after the barrier."""
    assert culprit.name([rank(0, NAP, 7), rank(1, in_collective("barrier"), 6)]).rank == 0


def test_steps_count_only_if_all_ranks_say_theirs() -> None:
    """Often rank 0 alone reports."""
    assert culprit.name([rank(0, NAP, 7), rank(1, in_collective(), None)]).rank == 0
    assert culprit.name([rank(0, in_collective(), 7), rank(1, NAP, None)]).rank == 1
    assert culprit.name([rank(0, BACKWARD, 7), rank(1, BACKWARD, 8), rank(2, NAP, None)]).rank == 2


def test_rank_that_raised_first_and_leaves_is_not_named_while_another_sleeps() -> None:
    for gone in (rank(0, LEAVING, 3), rank(0, DESTROYING, 3), rank(0, None, 3, "Z"), rank(0, None, 3, "")):
        assert culprit.name([gone, rank(1, NAP, 3)]).rank == 1


def test_rank_that_has_ended_is_named_if_all_others_wait() -> None:
    found = culprit.name([rank(0, in_collective()), rank(1, None, None, ""), rank(2, BACKWARD)])
    assert (found.rank, "has ended" in found.why) == (1, True)


def test_stopped_rank_is_named() -> None:
    found = culprit.name([rank(0, in_collective()), rank(1, in_collective(), None, "T")])
    assert (found.rank, "stopped" in found.why) == (1, True)


def test_rank_that_shows_no_stack_is_named_only_if_all_others_wait() -> None:
    assert culprit.name([rank(0, in_collective()), rank(1, None)]).rank == 1
    assert culprit.name([rank(0, NAP), rank(1, None)]).rank is None


def test_rank_in_the_hands_of_the_kernel_is_named_though_it_shows_no_stack() -> None:
    found = culprit.name([rank(0, in_collective()), rank(1, None, None, "D")])
    assert (found.rank, "state D" in found.why) == (1, True)


def test_nobody_is_named_where_all_stand_alike() -> None:
    for frames in (NAP, BACKWARD, in_collective(), None):
        found = culprit.name([rank(0, frames, 5), rank(1, frames, 5)])
        assert (found.rank, found.pid, bool(found.why)) == (None, None, True)


WAITS_FOR_PEERS = [
    Frame("/usr/lib/python3.11/socket.py", 706, "readinto"),
    Frame("/w/peers.py", 12, "meet"),
    OWN,
]


def test_of_three_or_more_in_code_of_their_own_the_one_that_stands_elsewhere_is_named() -> None:
    alike = [rank(number, WAITS_FOR_PEERS, 5) for number in (0, 1, 3)]
    found = culprit.name([*alike, rank(2, NAP, 5)])
    assert found.rank == 2
    assert "all others alike: rank 0" in found.why


@pytest.mark.parametrize(
    "ranks",
    [
        [rank(0, WAITS_FOR_PEERS, 5), rank(1, NAP, 5)],
        [rank(0, WAITS_FOR_PEERS, 5), rank(1, WAITS_FOR_PEERS, 5), rank(2, NAP, 5), rank(3, NAP, 5)],
        [rank(0, WAITS_FOR_PEERS, 5), rank(1, NAP, 5), rank(2, LINEAR, 5)],
    ],
    ids=["of two either may be it", "two stand elsewhere", "each stands elsewhere"],
)
def test_nobody_is_named_where_more_than_one_stands_apart(ranks: list[Standing]) -> None:
    found = culprit.name(ranks)
    assert (found.pid, bool(found.why)) == (None, True)


def test_different_collectives_are_said_and_nobody_is_named() -> None:
    found = culprit.name([rank(0, in_collective()), rank(1, in_collective("barrier"))])
    assert found.rank is None
    assert "rank 0 in all_reduce" in found.why
    assert "rank 1 in barrier" in found.why


def test_c_call_is_known_by_the_line_that_makes_it() -> None:
    main = [OWN]
    waiting = rank(0, main, line="work.wait()")
    assert culprit.name([waiting, rank(1, NAP, line="time.sleep(9)")]).rank == 1
    assert culprit.name([rank(0, main, line="total += loss.item()"), rank(1, NAP)]).rank == 1


def test_one_rank_alone_is_named_with_where_it_stands() -> None:
    found = culprit.name([rank(0, NAP, 3)])
    assert (found.rank, "/w/train.py:8 nap" in found.why) == (0, True)


def test_nobody_known_is_nobody_named() -> None:
    assert culprit.name([]).pid is None


def test_process_of_unknown_rank_is_named_by_its_number() -> None:
    found = culprit.name([Standing(None, 7, "S", None, in_collective()), Standing(None, 8, "S", None, NAP)])
    assert (found.rank, found.pid) == (None, 8)


def test_many_ranks_are_named_in_few_words() -> None:
    found = culprit.name([rank(n, NAP if n == 77 else in_collective()) for n in range(4096)])
    assert found.rank == 77
    assert len(found.why) < 300


def test_name_does_not_depend_on_the_order_of_the_ranks_and_never_fails() -> None:
    stacks = [NAP, BACKWARD, in_collective(), in_collective("barrier"), LEAVING, None, []]
    chance = random.Random(1)
    for _ in range(2000):
        ranks = [
            rank(n, chance.choice(stacks), chance.choice([None, 3, 3, 4]), chance.choice("SRDTZ"))
            for n in range(chance.randint(2, 4))
        ]
        pids = {frozenset([culprit.name(list(order)).pid is None]) for order in itertools.permutations(ranks)}
        assert len(pids) == 1
