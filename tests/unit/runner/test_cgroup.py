import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlast.runner import cgroup
from tests.runner_driver import wait_for

NAME = f"test{os.getpid()}"


@pytest.fixture
def path() -> Iterator[str]:
    planned = cgroup.plan(NAME)
    if planned is None:
        pytest.skip("this host lets us make no cgroup")
    yield planned
    cgroup.remove(planned)


def members(path: str) -> list[int]:
    return [int(word) for word in Path(path, "cgroup.procs").read_text().split()]


def test_a_plan_makes_nothing(path: str) -> None:
    assert not os.path.exists(path)


def test_members_are_moved_and_their_children_stay_with_them(path: str) -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 0.3; sleep 60 & wait"])
    try:
        cgroup.gather(path, lambda: [process.pid])
        wait_for(lambda: len(members(path)) == 2, "the child")
        for pid in members(path):
            os.kill(pid, 9)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not members(path), "an empty cgroup")
    cgroup.remove(path)
    assert not os.path.exists(path)


def test_who_is_elsewhere_on_purpose_stays_there(path: str) -> None:
    other = f"{path}-other"
    process = subprocess.Popen(["sleep", "60"])
    try:
        os.mkdir(other)
        Path(other, "cgroup.procs").write_text(str(process.pid))
        cgroup.gather(path, lambda: [process.pid])
        assert members(path) == []
        assert members(other) == [process.pid]
    finally:
        process.kill()
        process.wait()
        wait_for(lambda: not members(other), "its death")
        os.rmdir(other)


def test_the_mount_is_found_wherever_it_is() -> None:
    others = "22 1 0:20 / /sys rw - sysfs sysfs rw\n"
    ours = "30 22 0:26 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n"
    assert cgroup._mount_point(others + ours) == "/sys/fs/cgroup/unified"
    assert cgroup._mount_point(others) is None
