"""The contract of a backend: every implementation and the fake go through the same sentences.

A new backend adds one ground to `GROUNDS`; what only one of them can do has its tests in tests/unit/backends.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from outlast.decide.presence import presence
from outlast.disk import attempt as attempts
from outlast.disk import files
from outlast.disk.clock import moment
from outlast.facts import (
    Absent,
    Alive,
    AttemptId,
    Begun,
    Closed,
    Coming,
    Exited,
    Gone,
    Lost,
    NoDoor,
    Nowhere,
    Presence,
    Queued,
    Running,
    Shut,
    Signalled,
    Unrecorded,
    Unseen,
    Where,
)
from outlast.seams import Backend
from tests.contract import small_runner
from tests.contract.grounds import (
    RUN,
    SOURCE,
    FakeGround,
    Ground,
    RealGround,
    TableGround,
    doors_of,
    is_begun,
    order,
)
from tests.contract.toy_backend import ToyBackend

FIRST, SECOND = AttemptId(RUN, 1), AttemptId(RUN, 2)


# The folder of the workspace, and a copy of the ground floor whose runner is the small one -> a ground.
GROUNDS: dict[str, Callable[[Path, Path], Ground]] = {
    "fake": lambda folder, small: FakeGround(folder),
    "the table": lambda folder, small: TableGround(folder),
    "toy, small runner": lambda folder, small: RealGround(folder, str(small), ToyBackend),
    "toy": lambda folder, small: RealGround(folder, str(SOURCE.parent), ToyBackend),
    "local, small runner": lambda folder, small: RealGround(folder, str(small)),
    "local": lambda folder, small: RealGround(folder, str(SOURCE.parent)),
}


@pytest.fixture(scope="session")
def small_floor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    package = tmp_path_factory.mktemp("floor") / "outlast"
    (package / "runner").mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(SOURCE / "errors.py", package)
    shutil.copytree(SOURCE / "disk", package / "disk")
    shutil.copy(Path(small_runner.__file__), package / "runner" / "life.py")
    return package.parent


@pytest.fixture(params=GROUNDS)
def ground(request: pytest.FixtureRequest, tmp_path: Path, small_floor: Path) -> Iterator[Ground]:
    made = GROUNDS[request.param](tmp_path, small_floor)
    yield made
    made.close()


@pytest.fixture
def backend(ground: Ground) -> Backend:
    return ground.backend()


def presence_of(ground: Ground, backend: Backend, attempt: AttemptId) -> Presence:
    """As a turn sees it: doors first, then the backend."""
    doors = doors_of(ground, attempt)
    return presence(doors, backend.look({attempt: doors})[attempt])


def launched(ground: Ground, backend: Backend, attempt: AttemptId = FIRST) -> None:
    backend.launch([order(ground, attempt.n)])
    ground.until(lambda: is_begun(ground, attempt) and ground.begun() >= attempt.n)


def closed(ground: Ground, attempt: AttemptId) -> Closed:
    ground.until(lambda: isinstance(doors_of(ground, attempt), Closed))
    doors = doors_of(ground, attempt)
    assert isinstance(doors, Closed)
    return doors


# --- looking ---------------------------------------------------------------------------------------------------------


def test_a_look_answers_for_every_id_that_was_asked_and_for_no_other(
    ground: Ground, backend: Backend
) -> None:
    launched(ground, backend)
    asked = {FIRST: doors_of(ground, FIRST), **{AttemptId(RUN, n): NoDoor() for n in range(2, 60)}}
    assert backend.look(asked).keys() == asked.keys()
    assert backend.look({}) == {}


def test_what_was_never_launched_is_nowhere_and_so_absent(ground: Ground, backend: Backend) -> None:
    assert backend.look({FIRST: NoDoor()}) == {FIRST: Nowhere()}
    assert presence_of(ground, backend, FIRST) == Absent(None)


def test_from_launch_to_end_an_attempt_is_never_absent_and_never_over(
    ground: Ground, backend: Backend
) -> None:
    """Absent would launch again, over would begin the next: at no moment may a look say either."""
    seen: list[Presence] = []

    def look_until(condition: Callable[[], bool]) -> None:
        def look() -> bool:
            seen.append(presence_of(ground, backend, FIRST))
            return condition()

        ground.until(look)

    backend.launch([order(ground)])
    look_until(lambda: ground.begun() == 1)
    look_until(lambda: isinstance(seen[-1], Alive) and seen[-1].watched)
    ground.end_training(FIRST, 0)
    look_until(lambda: isinstance(seen[-1], Closed))
    kinds = [type(each) for each in seen]
    assert set(kinds) <= {Coming, Alive, Closed}
    assert kinds == sorted(kinds, key=[Coming, Alive, Closed].index)


def test_a_living_attempt_is_seen_running_and_watched_where_it_began(
    ground: Ground, backend: Backend
) -> None:
    launched(ground, backend)
    doors = doors_of(ground, FIRST)
    assert isinstance(doors, Begun)
    ground.until(lambda: backend.look({FIRST: doors})[FIRST] == Running(doors.where, watched=True))


def test_a_shut_door_and_an_ended_attempt_keep_their_own_word(ground: Ground, backend: Backend) -> None:
    launched(ground, backend)
    ground.end_training(FIRST, 0)
    ended = closed(ground, FIRST)
    attempts.shut(ground.workspace.run(RUN).attempt(2), final=True, why="completed", term=1)
    shut = doors_of(ground, SECOND)
    assert isinstance(shut, Shut)
    seen = backend.look({FIRST: ended, SECOND: shut})
    assert presence(ended, seen[FIRST]) == ended
    assert presence(shut, seen[SECOND]) == shut


def test_old_doors_with_new_whereabouts_never_make_a_death(ground: Ground, backend: Backend) -> None:
    """Between the look at the doors and the look at the backend a whole life can pass."""
    before = doors_of(ground, FIRST)
    backend.launch([order(ground)])
    ground.until(lambda: ground.begun() == 1)
    begun = doors_of(ground, FIRST)
    assert isinstance(presence(before, backend.look({FIRST: before})[FIRST]), Coming | Absent)
    ground.end_training(FIRST, 0)
    closed(ground, FIRST)
    ground.until(lambda: not files.is_locked(ground.workspace.run(RUN).attempt(1).claim))
    assert not isinstance(presence(begun, backend.look({FIRST: begun})[FIRST]), Absent | Unrecorded)


def test_a_claim_of_another_host_cannot_be_judged_from_here(ground: Ground, backend: Backend) -> None:
    assert isinstance(look_at_claim(ground, backend, host="elsewhere", boot="another"), Unseen)


def test_a_claim_of_an_earlier_boot_of_this_host_is_gone_for_certain(
    ground: Ground, backend: Backend
) -> None:
    assert isinstance(look_at_claim(ground, backend, boot="an earlier one"), Gone)


def look_at_claim(ground: Ground, backend: Backend, **by: str) -> object:
    launched(ground, backend)
    folder = ground.workspace.run(RUN).attempt(2)
    claim = files.read(ground.workspace.run(RUN).attempt(1).claim) or {}
    files.make_directory(folder.path)
    files.make_once(folder.claim, {**claim, "by": {**claim["by"], **by}, "at": moment()})
    return backend.look({SECOND: doors_of(ground, SECOND)})[SECOND]


# --- launching -------------------------------------------------------------------------------------------------------


def test_the_same_launch_again_and_again_begins_one_training(ground: Ground, backend: Backend) -> None:
    first = order(ground)
    for _ in range(5):
        backend.launch([first])
    launched(ground, backend)
    for _ in range(5):
        backend.launch([first])
    ground.until(lambda: ground.on_the_way() == 0)
    ground.end_training(FIRST, 3)
    assert closed(ground, FIRST).ending.exit == Exited(3)
    assert ground.begun() == 1


def where_of(ground: Ground, attempt: AttemptId) -> Where:
    doors = doors_of(ground, attempt)
    assert isinstance(doors, Begun)
    return doors.where


def test_a_supervisor_that_knows_nothing_of_a_launch_on_its_way_launches_again_and_one_begins(
    ground: Ground,
) -> None:
    for term in (1, 2, 3):  # each with its own order; none waits
        ground.backend().launch([order(ground, 1, term)])
    ground.until(lambda: ground.begun() >= 1 and ground.on_the_way() == 0)
    ground.end_training(FIRST, 0)
    closed(ground, FIRST)
    assert ground.begun() == 1


def test_a_late_launch_of_what_was_called_off_finds_the_door_shut(ground: Ground, backend: Backend) -> None:
    late = order(ground)
    attempts.shut(ground.workspace.run(RUN).attempt(1), final=False, why="called off", term=1)
    backend.launch([late])
    backend.launch([order(ground, 2)])
    ground.until(lambda: ground.begun() >= 1 and ground.on_the_way() == 0)
    assert ground.begun() == 1  # the second attempt, because the first is over
    assert isinstance(doors_of(ground, FIRST), Shut)
    assert isinstance(doors_of(ground, SECOND), Begun)


def test_a_late_launch_of_a_run_that_was_removed_begins_nothing(ground: Ground, backend: Backend) -> None:
    """From a supervisor that does not know it, and made the folder of the attempt again."""
    late = order(ground)
    files.remove(ground.workspace.run(RUN).record)
    backend.launch([late])
    ground.until(lambda: presence_of(ground, backend, FIRST) == Absent(None))  # its runner came and left
    assert ground.begun() == 0


def test_a_launch_of_the_next_attempt_does_nothing_while_the_one_before_is_not_over(
    ground: Ground, backend: Backend
) -> None:
    launched(ground, backend)
    backend.launch([order(ground, 2)])
    ground.until(lambda: presence_of(ground, backend, SECOND) == Absent(None))  # its runner came and left
    assert ground.begun() == 1
    ground.end_training(FIRST, 1)
    closed(ground, FIRST)
    launched(ground, backend, SECOND)
    assert ground.begun() == 2


def test_orders_of_several_runs_are_one_launch(ground: Ground, backend: Backend) -> None:
    attempts.shut(ground.workspace.run(RUN).attempt(1), final=False, why="called off", term=1)
    backend.launch([order(ground, 1), order(ground, 2)])
    ground.until(lambda: is_begun(ground, SECOND))


def test_a_runner_that_died_is_replaced_and_the_training_is_not(ground: Ground, backend: Backend) -> None:
    launched(ground, backend)
    claim = files.read(ground.workspace.run(RUN).attempt(1).claim)
    ground.kill_runner(FIRST)
    where = where_of(ground, FIRST)
    assert presence_of(ground, backend, FIRST) == Alive(where, False)
    heir = ground.backend()
    heir.launch([order(ground)])
    ground.until(lambda: presence_of(ground, heir, FIRST) == Alive(where, True))
    assert files.read(ground.workspace.run(RUN).attempt(1).claim) == claim
    ground.end_training(FIRST, 0)
    assert isinstance(closed(ground, FIRST).ending.exit, Lost | Exited)
    assert ground.begun() == 1


def test_the_very_backend_that_launched_it_replaces_a_dead_runner(ground: Ground, backend: Backend) -> None:
    launched(ground, backend)
    ground.kill_runner(FIRST)
    where = where_of(ground, FIRST)

    def replaced() -> bool:
        seen = presence_of(ground, backend, FIRST)
        if seen == Alive(where, False):
            backend.launch([order(ground)])
        return seen == Alive(where, True)

    ground.until(replaced)
    assert ground.begun() == 1


def test_a_runner_that_died_with_its_training_is_replaced_to_record_the_end(
    ground: Ground, backend: Backend
) -> None:
    launched(ground, backend)
    ground.kill_runner(FIRST)
    ground.kill_training(FIRST)
    assert presence_of(ground, backend, FIRST) == Alive(where_of(ground, FIRST), False)
    ground.backend().launch([order(ground)])
    assert isinstance(closed(ground, FIRST).ending.exit, Lost | Signalled)
    assert ground.begun() == 1


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 75])
def test_the_end_is_recorded_as_it_was(ground: Ground, backend: Backend, code: int) -> None:
    launched(ground, backend)
    ground.end_training(FIRST, code)
    assert closed(ground, FIRST).ending.exit == Exited(code)


def test_a_training_killed_by_a_signal_is_recorded_as_killed_by_that_signal(
    ground: Ground, backend: Backend
) -> None:
    launched(ground, backend)
    ground.kill_training(FIRST)
    assert closed(ground, FIRST).ending.exit == Signalled(9)


def test_a_nudge_has_the_wish_read_and_is_no_proof_of_an_end(ground: Ground, backend: Backend) -> None:
    launched(ground, backend)
    folder = ground.workspace.run(RUN).attempt(1)
    backend.end({FIRST: Where("local")}, now=False)  # nothing is wished for
    assert isinstance(presence_of(ground, backend, FIRST), Alive)
    files.replace(folder.wish, {"schema": 1, "term": 1, "request": 1, "want": "stop", "at": moment()})
    for _ in range(3):
        backend.end({FIRST: Where("local")}, now=False)
    closed(ground, FIRST)
    assert ground.begun() == 1


def test_a_nudge_for_what_is_not_there_harms_nothing(ground: Ground, backend: Backend) -> None:
    backend.end({FIRST: Where("local"), SECOND: Where("local")}, now=True)
    launched(ground, backend)
    ground.end_training(FIRST, 0)
    closed(ground, FIRST)
    attempts.shut(ground.workspace.run(RUN).attempt(2), final=True, why="completed", term=1)
    for now in (False, True):
        backend.end({FIRST: Where("local"), SECOND: Where("local"), AttemptId(RUN, 3): Where("local")}, now)
    assert closed(ground, FIRST).ending.exit == Exited(0)


def test_what_is_on_its_way_is_said_to_be_so_by_who_sent_it(ground: Ground, backend: Backend) -> None:
    backend.launch([order(ground)])
    if isinstance(doors_of(ground, FIRST), NoDoor):
        assert isinstance(backend.look({FIRST: NoDoor()})[FIRST], Queued)
