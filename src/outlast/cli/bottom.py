"""One live line at the bottom of a terminal, below output that scrolls above it untouched.

Knows the scrolling region (DECSTBM): the training's own progress bars and escapes stay as they are. Refuses to know
what the line says, but that its parts stand apart by a dot.
"""

import os
import re

_SAVE, _RESTORE, _CLEAR_LINE, _CLEAR_BELOW = "\x1b7", "\x1b8", "\x1b[2K", "\x1b[J"
_REVERSE, _PLAIN = "\x1b[7m", "\x1b[0m"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BETWEEN = " · "
ROWS_MIN = 4


class BottomLine:
    """`show` as often as you like; `remove` at the end, whatever happens. Writes nothing while the text is the same."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = (0, 0)
        self._shown = ""

    @staticmethod
    def fits(fd: int) -> bool:
        """Whether this is a terminal that can do it."""
        if not os.isatty(fd) or os.environ.get("TERM", "dumb") in ("dumb", ""):
            return False
        try:
            return os.get_terminal_size(fd).lines >= ROWS_MIN
        except OSError:
            return False

    def show(self, text: str) -> None:
        """Raises OSError when the terminal is gone."""
        columns, rows = os.get_terminal_size(self._fd)
        if (columns, rows) != self._size:
            self._reserve(columns, rows)
        elif text == self._shown:
            return
        line = _cut(_CONTROL.sub(" ", text), columns).ljust(columns)
        self._write(f"{_SAVE}\x1b[{rows};1H{_REVERSE}{line}{_PLAIN}{_RESTORE}")
        self._shown = text

    def remove(self) -> None:
        if self._size == (0, 0):
            return
        _, rows = self._size
        self._size, self._shown = (0, 0), ""
        try:
            self._write(f"{_SAVE}\x1b[{rows};1H{_CLEAR_LINE}\x1b[r{_RESTORE}")
        except OSError:
            return  # the terminal is gone, and its last line with it

    def _reserve(self, columns: int, rows: int) -> None:
        """Keep the last row to ourselves. The newline makes room if the cursor stands there."""
        self._size = (columns, rows)
        self._write(f"\n{_SAVE}\x1b[1;{rows - 1}r{_RESTORE}\x1b[1A")

    def _write(self, text: str) -> None:
        body = text.encode()
        while body:
            body = body[os.write(self._fd, body) :]


def _cut(text: str, columns: int) -> str:
    """Between two parts, so that no half number is read; else where the room ends."""
    if len(text) <= columns:
        return text
    whole = text[: columns + len(_BETWEEN)].rpartition(_BETWEEN)[0]
    return whole if len(whole) > columns // 2 else text[: columns - 1] + "…"
