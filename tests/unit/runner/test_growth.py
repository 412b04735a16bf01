import signal
import time
from pathlib import Path

import pytest

from outlast.runner import growth
from outlast.runner.growth import Growth, size


def test_a_folder_that_does_not_answer_grows_no_more_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "size", lambda _: signal.pause())
    one, began_s = Growth(str(tmp_path)), time.monotonic()
    assert [one.is_seen(float(second)) for second in range(0, 70, 10)] == [True] * 6 + [False]
    assert time.monotonic() - began_s < 10
    one.close()


def test_it_is_measured_every_few_seconds_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "ANSWER_S", 30.0)
    one = Growth(str(tmp_path))
    assert one.is_seen(0.0)
    (tmp_path / "a").write_bytes(b"x")
    assert one.is_seen(5.0), "measured, and grown"
    assert one.is_seen(14.0)
    assert not one.is_seen(15.0)
    (tmp_path / "a").write_bytes(b"xx")
    assert not one.is_seen(18.0), "not measured again yet"
    assert one.is_seen(19.0)


def test_the_size_of_a_folder_is_that_of_all_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 10)
    (tmp_path / "file").write_bytes(b"x" * 5)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    total, newest = size(str(tmp_path))
    assert 15 <= total < 1000
    assert newest > 0
    assert size(str(tmp_path / "missing")) == (0, 0)
