"""What no other test of the ring would notice."""

import os
import signal
import time
from pathlib import Path

import pytest

from outlast.disk import files, identity
from tests.live.workspace import Bench, wait_for
from tests.runner_driver import driver

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


def test_l6_who_holds_a_lock_file_that_was_deleted_leaves_the_place(outlast: Bench) -> None:
    """Nothing runs: no runner would start a second one, whose later term makes the first leave, too."""
    outlast.outlast("up", "--detach")
    first = outlast.supervisor()["identity"]
    os.unlink(outlast.place.lock)
    wait_for(lambda: identity.alive(first) is False, "the supervisor to leave")
    assert not files.is_locked(outlast.place.lock)


def test_r25_a_silent_training_does_not_hang_because_its_watcher_was_stopped(tmp_path: Path) -> None:
    """Its last words were seen before: on return nothing but the watcher's own gap excuses its silence."""
    with driver(tmp_path) as attempt:
        waits = "echo up; while ! test -e end; do sleep 0.1; done; exit 3"
        attempt.order(["sh", "-c", waits], stall_limits_s=[["", 5.0]])
        runner = attempt.start()
        attempt.says("up")
        wait_for(lambda: (files.read(attempt.folder.progress) or {}).get("log_bytes"), "a look at the output")
        runner.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        wait_for(lambda: time.monotonic() - stopped_at > 5.5, "more than the limit")
        runner.send_signal(signal.SIGCONT)
        wait_for(lambda: time.monotonic() - stopped_at > 6.3, "the first look after it")
        (attempt.root / "end").touch()
        assert runner.wait(20) == 0
        assert attempt.exit()["exit"] == {"type": "Exited", "code": 3}
