"""How a page is written on: laps of cells, values, sections, facts. The layout and its law: `disk/page`.

Knows the order of the stores. Refuses to know who writes, and why; one thread at a time (`lock`). Nothing here waits,
and nothing costs more than a few microseconds, but the first call, which makes the thousand cells.
"""

from __future__ import annotations

import math
from _thread import RLock

from outlast.disk import page
from outlast.disk.page import CELL, EMPTY_CELL, LAP_CELLS, NO_LOSS, PENDING

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    import mmap
    from collections.abc import Sequence
    from typing import Any

LOOK_BACK = 64  # cells; how far the last known loss is looked for
SPILL_MAX = 256  # losses that a jump rescues
NO_NUMBER: float = CELL.unpack(NO_LOSS)[0]
ON_ITS_WAY: float = CELL.unpack(PENDING)[0]
LOSS = "loss"
_CELLS_AT = range(page.LOSSES_AT, page.BEFORE_AT, CELL.size)
_EMPTY_LAP = EMPTY_CELL * LAP_CELLS
_NO_NUMBERS = (NO_LOSS, PENDING, EMPTY_CELL)


class Writing:
    """`lap`: an iterator over the cells of this lap that are still empty. To take one and store into it is a beat."""

    def __init__(self, memory: mmap.mmap) -> None:
        self.memory = memory
        self.view = memoryview(memory)
        self.lock = RLock()  # a signal's handler may speak in the middle of what it interrupted
        self.lap: Any = None
        self.base = self.shift = 0
        self._mark = 0
        self._cells: list[Any] = []
        self._names: dict[str, int] = {}
        self._written_cell: Any = self.view[page.WRITTEN_AT : page.WRITTEN_AT + 8].cast("q", [])
        self._written = self._unnamed = self._saved = 0

    # --- beats ----------------------------------------------------------------------------------------------

    def count(self) -> int:
        """Beats since the page was made."""
        return self.base + self._filled()

    def next_step(self) -> int:
        """The number of the next beat."""
        return self.shift + self.base + LAP_CELLS + 1 - int(self.lap.__length_hint__())

    def next_cell(self) -> Any:
        """The cell of the next beat."""
        for cell in self.lap:
            return cell
        self._turn()
        return next(self.lap)

    def jump(self, shift: int, *, forget: bool = False) -> None:
        """From now on the step is `shift` + beats. `forget`: no loss is known any more."""
        filled = 0 if self.lap is None else self._filled()
        self._rescue(filled)
        loss = NO_LOSS if forget else self._last_loss(filled)
        self._open()
        try:
            end = page.LOSSES_AT + CELL.size * filled
            self.memory[page.LOSSES_AT : end] = EMPTY_CELL * filled
            self.base += filled
            self.shift = shift
            self._begin(0, loss)
        finally:
            self._close()

    def replace_loss(self, loss: float) -> None:
        """Of the beat that was the last."""
        filled = self._filled()
        if filled:
            self._cells[filled - 1][()] = loss

    def _turn(self) -> None:
        """The lap is full: the next one. This one can still be read, beside it."""
        loss = self._last_loss(LAP_CELLS)
        self._open()
        try:
            self.memory.move(page.BEFORE_AT, page.LOSSES_AT, page.LAP_BYTES)
            self.memory[page.LOSSES_AT : page.BEFORE_AT] = _EMPTY_LAP
            self.base += LAP_CELLS
            self._begin(LAP_CELLS, loss)
        finally:
            self._close()

    def _begin(self, before: int, loss: bytes) -> None:
        head = page.LAP.pack(self.base, self.shift, before, 0.0)
        self.memory[page.LAP_AT : page.LAP_AT + page.LAP.size] = head[: -CELL.size] + loss
        if not self._cells:
            self._cells = [self.view[at : at + CELL.size].cast("d", []) for at in _CELLS_AT]
        self.lap = iter(self._cells)

    def _filled(self) -> int:
        return LAP_CELLS - int(self.lap.__length_hint__())

    def _cell_bytes(self, number: int) -> bytes:
        at = page.LOSSES_AT + CELL.size * number
        return self.memory[at : at + CELL.size]

    def _last_loss(self, filled: int) -> bytes:
        for number in range(filled - 1, max(-1, filled - 1 - LOOK_BACK), -1):
            loss = self._cell_bytes(number)
            if loss not in _NO_NUMBERS:
                return loss
        return self.memory[page.LAP_AT + page.LAP.size - CELL.size : page.LAP_AT + page.LAP.size]

    def _rescue(self, filled: int) -> None:
        """Losses that nobody has taken yet, before their cells are emptied: to the values."""
        taken, _ = page.TAKEN.unpack_from(self.memory, page.TAKEN_AT)
        for number in range(max(0, taken - self.base, filled - SPILL_MAX), filled):
            loss = self._cell_bytes(number)
            if loss not in _NO_NUMBERS:
                self.put(self.shift + self.base + number + 1, LOSS, CELL.unpack(loss)[0])

    # --- values ---------------------------------------------------------------------------------------------

    def put(self, step: int, name: str, value: float) -> None:
        """One value of one step. The oldest makes room for it; whoever takes them sees how many it missed."""
        number = self._names.get(name)
        if number is None:
            number = self._learn(name)
            if number < 0:
                return
        at = page.VALUES_AT + page.VALUE.size * (self._written % page.VALUES_MAX)
        page.VALUE.pack_into(self.memory, at, step << 8 | number, value)
        self._written += 1
        self._written_cell[()] = self._written

    def _learn(self, name: str) -> int:
        """The number of a new name; -1: there are too many."""
        number = len(self._names)
        if number == page.NAMES_MAX:
            self._unnamed += 1
            page.NAMES.pack_into(self.memory, page.NAMES_AT, number, self._unnamed)
            return -1
        short = cut(name, page.NAME_MAX)
        at = page.NAMES_LIST_AT + page.NAME.size * number
        page.NAME.pack_into(self.memory, at, len(short), short)
        self._names[name] = number
        page.NAMES.pack_into(self.memory, page.NAMES_AT, number + 1, self._unnamed)
        return number

    # --- the rest -------------------------------------------------------------------------------------------

    def write_rank(self, rank: int, world: int) -> None:
        """Another than it was signed with."""
        self._open()
        try:
            page.RANK.pack_into(self.memory, page.RANK_AT, rank, world)
        finally:
            self._close()

    def write_facts(self, total: int, first: int, word: int, step: int, begun_at: int = 0) -> None:
        self._open()
        try:
            page.FACTS.pack_into(self.memory, page.FACTS_AT, total, first, word, step)
            page.BEGUN.pack_into(self.memory, page.BEGUN_AT, begun_at)
        finally:
            self._close()

    def write_sections(self, sections: Sequence[tuple[int, float | None, bytes]]) -> None:
        """(serial, limit in s, name) of all that are open, the outermost first."""
        self._open()
        try:
            page.DEPTH.pack_into(self.memory, page.DEPTH_AT, len(sections))
            for place, (serial, limit_s, name) in enumerate(sections[: page.SECTIONS_MAX]):
                limit = math.nan if limit_s is None else limit_s
                at = page.SECTIONS_AT + page.SECTION.size * place
                page.SECTION.pack_into(self.memory, at, serial, limit, len(name), name)
        finally:
            self._close()

    def write_saved(self, path: bytes, step: int) -> None:
        self._open()
        try:
            self._saved += 1
            self.memory[page.PATH_AT : page.PATH_AT + len(path)] = path
            page.SAVED.pack_into(self.memory, page.SAVED_AT, self._saved, step, len(path))
        finally:
            self._close()

    def _open(self) -> None:
        self._mark |= 1
        page.MARK.pack_into(self.memory, page.MARK_AT, self._mark)

    def _close(self) -> None:
        self._mark = (self._mark | 1) + 1
        page.MARK.pack_into(self.memory, page.MARK_AT, self._mark)


def cut(text: str, room: int) -> bytes:
    """As many whole characters as fit, in UTF-8."""
    return text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore").encode()
