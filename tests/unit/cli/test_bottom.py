"""The live line below scrolling output."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest

from outlast.cli.bottom import BottomLine


class Terminal:
    """`out` is what was written to it since."""

    def __init__(self) -> None:
        self.near, self.far = pty.openpty()
        self.resize(10, 40)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.far, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def out(self) -> str:
        os.write(self.far, b"\x00")  # so that there is something to read
        body = b""
        while not body.endswith(b"\x00"):
            body += os.read(self.near, 4096)
        return body[:-1].decode()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    os.close(made.near)
    os.close(made.far)


def test_the_last_row_is_reserved_and_written(terminal: Terminal) -> None:
    line = BottomLine(terminal.far)
    line.show("step 1")
    said = terminal.out()
    assert "\x1b[1;9r" in said
    assert "\x1b[10;1H" in said
    assert "step 1" in said
    assert said.endswith("\x1b8")  # the cursor is where the output left it


def test_the_same_text_is_not_written_twice(terminal: Terminal) -> None:
    line = BottomLine(terminal.far)
    line.show("step 1")
    terminal.out()
    line.show("step 1")
    assert terminal.out() == ""
    line.show("step 2")
    assert "step 2" in terminal.out()


def test_a_resized_terminal_gets_a_new_region(terminal: Terminal) -> None:
    line = BottomLine(terminal.far)
    line.show("step 1")
    terminal.out()
    terminal.resize(20, 40)
    line.show("step 1")
    assert "\x1b[1;19r" in terminal.out()


def test_a_long_text_is_cut_and_control_characters_do_nothing(terminal: Terminal) -> None:
    line = BottomLine(terminal.far)
    line.show("a\nb\x1b[2J" + "x" * 100)
    text = terminal.out().partition("\x1b[7m")[2].partition("\x1b[0m")[0]
    assert len(text) == 40
    assert text.startswith("a b [2Jx")


def test_a_narrow_terminal_loses_whole_parts_and_no_half_number(terminal: Terminal) -> None:
    line = BottomLine(terminal.far)
    for text, shown in [
        ("step 1 · loss 0.25 · in eval · ETA 12s", "step 1 · loss 0.25 · in eval · ETA 12s"),
        ("step 1 · loss 0.25 · in evaluation · ETA 12s", "step 1 · loss 0.25 · in evaluation"),
        ("step 10 · loss 0.25 · in evaluation at 1 · ETA", "step 10 · loss 0.25 · in evaluation at 1"),
        ("step 1 · " + "x" * 60, "step 1 · " + "x" * 30 + "…"),
    ]:
        line.show(text)
        assert terminal.out().partition("\x1b[7m")[2].partition("\x1b[0m")[0].rstrip() == shown


def test_removing_gives_the_whole_screen_back_once(terminal: Terminal) -> None:
    line = BottomLine(terminal.far)
    line.remove()
    assert terminal.out() == ""
    line.show("step 1")
    terminal.out()
    line.remove()
    assert "\x1b[r" in terminal.out()
    line.remove()
    assert terminal.out() == ""


def test_it_fits_terminals_only(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert BottomLine.fits(terminal.far)
    terminal.resize(2, 40)
    assert not BottomLine.fits(terminal.far)
    terminal.resize(10, 40)
    monkeypatch.setenv("TERM", "dumb")
    assert not BottomLine.fits(terminal.far)
    reading, writing = os.pipe()
    monkeypatch.setenv("TERM", "xterm")
    assert not BottomLine.fits(writing)
    os.close(reading)
    os.close(writing)
