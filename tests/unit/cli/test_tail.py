"""Output, read as it grows, attempt after attempt."""

import os
from pathlib import Path

import pytest

from outlast.cli.tail import CHUNK, Tail, last_attempt
from outlast.disk.layout import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(str(tmp_path / "a-20260101-000000"))


def say(run: RunFolder, n: int, text: bytes) -> None:
    os.makedirs(run.attempt(n).path, exist_ok=True)
    with open(run.attempt(n).output, "ab") as file:
        file.write(text)


def end(run: RunFolder, n: int) -> None:
    Path(run.attempt(n).exit).touch()


def test_reads_what_is_new_and_nothing_twice(run: RunFolder) -> None:
    tail = Tail(run)
    assert tail.read() == b""
    say(run, 1, b"one")
    assert tail.read() == b"one"
    assert tail.read() == b""
    say(run, 1, b"two\xff\x00")
    assert tail.read() == b"two\xff\x00"


def test_a_large_log_comes_in_bounded_parts(run: RunFolder) -> None:
    body = os.urandom(CHUNK * 2 + 7)
    say(run, 1, body)
    tail, parts = Tail(run), []
    while part := tail.read():
        parts.append(part)
    assert max(map(len, parts)) <= CHUNK
    assert b"".join(parts) == body


def test_a_log_that_was_cut_short_is_read_from_its_beginning(run: RunFolder) -> None:
    say(run, 1, b"a long line\n")
    tail = Tail(run)
    tail.read()
    os.truncate(run.attempt(1).output, 0)
    say(run, 1, b"new\n")
    assert tail.read() == b"new\n"


def test_an_attempt_is_over_once_it_ended_or_the_next_stands(run: RunFolder) -> None:
    say(run, 1, b"x")
    tail = Tail(run)
    assert not tail.is_over()
    end(run, 1)
    assert tail.is_over()
    say(run, 3, b"x")
    assert Tail(run, 2).is_over()


def test_the_next_attempt_follows_once_it_has_output(run: RunFolder) -> None:
    say(run, 1, b"one")
    tail = Tail(run)
    tail.read()
    end(run, 1)
    assert not tail.advance()
    os.makedirs(run.attempt(2).path)  # a shut door has a folder and no output
    assert not tail.advance()
    say(run, 2, b"two")
    assert tail.advance()
    assert (tail.n, tail.read()) == (2, b"two")


def test_an_attempt_that_never_began_is_passed_over(run: RunFolder) -> None:
    say(run, 1, b"one")
    tail = Tail(run)
    tail.read()
    os.makedirs(run.attempt(2).path)
    say(run, 3, b"three")
    assert tail.advance()
    assert (tail.n, tail.read()) == (3, b"three")


def test_what_was_given_back_to_the_disk_is_not_shown_as_zeros(run: RunFolder) -> None:
    say(run, 1, b"head")
    with open(run.attempt(1).output, "r+b") as file:
        file.seek(64 << 20)
        file.write(b"tail")
    tail, parts = Tail(run), b""
    while part := tail.read():
        parts += part
    assert parts.replace(b"\0", b"") == b"headtail"
    assert len(parts) < 1 << 20


def test_a_log_that_ends_in_a_hole_ends(run: RunFolder) -> None:
    say(run, 1, b"head")
    os.truncate(run.attempt(1).output, 8 << 20)
    tail, parts = Tail(run), b""
    while part := tail.read():
        parts += part
    assert len(parts) < 1 << 20
    say(run, 1, b"more")
    assert tail.read().lstrip(b"\0") == b"more"


@pytest.mark.parametrize(
    ("body", "count", "rest"),
    [
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\nc", 9, b"a\nb\nc"),
        (b"a\n\n\n", 2, b"\n\n"),
        (b"", 3, b""),
        (b"\n", 1, b"\n"),
        (b"\nb", 1, b"b"),
        (b"a\n", 1, b"a\n"),
    ],
)
def test_the_last_lines(run: RunFolder, body: bytes, count: int, rest: bytes) -> None:
    say(run, 1, body)
    tail = Tail(run)
    tail.seek_last_lines(count)
    assert tail.read() == rest


def test_the_last_lines_of_a_log_of_many_parts(run: RunFolder) -> None:
    lines = [b"%d" % n * 50 + b"\n" for n in range(10_000)]
    say(run, 1, b"".join(lines))
    tail, parts = Tail(run), b""
    tail.seek_last_lines(5_000)
    while part := tail.read():
        parts += part
    assert parts == b"".join(lines[5_000:])


def test_a_link_in_the_place_of_a_log_is_not_followed(run: RunFolder, tmp_path: Path) -> None:
    os.makedirs(run.attempt(1).path)
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", run.attempt(1).output)
    with pytest.raises(OSError, match="symbolic"):
        Tail(run).read()


def test_the_newest_attempt_is_the_last_with_output(run: RunFolder) -> None:
    assert last_attempt(run) == 1
    say(run, 1, b"x")
    say(run, 2, b"x")
    os.makedirs(run.attempt(3).path)
    assert last_attempt(run) == 2
