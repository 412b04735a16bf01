"""Tensors: on the CPU read at once, on a GPU once it has sent the number by itself.

Knows torch by what it is handed, and asks no device to hurry: the number is copied to pinned memory behind the work
that is queued already, and read at a later beat, when its event says that it has arrived. Whatever goes wrong, that one
number is not known.
"""

# ruff: noqa: BLE001 - whatever goes wrong here, it is none of the training's business
from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

ON_THE_WAY_MAX = 8  # words of pinned memory; a device further behind than that keeps its numbers


def now(tensor: Any) -> float | None:
    """The number of a tensor that the CPU has, before the training changes it in place; None: it has not, or more."""
    try:
        return float(tensor.item()) if tensor.is_cpu else None
    except Exception:
        return None  # of many numbers there is none


class Later:
    def __init__(self) -> None:
        self._waiting: list[tuple[_Word, Callable[[float], None]]] = []  # what says the number, who wants it
        self._words: list[_Word] = []  # of pinned memory, free

    def keep(self, tensor: Any, deliver: Callable[[float], None]) -> bool:
        """Read `tensor` when that costs no wait, and hand its number on. False: it cannot be had so."""
        try:
            if tensor.numel() != 1:
                return False
            word = self._sent(tensor) if tensor.is_cuda else None
            if word is not None:
                self._waiting.append((word, deliver))
            return word is not None
        except Exception:
            return False

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

    def settle(self) -> None:
        """Hand on what has arrived."""
        waiting, self._waiting = self._waiting, []
        for said, deliver in waiting:
            try:
                if not said.event.query():
                    self._waiting.append((said, deliver))
                else:
                    self._words.append(said)
                    deliver(float(said.memory))
            except Exception:  # noqa: S112 - an error of the device is the training's own to meet
                continue

    def drop(self) -> None:
        """Nobody wants them any more. Words that are still written to are not used again."""
        self._waiting.clear()

    def _sent(self, tensor: Any) -> _Word | None:
        torch: Any = sys.modules["torch"]
        if torch.cuda.is_current_stream_capturing():
            return None  # a copy would become part of the graph
        if not self._words:
            if len(self._waiting) >= ON_THE_WAY_MAX:
                return None
            self._words.append(_Word(torch))
        word = self._words.pop()
        with torch.cuda.device(tensor.device):
            word.memory.copy_(tensor.detach().reshape(()), non_blocking=True)
            word.event.record()
        return word


class _Word:
    """A number in pinned memory, and the event that says that it is there."""

    def __init__(self, torch: Any) -> None:
        self.memory = torch.empty((), dtype=torch.float32, pin_memory=True)
        self.event = torch.cuda.Event()
