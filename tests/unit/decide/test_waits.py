from outlast.decide import waits
from outlast.facts import Waiting
from tests.unit.decide.values import at


def test_a_wait_passes_with_the_clock_of_its_boot() -> None:
    assert waits.left_s(Waiting(at(100.0), 30.0), at(110.0)) == 20.0
    assert waits.left_s(Waiting(at(100.0), 30.0), at(130.0)) == 0.0


def test_on_another_boot_a_wait_starts_anew_with_that_boot() -> None:
    waiting = Waiting(at(100_000.0), 30.0)
    assert waits.left_s(waiting, at(10.0, "boot-2")) == 20.0
    assert waits.left_s(waiting, at(31.0, "boot-2")) < 0


def test_r42_the_wall_clock_counts_for_nothing() -> None:
    before, after = at(10.0), at(12.0)
    jumped = type(after)(after.boot, after.mono_s, after.wall_s - 1e7)
    assert waits.since_s(before, jumped) == 2.0


def test_nobody_can_say_how_long_ago_something_on_another_boot_was() -> None:
    assert waits.since_s(at(1.0), at(2.0, "boot-2")) is None
