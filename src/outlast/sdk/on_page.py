"""How a training keeps its page: takes it, lets it go, and every beat that is not the plainest.

Knows that the page may be another's since the last beat (a second training, a fork). Refuses to raise into the
training; what cannot be said is not said.
"""

# ruff: noqa: BLE001 - whatever goes wrong here, it is none of the training's business
from __future__ import annotations

import os

from outlast.disk.page import (
    FLAG,
    FLAG_AT,
    LEFT,
    NEVER_READ,
    OBEYED,
    READ,
    RUNNING,
    SECTIONS_MAX,
    WAITING_AT,
    WANT_AT,
)
from outlast.sdk.later import Later, now
from outlast.sdk.numbers import number, tensor
from outlast.sdk.numbers import whole as whole_number
from outlast.sdk.own_page import OwnPage, current_page, own_page, say_once, sign_anew
from outlast.sdk.surroundings import checkpoint, supervised, whole
from outlast.sdk.writing import LOSS, NO_NUMBER, ON_ITS_WAY

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


UNKNOWN = -1
_NO_CELLS: Any = iter(())


class OnPage:
    """What a training knows of itself, and the page that says it."""

    _next: int | None  # the number that the next step has, while steps bring their numbers
    _cells: Any
    _numbered: Any
    _want_cell: Any
    _data_cell: Any
    # `_cells` and `_numbered` are the page's lap, or run dry: the first for steps without a number, the second for
    # those that bring theirs. Dry, they lead to `_beat`, and from there to a page that is ours (again).
    __slots__ = (
        "_alone", "_beats", "_begun_at", "_cells", "_data_cell", "_first", "_later", "_next", "_numbered", "_obeyed",
        "_page", "_read", "_relative", "_sections", "_step_then", "_total", "_total_given", "_want_cell", "_word",
    )  # fmt: skip

    def __init__(
        self, total_steps: int | None = None, start_step: int | None = None, *, alone: OwnPage | None = None
    ) -> None:
        """`alone`: a page that is only ours."""
        done = (
            whole(os.environ.get("OUTLAST_RESUME_STEP")) if start_step is None else whole_number(start_step)
        )
        total = (
            whole(os.environ.get("OUTLAST_TARGET_STEP")) if total_steps is None else whole_number(total_steps)
        )
        self._total, self._total_given = total, total is not None
        # Without a number from anybody, a resumed count says how many steps were done here, and not which.
        self._relative = start_step is None and checkpoint() is not None
        self._first: int | None = None
        self._word = RUNNING
        self._obeyed = self._read = False
        self._later = Later()
        self._sections: list[Any] = []  # of Section, the outermost first
        self._step_then = done or 0  # while we have no page
        self._beats = self._begun_at = 0  # ours while we have none; on the page, all that are not ours
        self._page: OwnPage | None = None
        self._alone = alone
        self._let_go()
        try:
            self._take(alone or own_page())
            _be_ready_for_a_hang()
        except Exception:
            return  # the next beat tries again

    @property
    def _step(self) -> int:
        page = self._page
        return self._step_then if page is None else page.next_step() - 1

    def _beat(self, step: object, loss: object, values: Mapping[str, object]) -> None:
        """Every beat that is not simply the next step with a float."""
        try:
            if self._word == LEFT:
                self._word = RUNNING  # it goes on
                if self._page is not None:
                    self._facts()
            page = self._page or self._on_page()
            with page.lock:
                if self._first is None:
                    sign_anew(page)
                if self._later.is_waiting:
                    self._later.settle()
                at = page.next_step()
                given = (
                    None if step is None else at if type(step) is int and step == at else whole_number(step)
                )
                if given is not None and given != at:
                    page.jump(page.shift + given - at)
                    at = given
                cell = page.next_cell()
                cell[()] = loss if type(loss) is float else self._loss(page, cell, at, loss)
                self._cells = page.lap if given is None else _NO_CELLS
                self._numbered = _NO_CELLS if given is None else page.lap
                self._next = at + 1
                if values:
                    self._put(page, at, values)
                if self._first is None and (given is not None or not self._relative):
                    self._first = at
                    self._facts()
        except Exception:
            return

    def _loss(self, page: OwnPage, cell: Any, step: int, loss: object) -> float:
        """What to store now."""
        if loss is None:
            return NO_NUMBER
        found = number(loss)
        if found is not None:
            return found
        kept = tensor(loss)
        if kept is None:
            return NO_NUMBER
        known = now(kept)
        if known is not None:
            return known
        return ON_ITS_WAY if self._later.keep(kept, _delivery(page, cell, step)) else NO_NUMBER

    def _put(self, page: OwnPage, step: int, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            found = value if type(value) is float else number(value)
            if found is not None:
                page.put(step, name, found)
            elif (kept := tensor(value)) is None:
                continue
            elif (known := now(kept)) is not None:
                page.put(step, name, known)
            else:
                self._later.keep(kept, _value_delivery(page, step, name))

    def _on_page(self) -> OwnPage:
        """The page of this process, ours to write on (again): another training or a fork may have come between."""
        if self._page is None:
            self._take(self._alone or current_page() or own_page())
        assert self._page is not None
        return self._page

    def _take(self, page: OwnPage) -> None:
        with page.lock:
            page.let_go()
            step = self._step_then
            page.jump(step - page.base if page.lap is None else step - page.count(), forget=True)
            page.let_go, self._page = self._let_go, page
            self._begun_at = page.count() - self._beats
            self._want_cell = page.view[WANT_AT : WANT_AT + 8].cast("q", [])
            self._data_cell = page.view[WAITING_AT : WAITING_AT + 8].cast("q", [])
            flag = OBEYED if self._obeyed else READ if self._read else NEVER_READ
            FLAG.pack_into(page.memory, FLAG_AT, flag)
            sign_anew(page)
            self._facts()
            self._show_sections()
            page.come_back()

    def _let_go(self) -> None:
        """Another training, or nobody, writes on the page from now on."""
        self._step_then = self._step
        if self._page is not None:
            self._beats = self._page.count() - self._begun_at
        self._page = None
        self._later.drop()
        self._cells = self._numbered = _NO_CELLS
        self._want_cell = self._data_cell = None
        self._next = None

    def _facts(self) -> None:
        total = UNKNOWN if self._total is None else self._total
        first = UNKNOWN if self._first is None else self._first
        self._on_page().write_facts(total, first, self._word, self._step, self._begun_at)

    def _say_quietly(self, word: int) -> None:
        try:
            self._say(word)
        except Exception:
            return

    def _say(self, word: int) -> None:
        self._word = word
        self._facts()

    def enter(self, section: Any) -> None:
        try:
            self._sections.append(section)
            if len(self._sections) > SECTIONS_MAX:
                say_once(f"sections deeper than {SECTIONS_MAX} are counted, and not watched")
            self._show_sections()
        except Exception:
            return

    def leave(self, section: Any) -> None:
        """With all that was entered inside it and never left (a generator that nobody finished)."""
        try:
            if section in self._sections:
                del self._sections[self._sections.index(section) :]
                self._show_sections()
        except Exception:
            return

    def _show_sections(self) -> None:
        page = self._on_page()
        with page.lock:
            page.write_sections([(each.serial, each.limit_s, each.name) for each in self._sections])


def _delivery(page: OwnPage, cell: Any, step: int) -> Callable[[float], None]:
    """Takes a loss that arrives late to where it is looked for: its cell, while that is its own."""
    lap = page.lap

    def deliver(loss: float) -> None:
        if page.lap is lap:
            cell[()] = loss
        else:
            page.put(step, LOSS, loss)

    return deliver


def _value_delivery(page: OwnPage, step: int, name: str) -> Callable[[float], None]:
    return lambda value: page.put(step, name, value)


def _be_ready_for_a_hang() -> None:
    """Stacks can be asked of a process that hangs only if it was made ready before."""
    if supervised():
        from outlast.disk.stack_page import arm

        arm()
