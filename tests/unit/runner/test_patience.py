"""The hang decision, look by look. Whole trainings are played in test_corpus."""

import json
from collections.abc import Callable, Iterable

import pytest

from outlast.runner.patience import Patience, Sample, Stall

FIRST, TRAIN = "first step", "train"
EVAL = (("eval", None, 1),)


def quiet(patience: Patience, seconds: int, start: int = 0, *, stopped: bool = False) -> Stall | None:
    """One look a second in which nothing moves; the first verdict."""
    for second in range(start + 1, start + seconds + 1):
        if (stall := patience.look(float(second), stopped=stopped)) is not None:
            return stall
    return None


class Watcher:
    """Looks once a second at ranks that say what they are told to say."""

    def __init__(self, patience: Patience | None = None, world: int = 1) -> None:
        self.patience = patience or Patience([], 0.0)
        self.now_s = 0.0
        self.ranks = [Sample(rank, 0, FIRST, world=world) for rank in range(world)]

    def says(self, rank: int = 0, **changes: object) -> None:
        self.ranks[rank] = self.ranks[rank]._replace(**changes)  # type: ignore[arg-type]  # keywords of the test's own, checked when it runs

    def looks(self, seconds: int, *, stopped: bool = False) -> Stall | None:
        for _ in range(seconds):
            self.now_s += 1.0
            stall = self.patience.look(self.now_s, self.ranks, stopped=stopped)
            if stall is not None:
                return stall
        return None

    def steps(self, count: int, every: int = 1, ranks: tuple[int, ...] = (0,)) -> Stall | None:
        for _ in range(count):
            for rank in ranks:
                self.says(rank, step=self.ranks[rank].step + 1, stage=TRAIN)
            stall = self.looks(every)
            if stall is not None:
                return stall
        return None


def declared(stall: Stall | None) -> Stall:
    assert stall is not None
    return stall


# --- with nothing but a person's limit ----------------------------------------------------------------------


def test_quiet_beyond_its_limit_is_a_stall_that_says_both() -> None:
    stall = quiet(Patience([("", 60.0)], 0.0), 100)
    assert str(stall) == "stall: no progress for 61 s (limit 60 s by --stall-limit)"


def test_exactly_the_limit_is_none() -> None:
    assert quiet(Patience([("", 60.0)], 0.0), 60) is None


def test_any_sign_of_life_starts_the_count_anew() -> None:
    patience = Patience([("", 60.0)], 0.0)
    assert quiet(patience, 60) is None
    assert patience.look(60.5, alive=True) is None
    assert quiet(patience, 60, start=60) is None


def test_without_a_limit_and_without_a_page_nothing_ever_stalls() -> None:
    assert quiet(Patience([], 0.0), 100_000) is None


def test_the_limit_of_a_section_rules_in_it_and_only_there() -> None:
    patience = Patience([("", 10.0), ("eval", 1000.0)], 0.0)
    for second in range(1, 500):
        assert patience.look(float(second), section="eval") is None
    assert patience.look(500.0, section=TRAIN) is None
    stall = quiet(patience, 20, start=500)
    assert (declared(stall).limit_s, declared(stall).section) == (10.0, "")


def test_a_section_without_a_limit_of_its_own_or_a_general_one_never_stalls() -> None:
    assert quiet(Patience([("eval", 1.0)], 0.0), 1000) is None


def test_the_limit_of_the_training_begins_with_its_first_sign_of_life() -> None:
    patience = Patience([(TRAIN, 10.0)], 0.0)
    assert quiet(patience, 100) is None
    assert patience.look(101.0, alive=True) is None
    assert quiet(patience, 20, start=101) is not None


def test_the_verdict_names_the_section() -> None:
    patience = Patience([("eval", 1.5)], 0.0)
    assert patience.look(0.5, section="eval") is None
    assert str(patience.look(2.4, section="eval")) == (
        "stall: no progress for 2 s (limit 1.5 s by --stall-limit, section eval)"
    )


# --- what is given back -------------------------------------------------------------------------------------


def test_r25_time_in_which_the_watcher_was_not_scheduled_is_given_back() -> None:
    patience = Patience([("", 60.0)], 0.0)
    assert quiet(patience, 30) is None
    assert patience.look(330.0) is None  # stopped for five minutes
    assert quiet(patience, 29, start=330) is None
    assert quiet(patience, 3, start=359) is not None


def test_a_watcher_that_is_a_little_late_gives_nothing_back() -> None:
    patience = Patience([("", 10.0)], 0.0)
    looks = [patience.look(second * 1.9) for second in range(1, 7)]
    assert looks[-1] is not None


def test_time_in_which_the_training_was_stopped_is_given_back_and_never_continued() -> None:
    patience = Patience([("", 10.0)], 0.0)
    assert quiet(patience, 9) is None
    assert quiet(patience, 1000, start=9, stopped=True) is None
    assert patience.stopped_s(1009.0) == 999.0
    assert quiet(patience, 1, start=1009) is None
    assert quiet(patience, 2, start=1010) is not None
    assert patience.stopped_s(1011.0) is None


def test_what_was_given_back_before_progress_helps_nobody_after_it() -> None:
    patience = Patience([("", 10.0)], 0.0)
    assert quiet(patience, 100, stopped=True) is None
    assert patience.look(101.0, alive=True) is None
    assert quiet(patience, 11, start=101) is not None


def test_everybodys_clock_shows_the_time_since_progress_whole() -> None:
    patience = Patience([], 0.0)
    quiet(patience, 10, stopped=True)
    assert (patience.since_progress_s(10.0), patience.quiet_s(10.0)) == (9.0, 0.0)


def test_a_wait_that_was_given_back_in_part_teaches_nothing() -> None:
    watcher = Watcher()
    watcher.steps(40)
    assert watcher.looks(100, stopped=True) is None
    watcher.steps(20)
    assert watcher.patience.learned()["sections"][TRAIN]["count"] == 58  # neither the first step nor that one


# --- sections and steps -------------------------------------------------------------------------------------


def test_fewer_than_fifty_samples_teach_no_limit() -> None:
    watcher = Watcher()
    watcher.steps(50)  # the first of them is the first step
    assert declared(watcher.looks(700)).limit_s == 600.0
    watcher = Watcher()
    watcher.steps(52)
    assert declared(watcher.looks(700)).limit_s == 60.0


def test_an_overdue_outer_section_counts_although_an_inner_one_is_open() -> None:
    watcher = Watcher()
    watcher.steps(5)
    watcher.says(sections=(("eval", 100.0, 1),))
    assert watcher.looks(90) is None
    watcher.says(sections=(("eval", 100.0, 1), ("save", 500.0, 2)))
    stall = declared(watcher.looks(20))
    assert (stall.section, stall.why) == ("eval", "declared in the code")


def test_a_step_is_progress_for_every_open_section() -> None:
    watcher = Watcher()
    watcher.steps(5)
    watcher.says(sections=(("epoch", 100.0, 1), ("half", 100.0, 2)))
    assert watcher.steps(10, every=60) is None


def test_the_trainings_own_section_is_not_charged_for_the_time_inside_others() -> None:
    watcher = Watcher(Patience([(TRAIN, 50.0)], 0.0))
    watcher.steps(5)
    assert watcher.looks(40) is None
    watcher.says(sections=EVAL)
    assert watcher.looks(1000) is None
    watcher.says(sections=())
    assert watcher.looks(40) is None
    assert declared(watcher.looks(20)).section == TRAIN


def test_a_section_that_is_entered_anew_has_a_timer_of_its_own() -> None:
    watcher = Watcher()
    watcher.steps(5)
    for serial in range(10):
        watcher.says(sections=(("eval", 100.0, serial),))
        assert watcher.looks(99) is None


def test_a_persons_limit_for_a_section_rules_over_the_codes_and_that_over_the_general_one() -> None:
    watcher = Watcher(Patience([("", 30.0), ("save", 40.0)], 0.0))
    watcher.steps(5)
    watcher.says(sections=(("save", 20.0, 1),))
    assert declared(watcher.looks(100)).limit_s == 40.0
    watcher = Watcher(Patience([("", 30.0)], 0.0))
    watcher.steps(5)
    watcher.says(sections=(("save", 20.0, 1),))
    assert declared(watcher.looks(100)).limit_s == 20.0


def test_a_section_called_idle_is_never_hung_and_excuses_nobody() -> None:
    watcher = Watcher(world=2)
    watcher.steps(80, ranks=(0, 1))
    watcher.says(0, sections=(("idle", None, 1),))
    assert declared(watcher.looks(1000)).rank == 1
    watcher = Watcher()
    watcher.steps(5)
    watcher.says(sections=(("idle", None, 1),))
    assert watcher.looks(100_000) is None


def test_a_rank_that_said_its_last_word_is_in_section_exit() -> None:
    watcher = Watcher()
    watcher.steps(80)
    watcher.says(left=True)
    assert declared(watcher.looks(2000)).section == "exit"


def test_a_rank_whose_process_is_gone_is_not_waited_for() -> None:
    watcher = Watcher(world=2)
    watcher.steps(80, ranks=(0, 1))
    del watcher.ranks[1]
    assert watcher.steps(500) is None
    watcher.ranks.clear()
    assert watcher.looks(10_000) is None


def test_an_init_that_never_ends_is_a_hang_only_where_pages_were_to_be_expected() -> None:
    assert declared(quiet(Patience([], 0.0, sdk=True), 3000)).section == "init"
    learned = Watcher()
    learned.steps(3)
    again = Patience([], 0.0, learned=json.loads(json.dumps(learned.patience.learned())))
    assert declared(quiet(again, 3000)).limit_s == 1800.0


def learned_with_pages(**more: object) -> dict[str, object]:
    watcher = Watcher()
    watcher.steps(3)
    return json.loads(json.dumps(watcher.patience.learned())) | more  # type: ignore[no-any-return]  # what json gives back is a dict here


def test_where_an_earlier_attempt_had_pages_a_sign_of_life_begins_the_wait_for_the_first_one_anew() -> None:
    patience = Patience([], 0.0, learned=learned_with_pages())
    for second in range(1, 6000):
        assert patience.look(float(second), alive=second % 1000 == 0) is None
    assert declared(quiet(patience, 2000, start=6000)).section == "init"


def test_where_an_earlier_attempt_had_pages_a_series_of_the_log_ends_the_wait_for_them() -> None:
    patience = Patience([], 0.0, learned=learned_with_pages())
    for second in range(1, 6000):
        assert patience.look(float(second), series=second // 1500, step=0) is None
    assert patience.learned()["sdk"] is False


def test_nobody_waits_for_pages_after_a_takeover_or_where_they_have_no_place() -> None:
    patience = Patience([], 0.0, learned=learned_with_pages(), awaits_pages=False)
    assert quiet(patience, 20_000) is None
    assert patience.learned()["sdk"] is True


def test_the_first_page_may_take_three_times_as_long_as_it_took_before() -> None:
    first = Patience([], 0.0)
    assert quiet(first, 2700) is None
    first.look(2701.0, [Sample(0, 1)])
    again = Patience([], 0.0, learned=json.loads(json.dumps(first.learned())))
    stall = declared(quiet(again, 9000))
    assert (stall.limit_s, stall.why) == (3 * 2701.0, "it took 2701 s before")
    assert Patience([("init", 5.0)], 0.0, learned=first.learned()).wait_s() == 5.0


def test_a_last_word_of_the_only_process_is_reported_and_no_hang() -> None:
    watcher = Watcher()
    watcher.steps(80)
    watcher.says(left=True)
    for _ in range(4000):
        watcher.now_s += 1.0
        assert watcher.patience.look(watcher.now_s, watcher.ranks, is_first=True) is None
    assert watcher.patience.alert() == (
        "no progress for 67 min in section exit: it said its last word, and nobody waits for it"
    )
    assert watcher.patience.nearest() is None


def test_a_declared_limit_of_exit_rules_for_the_only_process_too() -> None:
    watcher = Watcher(Patience([("exit", 50.0)], 0.0))
    watcher.steps(80)
    watcher.says(left=True)
    stalls = [watcher.patience.look(80.0 + second, watcher.ranks, is_first=True) for second in range(1, 100)]
    assert declared(stalls[-1]).section == "exit"


# --- ranks --------------------------------------------------------------------------------------------------


def test_a_rank_that_waits_for_one_inside_a_section_is_excused_and_its_time_given_back() -> None:
    watcher = Watcher(world=2)
    watcher.steps(80, ranks=(0, 1))
    watcher.says(0, sections=EVAL)
    assert watcher.looks(1500) is None
    watcher.says(0, sections=())
    assert watcher.looks(55) is None
    assert watcher.looks(10) is not None


def test_nobody_is_excused_by_one_who_is_far_ahead() -> None:
    watcher = Watcher(world=2)
    watcher.steps(80, ranks=(0, 1))
    watcher.steps(5, ranks=(0,))
    watcher.says(0, sections=EVAL)
    assert declared(watcher.looks(100)).rank == 1


def test_nobody_is_excused_by_one_who_is_over_its_own_limit() -> None:
    watcher = Watcher(world=2)
    watcher.steps(80, ranks=(0, 1))
    watcher.says(0, sections=(("eval", 100.0, 1),))
    stall = declared(watcher.looks(200))
    assert (stall.rank, stall.section, stall.quiet_s) == (0, "eval", 101.0)


def test_a_rank_that_stands_while_others_advance_is_the_culprit() -> None:
    watcher = Watcher(world=4)
    watcher.steps(80, ranks=(0, 1, 2, 3))
    assert declared(watcher.steps(100, ranks=(0, 1, 3))).rank == 2


def test_ranks_that_never_count_their_steps_are_mute_and_not_hung() -> None:
    watcher = Watcher(world=4)
    assert watcher.steps(5000) is None


def test_several_ranks_have_less_time_before_anything_is_learned() -> None:
    watcher = Watcher(world=2)
    watcher.steps(5, ranks=(0, 1))
    assert declared(watcher.looks(1000)).limit_s == 420.0


# --- kills --------------------------------------------------------------------------------------------------


def killed_at(step: int) -> dict[str, object]:
    """What a run has learned that was killed for a pause after that step."""
    watcher = Watcher()
    watcher.steps(step)
    stall = declared(watcher.looks(1000))
    watcher.patience.note_kill(stall)
    learned: dict[str, object] = json.loads(json.dumps(watcher.patience.learned()))
    return learned


def test_after_a_kill_the_limit_there_is_doubled_until_a_success_there() -> None:
    learned = killed_at(100)
    watcher = Watcher(Patience([], 0.0, learned=learned, reached_step=0))
    watcher.says(step=0, stage=TRAIN)
    stall = declared(watcher.looks(1000))
    assert (stall.limit_s, stall.why) == (120.0, "learned from 99 samples, doubled after a kill")
    watcher = Watcher(Patience([], 0.0, learned=learned, reached_step=0))
    watcher.steps(3)
    assert declared(watcher.looks(1000)).limit_s == 60.0


def test_steps_that_were_made_before_are_no_success() -> None:
    watcher = Watcher(Patience([], 0.0, learned=killed_at(100), reached_step=100))
    watcher.steps(100)
    assert watcher.patience.learned()["doublings"] == {TRAIN: 1}
    assert declared(watcher.looks(5000)).section == "init"


def test_what_a_person_declared_of_steps_holds_for_those_that_are_made_again() -> None:
    watcher = Watcher(Patience([(TRAIN, 30.0)], 0.0, reached_step=100))
    assert watcher.looks(1000) is None, "the beginning has a limit of its own"
    watcher.steps(50)
    stall = declared(watcher.looks(100))
    assert (stall.section, stall.limit_s, stall.why) == ("train", 30.0, "by --stall-limit")


def test_a_pause_that_had_killed_and_then_ends_well_holds_the_limit_above_itself() -> None:
    watcher = Watcher(Patience([], 0.0, learned=killed_at(100), reached_step=100))
    watcher.steps(100)
    assert watcher.looks(200) is None
    watcher.steps(50)
    stall = declared(watcher.looks(1000))
    assert stall.limit_s == pytest.approx(1.5 * 201)
    assert stall.why == "a pause of 201 s ended well"


def test_a_declared_limit_is_never_doubled() -> None:
    patience = Patience([("", 60.0)], 0.0)
    patience.note_kill(declared(quiet(patience, 100)))
    again = Patience([("", 60.0)], 0.0, learned=patience.learned())
    assert declared(quiet(again, 1000)).limit_s == 60.0


def test_what_was_learned_in_another_world_size_is_forgotten() -> None:
    before = Watcher(world=2)
    before.steps(100, ranks=(0, 1))
    watcher = Watcher(Patience([], 0.0, learned=before.patience.learned()), world=4)
    watcher.steps(5, ranks=(0, 1, 2, 3))
    assert declared(watcher.looks(1000)).limit_s == 420.0
    watcher = Watcher(Patience([], 0.0, learned=before.patience.learned()), world=2)
    watcher.steps(5, ranks=(0, 1))
    assert declared(watcher.looks(1000)).limit_s == 60.0


@pytest.mark.parametrize(
    "damaged",
    [
        [], {"sections": 3}, {"sections": {TRAIN: {"classes": "x"}}}, {"doublings": {TRAIN: "x"}}, "x",
        {"doublings": {TRAIN: float("nan")}}, {"doublings": {TRAIN: float("inf")}}, {"doublings": {TRAIN: -3}},
        {"outlived_s": {TRAIN: float("inf"), "eval": float("nan")}}, {"world": float("nan"), "sections": []},
        {"world": 1, "sections": {TRAIN: {"classes": [[0, float("inf"), 1.0]], "count": 99}}},
        {"world": 1, "sections": {TRAIN: {"classes": [[0, 99, float("inf")]], "count": 99}}},
        {"world": 1, "sections": {TRAIN: {"classes": [[0, 99, float("nan")]], "count": 99}}},
        {"world": 1, "sections": {TRAIN: {"classes": [], "count": 99}}},
        {"schema": 2, "doublings": {TRAIN: 1}}, {"first_page_s": float("inf"), "sdk": 1},
    ],
)  # fmt: skip
def test_a_damaged_lesson_teaches_nothing(damaged: object) -> None:
    watcher = Watcher(Patience([], 0.0, learned=damaged))  # type: ignore[arg-type]  # wrong on purpose
    watcher.steps(5)
    assert declared(watcher.looks(1000)).limit_s == 600.0
    json.dumps(watcher.patience.learned(), allow_nan=False)


def test_damaged_doublings_are_no_more_than_there_can_be() -> None:
    watcher = Watcher(Patience([], 0.0, learned={"doublings": {TRAIN: 5000}}))
    watcher.steps(1)
    assert declared(watcher.looks(20_000)).limit_s == 32 * 600.0


# --- logs ---------------------------------------------------------------------------------------------------


def test_an_identified_series_is_a_hang_only_after_half_an_hour() -> None:
    patience = Patience([], 0.0)
    for second in range(1, 500):
        assert patience.look(float(second), series=second, step=second) is None
    stall = None
    for second in range(500, 5000):
        stall = stall or patience.look(float(second), series=499, step=499, alive=True)
    assert (declared(stall).limit_s, declared(stall).section) == (1800.0, TRAIN)


def test_of_a_series_with_fewer_than_three_intervals_a_silence_is_reported_only() -> None:
    patience = Patience([], 0.0)
    for second in range(1, 9000):
        assert patience.look(float(second), series=min(second // 60, 2), step=0) is None
    assert "too little is known" in patience.alert()
    assert patience.look(9000.0, series=3, step=0) is None
    assert patience.alert() == ""
    with_a_limit = Patience([("", 50.0)], 0.0)
    assert with_a_limit.look(1.0, series=1, step=1) is None
    stalls = [with_a_limit.look(float(second), series=1, step=1) for second in range(2, 100)]
    assert declared(stalls[-1]).limit_s == 50.0


def test_what_could_not_be_read_begins_the_wait_anew_and_teaches_nothing() -> None:
    patience = Patience([], 0.0)
    for second in range(1, 500):
        patience.look(float(second), series=second, step=second)
    before = patience.learned()["sections"]["series"]
    for second in range(500, 9000):
        assert patience.look(float(second), series=499, step=499, unsure=True) is None
    patience.look(9000.0, series=500, step=500)
    assert patience.learned()["sections"]["series"] == before
    assert patience.straggler() == ""


def test_a_series_that_is_not_identified_is_activity_only() -> None:
    patience = Patience([], 0.0)
    for second in range(1, 10_000):
        assert patience.look(float(second), alive=second < 10) is None


def test_pages_that_count_no_steps_leave_the_word_to_the_log() -> None:
    patience, page = Patience([], 0.0), [Sample(0, 0, "init")]
    for second in range(1, 6000):
        assert patience.look(float(second), page, series=second // 10, step=second // 10) is None


def frozen(*, log: Callable[[int], int], declared_s: float | None = None) -> Stall | None:
    """A page that stands from the hundredth second on, and a log."""
    patience = Patience([] if declared_s is None else [("", declared_s)], 0.0)
    stall = None
    for second in range(1, 3000):
        stall = stall or patience.look(float(second), [Sample(0, min(second, 100))], series=log(second))
    return stall


@pytest.mark.parametrize("declared_s", [None, 30.0])
def test_l34_a_page_that_stands_while_the_steps_in_the_log_go_on_is_no_hang(declared_s: float | None) -> None:
    assert frozen(log=lambda second: second // 10, declared_s=declared_s) is None


@pytest.mark.parametrize(
    "log",
    [lambda _: 50, lambda second: min(second, 103), lambda second: min(second, 101) + (second > 140)],
    ids=["a log that stands, too", "a log that ends behind it", "a late line"],
)
def test_a_page_outranks_a_log_that_stands(log: Callable[[int], int]) -> None:
    assert declared(frozen(log=log)).limit_s == 60.0


def test_l34_a_log_that_has_the_word_is_judged_by_its_own_steps() -> None:
    assert declared(frozen(log=lambda second: min(second // 10, 60))).limit_s == 1800.0
    assert declared(frozen(log=lambda second: min(second // 10, 60), declared_s=30.0)).limit_s == 30.0


def test_l34_a_log_that_went_on_for_half_of_the_limit_and_then_stands_is_a_hang_all_the_same() -> None:
    """The page steps once an epoch: by the time that it is missed, the log has long been silent, too."""
    patience, stall = Patience([], 0.0), None
    for second in range(1, 6000):
        page = Sample(0, min(second, 1000) // 500)
        stall = stall or patience.look(float(second), [page], series=min(second, 1320))
    assert declared(stall).limit_s == 1800.0


@pytest.mark.parametrize("every", [1, 10, 20, 25, 29])
def test_l34_a_slow_log_is_heard_as_well(every: int) -> None:
    assert frozen(log=lambda second: second // every) is None


def test_l34_a_rank_that_leaves_gives_no_word_back_to_those_that_stand() -> None:
    patience = Patience([], 0.0)
    for second in range(1, 2000):
        ranks = [Sample(rank, min(second, 100), world=2) for rank in ((0, 1) if second < 1500 else (0,))]
        assert patience.look(float(second), ranks, series=second) is None, second


def test_l34_the_last_word_of_a_page_that_was_lost_begins_its_exit() -> None:
    patience, stall = Patience([("train", 30.0)], 0.0), None
    for second in range(1, 4000):
        page = Sample(0, min(second, 100), left=second > 500)
        stall = stall or patience.look(float(second), [page], series=min(second, 500))
    assert (declared(stall).section, declared(stall).limit_s) == ("exit", 1800.0)


def test_l34_at_the_end_it_counts_whether_the_log_went_on_and_no_limit() -> None:
    for last_step, has_telemetry in ((4, False), (30, True)):
        patience = Patience([], 0.0)
        for second in range(1, 30):
            patience.look(float(second), [Sample(0, min(second, 4))], series=second)
        assert patience.has_telemetry
        patience.end([Sample(0, last_step)], 30)
        assert patience.has_telemetry is has_telemetry


def test_l34_no_telemetry_is_said_until_a_page_moves_again_and_has_the_word() -> None:
    patience = Patience([], 0.0)

    def looks(seconds: Iterable[int], step: int, series: Callable[[int], int]) -> Stall | None:
        stall = None
        for second in seconds:
            stall = stall or patience.look(float(second), [Sample(0, step)], series=series(second))
        return stall

    for second in range(1, 100):
        looks([second], second, lambda second: second)
    assert looks(range(100, 500), 100, lambda second: second) is None
    assert patience.alert().startswith(
        "no telemetry: no page has moved for 7 min, but the steps in the log went on"
    )
    patience.look(500.0, [Sample(0, 100, left=True)], series=500)
    assert not patience.has_telemetry, "it leaves, and has said nothing of its steps"
    assert looks(range(501, 520), 101, lambda second: second) is None
    assert (patience.alert(), patience.has_telemetry) == ("", True)
    assert declared(looks(range(520, 700), 101, lambda _: 600)).limit_s == 60.0


# --- for screens --------------------------------------------------------------------------------------------


def test_what_is_nearest_to_its_limit_is_shown() -> None:
    watcher = Watcher()
    watcher.steps(5)
    watcher.says(sections=EVAL)
    watcher.looks(240)
    nearest = declared(watcher.patience.nearest())
    assert (nearest.section, nearest.quiet_s, nearest.limit_s, nearest.why) == (
        "eval",
        239.0,
        1800.0,
        "at first",
    )
    assert Patience([], 0.0).nearest() is None


def test_a_straggler_is_reported_and_its_recovery_ends_the_report() -> None:
    watcher = Watcher()
    watcher.steps(300, every=2)
    assert watcher.patience.straggler() == ""
    assert watcher.steps(20, every=11) is None
    assert watcher.patience.straggler().startswith("straggler: the training makes 0.0909 steps/s")
    watcher.steps(200, every=2)
    assert watcher.patience.straggler() == ""


def test_the_rank_that_is_slow_is_named() -> None:
    watcher = Watcher(world=2)
    watcher.steps(300, ranks=(0, 1))
    for _ in range(40):
        watcher.steps(7, ranks=(0,))
        watcher.steps(1, ranks=(0, 1))
    assert "rank 1 makes" in watcher.patience.straggler()


def test_a_look_costs_microseconds_however_long_the_training_ran() -> None:
    watcher = Watcher()
    watcher.steps(20_000)
    learned = watcher.patience.learned()
    assert len(json.dumps(learned)) < 4096
