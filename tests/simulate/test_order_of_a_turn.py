"""Write, then do, then look: the order of one real turn, on a real disk, with a backend that remembers what it saw."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from outlast.disk import files, identity, journal, requests
from outlast.disk.clock import moment
from outlast.disk.layout import AttemptFolder, Workspace
from outlast.facts import (
    AttemptId,
    Chosen,
    Doors,
    Gone,
    Moment,
    Order,
    RunId,
    Spec,
    Where,
    Whereabouts,
    Word,
)
from outlast.facts.codec import from_lines, from_record, to_record
from outlast.supervise import observe
from outlast.supervise.books import Books, entries_of
from outlast.supervise.hold import Hold
from outlast.supervise.remove import Child, Removals
from outlast.supervise.tools import Manner, Tools
from outlast.supervise.turn import Turns
from outlast.supervise.wake import Wake

RUN = RunId("run-20260101-000000")
ATTEMPT = AttemptId(RUN, 1)
HERE = Where("local", host="here")


class Scribe:
    """A backend that does nothing and remembers: at each launch, what the journal said by then."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.launched: list[tuple[AttemptId, list[str]]] = []

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        return {attempt: Gone(HERE, Word("GONE")) for attempt in attempts}

    def launch(self, orders: Sequence[Order]) -> None:
        folder = self.workspace.place("local").journal
        said = [type(entry).__name__ for entry in from_lines(journal.read(folder).bodies)]
        self.launched += [(order.attempt, said) for order in orders]

    def end(self, attempts: Mapping[AttemptId, Where], now: bool) -> None:
        raise AssertionError("nobody is to be ended")


class BeginsWhileAsked(Scribe):
    """A scheduler whose last word about the job is that it is gone, while the job begins after all."""

    def look(self, attempts: Mapping[AttemptId, Doors]) -> Mapping[AttemptId, Whereabouts]:
        folder = self.workspace.run(RUN).attempt(1)
        files.make_directory(folder.path)
        claim = {
            "schema": 1,
            "kind": "begun",
            "by": identity.identity(),
            "where": to_record(HERE),
            "order": "o",
        }
        files.make_once(folder.claim, claim)
        return super().look({ATTEMPT: attempts[ATTEMPT]})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    tmp_path.chmod(0o700)
    made = Workspace(str(tmp_path))
    run = made.run(RUN)
    files.make_directory(run.path)
    spec = Spec(
        run=RUN,
        place="local",
        backend="local",
        argv=("train",),
        cwd="/",
        made=from_record(moment(), Moment),
        origin="test",
        key="key",
    )
    files.make_once(run.record, {"schema": 1, **to_record(spec)})
    return made


def nobody(words: Sequence[str]) -> Child:
    raise AssertionError(f"nobody is to be started: {words}")


@contextmanager
def term(
    workspace: Workspace, backend: Scribe, removals: Removals | None = None
) -> Iterator[tuple[Turns, journal.Term, Books]]:
    """One term of the place, from its opening to its end."""

    def complete(spec: Spec, order: Order, folder: AttemptFolder) -> Order:
        return order

    place = workspace.place("local")
    removals = removals or Removals(workspace, place, nobody)
    tools = Tools(backend, (), complete, lambda: 1, (), removals)
    with Hold(place, (), None) as hold:
        wake = Wake(())
        opened, history = journal.take_over(place.journal, hold.identity, moment())
        books = entries_of(history)
        try:
            turns = Turns(workspace, place, tools, Manner(), opened, books, hold, wake)
            turns.begin(up=False)
            yield turns, opened, books
        finally:
            opened.close()
            wake.close()


def test_an_attempt_is_journaled_before_it_is_launched(workspace: Workspace) -> None:
    backend = Scribe(workspace)
    with term(workspace, backend) as (turns, _, _books):
        turns.turn()
    ((attempt, said),) = backend.launched
    assert attempt == ATTEMPT
    assert said[-1] == Chosen.__name__


def test_what_could_not_be_journaled_is_not_done(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, block: bytes) -> None:
        raise OSError(28, "No space left on device")

    backend = Scribe(workspace)
    with term(workspace, backend) as (turns, _, _books):
        monkeypatch.setattr(files, "append_durably", full)
        with pytest.raises(journal.TermOver):
            turns.turn()
    assert backend.launched == []


def test_doors_are_read_before_the_backend_is_asked(workspace: Workspace) -> None:
    """The reverse invents a death: the new door with the old word says that it is over."""
    backend = BeginsWhileAsked(workspace)
    with term(workspace, backend) as (_, _term, books):
        (seen,) = observe.look(workspace, books.runs, backend).values()
    assert type(seen.doors).__name__ == "NoDoor"
    assert type(seen.presence).__name__ == "Absent"


def test_a_request_stands_until_its_record_is_sealed(workspace: Workspace) -> None:
    backend = Scribe(workspace)
    place = workspace.place("local")
    with term(workspace, backend) as (turns, _, books):
        for verb in ("pause", "resume", "pause"):
            requests.post(place, verb, RUN, [], "")
        turns.turn()
        turns.turn()
        assert books.asked == 3
        assert requests.numbers(place) == [1, 2, 3]
    with term(workspace, backend):
        assert requests.numbers(place) == [3]


def test_i7_what_a_term_remembers_is_what_the_next_one_reads(workspace: Workspace) -> None:
    backend = Scribe(workspace)
    with term(workspace, backend) as (turns, _, books):
        requests.post(workspace.place("local"), "pause", RUN, [], "")
        for _ in range(3):
            turns.turn()
        remembered = books.record()
    with term(workspace, backend) as (_, _term, again):
        assert again.record() == remembered
