"""Progress bars: tqdm (and with it the Hugging Face Trainer, Lightning, Composer), Ignite, Keras, rich.

Knows how each is drawn. Refuses to know which of several bars is the training.
"""

from __future__ import annotations

from outlast.runner.output_reading import names
from outlast.runner.output_reading.names import count, pattern
from outlast.runner.output_reading.seen import BATCH, EPOCH, Seen
from outlast.runner.output_reading.values import read_values

SIZE = rb"([\d.]{1,15}[kMGT]?)"
# tqdm: `desc:  45%|####      | 45/100 [00:01<00:09, 10.0it/s, loss=0.5]`, with or without the bar itself.
TQDM = (
    rb"(?:(?:\d{1,3}%)?\|[^|]*\| {0,4}|(?<![^\s:|]))"
    + SIZE
    + rb"/("
    + SIZE
    + rb"|\?) \[\d[\d:]{1,9}<([^,\]]{0,24})(?:, *([^\]]*))?"
)
# tqdm without a total: `desc: 10it [00:01, 9.8it/s, loss=0.5]`.
ENDLESS = rb"(?<![\w.])(\d{1,15})(?:it| ?[a-z]{1,12}) \[\d[\d:]{1,9}, *([^\]]*)"
# Ignite: `Epoch [1/3]: [45/100]  45%|####      , loss=0.5 [00:00<00:00]`.
IGNITE = rb"\[(\d{1,15})/(\d{1,15})\] {1,4}\d{1,3}%\|([^\[]*)\[\d[\d:]{1,9}<"
# Keras: `12/100 ---- 5s 4ms/step - loss: 0.5`, `12/100 [==>...] - ETA: 5s - loss: 0.5`, or one line an epoch:
# `100/100 - 1s - 4ms/step - loss: 0.5`.
KERAS = (
    rb"^ {0,12}(\d{1,15})/(\d{1,15}|Unknown) {1,4}(?=\xe2\x94|\[[=>.]|- \d+m?s|\d[\d:]{0,9}s? {1,4}\d+[mu]?s/)"
    rb"(?=.{0,240}(?:/step|/sample|/epoch| ETA:| - \d+m?s| - [a-z_]*loss: ))(.*)"
)
RICH_LINE = b"\xe2\x94\x81"
RICH = rb"(?:\xe2\x94\x81|\xe2\x95[\xb8\xba]) {1,4}(\d{1,15})/(\d{1,15}|\?|--) (.*)"
EPOCH_IN_NAME = (
    rb"(?<![a-z])ep(?:och)?s?(?![a-rt-z])~[:=#]?~[(\[]?~(\d{1,9})(?:~(?:/|of)~(\d{1,9}))?"
).replace(b"~", rb"[ \t]{0,4}")
LEADING_EPOCH = rb"^\s{0,12}(\d{1,6})/(\d{1,6})\s"
NUMBERS = rb"[-+]?\d[\d.,:/%e+-]*(?:[kMGT](?![a-z]))?"
CURSOR_UP = b"\x1b[A"
LIGHTNING_NAMES = (
    b"Validation DataLoader",
    b"Sanity Checking",
    b"Testing DataLoader",
    b"Predicting DataLoader",
)
NAMES_MAX = 64  # remembered
EPOCHS_ALONE = frozenset((b"epoch", b"epochs", b"ep"))

_names: dict[bytes, Name] = {}


def read_bar(line: bytes, raw: bytes) -> tuple[Seen | None, bytes]:
    """The last bar on a plain line, and what stands behind it; `raw` is the line with its terminal codes."""
    if b"<" in line and b"[" in line:
        seen, rest = _tqdm(line, raw)
        if seen is not None:
            return seen, rest
        return _ignite(line), b""
    if b" [" in line and b", " in line:
        seen, rest = _endless(line, raw)
        if seen is not None:
            return seen, rest
    if RICH_LINE in line and b"/" in line:
        seen = _rich(line)
        if seen is not None:
            return seen, b""
    seen = _keras(line)
    return seen, line if seen is None else b""


def bar_ends(line: bytes) -> bool:
    """Whether an unfinished line is at least a whole bar: tqdm leaves its newest without a line end."""
    return line.rstrip(b" ").endswith(b"]")


def _tqdm(line: bytes, raw: bytes) -> tuple[Seen | None, bytes]:
    found, begin, end = None, 0, 0
    for one in pattern(TQDM).finditer(line):
        found, begin, end = one, end, one.end()
    if found is None:
        return None, line
    description = line[begin : found.start()].lstrip(b"] ").rstrip(b" :")
    seen = _bar("tqdm", description, count(found[1]), count(found[2]))
    seen.is_nested = raw.rstrip(b" ").endswith(CURSOR_UP)
    _postfix(found[5], seen)
    if b"v_num=" in (found[5] or b"") or description.startswith(LIGHTNING_NAMES):
        seen.source = "lightning"
    elif b"loss/train" in (found[5] or b""):
        seen.source = "composer"
    return seen, line[end:].lstrip(b"]")


def _endless(line: bytes, raw: bytes) -> tuple[Seen | None, bytes]:
    found = pattern(ENDLESS).search(line)
    if found is None:
        return None, line
    seen = _bar("tqdm", line[: found.start()].rstrip(b" :"), count(found[1]), None)
    seen.is_nested = raw.rstrip(b" ").endswith(CURSOR_UP)
    _postfix(found[2], seen)
    return seen, line[found.end() :].lstrip(b"]")


def _ignite(line: bytes) -> Seen | None:
    found = pattern(IGNITE).search(line)
    if found is None:
        return None
    seen = _bar("ignite", line[: found.start()].rstrip(b" :"), count(found[1]), count(found[2]))
    _postfix(found[3].partition(b",")[2], seen)
    return seen


def _keras(line: bytes) -> Seen | None:
    found = pattern(KERAS).match(line)
    if found is None:
        return None
    seen = Seen("keras", "keras", count(found[1]), count(found[2]))
    seen.is_bar, seen.restarts, seen.origin = True, True, 1
    read_values(found[3], seen)
    return seen


def _rich(line: bytes) -> Seen | None:
    found = pattern(RICH).search(line)
    if found is None:
        return None
    description = line[: line.find(RICH_LINE)].rstrip(b" ")
    seen = _bar("rich", description, count(found[1]), count(found[2]))
    read_values(found[3], seen)
    if (
        seen.epoch is not None and b"\xe2\x80\xa2" in found[3]
    ):  # Lightning's own columns: `Epoch 1/9` counts from 0
        seen.source, seen.origin, seen.unit = "lightning", 0, BATCH
        if seen.total_epochs is not None:
            seen.total_epochs += 1
    return seen


class Name:
    """What the description of a bar says. Its numbers change while it stays the same bar."""

    __slots__ = ("epoch", "is_epochs", "key", "role", "total_epochs")

    def __init__(self, name: bytes) -> None:
        self.key = names.text_of(pattern(NUMBERS).sub(b"#", name))
        self.role = names.role_of_bar(name) if name else names.UNNAMED
        found = (pattern(EPOCH_IN_NAME).search(name) or pattern(LEADING_EPOCH).match(name)) if name else None
        self.epoch = float(found[1]) if found is not None else None
        self.total_epochs = count(found[2]) if found is not None else None
        self.is_epochs = name.lower() in EPOCHS_ALONE


def _name_of(name: bytes) -> Name:
    found = _names.get(name)
    if found is None:
        if len(_names) >= NAMES_MAX:
            _names.clear()
        found = _names[name] = Name(name)
    return found


def _bar(source: str, description: bytes, n: int | None, total: int | None) -> Seen:
    text = description.strip()
    name = _name_of(text)
    seen = Seen(source, f"{source} {name.key}", n, total)
    seen.is_bar, seen.role = True, name.role
    if name.epoch is not None:
        seen.epoch, seen.total_epochs, seen.restarts = name.epoch, name.total_epochs, True
        seen.origin = 1 if name.total_epochs else None
    elif name.is_epochs:
        seen.unit = EPOCH
    if b"oss" in text or b"=" in text:
        read_values(text, seen)
    return seen


def _postfix(postfix: bytes | None, seen: Seen) -> None:
    """What stands behind the rate."""
    if postfix and (b"=" in postfix or b":" in postfix):
        read_values(postfix, seen)
