"""Bytes of a log to whole lines, whatever the bytes are: any length, any content, cut anywhere.

Knows line ends, terminal codes, and which lines cannot be about progress at all. Refuses to know what a line means.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_MAX = 8 << 10  # of a longer line only the beginning is read
BLOCK = 64 << 10

# Every line that any shape recognises holds one of these: what holds none costs a search and nothing more.
SIGNS = (
    b"%|",
    b"/s",
    b"s/it",
    b"oss",
    b"OSS",
    b"tep",
    b"TEP",
    b"iter",
    b"Iter",
    b"poch",
    b"]\t",
    b"earn:",
    b"aving ",
)

TERMINAL_CODES = (
    rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\^_])"
    rb"|[\0-\x08\x0e-\x1f\x7f]"
)
_codes: re.Pattern[bytes] | None = None


def may_speak(text: bytes) -> bool:
    """Whether a line of this could be about progress."""
    # A generator would double the price, and it is paid for every line.
    for sign in SIGNS:  # noqa: SIM110 - a loop is quicker than any() here, and this is the hot path
        if sign in text:
            return True
    return False


def plain(line: bytes) -> bytes:
    """The line without colours, cursor movements and control characters."""
    global _codes
    if b"\x1b" not in line and b"\b" not in line:
        return line
    if _codes is None:
        _codes = re.compile(TERMINAL_CODES)
    return _codes.sub(b"", line)


class Lines:
    """Cuts what it is fed at `\\n` and `\\r`. How it was cut before makes no difference; it holds at most one line."""

    def __init__(self, position: int = 0) -> None:
        self.position = position  # of the next byte in the stream
        self._open = b""  # the line that has no end yet
        self._begun = 0  # its length, of which no more than a part is held
        self.is_torn = position > 0  # its beginning was not seen

    @property
    def open(self) -> bytes:
        """The line that has no end yet, as far as it may be read."""
        return b"" if self.is_torn or len(self._open) > LINE_MAX else self._open

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Whole lines that may speak of progress."""
        for start in range(0, len(chunk), BLOCK):
            yield from self._block(chunk[start : start + BLOCK])

    def skip(self, count: int) -> None:
        """So many bytes will not be seen."""
        if count > 0:
            self.position += count
            self._open, self._begun, self.is_torn = b"", 0, True

    def _block(self, block: bytes) -> Iterator[bytes]:
        self.position += len(block)
        text = self._open + block
        end = max(text.rfind(b"\n"), text.rfind(b"\r"))
        self._open = text[end + 1 : end + 2 + LINE_MAX]
        if end < 0:
            self._begun += len(block)
            return
        self._begun = len(text) - end - 1
        start = 0
        if self.is_torn:
            self.is_torn = False
            start = _first_end(text) + 1
        if may_speak(text):
            for line in text[start:end].replace(b"\r", b"\n").split(b"\n"):
                if len(line) > LINE_MAX:
                    line = line[:LINE_MAX].rpartition(b" ")[0]  # not a number cut in two
                if may_speak(line):
                    yield line


def _first_end(text: bytes) -> int:
    ends = [at for at in (text.find(b"\n"), text.find(b"\r")) if at >= 0]
    return min(ends)
