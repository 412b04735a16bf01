from outlast.runner.pace import Pace


def at(pace: Pace, seconds: float, steps: int) -> Pace:
    for _ in range(steps):
        pace.add(1, seconds)
    return pace


def test_under_a_quarter_of_its_own_median_is_a_straggler() -> None:
    assert not at(at(Pace(), 1.0, 500), 3.9, 300).is_slow
    assert at(at(Pace(), 1.0, 500), 4.3, 300).is_slow


def test_it_stays_one_however_long_and_recovery_ends_it() -> None:
    pace = at(at(Pace(), 1.0, 500), 10.0, 5000)
    assert pace.is_slow
    assert not at(pace, 1.0, 200).is_slow


def test_a_long_step_now_and_then_is_none() -> None:
    pace = at(Pace(), 1.0, 500)
    for _ in range(30):
        pace.add(1, 600.0)
        at(pace, 1.0, 40)
        assert not pace.is_slow


def test_a_growing_step_is_none() -> None:
    pace = Pace()
    for number in range(10_000):
        pace.add(1, 1.0 + number / 500)
        assert not pace.is_slow


def test_a_beginning_has_no_median() -> None:
    assert not at(at(Pace(), 1.0, 50), 20.0, 9).is_slow
