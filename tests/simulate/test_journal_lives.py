"""The real journal under writers that die in mid-line, fill the disk, see old listings and never know that they were
superseded; compared after every deed with what a reader may believe."""

from __future__ import annotations

import contextlib
import random

import pytest

from outlast.disk import journal
from outlast.errors import Damaged, WorldError
from tests.simulate.store import FOLDER, Killed, Store, mounted

LIVES, DEEDS = 150, 60


class Believed:
    """What was said in each term, line by line, and how much of it the next opening saw: kept apart from the bytes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.said: dict[int, list[bytes]] = {}
        self.sealed: dict[int, int] = {}

    def opened(self, term: journal.Term, seen: list[bytes]) -> None:
        before = term.number - 1
        if before:
            older = sum(self.sealed[each] for each in range(1, before))
            self.sealed[before] = len(seen) - older
        self.said[term.number] = []

    def valid(self) -> list[bytes]:
        newest = max(self.said, default=0)
        lines: list[bytes] = []
        for term in range(1, newest):
            lines += self.said[term][: self.sealed[term]]
        return lines + self.said.get(newest, [])


def written(term: journal.Term, bodies: list[bytes], believed: Believed) -> bool:
    """Append, and believe what stands there in whole lines: all of it, or up to a tear."""
    stood = len(believed.store.segments[term.number])
    try:
        term.append(bodies)
        whole = len(bodies)
    except (journal.TermOver, Killed):
        whole = bytes(believed.store.segments[term.number][stood:]).count(b"\n")
    believed.said[term.number] += bodies[:whole]
    return whole == len(bodies)


class Stale(Exception):
    """The listing was too old to be read."""


def read() -> journal.History:
    """A stale view is unseen, and never damage."""
    try:
        return journal.read(FOLDER)
    except Damaged:
        raise
    except WorldError as error:
        raise Stale from error


def bare(line: bytes) -> bytes:
    return line[: line.rindex(b',"crc":"')] + b"}"


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_reader_believes_exactly_what_was_said_and_not_voided(seed: int) -> None:
    chance = random.Random(seed)
    store = Store(chance)
    believed = Believed(store)
    terms: list[journal.Term] = []
    histories: list[journal.History] = []
    with mounted(store):
        for deed in range(DEEDS):
            store.now_s += chance.uniform(0.0, 30.0)
            match chance.choice(["read", "open", "write", "write", "write"]):
                case "read":
                    store.trouble = chance.random() < 0.3
                    with contextlib.suppress(Stale):
                        histories.append(read())
                    store.trouble = False
                case "open" if histories:
                    history = chance.choice(histories[-3:])
                    seen = list(map(bare, history.bodies))
                    try:
                        term = journal.Term.open(FOLDER, history, {}, {})
                    except journal.Lost:
                        continue
                    believed.opened(term, seen)
                    terms.append(term)
                case "write" if terms:
                    term = chance.choice(terms[-3:])  # also by a zombie
                    if not term.over:
                        store.trouble = chance.random() < 0.5
                        bodies = [b'{"deed":%d,"of":%d}' % (deed, i) for i in range(chance.randint(1, 3))]
                        term.over = not written(term, bodies, believed)
                        store.trouble = False
            history = journal.read(FOLDER)
            assert list(map(bare, history.bodies)) == believed.valid(), f"seed {seed}, deed {deed}"
            assert history.settled == len(believed.valid()) - len(believed.said.get(len(store.segments), []))


def test_a_sealed_part_that_is_bent_is_damage_and_never_less_history() -> None:
    store = Store(random.Random(1))
    with mounted(store):
        first = journal.Term.open(FOLDER, journal.read(FOLDER), {}, {})
        first.append([b'{"a":1}', b'{"a":2}', b'{"a":3}'])
        journal.Term.open(FOLDER, journal.read(FOLDER), {}, {})
        whole = bytes(store.segments[1])
        for position in range(len(whole)):
            store.segments[1] = bytearray(whole)
            store.segments[1][position] ^= 1
            with pytest.raises(Damaged, match=r"journal/00000001\.jsonl: byte"):
                journal.read(FOLDER)
        for length in range(len(whole)):
            store.segments[1] = bytearray(whole[:length])
            with pytest.raises(WorldError, match="stale view"):
                journal.read(FOLDER)


def test_l22_whole_lines_before_a_tear_stay_and_the_tear_is_kept_as_evidence() -> None:
    store = Store(random.Random(1))
    with mounted(store):
        term = journal.Term.open(FOLDER, journal.read(FOLDER), {}, {})
        term.append([b'{"a":1}', b'{"a":2}'])
        whole = bytes(store.segments[1])
        for tail in (whole[-20:-1], b"\0" * 40, b'{"a":3', b"\n"):
            store.segments[1] = bytearray(whole + tail)
            history = journal.read(FOLDER)
            assert list(map(bare, history.bodies)) == [b'{"a":1}', b'{"a":2}']
            assert history.torn == tail
