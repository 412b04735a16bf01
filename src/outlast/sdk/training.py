"""A training as its own code sees it: `with outlast.training(total_steps=1000) as run`.

Knows the training's step, its last loss and its last word, and whether it is to stop. The path of `step(loss=)` is
two stores into the shared page: no clock, no system call, no thread, no allocation but a float.

Refuses: to raise into the training, to wait, to touch a value that may live on a device.
"""

# ruff: noqa: BLE001, S110 - whatever goes wrong here, it is none of the training's business
from __future__ import annotations

import math
import os
import sys

from outlast.disk.page import (
    BEATS,
    BEATS_AT,
    DO_NOT_RESTART,
    DONE,
    FACTS,
    FACTS_AT,
    FLAG,
    FLAG_AT,
    LOSS_AT,
    NEVER_READ,
    OBEYED,
    READ,
    RUNNING,
    STOPPED,
    WANT,
    WANT_AT,
)
from outlast.errors import DO_NOT_RESTART as EXIT_DO_NOT_RESTART
from outlast.errors import RESUME_ME as EXIT_RESUME_ME
from outlast.sdk.own_page import OwnPage, current_page, own_page
from outlast.sdk.surroundings import checkpoint, whole

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Any, TypeVar

    Item = TypeVar("Item")

STOP = 1
UNKNOWN = -1
STEPS_MAX = 1 << 53  # what a double counts exactly


def training(total_steps: int | None = None, *, start_step: int | None = None) -> Training:
    """Begin to report a training; use it as a context, so that its last word is known.

    `total_steps`: the last step's number (default: OUTLAST_TARGET_STEP). `start_step`: how many steps were done
    before this process, for a training that counts by calling `step()` without a number (default:
    OUTLAST_RESUME_STEP, else 0).

    A process has one page: a second training in it, nested or later, writes on the same one, and the page shows
    the training that began or beat last. Each keeps its own count of steps.
    """
    return Training(total_steps, start_step)


def resume_from() -> str | None:
    """The verified checkpoint to resume from, None from scratch: `trainer.train(resume_from_checkpoint=...)`."""
    return checkpoint()


class Training:
    """One training in one process (one rank). To be used by one thread at a time."""

    _loss_cell: Any  # memoryview[float] | None; None is not asked for on the path, it raises there
    _beats_cell: Any
    _want_cell: Any
    # step = _beats + _shift, and _beats never decreases over the life of a page. The cells are bytes of the page.
    __slots__ = (
        "_beats", "_beats_cell", "_first", "_loss_cell", "_obeyed", "_page", "_pending", "_pending_at",
        "_read", "_relative", "_shift", "_total", "_total_given", "_want_cell", "_word",
    )  # fmt: skip

    def __init__(self, total_steps: int | None = None, start_step: int | None = None) -> None:
        done = whole(os.environ.get("OUTLAST_RESUME_STEP")) if start_step is None else _whole(start_step)
        total = whole(os.environ.get("OUTLAST_TARGET_STEP")) if total_steps is None else _whole(total_steps)
        self._beats, self._shift = 0.0, done or 0
        self._total, self._total_given = total, total is not None
        # Without a number from anybody, a resumed count says how many steps were done here, and not which.
        self._relative = start_step is None and checkpoint() is not None
        self._first: int | None = None
        self._word = RUNNING
        self._obeyed = self._read = False
        self._pending: Any = None  # a CPU tensor that waits to be read at the next beat
        self._pending_at = -1.0
        self._page: OwnPage | None = None
        self._let_go()
        try:
            self._take(own_page())
        except Exception:
            return  # the next beat tries again

    def __enter__(self) -> Training:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            page = self._on_page()
            self._write_loss(self._read_pending())
            self._say(self._word_on_leaving(error) if self._word == RUNNING else self._word)
            page.leave()
        except Exception:
            return

    def step(self, step: int | None = None, loss: object = None) -> None:
        """A step is done: the next one, or number `step`. `loss`: a number that the CPU already has.

        A CPU tensor is read at the next beat; a tensor on a device is left alone, and the last known loss stays.
        """
        try:
            if step is None:
                if type(loss) is float:
                    self._loss_cell[()] = loss
                elif loss is not None:
                    return self._beat(step, loss)
                beats = self._beats + 1.0
                self._beats_cell[()] = beats
                self._beats = beats
                return None
            if type(loss) is float and type(step) is int and step == self._beats + self._shift + 1:
                self._loss_cell[()] = loss
                beats = self._beats + 1.0
                self._beats_cell[()] = beats
                self._beats = beats
                return None
        except TypeError:
            pass  # not our page (yet, or any more)
        return self._beat(step, loss)

    def track(self, iterable: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        """Iterate, and count each item as a step when the next is asked for (as tqdm does), unless the loop called
        `step` for it. Without a total of its own the training gets that of `iterable`. It does not stop by itself.
        """
        try:
            if not self._total_given:
                count = _whole(total) if total is not None else len(iterable)  # type: ignore[arg-type]
                self._total = None if count is None else self._step + count
                self._facts()
        except Exception:
            pass  # many iterables have no length
        return self._items(iterable)

    @property
    def should_stop(self) -> bool:
        """Whether to save and leave now. All ranks see it turn true at the same step; then it stays true."""
        try:
            if self._want_cell[()] != STOP and self._read:
                return self._obeyed
        except TypeError:
            pass  # not our page (yet, or any more)
        return self._obeyed or self._asked_to_stop()

    @property
    def resume_from(self) -> Path | None:
        """The verified checkpoint to resume from, None from scratch."""
        from pathlib import Path  # as heavy as all the rest of us

        found = checkpoint()
        return None if found is None else Path(found)

    @property
    def total_steps(self) -> int | None:
        """The number of the last step, if known."""
        return self._total

    def done(self) -> None:
        """The training is complete, whatever its step."""
        self._say_quietly(DONE)

    def do_not_restart(self) -> None:
        """Whatever happens next, starting this training again would be useless."""
        self._say_quietly(DO_NOT_RESTART)

    @property
    def _step(self) -> int:
        return int(self._beats) + self._shift

    def _items(self, iterable: Iterable[Item]) -> Iterator[Item]:
        for item in iterable:
            before = self._beats
            yield item
            if self._beats == before:
                self.step()

    def _beat(self, step: object, loss: object) -> None:
        """Every beat that is not simply the next step with a float."""
        try:
            page = self._on_page()
            if self._beats_cell is None:
                self._loss_cell = memoryview(page.memory)[LOSS_AT : LOSS_AT + 8].cast("d", [])
                self._beats_cell = memoryview(page.memory)[BEATS_AT : BEATS_AT + 8].cast("d", [])
            number = None if step is None else _whole(step)
            value = self._read_pending()
            value = value if loss is None else self._number(loss, value)
            beats = self._beats + 1.0
            shift = self._shift if number is None else number - int(beats)
            if shift != self._shift:
                page.jump(shift)
                self._shift = shift
            self._write_loss(value)
            self._beats_cell[()] = beats
            self._beats = beats
            if self._pending is not None:
                self._pending_at = beats
            if self._first is None and (number is not None or not self._relative):
                self._first = self._step
                self._facts()
        except Exception:
            return

    def _asked_to_stop(self) -> bool:
        try:
            page = self._on_page()
            if not self._read:
                FLAG.pack_into(page.memory, FLAG_AT, READ)
                self._read = True
            want, stop_at = WANT.unpack_from(page.memory, WANT_AT)
            if want == STOP and self._step >= stop_at:
                FLAG.pack_into(page.memory, FLAG_AT, OBEYED)
                self._obeyed = True
        except Exception:
            return False
        return self._obeyed

    def _on_page(self) -> OwnPage:
        """The page of this process, ours to write on (again): another training or a fork may have come between."""
        page = current_page() or own_page()
        if page is not self._page or self._want_cell is None:
            self._take(page)
        return page

    def _take(self, page: OwnPage) -> None:
        page.let_go()
        step = self._step
        (self._beats,) = BEATS.unpack_from(page.memory, BEATS_AT)
        self._shift = step - int(self._beats)
        page.jump(self._shift, math.nan)
        page.let_go, self._page = self._let_go, page
        self._want_cell = memoryview(page.memory)[WANT_AT : WANT_AT + 8].cast("q", [])
        flag = OBEYED if self._obeyed else READ if self._read else NEVER_READ
        FLAG.pack_into(page.memory, FLAG_AT, flag)
        self._facts()
        page.come_back()

    def _let_go(self) -> None:
        """A store into None is what leads the next beat, as it does the first, to `_beat` and from there to a page."""
        self._loss_cell = self._beats_cell = self._want_cell = None

    def _facts(self) -> None:
        total = UNKNOWN if self._total is None else self._total
        first = UNKNOWN if self._first is None else self._first
        FACTS.pack_into(self._on_page().memory, FACTS_AT, total, first, 0, self._word, self._step)

    def _say_quietly(self, word: int) -> None:
        try:
            self._say(word)
        except Exception:
            return

    def _say(self, word: int) -> None:
        self._word = word
        self._facts()

    def _word_on_leaving(self, error: BaseException | None) -> int:
        if isinstance(error, SystemExit) and error.code in _WORD_OF_EXIT:
            return _WORD_OF_EXIT[error.code]
        if error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0)):
            return RUNNING
        if self._total is not None and self._step >= self._total:
            return DONE
        return STOPPED if self._obeyed else RUNNING

    def _write_loss(self, value: float | None) -> None:
        if value is not None and self._loss_cell is not None:
            self._loss_cell[()] = value

    def _number(self, loss: object, otherwise: float | None) -> float | None:
        """The loss as a number, if that costs no wait; a CPU tensor is kept, without its graph, for the next beat."""
        kind = type(loss)
        try:
            if issubclass(kind, (float, int)) or _numpy_kind(loss) in _NUMBERS:
                return float(loss)  # type: ignore[arg-type]
            torch = sys.modules.get("torch")
            if torch is not None and kind is torch.Tensor and loss.is_cpu:  # type: ignore[attr-defined]
                self._pending = loss.detach()  # type: ignore[attr-defined]
        except Exception:
            pass  # a loss that cannot be read is no loss, and the step is done all the same
        return otherwise

    def _read_pending(self) -> float | None:
        pending, self._pending = self._pending, None
        if pending is None or self._pending_at != self._beats:
            return None
        try:
            return float(pending)
        except Exception:
            return None  # more than one element


_NUMBERS, _INTEGERS = ("f", "i", "u"), ("i", "u")
_WORD_OF_EXIT = {EXIT_RESUME_ME: STOPPED, EXIT_DO_NOT_RESTART: DO_NOT_RESTART}


def _whole(value: object) -> int | None:
    """A step's number, None if it is none that the CPU already has."""
    kind = type(value)
    try:
        whole = issubclass(kind, int) or _numpy_kind(value) in _INTEGERS
        if whole or (issubclass(kind, float) and value.is_integer()):  # type: ignore[attr-defined]
            number = int(value)  # type: ignore[call-overload]
            return number if -STEPS_MAX < number < STEPS_MAX else None
    except Exception:
        pass  # not a number, then
    return None


def _numpy_kind(value: object) -> str | None:
    """The kind of a NumPy scalar or array without dimensions. Other values are not even asked."""
    if type(value).__module__ != "numpy" or getattr(value, "ndim", None) != 0:
        return None
    return str(value.dtype.kind)  # type: ignore[attr-defined]
