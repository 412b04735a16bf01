from outlast.runner.patience import Patience, Stall


def quiet(patience: Patience, seconds: int, start: int = 0, *, stopped: bool = False) -> Stall | None:
    """One look a second in which nothing moves; the first verdict."""
    for second in range(start + 1, start + seconds + 1):
        if (stall := patience.look(float(second), progressed=False, stopped=stopped)) is not None:
            return stall
    return None


def test_quiet_beyond_its_limit_is_a_stall_that_says_both() -> None:
    stall = quiet(Patience([("", 60.0)], 0.0), 100)
    assert str(stall) == "stall: no progress for 61 s (limit 60 s)"


def test_exactly_the_limit_is_none() -> None:
    assert quiet(Patience([("", 60.0)], 0.0), 60) is None


def test_progress_starts_the_count_anew() -> None:
    patience = Patience([("", 60.0)], 0.0)
    assert quiet(patience, 60) is None
    assert patience.look(60.5, progressed=True, stopped=False) is None
    assert quiet(patience, 60, start=60) is None


def test_without_a_limit_nothing_ever_stalls() -> None:
    assert quiet(Patience([], 0.0), 100_000) is None


def test_the_limit_of_a_section_rules_in_it_and_only_there() -> None:
    patience = Patience([("", 10.0), ("eval", 1000.0)], 0.0)
    assert patience.look(1.0, progressed=False, stopped=False, section="eval") is None
    for second in range(2, 500):
        assert patience.look(float(second), progressed=False, stopped=False, section="eval") is None
    stall = patience.look(500.0, progressed=False, stopped=False, section="train")
    assert stall is not None
    assert stall.limit_s == 10.0


def test_a_section_without_a_limit_of_its_own_or_a_general_one_never_stalls() -> None:
    patience = Patience([("eval", 1.0)], 0.0)
    assert quiet(patience, 1000) is None


def test_the_verdict_names_the_section() -> None:
    patience = Patience([("eval", 1.5)], 0.0)
    assert patience.look(1.0, progressed=False, stopped=False, section="eval") is None
    assert str(patience.look(2.0, progressed=False, stopped=False, section="eval")) == (
        "stall: no progress for 2 s (limit 1.5 s, section eval)"
    )


def test_r25_time_in_which_the_watcher_was_not_scheduled_is_given_back() -> None:
    patience = Patience([("", 60.0)], 0.0)
    assert quiet(patience, 30) is None
    assert patience.look(330.0, progressed=False, stopped=False) is None  # stopped for five minutes
    assert quiet(patience, 29, start=330) is None
    assert quiet(patience, 3, start=359) is not None


def test_a_watcher_that_is_a_little_late_gives_nothing_back() -> None:
    patience = Patience([("", 10.0)], 0.0)
    looks = [patience.look(second * 1.9, progressed=False, stopped=False) for second in range(1, 7)]
    assert looks[-1] is not None


def test_time_in_which_the_training_was_stopped_is_given_back_and_never_continued() -> None:
    patience = Patience([("", 10.0)], 0.0)
    assert quiet(patience, 9) is None
    assert quiet(patience, 1000, start=9, stopped=True) is None
    assert quiet(patience, 1, start=1009) is None
    assert quiet(patience, 2, start=1010) is not None


def test_what_was_given_back_before_progress_helps_nobody_after_it() -> None:
    patience = Patience([("", 10.0)], 0.0)
    assert quiet(patience, 100, stopped=True) is None
    assert patience.look(101.0, progressed=True, stopped=False) is None
    assert quiet(patience, 11, start=101) is not None


def test_everybodys_clock_shows_the_time_since_progress_whole() -> None:
    patience = Patience([], 0.0)
    quiet(patience, 10, stopped=True)
    assert (patience.since_progress_s(10.0), patience.quiet_s(10.0)) == (10.0, 0.0)
