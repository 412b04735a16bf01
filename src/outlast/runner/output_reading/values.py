"""Named numbers in a text: `loss: 0.5`, `'loss': '0.5'`, `loss=0.5`, `Loss 6.9e+00 (7.0)`, `train loss 0.5`.

Knows how a key stands before its number, and which of them is the training loss. Refuses to know steps and epochs.
"""

from __future__ import annotations

from outlast.runner.output_reading.names import (
    NUMBER,
    Key,
    key_of,
    number,
    pattern,
    speaks_of_evaluation,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from outlast.runner.output_reading.seen import Seen

VALUES_MAX = 32  # of one line
KEY_MAX = 48
LOSSES_MAX = 12
COUNTED = frozenset(b"step steps iter iteration global_step batch test train eta".split())  # no values

PAIR = (
    rb"(?<![\w./@-])([a-z_][\w./@-]{0,47})[\"']?[ \t]{0,4}[:=][ \t]{0,12}[\"'(\[]?(?:tensor\()?("
    + NUMBER
    + rb")(?![\w:])"
)
BEFORE_LOSS = rb"(?:(?<![\w./@-])([a-z]{1,16})[ _])?([\w./@-]*)$"
AFTER_LOSS = (
    rb"([\w./@-]{0,24})[\"']?[ \t]{0,4}(?:[:=|]|is)?[ \t]{0,12}[\"'(\[]?(?:tensor\()?(" + NUMBER + rb")(?!\w)"
)
WORDS_BEFORE = frozenset(
    b"train training val valid validation test eval evaluation dev lm avg average mean running total".split()
)


def read_values(text: bytes, seen: Seen) -> None:
    """Fill in the values of a text, its training loss and its validation loss."""
    low = text.lower()
    losses, best = low.count(b"loss"), _Best(seen)
    for name, value in pattern(PAIR).findall(text):
        found, plain_name = number(value), name.lower()
        if found is None or plain_name in COUNTED or len(seen.values) >= VALUES_MAX:
            continue
        key = key_of(name)
        seen.values[key.name] = found
        if b"loss" in plain_name:
            losses -= plain_name.count(b"loss")
            if key.loss_rank is not None:
                best.take(key, found, text[: text.find(name)])
    if losses or _is_named_in_words(low):
        _read_words(text, low, seen)


class _Best:
    """The training loss and the validation loss among several."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._rank = self._val_rank = 1 << 16

    def take(self, key: Key, value: float, before: bytes) -> None:
        rank = key.loss_rank or 0
        if key.is_eval or (not key.is_train and speaks_of_evaluation(before)):
            if rank < self._val_rank:
                self._val_rank, self._seen.val_loss = rank, value
            if not key.is_eval and self._seen.values.get(key.name) == value:
                del self._seen.values[key.name]
                self._seen.values[f"val_{key.name}"] = value
        elif rank < self._rank:
            self._rank, self._seen.loss = rank, value


def _is_named_in_words(low: bytes) -> bool:
    """`val loss: 0.5` is no value of the name `loss`."""
    at = low.find(b" loss")
    while at > 0:
        if low[at - 1 : at].isalpha():
            return True
        at = low.find(b" loss", at + 5)
    return False


def _read_words(text: bytes, low: bytes, seen: Seen) -> None:
    """The same with care for the word before a loss, and for numbers that only a blank separates from their name."""
    seen.loss = seen.val_loss = None
    best = _Best(seen)
    at = low.find(b"loss")
    for _ in range(LOSSES_MAX):
        if at < 0:
            return
        found = _loss_at(text, at)
        if found is not None:
            name, bare, value = found
            key = key_of(name)
            if key.loss_rank is not None:
                if name != bare and seen.values.get(key_of(bare).name) == value:
                    del seen.values[key_of(bare).name]
                seen.values.setdefault(key.name, value)
                best.take(key, value, text[: max(0, at - len(name) + 4)])
        at = low.find(b"loss", at + 4)


def _loss_at(text: bytes, at: int) -> tuple[bytes, bytes, float] | None:
    """The key around the word at `at`, with and without the word before it, and the number behind it."""
    after = pattern(AFTER_LOSS).match(text, at + 4)
    if after is None:
        return None
    value = number(after[2])
    before = pattern(BEFORE_LOSS).search(text[max(0, at - KEY_MAX) : at])
    if value is None or before is None:
        return None
    bare = before[2] + text[at : at + 4] + after[1]
    word = before[1]
    key = word + b" " + bare if word is not None and word.lower() in WORDS_BEFORE else bare
    return key, bare, value
