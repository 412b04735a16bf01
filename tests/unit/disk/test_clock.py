"""A moment carries its boot, so that an interval over a reboot is never computed."""

import time

import pytest

from outlast.disk import clock, identity


def test_a_moment_is_of_this_boot_and_on_the_monotonic_clock() -> None:
    before = time.monotonic()
    now = clock.moment()
    assert now["boot"] == identity.boot_id()
    assert before <= now["mono_s"] <= time.monotonic()


def test_a_wall_clock_that_jumps_ten_years_moves_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    first = clock.moment()
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + 10 * 365 * 86_400)
    second = clock.moment()
    assert second["wall_s"] - first["wall_s"] > 9 * 365 * 86_400
    assert 0 <= second["mono_s"] - first["mono_s"] < 60
