"""Numbers and records in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from outlast.cli import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "0.2s"),
        (9, "9s"),
        (59.9, "60s"),
        (250, "4m10s"),
        (3600, "1h00m"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
        (None, "-"),
        (float("nan"), "-"),
        (float("inf"), "-"),
        (-5, "0s"),
    ],
)
def test_span(seconds: float | None, text: str) -> None:
    assert words.span(seconds) == text


@given(some.integers(min_value=0, max_value=4_000_000_000))
def test_a_stamp_is_read_back_to_the_second(seconds: int) -> None:
    assert words.epoch_s(words.stamp(seconds)) == seconds


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("1970-01-01T00:00:00+00:00", 0.0),
        ("2000-02-29T12:00:00Z", 951_825_600.0),
        ("2026-01-31T12:00:00.500+01:00", 1_769_857_200.5),
        (None, None),
        ("", None),
        ("soon", None),
        ("2026-xx-31T12:00:00Z", None),
    ],
)
def test_other_stamps(stamp: str | None, seconds: float | None) -> None:
    assert words.epoch_s(stamp) == seconds


@pytest.mark.parametrize(
    ("ago", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (90_000, "1d"), (-9, "0s")]
)
def test_age_has_one_unit(ago: int, text: str) -> None:
    assert words.age(words.stamp(1_000_000), 1_000_000 + ago) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"phase": "running"}, "running"),
        ({"phase": "waiting", "waiting_for": "backoff"}, "waiting: backoff"),
        ({"phase": "ended", "outcome": "no-op"}, "no-op"),
        ({"phase": "ended", "outcome": None}, "ended"),
    ],
)
def test_phase(row: dict[str, str], text: str) -> None:
    assert words.phase(row) == text


@pytest.mark.parametrize(
    ("exit_", "text"),
    [
        ({"kind": "exited", "code": 0, "signal": None}, "exit 0"),
        ({"kind": "signalled", "code": None, "signal": 9}, "signal 9 (SIGKILL)"),
        ({"kind": "signalled", "code": None, "signal": 99}, "signal 99 (unknown)"),
        ({"kind": "never-began", "code": None, "signal": None}, "never began"),
        ({"kind": "lost", "code": None, "signal": None, "why": "the runner died"}, "lost: the runner died"),
        (None, "end unknown"),
    ],
)
def test_end(exit_: dict[str, object] | None, text: str) -> None:
    assert words.end(exit_) == text


def test_every_outcome_has_an_exit_code() -> None:
    assert words.OUTCOME_CODES == {"completed": 0, "failed": 1, "no-op": 1, "unknown": 5, "cancelled": 130}


def test_nearest_says_nothing_where_nothing_is_near() -> None:
    assert words.nearest("stpo", ["stop", "ls"]) == "; did you mean stop?"
    assert words.nearest("zzz", ["stop", "ls"]) == ""
