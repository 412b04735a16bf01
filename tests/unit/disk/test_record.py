"""A record becomes strict JSON, whatever is in it, and garbage becomes Damaged and nothing else."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.disk import record
from outlast.errors import Damaged

ANY_TEXT = st.text(st.characters(min_codepoint=0))  # with lone surrogates: bytes of a path that are no UTF-8
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(ANY_TEXT, VALUES, max_size=6)
GARBAGE = {
    "nothing": b"",
    "half a record": b'{"a":1,"b":',
    "no JSON": b"checkpoint saved\n",
    "a list": b"[1,2]\n",
    "a number": b"7\n",
    "no UTF-8": b'{"a":"\xff\xfe"}',
    "zeros": bytes(512),
    "brackets nested without end": b'{"a":' + b"[" * 100_000,
    "a number of ten thousand digits": b'{"a":' + b"7" * 10_000 + b"}",
}


@given(RECORDS)
@settings(deadline=None, max_examples=60)
def test_any_record_comes_back_as_it_was(given_record: record.Record) -> None:
    assert record.decode(record.encode(given_record), "somewhere") == given_record


@given(RECORDS)
@settings(deadline=None, max_examples=60)
def test_a_record_is_one_line_so_that_a_person_can_read_it_with_tail(given_record: record.Record) -> None:
    body = record.encode(given_record)
    assert body.endswith(b"\n")
    assert body.count(b"\n") == 1


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_null_and_not_a_word_that_other_readers_refuse(number: float) -> None:
    body = record.encode({"loss": number, "losses": [number, {"deep": (number, 1.0)}]})

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    assert json.loads(body, parse_constant=refuse) == {"loss": None, "losses": [None, {"deep": [None, 1.0]}]}


def test_a_path_that_is_no_utf8_and_a_loss_that_is_no_number_can_meet_in_one_record() -> None:
    body = record.encode({"path": "/data/\udcff", "loss": math.nan})
    assert record.decode(body, "somewhere") == {"path": "/data/\udcff", "loss": None}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_damaged_and_the_message_names_the_file(kind: str) -> None:
    with pytest.raises(Damaged, match=r"runs/x/exit\.json"):
        record.decode(GARBAGE[kind], "runs/x/exit.json")


def test_a_record_that_fits_keeps_every_word() -> None:
    small = {"hints": ["read the log"], "why": "x" * 1500}
    assert json.loads(record.fitting(small, 4096)) == small


def test_a_record_that_is_too_long_loses_its_hints_first() -> None:
    long = {"exit": {"code": 3}, "why": "y" * 1500, "hints": ["h" * 3000]}
    assert json.loads(record.fitting(long, 4096)) == {**long, "hints": []}


def test_a_record_that_is_still_too_long_loses_the_ends_of_its_longest_words_and_no_number() -> None:
    long = {"exit": {"type": "Exited", "code": 3}, "why": "z" * 9000, "at": {"boot": "b" * 36, "wall_s": 1.5}}
    body = record.fitting(long, 4096)
    told = json.loads(body)
    assert len(body) <= 4096
    assert told["why"].startswith("z" * 900)
    assert told["why"].endswith("…")
    assert {**told, "why": long["why"]} == long
