"""A log that grows faster than it can be read."""

from outlast.runner.output_reading import OutputReading, follow
from outlast.runner.output_reading.following import LOOK_MAX, READ_MAX

SPAM = b"worker 17 fetched shard 000123 from cache, queue depth 5 of 64\n"


class Log:
    """A file of which the bytes are made when they are read, and that counts how many were."""

    def __init__(self, line: bytes, marks: dict[int, bytes] | None = None) -> None:
        self.line, self.marks, self.read_bytes = line, marks or {}, 0

    def read(self, offset: int, count: int) -> bytes:
        self.read_bytes += count
        whole = self.line * (count // len(self.line) + 2)
        body = bytearray(whole[offset % len(self.line) :][:count])
        for at, mark in self.marks.items():
            if offset <= at and at + len(mark) <= offset + count:
                body[at - offset : at - offset + len(mark)] = mark
        return bytes(body)


def test_what_comes_slowly_is_read_whole() -> None:
    log = b"".join(b"step %d loss 0.5\n" % step for step in range(1, 1000))
    reading = OutputReading()
    for size in range(0, len(log) + 1, 997):
        follow(reading, lambda offset, count: log[offset : offset + count], size)
    follow(reading, lambda offset, count: log[offset : offset + count], len(log))
    known = reading.known()
    assert (known.step, known.ticks, known.unseen_bytes, known.bytes_seen) == (999, 999, 0, len(log))


def test_of_a_hundred_megabytes_in_a_second_only_the_newest_are_read_and_the_rest_is_reported() -> None:
    reading, size = OutputReading(), 100 << 20
    log = Log(SPAM, {size - 5000: b"\nstep 77 loss 0.5\n"})
    follow(reading, log.read, size)
    assert log.read_bytes <= 2 * LOOK_MAX + READ_MAX
    known = reading.known()
    assert (known.step, reading.position, known.bytes_seen) == (77, size, size)
    assert known.unseen_bytes == 0  # a tick was seen after it
    log.marks.clear()
    follow(reading, log.read, 2 * size)
    assert reading.known().unseen_bytes >= size - LOOK_MAX - READ_MAX
    assert reading.known().ticks == known.ticks


def test_of_too_many_lines_that_may_speak_the_newest_count() -> None:
    line = b"step 000123 loss 0.5\n"
    reading, size = OutputReading(), 50 << 20
    log = Log(line, {size // len(line) * len(line) - 2 * len(line): b"step 000999 loss 0.7\n"})
    follow(reading, log.read, size)
    assert log.read_bytes <= 4 * READ_MAX
    assert reading.known().step == 999


def test_a_step_in_a_flood_that_can_be_looked_through_is_found_wherever_it_stands() -> None:
    for back in (10_000, 1_000_000, LOOK_MAX - 1_000_000):
        reading, size = OutputReading(), 20 << 20
        follow(reading, Log(SPAM, {size - back: b"\nstep 5 loss 0.5\n"}).read, size)
        assert reading.known().step == 5, back


def test_a_file_that_was_emptied_is_read_anew() -> None:
    reading = OutputReading()
    for log in (b"step 1 loss 0.5\nstep 2 loss 0.5\nstep", b"step 3 loss 0.5\n"):
        follow(reading, lambda offset, count, log=log: log[offset : offset + count], len(log))  # type: ignore[misc]  # mypy infers no lambda with a default
    assert (reading.known().step, reading.known().ticks) == (3, 3)


def test_a_file_that_ends_before_its_size_is_no_endless_loop() -> None:
    reading = OutputReading()
    follow(reading, lambda offset, count: b"", 5000)
    assert reading.position == 0


def test_a_hole_in_a_log_is_nothing() -> None:
    reading = OutputReading()
    log = b"step 1 loss 0.5\n" + b"\0" * 300_000 + b"\nstep 2 loss 0.5\n"
    follow(reading, lambda offset, count: log[offset : offset + count], len(log))
    assert (reading.known().step, reading.known().ticks) == (2, 2)
