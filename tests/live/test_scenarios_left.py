"""What no other test of the ring would notice."""

import os

import pytest

from outlast.disk import files, identity
from tests.live.workspace import Bench, wait_for

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]


def test_l6_who_holds_a_lock_file_that_was_deleted_leaves_the_place(outlast: Bench) -> None:
    """Nothing runs: no runner would start a second one, whose later term makes the first leave, too."""
    outlast.outlast("up", "--detach")
    first = outlast.supervisor()["identity"]
    os.unlink(outlast.place.lock)
    wait_for(lambda: identity.alive(first) is False, "the supervisor to leave")
    assert not files.is_locked(outlast.place.lock)
