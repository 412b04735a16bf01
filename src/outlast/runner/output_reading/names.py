"""What the names in a training's output stand for: a bar's description, a value's key, a number.

Knows words. Refuses to know lines and series.
"""

from __future__ import annotations

import re

TRAIN, EVAL, ACTIVITY, UNNAMED = "train", "eval", "activity", ""

NUMBER = rb"[-+]?(?:nan|inf(?:inity)?|\d+(?:,\d{3})*(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?)"
DIGITS_MAX = 18

# Bars that prepare something, whoever draws them: datasets, transformers, hub clients, people's own loops.
ACTIVITY_WORDS = (
    rb"\b(?:map|mapping|filter|filtering|flattening|casting|loading|downloading|download|uploading|upload|generating|"
    rb"extracting|fetching|saving|writing|creating|resolving|reading|preprocessing|processing|tokenizing|tokenizer|"
    rb"tokenization|packing|truncating|concatenating|grouping|converting|applying|adding|materializing|collecting|"
    rb"sorting|shuffling|building|indexing|pushing|prefetching|caching|scanning|computing|encoding|warming|warmup|"
    rb"quantizing|sharding|merging|parsing|importing|verifying|hashing|calibrating|profiling|compiling|capturing|"
    rb"splitting|unpacking|initializing|checkpoint|shards?|files?|dataset|examples?)\b"
)
EVAL_WORDS = (
    rb"(?<![\w./-])(?:val|valid|validat(?:e|ion|ing)|eval|evaluat(?:e|ion|ing)|test|testing|dev|sanity|predict|"
    rb"predicting|prediction|inference|inferencing|scoring|benchmark|benchmarking|sampling)(?![\w./-])"
)
TRAIN_WORDS = rb"^\W*(?:train|training|fine-?tuning|pre-?training)\b"
EVAL_KEY_WORDS = frozenset(
    (b"val", b"valid", b"validation", b"eval", b"evaluation", b"test", b"dev", b"holdout", b"heldout")
)
TRAIN_KEY_WORDS = frozenset((b"train", b"training"))
NOT_A_LOSS = frozenset((b"scale", b"scaler", b"weight", b"fn", b"time", b"coef", b"factor"))
BEST_LOSS_NAMES = (b"loss", b"train", b"total", b"training", b"lm")

KEYS_MAX = 128  # remembered; the names of one training are few

_keys: dict[bytes, Key] = {}
_patterns: dict[bytes, re.Pattern[bytes]] = {}


def pattern(source: bytes) -> re.Pattern[bytes]:
    """Compiled when it is first needed: most trainings speak one shape, and the rest of the table stays text."""
    found = _patterns.get(source)
    if found is None:
        found = _patterns[source] = re.compile(source, re.IGNORECASE)
    return found


def role_of_bar(description: bytes) -> str:
    words = description.replace(b"_", b" ")
    if pattern(ACTIVITY_WORDS).search(words):
        return ACTIVITY
    if pattern(TRAIN_WORDS).search(words):
        return TRAIN
    return EVAL if speaks_of_evaluation(words) else UNNAMED


def speaks_of_evaluation(text: bytes) -> bool:
    return pattern(EVAL_WORDS).search(text) is not None


class Key:
    """What the name of a value stands for: whose it is, and how much it looks like *the* training loss (0 best; None:
    it is no loss at all)."""

    __slots__ = ("is_eval", "is_train", "loss_rank", "name")

    def __init__(self, key: bytes) -> None:
        words = _words(key)
        self.is_eval = not EVAL_KEY_WORDS.isdisjoint(words)
        self.is_train = not TRAIN_KEY_WORDS.isdisjoint(words)
        self.loss_rank = _loss_rank(words)
        self.name = "loss" if key.lower() == b"loss" else text_of(key.replace(b" ", b"_"))


def key_of(key: bytes) -> Key:
    found = _keys.get(key)
    if found is None:
        if len(_keys) >= KEYS_MAX:
            _keys.clear()
        found = _keys[key] = Key(key)
    return found


def _loss_rank(words: list[bytes]) -> int | None:
    if not NOT_A_LOSS.isdisjoint(words) or not any(word.endswith(b"loss") for word in words):
        return None
    known = [BEST_LOSS_NAMES.index(word) for word in words if word in BEST_LOSS_NAMES]
    others = sum(word not in BEST_LOSS_NAMES for word in words)
    return max(known, default=len(BEST_LOSS_NAMES)) + 8 * others


def _words(key: bytes) -> list[bytes]:
    for separator in (b"/", b"_", b"-", b".", b"@"):
        key = key.replace(separator, b" ")
    return key.lower().split()


def number(text: bytes) -> float | None:
    try:
        return float(text.replace(b",", b""))
    except ValueError:
        return None


def count(text: bytes | None) -> int | None:
    """A counter: digits, thousands with commas, or tqdm's 1.2k; None: not one, or too large to be one."""
    if not text:
        return None
    digits = text.replace(b",", b"")
    if digits.isdigit():
        return int(digits) if len(digits) <= DIGITS_MAX else None
    scale = {b"k": 1e3, b"M": 1e6, b"G": 1e9, b"T": 1e12}.get(digits[-1:], 0.0)
    value = number(digits[:-1] if scale else digits)
    return int(value * (scale or 1.0)) if value is not None and 0 <= value < 1e6 else None


def text_of(name: bytes) -> str:
    """A name as it is shown and recorded."""
    return name[:64].decode("ascii", "replace")
