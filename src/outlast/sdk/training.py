"""A training as its own code sees it: `with outlast.training(total_steps=1000) as run`.

Knows what a training may say and ask. The path of `step(loss=)` is one store into the shared page: no clock, no system
call, no thread, no allocation that is kept.

Refuses: to raise into the training, to wait, to touch a value that may live on a device.
"""

# ruff: noqa: BLE001, S110 - whatever goes wrong here, it is none of the training's business
from __future__ import annotations

import os

from outlast.disk.page import (
    DO_NOT_RESTART,
    DONE,
    FLAG,
    FLAG_AT,
    LEFT,
    OBEYED,
    PATH_MAX,
    READ,
    RUNNING,
    STOPPED,
    WANT,
    WANT_AT,
)
from outlast.errors import DO_NOT_RESTART as EXIT_DO_NOT_RESTART
from outlast.errors import RESUME_ME as EXIT_RESUME_ME
from outlast.sdk.later import now
from outlast.sdk.numbers import number, tensor, whole
from outlast.sdk.on_page import OnPage
from outlast.sdk.own_page import private, say_once
from outlast.sdk.section import Section
from outlast.sdk.surroundings import checkpoint
from outlast.sdk.writing import LOSS, NO_NUMBER

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Any, TypeVar

    Item = TypeVar("Item")

STOP = 1
# Refuses whatever is no float by its type alone, without a look at the value (float() would ask a device for it). Some
# nanoseconds less than `type(loss) is float`, but some microseconds where it refuses: only for `beat`.
_float: Callable[[Any], float] = float.conjugate
_WORD_OF_EXIT = {EXIT_RESUME_ME: STOPPED, EXIT_DO_NOT_RESTART: DO_NOT_RESTART}


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


class Training(OnPage):
    """One training in one process (one rank). To be used by one thread at a time."""

    __slots__ = ()

    def __enter__(self) -> Training:
        if self._word == LEFT:
            self._say_quietly(RUNNING)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            page = self._on_page()
            with page.lock:
                self._later.settle()
                self._say(self._word_on_leaving(error) if self._word in (RUNNING, LEFT) else self._word)
                page.leave()
        except Exception:
            return

    def __reduce__(self) -> Any:
        """What another process gets that is handed us (a data-loading worker): it may call, and nobody hears it."""
        return _unheard, (self._total, self._step)

    # --- steps ----------------------------------------------------------------------------------------------

    def step(self, step: int | None = None, loss: object = NO_NUMBER, **values: object) -> None:
        """A step is done: the next one, or number `step`. `loss` and the other `values`: numbers or tensors; None: no
        loss is known.

        A number that the CPU has costs nothing; a CPU tensor is read at once, a CUDA tensor when its number has
        arrived by itself. Any other value is left alone, and that loss is not known.
        """
        if step is None and not values:
            if type(loss) is float or issubclass(
                type(loss), float
            ):  # NumPy's float64 is one; this order is quicker
                for cell in self._cells:
                    cell[()] = loss
                    return
            elif (found := tensor(loss)) is not None and (known := now(found)) is not None:
                for cell in self._cells:
                    cell[()] = known
                    return
        elif type(step) is int and step == self._next and type(loss) is float and not values:
            for cell in self._numbered:
                cell[()] = loss
                self._next = step + 1
                return
        self._beat(step, loss, values)

    def beat(self, loss: float) -> None:
        """`step(loss=loss)` by the shortest way, for loops whose steps take microseconds."""
        try:
            known = _float(loss)
            for cell in self._cells:
                cell[()] = known
                return
        except TypeError:
            pass
        self._beat(None, loss, {})

    def log(self, step: int | None = None, **values: object) -> None:
        """Values of a step that was reported already: the last one, or number `step`."""
        try:
            page = self._on_page()
            with page.lock:
                self._later.settle()
                here = self._step
                known = whole(step)
                at = here if known is None else known
                self._put(page, at, values)
                loss = number(values.get(LOSS))
                if loss is not None and at == here:
                    page.replace_loss(loss)
        except Exception:
            return

    def track(self, iterable: Iterable[Item], total: int | None = None) -> Iterator[Item]:
        """Iterate, and count each item as a step when the next is asked for (as tqdm does), unless the loop called
        `step` for it. Whoever watches can see while we wait for an item. Without a total of its own the training gets
        that of `iterable`. It does not stop by itself.
        """
        try:
            if not self._total_given:
                count = whole(total) if total is not None else len(iterable)  # type: ignore[arg-type]  # without a length: the TypeError is caught
                self._total = None if count is None else self._step + count
                self._facts()
        except Exception:
            pass  # many iterables have no length
        return self._items(iterable)

    # --- what is said besides -------------------------------------------------------------------------------

    def section(self, name: str, limit: str | float | None = None) -> Section:
        """`with run.section("eval", limit="30m")`: a stretch that may take so long without a step. They nest; the
        innermost eight that are open at once can be seen. Without a limit the learned or the default one holds."""
        return Section(self, name, limit)

    def saved(self, path: str | os.PathLike[str], step: int | None = None) -> None:
        """A checkpoint is complete: file or folder, of the last step or number `step`. It will be verified from
        outside."""
        try:
            body = os.fsencode(os.path.abspath(path))
            if len(body) > PATH_MAX:
                say_once("a checkpoint's path is too long to be told")
                return
            page = self._on_page()
            known = whole(step)
            with page.lock:
                page.write_saved(body, self._step if known is None else known)
        except Exception:
            return

    def lock(self, **values: object) -> None:
        """What may not change across restarts: `lock(base_model="path", max_length=2048)`. Paths are read from outside.
        May be called again; of all ranks the first speaks. A later start that finds another value is refused."""
        try:
            page = self._on_page()
            if page.path is not None and page.signed is not None and page.signed[0] == 0:
                from outlast.sdk.locking import tell

                tell(values)
        except Exception:
            return

    def done(self) -> None:
        """The training is complete, whatever its step."""
        self._say_quietly(DONE)

    def do_not_restart(self) -> None:
        """Whatever happens next, starting this training again would be useless."""
        self._say_quietly(DO_NOT_RESTART)

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
        """The number of the last step, if known. A training that learns it later may set it."""
        return self._total

    @total_steps.setter
    def total_steps(self, total: int | None) -> None:
        try:
            self._total, self._total_given = whole(total), True
            self._facts()
        except Exception:
            return

    def _items(self, iterable: Iterable[Item]) -> Iterator[Item]:
        self._wait_for_data(1)
        try:
            for item in iterable:
                self._wait_for_data(0)
                page, lap = self._page, None
                if page is not None:
                    lap = page.lap
                    left = lap.__length_hint__()
                yield item
                if lap is None or (
                    self._page is page is not None and page.lap is lap and lap.__length_hint__() == left
                ):
                    self.step()
                self._wait_for_data(1)
        finally:
            self._wait_for_data(0)

    def _wait_for_data(self, waiting: int) -> None:
        try:
            self._data_cell[()] = waiting
        except TypeError:
            return  # not our page: nobody is told, and nobody wonders

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

    def _word_on_leaving(self, error: BaseException | None) -> int:
        if isinstance(error, SystemExit) and error.code in _WORD_OF_EXIT:
            return _WORD_OF_EXIT[error.code]
        if error is not None and not (isinstance(error, SystemExit) and error.code in (None, 0)):
            return LEFT
        if self._total is not None and self._step >= self._total:
            return DONE
        return STOPPED if self._obeyed else LEFT


def _unheard(total: int | None, step: int) -> Training:
    return Training(total, step, alone=private())
