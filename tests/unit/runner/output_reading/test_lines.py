"""Bytes of any kind, cut anywhere."""

import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.runner.output_reading import OutputReading
from outlast.runner.output_reading.lines import LINE_MAX, SIGNS, Lines, may_speak, plain
from outlast.runner.output_reading.series import FIELDS

WORDS = [
    b"step 1", b"step 12", b"loss 0.5", b" loss nan", b"Epoch 1/3", b"\n", b"\r", b"\r\n", b"\x1b[A", b"\x1b[2K",
    b" 45%|\xe2\x96\x88\xe2\x96\x88  | 45/100 [00:01<00:09, 1.0it/s]", b"\x1b[", b"\0\xff\xfe", b"\xe2\x96", b" ",
    b" 46%|# | 46/100 [00:01<00:09, 1.0it/s, loss=1]", b"100%|##| 10/10 [00:01<00:00, 1.0it/s]\x1b[A",
    b"{'loss': '0.5', 'epoch': '0.1'}", b"12/100 \xe2\x94\x81 5s 4ms/step - loss: 1", b"9" * 30, b"x" * 3000,
    b"Map: 100%|#| 9/9 [00:01<00:00, 1.0it/s]", b"[3]\ttrain-rmse:0.4", b"7it [00:01, 9.8it/s]",
    b"Epoch 1: 3%|# | 3/100 [00:01<00:09, 1.0it/s, v_num=0]",
]  # fmt: skip
outputs = st.one_of(
    st.binary(max_size=400),
    st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=12)), max_size=60).map(b"".join),
)


def whole_and_in_pieces(data: bytes, cuts: list[int]) -> tuple[OutputReading, OutputReading]:
    whole, pieces = OutputReading(), OutputReading()
    whole.feed(data)
    at = 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        pieces.feed(data[at:cut])
        pieces.known()  # to look changes nothing
        at = cut
    return whole, pieces


def everything(reading: OutputReading) -> str:
    known = reading.known()
    shown = {name: getattr(known, name) for name in known.__slots__}
    series = [[getattr(each, name) for name in FIELDS] for each in reading.counters]
    return repr((shown, reading.take_records(), series))


@settings(max_examples=300, deadline=None)
@given(data=outputs, cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_how_the_bytes_were_cut_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    whole, pieces = whole_and_in_pieces(data, cuts)
    assert everything(whole) == everything(pieces)


@settings(max_examples=150, deadline=None)
@given(data=outputs, more=outputs)
def test_any_bytes_leave_a_reading_that_still_understands(data: bytes, more: bytes) -> None:
    reading = OutputReading()
    reading.feed(data + more + b"\n")
    before = reading.known().ticks
    for step in range(10**6, 10**6 + 12):
        reading.feed(b"global_step %d loss 0.25\n" % step)
    assert reading.known().ticks > before
    assert reading.known().loss == 0.25


@settings(max_examples=150, deadline=None)
@given(data=outputs, gap=st.integers(0, 5000), more=outputs)
def test_a_line_of_which_the_beginning_was_not_seen_says_nothing(data: bytes, gap: int, more: bytes) -> None:
    torn, clean = OutputReading(), OutputReading()
    for reading in (torn, clean):
        reading.feed(data.replace(b"\r", b"").replace(b"\n", b""))
        reading.skip(gap + 1)
    torn.feed(more + b"\nstep 3 loss 1\n")
    clean.feed(b"\n" * (len(more) + 1) + b"step 3 loss 1\n")
    if b"\n" not in more and b"\r" not in more:
        assert everything(torn) == everything(clean)


def test_lines_end_at_both_kinds_of_end_and_empty_ones_are_none() -> None:
    data = b"step 1\rstep 2\nstep 3\r\nstep 4\n\n\rstep 5"
    assert list(Lines().feed(data)) == [b"step 1", b"step 2", b"step 3", b"step 4"]


def test_a_line_without_a_sign_costs_no_more_than_the_search() -> None:
    assert list(Lines().feed(b"nothing here\nstep 1\nnor here\n")) == [b"step 1"]
    assert not may_speak(b"downloading 3 of 4")
    assert all(may_speak(b"x" + sign + b"y") for sign in SIGNS)


def test_of_a_line_that_is_too_long_the_beginning_is_read_and_no_number_cut_in_two() -> None:
    line = b"step 5 loss 0.5 " + b"1" * LINE_MAX
    for chunk in (len(line) + 1, 1000, 17):
        lines, data = Lines(), line + b"\n"
        found: list[bytes] = []
        for start in range(0, len(data), chunk):
            found += lines.feed(data[start : start + chunk])
        assert found == [b"step 5 loss 0.5"]


def test_ten_gigabytes_without_a_line_end_take_no_memory() -> None:
    reading = OutputReading()
    block = b"step 1 loss 0.5 " * 4096
    reading.feed(block)
    tracemalloc.start()
    for _ in range(200):  # each stands for many: the state after one block is the state after any number
        reading.feed(block)
        assert len(reading._lines._open) <= LINE_MAX + 1
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 64 << 10
    assert peak < 1 << 20
    assert reading.known().ticks == 0
    reading.feed(b"\nstep 7 loss 0.5\n")
    assert reading.known().step == 7


@pytest.mark.parametrize("seed", range(3))
def test_hostile_bytes_take_no_more_memory_than_a_bound(seed: int) -> None:
    rng = random.Random(seed)
    reading = OutputReading()
    tracemalloc.start()
    for _ in range(300):
        name = rng.randbytes(8).hex().encode()
        reading.feed(
            b"%s%d: 5%%|#| 5/%d [00:01<00:09, 1.0it/s, %s=1, loss=2]\n"
            % (name, seed, rng.randrange(6, 10**9), name)
        )
        reading.feed(rng.randbytes(2000) + b"%s_loss=1 step %d\n" % (name, rng.randrange(10**9)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1 << 20
    assert len(list(reading.counters)) <= 16
    assert len(reading.known().values) <= 64


@pytest.mark.parametrize(
    "line",
    [
        b"step " * 1600, b"epoch" + b" " * 8000, b"a" * 8000 + b"loss", b"loss" + b" " * 8000, b"loss." * 1600,
        b"%|" + b"1" * 8000 + b"/s", b"|" * 8000 + b"%| <[", b"\x1b[" * 4000 + b"loss 1",
        b"step " + b"1" * 8000, b"[" * 8000 + b"1/s<", b"1/" * 4000 + b"%| [<", b"\x1b]" * 4000 + b"loss",
        b"{'" * 4000 + b"'epoch'}", b"a=" * 4000 + b"loss", b"val loss " * 800, b"\xe2\x94\x81" * 2600 + b"/s",
    ],
    ids=lambda line: repr(line[:12]),
)  # fmt: skip
def test_no_line_takes_long(line: bytes) -> None:
    """A pattern that looks at every end for every beginning would take seconds for one of these."""
    lines = Lines()
    text = b"\n".join([line] * 20) + b"\n"
    begun_s = time.process_time()
    reading = OutputReading()
    reading.feed(text)
    list(lines.feed(text))
    assert time.process_time() - begun_s < 1.0


def test_a_plain_line_is_left_alone_and_codes_of_any_kind_go() -> None:
    assert plain(b"step 1") == b"step 1"
    assert plain(b"\x1b[1;31ms\x1b]0;title\x07t\x1b[2Kep\x1b[?25l 1\b\b\x1bM") == b"step 1"
