"""The table of doors x whereabouts, every pair of it."""

import pytest

from outlast.decide.presence import SILENT_S, presence
from outlast.facts import (
    Absent,
    Alive,
    Begun,
    Closed,
    Coming,
    Doors,
    Gone,
    NoDoor,
    Nowhere,
    Presence,
    Queued,
    Running,
    Shut,
    Unrecorded,
    Unseen,
    Where,
    Whereabouts,
    Word,
)
from tests.unit.decide.values import RUNNER, ending

JOB = Where("slurm", "c", "17", "t1", restarts=1)
AGAIN = Where("slurm", "c", "17", "t1", restarts=2)
EARLIER = Where("slurm", "c", "17", "t1", restarts=0)
OTHER = Where("slurm", "c", "18", "t1", restarts=9)
WORD = Word("NODE_FAIL", "it burned")

SHUT = Shut(False, "called off", 1)
FINAL = Shut(True, "over", 1)
CLOSED = Closed(ending(), JOB)
BEGUN = Begun(RUNNER, JOB, "order.1.json", True)
SILENT = Begun(RUNNER, JOB, "order.1.json", True, silent_s=SILENT_S)
STALE_UNSEEN = Unseen("the backend's answer is older than the claim")
NOT_YET = Unseen("begun, not known to its backend, and not yet silent for long")
BLIND = Unseen("no answer")

LOOKS: tuple[Whereabouts, ...] = (Nowhere(), Queued(JOB, "waits"), Running(JOB), Gone(JOB, WORD), BLIND)

TABLE: list[tuple[Doors, Whereabouts, Presence]] = [
    *((door, look, door) for door in (SHUT, FINAL, CLOSED) for look in LOOKS),
    (NoDoor(), Nowhere(), Absent(None)),
    (NoDoor(), Queued(JOB, "waits"), Coming(JOB, "waits")),
    (NoDoor(), Running(JOB), Coming(JOB, "starting")),
    (NoDoor(), Gone(JOB, WORD), Absent(WORD)),
    (NoDoor(), BLIND, BLIND),
    (BEGUN, Nowhere(), NOT_YET),
    (SILENT, Nowhere(), Unrecorded(None)),
    (BEGUN, Queued(JOB), STALE_UNSEEN),
    (BEGUN, Queued(AGAIN), Unrecorded(None)),
    (BEGUN, Queued(EARLIER), STALE_UNSEEN),
    (BEGUN, Queued(OTHER), STALE_UNSEEN),
    (BEGUN, Running(JOB), Alive(JOB, True)),
    (BEGUN, Running(JOB, watched=False), Alive(JOB, False)),
    (BEGUN, Gone(JOB, WORD), Unrecorded(WORD)),
    (BEGUN, Gone(AGAIN, WORD), Unrecorded(WORD)),
    (BEGUN, Gone(EARLIER, WORD), STALE_UNSEEN),
    (BEGUN, Gone(OTHER, WORD), STALE_UNSEEN),
    (BEGUN, BLIND, BLIND),
    (SILENT, BLIND, BLIND),
]


@pytest.mark.parametrize(("doors", "seen", "expected"), TABLE)
def test_every_pair_of_the_table_says_what_the_house_says(
    doors: Doors, seen: Whereabouts, expected: Presence
) -> None:
    assert presence(doors, seen) == expected


def test_an_attempt_that_its_backend_forgot_is_over_only_after_ten_minutes_of_silence() -> None:
    assert SILENT_S == 600.0
    almost = Begun(RUNNER, JOB, "order.1.json", True, silent_s=SILENT_S - 0.1)
    assert presence(almost, Nowhere()) == NOT_YET


@pytest.mark.parametrize("other", [Where("slurm", "d", "17", "t1", 1), Where("slurm", "c", "17", "t2", 1)])
def test_a_word_about_another_cluster_or_submission_says_nothing_about_this_one(other: Where) -> None:
    assert presence(BEGUN, Gone(other, WORD)) == STALE_UNSEEN


def test_what_could_not_be_seen_is_never_over_whatever_the_door() -> None:
    for doors in (NoDoor(), BEGUN, SILENT):
        assert isinstance(presence(doors, BLIND), Unseen)
