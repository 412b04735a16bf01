from collections.abc import Callable
from pathlib import Path

import pytest

from outlast.disk import page
from outlast.runner.ranks import Ranks
from outlast.runner.stopping import Stopping
from tests.unit.runner.conftest import Rank

Make = Callable[..., Rank]


@pytest.fixture
def ranks(tmp_path: Path) -> Ranks:
    return Ranks(str(tmp_path))


def stopping(limit_s: float = 600.0, checkpoints: str | None = None) -> Stopping:
    return Stopping(limit_s, checkpoints)


def over(one: Stopping, ranks: Ranks, now_s: float) -> bool:
    ranks.look()
    return one.is_over(ranks, 0.0, now_s)


def wish(want: str, request: int, term: int = 1) -> dict[str, object]:
    return {"term": term, "request": request, "want": want}


def test_a_training_without_a_page_is_ended_at_once(ranks: Ranks) -> None:
    one = stopping()
    assert one.ask("stop", "request 1", 0.0)
    assert over(one, ranks, 0.0)


def test_one_that_reads_its_flag_is_told_and_waited_for(ranks: Ranks, rank: Make) -> None:
    one, training = stopping(600.0), rank()
    training.at(50)
    training.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    assert not over(one, ranks, 0.0)
    assert training.told == 50
    assert not over(one, ranks, 599.0)
    assert over(one, ranks, 601.0)


def test_one_that_never_reads_its_flag_is_not_waited_for_long(ranks: Ranks, rank: Make) -> None:
    one = stopping()
    rank().at(50)
    one.ask("stop", "request 1", 100.0)
    assert not over(one, ranks, 104.0)
    assert over(one, ranks, 105.5)


def test_no_step_is_agreed_upon_before_every_rank_is_there(ranks: Ranks, rank: Make) -> None:
    one, first = stopping(), rank(0, 2)
    first.at(10)
    first.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    assert not over(one, ranks, 0.0)
    assert first.told is None
    first.at(30)
    second = rank(1, 2)
    second.at(1)
    over(one, ranks, 0.5)
    assert second.told == 32
    assert first.told == 32


def test_ranks_of_another_node_are_not_waited_for_long(ranks: Ranks, rank: Make) -> None:
    one, first = stopping(), rank(0, 16)
    first.at(10)
    first.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    over(one, ranks, 3.5)
    assert first.told == 12


def test_of_several_ranks_one_that_reads_is_enough_to_wait(ranks: Ranks, rank: Make) -> None:
    one, reads, other = stopping(), rank(0, 2), rank(1, 2)
    reads.at(1)
    other.at(1)
    reads.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    assert not over(one, ranks, 100.0)


def test_the_step_that_was_agreed_stays_while_ranks_go_on(ranks: Ranks, rank: Make) -> None:
    one, two = stopping(), [rank(number, 2) for number in range(2)]
    for each in two:
        each.at(10)
        each.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    over(one, ranks, 0.0)
    two[0].at(11)
    over(one, ranks, 1.0)
    assert [each.told for each in two] == [12, 12]


def test_a_rank_that_appears_while_the_others_stop_is_told_the_same_step(ranks: Ranks, rank: Make) -> None:
    one, two = stopping(), [rank(number, 2) for number in range(2)]
    for each in two:
        each.at(10)
        each.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    over(one, ranks, 0.0)
    late = rank(1, 2, 99)  # its launcher started it again
    over(one, ranks, 1.0)
    assert late.told == two[0].told == 12


def test_l44_the_limit_is_extended_while_a_save_grows_and_bounded(
    ranks: Ranks, rank: Make, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("checkpoints")
    one, training = stopping(60.0, str(root)), rank()
    training.at(1)
    training.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    for second in range(361):
        (root / "half-written").write_bytes(b"x" * (second + 1))
        assert not over(one, ranks, float(second)), second
    (root / "half-written").write_bytes(b"x" * 1000)
    assert over(one, ranks, 361.0)


def test_l44_a_save_that_no_longer_grows_extends_nothing(
    ranks: Ranks, rank: Make, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("checkpoints")
    (root / "old").write_bytes(b"x")
    one, training = stopping(60.0, str(root)), rank()
    training.at(1)
    training.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    verdicts = [over(one, ranks, float(second)) for second in range(90)]
    assert verdicts.index(True) in range(61, 75)


def test_stop_now_waits_for_nobody(ranks: Ranks, rank: Make) -> None:
    one, training = stopping(), rank()
    training.flag(page.READ)
    one.ask("stop", "request 1", 0.0)
    assert not over(one, ranks, 1.0)
    assert one.ask("stop-now", "signal 15 to the runner", 2.0)
    assert over(one, ranks, 2.0)
    assert (one.told, one.by) == ("stop-now", "signal 15 to the runner")


def test_the_highest_term_and_request_rules_in_whatever_order_they_are_read(ranks: Ranks) -> None:
    one = stopping()
    assert one.read_wish(wish("stop", 5, term=2), ranks, 0.0)
    assert not one.read_wish(wish("stop-now", 9, term=1), ranks, 0.0)
    assert not one.read_wish(wish("run", 4, term=2), ranks, 0.0)
    assert (one.told, one.by) == ("stop", "request 5")
    assert one.read_wish(wish("stop-now", 6, term=2), ranks, 0.0)


def test_a_stop_is_taken_back_until_a_rank_has_obeyed(ranks: Ranks, rank: Make) -> None:
    one, training = stopping(), rank()
    training.at(3)
    training.flag(page.READ)
    one.read_wish(wish("stop", 1), ranks, 0.0)
    over(one, ranks, 0.0)
    assert training.told == 3
    assert one.read_wish(wish("run", 2), ranks, 1.0)
    assert [one.told, one.by, training.told] == ["run", "", None]
    one.read_wish(wish("pause", 3), ranks, 2.0)
    training.flag(page.OBEYED)
    over(one, ranks, 2.0)
    assert not one.read_wish(wish("run", 4), ranks, 3.0)
    assert one.told == "pause"


def test_a_wish_to_run_takes_back_no_stop_that_nobody_wished(ranks: Ranks) -> None:
    one = stopping()
    one.ask("stop", "timeout: 60 s", 0.0)
    assert not one.read_wish(wish("run", 7), ranks, 1.0)
    assert one.told == "stop"


@pytest.mark.parametrize("why", ["stall: no progress for 61 s (limit 60 s)", "timeout: 60 s"])
def test_who_hurries_an_end_on_does_not_change_why_it_came(ranks: Ranks, why: str) -> None:
    one = stopping()
    one.ask("stop", why, 0.0)
    one.read_wish(wish("stop-now", 7), ranks, 1.0)
    assert (one.told, one.by) == ("stop-now", why)


def test_a_wish_that_makes_no_sense_is_not_obeyed(ranks: Ranks) -> None:
    one = stopping()
    for nonsense in ({}, {"want": "explode"}, {"term": "x", "request": 1, "want": "stop"}, wish("halt", 3)):
        one.read_wish(dict[str, object](nonsense), ranks, 0.0)
    assert one.told == "run"


def test_pause_becomes_stop_when_that_is_wished_later(ranks: Ranks) -> None:
    one = stopping()
    one.read_wish(wish("pause", 1), ranks, 0.0)
    one.read_wish(wish("stop", 2), ranks, 1.0)
    assert (one.told, one.by) == ("stop", "request 2")
