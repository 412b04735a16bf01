"""The protocol, walked exhaustively with the real decisions; and bugs planted in the world around them, each of which
the walk must find.

The settings of `make check` take seconds; the big ones minutes (`-m soak`).
"""

import pytest

from tests.model.walk import Walk, walk
from tests.model.world import Setting


def told(walked: Walk) -> str:
    return f"{walked.wrong}: " + " > ".join(walked.path)


SMALL = {
    "one supervisor": Setting(supervisors=1),
    "one, requeues and a runner's death": Setting(supervisors=1, requeues=1, runner_deaths=1),
    "one, the same by a scheduler": Setting(supervisors=1, requeues=1, runner_deaths=1, scheduler=True),
    "one, stopped and retried": Setting(supervisors=1, retry=True, requeues=1),
    "one, doors shut after launches in vain": Setting(supervisors=1, count_repeats=True, retry=True),
    "two, neither knows of the other": Setting(supervisors=2, stop=False),
    "two, a stop": Setting(supervisors=2),
    "two, time passes between door and backend": Setting(
        supervisors=2, stop=False, split_looks=True, attempts_max=1
    ),
    "two, a retry": Setting(supervisors=2, stop=False, retry=True, attempts_max=1),
}
# name -> setting, whether I8 is looked at too (it needs the memory of every edge)
BIG = {
    "two, a stop, split looks": (Setting(supervisors=2, split_looks=True), True),
    "two, a stop, a requeue and a death": (
        Setting(supervisors=2, requeues=1, runner_deaths=1, attempts_max=1),
        False,
    ),
    "two, the same by a scheduler": (
        Setting(supervisors=2, requeues=1, runner_deaths=1, attempts_max=1, scheduler=True),
        False,
    ),
    "two, stopped and retried": (Setting(supervisors=2, retry=True, attempts_max=1), True),
    "three, a stop": (Setting(supervisors=3, attempts_max=1, doors=3), False),
}


@pytest.mark.parametrize("name", SMALL)
def test_every_small_world_keeps_the_laws_and_can_end(name: str) -> None:
    walked = walk(SMALL[name])
    print(f"{name}: {walked.worlds:,} worlds")
    assert walked.wrong is None, told(walked)


@pytest.mark.soak
@pytest.mark.parametrize("name", BIG)
def test_every_big_world_keeps_the_laws(name: str) -> None:
    setting, ends = BIG[name]
    walked = walk(setting, ends=ends, lean=not ends)
    print(f"{name}: {walked.worlds:,} worlds")
    assert walked.wrong is None, told(walked)


@pytest.mark.parametrize(
    ("setting", "broken"),
    [
        (
            Setting(supervisors=1, unchained=True, requeues=0, runner_deaths=1),
            None,
        ),  # a second belt: alone harmless
        (Setting(supervisors=1, unswept=True), "I2"),
        (Setting(supervisors=2, stop=False, unsealed=True), "I3"),
        (Setting(supervisors=2, eager_removal=True, retry=True, attempts_max=1, doors=3), "I5"),
    ],
)
def test_a_bug_planted_in_the_world_is_found(setting: Setting, broken: str | None) -> None:
    walked = walk(setting, ends=False)
    if broken is None:
        assert walked.wrong is None, told(walked)
    else:
        assert walked.wrong is not None
        assert walked.wrong.startswith(broken), told(walked)


def test_a_walk_that_is_cut_short_says_so() -> None:
    assert walk(Setting(supervisors=2), limit=100).wrong == "more than 100 worlds"
    assert walk(Setting(supervisors=2), lean=True, limit=100).wrong == "more than 100 worlds"


def test_a_lean_walk_sees_as_many_worlds() -> None:
    setting = Setting(supervisors=1, requeues=1, runner_deaths=1)
    assert walk(setting, lean=True).worlds == walk(setting).worlds
