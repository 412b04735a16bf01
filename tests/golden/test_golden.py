"""Records of every released version load for ever, and say what they said then."""

import shutil
from pathlib import Path

import msgspec
import pytest

import outlast
from outlast.disk import files, journal, requests
from outlast.disk.layout import Workspace
from outlast.facts import Begun, Closed, Done, Order, Request, Shut, Signalled, Waiting
from outlast.facts.codec import from_lines, from_record
from outlast.facts.entries import Entry
from outlast.supervise.books import entries_of
from outlast.supervise.intake import load_spec
from outlast.supervise.observe import read_doors
from tests.golden import v0_1_0 as told

HERE = Path(__file__).parent
RECORDS = sorted(path for path in HERE.glob("v*/**/*") if path.is_file())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A copy, as an upgrade finds it."""
    shutil.copytree(told.FOLDER / "outlast", tmp_path / ".outlast")
    return Workspace(str(tmp_path))


def test_this_version_has_its_records_here_with_every_kind_of_entry() -> None:
    mine = HERE / f"v{outlast.__version__}/outlast/places/local/journal"
    segments = sorted(mine.glob("*.jsonl"))
    assert segments, f"a version without records: {mine}"
    lines = [line for path in segments for line in path.read_bytes().splitlines()]
    kinds = {msgspec.json.decode(line)["type"] for line in lines}
    assert kinds - {"Opened"} == {kind.__name__ for kind in Entry.__subclasses__()}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: str(path.relative_to(HERE)))
def test_every_record_names_its_schema(path: Path) -> None:
    first = path.read_bytes().splitlines()[0]
    assert files.decode(first, str(path))["schema"] == 1


def test_the_journal_loads_from_its_beginning_entry_by_entry(workspace: Workspace) -> None:
    folder = Path(workspace.place("local").journal)
    history = journal.read(str(folder))
    assert from_lines(history.bodies) == told.third_term()
    assert (history.seal.term, history.settled, history.torn) == (3, 0, b"")
    (folder / "00000003.jsonl").unlink()  # as it was before the term that carries the books
    earlier = journal.read(str(folder))
    assert from_lines(earlier.bodies) == [*told.first_term(), *told.second_term()]
    assert earlier.settled == len(told.first_term())


def test_the_books_add_up_to_what_they_were(workspace: Workspace) -> None:
    folder = workspace.place("local").journal
    books = entries_of(journal.read(folder))
    demo, old = books.runs[told.DEMO], books.runs[told.OLD]
    assert books.runs.keys() == {told.DEMO, told.OLD}
    assert (books.asked, books.holds) == (6, ())
    assert demo.phase == Done("completed", None, told.at(262), "step")
    assert isinstance(old.phase, Waiting)
    assert (old.next, old.reopened) == (2, 3)
    assert [type(ended.ending.exit).__name__ for ended in demo.endings] == [
        "Signalled",
        "Lost",
        "NeverBegan",
        "Exited",
    ]
    assert (demo.next, demo.best_step, demo.had_checkpoint, demo.asked) == (5, 1000, True, 6)
    assert [candidate.step for candidate in demo.verified] == [400]


def test_a_supervisor_of_today_goes_on_with_the_journal_of_then(workspace: Workspace) -> None:
    folder = workspace.place("local").journal
    before = entries_of(journal.read(folder)).record()
    term, history = journal.take_over(folder, {"pid": 1}, {"wall_s": 1.0})
    assert entries_of(history).record() == before
    term.append(history.bodies[:1])
    term.close()
    assert journal.read(folder).settled == len(history.bodies)


def test_the_doors_say_what_they_said(workspace: Workspace) -> None:
    run = workspace.run(told.DEMO)
    closed = read_doors(run, 1)
    assert isinstance(closed, Closed)
    assert (closed.ending.exit, closed.where) == (Signalled(9, core=True), told.WHERE)
    assert closed.ending.last_words == ("running",)
    Path(run.attempt(1).exit).unlink()
    assert read_doors(run, 1) == Begun(told.RUNNER, told.WHERE, "order.3.json", started=True)
    assert read_doors(run, 2) == Shut(final=True, why="completed", term=3)


def test_orders_specifications_and_requests_are_what_they_were(workspace: Workspace) -> None:
    run, place = workspace.run(told.DEMO), workspace.place("local")
    assert load_spec(workspace, told.DEMO) == told.spec()
    assert from_record(files.read(run.attempt(1).order(3)), Order) == told.order()
    record, why = requests.load(place, 7)
    assert why == ""
    asked = from_record(record, Request)
    assert (asked.verb, asked.run, asked.args, asked.at) == (
        "retry",
        told.DEMO,
        (("now", "1"),),
        told.at(300),
    )


def test_the_environment_comes_back_byte_for_byte(workspace: Workspace) -> None:
    env = files.read(workspace.run(told.DEMO).env)
    assert env is not None
    assert env["env"] == {"PATH": "/usr/bin", "NAME": "\udcff"}


def test_the_wish_of_then_is_a_wish(workspace: Workspace) -> None:
    wish = files.read(workspace.run(told.DEMO).attempt(1).wish)
    assert wish is not None
    assert (wish["term"], wish["request"], wish["want"]) == (3, 5, "pause")
