"""Every value comes back from disk as it was; what a newer version adds is ignored; what is wrong is named."""

import json
import math
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from outlast.disk import files, journal
from outlast.errors import Broken, Damaged
from outlast.facts import (
    Accepted,
    Book,
    Cause,
    Declined,
    Done,
    Ended,
    Ending,
    Exited,
    Fact,
    Lost,
    Moment,
    NeverBegan,
    RunId,
    Signalled,
    Spec,
    Waiting,
    codec,
)
from outlast.facts.entries import Entry
from tests.unit.facts.shapes import all_entries, all_facts, any_fact

NOW = Moment("boot", 1.5, 2.5)
RUN = RunId("demo-20260102-030405")
RELAXED = settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to make a failing value small takes minutes
)
FACTS = pytest.mark.parametrize("kind", all_facts(), ids=lambda kind: kind.__name__)
ENTRIES = pytest.mark.parametrize("kind", Entry.__subclasses__(), ids=lambda kind: kind.__name__)


def on_disk(record: dict[str, Any]) -> dict[str, Any]:
    """As a door of this record would be read."""
    return files.decode(files.encode(record), "a door")


def ended(**changes: Any) -> Ended:
    ending = Ending(exit=Exited(1), at=NOW)
    plain = Ended(NOW, RUN, "why", 1, ending, Cause("unknown"), "failed", True, 10.0)
    return msgspec.structs.replace(plain, **changes)


# --- back as it was --------------------------------------------------------------------------------------------------


@FACTS
def test_every_fact_comes_back_from_a_file_as_it_was(kind: type[Fact]) -> None:
    @given(any_fact(kind))
    @RELAXED
    def check(value: Fact) -> None:
        record = codec.to_record(value)
        assert record["type"] == kind.__name__
        assert codec.from_record(on_disk(record), kind) == value

    check()


@ENTRIES
def test_every_entry_comes_back_from_a_line_of_the_journal_as_it_was(kind: type[Entry]) -> None:
    @given(any_fact(kind), st.integers(0, 0xFFFFFFFF))
    @RELAXED
    def check(entry: Any, crc: int) -> None:
        line, _ = journal.encode_line(codec.to_line(entry), crc)
        lines, size, _ = journal.scan(line, crc)
        assert size == len(line)
        assert codec.from_lines(lines) == [entry]

    check()


@given(st.dictionaries(st.text(max_size=8).map(RunId), any_fact(Book), max_size=2))
@RELAXED
def test_the_books_come_back_from_an_opening_as_they_were(books: dict[RunId, Book]) -> None:
    assert codec.books_from_record(on_disk(codec.books_to_record(books))) == books


def test_there_is_no_entry_that_the_journal_does_not_know() -> None:
    assert set(all_entries()) == set(Entry.__subclasses__())


@pytest.mark.parametrize("exit_", [Exited(0), Signalled(9), NeverBegan("no interpreter"), Lost("host gone")])
def test_the_ways_to_end_are_never_taken_for_one_another(exit_: Any) -> None:
    ending = Ending(exit=exit_, at=NOW)
    again = codec.from_record(on_disk(codec.to_record(ending)), Ending)
    assert type(again.exit) is type(exit_)


# --- what a newer version adds ---------------------------------------------------------------------------------------


def with_more(record: Any) -> Any:
    """The same with a key that nobody knows, everywhere where one can be."""
    if isinstance(record, dict):
        return {**{key: with_more(value) for key, value in record.items()}, "zz_new": {"deep": [1]}}
    return [with_more(each) for each in record] if isinstance(record, list | tuple) else record


@FACTS
def test_keys_of_a_newer_version_are_ignored_at_every_depth(kind: type[Fact]) -> None:
    @given(any_fact(kind))
    @RELAXED
    def check(value: Fact) -> None:
        assert codec.from_record(with_more(codec.to_record(value)), kind) == value

    check()


# --- what is wrong ---------------------------------------------------------------------------------------------------


@FACTS
def test_a_key_that_is_missing_is_damage_that_names_the_key_and_the_file(kind: type[Fact]) -> None:
    @given(any_fact(kind))
    @settings(deadline=None, max_examples=2, suppress_health_check=[HealthCheck.too_slow])
    def check(value: Fact) -> None:
        for field in msgspec.structs.fields(kind):
            if field.required:
                record = codec.to_record(value)
                del record[field.name]
                with pytest.raises(Damaged, match=rf"^runs/x/file: .*`{field.name}`"):
                    codec.from_record(record, kind, "runs/x/file")

    check()


@FACTS
def test_a_key_of_the_wrong_type_is_damage_that_names_the_key_and_the_file(kind: type[Fact]) -> None:
    @given(any_fact(kind))
    @settings(deadline=None, max_examples=2, suppress_health_check=[HealthCheck.too_slow])
    def check(value: Fact) -> None:
        for name in typing.get_type_hints(kind):
            if name in kind.__struct_fields__:
                with pytest.raises(Damaged, match=rf"^runs/x/file: .*\$\.{name}"):
                    codec.from_record({**codec.to_record(value), name: [object]}, kind, "runs/x/file")

    check()


def test_a_record_of_another_kind_is_damage_however_much_it_looks_alike() -> None:
    record = {**codec.to_record(Waiting(NOW, 1.0)), "type": "Trying"}
    with pytest.raises(Damaged, match="Trying"):
        codec.from_record(record, Waiting)


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"type":"Frobnicated"}', b'{"type":"Asked","request":1}', b"not json", b'{"type":"Held"'],
)
def test_a_line_that_is_no_entry_is_damage_that_shows_the_line(line: bytes) -> None:
    with pytest.raises(Damaged, match="journal record"):
        codec.from_line(line)


def test_books_that_are_none_are_damage_and_not_no_runs() -> None:
    with pytest.raises(Damaged, match=r"the books that it carries: .*phase"):
        codec.books_from_record({RUN: {"phase": {"type": "Resting"}, "accepted": codec.to_record(NOW)}})


# --- what the journal cannot hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_nobody_s_word_from_the_moment_it_is_read(number: float) -> None:
    """Memory is the fold of the journal: what a line would give back is what we think."""
    record = codec.to_record(Ending(exit=Exited(1), at=NOW, loss=number, lasted_s=3.0))
    ending = codec.from_record(record, Ending)
    assert (ending.loss, ending.lasted_s) == (None, 3.0)
    entry = ended(ending=ending)
    assert codec.from_line(codec.to_line(entry)) == entry


@pytest.mark.parametrize("key", ["why", "by", "id"])
def test_text_that_no_journal_can_hold_is_refused_where_it_is_read(key: str) -> None:
    from outlast.facts import Request

    request = Request(1, "id", "stop", RUN, (), "why", "by", NOW)
    record = json.loads(json.dumps({**codec.to_record(request), key: "\udcff"}))
    with pytest.raises(Damaged, match="surrogates"):
        codec.from_record(record, Request)


@pytest.mark.parametrize(
    "entry",
    [
        ended(wait_s=math.inf),
        ended(wait_s=math.nan),
        ended(ending=Ending(exit=Exited(1), at=NOW, loss=math.nan)),
        Declined(NOW, None, "\ud800", 1),
        Accepted(NOW, RUN, "why", 7),  # type: ignore[arg-type]  # wrong on purpose
    ],
    ids=["endless wait", "no wait", "no loss", "no text", "no hash"],
)
def test_what_could_not_be_read_back_is_never_written(entry: Any) -> None:
    with pytest.raises(Broken, match="not for the journal"):
        codec.to_line(entry)


def test_a_value_cannot_be_changed_by_who_was_given_it() -> None:
    with pytest.raises(AttributeError):
        NOW.mono_s = 3.0  # type: ignore[misc]  # wrong on purpose


def test_what_nobody_said_is_none_and_never_zero() -> None:
    """Of a run of which only what must be known is known."""
    spec = Spec(RUN, "local", "local", ("true",), "/", NOW, "cli", "key")
    ending, done = Ending(exit=Lost("nobody looked"), at=NOW), Done("unknown", None, NOW)
    silent = (
        spec.target_step,
        spec.timeout_s,
        ending.loss,
        ending.last_step,
        ending.done,
        ending.lasted_s,
        done.proof,
    )
    assert set(silent) == {None}
